"""The session timer of one dialog (RFC 4028): started by what a request and its 2xx agreed on, and what it brings."""

from __future__ import annotations

from callwright.sip.errors import SipParseError
from callwright.sip.headers import Headers
from callwright.sip.message import Response
from callwright.sip.session_timer import SessionExpires, SessionTimer, min_se, running, session_expires
from callwright.sip.talk import SessionState, Talk

_EXPIRED = 'SIP;cause=408;text="session expired"'


class Refreshes:
    """``peer_updates`` says whether the peer takes UPDATE, which is the lighter refresh."""

    __slots__ = ("_talk", "_timer", "peer_updates")

    def __init__(self, talk: Talk) -> None:
        self.peer_updates = False
        self._talk = talk
        self._timer: SessionTimer | None = None

    def learn_peer(self, headers: Headers) -> None:
        """Learn from an INVITE or its answer whether the peer takes UPDATE."""
        try:
            self.peer_updates = "UPDATE" in headers.listed("allow")
        except SipParseError:
            self.peer_updates = False

    def start(self, agreed: SessionExpires | None, *, we_refresh: bool, now: float) -> None:
        """Count anew from a request or answer that agreed on a session timer; None agreed on none."""
        if self._talk.quiet or self._talk.state not in (SessionState.UP, SessionState.HELD):
            return
        self._timer = None if agreed is None else running(agreed, we_refresh=we_refresh, now=now)
        self._talk.endpoint.agenda.note(self._talk)

    def restart(self, response: Response, now: float) -> None:
        """Count anew from the 2xx to a re-INVITE or UPDATE of ours."""
        try:
            agreed = session_expires(response.headers)
        except SipParseError:
            return  # what it says is unknown: the old agreement goes on
        if self._timer is not None or agreed is not None:
            self.start(agreed, we_refresh=agreed is not None and agreed.refresher != "uas", now=now)

    def lengthen(self, response: Response) -> bool:
        """Take the longer time that a 422 asks for; False when it asks for none."""
        try:
            least = min_se(response.headers)
        except SipParseError:
            return False
        if self._timer is None or least <= self._timer.seconds:
            return False
        self._timer.seconds = least
        return True

    def headers(self) -> list[tuple[str, str]]:
        """Return what a re-INVITE or UPDATE of ours says of the timer that runs."""
        if self._timer is None:
            return []
        refresher = "uac" if self._timer.we_refresh else "uas"
        return [("Session-Expires", str(SessionExpires(seconds=self._timer.seconds, refresher=refresher)))]

    def stop(self) -> None:
        """Count no more."""
        self._timer = None

    def wake_at(self) -> float | None:
        return None if self._timer is None else self._timer.wake_at()

    def wake(self, now: float) -> bool:
        """Tell whether a refresh of ours is due; a call that nobody refreshed is hung up."""
        timer = self._timer
        if timer is None:
            return False
        if timer.end_at <= now:
            self._timer = None
            if self._talk.state is SessionState.UP:
                self._talk.give_up("nobody refreshed the session", now, reason=_EXPIRED)
            return False
        if timer.refresh_at is None or timer.refresh_at > now:
            return False
        timer.refresh_at = now + max((timer.end_at - now) / 2, 1.0)  # should this one come to nothing
        return True
