"""Wishes of a start and its turn by priority, how attempts ended, and what the operator has paused."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("starts", sa.Column("ring_timeout_s", sa.Double(), nullable=True))
    op.add_column("starts", sa.Column("max_duration_s", sa.Double(), nullable=True))
    op.add_column("starts", sa.Column("calling_hours", sa.Text(), nullable=True))
    op.add_column("starts", sa.Column("retry", sa.Text(), nullable=True))
    op.add_column("starts", sa.Column("priority", sa.Integer(), server_default="0", nullable=False))
    op.drop_index("ix_starts_turn", "starts")
    op.create_index(
        "ix_starts_turn",
        "starts",
        ["service_id", "priority", "due_at", "id"],
        unique=False,
        sqlite_where=sa.text("state = 'queued'"),
        postgresql_where=sa.text("state = 'queued'"),
    )
    op.add_column("attempts", sa.Column("return_code", sa.Integer(), nullable=True))
    op.add_column("attempts", sa.Column("unreached", sa.Text(), nullable=True))
    op.create_table(
        "pauses",
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("of", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("paused_at", sa.Double(), nullable=False),
        sa.CheckConstraint("scope IN ('all', 'account', 'service')", name=op.f("ck_pauses_scope_known")),
        sa.CheckConstraint("(scope = 'all') = (of = 0)", name=op.f("ck_pauses_all_is_one")),
        sa.PrimaryKeyConstraint("scope", "of", name=op.f("pk_pauses")),
    )
