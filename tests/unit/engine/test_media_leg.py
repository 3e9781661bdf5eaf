"""A media leg as its call uses it: what the worker is told, and what whoever waits gets."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from callwright.engine.media_client import Leg, LegStats
from callwright.engine.media_leg import Interrupted, MediaError
from callwright.media import protocol as wire
from callwright.media.codec import PCMA
from callwright.media.sounds import Silence


def with_leg(story: Callable[[Leg, list[wire.Command]], Awaitable[None]], *, host: str = "127.0.0.1") -> None:
    async def main() -> None:
        told: list[wire.Command] = []
        await story(Leg(7, told.append, host, 20_000), told)

    asyncio.run(main())


def test_what_is_interrupted_is_stopped_at_the_worker_and_its_waiters_are_told() -> None:
    async def story(leg: Leg, told: list[wire.Command]) -> None:
        playing = [asyncio.create_task(leg.play([Silence(ms=1000)])) for _ in range(2)]
        await asyncio.sleep(0)
        leg.interrupt()
        for play in playing:
            with pytest.raises(Interrupted):
                await play
        assert [type(command) for command in told] == [wire.Play, wire.Play, wire.StopPlayback, wire.StopPlayback]
        leg.interrupt()
        assert len(told) == 4, "nothing plays any more"

    with_leg(story)


def test_a_leg_is_closed_once_for_callbacks_and_for_who_awaits_it() -> None:
    async def story(leg: Leg, told: list[wire.Command]) -> None:
        stats = LegStats(packets_sent=5)
        heard: list[LegStats] = []
        leg.begin_close().add_done_callback(lambda closed: heard.append(closed.result()))
        awaiting = asyncio.create_task(leg.close())
        impatient = asyncio.create_task(leg.close())
        await asyncio.sleep(0)
        impatient.cancel()
        await asyncio.wait({impatient})
        leg.hear(wire.LegClosed(leg=7, stats=stats))
        assert await awaiting == stats
        assert heard == [stats]
        assert told == [wire.CloseLeg(leg=7)]

    with_leg(story)


def test_the_worker_is_told_an_address_in_the_spelling_in_which_the_kernel_tells_who_speaks() -> None:
    async def story(leg: Leg, told: list[wire.Command]) -> None:
        leg.connect(remote=("2001:DB8:0:0:0::0007", 4000), codec=PCMA, dtmf_payload=None)
        assert [command.host for command in told if isinstance(command, wire.ConnectLeg)] == ["2001:db8::7"]
        for host in ("ff02::1", "fe80::1%" + "x" * 1000, "192.0.2.1"):
            with pytest.raises(MediaError):
                leg.connect(remote=(host, 4000), codec=PCMA, dtmf_payload=None)
        assert len(told) == 1

    with_leg(story, host="2001:db8::1")
