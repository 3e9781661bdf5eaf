"""Legs that are open before a call asks for them: no call waits, none is lost, and no worker is woken for each."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from itertools import pairwise

import pytest
from tests.support.media_line import run
from tests.support.rtp_peer import RtpPeer

from callwright.engine.interface import Silence
from callwright.engine.media_client import MediaClient, MediaError, MediaLost, _Place
from callwright.engine.media_process import WorkerProcess
from callwright.media.codec import PCMA

DEADLINE_S = 20.0
QUIET = b"\xd5" * 160


@asynccontextmanager
async def workers(ports: tuple[int, int] = (26000, 26999), *, number: int = 1) -> AsyncIterator[MediaClient]:
    client = await MediaClient.start(host="127.0.0.1", port_range=ports, workers=number)
    try:
        async with asyncio.timeout(DEADLINE_S):
            yield client
    finally:
        for pid in client.pids:
            os.kill(pid, signal.SIGCONT)
        await client.close()


def say_nothing(place: _Place) -> None:
    """Stop a worker, as if that had been two seconds ago."""
    assert place.process is not None
    os.kill(place.process.pid, signal.SIGSTOP)
    place.process._unanswered = 2


def test_a_call_gets_its_leg_while_the_worker_does_something_else() -> None:
    async def work() -> None:
        async with workers() as client:
            os.kill(client.pids[0], signal.SIGSTOP)
            legs = [await client.open_leg() for _ in range(20)]
            assert len({leg.port for leg in legs}) == len({leg.id for leg in legs}) == 20
            os.kill(client.pids[0], signal.SIGCONT)
            assert (await client.report())[0].legs == 20

    run(work)


def test_more_calls_at_once_than_legs_are_ready_for_all_get_one() -> None:
    async def work() -> None:
        async with workers() as client:
            ready = len(client.spare_ports)
            legs = await asyncio.gather(*(client.open_leg() for _ in range(3 * ready + 1)))
            assert len({leg.port for leg in legs}) == 3 * ready + 1
            assert (await client.report())[0].legs == len(legs)
            # And as many as before are ready again.
            assert len(client.spare_ports) == ready
            assert not client.spare_ports & {leg.port for leg in legs}

    run(work)


def test_who_gives_up_waiting_for_a_leg_takes_none_away() -> None:
    async def work() -> None:
        async with workers((26000, 26007)) as client:
            assert not client.spare_ports  # of so few ports none is held in advance
            os.kill(client.pids[0], signal.SIGSTOP)
            waiting = [asyncio.create_task(client.open_leg()) for _ in range(4)]
            await asyncio.sleep(0)
            waiting[1].cancel()
            waiting[2].cancel()
            await asyncio.gather(*waiting[1:3], return_exceptions=True)
            os.kill(client.pids[0], signal.SIGCONT)
            legs = [await waiting[0], await waiting[3]]
            legs += [await client.open_leg(), await client.open_leg()]
            assert {leg.port for leg in legs} == {26000, 26002, 26004, 26006}
            with pytest.raises(MediaError, match="already has 4 legs"):
                await client.open_leg()

    run(work)


def test_a_leg_that_comes_in_the_moment_its_call_is_given_up_is_kept_for_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def work() -> None:
        async with workers((26000, 26007)) as client:
            waiting = asyncio.create_task(client.open_leg())
            hear = client._heard

            def heard_and_given_up(place: object, report: object) -> None:
                hear(place, report)  # type: ignore[arg-type]
                waiting.cancel()

            with monkeypatch.context() as patch:
                patch.setattr(client, "_heard", heard_and_given_up)
                with pytest.raises(asyncio.CancelledError):
                    await waiting
            (port,) = client.spare_ports
            assert (await client.report())[0].legs == 0
            assert (await client.open_leg()).port == port

    run(work)


def test_where_no_port_is_left_only_who_wants_a_leg_asks_for_one() -> None:
    async def work() -> None:
        async with workers((26000, 26031)) as client:
            (place,) = client._places
            legs = [await client.open_leg() for _ in range(16)]
            for _ in range(3):
                with pytest.raises(MediaError, match="already has 16 legs"):
                    await client.open_leg()
            await client.report()
            assert place.asked == 0
            waiting = asyncio.create_task(client.open_leg())
            await asyncio.sleep(0)
            assert place.asked == 1
            with pytest.raises(MediaError, match="already has 16 legs"):
                await waiting
            await asyncio.gather(*(leg.close() for leg in legs))
            assert not place.full

    run(work)


def test_legs_of_a_dead_worker_are_not_given_to_calls() -> None:
    async def work() -> None:
        async with workers(number=2) as client:
            lost = asyncio.Event()
            client.on_worker_lost = lambda legs: lost.set()
            os.kill(client.pids[0], signal.SIGKILL)
            await lost.wait()
            for leg in [await client.open_leg() for _ in range(40)]:
                leg.connect(remote=("127.0.0.1", 9), codec=PCMA, dtmf_payload=101)
                await leg.play([Silence(ms=20)])

    run(work)


def test_calls_get_no_leg_of_a_worker_that_says_nothing_but_of_one_that_does() -> None:
    async def work() -> None:
        async with workers(number=2) as client:
            hung, well = client._places
            say_nothing(hung)
            for _ in range(10):
                await client.open_leg()
            assert len(well.legs) == 10

    run(work)


def test_a_leg_opened_in_advance_by_a_worker_that_says_nothing_waits_for_its_word() -> None:
    async def work() -> None:
        async with workers() as client:
            (place,) = client._places
            say_nothing(place)
            waiting = asyncio.create_task(client.open_leg())
            await asyncio.sleep(0)
            assert place.ready
            assert not waiting.done()
            os.kill(client.pids[0], signal.SIGCONT)
            await waiting
            assert place.answers

    run(work)


def test_a_call_that_waits_for_a_leg_of_a_worker_that_dies_is_told() -> None:
    async def work() -> None:
        async with workers((26000, 26007)) as client:
            os.kill(client.pids[0], signal.SIGSTOP)
            waiting = asyncio.create_task(client.open_leg())
            await asyncio.sleep(0)
            os.kill(client.pids[0], signal.SIGKILL)
            with pytest.raises(MediaLost):
                await waiting
            await client.open_leg()

    run(work)


def test_what_came_to_a_port_before_its_call_is_not_taken_for_sound_of_the_call() -> None:
    async def work() -> None:
        with (
            closing(await RtpPeer.open(host="127.0.0.2")) as gone,
            closing(await RtpPeer.open(host="127.0.0.3")) as behind_nat,
        ):
            async with workers() as client:
                first = await client.open_leg()
                (place,) = client._places
                port = place.ready[0].port
                gone.target = behind_nat.target = (first.host, port)
                for _ in range(40):
                    gone.send_sound(QUIET)
                first.connect(remote=("127.0.0.1", 9), codec=PCMA, dtmf_payload=101)
                await first.play([Silence(ms=700)])
                leg = await client.open_leg()
                assert leg.port == port
                leg.connect(remote=("127.0.0.9", 9), codec=PCMA, dtmf_payload=101)
                await leg.play([Silence(ms=20)])
                for _ in range(5):
                    behind_nat.send_sound(QUIET)
                await behind_nat.until(lambda heard: len(heard) > 0)
                stats = await leg.close()
                assert (stats.remote_host, stats.remote_port) == behind_nat.address
                assert stats.packets_received == 3  # all but those it was not believed at yet
                assert not gone.heard

    run(work)


def test_orders_of_many_calls_travel_together(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[float] = []
    flush = WorkerProcess._flush

    def noted(self: WorkerProcess) -> None:
        if self._unsent:
            sent.append(self._loop.time())
        flush(self)

    monkeypatch.setattr(WorkerProcess, "_flush", noted)

    async def work() -> None:
        async with workers() as client:
            sent.clear()
            for _ in range(200):
                leg = await client.open_leg()
                leg.connect(remote=("127.0.0.1", 9), codec=PCMA, dtmf_payload=101)
                await asyncio.sleep(0.001)
                leg.begin_close()
            await client.report()
            # Never two of them within half a tick, but for those that a call waits for.
            apart = [after - before for before, after in pairwise(sent)]
            assert sum(gap < 0.009 for gap in apart) <= 2
            assert len(sent) < 200

    run(work)
