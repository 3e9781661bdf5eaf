"""The tables of the ledger (docs/reference/records.md).

A record is open while its end time is NULL; closing is one conditional UPDATE, so it happens once. Times are epoch
seconds as the clock gave them, seconds of speech are whole milliseconds, amounts whole millionths of a dollar, rates
as fixed when a record began are JSON texts (NULL: those of the node's settings).

``spending`` has what the closed instances of an account came to on a day (days since 1970-01-01 UTC, by the end of the
instance); it is written in the transaction that closes them and outlives them.
"""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    Text,
    text,
)

from callwright.db.amounts import Amount
from callwright.db.metadata import metadata

adrs = Table(
    "adrs",
    metadata,
    Column("instance_id", Text, primary_key=True),
    Column("account_id", ForeignKey("accounts.id"), nullable=False),
    Column("reference", Text),
    Column("application_name", Text, nullable=False),
    Column("application", Text, nullable=False),
    Column("application_parameters", Text, nullable=False),
    Column("outbound_parameters", Text, nullable=False),
    Column("rest_to", Text, nullable=False),
    Column("rest_from", Text, nullable=False),
    Column("rest_initial_token", Text, nullable=False),
    Column("uas_application_name", Text, nullable=False),
    Column("uas_ip_address", Text, nullable=False),
    Column("uas_name", Text, nullable=False),
    Column("extra_channel_count", Integer, nullable=False),
    Column("fax", Boolean, nullable=False),
    Column("started_at", Double, nullable=False),
    Column("tts_ms", Integer, nullable=False, server_default="0"),
    Column("tts_neural_ms", Integer, nullable=False, server_default="0"),
    Column("final_asked_at", Double),
    # Written when it closes.
    Column("stopped_at", Double),
    Column("exit_status", Integer),
    Column("platform_cost", Amount),
    Column("extra_cost", Amount),
    Column("pstn_cost", Amount),
    Column("tollfree_cost", Amount),
    Column("tts_unit_cost", Amount),
    Column("tts_cost", Amount),
    Column("tts_neural_unit_cost", Amount),
    Column("tts_neural_cost", Amount),
    Column("feature_cost", Amount),
    Column("total_cost", Amount),
    Column("costs_valid", Boolean),
    # Fixed when it begins: its prices, and what is set aside for it until it closes (at once, and a minute).
    Column("rates", Text),
    Column("reserved", Amount),
    Column("reserved_per_minute", Amount),
    CheckConstraint("application IN ('rest', 'uas')", name="application_known"),
    CheckConstraint("tts_ms >= 0 AND tts_neural_ms >= 0", name="speech_counts_up"),
    CheckConstraint("(stopped_at IS NULL) = (exit_status IS NULL)", name="closed_has_an_exit_status"),
    CheckConstraint("(stopped_at IS NULL) = (total_cost IS NULL)", name="closed_is_priced"),
    CheckConstraint("(stopped_at IS NULL) = (costs_valid IS NULL)", name="closed_says_if_costs_are_valid"),
    Index("ix_adrs_account", "account_id", "started_at"),
    Index(
        "ix_adrs_open",
        "instance_id",
        sqlite_where=text("stopped_at IS NULL"),
        postgresql_where=text("stopped_at IS NULL"),
    ),
    Index(
        "ix_adrs_reserved",  # answers what is set aside for an account without reading its records
        "account_id",
        "started_at",
        "reserved",
        "reserved_per_minute",
        "stopped_at",  # SQLite looks at it although the condition says it is NULL
        sqlite_where=text("stopped_at IS NULL"),
        postgresql_where=text("stopped_at IS NULL"),
    ),
    Index("ix_adrs_stopped", "stopped_at"),
)

cdrs = Table(
    "cdrs",
    metadata,
    Column("call_id", Text, primary_key=True),
    Column("instance_id", ForeignKey("adrs.instance_id"), nullable=False),
    Column("direction", Text, nullable=False),
    Column("channel_type", Text, nullable=False),
    Column("destination_address", Text, nullable=False),
    Column("originating_user", Text, nullable=False),
    Column("initiated_at", Double, nullable=False),
    Column("connected_at", Double),
    # The INVITE as saved at the stamp, the dialog from the 200 on: enough for a restarted node to send CANCEL or BYE;
    # dropped when the call is over.
    Column("dialog", LargeBinary),
    # Written when it closes.
    Column("ended_at", Double),
    Column("hangup_cause", Text),
    Column("joined_s", Double),
    Column("call_cost", Amount),
    Column("costs_valid", Boolean),
    # Fixed at the INVITE: the price of its number.
    Column("rate", Text),
    # Which trunk carried it last; none for calls that go without one.
    Column("trunk", Text),
    # What was said of it in words: where it was redirected to (written when it went there), then of its end beyond the
    # cause; and what the telephone network said of that (ITU-T Q.850).
    Column("detail", Text),
    Column("q850", Integer),
    CheckConstraint("direction IN ('in', 'out', 'client')", name="direction_known"),
    CheckConstraint("channel_type IN ('p', 'x', 'ca', 'cv')", name="channel_type_known"),
    CheckConstraint("(ended_at IS NULL) = (hangup_cause IS NULL)", name="closed_has_a_cause"),
    CheckConstraint("(ended_at IS NULL) = (joined_s IS NULL)", name="closed_has_a_joined_time"),
    CheckConstraint("(ended_at IS NULL) = (call_cost IS NULL)", name="closed_is_priced"),
    CheckConstraint("(ended_at IS NULL) = (costs_valid IS NULL)", name="closed_says_if_costs_are_valid"),
    CheckConstraint("ended_at IS NULL OR dialog IS NULL", name="closed_has_no_dialog"),
    Index("ix_cdrs_instance", "instance_id"),
    Index("ix_cdrs_open", "call_id", sqlite_where=text("ended_at IS NULL"), postgresql_where=text("ended_at IS NULL")),
)

fdrs = Table(
    "fdrs",
    metadata,
    Column("feature_id", Text, primary_key=True),
    Column("instance_id", ForeignKey("adrs.instance_id"), nullable=False),
    Column("call_id", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("audio_path", Text, nullable=False),
    Column("transaction_id", Text, nullable=False),
    Column("started_at", Double, nullable=False),
    Column("stopped_at", Double, nullable=False),
    Column("seconds_for_cost", Double, nullable=False),
    Column("unit_cost", Amount, nullable=False),
    Column("cost", Amount, nullable=False),
    Column("costs_valid", Boolean, nullable=False),
    CheckConstraint("audio_path IN ('in', 'out', 'mixed', '')", name="audio_path_known"),
    Index("ix_fdrs_instance", "instance_id"),
)

error_records = Table(
    "error_records",
    metadata,
    Column("instance_id", ForeignKey("adrs.instance_id"), nullable=False),
    Column("n", Integer, nullable=False),
    Column("code", Text, nullable=False),
    Column("text", Text, nullable=False),
    PrimaryKeyConstraint("instance_id", "n"),
    CheckConstraint("n >= 0", name="counts_from_zero"),
    CheckConstraint("length(code) = 4", name="code_has_four_digits"),
)

rate_cards = Table(
    "rate_cards",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),  # the account's; 0: the default card
    Column("account_id", ForeignKey("accounts.id")),
    Column("rates", Text, nullable=False),
    Column("changed_at", Double, nullable=False),
    CheckConstraint("id = coalesce(account_id, 0)", name="one_for_each"),
)

number_rates = Table(
    "number_rates",
    metadata,
    Column("card_id", ForeignKey("rate_cards.id"), nullable=False),
    Column("prefix", Text, nullable=False),
    Column("price", Amount, nullable=False),
    Column("first_s", Integer, nullable=False),
    Column("next_s", Integer, nullable=False),
    Column("minimum", Amount, nullable=False),
    Column("fee", Amount, nullable=False),
    Column("tollfree", Boolean, nullable=False),
    PrimaryKeyConstraint("card_id", "prefix"),
    CheckConstraint("price >= 0 AND minimum >= 0 AND fee >= 0", name="amounts_possible"),
    CheckConstraint("first_s >= 1 AND next_s >= 1", name="steps_possible"),
)

spending = Table(
    "spending",
    metadata,
    Column("account_id", ForeignKey("accounts.id"), nullable=False),
    Column("day", Integer, nullable=False),
    Column("amount", Amount, nullable=False),
    PrimaryKeyConstraint("account_id", "day"),
)
