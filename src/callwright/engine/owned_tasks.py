"""Work on calls that nobody awaits: held until it is done, and heard of when it fails."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import structlog

log = structlog.get_logger()

_GRACE_S = 30.0  # media legs and their files are closed in less


class OwnedTasks:
    """Works for one engine."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    async def close(self) -> None:
        """Wait until all is done; cancel what is not after ``_GRACE_S``."""
        if self._tasks:
            await asyncio.wait(list(self._tasks), timeout=_GRACE_S)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (problem := task.exception()) is not None:
            log.error("Work on a call failed.", action="engine_task_failed", task=task.get_name(), exc_info=problem)
