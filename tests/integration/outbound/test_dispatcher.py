from __future__ import annotations

import asyncio
import time
from pathlib import Path

from callwright.outbound.events import Step
from callwright.outbound.start import StartState
from callwright.testing.fake_engine import FakeEngine
from tests.support import outbound_node as node


def test_a_start_becomes_one_call_and_finishes_with_its_records(tmp_path: Path) -> None:
    async def scenario() -> None:
        with node.open_database(tmp_path) as database:
            service = database.write_now(lambda c: node.add_service(c, node.add_account(c).id))
            engine, told = FakeEngine(), node.Told()
            dispatcher = node.make_dispatcher(database, engine, events=told)
            async with node.dispatching(dispatcher):
                enqueued = await database.write(
                    lambda c: node.enqueue(
                        c, service, [node.call_to()], identifiers=node.counted_identifiers(), now=time.time()
                    )
                )
                dispatcher.wake(service.id)
                (reference,) = enqueued.references
                await told.until(lambda told: Step.FINISHED in told.steps(reference))
            assert told.steps(reference) == [Step.CLAIMED, Step.STAMPED, Step.DIALLING, Step.FINISHED]
            status = node.status_of(database, service.account_id, reference)
            assert (status.state, status.return_code) == (StartState.FINISHED, 0)
            assert [order.call_id.partition(".")[0] for order in engine.orders] == [status.instance_id.partition(".")[0]]

    asyncio.run(scenario())
