"""What the parts of a session know of it: where the call stands, and how a request is sent within its dialog."""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol

from callwright.sip.agenda import Machine
from callwright.sip.auth import Answerer
from callwright.sip.dialog import Dialog
from callwright.sip.endpoint import Endpoint
from callwright.sip.transaction import ClientTransaction, OnFailure, OnResponse


class SessionState(StrEnum):
    EARLY = "early"
    UP = "up"
    HELD = "held"
    LEAVING = "leaving"
    OVER = "over"


class Talk(Machine, Protocol):
    """A session as its parts see it.

    ``quiet``: an answer nobody wanted, of which no event tells. ``agreed`` says that offer and answer were exchanged
    before the 2xx, ``local_body`` is the last session description of ours.
    """

    endpoint: Endpoint
    answerer: Answerer
    dialog: Dialog
    handle: str
    state: SessionState
    quiet: bool
    agreed: bool
    local_body: bytes

    def credentials_for(self, method: str) -> list[tuple[str, str]]:
        """Return the headers that answer the challenges known so far."""
        ...

    def ask(
        self,
        method: str,
        extra: list[tuple[str, str]],
        body: bytes,
        on_response: OnResponse,
        on_failure: OnFailure,
        now: float,
    ) -> ClientTransaction:
        """Send a request with the dialog's next CSeq."""
        ...

    def give_up(self, cause: str, now: float, *, reason: str = "") -> None:
        """Hang up a call that is dead; ``reason`` is the Reason header of the BYE, "" leaves what was asked for."""
        ...
