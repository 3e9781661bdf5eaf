"""What may be heard of a call before it is answered: ringback tones and announcements of the network.

Each telephone behind an INVITE may tell in a provisional response where its early sound comes from (RFC 3261 section
13.2.1), and agree on something else by UPDATE (RFC 3311). The leg hears the one that told something new last: where
telephones ring one after the other that is the one that rings now (RFC 3960 section 3.1). Who listens is not heard
before the answer. docs/reference/calls.md, early sound.
"""

from __future__ import annotations

from collections.abc import Sequence

from callwright.engine.media_leg import Leg, MediaError
from callwright.engine.outside_log import outside_log
from callwright.media import offer_answer
from callwright.media.codec import Codec
from callwright.media.offer_answer import Agreed, Direction
from callwright.sip.headers import Pairs, header_value
from callwright.values.errors import PeerError
from callwright.values.ids import CallId

_SDP = "application/sdp"
_MOST = 32  # telephones behind one INVITE that may each offer early sound


class EarlyMedia:
    """The early sound of one call. ``leg`` is its own; ``listener``, on the same media worker, that of an answered call
    whose far end hears it, None for nobody.
    """

    def __init__(self, call_id: CallId, leg: Leg, listener: Leg | None) -> None:
        self._call_id = call_id
        self._leg = leg
        self._listener = listener
        self._joined = False
        self._told: dict[str, bytes] = {}
        self._agreed: dict[str, Agreed] = {}

    def keep(self, tag: str, headers: Pairs, body: bytes, codecs: Sequence[Codec]) -> None:
        """Take a provisional response of the telephone of this tag: let what it describes be heard, and keep it,
        because the answer may come without a description of its own. What cannot be heard is logged.
        """
        if not body or not _is_sdp(headers) or body == self._told.get(tag) or not self._may_add(tag, self._told):
            return
        self._told[tag] = body
        # Without a listener the kernel throws the packets away: to take those of 100 telephones that ring would keep a
        # worker busy for 4 % of its time.
        if tag in self._agreed or self._listener is None:
            return
        try:
            self._hear(offer_answer.choose(body, codecs))
        except (PeerError, MediaError) as problem:
            outside_log.warning(
                f"Early sound cannot be heard: {problem}", action="early_sound_unusable", call=self._call_id
            )

    def agree(self, tag: str, agreed: Agreed) -> None:
        """Connect the leg to what the telephone of this tag and we agreed on; it stays agreed when it answers. Raise
        ``MediaError`` for what the leg cannot do.
        """
        self._hear(agreed)
        if self._may_add(tag, self._agreed):
            self._agreed[tag] = agreed

    def at_answer(self, tag: str, body: bytes, codecs: Sequence[Codec]) -> Agreed:
        """Return what a 2xx of this tag and body agrees on; raise ``SdpError`` or ``NothingInCommon``.

        Without a body it is the description of its own telephone's provisional response, if there was one (RFC 3264
        wants the same one; RFC 3261 section 13.2.1 lets it stand in the first of them only).
        """
        told = self._told.get(tag) or self._told.get("") or b""
        return self._agreed.get(tag) or offer_answer.choose(body or told, codecs)

    def join(self) -> None:
        """Join the leg, which is connected, to who listens, unless it was before."""
        if self._listener is not None and not self._joined:
            self._joined = True
            self._leg.join(self._listener)

    def forget(self) -> None:
        """It failed there: what the telephones of that place told means nothing any more."""
        self._told.clear()
        self._agreed.clear()
        self._part()

    def end(self) -> None:
        """The call ends: let the listener hear nothing of it from now on."""
        self._part()
        self._listener = None

    def _part(self) -> None:
        if self._joined:
            self._joined = False
            self._leg.part()

    def _hear(self, agreed: Agreed) -> None:
        self._leg.connect(
            remote=agreed.remote,
            codec=agreed.codec,
            dtmf_payload=agreed.dtmf_payload,
            # Who listens must not be heard by, and not be charged for talking to, somebody who has not answered.
            direction=Direction.RECVONLY if agreed.direction.receives else Direction.INACTIVE,
            tone_keys=False,
            ptime_ms=agreed.ptime_ms,
        )
        self.join()

    def _may_add(self, tag: str, known: dict[str, bytes] | dict[str, Agreed]) -> bool:
        return tag in known or len(known) < _MOST


def _is_sdp(headers: Pairs) -> bool:
    return (header_value(headers, "content-type") or _SDP).partition(";")[0].strip().lower() == _SDP
