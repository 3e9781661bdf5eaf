"""The keys a far end pressed and nobody has taken yet."""

from __future__ import annotations

import asyncio

from callwright.engine.interface import CallEnded
from callwright.values.outcome import Outcome

MAX_WAITING_KEYS = 1000  # a far end that leans on its keypad must not fill our memory


class WaitingKeys:
    """The ``KeyInbox`` of one call: keys are put in as they arrive and taken in order."""

    def __init__(self) -> None:
        self._keys: list[str] = []
        self._changed = asyncio.Event()
        self._outcome: Outcome | None = None

    def put(self, key: str) -> None:
        if len(self._keys) < MAX_WAITING_KEYS:
            self._keys.append(key)
            self._changed.set()

    def close(self, outcome: Outcome) -> None:
        """Say that no more keys can come: whoever waits, now or later, gets ``CallEnded``."""
        self._outcome = outcome
        self._changed.set()

    def peek(self) -> str:
        return "".join(self._keys)

    def take_all(self) -> str:
        taken = "".join(self._keys)
        self._keys.clear()
        return taken

    async def next(self, timeout_s: float | None) -> str | None:
        try:
            async with asyncio.timeout(timeout_s):
                await self.arrived()
        except TimeoutError:
            return None
        return self._keys.pop(0)

    async def arrived(self) -> None:
        while not self._keys:
            if self._outcome is not None:
                raise CallEnded(self._outcome)
            self._changed.clear()
            await self._changed.wait()
