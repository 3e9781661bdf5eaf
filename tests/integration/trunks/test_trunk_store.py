"""Trunks in a real database: as they were given, passwords sealed."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import select

from callwright.db.database import DATABASE_FILE, Database
from callwright.engine import trunk_store
from callwright.engine.trunk_setup import Trunk, TrunkPrefix
from callwright.engine.trunk_tables import trunk_prefixes, trunks
from callwright.sip.way import Transport
from callwright.values.errors import RequestError

FULL = Trunk(
    name="carrier",
    host="sip.example",
    port=5070,
    transport=Transport.TLS,
    enabled=False,
    prefixes=(TrunkPrefix(), TrunkPrefix(digits="44", priority=2, weight=5)),
    user="alice",
    password="open sesame",
    register=True,
    expires_s=300,
    from_user="account7",
    from_domain="carrier.example",
    assert_identity=True,
    withhold=True,
    strip="44",
    add="0",
    plus=True,
    codecs=("PCMU",),
    max_calls=30,
    max_cps=2.5,
    check_every_s=10,
)
PLAIN = Trunk(name="another", host="192.0.2.9")


def test_trunks_come_back_as_they_were_given_by_name(tmp_path: Path) -> None:
    with Database.open(tmp_path / DATABASE_FILE) as database:
        for each in (FULL, PLAIN):
            database.write_now(lambda c, each=each: trunk_store.add_trunk(c, each, created_at=1.0))  # type: ignore[misc]
    with Database.open(tmp_path / DATABASE_FILE) as database:
        assert database.read_now(trunk_store.list_trunks) == [PLAIN, FULL]
        sealed = database.read_now(lambda c: c.scalar(select(trunks.c.password).where(trunks.c.name == "carrier")))
        assert sealed
        assert "sesame" not in sealed


def test_a_name_is_taken_once_and_nonsense_is_refused(tmp_path: Path) -> None:
    with Database.open(tmp_path / DATABASE_FILE) as database:
        database.write_now(lambda c: trunk_store.add_trunk(c, PLAIN, created_at=1.0))
        with pytest.raises(RequestError, match="there is a trunk 'another' already"):
            database.write_now(lambda c: trunk_store.add_trunk(c, PLAIN, created_at=2.0))
        with pytest.raises(RequestError, match="host of a trunk"):
            database.write_now(lambda c: trunk_store.add_trunk(c, Trunk(name="b", host=""), created_at=2.0))
        assert database.read_now(trunk_store.list_trunks) == [PLAIN]


def test_trunks_are_switched_and_forgotten_with_their_prefixes(tmp_path: Path) -> None:
    with Database.open(tmp_path / DATABASE_FILE) as database:
        database.write_now(lambda c: trunk_store.add_trunk(c, FULL, created_at=1.0))
        assert database.write_now(lambda c: trunk_store.enable_trunk(c, "carrier", enabled=True))
        assert database.read_now(trunk_store.list_trunks)[0].enabled
        assert not database.write_now(lambda c: trunk_store.enable_trunk(c, "nobody", enabled=True))
        assert database.write_now(lambda c: trunk_store.remove_trunk(c, "carrier"))
        assert not database.write_now(lambda c: trunk_store.remove_trunk(c, "carrier"))
        assert database.read_now(lambda c: c.execute(select(trunk_prefixes)).all()) == []
