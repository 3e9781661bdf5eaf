"""The table of actions. One file each; what is documented but not built yet is refused by name."""

from __future__ import annotations

from typing import ClassVar, Protocol

from callwright.apps.rest.actions.hang_up import HangUp
from callwright.apps.rest.actions.play import Play
from callwright.apps.rest.actions.record import Record
from callwright.apps.rest.actions.redirect import Redirect
from callwright.apps.rest.actions.run_menu import RunMenu
from callwright.apps.rest.actions.sleep import Sleep
from callwright.apps.rest.document import ActionReader
from callwright.apps.rest.stage import Next, Stage


class Action(Protocol):
    """One instruction of a page: its fields and what it does.

    ``run`` raises ``CallEnded`` when the call ends under it and ``Problem`` when it cannot be done.
    """

    name: ClassVar[str]

    async def run(self, stage: Stage) -> Next: ...


ACTIONS: dict[str, ActionReader[Action]] = {
    action.name: action for action in (HangUp, Play, Record, Redirect, RunMenu, Sleep)
}

NOT_AVAILABLE = frozenset(
    {
        "answer",
        "connect",
        "connect_to_conference",
        "delete_file",
        "get_input",
        "get_number",
        "receive_fax",
        "reject",
        "run_speech_menu",
        "send_fax",
        "start_transcription",
        "stop_transcription",
    }
)
