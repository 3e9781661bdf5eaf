"""A call of a former life, known only from its saved dialog: it can be hung up, and knows its peer while that lasts."""

from __future__ import annotations

from callwright.sip.auth import Answerer
from callwright.sip.dialog import Dialog
from callwright.sip.endpoint import Endpoint
from callwright.sip.leftover import Leftover
from callwright.sip.message import Response


class Revival(Leftover):
    """The owner of a saved dialog's session."""

    __slots__ = ()

    def __init__(self, *, endpoint: Endpoint, handle: str, dialog: Dialog, answerer: Answerer) -> None:
        super().__init__(endpoint=endpoint, handle=handle, dialog=dialog, answerer=answerer)
        endpoint.by_tag[self._tag_key] = self

    def receive_answer(self, response: Response, source: tuple[str, int], now: float) -> None:
        """ACK a repeated 2xx: nobody knows whether the former life came to it."""
        if not self.session.acks.repeat(response.head.cseq):
            self.session.acks.send(response.head.cseq, [])
