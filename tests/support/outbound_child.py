"""One life of a node, as a process of its own that can be killed.

``python -m tests.support.outbound_child`` forks such processes off itself, so that only the first of many waits for its
imports. Each line of its input starts one: a JSON list of the data folder, the log, how many starts to accept, and
where to die ("step number", or "" to live until everything is over). It prints the process id, then, when that has
ended, its exit code, as ``subprocess`` counts them.

Each line of the log is appended and on disk before the life goes on: what the world saw (RING, UP, DOWN, BYE, CANCEL,
FINAL) and what a client was promised (ACCEPTED).
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
import traceback
from collections import Counter
from functools import partial
from pathlib import Path

from tests.support import outbound_node as node

from callwright.accounts.store import get_service
from callwright.apps.instance import InstanceOrder
from callwright.db.database import Database
from callwright.engine.interface import CallFacts, CallOrder
from callwright.outbound import queue, recovery
from callwright.outbound.dispatcher import Dispatcher
from callwright.outbound.events import StartEvent
from callwright.records import ledger
from callwright.records.settings import DEFAULT_SETTINGS
from callwright.testing.fake_engine import FakeEngine
from callwright.values.ids import ServiceId
from callwright.values.outcome import Outcome

DESTINATIONS = (node.ANSWERS_AT_ONCE, node.BUSY, "tel:999005550009")
LONGEST_LIFE_S = 30.0


class Life:
    def __init__(self, log: Path, die_at: str) -> None:
        self._log = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._counts: Counter[str] = Counter()
        self._die_step, _, number = die_at.partition(" ")
        self._die_number = int(number or 1)

    def write(self, line: str) -> None:
        os.write(self._log, f"{line}\n".encode())
        os.fsync(self._log)

    def reached(self, step: str) -> None:
        """Die here if this is the place."""
        self._counts[step] += 1
        if step == self._die_step and self._counts[step] == self._die_number:
            os.kill(os.getpid(), signal.SIGKILL)

    def told(self, event: StartEvent) -> None:
        self.reached(event.step)

    def rings(self, order: CallOrder) -> None:
        self.write(f"RING {order.call_id}")
        self.reached("rung")

    def lives(self, step: str, call: str) -> None:
        if step == "answered":
            self.write(f"UP {call}")
        elif step == "hung_up":
            self.write(f"DOWN {call}")
        self.reached(step)

    async def hang_up_saved(self, saved: bytes) -> None:
        kind, call_id = saved.decode().removeprefix("fake ").split(" of ")
        self.write(f"{'BYE' if kind == 'dialog' else 'CANCEL'} {call_id}")
        self.reached("bye")

    async def unfinished(self, database: Database, dispatcher: Dispatcher, service_id: ServiceId) -> bool:
        return bool(await database.read(lambda c: queue.length(c, service_id)) or dispatcher.running)

    async def until_over(self, database: Database, dispatcher: Dispatcher, service_id: ServiceId) -> None:
        for _ in range(round(LONGEST_LIFE_S / 0.05)):
            waiting = await database.read(lambda c: queue.length(c, service_id))
            if not waiting and not dispatcher.running:
                return
            await asyncio.sleep(0.05)

    async def live(self, folder: Path, accept: int) -> None:
        with node.open_database(folder) as database:
            self.reached("opened")
            found = database.write_now(
                lambda c: recovery.take_over(
                    c, incarnation=database.incarnation, now=time.time(), records=DEFAULT_SETTINGS
                )
            )
            self.reached("taken_over")

            async def ask_final(order: InstanceOrder, /, *, facts: CallFacts, outcome: Outcome) -> None:
                if await database.write(lambda c: ledger.stamp_final_asked(c, order.instance_id, time.time())):
                    self.reached("final_stamped")
                    self.write(f"FINAL {order.call_id}")

            engine = FakeEngine(on_ring=self.rings, speed=5.0)
            identifiers = node.counted_identifiers(first=1_000_000 * database.incarnation)
            dispatcher = node.make_dispatcher(
                database,
                engine,
                identifiers=identifiers,
                events=self.told,
                run_instance=node.instance_without_pages(database, engine, talk_s=0.02, reached=self.lives),
            )
            async with asyncio.timeout(LONGEST_LIFE_S), node.dispatching(dispatcher), asyncio.TaskGroup() as group:
                group.create_task(
                    recovery.end_abandoned(
                        found,
                        database=database,
                        hang_up_saved=self.hang_up_saved,
                        ask_final=ask_final,
                        clock=time.time,
                        records=DEFAULT_SETTINGS,
                        events=self.told,
                    )
                )
                service = database.read_now(lambda c: get_service(c, ServiceId(1)))
                for number in range(accept):
                    call = node.call_to(DESTINATIONS[number % len(DESTINATIONS)])
                    enqueued = await database.write(
                        partial(node.enqueue, service=service, calls=[call], identifiers=identifiers, now=time.time())
                    )
                    self.reached("committed")
                    self.write(f"ACCEPTED {enqueued.references[0]}")
                    dispatcher.wake(service.id)
                self.write("READY")
                await self.until_over(database, dispatcher, service.id)
        self.write("DONE")


def fork(folder: str, log: str, accept: int, die_at: str) -> int:
    """Begin a life; return its process id."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    os.dup2(2, 1)  # the output tells of processes only; a life's log goes beside it
    try:
        asyncio.run(Life(Path(log), die_at).live(Path(folder), accept))
        code = 0
    except Exception:
        traceback.print_exc()
    finally:
        os._exit(code)


def main() -> None:
    for line in iter(sys.stdin.readline, ""):
        pid = fork(*json.loads(line))
        print(pid, flush=True)  # noqa: T201
        _, status = os.waitpid(pid, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
