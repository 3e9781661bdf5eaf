"""What a node forgets after its time: records, references, logs and recordings (docs/reference/records.md, retention).

Everything goes in small batches, so that nobody who writes waits long. Nothing that waits or runs is ever touched: an
open record, a start that is not over and the folders of the last day have no age.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Final

import structlog

from callwright.db.database import Database
from callwright.outbound.retention import forget_starts
from callwright.records.retention import forget_records

log = structlog.get_logger()

BATCH: Final = 200  # records or starts in one transaction
FILES_AT_ONCE: Final = 500
PAUSE_S: Final = 0.05  # between batches: others write meanwhile
DAY_S: Final = 86400.0

_DIGITS = re.compile(r"[0-9]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeping:
    """How many days each kind is kept after its end; 0 is for ever."""

    records_days: float = 90.0
    references_days: float = 7.0
    logs_days: float = 90.0
    recordings_days: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """How much of each kind was forgotten."""

    records: int
    references: int
    logs: int
    recordings: int


async def sweep(
    database: Database, *, keeping: Keeping, logs_root: Path, media_root: Path, now: float, pause_s: float = PAUSE_S
) -> Swept:
    """Forget everything that is older at ``now`` (epoch seconds) than it is kept.

    ``logs_root`` has a folder ``rest`` with one for each account, ``media_root`` one for each account; below those
    are the years, months and days of what was made there. Raise ``OutsideError`` when the database or a folder fails.
    """
    swept = Swept(
        records=await _records(database, before=_before(now, keeping.records_days), pause_s=pause_s),
        references=await _references(database, before=_before(now, keeping.references_days), pause_s=pause_s),
        logs=await _files(logs_root / "rest", "", before=_before(now, keeping.logs_days), pause_s=pause_s),
        recordings=await _files(
            media_root, "rest_api/recordings", before=_before(now, keeping.recordings_days), pause_s=pause_s
        ),
    )
    if swept != Swept(records=0, references=0, logs=0, recordings=0):
        log.info(
            "Forgot what was kept long enough",
            action="housekeeping",
            records=swept.records,
            references=swept.references,
            logs=swept.logs,
            recordings=swept.recordings,
        )
    return swept


async def _records(database: Database, *, before: float | None, pause_s: float) -> int:
    total = 0
    while before is not None:
        done = await database.write(partial(forget_records, before=before, limit=BATCH))
        total += done
        if done < BATCH:
            break
        await asyncio.sleep(pause_s)
    return total


async def _references(database: Database, *, before: float | None, pause_s: float) -> int:
    total, after = 0, 0
    while before is not None:
        done = await database.write(partial(forget_starts, before=before, limit=BATCH, after=after))
        total += done.starts
        if done.after is None:
            break
        after = done.after
        await asyncio.sleep(pause_s)
    return total


async def _files(root: Path, below_account: str, *, before: float | None, pause_s: float) -> int:
    total = 0
    while before is not None:
        removed = await asyncio.to_thread(remove_old_files, root, below_account, before=before, limit=FILES_AT_ONCE)
        total += removed
        if removed < FILES_AT_ONCE:
            break
        await asyncio.sleep(pause_s)
    return total


def remove_old_files(root: Path, below_account: str, *, before: float, limit: int) -> int:
    """Remove up to ``limit`` files of days (UTC) that had ended before an epoch time, and folders left empty.

    A day is a folder ``<root>/<account>/<below_account>/YYYY/MM/DD``; nothing else is looked at, and no link followed.
    A file that cannot be removed is told and left.
    """
    removed = 0
    for day in _old_days(root, below_account, before):
        for file in _entries(day, folders=False):
            if removed >= limit:
                return removed
            try:
                file.unlink(missing_ok=True)
            except OSError as error:
                log.warning(
                    f"An old file cannot be removed ({error.strerror}): see that the node may write to its folder.",
                    action="housekeeping_failed",
                    path=str(file),
                )
                continue
            removed += 1
        for folder in (day, day.parent, day.parent.parent):
            try:
                folder.rmdir()
            except OSError:  # not empty: something else is kept there
                break
    return removed


def _old_days(root: Path, below_account: str, before: float) -> Iterator[Path]:
    for account in _entries(root, folders=True):
        if not _DIGITS.fullmatch(account.name):
            continue
        for year in _entries(account / below_account, folders=True):
            for month in _entries(year, folders=True):
                for day in _entries(month, folders=True):
                    try:
                        began = datetime(int(year.name), int(month.name), int(day.name), tzinfo=UTC)
                    except ValueError:
                        continue
                    if (began + timedelta(days=1)).timestamp() <= before:
                        yield day


def _entries(folder: Path, *, folders: bool) -> list[Path]:
    try:
        with os.scandir(folder) as found:
            return sorted(Path(entry.path) for entry in found if entry.is_dir(follow_symlinks=False) is folders)
    except (FileNotFoundError, NotADirectoryError):
        return []


def _before(now: float, days: float) -> float | None:
    return now - days * DAY_S if days > 0 else None
