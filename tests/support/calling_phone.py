"""A telephone that calls: our SIP core and plain RTP on two sockets, for tests of whatever is called."""

from __future__ import annotations

import asyncio
import secrets
import socket
from collections.abc import Callable
from typing import TypeVar

import numpy as np

from callwright.media import offer_answer
from callwright.media.codec import PCMA, Codec
from callwright.media.dtmf import KeyReceiver
from callwright.media.g711 import Pcm
from callwright.media.offer_answer import Agreed
from callwright.media.rtp import parse
from callwright.sandbox.heard import HeardSound
from callwright.sandbox.mouth import LAWS, Mouth
from callwright.sip.core import Credentials, InvitePlan, SipCore
from callwright.sip.event import Event
from callwright.sip.message import Request, Response
from callwright.sip.parser import parse_message

E = TypeVar("E", bound=Event)

FRAME_S = 0.02


class CallingPhone:
    """Use it as `async with CallingPhone(("127.0.0.1", port)) as phone`, `port` being where the called side listens.

    `seen` holds every SIP message in order. `drop` decides which incoming datagrams are lost.
    """

    def __init__(self, far_end: tuple[str, int], *, codecs: tuple[Codec, ...] = (PCMA,)) -> None:
        self.far_end = far_end
        self.seen: list[Request | Response] = []
        self.events: list[Event] = []
        self.drop: Callable[[bytes], bool] = lambda _: False
        self.keys = ""
        self.agreed: Agreed | None = None
        self._codecs = codecs
        self._sip = _socket()
        self._rtp = _socket()
        host, port = self._sip.getsockname()
        self.core = SipCore(contact_host=host, contact_port=port, new_id=lambda: secrets.token_hex(16))
        self._changed = asyncio.Event()
        self._mouth = Mouth(ssrc=1, sequence=100, timestamp=4_294_967_000)
        self._heard = HeardSound()
        self._keys = KeyReceiver()
        self._timer: asyncio.TimerHandle | None = None
        self._talking: asyncio.Task[None] | None = None

    @property
    def host(self) -> str:
        return "127.0.0.1"

    @property
    def rtp_port(self) -> int:
        return int(self._rtp.getsockname()[1])

    async def __aenter__(self) -> CallingPhone:
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._sip.fileno(), self._sip_readable)
        self._loop.add_reader(self._rtp.fileno(), self._rtp_readable)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.silence_rtp()
        if self._timer is not None:
            self._timer.cancel()
        for sock in (self._sip, self._rtp):
            self._loop.remove_reader(sock.fileno())
            sock.close()

    # --- calls ---

    def invite(
        self,
        number: str,
        *,
        credentials: Credentials | None = None,
        body: bytes | None = None,
        headers: tuple[tuple[str, str], ...] = (),
    ) -> str:
        """Call a number at the far end; `body` None offers our sound. Return the handle."""
        offer = offer_answer.offer(self.host, self.rtp_port, self._codecs) if body is None else body
        host, port = self.far_end
        plan = InvitePlan(
            request_uri=f"sip:{number}@{host}:{port}",
            next_hop=self.far_end,
            from_uri=f"sip:15550100@{self.host}",
            to_uri=f"sip:{number}@{host}:{port}",
            body=offer,
            credentials=credentials,
            headers=headers,
        )
        handle = self.core.invite(plan, self._loop.time())
        self.pump()
        return handle

    def cancel(self, handle: str) -> None:
        self.core.cancel(handle, self._loop.time())
        self.pump()

    def bye(self, handle: str) -> None:
        self.core.bye(handle, self._loop.time())
        self.pump()

    async def event(self, kind: type[E], handle: str, *, within_s: float = 10.0) -> E:
        """Wait for the first event of a kind about a call; raise TimeoutError telling what came instead."""

        def found() -> E | None:
            return next((e for e in self.events if isinstance(e, kind) and e.handle == handle), None)

        await self.until(lambda: found() is not None, f"{kind.__name__} of {handle}", within_s=within_s)
        event = found()
        assert event is not None
        return event

    async def until(self, condition: Callable[[], bool], what: str, *, within_s: float = 10.0) -> None:
        """Wait until a condition holds; it is looked at whenever something arrived."""
        try:
            async with asyncio.timeout(within_s):
                while not condition():
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            came = ", ".join(type(event).__name__ for event in self.events) or "nothing"
            raise TimeoutError(f"no {what} within {within_s:g} s; there came {came}") from None

    # --- sound ---

    def talk_to(self, sdp: bytes) -> None:
        """Begin to send sound where an answer says."""
        self.agreed = offer_answer.choose(sdp, self._codecs)
        self._mouth.speak_as(self.agreed.codec, self.agreed.dtmf_payload)
        self._talking = self._talking or asyncio.create_task(self._talk(), name="calling phone sends sound")

    def silence_rtp(self) -> None:
        """Send no more packets."""
        if self._talking is not None:
            self._talking.cancel()
            self._talking = None

    def say(self, samples: Pcm) -> None:
        self._mouth.say(samples)

    def press(self, keys: str) -> None:
        self._mouth.press(keys)

    async def said(self, *, within_s: float = 20.0) -> None:
        """Wait until everything given to `say` and `press` has been sent."""
        await self.until(lambda: not self._mouth.busy, "end of our own sound", within_s=within_s)

    def heard(self) -> Pcm:
        """Everything heard so far, by RTP timestamp."""
        return np.frombuffer(self._heard.pcm_bytes(), "<i2").astype(np.int16)

    async def _talk(self) -> None:
        assert self.agreed is not None
        next_at = self._loop.time()
        while True:
            self._rtp.sendto(self._mouth.tick(), self.agreed.remote)
            self._keys.wake(self._loop.time())
            self._take_keys()
            self._changed.set()
            next_at += FRAME_S
            await asyncio.sleep(next_at - self._loop.time())

    def _rtp_readable(self) -> None:
        packet = parse(self._rtp.recv(2048))
        if packet is None or self.agreed is None:
            return
        now = self._loop.time()
        if packet.payload_type == self.agreed.dtmf_payload:
            self._keys.receive(packet.payload, packet.timestamp, now, marker=packet.marker)
            self._take_keys()
        elif packet.payload_type == self.agreed.codec.payload:
            self._heard.add(packet, LAWS[self.agreed.codec.name], now)
        self._changed.set()

    def _take_keys(self) -> None:
        self.keys += "".join(press.key for press in self._keys.take_presses())

    # --- SIP ---

    def pump(self) -> None:
        """Send what the core gives, keep its events, set the timer anew."""
        for send in self.core.take_sends():
            self.seen.append(parse_message(send.data))
            self._sip.sendto(send.data, send.to)
        self.events += self.core.take_events()
        self._changed.set()
        if self._timer is not None:
            self._timer.cancel()
        at = self.core.wake_at()
        self._timer = None if at is None else self._loop.call_at(at, self._wake)

    def send_raw(self, data: bytes) -> None:
        """Send a datagram past the core."""
        self._sip.sendto(data, self.far_end)

    def _wake(self) -> None:
        self._timer = None
        self.core.wake(self._loop.time())
        self.pump()

    def _sip_readable(self) -> None:
        data, source = self._sip.recvfrom(65_535)
        if self.drop(data):
            return
        self.seen.append(parse_message(data))
        self.core.receive(data, source, self._loop.time())
        self.pump()


def _socket() -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setblocking(False)
    sock.bind(("127.0.0.1", 0))
    return sock
