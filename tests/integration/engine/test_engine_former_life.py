"""An engine dies with a telephone ringing or off the hook; the next one on the same port puts that right."""

from __future__ import annotations

import asyncio
import random
import secrets
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial

import msgspec
import pytest
import structlog.testing
from tests.support.engine_calls import Told, order_to
from tests.support.far_end import FarEnd, far_end, sdp
from tests.support.real_engine import HOST, RTP_PORTS
from tests.support.sip_sipp import until
from tests.support.sipp import SippResult, answering, needs_sipp
from tests.support.trunks import trunk

from callwright.engine.engine import CallEngine
from callwright.engine.interface import CallOrder
from callwright.engine.media_client import MediaClient
from callwright.engine.routes import Routes
from callwright.engine.saved_call import SavedCall, decode_call
from callwright.engine.sip_socket import SipSocket
from callwright.engine.trunk_setup import Trunk, parse_prefix
from callwright.engine.trunks import Trunks
from callwright.sip.agenda import Timers
from callwright.sip.auth import make_challenge
from callwright.sip.core import SipCore
from callwright.sip.event import CancelledByPeer, Ended, Invited
from callwright.values.destination import parse_destination
from callwright.values.ids import CallId


class Lives:
    """The engines of one node, one after the other on the same port."""

    def __init__(self, media: MediaClient) -> None:
        self._media = media
        self.timers = Timers()
        self._port = 0
        self.engine: CallEngine
        self._sip: SipSocket | None = None
        self._trunks: Trunks | None = None
        self._placing: list[asyncio.Task[object]] = []

    async def begin(self, *set_up: Trunk) -> None:
        self._sip = await SipSocket.open(
            host=HOST,
            port=self._port,
            core_factory=lambda host, port: SipCore(
                contact_host=host, contact_port=port, new_id=partial(secrets.token_hex, 16), timers=self.timers
            ),
        )
        self._port = self._sip.address[1]
        self._trunks = Trunks(sip=self._sip, chance=random.random)
        await self._trunks.set_up(set_up)
        self.engine = CallEngine(
            sip=self._sip,
            media=self._media,
            routes=Routes(trunks=self._trunks),
            sip_domain="x.test",
            clock=time.time,
            on_progress=lambda progress: None,
        )

    def place(self, order: CallOrder, told: Told) -> asyncio.Task[object]:
        async def place() -> object:
            return await self.engine.place(
                order, before_invite=told.before_invite, on_answered=told.on_answered, on_moved=told.on_moved
            )

        self._placing.append(asyncio.create_task(place()))
        return self._placing[-1]

    async def die(self) -> None:
        """Say not a word to any far end, as when the process is killed."""
        assert self._sip is not None
        assert self._trunks is not None
        await self._sip.close()
        await self._trunks.set_up(())
        self._sip = None

    async def end(self) -> None:
        for task in self._placing:
            task.cancel()
        await self.engine.close()
        if self._sip is not None:
            await self._sip.close()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            if task in self._placing or task.get_name().startswith("duration limit"):
                task.cancel()


@asynccontextmanager
async def lives() -> AsyncIterator[Lives]:
    media = await MediaClient.start(host=HOST, port_range=RTP_PORTS)
    try:
        made = Lives(media)
        async with asyncio.timeout(30):
            yield made
            await made.end()
    finally:
        await media.close()


# --- up


async def die_and_live_again(*, recorded: bool) -> SippResult:
    """Be killed while the answer is being recorded, or after it; a second engine takes the port over."""
    with answering("answer") as far:
        async with lives() as node:
            await node.begin()
            answered = asyncio.Event()

            async def record() -> None:
                answered.set()
                if not recorded:
                    await asyncio.Event().wait()

            told = Told(on_answer=record)
            placing = node.place(order_to((far.host, far.port)), told)
            await (placing if recorded else answered.wait())
            await node.die()
            await node.begin()
            if recorded:
                await node.engine.hang_up_saved(told.saved)
            return await asyncio.to_thread(far.finish)


@needs_sipp
def test_call_whose_answer_was_never_recorded_is_hung_up_when_the_far_end_repeats_it() -> None:
    with structlog.testing.capture_logs() as logs:
        seen = asyncio.run(die_and_live_again(recorded=False))
    assert seen.all_succeeded, seen.why
    assert [gist for gist in seen.gists if gist[0] == ">"] == ["> INVITE", "> ACK", "> BYE"]
    assert "stray_answer" in [entry["action"] for entry in logs]


@needs_sipp
def test_call_whose_answer_was_recorded_is_hung_up_by_its_saved_dialog() -> None:
    seen = asyncio.run(die_and_live_again(recorded=True))
    assert seen.all_succeeded, seen.why
    assert [gist for gist in seen.gists if gist[0] == ">"] == ["> INVITE", "> ACK", "> BYE"]


@needs_sipp
@pytest.mark.parametrize(("password", "byes"), [("open sesame", 2), ("another", 2), ("", 1)])
def test_challenged_bye_of_a_later_life_carries_the_password_its_trunk_has_by_then(password: str, byes: int) -> None:
    async def story() -> SippResult:
        with answering("answer_challenges_bye") as far:
            carrier = trunk("carrier", far.port)
            async with lives() as node:
                await node.begin(carrier)
                told = Told()
                await node.place(trunk_order(), told)
                assert decode_call(told.saved).trunk == "carrier"
                await node.die()
                await node.begin(
                    trunk("carrier", far.port, user="alice", password=password) if password else carrier,
                )
                await node.engine.hang_up_saved(told.saved)
                return await asyncio.to_thread(far.finish) if byes == 2 else far.result()

    seen = asyncio.run(story())
    assert seen.gists.count("> BYE") == byes, seen.why
    if byes == 2:
        assert seen.gists[-1] == ("< 200" if password == "open sesame" else "< 403"), seen.why


def trunk_order() -> CallOrder:
    return CallOrder(
        call_id=CallId("0000000000000001.1.1"),
        destination=parse_destination("tel:447700900123"),
        caller_id="441908273800",
        service_name="demo",
    )


def test_dialogs_that_earlier_versions_saved_are_still_read() -> None:
    async def story() -> None:
        async with far_end() as far, lives() as node:
            await node.begin()
            told = Told()
            placing = node.place(order_to(far.address), told)
            await far.answer()
            await placing
            await node.die()
            await node.begin()
            dialog = decode_call(told.saved).dialog
            await node.engine.hang_up_saved(msgspec.json.encode(dialog))
            await far.ear.next(Ended)

    asyncio.run(story())


# --- ringing


async def killed_while_ringing(
    far: FarEnd, *challenges: str, trunks: Sequence[Trunk] = (), order: CallOrder | None = None
) -> None:
    """Ring after these challenges, be killed, and let the next life end what was saved before the first INVITE."""
    async with lives() as node:
        await node.begin(*trunks)
        told = Told()
        node.place(order or order_to(far.address), told)
        for challenge in challenges:
            invited = await far.ear.next(Invited)
            far.sip.core.respond(invited.handle, 401, headers=(("WWW-Authenticate", challenge),), now=far.now)
            far.sip.pump()
        invited = await far.ring()
        await node.die()
        assert decode_call(told.invite).dialog is None
        await node.begin(*trunks)
        await node.engine.hang_up_saved(told.invite)
        cancelled = await far.ear.next(CancelledByPeer)
        assert cancelled.handle == invited.handle
        assert any(name == "Reason" and "restarted" in value for name, value in cancelled.headers)


def test_telephone_that_rings_when_the_node_is_killed_is_cancelled_by_its_next_life() -> None:
    async def story() -> None:
        async with far_end() as far:
            await killed_while_ringing(far)

    asyncio.run(story())


def test_call_whose_invite_never_left_is_cancelled_and_nothing_else_is_sent() -> None:
    """Killed between the stamp and the INVITE: the far end hears of a call it never saw, and of no BYE."""

    async def story() -> list[str]:
        heard: asyncio.Queue[str] = asyncio.Queue()
        async with far_end() as far, lives() as node:
            hears = far.sip.datagram_received

            def note(data: bytes, addr: tuple[str, int]) -> None:
                heard.put_nowait(data.split(b" ", 1)[0].decode())
                hears(data, addr)

            far.sip.datagram_received = note  # type: ignore[method-assign]
            await node.begin()
            kept: asyncio.Queue[bytes] = asyncio.Queue()

            class Stamped(Told):
                async def before_invite(self, saved: bytes) -> None:
                    kept.put_nowait(saved)
                    await asyncio.Event().wait()

            node.place(order_to(far.address), Stamped())
            saved = await kept.get()
            await node.die()
            await node.begin()
            await node.engine.hang_up_saved(saved)
            node.place(order_to(far.address), Told())  # what was to come before its INVITE has come by then
            await far.ring()
            return [heard.get_nowait() for _ in range(heard.qsize())]

    seen = asyncio.run(story())
    assert seen[-1] == "INVITE"
    assert set(seen[:-1]) == {"CANCEL"}


def test_telephone_that_rings_after_challenges_is_cancelled_too() -> None:
    async def story() -> None:
        first = make_challenge(realm="far", nonce="1")
        stale = make_challenge(realm="far", nonce="2", stale=True)
        async with far_end() as far:
            carrier = trunk("carrier", far.address[1], user="alice", password="open sesame")
            await killed_while_ringing(far, first, stale, trunks=[carrier], order=trunk_order())

    asyncio.run(story())


def test_telephone_that_rings_behind_the_second_trunk_or_a_redirection_is_cancelled_too() -> None:
    async def story() -> None:
        async with far_end() as first, far_end() as second, lives() as node:
            trunks = [
                trunk(name, far.address[1], prefixes=(parse_prefix(f"*:{priority}"),))
                for name, far, priority in (("first", first, 1), ("second", second, 2))
            ]
            await node.begin(*trunks)
            by_trunk, by_address = Told(), Told()
            node.place(trunk_order(), by_trunk)
            first.respond(await first.ear.next(Invited), 503)
            behind_trunk = await second.ring()
            await node.die()
            await node.begin()  # without trunks: their places may be called by address
            node.place(order_to(first.address), by_address)
            await first.redirect(f"<sip:anna@{second.address[0]}:{second.address[1]}>")
            redirected = await second.ring()
            await node.die()
            await node.begin()
            for told in (by_trunk, by_address):
                await node.engine.hang_up_saved(told.invite)
            cancelled = {(await second.ear.next(CancelledByPeer)).handle for _ in range(2)}
            assert cancelled == {behind_trunk.handle, redirected.handle}

    asyncio.run(story())


@needs_sipp
def test_cancel_of_a_later_life_matches_the_invite_for_an_independent_telephone_and_its_end_is_acknowledged() -> None:
    async def story() -> SippResult:
        with answering("no_answer_three_cancels") as far:
            async with lives() as node:
                # Slow to repeat: the scenario takes no fourth CANCEL, however long a busy machine needs to answer one.
                node.timers = Timers(t1=3.0, t2=6.0)
                await node.begin()
                told = Told()
                node.place(order_to((far.host, far.port)), told)
                await until(lambda: "< 180" in far.result().gists)
                await node.die()
                await node.begin()
                await node.engine.hang_up_saved(told.invite)
                return await asyncio.to_thread(far.finish)

    seen = asyncio.run(story())
    assert seen.all_succeeded, seen.why
    assert [gist for gist in seen.gists if gist[0] == ">"] == ["> INVITE", *["> CANCEL"] * 3, "> ACK"], seen.why


def test_answer_that_crosses_the_cancel_of_a_later_life_is_acknowledged_and_hung_up() -> None:
    async def story() -> None:
        async with far_end() as far, lives() as node:
            await node.begin()
            told = Told()
            node.place(order_to(far.address), told)
            invited = await far.ring()
            await node.die()
            far.respond(invited, 200, sdp())
            await node.begin()
            await node.engine.hang_up_saved(told.invite)
            await far.ear.next(Ended)

    asyncio.run(story())


def test_nothing_secret_is_saved() -> None:
    async def story() -> bytes:
        async with far_end() as far, lives() as node:
            await node.begin(trunk("carrier", far.address[1], user="alice", password="open sesame"))
            told = Told()
            placing = node.place(trunk_order(), told)
            await far.answer()
            await placing
            return told.invite + told.saved

    saved = asyncio.run(story())
    assert b"sesame" not in saved
    assert SavedCall() == decode_call(SavedCall().encode())
