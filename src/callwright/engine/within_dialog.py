"""What a far end says within a call's dialog: new offers, answers that come with an ACK, keys told as INFO."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from callwright.engine.attempt import Attempt, UnusableSound
from callwright.engine.info_keys import info_key
from callwright.engine.interface import CallFacts
from callwright.engine.outside_log import outside_log
from callwright.engine.sip_socket import SipSocket
from callwright.sip import event as sip_event


class WithinDialog:
    """Works for one engine; ``progress`` gets a call's facts, what happened and a detail."""

    def __init__(self, sip: SipSocket, progress: Callable[[CallFacts, str, str], None]) -> None:
        self._sip = sip
        self._progress = progress

    def take(self, attempt: Attempt, event: sip_event.Event) -> None:
        """Take what the SIP core tells of a call; what neither changes its sound nor is a key is left alone."""
        match event:
            case sip_event.Reoffered():
                self._answer_offer(attempt, event)
            case sip_event.InfoReceived():
                if (key := info_key(event.content_type, event.body)) is not None:
                    attempt.call.key_told(key)
            case sip_event.Acked(body=body) if body:
                _take_late_answer(attempt, body)
            case _:
                pass

    def _answer_offer(self, attempt: Attempt, event: sip_event.Reoffered) -> None:
        """Hold, resume, a new address: agree to what we can, keep the call as it was otherwise (RFC 3261 14.2)."""
        core, facts, now = self._sip.core, attempt.call.facts, asyncio.get_running_loop().time()
        try:
            body = attempt.describe(event.body, event.tag)
        except UnusableSound as problem:
            outside_log.warning(f"A new offer was refused: {problem}", action="reoffer_refused", call=facts.call_id)
            self._progress(facts, f"{event.method} again", "refused")
            core.refuse_reinvite(event.handle, 488, "Not Acceptable Here", now)
        else:
            self._progress(facts, f"{event.method} again", "accepted")
            core.answer_reinvite(event.handle, body, now)
        self._sip.pump()


def _take_late_answer(attempt: Attempt, body: bytes) -> None:
    try:
        attempt.take_answer("", body)
    except UnusableSound as problem:
        outside_log.warning(f"A late answer was of no use: {problem}", action="late_answer", call=attempt.call.call_id)
