"""Whatever is lost on the way, a call that ends comes to its end: nobody waits for ever for a word that never comes."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
import structlog.testing
from tests.support.engine_calls import Told, order_to
from tests.support.far_end import FarEnd, far_end
from tests.support.real_engine import RealEngine, real_engine
from tests.support.sip_sipp import until

from callwright.engine import engine as engine_module
from callwright.engine.call import OutgoingCall
from callwright.engine.interface import CallEnded, CallFailed
from callwright.sip.event import Event
from callwright.values.outcome import EndedBy

DEADLINE_S = 15.0


@asynccontextmanager
async def both_ends() -> AsyncIterator[tuple[RealEngine, FarEnd]]:
    async with asyncio.timeout(DEADLINE_S), far_end() as far, real_engine() as world:
        yield world, far


def place(world: RealEngine, far: FarEnd, told: Told | None = None) -> asyncio.Task[OutgoingCall]:
    told = told or Told()
    order = order_to(far.address, ring_timeout_s=60.0)
    return asyncio.create_task(
        world.engine.place(order, before_invite=told.before_invite, on_answered=told.on_answered)
    )


async def answered(world: RealEngine, far: FarEnd, told: Told | None = None) -> OutgoingCall:
    placing = place(world, far, told)
    await far.answer()
    return await placing


def deaf_to_the_core(world: RealEngine) -> None:
    """Lose every word of the SIP core, as a fault in the engine would."""

    def lose(event: Event) -> None:
        return

    world.sip.on_event = lose


def test_calls_given_up_when_the_sip_socket_is_closed_end_at_once() -> None:
    async def story() -> None:
        async with both_ends() as (world, far):
            ringing = place(world, far)
            await far.ring()
            call = await answered(world, far)
            await world.sip.close()
            with pytest.raises(CallFailed):
                await ringing
            assert call.facts.outcome is not None
            assert call.facts.outcome.ended_by is EndedBy.PLATFORM
            await call.hang_up()

            told = Told()
            late = place(world, far, told)  # nothing of it leaves
            await until(lambda: told.steps == ["before_invite"])
            late.cancel()
            with pytest.raises(asyncio.CancelledError):
                await late

    asyncio.run(story())


def test_a_call_whose_end_the_core_never_tells_is_over_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_module, "LAST_WORD_S", 0.2)

    async def story() -> None:
        async with both_ends() as (world, far):
            call = await answered(world, far)
            ringing = place(world, far)
            await far.ring()
            deaf_to_the_core(world)
            with structlog.testing.capture_logs() as logs:
                await call.hang_up()
                ringing.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await ringing
            assert [line["action"] for line in logs].count("call_abandoned") == 2
            with pytest.raises(CallEnded):
                await call.play([])

    asyncio.run(story())


def test_the_bye_of_a_former_life_that_is_never_reported_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_module, "LAST_WORD_S", 0.2)

    async def story() -> None:
        async with both_ends() as (world, far):
            told = Told()
            call = await answered(world, far, told)
            deaf_to_the_core(world)
            await world.engine.hang_up_saved(told.saved)
            assert call.is_up, "only its former life was given up"
            await call.hang_up()
            assert not call.is_up
            assert call.facts.outcome is not None
            assert call.facts.outcome.ended_by is EndedBy.APPLICATION

    asyncio.run(story())


def byes(datagrams: Sequence[bytes]) -> set[bytes]:
    """Return the branches of the BYEs among these, however often each was sent."""
    found = (re.search(rb"branch=([^;\s]+)", data) for data in datagrams if data.startswith(b"BYE "))
    return {branch[1] for branch in found if branch is not None}


def test_closing_survives_a_hang_up_of_a_former_life_that_was_cancelled() -> None:
    async def story() -> None:
        async with both_ends() as (world, far):
            told = Told()
            call = await answered(world, far, told)
            unheard = far.go_deaf()
            former = asyncio.create_task(world.engine.hang_up_saved(told.saved))
            await until(lambda: len(byes(unheard)) == 1)
            closing = asyncio.create_task(world.engine.close(limit_s=0.5))
            await until(lambda: len(byes(unheard)) == 2)
            former.cancel()
            await closing
            assert call.facts.outcome is not None
            assert not world.engine.live_calls

    asyncio.run(story())
