"""What the database knows about the node that runs on it."""

from __future__ import annotations

from sqlalchemy import CheckConstraint, Column, Integer, Table

from callwright.db.metadata import metadata

node = Table(
    "node",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("incarnation", Integer, nullable=False),
    CheckConstraint("id = 1", name="one_row"),
)
