"""Rules and do-not-call lists of accounts, rate cards, prices fixed in records, what was spent by day."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "account_rules",
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("allow_premium", sa.Boolean(), nullable=False),
        sa.Column("allow_unknown", sa.Boolean(), nullable=False),
        sa.Column("allowed_prefixes", sa.Text(), nullable=False),
        sa.Column("blocked_prefixes", sa.Text(), nullable=False),
        sa.Column("daily_cap", sa.BigInteger(), nullable=True),
        sa.Column("credit", sa.BigInteger(), nullable=True),
        sa.Column("max_price", sa.BigInteger(), nullable=True),
        sa.CheckConstraint(
            "daily_cap >= 0 AND credit >= 0 AND max_price >= 0", name=op.f("ck_account_rules_amounts_possible")
        ),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_account_rules_account_id_accounts")),
        sa.PrimaryKeyConstraint("account_id", name=op.f("pk_account_rules")),
    )
    op.create_table(
        "do_not_call",
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("added_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_do_not_call_account_id_accounts")),
        sa.PrimaryKeyConstraint("account_id", "number", name=op.f("pk_do_not_call")),
    )
    op.create_table(
        "rate_cards",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("account_id", sa.Integer(), nullable=True),
        sa.Column("rates", sa.Text(), nullable=False),
        sa.Column("changed_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_rate_cards_account_id_accounts")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rate_cards")),
        sa.CheckConstraint("id = coalesce(account_id, 0)", name=op.f("ck_rate_cards_one_for_each")),
    )
    op.create_table(
        "number_rates",
        sa.Column("card_id", sa.Integer(), nullable=False),
        sa.Column("prefix", sa.Text(), nullable=False),
        sa.Column("price", sa.BigInteger(), nullable=False),
        sa.Column("first_s", sa.Integer(), nullable=False),
        sa.Column("next_s", sa.Integer(), nullable=False),
        sa.Column("minimum", sa.BigInteger(), nullable=False),
        sa.Column("fee", sa.BigInteger(), nullable=False),
        sa.Column("tollfree", sa.Boolean(), nullable=False),
        sa.CheckConstraint("first_s >= 1 AND next_s >= 1", name=op.f("ck_number_rates_steps_possible")),
        sa.CheckConstraint("price >= 0 AND minimum >= 0 AND fee >= 0", name=op.f("ck_number_rates_amounts_possible")),
        sa.ForeignKeyConstraint(["card_id"], ["rate_cards.id"], name=op.f("fk_number_rates_card_id_rate_cards")),
        sa.PrimaryKeyConstraint("card_id", "prefix", name=op.f("pk_number_rates")),
    )
    op.create_table(
        "spending",
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("day", sa.Integer(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_spending_account_id_accounts")),
        sa.PrimaryKeyConstraint("account_id", "day", name=op.f("pk_spending")),
    )
    op.add_column("adrs", sa.Column("rates", sa.Text(), nullable=True))
    op.add_column("adrs", sa.Column("reserved", sa.BigInteger(), nullable=True))
    op.add_column("adrs", sa.Column("reserved_per_minute", sa.BigInteger(), nullable=True))
    op.add_column("cdrs", sa.Column("rate", sa.Text(), nullable=True))
    op.create_index(
        "ix_adrs_reserved",
        "adrs",
        ["account_id", "started_at", "reserved", "reserved_per_minute", "stopped_at"],
        unique=False,
        sqlite_where=sa.text("stopped_at IS NULL"),
        postgresql_where=sa.text("stopped_at IS NULL"),
    )
    op.create_index("ix_adrs_stopped", "adrs", ["stopped_at"], unique=False)
    # what the records so far came to; a day is one of UTC, counted from 1970
    op.execute(
        "INSERT INTO spending (account_id, day, amount) "
        "SELECT account_id, CAST(stopped_at / 86400 AS INTEGER), SUM(total_cost) FROM adrs "
        "WHERE stopped_at IS NOT NULL AND costs_valid AND total_cost > 0 "
        "GROUP BY account_id, CAST(stopped_at / 86400 AS INTEGER)"
    )
