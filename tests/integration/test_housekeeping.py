"""Forgetting with a stepped clock, on a real database and real folders."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import Connection, Table, func, select, update
from tests.support import outbound_node as node
from tests.support.ledger import INSTANCE, T0, Ledger, begin_instance, open_ledger

from callwright.housekeeping import BATCH, DAY_S, Keeping, Swept, remove_old_files, sweep
from callwright.outbound import claims, dialling, queue
from callwright.outbound.intake import UniqueIdConflict
from callwright.outbound.retention import Forgotten, forget_starts
from callwright.outbound.start import StartState
from callwright.outbound.tables import attempts, requests, starts
from callwright.records import ledger, spending
from callwright.records.records import ErrorRecord
from callwright.records.settings import RateCard, RecordSettings
from callwright.records.tables import adrs, cdrs, error_records, fdrs
from callwright.values.ids import CallId, InstanceId, ServiceReference
from callwright.values.money import money
from callwright.values.times import rest_log_name

NOTHING = Swept(records=0, references=0, logs=0, recordings=0)
IDENTIFIERS = node.counted_identifiers(lambda: T0)


def swept(at: Ledger, days: float, *, keeping: Keeping | None = None) -> Swept:
    """Sweep when ``days`` have gone by since T0."""
    folder = Path("missing")
    return asyncio.run(
        sweep(
            at.db, keeping=keeping or Keeping(), logs_root=folder, media_root=folder, now=T0 + days * DAY_S, pause_s=0.0
        )
    )


def count(at: Ledger, table: Table) -> int:
    return at.db.read_now(lambda c: c.scalar(select(func.count()).select_from(table))) or 0


def record(c: Connection, at: Ledger, n: int, *, closed_at: float | None) -> InstanceId:
    """Make the records of an instance, of every kind."""
    instance, call = InstanceId(f"{n:016x}.1"), CallId(f"{n:016x}.1.1")
    begin_instance(c, at.account, instance_id=instance, call_id=call)
    ledger.add_fdr(
        c, feature_id=f"f{n}", instance_id=instance, call_id=call, kind="sr_play", started_at=T0, stopped_at=T0 + 1
    )
    ledger.add_error(c, instance, ErrorRecord(code="2008", text="text"))
    if closed_at is not None:
        prices = RecordSettings(rates=RateCard(platform=money("0.01")))
        ledger.close_adr(c, instance, stopped_at=closed_at, exit_status=0, settings=prices)
    return instance


def queue_up(at: Ledger, number: int, *, unique_id: str | None = None, now: float = T0) -> list[ServiceReference]:
    return at.db.write_now(
        lambda c: node.enqueue(
            c, at.service, [node.call_to()] * number, identifiers=IDENTIFIERS, now=now, unique_id=unique_id
        )
    ).references


def end(at: Ledger, references: list[ServiceReference], *, when: float) -> None:
    at.db.write_now(lambda c: queue.cancel(c, account_id=at.account.id, references=references, now=when))


def known(at: Ledger, references: list[ServiceReference]) -> int:
    return len(at.db.read_now(lambda c: queue.status(c, account_id=at.account.id, references=references)))


def test_records_go_after_their_days_with_all_that_belongs_to_them(tmp_path: Path) -> None:
    with open_ledger(tmp_path) as at:
        instance = at.db.write_now(lambda c: record(c, at, 1, closed_at=T0 + 1))
        assert swept(at, 90) == NOTHING
        assert swept(at, 91).records == 1
        assert [count(at, table) for table in (adrs, cdrs, fdrs, error_records)] == [0, 0, 0, 0]
        assert at.db.read_now(lambda c: ledger.application_status(c, at.account.id, instance)) is None
        assert at.db.read_now(lambda c: spending.position(c, at.account.id, now=T0)).ever == money("0.01")


def test_an_open_record_is_kept_however_old_it_is(tmp_path: Path) -> None:
    with open_ledger(tmp_path) as at:
        at.db.write_now(lambda c: record(c, at, 1, closed_at=None))
        assert swept(at, 5000) == NOTHING
        assert count(at, cdrs) == 1


def test_more_than_a_batch_goes_in_several(tmp_path: Path) -> None:
    with open_ledger(tmp_path) as at:

        def many(c: Connection) -> None:
            for n in range(BATCH + 7):
                record(c, at, n, closed_at=T0 + n)
            record(c, at, 5000, closed_at=T0 + 60 * DAY_S)

        at.db.write_now(many)
        assert swept(at, 100).records == BATCH + 7
        assert count(at, adrs) == 1


def test_references_and_their_unique_id_go_together_after_their_days(tmp_path: Path) -> None:
    with open_ledger(tmp_path) as at:
        references = queue_up(at, 3, unique_id="job")
        end(at, references[:2], when=T0 + 1)
        assert swept(at, 30) == NOTHING, "one of them still waits"
        end(at, references[2:], when=T0 + 31 * DAY_S)
        assert swept(at, 37.9) == NOTHING
        with pytest.raises(UniqueIdConflict):
            at.db.write_now(
                lambda c: node.enqueue(
                    c,
                    at.service,
                    [node.call_to()],
                    identifiers=IDENTIFIERS,
                    now=T0,
                    unique_id="job",
                    digest=bytes([1] * 32),
                )
            )
        assert swept(at, 38.1).references == 3
        assert known(at, references) == 0
        assert at.db.read_now(lambda c: queue.job(c, account_id=at.account.id, unique_id="job")) is None
        assert [count(at, table) for table in (requests, starts, attempts)] == [0, 0, 0]


@pytest.mark.parametrize("state", [StartState.QUEUED, StartState.CLAIMED, StartState.RUNNING])
def test_a_start_that_is_not_over_is_kept_however_old_it_is(tmp_path: Path, state: StartState) -> None:
    with open_ledger(tmp_path) as at:
        references = queue_up(at, 1)

        def hold(c: Connection) -> None:
            claimed = claims.claim(c, at.service.id, limit=1, incarnation=1, now=T0)
            if state is StartState.RUNNING:
                dialling.stamp(c, claimed[0], instance_id=INSTANCE, incarnation=1, now=T0, slot_at=T0)

        if state is not StartState.QUEUED:
            at.db.write_now(hold)
        assert swept(at, 5000) == NOTHING
        assert known(at, references) == 1
        if state is StartState.RUNNING:
            at.db.write_now(lambda c: dialling.finish(c, INSTANCE, return_code=0, now=T0 + 5000 * DAY_S))
            assert swept(at, 5001) == NOTHING
            assert swept(at, 5008).references == 1
            assert count(at, attempts) == 0


def test_a_long_request_goes_in_batches_and_its_unique_id_first(tmp_path: Path) -> None:
    with open_ledger(tmp_path) as at:
        references = queue_up(at, 25, unique_id="job")
        kept = queue_up(at, 1)
        end(at, references, when=T0)
        first = at.db.write_now(lambda c: forget_starts(c, before=T0 + 1, limit=10))
        assert first.starts == 10
        assert at.db.read_now(lambda c: queue.job(c, account_id=at.account.id, unique_id="job")) is None
        assert len(queue_up(at, 1, unique_id="job")) == 1
        after = first.after
        assert after is not None
        second = at.db.write_now(lambda c: forget_starts(c, before=T0 + 1, limit=10, after=after))
        assert second == Forgotten(starts=10, after=after)
        assert at.db.write_now(lambda c: forget_starts(c, before=T0 + 1, limit=10, after=after)).starts == 5
        assert known(at, kept) == 1


def test_requests_that_still_live_do_not_hide_those_behind_them(tmp_path: Path) -> None:
    with open_ledger(tmp_path) as at:
        for _ in range(BATCH + 1):
            queue_up(at, 1)
        last = queue_up(at, 1)
        end(at, last, when=T0)
        assert swept(at, 8).references == 1
        assert count(at, starts) == BATCH + 1


def test_a_clock_set_back_forgets_nothing(tmp_path: Path) -> None:
    with open_ledger(tmp_path) as at:
        end(at, queue_up(at, 1), when=T0)
        at.db.write_now(lambda c: record(c, at, 1, closed_at=T0))
        at.db.write_now(lambda c: c.execute(update(requests).values(created_at=T0 + DAY_S)))
        assert swept(at, -400) == NOTHING


def made(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x")
    return path


def test_logs_and_recordings_go_by_the_day_in_their_path(tmp_path: Path) -> None:
    now = datetime(2030, 3, 10, 12, tzinfo=UTC).timestamp()
    logs, media = tmp_path / "logs", tmp_path / "media"

    def day(day: int) -> float:
        return datetime(2030, 3, day, 23, 59, 59, tzinfo=UTC).timestamp()

    old = made(logs / "rest/1" / rest_log_name(day(7), "a.1"))
    young = made(logs / "rest/1" / rest_log_name(day(8), "a.2"))
    recording = made(media / "1/rest_api/recordings/2030/03/01/10_00_00_a.1.wav")
    uploaded = [made(media / "1/2030/03/01/mine.wav"), made(media / "1/rest_api/recordings/welcome.wav")]
    with open_ledger(tmp_path / "data") as at:
        done = asyncio.run(
            sweep(
                at.db,
                keeping=Keeping(logs_days=2, recordings_days=5),
                logs_root=logs,
                media_root=media,
                now=now,
                pause_s=0.0,
            )
        )
    assert (done.logs, done.recordings) == (1, 1)
    assert not old.parent.exists()
    assert not recording.exists()
    assert young.exists()
    assert all(file.exists() for file in uploaded)


def test_what_is_kept_for_ever_is_never_looked_for(tmp_path: Path) -> None:
    recording = made(tmp_path / "1/rest_api/recordings/1999/01/01/10_00_00_a.1.wav")
    with open_ledger(tmp_path / "data") as at:
        asyncio.run(sweep(at.db, keeping=Keeping(), logs_root=tmp_path, media_root=tmp_path, now=T0, pause_s=0.0))
    assert recording.exists()


def test_no_more_files_than_asked_for_go_at_once(tmp_path: Path) -> None:
    for n in range(5):
        made(tmp_path / f"1/2001/02/03/{n}.log")
    assert remove_old_files(tmp_path, "", before=T0, limit=3) == 3
    assert remove_old_files(tmp_path, "", before=T0, limit=3) == 2
    assert list((tmp_path / "1").iterdir()) == []


def test_no_link_leads_out_of_the_folder_and_no_odd_name_is_a_day(tmp_path: Path) -> None:
    outside = made(tmp_path / "outside/2001/02/03/precious.log")
    root = tmp_path / "root"
    (root / "1").mkdir(parents=True)
    (root / "2").symlink_to(tmp_path / "outside")
    (root / "1/2001").symlink_to(tmp_path / "outside/2001")
    odd = [made(root / "1/2002/13/01/x.log"), made(root / "1/old/02/03/x.log"), made(root / "cache/2001/02/03/x.log")]
    assert remove_old_files(root, "", before=T0, limit=100) == 0
    assert outside.exists()
    assert all(file.exists() for file in odd)
