"""What became of the starts that many requests ask for, read together: for answers that are asked for often.

Each row that SQLite gives to Python hands the interpreter lock over and back, and each statement costs as much as
finding twenty rows. Here one statement serves every request that waits, SQLite itself puts the rows together as JSON,
and they become Python values in one go.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
from sqlalchemy import Connection, text

from callwright.values.ids import AccountId, ServiceId, ServiceReference

# 17 digits give every double back exactly; SQLite's own JSON has 15. CROSS: look each reference up, never scan starts.
_known = text(
    "SELECT json_group_array(json_array(starts.reference, starts.account_id, starts.service_id, starts.state,"
    " starts.instance_id, starts.return_code, starts.reason,"
    " CASE WHEN starts.finished_at IS NOT NULL THEN printf('%!.17g', starts.finished_at) END))"
    " FROM json_each(:wanted) AS wanted CROSS JOIN starts ON starts.reference = wanted.value"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The references one request asks for. Only starts of its account are told of, and only of its service if set."""

    account_id: AccountId
    service_id: ServiceId | None
    references: Sequence[ServiceReference]


class Known(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """What the database knows of one start, as plain as it comes. ``finished`` is epoch seconds as text."""

    reference: str
    account_id: int
    service_id: int
    state: str
    instance_id: str | None
    return_code: int | None
    reason: str | None
    finished: str | None


_rows = msgspec.json.Decoder(list[Known])


def known(c: Connection, asked: Sequence[Asked]) -> list[dict[str, Known]]:
    """Return for each request what is known of its starts, by reference; those it may not see are left out."""
    wanted = [reference for each in asked for reference in each.references]
    found = {row.reference: row for row in _rows.decode(_read(c, wanted))}
    return [
        {
            row.reference: row
            for row in map(found.get, each.references)
            if row is not None
            and row.account_id == each.account_id
            and (each.service_id is None or row.service_id == each.service_id)
        }
        for each in asked
    ]


def _read(c: Connection, wanted: Sequence[ServiceReference]) -> str:
    one: str = c.execute(_known, {"wanted": msgspec.json.encode(wanted).decode()}).scalar_one()
    return one
