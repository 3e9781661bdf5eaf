"""How an instance begins and ends, whoever ends it and in whichever process."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from msgspec.structs import replace
from sqlalchemy import Connection
from tests.support.instances import ACCOUNT, Scene, play_out

from callwright.apps import return_codes
from callwright.apps.events import EventKind
from callwright.apps.instance import InstanceResult, ask_final_page_later, run_instance
from callwright.engine.interface import Call, CallFacts, CallFailed
from callwright.records import ledger
from callwright.testing.web_application import Reply
from callwright.values.outcome import Cause, EndedBy, answered_outcome, failed_outcome
from callwright.values.times import rest_log_name


def test_call_that_can_never_be_placed_is_passed_on_and_leaves_no_trace(tmp_path: Path) -> None:
    async def story(here: Scene) -> None:
        order = here.order()

        async def place(*_: object, **__: object) -> Call:
            facts = CallFacts(call_id=order.call_id, destination=order.destination)
            facts.outcome = failed_outcome(400, detail="impossible")
            raise CallFailed(facts)

        here.engine.place = place  # type: ignore[method-assign]
        stamped = False

        async def stamp(saved: bytes) -> None:
            nonlocal stamped
            stamped = True

        with pytest.raises(CallFailed, match="impossible"):
            await run_instance(order, stamp, around=here.around)
        assert not stamped
        assert here.web.asked == []
        assert list(here.logs_root.rglob("*.log")) == []

    play_out(tmp_path, story)


def test_refused_stamp_is_passed_on_and_nothing_is_dialled_asked_or_logged(tmp_path: Path) -> None:
    async def story(here: Scene) -> None:
        async def refuse(saved: bytes) -> None:
            raise LookupError("withdrawn")

        with pytest.raises(LookupError, match="withdrawn"):
            await run_instance(here.order(), refuse, around=here.around)
        assert here.engine.orders == []
        assert here.web.asked == []
        assert list(here.logs_root.rglob("*.log")) == []

    play_out(tmp_path, story)


def test_cancelled_instance_hangs_up_asks_the_final_page_and_closes_its_records(tmp_path: Path) -> None:
    async def story(here: Scene) -> None:
        here.web.page("/first", {"sleep": {"seconds": 100000}})
        order = here.order()
        running = asyncio.create_task(here.run(order))
        await here.web.wait_for("/first")
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert not here.engine.calls[-1].is_up
        assert here.web.paths() == ["/first", "/final"]
        assert (await here.status(order))["adr"]["exit_status"] == return_codes.CANCELLED

    play_out(tmp_path, story, speed=1.0)


def test_instance_cancelled_again_and_again_still_ends_in_order(tmp_path: Path) -> None:
    async def story(here: Scene) -> None:
        here.web.page("/first", {"sleep": {"seconds": 100000}})
        here.web.reply("/final", Reply(delay_s=0.3))
        order = here.order()
        running = asyncio.create_task(here.run(order))
        await here.web.wait_for("/first")
        running.cancel()
        await here.web.wait_for("/final")
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert (await here.status(order))["adr"]["exit_status"] == return_codes.CANCELLED

    play_out(tmp_path, story, speed=1.0)


def test_instance_cancelled_while_it_rings_is_recorded_as_given_up(tmp_path: Path) -> None:
    async def story(here: Scene) -> None:
        order = here.order("999005550004")
        running = asyncio.create_task(here.run(order))
        await here.wait_for(EventKind.DIALLING)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert here.web.paths() == ["/final"]
        assert (await here.status(order))["cdrs"][order.call_id]["hangup_cause"] == "NOANSWER(487)"

    play_out(tmp_path, story, speed=1.0)


@pytest.mark.parametrize("final", [True, False])
def test_start_is_settled_in_the_transaction_that_closes_the_records(tmp_path: Path, final: bool) -> None:
    async def story(here: Scene) -> None:
        here.web.page("/first", {"hang_up": {}})
        seen: list[tuple[object, InstanceResult]] = []
        order = here.order(final=final)

        def settle(c: Connection, result: InstanceResult) -> None:
            seen.append((ledger.application_status(c, ACCOUNT, order.instance_id), result))
            raise LookupError("no such start")

        with pytest.raises(LookupError, match="no such start"):
            await here.run(replace(order, settle=settle))
        ((closed, result),) = seen
        assert closed is not None
        assert (result.return_code, result.outcome.cause) == (return_codes.COMPLETED, Cause.NORMAL)
        left = await here.around.database.read(ledger.open_instances)
        assert [instance.adr.instance_id for instance in left] == [order.instance_id], "both happen, or neither"
        assert len(left[0].calls) == (0 if final else 1), "the call's record is closed before the final page is asked"

    play_out(tmp_path, story)


def test_final_page_that_was_asked_before_is_not_asked_again(tmp_path: Path) -> None:
    async def story(here: Scene) -> None:
        here.web.page("/first", {"sleep": {"seconds": 1}})
        order = here.order()
        running = asyncio.create_task(here.run(order))
        await here.web.wait_for("/first")
        await here.around.database.write(lambda c: ledger.stamp_final_asked(c, order.instance_id, 1.0))
        assert (await running).return_code == return_codes.COMPLETED
        assert here.web.paths() == ["/first"]

    play_out(tmp_path, story, speed=1.0)


def test_final_page_of_an_instance_left_behind_is_asked_once(tmp_path: Path) -> None:
    async def story(here: Scene) -> None:
        order = here.order()
        await here.opening(order)(b"")
        facts = CallFacts(call_id=order.call_id, destination=order.destination, answered_at=100.0, ended_at=107.5)
        outcome = answered_outcome(ended_by=EndedBy.PLATFORM)
        assert await ask_final_page_later(order, facts, outcome, around=here.around)
        assert not await ask_final_page_later(order, facts, outcome, around=here.around)
        assert here.web.paths() == ["/final"]
        call = here.web.infos("/final")[0]["this_call"]
        assert (call["call_state"], call["call_cause"], call["seconds_call_duration"]) == ("idle", "completed", 7.5)

    play_out(tmp_path, story)


def test_log_of_an_instance_left_behind_is_carried_on_and_gets_its_second_name(tmp_path: Path) -> None:
    async def story(here: Scene) -> None:
        order = here.order()
        await here.opening(order)(b"")
        folder = here.around.log_folder(order.account_id)
        begun = folder / rest_log_name(order.started_at, order.instance_id)
        begun.parent.mkdir(parents=True)
        begun.write_text("before the crash\n")
        ended_at = order.started_at + 7.5
        facts = CallFacts(call_id=order.call_id, destination=order.destination, ended_at=ended_at)
        later = replace(order, started_at=order.started_at + 2.0)  # as the records know it
        await ask_final_page_later(later, facts, answered_outcome(ended_by=EndedBy.PLATFORM), around=here.around)
        second = folder / rest_log_name(ended_at, order.instance_id)
        assert second.samefile(begun)
        lines = second.read_text().splitlines()
        assert lines[0] == "before the crash"
        assert "the platform restarted" in lines[1]
        assert here.web.infos("/final")[0]["log_filename"] == str(begun.relative_to(folder))

    play_out(tmp_path, story)
