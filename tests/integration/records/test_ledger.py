from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, insert, update
from sqlalchemy.exc import IntegrityError
from tests.support.ledger import CALL, INSTANCE, T0, Ledger, begin_instance, open_ledger

from callwright.records import ledger
from callwright.records.features import KNOWN_TYPES
from callwright.records.reading import read_adr
from callwright.records.records import ErrorRecord
from callwright.records.settings import RateCard, RecordSettings
from callwright.records.tables import adrs, cdrs
from callwright.values.errors import RequestError
from callwright.values.ids import AccountId, CallId, InstanceId
from callwright.values.money import money
from callwright.values.outcome import EndedBy, answered_outcome, failed_outcome

BUSY = failed_outcome(486)
HUNG_UP = answered_outcome(ended_by=EndedBy.FAR_END)
PRICED = RecordSettings(rates=RateCard(platform=money("0.01"), pstn=money("0.02")))


def status(opened: Ledger, instance: InstanceId = INSTANCE, prices: RecordSettings = PRICED) -> Any:
    """The answer as a client reads it."""
    answer = opened.db.read_now(lambda c: ledger.application_status(c, opened.account.id, instance, prices))
    return json.loads(json.dumps(answer))


def test_a_record_is_open_until_it_is_closed_and_closes_once(tmp_path: Path) -> None:
    def story(c: Connection) -> list[bool]:
        begin_instance(c, opened.account)
        assert ledger.application_status(c, opened.account.id, INSTANCE) is None
        return [
            ledger.mark_answered(c, CALL, T0 + 1, b"dialog"),
            ledger.mark_answered(c, CALL, T0 + 2, b"later"),
            ledger.close_cdr(c, CALL, ended_at=T0 + 62.5, outcome=HUNG_UP, joined_s=3.456, settings=PRICED),
            ledger.close_cdr(c, CALL, ended_at=T0 + 99, outcome=BUSY),
            ledger.mark_answered(c, CALL, T0 + 2, b"later"),
            ledger.close_adr(c, INSTANCE, stopped_at=T0 + 63, exit_status=0, settings=PRICED),
            ledger.close_adr(c, INSTANCE, stopped_at=T0 + 99, exit_status=-1),
        ]

    with open_ledger(tmp_path) as opened:
        assert opened.db.write_now(story) == [True, False, True, False, False, True, False]
        answer = status(opened)
    cdr = answer["cdrs"][CALL]
    assert (cdr["duration"], cdr["joined"], cdr["hangup_cause"]) == (61.5, 3.45, "NORMAL(200)")
    assert (cdr["call_cost"], cdr["costs_valid"]) == (0.04, "true")
    adr = answer["adr"]
    assert (adr["duration"], adr["exit_status"], adr["total_cost"], adr["pstn_cost"]) == (63.0, 0, 0.06, 0.04)
    assert answer["errs"] == {}


def test_a_busy_call_was_never_connected_and_costs_nothing(tmp_path: Path) -> None:
    def story(c: Connection) -> None:
        begin_instance(c, opened.account)
        ledger.close_cdr(c, CALL, ended_at=T0 + 5, outcome=BUSY, initiated_at=T0 + 0.25, settings=PRICED)
        ledger.close_adr(c, INSTANCE, stopped_at=T0 + 5, exit_status=0, settings=PRICED)

    with open_ledger(tmp_path) as opened:
        opened.db.write_now(story)
        answer = status(opened)
    cdr = answer["cdrs"][CALL]
    assert (cdr["call_connected_time"], cdr["duration"], cdr["call_cost"]) == (0.0, 0.0, 0.0)
    assert (cdr["hangup_cause"], cdr["call_initiated_time"]) == ("BUSY(486)", T0 + 0.25)
    assert answer["adr"]["pstn_cost"] == 0.0


def test_the_answer_may_be_told_at_the_end_when_it_was_not_noted_before(tmp_path: Path) -> None:
    def story(c: Connection) -> None:
        begin_instance(c, opened.account)
        ledger.close_cdr(c, CALL, ended_at=T0 + 5, outcome=HUNG_UP, connected_at=T0 + 2)
        ledger.close_adr(c, INSTANCE, stopped_at=T0 + 5, exit_status=0)

    with open_ledger(tmp_path) as opened:
        opened.db.write_now(story)
        assert status(opened)["cdrs"][CALL]["duration"] == 3.0


def test_a_record_is_shown_to_its_own_account_only(tmp_path: Path) -> None:
    def story(c: Connection) -> None:
        begin_instance(c, opened.account, call_id=None)
        ledger.close_adr(c, INSTANCE, stopped_at=T0, exit_status=0)

    with open_ledger(tmp_path) as opened:
        opened.db.write_now(story)
        status(opened)
        other = AccountId(opened.account.id + 1)
        assert opened.db.read_now(lambda c: ledger.application_status(c, other, INSTANCE)) is None
        assert opened.db.read_now(lambda c: ledger.application_status(c, opened.account.id, "nonsense")) is None


def test_only_a_negative_return_code_makes_an_error_record_and_only_one(tmp_path: Path) -> None:
    told, silent, fine = (InstanceId(f"{n:016x}.1") for n in range(3))

    def story(c: Connection) -> None:
        for instance in (told, silent, fine):
            begin_instance(c, opened.account, instance_id=instance, call_id=None)
        assert ledger.add_error(c, told, ErrorRecord(code="0002", text="first")) == 0
        assert ledger.add_error(c, told, ErrorRecord(code="2008", text="said already")) == 1
        for instance, code in ((told, -1), (silent, -9), (fine, 3)):
            assert ledger.close_adr(c, instance, stopped_at=T0, exit_status=code)

    def texts(instance: InstanceId) -> list[object]:
        return [error["error_text"] for error in status(opened, instance)["errs"].values()]

    with open_ledger(tmp_path) as opened:
        opened.db.write_now(story)
        assert texts(told) == ["first", "said already"]
        assert texts(silent) == ["REST application [reminder]. started ok. completion status [-9]"]
        assert texts(fine) == []


def test_features_are_priced_and_added_to_the_instance(tmp_path: Path) -> None:
    prices = RecordSettings(rates=RateCard(features=(("sr", money("0.04")),)))

    def story(c: Connection) -> None:
        begin_instance(c, opened.account)
        for n, seconds in enumerate((2.5, 16.0)):
            ledger.add_fdr(
                c,
                feature_id=f"f{n}",
                instance_id=INSTANCE,
                call_id=CALL,
                kind="sr_get_input",
                started_at=T0 + n,
                stopped_at=T0 + n + seconds,
                audio_path="in",
                settings=prices,
            )
        ledger.close_adr(c, INSTANCE, stopped_at=T0 + 20, exit_status=0, settings=prices)

    with open_ledger(tmp_path) as opened:
        opened.db.write_now(story)
        answer = status(opened, prices=prices)
    assert [fdr["cost"] for fdr in answer["fdrs"].values()] == [0.01, 0.02]
    adr = answer["adr"]
    assert (adr["feature_cost"], adr["feature_seconds"], adr["total_cost"]) == (0.03, 18.5, 0.03)


def test_speech_is_counted_to_the_millisecond_while_the_instance_runs(tmp_path: Path) -> None:
    def story(c: Connection) -> bool:
        begin_instance(c, opened.account, call_id=None)
        for _ in range(10):
            assert ledger.add_tts(c, INSTANCE, seconds=0.1, neural=False)
            assert ledger.add_tts(c, INSTANCE, seconds=0.7, neural=True)
        ledger.close_adr(c, INSTANCE, stopped_at=T0, exit_status=0)
        return ledger.add_tts(c, INSTANCE, seconds=1.0, neural=True)

    with open_ledger(tmp_path) as opened:
        assert opened.db.write_now(story) is False
        adr = status(opened)["adr"]
    assert (adr["tts_seconds"], adr["tts_neural_seconds"]) == (1.0, 7.0)


def test_the_final_page_may_be_asked_for_once(tmp_path: Path) -> None:
    def story(c: Connection) -> list[bool]:
        begin_instance(c, opened.account)
        return [ledger.stamp_final_asked(c, INSTANCE, T0 + n) for n in range(3)]

    with open_ledger(tmp_path) as opened:
        assert opened.db.write_now(story) == [True, False, False]
        adr = opened.db.read_now(lambda c: read_adr(c, INSTANCE))
    assert adr is not None
    assert adr.final_asked_at == T0


def test_what_a_dead_node_left_open_is_found_with_its_saved_dialogs(tmp_path: Path) -> None:
    rung, up, over = (InstanceId(f"{n:016x}.1") for n in range(3))
    rung_call, up_call, over_call = (CallId(f"{n:016x}.1.1") for n in range(3))

    def story(c: Connection) -> None:
        for n, (instance, call) in enumerate(((rung, rung_call), (up, up_call), (over, over_call))):
            begin_instance(c, opened.account, instance_id=instance, call_id=call, started_at=T0 + n)
        ledger.mark_answered(c, up_call, T0 + 5, b"the dialog")
        ledger.mark_answered(c, over_call, T0 + 5, b"gone")
        ledger.close_cdr(c, over_call, ended_at=T0 + 9, outcome=HUNG_UP)
        ledger.close_adr(c, over, stopped_at=T0 + 9, exit_status=0)

    def recovering(instance: InstanceId) -> Callable[[Connection], bool]:
        return lambda c: ledger.close_for_recovery(c, instance, at=T0 + 60, settings=PRICED)

    with open_ledger(tmp_path) as opened:
        opened.db.write_now(story)
        calls = opened.db.read_now(ledger.open_calls)
        instances = opened.db.read_now(ledger.open_instances)
        assert [(call.cdr.call_id, call.dialog) for call in calls] == [(rung_call, None), (up_call, b"the dialog")]
        assert [(one.adr.instance_id, [call.cdr.call_id for call in one.calls]) for one in instances] == [
            (rung, [rung_call]),
            (up, [up_call]),
        ]

        for instance in (rung, up, over):
            assert opened.db.write_now(recovering(instance)) is (instance is not over)
        assert opened.db.read_now(ledger.open_calls) == []
        assert opened.db.read_now(ledger.open_instances) == []

        answers = [status(opened, instance) for instance in (rung, up)]
        causes = [next(iter(answer["cdrs"].values()))["hangup_cause"] for answer in answers]
        assert causes == ["ERROR(0)", "NORMAL(200)"]
        for answer in answers:
            assert answer["adr"]["exit_status"] == -90
            assert answer["adr"]["costs_valid"] == "false"
            assert {cdr["costs_valid"] for cdr in answer["cdrs"].values()} == {"false"}
            assert [error["error_code"] for error in answer["errs"].values()] == ["2008"]
            assert "restarted" in str(answer["errs"]["0"]["error_text"])
        told = [str(answer["errs"]["0"]["error_text"]) for answer in answers]
        assert "a call may have rung" in told[0]
        assert "a call was up and was hung up" in told[1]


def test_a_closed_instance_leaves_no_call_open(tmp_path: Path) -> None:
    def story(c: Connection) -> None:
        begin_instance(c, opened.account)
        ledger.close_adr(c, INSTANCE, stopped_at=T0 + 7, exit_status=0)

    with open_ledger(tmp_path) as opened:
        opened.db.write_now(story)
        cdr = status(opened)["cdrs"][CALL]
    assert (cdr["hangup_cause"], cdr["call_hangup_time"]) == ("ERROR(0)", T0 + 7)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(closers=st.lists(st.sampled_from(["normal", "recovery", "call"]), min_size=2, max_size=12))
def test_a_record_closes_exactly_once_under_concurrent_closers(
    tmp_path_factory: pytest.TempPathFactory, closers: list[str]
) -> None:
    def closing(n: int, how: str) -> Callable[[Connection], tuple[str, bool]]:
        return lambda c: close(c, n, how)

    def close(c: Connection, n: int, how: str) -> tuple[str, bool]:
        match how:
            case "normal":
                return "adr", ledger.close_adr(c, INSTANCE, stopped_at=T0 + n, exit_status=n)
            case "recovery":
                return "adr", ledger.close_for_recovery(c, INSTANCE, at=T0 + n)
            case _:
                return "cdr", ledger.close_cdr(c, CALL, ended_at=T0 + n, outcome=BUSY)

    async def all_at_once() -> list[tuple[str, bool]]:
        return await asyncio.gather(*(opened.db.write(closing(n, how)) for n, how in enumerate(closers)))

    with open_ledger(tmp_path_factory.mktemp("ledger")) as opened:
        opened.db.write_now(lambda c: begin_instance(c, opened.account))
        closed = asyncio.run(all_at_once())
        first = next((n for n, how in enumerate(closers) if how != "call"), None)
        assert closed.count(("adr", True)) == (0 if first is None else 1)
        assert closed.count(("cdr", True)) == (1 if "call" in closers[: first or len(closers)] and first != 0 else 0)
        if first is not None:
            adr = opened.db.read_now(lambda c: read_adr(c, INSTANCE))
            assert adr is not None
            assert adr.stopped_at == T0 + first


def test_the_database_itself_refuses_records_that_cannot_be(tmp_path: Path) -> None:
    with open_ledger(tmp_path) as opened:
        opened.db.write_now(lambda c: begin_instance(c, opened.account))
        impossible = [
            lambda c: begin_instance(c, opened.account),
            lambda c: begin_instance(c, opened.account, instance_id=InstanceId("0" * 16 + ".1")),
            lambda c: ledger.add_error(c, InstanceId("unknown"), ErrorRecord(code="2008", text="")),
            lambda c: c.execute(update(adrs).values(stopped_at=T0)),
            lambda c: c.execute(update(cdrs).values(ended_at=T0)),
            lambda c: c.execute(update(cdrs).values(direction="sideways")),
            lambda c: c.execute(insert(adrs).values(instance_id="x")),
        ]
        for write in impossible:
            with pytest.raises(IntegrityError):
                opened.db.write_now(write)
        assert len(opened.db.read_now(ledger.open_instances)) == 1


def test_every_family_of_features_is_charged_in_its_steps_and_summed_in_the_adr(tmp_path: Path) -> None:
    prices = RecordSettings(
        rates=RateCard(
            features=(
                ("sr_", money("0.02")),
                ("srp1_", money("0.04")),
                ("sv_", money("0.06")),
                ("ct", money("0.08")),
                ("ctnp1_", money("0.16")),
            )
        )
    )
    kinds = sorted(KNOWN_TYPES)

    def story(c: Connection) -> None:
        begin_instance(c, opened.account)
        for n, kind in enumerate(kinds):
            ledger.add_fdr(
                c,
                feature_id=f"f{n:02}",
                instance_id=INSTANCE,
                call_id=CALL,
                kind=kind,
                started_at=T0 + n,
                stopped_at=T0 + n + 15.5,
                audio_path="mixed",
                transaction_id="t",
                settings=prices,
            )
        ledger.close_adr(c, INSTANCE, stopped_at=T0 + 30, exit_status=0, settings=prices)

    with open_ledger(tmp_path) as opened:
        opened.db.write_now(story)
        answer = status(opened, prices=prices)
    charged = {
        fdr["type"]: (fdr["duration_for_cost"], fdr["unit_cost"], fdr["cost"]) for fdr in answer["fdrs"].values()
    }
    by_family = {
        "sr": (30.0, 0.02, 0.01),
        "srp1": (30.0, 0.04, 0.02),
        "sv": (15.5, 0.06, 0.0155),
        "ct": (30.0, 0.08, 0.04),
        "ctn": (30.0, 0.08, 0.04),
        "ctp1": (30.0, 0.08, 0.04),
        "ctnp1": (30.0, 0.16, 0.08),
    }
    assert charged == {kind: by_family[kind.partition("_")[0]] for kind in kinds}
    assert {fdr["duration"] for fdr in answer["fdrs"].values()} == {15.5}
    adr = answer["adr"]
    assert adr["feature_cost"] == round(sum(cost for _, _, cost in charged.values()), 4) == 0.351
    assert adr["feature_seconds"] == 15.5 * len(kinds) == 217.0
    assert adr["total_cost"] == 0.351


def test_a_feature_is_not_added_to_a_closed_or_unknown_instance_or_without_a_type(tmp_path: Path) -> None:
    def add(c: Connection, kind: str = "sr_play") -> None:
        ledger.add_fdr(
            c, feature_id="f", instance_id=INSTANCE, call_id=CALL, kind=kind, started_at=T0, stopped_at=T0 + 1
        )

    with open_ledger(tmp_path) as opened:
        with pytest.raises(RequestError, match="not open"):
            opened.db.write_now(add)
        opened.db.write_now(lambda c: begin_instance(c, opened.account))
        with pytest.raises(RequestError, match="not a type"):
            opened.db.write_now(lambda c: add(c, "recognition"))
        opened.db.write_now(lambda c: ledger.close_adr(c, INSTANCE, stopped_at=T0 + 1, exit_status=0))
        with pytest.raises(RequestError, match="not open"):
            opened.db.write_now(add)
        assert status(opened)["fdrs"] == {}
