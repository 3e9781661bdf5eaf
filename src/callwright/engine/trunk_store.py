"""Trunks in the database: plain functions on a connection."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, RowMapping, delete, insert, select, update

from callwright.db.sealing import secret_box
from callwright.engine.trunk_setup import Trunk, TrunkPrefix, check_trunk
from callwright.engine.trunk_tables import trunk_prefixes, trunks
from callwright.sip.way import Transport
from callwright.values.errors import RequestError

_PLAIN = (
    "name",
    "host",
    "port",
    "enabled",
    "register",
    "expires_s",
    "from_user",
    "from_domain",
    "assert_identity",
    "withhold",
    "strip",
    "add",
    "plus",
    "max_calls",
    "max_cps",
    "check_every_s",
)


def add_trunk(c: Connection, trunk: Trunk, *, created_at: float) -> None:
    """Keep a new trunk; raise ``RequestError`` when it makes no sense or its name is taken."""
    check_trunk(trunk)
    if c.scalar(select(trunks.c.id).where(trunks.c.name == trunk.name)) is not None:
        raise RequestError(f"there is a trunk '{trunk.name}' already: remove it first, or choose another name")
    made = c.execute(insert(trunks).values(_row(c, trunk) | {"created_at": created_at})).inserted_primary_key
    assert made is not None
    _add_prefixes(c, made[0], trunk)


def update_trunk(c: Connection, trunk: Trunk) -> bool:
    """Change the trunk of this name; return False when there is none. Raise ``RequestError`` when it makes no sense."""
    check_trunk(trunk)
    trunk_id = c.scalar(select(trunks.c.id).where(trunks.c.name == trunk.name))
    if trunk_id is None:
        return False
    c.execute(update(trunks).where(trunks.c.id == trunk_id).values(_row(c, trunk)))
    c.execute(delete(trunk_prefixes).where(trunk_prefixes.c.trunk_id == trunk_id))
    _add_prefixes(c, trunk_id, trunk)
    return True


def list_trunks(c: Connection) -> list[Trunk]:
    """Return all trunks by name, with their passwords; raise ``DatabaseUnavailable`` when one cannot be unsealed."""
    prefixes: dict[int, list[TrunkPrefix]] = {}
    ordered = select(trunk_prefixes).order_by(trunk_prefixes.c.trunk_id, trunk_prefixes.c.digits)
    for row in c.execute(ordered).mappings():
        prefix = TrunkPrefix(digits=row["digits"], priority=row["priority"], weight=row["weight"])
        prefixes.setdefault(row["trunk_id"], []).append(prefix)
    rows = c.execute(select(trunks).order_by(trunks.c.name)).mappings()
    return [_trunk(c, row, tuple(prefixes[row["id"]])) for row in rows]


def remove_trunk(c: Connection, name: str) -> bool:
    """Forget a trunk; return False when there is none of that name."""
    trunk_id = c.scalar(select(trunks.c.id).where(trunks.c.name == name))
    if trunk_id is None:
        return False
    c.execute(delete(trunk_prefixes).where(trunk_prefixes.c.trunk_id == trunk_id))
    c.execute(delete(trunks).where(trunks.c.id == trunk_id))
    return True


def enable_trunk(c: Connection, name: str, *, enabled: bool) -> bool:
    """Switch a trunk on or off; return False when there is none of that name."""
    return c.execute(update(trunks).where(trunks.c.name == name).values(enabled=enabled)).rowcount == 1


def _row(c: Connection, trunk: Trunk) -> dict[str, Any]:
    plain: dict[str, Any] = {name: getattr(trunk, name) for name in _PLAIN}
    return plain | {
        "transport": trunk.transport.value,
        "login": trunk.user,
        "password": secret_box(c).seal(trunk.password) if trunk.password else None,
        "codecs": ",".join(trunk.codecs),
    }


def _add_prefixes(c: Connection, trunk_id: int, trunk: Trunk) -> None:
    rows = [
        {"trunk_id": trunk_id, "digits": each.digits, "priority": each.priority, "weight": each.weight}
        for each in trunk.prefixes
    ]
    c.execute(insert(trunk_prefixes), rows)


def _trunk(c: Connection, row: RowMapping, prefixes: tuple[TrunkPrefix, ...]) -> Trunk:
    plain: dict[str, Any] = {name: row[name] for name in _PLAIN}
    return Trunk(
        **plain,
        transport=Transport(row["transport"]),
        user=row["login"],
        password=secret_box(c).unseal(row["password"]) if row["password"] is not None else "",
        codecs=tuple(row["codecs"].split(",")),
        prefixes=prefixes,
    )
