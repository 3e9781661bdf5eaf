"""Keeps the SIP messages of calls: taken from the socket as they pass, masked and written by a thread twice a second.

On the event loop a message costs one append; whose it is, is found out for many at a time. Each Call-ID is bounded: its
first messages are written at once, so that a killed node has lost at most a second; of what follows the last ones are
kept until its end.
"""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import structlog

from callwright.trace.masking import masked
from callwright.trace.message import KeptMessage, Place
from callwright.trace.store import TraceStore

log = structlog.get_logger()

FIRST: Final = 48  # messages of a Call-ID that are written as they come
LAST: Final = 16  # and of those after them, the last ones
FIRST_BYTES: Final = 48 * 1024
LAST_BYTES: Final = 16 * 1024
WRITE_EVERY_S: Final = 0.5  # short, for a long batch holds the interpreter that calls need
EARLY: Final = 8  # messages remembered of a call to us that nobody has taken yet
MOST_EARLY: Final = 32  # and of how many such calls
LINGER_S: Final = 10.0  # how long messages of a call that is over are still taken: repetitions, late answers
LONGEST_END_S: Final = 40.0  # a CANCEL or BYE is given up after 32 s (RFC 3261 section 17.1.2.2)
MOST_WAITING_BYTES: Final = 64 * 1024 * 1024
_MOST_UNSORTED: Final = 512
_TELL_EVERY_S: Final = 60.0
_CLOCK_WAS_SET_S: Final = 1.0

_CALL_ID = re.compile(rb"\r?\n(?:call-id|i)[ \t]*:[ \t]*([^\r\n]*)", re.IGNORECASE)
_OURS = b"\r\nCall-ID: "
_USUAL_VIA = b"\r\nVia: SIP/2.0/UDP "  # behind the first line
_VIA = re.compile(rb"\r?\n(?:via|v)[ \t]*:[ \t]*SIP[ \t]*/[ \t]*2\.0[ \t]*/[ \t]*([a-z]+)", re.IGNORECASE)


@dataclass(slots=True)
class _Thread:
    """The messages of one Call-ID."""

    call: str
    wire: str
    count: int = 0
    size: int = 0
    left_out: int = 0
    last: list[_Seen] = field(default_factory=list)
    last_size: int = 0


_Seen = tuple[_Thread, float, bool, Place, bytes, int, int]
"""Whose it is, when (loop seconds), whether we sent it, where the far end is, the message, its length, left out."""


class MessageTrace:
    """Give ``saw`` to the SIP socket. ``near`` is our address as far ends know it, ``clock`` returns epoch seconds,
    ``new_id`` a fresh hex string.

    ``hide_numbers`` leaves only the last digits of telephone numbers.
    """

    def __init__(
        self,
        store: TraceStore,
        *,
        near: Place,
        clock: Callable[[], float],
        new_id: Callable[[], str],
        hide_numbers: bool = False,
    ) -> None:
        self._store = store
        self._near = near
        self._clock = clock
        self._new_id = new_id
        self._hide_numbers = hide_numbers
        self._threads: dict[bytes, _Thread] = {}
        self._wires: dict[str, list[bytes]] = {}  # of calls that are not over
        self._early: dict[bytes, list[tuple[bytes, bool, Place, float]]] = {}
        self._unsorted: list[tuple[str, bytes, Place, float]] = []
        self._leaving: deque[tuple[float, bytes]] = deque()
        self._taken_up: deque[tuple[float, bytes]] = deque()
        self._waiting: list[_Seen] = []
        self._waiting_size = 0
        self._writing = asyncio.Lock()
        self._told_at = float("-inf")
        self._offset: float | None = None

    def saw(self, way: str, data: bytes, far: Place, at: float) -> None:
        """Take one message that passed the socket ("<" received, ">" sent) at ``at`` of the loop's clock."""
        self._unsorted.append((way, data, far, at))
        if len(self._unsorted) >= _MOST_UNSORTED:
            self._sort()

    def _sort(self) -> None:
        """Find out whose messages came, and leave alone what is nobody's."""
        unsorted, self._unsorted = self._unsorted, []
        for way, data, far, at in unsorted:
            begin = data.find(_OURS)
            if begin >= 0:
                begin += len(_OURS)
                wire = data[begin : data.find(b"\r\n", begin)]
            elif (found := _CALL_ID.search(data)) is not None:
                wire = found[1].rstrip()
            else:
                continue
            thread = self._threads.get(wire)
            if thread is not None:
                self._keep(thread, data, way == ">", far, at)
            elif wire in self._early or (way == "<" and data.startswith(b"INVITE ")):
                self._keep_early(wire, data, way == ">", far, at)

    def begins(self, call: str, wire: str = "") -> str:
        """Keep what belongs to a call from now on; return the Call-ID it has, a fresh one if none is given. Of a call
        to us, what was said before is among it.

        A call may have several, one after the other; one that it has already goes on.
        """
        self._sort()
        wire = wire or self._new_id()
        key = wire.encode()
        if key not in self._threads:
            thread = self._threads[key] = _Thread(call, wire)
            self._wires.setdefault(call, []).append(key)
            for early in self._early.pop(key, ()):
                self._keep(thread, *early)
        return wire

    def takes_up(self, *wires: str) -> None:
        """A call of an earlier life is being ended: what belongs to these Call-IDs is kept for a while."""
        self._sort()
        for wire in wires:
            key = wire.encode()
            self._threads[key] = _Thread("", wire)
            self._taken_up.append((self._now() + LONGEST_END_S, key))

    def ends(self, call: str) -> None:
        """A call is over; what still comes within ``LINGER_S`` is kept."""
        for key in self._wires.pop(call, ()):
            self._leave(key)

    async def read(self, call: str) -> list[KeptMessage]:
        """Return what is kept of a call, running or over, in the order of time; raise ``OSError``."""
        await self.flush()
        found = await asyncio.to_thread(self._store.read, call)
        lasting = [seen for thread in self._threads.values() if thread.call == call for seen in thread.last]
        return sorted(found + self._kept(lasting, self._epoch()), key=lambda message: message.at)

    async def run(self) -> None:
        """Write now and again, until cancelled."""
        while True:
            await asyncio.sleep(WRITE_EVERY_S)
            await self.flush()

    async def close(self) -> None:
        """Write what is left, that of calls which are still there, too."""
        self._leaving = deque((float("-inf"), key) for key in self._threads)
        await self.flush()
        await asyncio.to_thread(self._store.close)

    async def flush(self) -> None:
        """Write what waits. A disk that fails loses it, and is told now and then."""
        async with self._writing:
            self._sort()
            self._forget(self._now())
            waiting, self._waiting, self._waiting_size = self._waiting, [], 0
            if not waiting:
                return
            try:
                await asyncio.to_thread(self._write, waiting, self._epoch())
            except OSError as problem:
                self._tell(len(waiting), str(problem))
            except Exception:  # the bulkhead: whatever far ends send, keeping a copy of it must not end the node
                log.exception("Copies of SIP messages were lost", action="trace_failed", lost=len(waiting))

    def _keep(self, thread: _Thread, data: bytes, sent: bool, far: Place, at: float) -> None:
        size = len(data)
        if size > LAST_BYTES:
            data = data[:LAST_BYTES]
        if thread.count < FIRST and thread.size + len(data) <= FIRST_BYTES:
            if self._waiting_size > MOST_WAITING_BYTES:
                thread.left_out += 1  # the disk does not keep up
                return
            thread.count += 1
            thread.size += len(data)
            self._waiting.append((thread, at, sent, far, data, size, thread.left_out))
            self._waiting_size += len(data)
            thread.left_out = 0
            return
        thread.count = FIRST  # the order stays: nothing small goes in front of something long
        thread.last.append((thread, at, sent, far, data, size, 0))
        thread.last_size += len(data)
        while len(thread.last) > LAST or thread.last_size > LAST_BYTES:
            thread.last_size -= len(thread.last.pop(0)[4])
            thread.left_out += 1

    def _keep_early(self, wire: bytes, data: bytes, sent: bool, far: Place, at: float) -> None:
        """Remember a call to us for the moment: somebody may take it."""
        early = self._early.setdefault(wire, [])
        if len(early) < EARLY:
            early.append((data, sent, far, at))
        if len(self._early) > MOST_EARLY:
            del self._early[next(iter(self._early))]

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    def _leave(self, key: bytes) -> None:
        self._leaving.append((self._now() + LINGER_S, key))

    def _forget(self, now: float) -> None:
        """Let go of calls that are over long enough; what was held back of them is written now."""
        for leaving in (self._leaving, self._taken_up):
            while leaving and leaving[0][0] <= now:
                thread = self._threads.pop(leaving.popleft()[1], None)
                if thread is not None:
                    self._waiting += thread.last

    def _epoch(self) -> float:
        """What is added to the loop's clock to get epoch seconds: always the same, for messages must keep their order,
        until somebody sets the clock.
        """
        measured = self._clock() - self._now()
        if self._offset is None or abs(measured - self._offset) > _CLOCK_WAS_SET_S:
            self._offset = measured
        return self._offset

    def _write(self, seen: list[_Seen], epoch: float) -> None:
        self._store.append(self._kept(seen, epoch), now=self._clock())

    def _kept(self, seen: list[_Seen], epoch: float) -> list[KeptMessage]:
        return [
            KeptMessage(
                thread.call,
                thread.wire,
                epoch + at,
                sent,
                _transport(data),
                self._near,
                far,
                masked(data, numbers=self._hide_numbers),
                length,
                thread.left_out if thread.last and one is thread.last[0] else left_out,
            )
            for one in seen
            for thread, at, sent, far, data, length, left_out in (one,)
        ]

    def _tell(self, lost: int, problem: str) -> None:
        now = self._now()
        if now - self._told_at > _TELL_EVERY_S:
            self._told_at = now
            log.warning(
                f"Copies of SIP messages cannot be kept ({problem}): see that there is room in the data folder, or set "
                "sip.trace to off.",
                action="trace_failed",
                lost=lost,
            )


def _transport(data: bytes) -> str:
    """Return the transport of the hop a message took: its topmost Via names it, in requests and responses alike."""
    if data.startswith(_USUAL_VIA, data.find(b"\r\n")):
        return "UDP"
    found = _VIA.search(data)
    return found[1].decode().upper() if found else "UDP"
