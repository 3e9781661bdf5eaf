"""The trunks of this node: which one carries a call, when it may leave, and which one may try next.

``take`` chooses before anything is stamped, so a call that no trunk can take now goes back to the queue untouched. From
then on a ``Passage`` is the call's seat on its trunk; ``release`` gives it back. docs/reference/trunks.md tells the
rules.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterable

import structlog

from callwright.engine.sip_socket import SipSocket
from callwright.engine.trunk_choice import carries, in_order, may_try_next
from callwright.engine.trunk_line import TrunkLine, changed_line, keeps_registration, open_line
from callwright.engine.trunk_link import TrunkLink
from callwright.engine.trunk_recovery import tell_when_recovered
from callwright.engine.trunk_setup import Trunk
from callwright.engine.trunk_watch import TrunkWatch
from callwright.sip.uri import is_literal, is_loopback, plain_host
from callwright.values.errors import OutsideError
from callwright.values.ids import CallId

LONGEST_WAIT_S = 5.0  # how long a call waits for its turn on a trunk before it goes back to the queue

log = structlog.get_logger()


class TrunksBusy(OutsideError):
    """Trunks carry this number, but none can take one more call now; later it may."""


class Passage:
    """One call's way through the trunks: the one that carries it now (``line``), and those that may try after it."""

    def __init__(self, call_id: CallId, line: TrunkLine, others: Iterable[TrunkLine]) -> None:
        self.line = line
        self._call_id = call_id
        self._others = list(others)

    @property
    def trunk(self) -> Trunk:
        return self.line.trunk

    async def turn(self) -> None:
        """Return when an INVITE may leave through the trunk; at once, without giving way, when that is now."""
        while True:
            if not (at := self.turn_at()):
                return
            await asyncio.sleep(at - _now())

    def turn_at(self) -> float:
        """Return the loop time from which an INVITE may leave through the trunk, as far as is known now; 0 for now."""
        now = _now()
        return at if (at := self.line.pace.may_send_at(now)) > now else 0.0

    def fails(self, code: int, *, local: bool, rang: bool, retry_after_s: int | None) -> bool:
        """Note how the INVITE failed; True when another trunk is to try, which then is ``line``.

        A trunk whose turn has not come is passed over: the person called waits for nothing.
        """
        now, line = _now(), self.line
        was_lowered = line.pace.is_lowered(now)
        if not local and line.refusal(code, retry_after_s, now):
            rate = line.pace.rate(now) or 0.0
            log.warning(
                f"A trunk pushed back with {code}: it gets {rate:.2g} calls a second for now.",
                action="trunk_pushed_back",
                trunk=line.name,
                code=code,
                retry_after_s=retry_after_s,
            )
            if not was_lowered:
                tell_when_recovered(line)
        if not may_try_next(code, local=local, rang=rang, trunk_is_down=line.health.is_down):
            return False
        for other in self._others:
            if not other.blocked(now) and not other.pace.is_resting(now) and other.pace.may_send_at(now) <= now:
                self._others = self._others[self._others.index(other) + 1 :]
                line.tally.passed_on += 1
                line.calls.discard(self._call_id)
                other.calls.add(self._call_id)
                self.line = other
                return True
        return False

    def release(self) -> None:
        """Give the seat back: the call is over, or was never sent. Again, it does nothing."""
        self.line.calls.discard(self._call_id)


class Trunks:
    """All trunks of a node. ``contact`` is our address in REGISTER as a URI writes it, "" for the socket's own.

    ``chance`` gives numbers from 0 up to 1.
    """

    def __init__(self, *, sip: SipSocket, chance: Callable[[], float], contact: str = "") -> None:
        self.link = TrunkLink(sip)
        self._chance = chance
        host, port = sip.address
        self._contact = contact or (f"[{host}]:{port}" if ":" in host else f"{host}:{port}")
        self._lines: dict[str, TrunkLine] = {}
        self._watches: dict[str, TrunkWatch] = {}
        self._found: dict[str, set[tuple[str, int]]] = {}  # where trunks were last; names are forgotten, this is not

    @property
    def lines(self) -> list[TrunkLine]:
        return list(self._lines.values())

    def line(self, name: str) -> TrunkLine | None:
        return self._lines.get(name)

    def at(self, host: str, port: int) -> str:
        """Return the name of the trunk at this name or address, "" when there is none; port 0 is not known yet.

        An address counts for all its ports, but on loopback, where in turn all addresses of this machine are one.
        Addresses of names are those found last, however long ago.
        """
        if not self._lines:
            return ""
        wanted = plain_host(host)
        for name, line in self._lines.items():
            for place, at_port in self._places_of(line.trunk):
                if place == wanted and not is_loopback(wanted):
                    return name
                # A server that listens on the loopback often listens on this machine's other addresses too.
                if at_port == (port or 5060) and is_loopback(place) and is_this_machine(wanted):
                    return name
        return ""

    async def locate_all(self) -> None:
        """Find out where the trunks are now, so that ``at`` knows. One that cannot be found stays where it was."""
        named = (line.trunk for line in self._lines.values() if not is_literal(line.trunk.host))
        unknown = [trunk for trunk in named if not self.link.known(trunk)]
        if unknown:
            await asyncio.gather(*(self.link.locate(trunk) for trunk in unknown), return_exceptions=True)

    def _places_of(self, trunk: Trunk) -> set[tuple[str, int]]:
        own = (plain_host(trunk.host), trunk.address[1])
        if is_literal(trunk.host):
            return {own}
        if found := self.link.known(trunk):
            self._found[trunk.name] = {target.to for target in found}
        return {own, *self._found.get(trunk.name, ())}

    def trunk_of(self, source: tuple[str, int]) -> str | None:
        """Return the name of the trunk that a request from this address and port comes from, None for a stranger."""
        return self.at(*source) or None

    async def set_up(self, trunks: Iterable[Trunk]) -> None:
        """Work with these trunks from now on. Trunks that stay as they were keep their state; calls stay up anyway."""
        wanted = {trunk.name: trunk for trunk in trunks}
        leaving = [self._watches.pop(name) for name in self._lines if name not in wanted]
        lines: dict[str, TrunkLine] = {}
        for name, trunk in sorted(wanted.items()):
            former = self._lines.get(name)
            if former is None:
                lines[name] = open_line(trunk, contact=self._contact, chance=self._chance, now=_now())
            elif former.trunk == trunk:
                lines[name] = former
            else:
                lines[name] = changed_line(former, trunk, contact=self._contact, chance=self._chance, now=_now())
                if keeps_registration(former.trunk, trunk):
                    self._watches[name].follow(lines[name])
                else:
                    leaving.append(self._watches.pop(name))
        self._lines = lines
        self._found = {name: places for name, places in self._found.items() if name in lines}
        # A registration that ends and one that begins may be for the same user: never both at a time.
        await asyncio.gather(*(watch.close() for watch in leaving))
        for name, line in self._lines.items():
            if name not in self._watches:
                self._watches[name] = TrunkWatch(line, self.link)

    async def close(self) -> None:
        """Stop watching and take registrations back."""
        await self.set_up(())

    def carry(self, digits: str, only: str = "") -> bool:
        """Whether an enabled trunk carries a number, be it busy or down; ``only`` names the one that shall, anyway."""
        if only:
            return only in self._lines
        return any(carries(line.trunk, digits) for line in self._lines.values())

    async def take(self, digits: str, call_id: CallId, only: str = "") -> Passage:
        """Choose a trunk for a number and wait for its turn there; raise ``TrunksBusy`` when none can take it now.

        The best trunk that may send at once is taken, else the one whose turn comes first. Those that asked to be left
        alone (Retry-After) come last. ``only`` names a trunk that is to be taken whatever numbers it carries.
        """
        now = _now()
        lines = self._ordered(digits, only)
        free = sorted((line for line in lines if not line.blocked(now)), key=lambda line: line.pace.is_resting(now))
        if not free:
            states = ", ".join(f"{line.name} is {line.blocked(now)}" for line in lines)
            raise TrunksBusy(f"no trunk can take a call to {digits} now: {states or 'none carries it'}")
        turns = [(line.pace.promise(now), line) for line in free]
        at, line = next((turn for turn in turns if turn[0] <= now), min(turns, key=lambda turn: turn[0]))
        if at - now > LONGEST_WAIT_S:
            raise TrunksBusy(f"trunk {line.name} is at its limit: {at - now:.0f} s to wait for the next call")
        line.pace.keep_promise(at)
        line.calls.add(call_id)
        passage = Passage(call_id, line, [other for other in lines if other is not line])
        if at > now:
            try:
                await asyncio.sleep(at - now)
            except BaseException:
                passage.release()
                raise
        return passage

    def _ordered(self, digits: str, only: str) -> list[TrunkLine]:
        if only:
            return [self._lines[only]] if only in self._lines else []
        trunks = (line.trunk for line in self._lines.values())
        return [self._lines[trunk.name] for trunk in in_order(trunks, digits, self._chance)]


def is_this_machine(host: str) -> bool:
    """Tell whether a plain host (``plain_host``) is an address of this machine, on the loopback or not."""
    if is_loopback(host):
        return True
    if not is_literal(host):
        return False
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((host, 0))
        except OSError:
            return False
    return True


def _now() -> float:
    return asyncio.get_running_loop().time()
