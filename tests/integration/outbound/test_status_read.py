"""Reading the states that many ask for together gives what reading them one by one gives."""

from __future__ import annotations

import asyncio
import json
from functools import partial
from pathlib import Path
from typing import Any

from msgspec import to_builtins
from sqlalchemy import Connection
from tests.support.web_node import web_node

from callwright.outbound import claims, dialling, queue
from callwright.outbound.intake import Enqueued
from callwright.outbound.request import StartRequest
from callwright.outbound.status_read import Asked, known
from callwright.values.ids import AccountId, InstanceId, ServiceId, ServiceReference
from callwright.web.status_batches import answers
from callwright.web.status_words import status_answer

ODD = 'No route: "quotes", ünïcode, \\ and \n lines'
NOWS = (1366725536.1099123, 1366725537.0000002, 1366725538.0)  # the second has more digits than SQLite's JSON keeps


def test_every_state_is_read_as_the_queue_reads_it(tmp_path: Path) -> None:
    def fill(c: Connection, references: list[ServiceReference]) -> None:
        for n, now in enumerate(NOWS):
            (start,) = claims.claim(c, ServiceId(1), limit=1, incarnation=1, now=NOWS[2])
            instance = InstanceId(f"100d73cb12cbf845.{n}")
            dialling.stamp(c, start, instance_id=instance, incarnation=1, now=now, slot_at=now)
            if n:
                dialling.finish(c, instance, return_code=-n, now=now)
        (failed,) = claims.claim(c, ServiceId(1), limit=1, incarnation=1, now=NOWS[2])
        claims.fail(c, failed.id, incarnation=1, reason=ODD, now=NOWS[1])
        claims.claim(c, ServiceId(1), limit=1, incarnation=1, now=NOWS[2])
        queue.cancel(c, account_id=AccountId(1), references=references[-1:], now=NOWS[0])

    async def run() -> None:
        async with web_node(tmp_path, listen=False) as node:
            account, _ = node.add_account()
            service, other = node.add_service(account), node.add_service(account, "other")
            stranger, _ = node.add_account("eve@example.com")

            def start(c: Connection) -> Enqueued:
                return queue.enqueue(
                    c,
                    account_id=account.id,
                    service_id=service.id,
                    calls=[StartRequest(given_to="sip:a@b")] * 7,
                    digest=bytes(32),
                    unique_id=None,
                    now=NOWS[0],
                    new_reference=node.edge.new_reference,
                )

            references = (await node.db.write(start)).references
            await node.db.write(lambda c: fill(c, references))
            asked = [*references, ServiceReference("2e891aea_0.1.1"), ServiceReference("\"odd'")]
            wanted: list[Asked] = []
            said: list[object] = []
            for account_id, service_id in (
                (account.id, None),
                (account.id, service.id),
                (account.id, other.id),
                (stranger.id, None),
            ):
                what: dict[str, Any] = {"account_id": account_id, "references": asked, "service_id": service_id}
                expected = node.db.read_now(partial(queue.status, **what))
                assert len(expected) == (7 if service_id in (None, service.id) and account_id == account.id else 0)
                wanted.append(Asked(**what))
                said.append({reference: to_builtins(status_answer(expected.get(reference))) for reference in asked})
            together = node.db.read_now(partial(answers, asked=wanted))
            assert [json.loads(each) for each in together] == said
            assert [list(json.loads(each)) for each in together] == [asked] * 4
            (rows,) = node.db.read_now(partial(known, asked=wanted[:1]))
            assert len({row.state for row in rows.values()}) == 6

    asyncio.run(run())
