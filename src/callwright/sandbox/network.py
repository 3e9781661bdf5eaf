"""The simulated phone network: one UDP socket for SIP, and the calls that are going on.

Each datagram goes to the SIP core, each event of the core to its call, and every 20 ms each call sends, listens and
decides. What a finished call saw is written by a thread, in the order in which calls finish.
"""

from __future__ import annotations

import asyncio
import re
import secrets
import socket
import struct
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TextIO, assert_never

import msgspec
import structlog

from callwright.sandbox.mouth import Mouth
from callwright.sandbox.observation import Direction, Observation, SipSeen, write_observation
from callwright.sandbox.observations import RINGS_FILE, RingLine
from callwright.sandbox.persona import Persona
from callwright.sandbox.personas import UNKNOWN_NUMBER, find_persona
from callwright.sandbox.rtp_port import PortRange, RtpPorts
from callwright.sandbox.script import FRAME_S
from callwright.sandbox.simulated_call import SimulatedCall
from callwright.sandbox.voice import Voice
from callwright.sip.auth import Credentials, make_challenge, verify
from callwright.sip.core import SipCore
from callwright.sip.errors import SipParseError
from callwright.sip.event import (
    Acked,
    Answered,
    AskDone,
    ByeDone,
    CancelledByPeer,
    Ended,
    Event,
    ExtraAnswer,
    Failed,
    ForkEnded,
    InfoReceived,
    Invited,
    PingDone,
    Pracked,
    Provisional,
    ReofferAnswered,
    Reoffered,
    ReofferRefused,
    Trying,
)
from callwright.sip.headers import header_value
from callwright.sip.uri import SipUri, parse_uri

log = structlog.get_logger()

REALM = "callwright sandbox"
_SO_TIMESTAMP = 29  # Linux, <asm-generic/socket.h>; the socket module has no name for it
_TIMEVAL = struct.Struct("@ll")
_MAX_DATAGRAM = 65_535
_KNOWN_CALLS = 200_000
_CALL_ID = re.compile(rb"^(?:call-id|i)[ \t]*:[ \t]*([^\r\n]*?)[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)
_CSEQ = re.compile(rb"^cseq[ \t]*:[ \t]*([^\r\n]*?)[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)
_NOBODY = Persona(number="", name="no such number", ring_after_s=None, final_after_s=0.0, reject=UNKNOWN_NUMBER)


class SimulatedNetwork:
    """Open it, let `run` run until it is cancelled, then `close` it."""

    def __init__(
        self, *, sock: socket.socket, ports: PortRange, directory: Path, personas: Iterable[Persona], voice: Voice
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._sock = sock
        self.host, self.port = sock.getsockname()[:2]
        self._ports = RtpPorts(self.host, ports)
        self._directory = directory
        self._personas = tuple(personas)
        self._voice = voice
        self._core = SipCore(
            contact_host=self.host,
            contact_port=self.port,
            new_id=lambda: secrets.token_hex(16),
            user_agent="callwright sandbox",
        )
        self._calls: dict[str, SimulatedCall] = {}
        self._by_call_id: dict[str, SimulatedCall] = {}
        self._messages: dict[str, list[SipSeen]] = {}
        self._nonces: dict[str, str] = {}
        self._rung: dict[str, None] = {}
        self._rings: TextIO = (directory / RINGS_FILE).open("a", encoding="utf-8", buffering=1)
        self._arrived_at = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._busy = asyncio.Event()
        self._finished: asyncio.Queue[tuple[Observation, bytes]] = asyncio.Queue()
        self._writing: asyncio.Future[None] | None = None
        self._loop.add_reader(sock.fileno(), self._readable)

    @classmethod
    def open(
        cls,
        *,
        host: str,
        port: int,
        ports: PortRange,
        directory: Path,
        personas: Iterable[Persona],
        voice: Voice,
    ) -> SimulatedNetwork:
        """Bind the SIP socket and begin to take calls; raise OSError when the address cannot be had."""
        sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
        try:
            sock.setblocking(False)
            # The kernel notes when a datagram arrived, so that a busy moment of ours does not move a ring.
            sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMP, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
            sock.bind((host, port))
            return cls(sock=sock, ports=ports, directory=directory, personas=personas, voice=voice)
        except BaseException:
            sock.close()
            raise

    async def run(self) -> None:
        """Drive the calls until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._tick_for_ever(), name="drive the simulated calls")
            tasks.create_task(self._write_for_ever(), name="write observations")

    async def close(self) -> None:
        """End every call, write what it saw, close the sockets. `run` must have been cancelled before."""
        now = self._loop.time()
        for call in list(self._calls.values()):
            call.stop(now)
            self._pump()
        self._forget_finished()
        if self._timer is not None:
            self._timer.cancel()
        self._loop.remove_reader(self._sock.fileno())
        self._sock.close()
        if self._writing is not None:
            await self._writing
        while not self._finished.empty():
            await asyncio.to_thread(self._write, *self._finished.get_nowait())
        self._rings.close()

    # --- SIP ---

    def _readable(self) -> None:
        while True:
            try:
                data, ancillary, _, source = self._sock.recvmsg(_MAX_DATAGRAM, 64)
            except OSError:
                return  # nothing more to read, or an ICMP error for something sent earlier
            self._arrived_at = _kernel_time(ancillary) or time.time()
            try:
                self._receive(data, source[:2])
            except Exception:
                # The bulkhead of datagrams: whatever one of them does, the next one is taken.
                log.exception("A datagram could not be handled.", action="datagram_failed", size=len(data))

    def _receive(self, data: bytes, source: tuple[str, int]) -> None:
        now = self._loop.time()
        call_id = self._note(data, Direction.RECEIVED, self._arrived_at)
        if data.startswith(b"CANCEL ") and (call := self._by_call_id.get(call_id)) is not None:
            call.cancel_arriving(now)
            self._pump()
        self._core.receive(data, source, now)
        self._pump()
        if call_id not in self._by_call_id:
            self._messages.pop(call_id, None)

    def _note(self, data: bytes, direction: Direction, at: float) -> str:
        """Keep the gist of a message with its call; return its Call-ID, "" when it has none."""
        found = _CALL_ID.search(data)
        if found is None:
            return ""
        call_id = found[1].decode("utf-8", "replace")
        first = data[: data.find(b"\r\n")].decode("utf-8", "replace")
        message = first.removeprefix("SIP/2.0 ") if first.startswith("SIP/2.0 ") else first.partition(" ")[0]
        cseq = _CSEQ.search(data)
        seen = SipSeen(
            at=at, direction=direction, message=message, cseq=cseq[1].decode("utf-8", "replace") if cseq else ""
        )
        if direction is Direction.RECEIVED or call_id in self._messages:
            self._messages.setdefault(call_id, []).append(seen)
        return call_id

    def _pump(self) -> None:
        """Send what the core gives, hand on its events, set the timer anew."""
        now = self._loop.time()
        events = self._core.take_events()
        while events:
            for event in events:
                self._on_event(event, now)
            events = self._core.take_events()
        for send in self._core.take_sends():
            call_id = self._note(send.data, Direction.SENT, time.time())
            try:
                self._sock.sendto(self._with_contact(send.data, call_id), send.to)
            except OSError as problem:
                log.warning("A SIP message could not be sent.", action="send_failed", to=send.to, problem=str(problem))
        self._forget_finished()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if (at := self._core.wake_at()) is not None:
            self._timer = self._loop.call_at(at, self._wake)

    def _with_contact(self, data: bytes, call_id: str) -> bytes:
        """Add where a redirecting telephone points to: the core writes the Contact of dialogs, not that of a 3xx."""
        call = self._by_call_id.get(call_id)
        ending = call.persona.reject.redirect_to if call is not None and call.persona.reject is not None else ""
        if call is None or not ending or not data.startswith(b"SIP/2.0 3"):
            return data
        number = call.observation.dialled[: -len(ending)] + ending
        first, rest = data.split(b"\r\n", 1)
        return first + f"\r\nContact: <sip:{number}@{self.host}:{self.port}>\r\n".encode() + rest

    def _wake(self) -> None:
        self._timer = None
        self._core.wake(self._loop.time())
        self._pump()

    def _on_event(self, event: Event, now: float) -> None:
        match event:
            case Invited():
                self._invited(event, now)
                return
            case Acked() | CancelledByPeer() | Ended() | ByeDone() | Reoffered() | ForkEnded() | InfoReceived():
                call = self._calls.get(event.handle)
            case (
                (
                    Trying()
                    | Provisional()
                    | Answered()
                    | ExtraAnswer()
                    | Failed()
                    | ReofferAnswered()
                    | ReofferRefused()
                )
                | PingDone()
                | AskDone()
                | Pracked()
            ):
                return  # of calls we would have placed: there are none
            case _:
                assert_never(event)
        if call is None:
            return
        log.info(
            "Something happened on a call.",
            action=type(event).__name__.lower(),
            call=call.observation.call_id,
            dialled=call.observation.dialled,
        )
        match event:
            case Acked():
                call.acked(event, self._arrived_at)
            case CancelledByPeer():
                call.cancelled(now, self._arrived_at)
            case Ended():
                call.ended(event, now, self._arrived_at)
            case ByeDone():
                call.bye_done(event, now)
            case Reoffered():
                call.reoffered(event, now)
            case ForkEnded() | InfoReceived():
                pass

    def _invited(self, event: Invited, now: float) -> None:
        known = self._by_call_id.get(event.call_id)
        if known is not None and known.awaits_password:
            del self._calls[known.handle]
            self._calls[event.handle] = known
            known.invited_again(event, now, allowed=self._knows_password(event, known.persona))
            return
        dialled = _user_of(event.request_uri)
        persona = find_persona(dialled, self._personas) or _NOBODY
        caller = event.from_uri
        if event.call_id not in self._rung:
            self._ring(RingLine(at=self._arrived_at, call_id=event.call_id, dialled=dialled, caller=caller))
        log.info("A call arrives.", action="invited", call=event.call_id, dialled=dialled, persona=persona.name)
        observation = Observation(
            call_id=event.call_id,
            dialled=dialled,
            persona=persona.name,
            persona_number=persona.number,
            caller=caller,
            caller_display=event.from_display,
            request_uri=event.request_uri,
            invited_at=self._arrived_at,
            headers=list(event.headers),
            messages=self._messages.setdefault(event.call_id, []),
        )
        call = SimulatedCall(
            core=self._core,
            handle=event.handle,
            persona=persona,
            observation=observation,
            offer=event.body,
            open_port=self._ports.open,
            mouth=Mouth(ssrc=secrets.randbits(32), sequence=secrets.randbits(15), timestamp=secrets.randbits(32)),
            voice=self._voice,
            clock=self._loop.time,
            wall=time.time,
        )
        self._calls[event.handle] = self._by_call_id[event.call_id] = call
        self._busy.set()
        if persona.digest is not None and not self._knows_password(event, persona):
            nonce = self._nonces[event.call_id] = secrets.token_hex(16)
            call.challenge(make_challenge(realm=REALM, nonce=nonce), now)
        else:
            call.begin(now)

    def _knows_password(self, event: Invited, persona: Persona) -> bool:
        answer, nonce = header_value(event.headers, "authorization"), self._nonces.get(event.call_id)
        if persona.digest is None or answer is None or nonce is None:
            return False
        credentials = Credentials(user=persona.digest.user, password=persona.digest.password)
        return verify(answer, method="INVITE", nonce=nonce, realm=REALM, credentials=credentials)

    def _ring(self, line: RingLine) -> None:
        self._rung[line.call_id] = None
        if len(self._rung) > _KNOWN_CALLS:
            del self._rung[next(iter(self._rung))]
        self._rings.write(msgspec.json.encode(line).decode() + "\n")

    # --- calls ---

    async def _tick_for_ever(self) -> None:
        next_at = self._loop.time()
        while True:
            if not self._calls:
                self._busy.clear()
                await self._busy.wait()
                next_at = self._loop.time()
            next_at += FRAME_S
            if (late := self._loop.time() - next_at) > 1.0:
                log.warning("The simulated network was held up.", action="late", late_s=round(late, 2))
                next_at = self._loop.time()
            await asyncio.sleep(next_at - self._loop.time())
            self._tick(self._loop.time())

    def _tick(self, now: float) -> None:
        for call in list(self._calls.values()):
            try:
                call.tick(now)
            except Exception:
                # The bulkhead of calls: one telephone that breaks does not end the others' calls.
                log.exception("A telephone broke.", action="call_failed", call=call.observation.call_id)
                call.stop(now)
        self._pump()

    def _forget_finished(self) -> None:
        for handle, call in list(self._calls.items()):
            if not call.finished:
                continue
            del self._calls[handle]
            seen = call.observation
            self._by_call_id.pop(seen.call_id, None)
            self._messages.pop(seen.call_id, None)
            self._nonces.pop(seen.call_id, None)
            self._finished.put_nowait((seen, call.heard()))

    async def _write_for_ever(self) -> None:
        while True:
            observation, heard = await self._finished.get()
            # Cancelling must not lose what was taken from the queue: `close` waits for it.
            self._writing = asyncio.ensure_future(asyncio.to_thread(self._write, observation, heard))
            await asyncio.shield(self._writing)

    def _write(self, observation: Observation, heard: bytes) -> None:
        try:
            path = write_observation(self._directory, observation, heard)
        except OSError as problem:
            log.error("An observation could not be written.", action="observation_lost", problem=str(problem))
            return
        log.info(
            "A call is over.",
            action="call_over",
            call=observation.call_id,
            dialled=observation.dialled,
            ended_by=observation.ended_by,
            file=str(path),
        )


def _kernel_time(ancillary: list[tuple[int, int, bytes]]) -> float | None:
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == _SO_TIMESTAMP and len(data) >= _TIMEVAL.size:
            seconds, microseconds = _TIMEVAL.unpack_from(data)
            return float(seconds) + float(microseconds) / 1e6
    return None


def _user_of(uri: str) -> str:
    """The dialled number or name of a Request-URI, "" when it has none."""
    try:
        parsed = parse_uri(uri)
    except SipParseError:
        return ""
    text = (parsed.user or "") if isinstance(parsed, SipUri) else parsed.rest
    return text.partition(";")[0].lstrip("+")
