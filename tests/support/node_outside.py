"""What is outside a node and outlives it: a customer's web application and a simulated phone network of its own.

Both run beside the test, on an event loop in a thread, so that tests of whole processes can be plain functions.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from callwright.sandbox.process import SandboxProcess, start_sandbox
from callwright.testing.web_application import WebApplication

T = TypeVar("T")


class LoopThread:
    """An event loop that runs in a thread while the block runs."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name="outside the node")

    def run(self, work: Coroutine[Any, Any, T], *, within_s: float = 60.0) -> T:
        """Return what ``work`` gives, run to its end on the loop."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(within_s)

    def __enter__(self) -> LoopThread:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.run_until_complete(self.loop.shutdown_default_executor())
        self.loop.close()


@contextmanager
def web_application(outside: LoopThread) -> Iterator[WebApplication]:
    """Serve a scripted web application; describe its pages before a call asks for them."""
    web = WebApplication()
    outside.run(web.__aenter__())
    try:
        yield web
    finally:
        outside.run(web.__aexit__(None, None, None))


@contextmanager
def phone_network(
    outside: LoopThread, folder: Path, *, personas: Path | None = None, phrases: Path | None = None
) -> Iterator[SandboxProcess]:
    """Run a simulated phone network that no node owns; its observations are in ``folder``."""
    process = outside.run(start_sandbox(data=folder, personas=personas, phrases=phrases))
    try:
        yield process
    finally:
        outside.run(process.close())
