"""An answer to an INVITE that this core knows nothing of: one of a former life, or forgotten since.

The telephone that sent it is off the hook and repeats its 2xx until somebody ACKs it. Nobody here can talk to it, so
it is ACKed and hung up, as RFC 3261 section 13.2.2.4 has it for an answer nobody wants. Everything goes to where the
answer came from, whatever its Contact and Record-Route say: a forged answer can make us send to its sender only.
"""

from __future__ import annotations

from callwright.sip.auth import Answerer
from callwright.sip.dialog import calling_dialog
from callwright.sip.endpoint import COOKIE, Endpoint
from callwright.sip.event import ExtraAnswer
from callwright.sip.headers import clean
from callwright.sip.leftover import Leftover
from callwright.sip.message import Response
from callwright.sip.way import Way

MOST_STRAYS = 1000
REASON = 'Q.850;cause=41;text="the caller was restarted"'  # temporary failure (RFC 3326, ITU-T Q.850)

StrayKey = tuple[str, str, str]


def stray_key(response: Response) -> StrayKey:
    """Return what repetitions of one answer share: Call-ID and both tags."""
    head = response.head
    return head.call_id, head.from_.tag, head.to.tag


def may_be_ours(response: Response, endpoint: Endpoint) -> bool:
    """Tell whether the INVITE may have come from this address: a former life had the same one."""
    via = response.head.via
    return (
        via.branch.startswith(COOKIE)
        and via.host.lower() == endpoint.host.lower().strip("[]")
        and (via.port or 5060) in endpoint.ports.values()
        and bool(response.head.to.tag)
    )


class Stray(Leftover):
    """One such answer, from its ACK and BYE until its repetitions can be over."""

    __slots__ = ("_key",)

    def __init__(
        self, *, endpoint: Endpoint, response: Response, source: tuple[str, int], now: float, way: Way
    ) -> None:
        head = response.head
        dialog = calling_dialog(
            response,
            source,
            local=response.headers.get("from") or "",
            local_tag=head.from_.tag,
            request_uri=head.to.uri,
            way=way,
        )
        dialog.only_hop = source
        answerer = Answerer(None, endpoint.new_id)
        super().__init__(endpoint=endpoint, handle=endpoint.new_id(), dialog=dialog, answerer=answerer)
        self.session.quiet = True
        self._key = stray_key(response)
        endpoint.strays[self._key] = self
        endpoint.by_tag.setdefault(self._tag_key, self)
        self.session.acks.send(head.cseq, [])
        self.session.bye(now, REASON)
        endpoint.events.append(
            ExtraAnswer(handle=self.handle, at=now, code=response.code, source=source, tag=clean(head.to.tag))
        )

    def leave(self) -> None:
        super().leave()
        self._endpoint.strays.pop(self._key, None)
