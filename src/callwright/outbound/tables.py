"""The tables of the outbound queue (docs/reference/queue.md).

``requests`` holds one row per accepted service_start and makes ``unique_id`` idempotent; ``starts`` holds one row per
start, and that row is the queue; ``attempts`` holds one row per time somebody was, or may have been, dialled. An
attempt row is written in the transaction that stamps the start, before the first byte towards the far end, so
``UNIQUE (start_id, n)`` is what keeps recovery from ever dialling twice: only a retry plan raises ``starts.attempt``.
``pauses`` holds what the operator has stopped from being dialled.

All times are epoch seconds. Partial indexes carry the literal ``state = 'queued'``: a statement must spell it the same
way (not as a bound value) for SQLite to use them, which keeps claiming flat however many starts wait.
"""

from __future__ import annotations

import sqlalchemy as sa

from callwright.db.metadata import metadata

_Key = sa.BigInteger().with_variant(sa.Integer, "sqlite")  # SQLite numbers rows by itself only for INTEGER keys

requests = sa.Table(
    "requests",
    metadata,
    sa.Column("id", _Key, primary_key=True),
    sa.Column("account_id", sa.ForeignKey("accounts.id"), nullable=False),
    sa.Column("unique_id", sa.Text),
    sa.Column("digest", sa.LargeBinary, nullable=False),
    sa.Column("count", sa.Integer, nullable=False),
    sa.Column("created_at", sa.Double, nullable=False),
    sa.UniqueConstraint("account_id", "unique_id"),
    sa.CheckConstraint("count >= 1", name="starts_something"),
    sa.CheckConstraint("length(digest) = 32", name="digest_is_sha256"),
)

starts = sa.Table(
    "starts",
    metadata,
    sa.Column("id", _Key, primary_key=True),
    sa.Column("reference", sa.Text, nullable=False, unique=True),
    sa.Column("account_id", sa.ForeignKey("accounts.id"), nullable=False),
    sa.Column("service_id", sa.ForeignKey("services.id"), nullable=False),
    sa.Column("request_id", sa.ForeignKey("requests.id"), nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    # What was asked for, as given. A start of a UAS service has no destination: its application dials.
    sa.Column("given_to", sa.Text),
    sa.Column("given_from", sa.Text, nullable=False),
    sa.Column("token", sa.Text),
    sa.Column("outbound_parameters", sa.Text),
    sa.Column("extra_sip_headers", sa.JSON),
    # What was wished (docs/reference/queue.md, wishes); hours and retries as JSON of their own types.
    sa.Column("ring_timeout_s", sa.Double),
    sa.Column("max_duration_s", sa.Double),
    sa.Column("calling_hours", sa.Text),
    sa.Column("retry", sa.Text),
    # Its turn.
    sa.Column("priority", sa.Integer, nullable=False, server_default="0"),
    sa.Column("queued_at", sa.Double, nullable=False),
    sa.Column("due_at", sa.Double, nullable=False),
    sa.Column("expires_at", sa.Double, nullable=False),
    # Who has it: the incarnation of the node, kept as history once the start is over.
    sa.Column("claimed_by", sa.Integer),
    sa.Column("claimed_at", sa.Double),
    # What became of it. ``attempt`` is the number of the attempt it is due for or in.
    sa.Column("attempt", sa.Integer, nullable=False, server_default="1"),
    sa.Column("instance_id", sa.Text),
    sa.Column("finished_at", sa.Double),
    sa.Column("return_code", sa.Integer),
    sa.Column("reason", sa.Text),
    sa.CheckConstraint(
        "state IN ('queued', 'claimed', 'running', 'finished', 'failed', 'cancelled', 'expired')", name="state_known"
    ),
    sa.CheckConstraint("state NOT IN ('claimed', 'running') OR claimed_by IS NOT NULL", name="claim_has_owner"),
    sa.CheckConstraint("state <> 'queued' OR claimed_by IS NULL", name="queued_has_no_owner"),
    sa.CheckConstraint("(claimed_by IS NULL) = (claimed_at IS NULL)", name="claim_is_whole"),
    sa.CheckConstraint(
        "state NOT IN ('running', 'finished') OR instance_id IS NOT NULL", name="running_has_an_instance"
    ),
    sa.CheckConstraint(
        "(state IN ('finished', 'failed', 'cancelled', 'expired')) = (finished_at IS NOT NULL)", name="over_has_a_time"
    ),
    sa.CheckConstraint("(state = 'finished') = (return_code IS NOT NULL)", name="finished_has_a_return_code"),
    sa.CheckConstraint("state NOT IN ('failed', 'expired') OR reason IS NOT NULL", name="failed_has_a_reason"),
    sa.CheckConstraint("attempt >= 1", name="attempts_count_from_one"),
    sa.CheckConstraint("expires_at >= queued_at", name="expires_after_queued"),
    sa.Index(
        "ix_starts_turn",
        "service_id",
        "priority",
        "due_at",
        "id",
        sqlite_where=sa.text("state = 'queued'"),
        postgresql_where=sa.text("state = 'queued'"),
    ),
    sa.Index(
        "ix_starts_expiry",
        "expires_at",
        sqlite_where=sa.text("state = 'queued'"),
        postgresql_where=sa.text("state = 'queued'"),
    ),
    sa.Index(
        "ix_starts_held",
        "claimed_by",
        sqlite_where=sa.text("state IN ('claimed', 'running')"),
        postgresql_where=sa.text("state IN ('claimed', 'running')"),
    ),
    sa.Index("ix_starts_request", "request_id"),
    sa.Index("ix_starts_instance", "instance_id", unique=True),
)

attempts = sa.Table(
    "attempts",
    metadata,
    sa.Column("id", _Key, primary_key=True),
    sa.Column("start_id", sa.ForeignKey("starts.id"), nullable=False),
    sa.Column("n", sa.Integer, nullable=False),
    sa.Column("account_id", sa.ForeignKey("accounts.id"), nullable=False),
    sa.Column("service_id", sa.ForeignKey("services.id"), nullable=False),
    sa.Column("instance_id", sa.Text, nullable=False, unique=True),
    sa.Column("claimed_by", sa.Integer, nullable=False),
    # When the stamp was written, and the pacing slot it was written for.
    sa.Column("dialled_at", sa.Double, nullable=False),
    sa.Column("slot_at", sa.Double, nullable=False),
    sa.Column("finished_at", sa.Double),
    # How it ended, and how it reached nobody (``retry.Unreached``) if that is what it did.
    sa.Column("return_code", sa.Integer),
    sa.Column("unreached", sa.Text),
    sa.UniqueConstraint("start_id", "n"),
    sa.CheckConstraint("n >= 1", name="attempts_count_from_one"),
    # The newest slots of each service are all that pacing needs after a restart.
    sa.Index("ix_attempts_slot", "service_id", "slot_at"),
)

pauses = sa.Table(
    "pauses",
    metadata,
    sa.Column("scope", sa.Text, nullable=False, primary_key=True),
    # The account or the service; 0 for everything.
    sa.Column("of", sa.Integer, nullable=False, primary_key=True, autoincrement=False),
    sa.Column("paused_at", sa.Double, nullable=False),
    sa.CheckConstraint("scope IN ('all', 'account', 'service')", name="scope_known"),
    sa.CheckConstraint("(scope = 'all') = (of = 0)", name="all_is_one"),
)
