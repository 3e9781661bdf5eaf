"""What is wrong with the settings."""

from __future__ import annotations

from callwright.values.errors import RequestError


class SettingsError(RequestError):
    """A setting is unknown, has a bad value, or contradicts another one; the text says which, where and what is
    expected.
    """
