"""Keys the far end typed ahead of an action: they wait through plays and sleeps for an action that takes keys."""

from __future__ import annotations

from callwright.engine.interface import KeyInbox

MAX_HELD_KEYS = 1000  # a far end that leans on its keypad for hours must not fill our memory


class TypedKeys:
    """The keys of one call as its actions see them, in the order they were pressed."""

    def __init__(self, inbox: KeyInbox) -> None:
        self._inbox = inbox
        self._held = ""

    def take_waiting(self) -> str:
        """Take the oldest waiting key, "" when there is none."""
        self.hold_waiting()
        key, self._held = self._held[:1], self._held[1:]
        return key

    def hold_waiting(self) -> None:
        """Put the keys that wait now aside: they stay waiting, but are not another key any more."""
        self._held = (self._held + self._inbox.take_all())[:MAX_HELD_KEYS]

    def drop_waiting(self) -> None:
        """Forget all waiting keys."""
        self._inbox.take_all()
        self._held = ""

    async def next(self, timeout_s: float | None) -> str | None:
        """Take the next key, waiting for it; None after ``timeout_s``. Raises ``CallEnded``."""
        return self.take_waiting() or await self._inbox.next(timeout_s)

    async def another(self) -> None:
        """Return when a key was pressed since ``hold_waiting``; it stays waiting. Raises ``CallEnded``."""
        await self._inbox.arrived()
