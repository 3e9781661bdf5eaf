"""The documented examples of the hosted cloud's web services, answered by the real application from real rows."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import Connection
from tests.support.web_caller import Answer, call
from tests.support.web_node import WebNode, key_login, seed_references, service_login, web_node

from callwright.accounts.service import ApplicationKind
from callwright.outbound import claims, dialling, queue
from callwright.outbound.request import StartRequest, digest
from callwright.records import ledger
from callwright.records.settings import RateCard, RecordSettings
from callwright.values.ids import CallId, InstanceId, ServiceReference
from callwright.values.money import money
from callwright.values.outcome import EndedBy, answered_outcome
from callwright.web.app import make_app

EXAMPLES = Path(__file__).parents[2] / "data/seeds"
LINKS = "https://www.aculab.com/cloud/other-apis/web-services/web-service-errors?error="
DOMAIN = "sip-{cloud_id}.aculab.com"


def same_as_documented(answer: Answer, expected: str) -> None:
    """Compare value by value, with the order of the members and the spelling of every number."""
    assert answer.status == 200, answer.body
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    documented = json.dumps(json.loads(expected), separators=(",", ":"), ensure_ascii=False)
    assert answer.body.decode() == documented


def test_service_start_of_two_calls_answers_two_references(tmp_path: Path) -> None:
    rest_calls = """ [ { "to" : "441908283800", "from" : "441908283801", "token" : "token1",
        "outbound_parameters" : "some user data" }, { "to" : "sip:bob@acompany.com", "token" : "token2",
        "extra_sip_headers": [ { "name": "X-AccountInfo", "value": "bob/123456789" } ] } ]"""

    async def run() -> None:
        async with web_node(tmp_path, listen=False) as node:
            account, _ = node.add_account()
            node.add_service(account)
            target = f"/service_start?rest_calls={quote(rest_calls)}"
            answer = await call(make_app(node.edge), "GET", target, headers=service_login())
            same_as_documented(answer, '["2e891aea_0.1366641192.77832", "2e891aea_0.1366641192.77833"]')
            assert node.wakes, "the dispatcher was not told"

    asyncio.run(run())


def test_service_start_of_a_uas_application_splits_its_parameters(tmp_path: Path) -> None:
    async def run() -> None:
        async with web_node(tmp_path, listen=False) as node:
            account, _ = node.add_account()
            service = node.add_service(account, kind=ApplicationKind.UAS)
            target = "/service_start?outbound_parameters=destinationForApp1,destinationForApp2&delimiter=,"
            answer = await call(make_app(node.edge), "GET", target, headers=service_login())
            same_as_documented(answer, '["2e891aea_0.1366641192.77832", "2e891aea_0.1366641192.77833"]')
            claimed = node.db.write_now(
                lambda c: claims.claim(c, service.id, limit=9, incarnation=node.db.incarnation, now=node.clock())
            )
            assert [start.outbound_parameters for start in claimed] == ["destinationForApp1", "destinationForApp2"]

    asyncio.run(run())


def test_service_cancel_answers_success_and_unknown(tmp_path: Path) -> None:
    async def run() -> None:
        async with web_node(tmp_path, listen=False) as node:
            _, key = _queued(node, 1)
            target = "/service_cancel?service_refs=2e891aea_0.1366641192.77832/2e891aea_0.1366641192.77834"
            answer = await call(make_app(node.edge), "GET", target, headers=key_login(key))
            same_as_documented(
                answer, '{"2e891aea_0.1366641192.77832": "success", "2e891aea_0.1366641192.77834": "unknown"}'
            )

    asyncio.run(run())


def test_service_status_answers_a_completed_start_and_one_that_could_not_run(tmp_path: Path) -> None:
    expected = """{
        "2e891aea_0.1366641192.77832": {"status": "completed 0", "application_status_eta": 1366710198,
            "application_instance_id": "049136ca36e44662.200476"},
        "2e891aea_0.1366641192.77834": {"status": "couldnotrun No UAS is connected", "application_status_eta": 0,
            "application_instance_id": ""}}"""

    async def run() -> None:
        async with web_node(tmp_path, listen=False) as node:
            service_id, key = _queued(node, 3)

            def happen(c: Connection) -> None:
                claim = {"incarnation": node.db.incarnation, "now": node.clock()}
                first, _, third = claims.claim(c, service_id, limit=3, **claim)  # type: ignore[arg-type]
                instance = InstanceId("049136ca36e44662.200476")
                assert dialling.stamp(c, first, instance_id=instance, slot_at=node.clock(), **claim)  # type: ignore[arg-type]
                assert dialling.finish(c, instance, return_code=0, now=1366710197.4)
                assert claims.fail(c, third.id, reason="No UAS is connected", **claim)  # type: ignore[arg-type]

            node.db.write_now(happen)
            target = "/service_status?service_refs=2e891aea_0.1366641192.77832/2e891aea_0.1366641192.77834"
            same_as_documented(await call(make_app(node.edge), "GET", target, headers=key_login(key)), expected)

    asyncio.run(run())


def test_application_status_of_a_rest_application(tmp_path: Path) -> None:
    settings = RecordSettings(
        rates=RateCard(platform=money("0.01"), pstn=money("0.016"), tts=money("0.0072"), tts_neural=money("0.0192")),
        cdr_rated=False,
        error_link=LINKS,
        sip_domain=DOMAIN,
    )
    instance, call_id = InstanceId("100d73cb12cbf845.8089"), CallId("100d73cb12cbf845.106285.246346213")

    async def run() -> None:
        async with web_node(tmp_path, records=settings, listen=False) as node:
            account, key = node.add_account()

            def happen(c: Connection) -> None:
                ledger.open_adr(
                    c,
                    instance_id=instance,
                    account_id=account.id,
                    application_name="outbound_test",
                    started_at=1552572916.21,
                    rest_to="tel:443069990123",
                    rest_from="443069999876",
                    rest_initial_token="9176280",
                )
                ledger.open_cdr(
                    c,
                    call_id=call_id,
                    instance_id=instance,
                    destination_address="tel:443069990123",
                    originating_user="443069999876",
                    initiated_at=1552572916.39,
                )
                ledger.mark_answered(c, call_id, 1552572916.97, b"dialog")
                ledger.add_tts(c, instance, seconds=15.0, neural=False)
                hung_up = answered_outcome(ended_by=EndedBy.FAR_END)
                ledger.close_cdr(c, call_id, ended_at=1552572949.07, outcome=hung_up, settings=settings)
                ledger.close_adr(c, instance, stopped_at=1552572949.42, exit_status=0, settings=settings)

            node.db.write_now(happen)
            target = f"/application_status?application_instance_id={instance}"
            answer = await call(make_app(node.edge), "GET", target, headers=key_login(key))
            same_as_documented(answer, (EXAMPLES / "application_status_rest.json").read_text())

    asyncio.run(run())


def test_application_status_of_a_uas_application_that_failed(tmp_path: Path) -> None:
    settings = RecordSettings(
        rates=RateCard(
            platform=money("0.01"),
            tollfree=money("0.057"),
            tollfree_prefixes=("44306999",),
            tts=money("0.0072"),
            tts_neural=money("0.0192"),
        ),
        include_neural_in_total=False,
        cdr_rated=False,
        error_link=LINKS,
        sip_domain=DOMAIN,
    )
    instance, call_id = InstanceId("049136ca36e44662.200476"), CallId("049136ca36e44662.209560.914358273")

    async def run() -> None:
        async with web_node(tmp_path, records=settings, listen=False) as node:
            account, key = node.add_account()

            def happen(c: Connection) -> None:
                ledger.open_adr(
                    c,
                    instance_id=instance,
                    account_id=account.id,
                    application_name="outbound_test",
                    started_at=1366725525.81,
                    application="uas",
                    application_parameters="443069990123",
                    outbound_parameters="443069990123;hello there",
                    uas_application_name="outbound_reminder",
                    uas_ip_address="123.100.100.223",
                    uas_name="Prod001",
                )
                ledger.open_cdr(
                    c,
                    call_id=call_id,
                    instance_id=instance,
                    destination_address="tel:443069990123",
                    originating_user="443069990123",
                    initiated_at=1366725525.86,
                )
                ledger.mark_answered(c, call_id, 1366725535.11, b"dialog")
                ledger.add_tts(c, instance, seconds=15.0, neural=True)
                hung_up = answered_outcome(ended_by=EndedBy.FAR_END)
                ledger.close_cdr(c, call_id, ended_at=1366725536.31, outcome=hung_up, settings=settings)
                ledger.close_adr(c, instance, stopped_at=1366725536.67, exit_status=-111, settings=settings)

            node.db.write_now(happen)
            target = f"/application_status?application_instance_id={instance}"
            answer = await call(make_app(node.edge), "GET", target, headers=key_login(key))
            same_as_documented(answer, (EXAMPLES / "application_status_uas.json").read_text())

    asyncio.run(run())


def test_job_status_in_the_misspelling_of_its_example(tmp_path: Path) -> None:
    unique_id = "452f1997-73ac-4b40-aaa9-f5516fe6b119"

    async def run() -> None:
        async with web_node(tmp_path, listen=False) as node:
            _, key = _queued(node, 2, unique_id=unique_id)
            app = make_app(node.edge)
            expected = """{"queued": 2, "service_refs": ["2e891aea_0.1366641192.77832",
                "2e891aea_0.1366641192.77833"], "count": 2}"""
            for query in (f"unqiue_id={unique_id},", f"unique_id={unique_id}"):
                same_as_documented(await call(app, "GET", f"/job_status?{query}", headers=key_login(key)), expected)

    asyncio.run(run())


def test_the_queues_are_answered_as_documented(tmp_path: Path) -> None:
    async def run() -> None:
        async with web_node(tmp_path, listen=False) as node:
            _, key = _queued(node, 12)
            app, own = make_app(node.edge), "/service/v1/outbound/outbound_test/queue"
            length = '{"service_name": "outbound_test", "length": 12}'
            asked = [
                ("GET", "/service/v1/outbound_queues", f"[{length}]"),
                ("GET", own, length),
                ("DELETE", own, '{"service_name": "outbound_test", "purged": 12}'),
                ("GET", "/service/v1/outbound_queues", "[]"),
            ]
            for method, target, expected in asked:
                same_as_documented(await call(app, method, target, headers=key_login(key)), expected)

    asyncio.run(run())


def test_an_error_is_answered_as_documented(tmp_path: Path) -> None:
    async def run() -> None:
        async with web_node(tmp_path, listen=False) as node:
            _, key = node.add_account()
            edge = replace(node.edge, link_base="https://docs.example.net/errors?error=")
            node.clock.now = 1740910531.5
            answer = await call(make_app(edge), "GET", "//application_status/", headers=key_login(key))
            assert answer.status == 400
            assert answer.headers["content-type"] == "application/json; charset=utf-8"
            assert answer.body.decode() == (
                '{"error":{"code":"0001","text":"Missing mandatory parameter: application_instance_id",'
                '"datetime":"2025-03-02_10:15:31","link":"https://docs.example.net/errors?error=0001"},'
                '"request":{"url":"/application_status","datetime":"2025-03-02_10:15:31"}}'
            )
            page = await call(
                make_app(edge), "GET", "/application_status", headers=key_login(key) | {"Accept": "text/html"}
            )
            assert page.headers["content-type"] == "text/html; charset=utf-8"
            assert page.body.decode() == (
                "<html><head><title>400 Bad Request</title></head><body><h1>400 Bad Request</h1>"
                "<p>0001: Missing mandatory parameter: application_instance_id</p></body></html>"
            )

    asyncio.run(run())


def _queued(node: WebNode, count: int, *, unique_id: str | None = None) -> tuple[int, str]:
    """Queue starts with the references of the examples; return the service's id and the access key."""
    account, key = node.add_account()
    service = node.add_service(account)
    calls = [StartRequest(given_to="sip:bob@acompany.com")] * count
    new_reference = seed_references()
    made: list[ServiceReference] = node.db.write_now(
        lambda c: queue.enqueue(
            c,
            account_id=account.id,
            service_id=service.id,
            calls=calls,
            digest=digest(service.name, calls),
            unique_id=unique_id,
            now=node.clock(),
            new_reference=new_reference,
        )
    ).references
    assert len(made) == count
    return service.id, key
