"""``callwright explain`` and the pages of error numbers."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import Connection
from tests.support.command_line import command
from tests.support.web_node import WebNode, service_login, web_node

from callwright.outbound import claims, dialling
from callwright.outbound.reasons import Reason
from callwright.outbound.retry import Unreached
from callwright.outbound.transactions import close_abandoned
from callwright.records import ledger
from callwright.values.ids import CallId, InstanceId, ServiceId, ServiceReference
from callwright.values.outcome import EndedBy, answered_outcome, failed_outcome
from callwright.web.answers import ErrorExplanation
from callwright.web.error_catalogue import CATALOGUE

SOURCES = Path(__file__).parents[3] / "src/callwright/web"
INSTANCE = InstanceId("100d73cb12cbf845.8089")


async def _start(node: WebNode, to: str = "sip:a@b.example", **wishes: object) -> ServiceReference:
    call = json.dumps({"to": to, "from": "441908273800", **wishes})
    _, body, _ = await node.ask("POST", "/service_start", headers=service_login(), data={"rest_calls": call})
    return ServiceReference(body[0])


def _refuse(c: Connection, now: float, reason: str) -> None:
    (start,) = claims.claim(c, ServiceId(1), limit=1, incarnation=1, now=now)
    assert claims.fail(c, start.id, incarnation=1, reason=reason, now=now)


def _run_busy(
    c: Connection, node: WebNode, *, return_code: int, instance: InstanceId = INSTANCE, is_tried_again: bool = False
) -> None:
    now = node.clock()
    (start,) = claims.claim(c, ServiceId(1), limit=1, incarnation=1, now=now)
    dialling.stamp(c, start, instance_id=instance, incarnation=1, now=now, slot_at=now)
    call_id = CallId(f"{instance}.1")
    ledger.open_adr(
        c,
        instance_id=instance,
        account_id=start.account_id,
        application_name="outbound_test",
        started_at=now,
        reference=start.reference,
        rest_to=start.given_to or "",
    )
    ledger.open_cdr(
        c,
        call_id=call_id,
        instance_id=instance,
        destination_address="tel:443069990123",
        originating_user="x",
        initiated_at=now,
    )
    ledger.close_cdr(c, call_id, outcome=failed_outcome(486), ended_at=now + 2, settings=node.edge.records)
    ledger.close_adr(c, instance, stopped_at=now + 3, exit_status=return_code, settings=node.edge.records)
    if is_tried_again:
        assert dialling.try_again(c, start, instance, return_code=return_code, how=Unreached.BUSY, now=now)
    else:
        dialling.finish(c, instance, return_code=return_code, now=now + 3)


@pytest.mark.parametrize("number", list(CATALOGUE))
def test_every_error_number_is_explained_without_a_node(tmp_path: Path, number: str) -> None:
    result = asyncio.run(command(tmp_path, "explain", number))
    assert result.exit_code == 0
    for text in (CATALOGUE[number].text, CATALOGUE[number].cause, CATALOGUE[number].cure):
        assert text in result.output


def test_an_http_code_may_be_written_as_answers_write_it(tmp_path: Path) -> None:
    assert "Unauthorized" in asyncio.run(command(tmp_path, "explain", "HTTP 401")).output
    wrong = asyncio.run(command(tmp_path, "explain", "0999"))
    assert wrong.exit_code == 1
    assert "callwright has no error 0999" in str(wrong.exception)


def test_a_start_that_waits_is_explained_with_what_holds_it(tmp_path: Path) -> None:
    async def run() -> None:
        async with web_node(tmp_path, admin=True) as node:
            node.add_service(node.add_account()[0])
            reference = await _start(node)
            said = (await command(tmp_path, "explain", reference)).output
            for word in (
                reference,
                "outbound_test of bob@example.com",
                "sip:a@b.example",
                "queued",
                "callwright cancel",
            ):
                assert word in said
            await node.ask("GET", f"/service_cancel?service_refs={reference}", headers=service_login())
            said = (await command(tmp_path, "explain", reference)).output
            assert "taken back before anybody was dialled" in said

    asyncio.run(run())


@pytest.mark.parametrize("reason", [*Reason, "No route: no trunk is configured", "Conferences are not available"])
def test_a_start_that_could_not_run_is_explained_with_its_cure(tmp_path: Path, reason: str) -> None:
    async def run() -> None:
        async with web_node(tmp_path, admin=True) as node:
            node.add_service(node.add_account()[0])
            reference = await _start(node)
            await node.db.write(lambda c: _refuse(c, node.clock(), reason))
            said = (await command(tmp_path, "explain", reference)).output
            assert f"couldnotrun {reason}" in said
            assert re.search(r"^means +\S", said, re.MULTILINE)
            assert re.search(r"^do +\S", said, re.MULTILINE)

    asyncio.run(run())


@pytest.mark.parametrize(
    ("return_code", "words"), [(0, ()), (-10, ("page request failed", "2008", "which page failed"))]
)
def test_a_start_that_ran_is_explained_with_its_calls_errors_and_log(
    tmp_path: Path, return_code: int, words: tuple[str, ...]
) -> None:
    async def run() -> None:
        async with web_node(tmp_path, admin=True) as node:
            node.add_service(node.add_account()[0])
            reference = await _start(node, "tel:443069990123")
            await node.db.write(lambda c: _run_busy(c, node, return_code=return_code))
            said = (await command(tmp_path, "explain", reference)).output
            expected = (
                f"completed {return_code}",
                INSTANCE,
                "BUSY(486): the called party was busy (SIP 486)",
                "logs/rest/1/2013/04/22/rest_14_33_15_100d73cb12cbf845.8089.log",
            )
            for word in (*expected, *words):
                assert word in said, said

    asyncio.run(run())


def test_a_start_that_was_tried_again_is_explained_with_the_calls_of_every_attempt(tmp_path: Path) -> None:
    async def run() -> None:
        async with web_node(tmp_path, admin=True) as node:
            node.add_service(node.add_account()[0])
            reference = await _start(node, "tel:443069990123", retry={"busy": {"after": 5, "times": 1}})
            first = InstanceId("aaaaaaaaaaaaaaaa.1")
            await node.db.write(lambda c: _run_busy(c, node, return_code=0, instance=first, is_tried_again=True))
            said = (await command(tmp_path, "explain", reference)).output
            assert "for attempt 2 and is due at" in said
            assert f"{first}.1 to" in said
            node.clock.now += 6
            await node.db.write(lambda c: _run_busy(c, node, return_code=0))
            said = (await command(tmp_path, "explain", reference)).output
            assert re.search(r"^attempts +2$", said, re.MULTILINE)
            assert said.index(f"{first}.1 to") < said.index(f"{INSTANCE}.1 to")
            assert "Nobody answered" in said

    asyncio.run(run())


def test_what_to_do_after_a_restart_is_said_once(tmp_path: Path) -> None:
    async def run() -> None:
        async with web_node(tmp_path, admin=True) as node:
            node.add_service(node.add_account()[0])
            reference = await _start(node, "tel:443069990123")
            await node.db.write(lambda c: _run_busy(c, node, return_code=-90))
            said = (await command(tmp_path, "explain", reference)).output
            assert "2008: " in said
            assert said.count("callwright does not call again") == 1
            assert CATALOGUE["2008"].cure not in said

    asyncio.run(run())


def _place(c: Connection, node: WebNode) -> CallId:
    """Stamp the start that waits and open its records, as before its INVITE."""
    now = node.clock()
    (start,) = claims.claim(c, ServiceId(1), limit=1, incarnation=1, now=now)
    dialling.stamp(c, start, instance_id=INSTANCE, incarnation=1, now=now, slot_at=now)
    call_id = CallId(f"{INSTANCE}.1")
    ledger.open_adr(
        c,
        instance_id=INSTANCE,
        account_id=start.account_id,
        application_name="outbound_test",
        started_at=now,
        reference=start.reference,
    )
    ledger.open_cdr(
        c,
        call_id=call_id,
        instance_id=INSTANCE,
        destination_address="tel:443069990123",
        originating_user="x",
        initiated_at=now,
    )
    return call_id


def _restart(c: Connection, node: WebNode) -> None:
    close_abandoned(c, INSTANCE, now=node.clock() + 9, settings=node.edge.records)


def test_an_answered_call_that_a_crash_cut_off_has_one_story(tmp_path: Path) -> None:
    def cut_off(c: Connection, node: WebNode) -> None:
        call_id = _place(c, node)
        ledger.save_call(c, call_id, b"moved", detail=f"redirected to sip:{'a' * 500}@x")
        ledger.mark_answered(c, call_id, node.clock() + 1, b"dialog")
        _restart(c, node)

    said = asyncio.run(_explained(tmp_path, cut_off))
    assert "completed -90" in said
    assert "The platform stopped while the call was up, and hung up when it ran again" in said
    assert "somebody answered and was cut off" in said
    assert re.search(r"NORMAL\(200\): it was answered$", said, re.MULTILINE)
    assert "said       redirected to sip:aaa" in said
    assert (
        "; the platform stopped while it was up and hung up when it ran again: how long it lasted is not known" in said
    )
    assert "may have rung" not in said
    assert "ended normally" not in said


def test_a_call_that_a_crash_left_ringing_may_have_rung(tmp_path: Path) -> None:
    def lost(c: Connection, node: WebNode) -> None:
        _place(c, node)
        _restart(c, node)

    said = asyncio.run(_explained(tmp_path, lost))
    assert "ERROR(0)" in said
    assert "the telephone may have rung" in said
    assert "was up" not in said


def test_a_call_that_was_over_before_the_crash_keeps_its_own_end(tmp_path: Path) -> None:
    def over(c: Connection, node: WebNode) -> None:
        ledger.close_cdr(c, _place(c, node), outcome=failed_outcome(486), ended_at=node.clock() + 2)
        _restart(c, node)

    said = asyncio.run(_explained(tmp_path, over))
    assert "BUSY(486): the called party was busy" in said
    assert "The call was over when the platform stopped" in said
    assert "rung" not in said


def test_a_call_the_operator_hung_up_did_not_end_normally(tmp_path: Path) -> None:
    def hung_up(c: Connection, node: WebNode) -> None:
        call_id, end = _place(c, node), node.clock() + 2
        ledger.mark_answered(c, call_id, node.clock() + 1, b"dialog")
        ledger.close_cdr(c, call_id, outcome=answered_outcome(ended_by=EndedBy.APPLICATION), ended_at=end)
        ledger.close_adr(c, INSTANCE, stopped_at=end, exit_status=-80, settings=node.edge.records)
        dialling.finish(c, INSTANCE, return_code=-80, now=end)

    said = asyncio.run(_explained(tmp_path, hung_up))
    assert "ended by the operator" in said
    assert re.search(r"NORMAL\(200\): it was answered$", said, re.MULTILINE)


def test_where_a_redirection_led_is_told_while_the_call_is_up_and_with_its_end(tmp_path: Path) -> None:
    call_id = CallId(f"{INSTANCE}.1")

    def up(c: Connection, node: WebNode) -> None:
        _place(c, node)
        assert ledger.save_call(c, call_id, b"moved", detail="redirected to sip:1@x")
        assert ledger.save_call(c, call_id, b"moved again")
        ledger.mark_answered(c, call_id, node.clock() + 1, b"dialog")

    def over(c: Connection, node: WebNode) -> None:
        up(c, node)
        outcome = answered_outcome(ended_by=EndedBy.FAR_END, detail="Q.850;cause=16")
        ledger.close_cdr(c, call_id, outcome=outcome, ended_at=node.clock() + 2)

    (tmp_path / "up").mkdir()
    (tmp_path / "over").mkdir()
    said = asyncio.run(_explained(tmp_path / "up", up))
    assert "Its call is up." in said
    assert re.search(r"^said +redirected to sip:1@x$", said, re.MULTILINE)
    said = asyncio.run(_explained(tmp_path / "over", over))
    assert re.search(r"^said +redirected to sip:1@x; Q.850;cause=16$", said, re.MULTILINE)


async def _explained(folder: Path, story: Callable[[Connection, WebNode], None]) -> str:
    """Return what ``callwright explain`` says of a start after ``story`` happened to it."""
    async with web_node(folder, admin=True) as node:
        node.add_service(node.add_account()[0])
        reference = await _start(node, "tel:443069990123")
        await node.db.write(lambda c: story(c, node))
        return (await command(folder, "explain", reference)).output


def test_a_reference_nobody_knows_is_one_clear_error(tmp_path: Path) -> None:
    async def run() -> None:
        async with web_node(tmp_path, admin=True):
            result = await command(tmp_path, "explain", "2e891aea_0.1.1")
            assert result.exit_code == 1
            assert "no start has the reference '2e891aea_0.1.1'" in str(result.exception)

    asyncio.run(run())


def test_the_page_of_every_number_is_there_for_people_and_for_programs(tmp_path: Path) -> None:
    async def run() -> None:
        async with web_node(tmp_path) as node:
            status, index, headers = await node.ask("GET", "/errors")
            assert (status, headers["Content-Type"]) == (200, "text/html; charset=utf-8")
            for number, entry in CATALOGUE.items():
                assert f'href="/errors/{number}"' in index
                _, page, headers = await node.ask("GET", f"/errors/{number}")
                assert f"<h1>{entry.code}: {entry.text}</h1>" in page
                assert "default-src 'none'" in headers["Content-Security-Policy"]
                _, body, _ = await node.ask("GET", f"/errors/{number}", headers={"Accept": "application/json"})
                assert msgspec.convert(body, ErrorExplanation).cure == entry.cure
            _, body, _ = await node.ask("GET", "/errors", headers={"Accept": "application/json"})
            assert len(msgspec.convert(body, list[ErrorExplanation])) == len(CATALOGUE)
            assert (await node.ask("GET", "/errors/9999"))[0] == 404

    asyncio.run(run())


def test_every_number_the_web_services_answer_is_in_the_catalogue() -> None:
    named = [
        number
        for path in SOURCES.rglob("*.py")
        for number in re.findall(r'(?:problem|HttpProblem|_refuse)\(\s*"(\d{3,4})"', path.read_text())
    ]
    assert len(named) > 20
    assert set(named) <= set(CATALOGUE)
