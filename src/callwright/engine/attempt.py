"""One call order on its way: its call, its dialog handle once the INVITE left, and what both sides agree on as sound.

It is the one place where session descriptions and the media leg meet (RFC 3264); it sends nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from callwright.engine.call import OutgoingCall
from callwright.engine.early_media import EarlyMedia
from callwright.engine.interface import CallFailed, CallOrder
from callwright.engine.media_client import Leg, MediaError
from callwright.engine.redirects import Trail
from callwright.engine.trunk_setup import KNOWN_CODECS
from callwright.engine.trunks import Passage
from callwright.media import offer_answer
from callwright.media.codec import Codec
from callwright.sip.invite_plan import InvitePlan
from callwright.values.destination import Destination
from callwright.values.errors import PeerError
from callwright.values.outcome import Outcome

MayFollow = Callable[[Destination], Awaitable[str]]
OnMoved = Callable[[bytes], None]


class UnusableSound(PeerError):
    """The far end's session description leaves nothing to talk with."""


class Attempt:
    """A call from its order to the end of its dialog. ``handle`` is "" until the INVITE left.

    ``answered`` is done when the call is up, or holds ``CallFailed``; it is for one to await, who when cancelled
    cancels it, while ``is_settled`` tells what became of the call. ``rang`` is set by the first 18x. ``gave_up`` says
    why we stopped trying, "" while we do; ``verdict`` is the outcome when that is not the far end's to decide.
    ``media_lost`` is set when the leg's worker died. ``passage`` is the call's seat on its trunk, None without one.
    ``listener`` is the leg whose far end hears early sound, None for nobody.
    ``plan`` is what was sent last, ``trail`` where the call was redirected; ``may_follow`` says why it may not go on to
    a number ("" when it may), None: it may not go on to any other than the one dialled.
    ``on_moved`` is told what cancels the call at another place.
    """

    def __init__(
        self,
        *,
        call: OutgoingCall,
        order: CallOrder,
        passage: Passage | None,
        leg: Leg,
        media_host: str,
        session_id: int,
        listener: Leg | None = None,
        may_follow: MayFollow | None = None,
        on_moved: OnMoved | None = None,
    ) -> None:
        self.call = call
        self.order = order
        self.passage = passage
        self.leg = leg
        self.handle = ""
        self.answered: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.is_settled = False
        self.rang = False
        self.gave_up = ""
        self.verdict: Outcome | None = None
        self.media_lost = False
        self.limit: asyncio.TimerHandle | None = None  # runs while the call is up
        self.last_word: asyncio.TimerHandle | None = None  # runs from CANCEL or BYE to the end of the dialog
        self.plan: InvitePlan | None = None
        self.trail = Trail()
        self.may_follow = may_follow
        self.on_moved = on_moved
        self._media_host = media_host
        self._session_id = session_id
        self._version = 0
        self._early = EarlyMedia(call.call_id, leg, listener)

    # --- its sound

    def offer(self) -> bytes:
        """Our session description as an offer."""
        return offer_answer.offer(
            self._media_host,
            self.leg.port,
            self._codecs(),
            session_id=self._session_id,
            version=self._next_version(),
        )

    def keep_early(self, tag: str, headers: tuple[tuple[str, str], ...], body: bytes) -> None:
        """Let whoever listens hear what a provisional response describes, and keep it: the answer may come without one
        of its own.
        """
        self._early.keep(tag, headers, body, self._codecs())

    def take_answer(self, tag: str, body: bytes) -> None:
        """Connect the leg as the far end answered, be it by an early description; raise ``UnusableSound``."""
        try:
            self._connect(self._early.at_answer(tag, body, self._codecs()))
            self._early.join()  # there may have been no early sound
        except (PeerError, MediaError) as problem:
            raise UnusableSound(str(problem)) from problem

    def take_offer(self, body: bytes, tag: str = "") -> bytes:
        """Connect the leg as the far end now wants it and return our answer; raise ``UnusableSound``.

        What the telephone of this tag and we agree on before it answers stays agreed when it does (RFC 3311).
        """
        try:
            answer = offer_answer.answer(
                body,
                self._media_host,
                self.leg.port,
                self._codecs(),
                session_id=self._session_id,
                version=self._version + 1,
            )
            if tag and not self.is_settled:
                self._early.agree(tag, answer.agreed)
            else:
                self._connect(answer.agreed)
        except (PeerError, MediaError) as problem:
            raise UnusableSound(str(problem)) from problem
        self._version += 1
        return answer.body

    def describe(self, offer: bytes, tag: str = "") -> bytes:
        """Return what to answer to an INVITE or UPDATE: our answer to its offer, or an offer of ours where it has none
        (its answer comes with the ACK). Raise ``UnusableSound``.
        """
        return self.take_offer(offer, tag) if offer else self.offer()

    def forget_early(self) -> None:
        """It failed there: what the telephones of that place offered means nothing any more."""
        self._early.forget()

    def end_early(self) -> None:
        """The call ends: who listened to it before its answer hears nothing more of it."""
        self._early.end()

    def _codecs(self) -> Sequence[Codec]:
        """What we offer: everything we speak, or what the trunk wants, in its order."""
        if self.passage is None:
            return offer_answer.CODECS
        # A trunk may have been set up where more is spoken than here.
        names = [name for name in self.passage.trunk.codecs if name in KNOWN_CODECS]
        return offer_answer.codecs_named(names) if names else offer_answer.CODECS

    def _next_version(self) -> int:
        self._version += 1  # one higher whenever we describe ourselves again (RFC 3264 section 8)
        return self._version

    def _connect(self, agreed: offer_answer.Agreed) -> None:
        self.leg.connect(
            remote=agreed.remote,
            codec=agreed.codec,
            dtmf_payload=agreed.dtmf_payload,
            direction=agreed.direction,
            ptime_ms=agreed.ptime_ms,
        )
        self.call.facts.codec = agreed.codec.name

    # --- its end

    def is_answered(self) -> None:
        """The call is up."""
        self.is_settled = True
        if not self.answered.done():
            self.answered.set_result(None)

    def fail(self) -> None:
        """There will be no call, unless there was one; ``facts.outcome`` says why."""
        self.is_settled = True
        if not self.answered.done():
            self.answered.set_exception(CallFailed(self.call.facts))
            self.answered.exception()  # read once here: nobody may be waiting when the call was given up
