"""Requests that come at the same time are worked off together.

Those that arrive while others are being worked off share the next turn: a few statements for all of them instead of a
few for each. Nobody waits for others to come, and a turn begins after the last request in it came.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

Q = TypeVar("Q")
A = TypeVar("A")


@dataclass(slots=True)
class _Batch(Generic[Q, A]):
    """What one turn is to work off; ``done`` gets the answers, in order."""

    done: asyncio.Future[Sequence[A]]
    asked: list[Q]
    size: int = 0


class Together(Generic[Q, A]):
    """Hands what is asked to ``work``, in turns, each of at most ``most`` in size. Belongs to one event loop.

    ``work`` returns an answer for each, in order; what it raises is raised to everybody in its turn.
    """

    def __init__(self, work: Callable[[Sequence[Q]], Awaitable[Sequence[A]]], *, most: int) -> None:
        self._work = work
        self._most = most
        self._open: _Batch[Q, A] | None = None
        self._turn = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()

    async def ask(self, question: Q, *, size: int) -> A:
        """Return the answer; what is larger than a turn is worked off alone, at once."""
        if size > self._most:
            return (await self._work([question]))[0]
        batch = self._open
        if batch is None or batch.size + size > self._most:
            batch = self._open = _Batch(asyncio.get_running_loop().create_future(), [])
            task = asyncio.create_task(self._work_off(batch), name="work off requests together")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        place = len(batch.asked)
        batch.asked.append(question)
        batch.size += size
        # Shielded: who goes away must not take the answers of the others along.
        return (await asyncio.shield(batch.done))[place]

    async def _work_off(self, batch: _Batch[Q, A]) -> None:
        async with self._turn:
            if self._open is batch:
                self._open = None
            try:
                answers = await self._work(batch.asked)
            except BaseException as error:
                batch.done.set_exception(error)
                batch.done.exception()  # its waiters may have gone away
            else:
                batch.done.set_result(answers)
