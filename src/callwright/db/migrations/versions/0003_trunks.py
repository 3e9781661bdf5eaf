"""Trunks and the numbers they carry; which trunk carried a call."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "trunks",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("port", sa.Integer(), nullable=False),
        sa.Column("transport", sa.Text(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("login", sa.Text(), nullable=False),
        sa.Column("password", sa.Text(), nullable=True),
        sa.Column("register", sa.Boolean(), nullable=False),
        sa.Column("expires_s", sa.Integer(), nullable=False),
        sa.Column("from_user", sa.Text(), nullable=False),
        sa.Column("from_domain", sa.Text(), nullable=False),
        sa.Column("assert_identity", sa.Boolean(), nullable=False),
        sa.Column("withhold", sa.Boolean(), nullable=False),
        sa.Column("strip", sa.Text(), nullable=False),
        sa.Column("add", sa.Text(), nullable=False),
        sa.Column("plus", sa.Boolean(), nullable=False),
        sa.Column("codecs", sa.Text(), nullable=False),
        sa.Column("max_calls", sa.Integer(), nullable=True),
        sa.Column("max_cps", sa.Double(), nullable=True),
        sa.Column("check_every_s", sa.Double(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.CheckConstraint("port >= 0 AND port < 65536", name=op.f("ck_trunks_port_possible")),
        sa.CheckConstraint("transport IN ('udp', 'tcp', 'tls')", name=op.f("ck_trunks_transport_known")),
        sa.CheckConstraint("max_calls >= 1", name=op.f("ck_trunks_something_can_run")),
        sa.CheckConstraint("max_cps > 0", name=op.f("ck_trunks_max_cps_possible")),
        sa.CheckConstraint("check_every_s >= 0", name=op.f("ck_trunks_check_every_possible")),
        sa.CheckConstraint("NOT register OR login <> ''", name=op.f("ck_trunks_registers_somebody")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_trunks")),
        sa.UniqueConstraint("name", name=op.f("uq_trunks_name")),
    )
    op.create_table(
        "trunk_prefixes",
        sa.Column("trunk_id", sa.Integer(), nullable=False),
        sa.Column("digits", sa.Text(), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("weight", sa.Integer(), nullable=False),
        sa.CheckConstraint("priority >= 0 AND weight >= 0", name=op.f("ck_trunk_prefixes_order_possible")),
        sa.ForeignKeyConstraint(
            ["trunk_id"], ["trunks.id"], name=op.f("fk_trunk_prefixes_trunk_id_trunks"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("trunk_id", "digits", name=op.f("pk_trunk_prefixes")),
    )
    op.add_column("cdrs", sa.Column("trunk", sa.Text(), nullable=True))
