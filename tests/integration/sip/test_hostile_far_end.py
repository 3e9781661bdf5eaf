"""The whole call engine and its media worker against a far end that answers everything nearly right.

Each call meets another mutation of what a telephone would say, and broken RTP and RTCP at the port it offered. Whatever
comes of a call, it ends with an outcome, and nothing of it is left (which ``real_engine`` requires at its end).
CALLWRIGHT_HOSTILE_CALLS makes it longer.
"""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections import Counter
from random import Random

from tests.support.engine_calls import Told, order_to
from tests.support.fuzz import Mutator
from tests.support.fuzz_media import DESCRIPTIONS
from tests.support.fuzz_sip import TORTURE
from tests.support.real_engine import RealEngine, real_engine
from tests.support.sip_sipp import until
from tests.support.sip_talk import request_from_peer, response_to

from callwright.engine.interface import CallEnded, CallFailed, Silence
from callwright.media import offer_answer, rtp, sdp
from callwright.sip.agenda import Timers
from callwright.sip.errors import SipParseError
from callwright.sip.event import Send
from callwright.sip.message import Request
from callwright.sip.parser import parse_message
from callwright.values.errors import PeerError

CALLS = int(os.environ.get("CALLWRIGHT_HOSTILE_CALLS", "30"))
AT_ONCE = 15
QUICK = Timers(t1=0.05, t2=0.2, t4=0.2)
# Real descriptions, every address in them one of this machine.
HERE = [re.sub(rb"IN IP[46] [0-9a-z.:/]+", b"IN IP4 127.0.0.1", body) for body in DESCRIPTIONS]
_PORT = re.compile(rb"^m=audio (\d+)", re.MULTILINE)


class HostileFarEnd(asyncio.DatagramProtocol):
    """Answers each request with what a telephone might say, broken as often as not, and sends junk as sound."""

    def __init__(self, seed: int) -> None:
        self.chance = Random(seed)
        self.mutator = Mutator(self.chance, [*TORTURE, *HERE])
        self.transport: asyncio.DatagramTransport
        self.heard: Counter[str] = Counter()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]  # asyncio's own is one by what it can do, not by class

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        try:
            message = parse_message(data)
        except SipParseError:
            return  # our own nonsense, told back
        if not isinstance(message, Request):
            return
        self.heard[message.method] += 1
        if message.method == "INVITE":
            self._answer_invite(message, addr)
        elif message.method != "ACK":
            code = self.chance.choice([200, 200, 200, 200, 200, 481, 500, 408])
            self._say(response_to(message, code, tag="bob", contact=None).render(), addr, broken=0.2)

    def error_received(self, exc: Exception) -> None:
        """A port that was closed meanwhile."""

    def _answer_invite(self, invite: Request, addr: tuple[str, int]) -> None:
        chance = self.chance
        host, port = self.transport.get_extra_info("sockname")[:2]
        contact = f"<sip:bob@{host}:{port}>"
        body = chance.choice([offer_answer.offer(host, 40_000), self.mutator.mutate(chance.choice(HERE))])
        for code in chance.choice(
            [[200], [180, 200], [183, 200], [100, 180, 200], [180], [183, 486], [503], [200, 200]]
        ):
            described = body if code in (183, 200) else b""
            tag = chance.choice(["bob", "bob", "bob", "eve"])
            self._say(response_to(invite, code, tag=tag, body=described, contact=contact).render(), addr, broken=0.5)
        inside = chance.choice(["INVITE", "INFO", "UPDATE", "BYE", "OPTIONS", "REFER"])
        asked = request_from_peer(
            inside, branch=f"z9hG4bK{chance.getrandbits(64):x}", via=f"SIP/2.0/UDP {host}:{port};branch=z9hG4bKx",
            from_=f"{invite.headers.get('to')};tag=bob", to=invite.headers.get("from") or "",
            call_id=invite.head.call_id, cseq=chance.randint(1, 9), body=body, contact=contact,
        )  # fmt: skip
        self._say(asked.render(), addr, broken=0.4)
        # Whatever was understood of that, this ends the ringing, so that no call waits for its time-out.
        last = response_to(invite, chance.choice([200, 486]), tag="bob", body=HERE[0], contact=contact)
        self.transport.sendto(last.render(), addr)
        if offered := _PORT.search(invite.body):
            self._make_noise(int(offered[1]), addr[0])

    def _make_noise(self, port: int, host: str) -> None:
        chance = self.chance
        for number in range(10):
            kind = chance.choice([0, 8, 101, 13, 127])
            packet = rtp.build(
                rtp.Packet(
                    payload_type=kind, marker=False, sequence=number, timestamp=160 * number, ssrc=7,
                    payload=chance.randbytes(chance.choice([4, 160, 1, 0, 1200])),
                )
            )  # fmt: skip
            self.transport.sendto(self.mutator.mutate(packet, most=2)[:1400] or b"\0", (host, port))
            report = bytes([0x80 | chance.randrange(32), chance.choice([200, 201, 203])]) + chance.randbytes(26)
            self.transport.sendto(report, (host, port + 1))

    def _say(self, data: bytes, addr: tuple[str, int], *, broken: float) -> None:
        said = self.mutator.mutate(data) if self.chance.random() < broken else data
        said = said if stays_here(said) else data
        if stays_here(said):
            self.transport.sendto(said[:8192], addr)


def stays_here(data: bytes) -> bool:
    """Tell whether a message leads calls and sound to this machine only: a test calls nobody else."""
    try:
        message = parse_message(data)
        hosts = {media.host for media in sdp.parse(message.body).media} if message.body else set()
    except PeerError:
        return True  # nobody follows what cannot be read
    return not data.startswith(b"SIP/2.0 3") and all(is_here(host) for host in hosts)


def is_here(host: str) -> bool:
    return host in ("", "0.0.0.0", "::") or host.startswith("127.")


def keep_here(world: RealEngine) -> None:
    """Lose what the engine sends to any other machine, or to a name."""
    take = world.sip.core.take_sends

    def take_some() -> list[Send]:
        return [send for send in take() if is_here(send.to[0])]

    world.sip.core.take_sends = take_some  # type: ignore[method-assign]


async def call_once(world: RealEngine, address: tuple[str, int], gate: asyncio.Semaphore) -> str:
    """Place one call, talk a little if it comes about, hang up; return how it ended."""
    async with gate:
        told = Told()
        try:
            call = await world.engine.place(
                order_to(address, ring_timeout_s=5), before_invite=told.before_invite, on_answered=told.on_answered
            )
        except CallFailed as failed:
            return failed.outcome.hangup_cause
        playing = asyncio.create_task(call.play([Silence(ms=100)]))
        await asyncio.wait({playing}, timeout=0.3)  # a far end that holds us makes it stand still
        await call.hang_up()
        await asyncio.wait({playing})
        assert isinstance(playing.exception(), CallEnded | None)
        assert call.facts.outcome is not None
        return call.facts.outcome.hangup_cause


def test_whatever_a_far_end_says_every_call_ends_and_nothing_is_left() -> None:
    async def story() -> tuple[Counter[str], Counter[str]]:
        loop = asyncio.get_running_loop()
        transport, far = await loop.create_datagram_endpoint(lambda: HostileFarEnd(1), local_addr=("127.0.0.1", 0))
        try:
            address = transport.get_extra_info("sockname")[:2]
            async with real_engine(timers=QUICK) as world:
                keep_here(world)
                gate = asyncio.Semaphore(AT_ONCE)
                async with asyncio.timeout(30 + CALLS / 5):
                    calls = (call_once(world, address, gate) for _ in range(CALLS))
                    ends = await asyncio.gather(*calls, return_exceptions=True)  # one that breaks ends no other
                    await until(lambda: not world.engine.live_calls)
        finally:
            transport.close()
        assert [repr(end) for end in ends if isinstance(end, BaseException)] == []
        return Counter(str(end) for end in ends), far.heard

    causes, heard = asyncio.run(story())
    sys.stderr.write(f"\n{CALLS} calls ended as {dict(causes)}; the far end heard {dict(heard)}\n")
    assert sum(causes.values()) == CALLS
    assert causes["NORMAL(200)"] > 0, f"no call came about: {causes}"
    assert len(causes) > 1, f"nothing was broken enough: {causes}"
    assert heard["BYE"] > 0
    assert heard["INVITE"] >= CALLS
