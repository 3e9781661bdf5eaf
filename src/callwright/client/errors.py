"""What a request to the web services can come to instead of an answer."""

from __future__ import annotations

from collections.abc import Sequence

from callwright.values.errors import CallwrightError, OutsideError, RequestError


class WebServiceError(RequestError):
    """The web services refused: HTTP ``status``, ``code`` such as ``0002`` or ``HTTP 401``, ``text``, one text per
    failure in ``details`` when there are several, and ``link`` to an explanation.
    """

    def __init__(self, *, status: int, code: str, text: str, details: Sequence[str] = (), link: str = "") -> None:
        super().__init__(f"{code}: {text}" + "".join(f"\n  {detail}" for detail in details))
        self.status = status
        self.code = code
        self.text = text
        self.details = tuple(details)
        self.link = link


class NotReached(OutsideError):
    """The server did not answer, or what answered is not these web services. A start may have been queued all the
    same: send it again with the same ``unique_id`` to be sure.
    """


class StillRunning(CallwrightError):
    """The start was not over when the time to wait was."""
