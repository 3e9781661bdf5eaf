"""What the contract suite of Call and Engine needs from an implementation: people to call and a way to speak for them.

Add an implementation by adding a function to ``WORLDS`` that opens a ``World``.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from itertools import count

from tests.support.real_engine import sandboxed_engine

from callwright.engine.interface import Call, CallFacts, CallOrder, Engine, Silence, Sound, Tone
from callwright.testing.fake_engine import FakeEngine
from callwright.values.destination import parse_destination
from callwright.values.ids import CallId

_numbers = count(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """An engine with a far end behind it: the numbers ``99900555`` + four digits of a persona are reachable.

    The suite relies on personas 0001 (presses 1 after the first prompt, speaks into a recording), 0002 busy, 0003
    declines, 0004 never answers, 0005 unknown, 0009 answers and says nothing, 0010 hangs up 2 s after its answer.
    ``prompt`` is what persona 0001 takes for a prompt. ``deadline_s`` is how long the suite waits for anything.
    """

    engine: Engine
    prompt: tuple[Sound, ...]
    deadline_s: float


# Persona 0001 says hello first and listens then; two frequencies are no beep to it.
REAL_PROMPT = (Silence(ms=3500), Tone(frequencies=(620.0, 850.0), ms=800), Silence(ms=1600))


@asynccontextmanager
async def fake_world() -> AsyncIterator[World]:
    yield World(engine=FakeEngine(speed=50.0), prompt=(Tone(frequencies=(440.0,), ms=200),), deadline_s=5.0)


@asynccontextmanager
async def real_world() -> AsyncIterator[World]:
    async with sandboxed_engine() as real:
        yield World(engine=real.engine, prompt=REAL_PROMPT, deadline_s=30.0)


WORLDS: dict[str, Callable[[], AbstractAsyncContextManager[World]]] = {"fake": fake_world, "real": real_world}


def order_to(persona: str, *, ring_timeout_s: float = 5.0, max_duration_s: float = 60.0) -> CallOrder:
    return CallOrder(
        call_id=CallId(f"{next(_numbers):016x}.1.1"),
        destination=parse_destination(f"tel:99900555{persona}"),
        caller_id="441908273800",
        service_name="contract",
        ring_timeout_s=ring_timeout_s,
        max_duration_s=max_duration_s,
    )


class Told:
    """What the engine told while it placed a call, in order."""

    def __init__(self) -> None:
        self.steps: list[str] = []
        self.inviting = asyncio.Event()
        self.saved = b""
        self.answered_at: float | None = None

    async def before_invite(self, saved: bytes) -> None:
        await asyncio.sleep(0)
        self.steps.append("before_invite")
        self.inviting.set()

    async def on_answered(self, facts: CallFacts, saved: bytes) -> None:
        await asyncio.sleep(0)
        self.steps.append("on_answered")
        self.answered_at, self.saved = facts.answered_at, saved


async def reach(world: World, persona: str, *, max_duration_s: float = 60.0) -> Call:
    """Place a call that is expected to be answered."""
    told = Told()
    return await world.engine.place(
        order_to(persona, max_duration_s=max_duration_s),
        before_invite=told.before_invite,
        on_answered=told.on_answered,
    )
