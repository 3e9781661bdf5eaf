"""A call before anything was sent: a media leg of its own, and the ``Attempt`` that joins it to a dialog."""

from __future__ import annotations

from collections.abc import Callable

from callwright.engine.attempt import Attempt, MayFollow, OnMoved
from callwright.engine.call import OutgoingCall
from callwright.engine.interface import CallFacts, CallOrder, CallProgress
from callwright.engine.media_client import Leg, MediaClient
from callwright.engine.trunks import Passage


class Opening:
    """Works for one engine. ``media_host`` is the address session descriptions tell, "" for the one the leg's worker
    listens on; ``send_bye`` hangs an attempt up, with a Reason header value or None; ``clock`` gives epoch seconds.
    """

    def __init__(
        self,
        media: MediaClient,
        *,
        media_host: str,
        send_bye: Callable[[Attempt, str | None], None],
        clock: Callable[[], float],
        on_progress: Callable[[CallProgress], None],
    ) -> None:
        self._media = media
        self._media_host = media_host
        self._send_bye = send_bye
        self._clock = clock
        self._on_progress = on_progress

    async def attempt(
        self,
        order: CallOrder,
        facts: CallFacts,
        passage: Passage | None = None,
        *,
        listener: Leg | None = None,
        may_follow: MayFollow | None = None,
        on_moved: OnMoved | None = None,
    ) -> Attempt:
        """Open a leg for a call, on the media worker of who listens to it before its answer; where there is no room for
        one its seat on the trunk is given back (OutsideError).
        """
        try:
            leg = await self._media.open_leg(beside=listener)
        except BaseException:
            if passage is not None:
                passage.release()
            raise
        call = OutgoingCall(
            facts=facts,
            leg=leg,
            send_bye=lambda reason: self._send_bye(attempt, reason),
            clock=self._clock,
            on_progress=self._on_progress,
        )
        attempt = Attempt(
            call=call,
            order=order,
            passage=passage,
            leg=leg,
            media_host=self._media_host or leg.host,
            # Unique among our sessions, as RFC 8866 section 5.2 wants it: no two live at a time share a port.
            session_id=int(self._clock() * 1000) << 16 | leg.port,
            listener=listener,
            may_follow=may_follow,
            on_moved=on_moved,
        )
        return attempt
