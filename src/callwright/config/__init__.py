"""Settings: read once when a node starts, frozen, and handed down as values (docs/reference/settings.md)."""

from callwright.config.binding import check_binding, is_loopback, pages_may_be_on_loopback
from callwright.config.errors import SettingsError
from callwright.config.load import SettingFacts, all_settings, load_settings
from callwright.config.settings import Settings

__all__ = [
    "SettingFacts",
    "Settings",
    "SettingsError",
    "all_settings",
    "check_binding",
    "is_loopback",
    "load_settings",
    "pages_may_be_on_loopback",
]
