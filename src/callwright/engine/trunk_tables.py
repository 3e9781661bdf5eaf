"""The tables of trunks (docs/reference/trunks.md). A password is sealed; codecs are joined by commas."""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    Integer,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
)

from callwright.db.metadata import metadata

trunks = Table(
    "trunks",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", Text, nullable=False),
    Column("host", Text, nullable=False),
    Column("port", Integer, nullable=False),
    Column("transport", Text, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("login", Text, nullable=False),
    Column("password", Text),
    Column("register", Boolean, nullable=False),
    Column("expires_s", Integer, nullable=False),
    Column("from_user", Text, nullable=False),
    Column("from_domain", Text, nullable=False),
    Column("assert_identity", Boolean, nullable=False),
    Column("withhold", Boolean, nullable=False),
    Column("strip", Text, nullable=False),
    Column("add", Text, nullable=False),
    Column("plus", Boolean, nullable=False),
    Column("codecs", Text, nullable=False),
    Column("max_calls", Integer),
    Column("max_cps", Double),
    Column("check_every_s", Double, nullable=False),
    Column("created_at", Double, nullable=False),
    UniqueConstraint("name"),
    CheckConstraint("port >= 0 AND port < 65536", name="port_possible"),
    CheckConstraint("transport IN ('udp', 'tcp', 'tls')", name="transport_known"),
    CheckConstraint("max_calls >= 1", name="something_can_run"),
    CheckConstraint("max_cps > 0", name="max_cps_possible"),
    CheckConstraint("check_every_s >= 0", name="check_every_possible"),
    CheckConstraint("NOT register OR login <> ''", name="registers_somebody"),
)

trunk_prefixes = Table(
    "trunk_prefixes",
    metadata,
    Column("trunk_id", ForeignKey("trunks.id", ondelete="CASCADE"), nullable=False),
    Column("digits", Text, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("weight", Integer, nullable=False),
    PrimaryKeyConstraint("trunk_id", "digits"),
    CheckConstraint("priority >= 0 AND weight >= 0", name="order_possible"),
)
