"""The first schema: the node, accounts and services, the outbound queue, the ledger."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "accounts",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("cloud_id", sa.Text(), nullable=False),
        sa.Column("username", sa.Text(), nullable=False),
        sa.Column("username_key", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("max_cps", sa.Double(), nullable=False),
        sa.Column("min_cps", sa.Double(), nullable=False),
        sa.Column("max_running", sa.Integer(), nullable=True),
        sa.Column("caller_ids", sa.Text(), nullable=False),
        sa.Column("key_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("previous_key_sha256", sa.LargeBinary(), nullable=True),
        sa.Column("previous_key_until", sa.Double(), nullable=True),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.CheckConstraint("type IN ('developer', 'production', 'premium')", name=op.f("ck_accounts_type_known")),
        sa.CheckConstraint(
            "(previous_key_sha256 IS NULL) = (previous_key_until IS NULL)",
            name=op.f("ck_accounts_previous_key_is_whole"),
        ),
        sa.CheckConstraint("length(key_sha256) = 32", name=op.f("ck_accounts_key_is_sha256")),
        sa.CheckConstraint("length(previous_key_sha256) = 32", name=op.f("ck_accounts_previous_key_is_sha256")),
        sa.CheckConstraint(
            "max_cps > 0 AND min_cps >= 0 AND min_cps <= max_cps", name=op.f("ck_accounts_cps_possible")
        ),
        sa.CheckConstraint("max_running >= 1", name=op.f("ck_accounts_something_can_run")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_accounts")),
        sa.UniqueConstraint("cloud_id", "username_key", name=op.f("uq_accounts_cloud_id_username_key")),
    )
    op.create_table(
        "node",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("incarnation", sa.Integer(), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_node_one_row")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_node")),
    )
    op.create_table(
        "adrs",
        sa.Column("instance_id", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("reference", sa.Text(), nullable=True),
        sa.Column("application_name", sa.Text(), nullable=False),
        sa.Column("application", sa.Text(), nullable=False),
        sa.Column("application_parameters", sa.Text(), nullable=False),
        sa.Column("outbound_parameters", sa.Text(), nullable=False),
        sa.Column("rest_to", sa.Text(), nullable=False),
        sa.Column("rest_from", sa.Text(), nullable=False),
        sa.Column("rest_initial_token", sa.Text(), nullable=False),
        sa.Column("uas_application_name", sa.Text(), nullable=False),
        sa.Column("uas_ip_address", sa.Text(), nullable=False),
        sa.Column("uas_name", sa.Text(), nullable=False),
        sa.Column("extra_channel_count", sa.Integer(), nullable=False),
        sa.Column("fax", sa.Boolean(), nullable=False),
        sa.Column("started_at", sa.Double(), nullable=False),
        sa.Column("tts_ms", sa.Integer(), server_default="0", nullable=False),
        sa.Column("tts_neural_ms", sa.Integer(), server_default="0", nullable=False),
        sa.Column("final_asked_at", sa.Double(), nullable=True),
        sa.Column("stopped_at", sa.Double(), nullable=True),
        sa.Column("exit_status", sa.Integer(), nullable=True),
        sa.Column("platform_cost", sa.BigInteger(), nullable=True),
        sa.Column("extra_cost", sa.BigInteger(), nullable=True),
        sa.Column("pstn_cost", sa.BigInteger(), nullable=True),
        sa.Column("tollfree_cost", sa.BigInteger(), nullable=True),
        sa.Column("tts_unit_cost", sa.BigInteger(), nullable=True),
        sa.Column("tts_cost", sa.BigInteger(), nullable=True),
        sa.Column("tts_neural_unit_cost", sa.BigInteger(), nullable=True),
        sa.Column("tts_neural_cost", sa.BigInteger(), nullable=True),
        sa.Column("feature_cost", sa.BigInteger(), nullable=True),
        sa.Column("total_cost", sa.BigInteger(), nullable=True),
        sa.Column("costs_valid", sa.Boolean(), nullable=True),
        sa.CheckConstraint("application IN ('rest', 'uas')", name=op.f("ck_adrs_application_known")),
        sa.CheckConstraint(
            "(stopped_at IS NULL) = (costs_valid IS NULL)", name=op.f("ck_adrs_closed_says_if_costs_are_valid")
        ),
        sa.CheckConstraint(
            "(stopped_at IS NULL) = (exit_status IS NULL)", name=op.f("ck_adrs_closed_has_an_exit_status")
        ),
        sa.CheckConstraint("(stopped_at IS NULL) = (total_cost IS NULL)", name=op.f("ck_adrs_closed_is_priced")),
        sa.CheckConstraint("tts_ms >= 0 AND tts_neural_ms >= 0", name=op.f("ck_adrs_speech_counts_up")),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_adrs_account_id_accounts")),
        sa.PrimaryKeyConstraint("instance_id", name=op.f("pk_adrs")),
    )
    op.create_index("ix_adrs_account", "adrs", ["account_id", "started_at"], unique=False)
    op.create_index(
        "ix_adrs_open",
        "adrs",
        ["instance_id"],
        unique=False,
        sqlite_where=sa.text("stopped_at IS NULL"),
        postgresql_where=sa.text("stopped_at IS NULL"),
    )
    op.create_table(
        "requests",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("unique_id", sa.Text(), nullable=True),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.CheckConstraint("count >= 1", name=op.f("ck_requests_starts_something")),
        sa.CheckConstraint("length(digest) = 32", name=op.f("ck_requests_digest_is_sha256")),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_requests_account_id_accounts")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_requests")),
        sa.UniqueConstraint("account_id", "unique_id", name=op.f("uq_requests_account_id_unique_id")),
    )
    op.create_table(
        "services",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("direction", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("application", sa.Text(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=True),
        sa.Column("first_page_url", sa.Text(), nullable=True),
        sa.Column("first_page_method", sa.Text(), nullable=True),
        sa.Column("final_page_url", sa.Text(), nullable=True),
        sa.Column("final_page_method", sa.Text(), nullable=True),
        sa.Column("error_page_url", sa.Text(), nullable=True),
        sa.Column("error_page_method", sa.Text(), nullable=True),
        sa.Column("application_parameters", sa.Text(), nullable=False),
        sa.Column("tts_voice", sa.Text(), nullable=False),
        sa.Column("call_type", sa.Text(), nullable=False),
        sa.Column("max_cps", sa.Double(), nullable=True),
        sa.Column("min_cps", sa.Double(), nullable=True),
        sa.Column("max_running", sa.Integer(), nullable=True),
        sa.Column("ring_timeout_s", sa.Double(), nullable=False),
        sa.Column("uas_application_name", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.CheckConstraint(
            "(application = 'rest') = (first_page_url IS NOT NULL)", name=op.f("ck_services_rest_has_a_first_page")
        ),
        sa.CheckConstraint(
            "(application = 'uas') = (uas_application_name <> '')", name=op.f("ck_services_uas_has_an_application")
        ),
        sa.CheckConstraint("application IN ('rest', 'uas')", name=op.f("ck_services_application_known")),
        sa.CheckConstraint("call_type IN ('telephone', 'conference')", name=op.f("ck_services_call_type_known")),
        sa.CheckConstraint(
            "direction <> 'outbound' OR password_hash IS NOT NULL", name=op.f("ck_services_outbound_has_a_password")
        ),
        sa.CheckConstraint("direction IN ('outbound', 'inbound')", name=op.f("ck_services_direction_known")),
        sa.CheckConstraint(
            "(error_page_url IS NULL) = (error_page_method IS NULL)", name=op.f("ck_services_error_page_is_whole")
        ),
        sa.CheckConstraint(
            "(final_page_url IS NULL) = (final_page_method IS NULL)", name=op.f("ck_services_final_page_is_whole")
        ),
        sa.CheckConstraint(
            "(first_page_url IS NULL) = (first_page_method IS NULL)", name=op.f("ck_services_first_page_is_whole")
        ),
        sa.CheckConstraint("max_cps > 0", name=op.f("ck_services_max_cps_possible")),
        sa.CheckConstraint("max_running >= 1", name=op.f("ck_services_something_can_run")),
        sa.CheckConstraint("min_cps >= 0", name=op.f("ck_services_min_cps_possible")),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_services_account_id_accounts")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_services")),
        sa.UniqueConstraint("account_id", "direction", "name", name=op.f("uq_services_account_id_direction_name")),
    )
    op.create_table(
        "cdrs",
        sa.Column("call_id", sa.Text(), nullable=False),
        sa.Column("instance_id", sa.Text(), nullable=False),
        sa.Column("direction", sa.Text(), nullable=False),
        sa.Column("channel_type", sa.Text(), nullable=False),
        sa.Column("destination_address", sa.Text(), nullable=False),
        sa.Column("originating_user", sa.Text(), nullable=False),
        sa.Column("initiated_at", sa.Double(), nullable=False),
        sa.Column("connected_at", sa.Double(), nullable=True),
        sa.Column("dialog", sa.LargeBinary(), nullable=True),
        sa.Column("ended_at", sa.Double(), nullable=True),
        sa.Column("hangup_cause", sa.Text(), nullable=True),
        sa.Column("joined_s", sa.Double(), nullable=True),
        sa.Column("call_cost", sa.BigInteger(), nullable=True),
        sa.Column("costs_valid", sa.Boolean(), nullable=True),
        sa.CheckConstraint("channel_type IN ('p', 'x', 'ca', 'cv')", name=op.f("ck_cdrs_channel_type_known")),
        sa.CheckConstraint("direction IN ('in', 'out', 'client')", name=op.f("ck_cdrs_direction_known")),
        sa.CheckConstraint("(ended_at IS NULL) = (call_cost IS NULL)", name=op.f("ck_cdrs_closed_is_priced")),
        sa.CheckConstraint(
            "(ended_at IS NULL) = (costs_valid IS NULL)", name=op.f("ck_cdrs_closed_says_if_costs_are_valid")
        ),
        sa.CheckConstraint("(ended_at IS NULL) = (hangup_cause IS NULL)", name=op.f("ck_cdrs_closed_has_a_cause")),
        sa.CheckConstraint("(ended_at IS NULL) = (joined_s IS NULL)", name=op.f("ck_cdrs_closed_has_a_joined_time")),
        sa.CheckConstraint("ended_at IS NULL OR dialog IS NULL", name=op.f("ck_cdrs_closed_has_no_dialog")),
        sa.ForeignKeyConstraint(["instance_id"], ["adrs.instance_id"], name=op.f("fk_cdrs_instance_id_adrs")),
        sa.PrimaryKeyConstraint("call_id", name=op.f("pk_cdrs")),
    )
    op.create_index("ix_cdrs_instance", "cdrs", ["instance_id"], unique=False)
    op.create_index(
        "ix_cdrs_open",
        "cdrs",
        ["call_id"],
        unique=False,
        sqlite_where=sa.text("ended_at IS NULL"),
        postgresql_where=sa.text("ended_at IS NULL"),
    )
    op.create_table(
        "error_records",
        sa.Column("instance_id", sa.Text(), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.CheckConstraint("length(code) = 4", name=op.f("ck_error_records_code_has_four_digits")),
        sa.CheckConstraint("n >= 0", name=op.f("ck_error_records_counts_from_zero")),
        sa.ForeignKeyConstraint(["instance_id"], ["adrs.instance_id"], name=op.f("fk_error_records_instance_id_adrs")),
        sa.PrimaryKeyConstraint("instance_id", "n", name=op.f("pk_error_records")),
    )
    op.create_table(
        "fdrs",
        sa.Column("feature_id", sa.Text(), nullable=False),
        sa.Column("instance_id", sa.Text(), nullable=False),
        sa.Column("call_id", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("audio_path", sa.Text(), nullable=False),
        sa.Column("transaction_id", sa.Text(), nullable=False),
        sa.Column("started_at", sa.Double(), nullable=False),
        sa.Column("stopped_at", sa.Double(), nullable=False),
        sa.Column("seconds_for_cost", sa.Double(), nullable=False),
        sa.Column("unit_cost", sa.BigInteger(), nullable=False),
        sa.Column("cost", sa.BigInteger(), nullable=False),
        sa.Column("costs_valid", sa.Boolean(), nullable=False),
        sa.CheckConstraint("audio_path IN ('in', 'out', 'mixed', '')", name=op.f("ck_fdrs_audio_path_known")),
        sa.ForeignKeyConstraint(["instance_id"], ["adrs.instance_id"], name=op.f("fk_fdrs_instance_id_adrs")),
        sa.PrimaryKeyConstraint("feature_id", name=op.f("pk_fdrs")),
    )
    op.create_index("ix_fdrs_instance", "fdrs", ["instance_id"], unique=False)
    op.create_table(
        "starts",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("service_id", sa.Integer(), nullable=False),
        sa.Column("request_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("given_to", sa.Text(), nullable=True),
        sa.Column("given_from", sa.Text(), nullable=False),
        sa.Column("token", sa.Text(), nullable=True),
        sa.Column("outbound_parameters", sa.Text(), nullable=True),
        sa.Column("extra_sip_headers", sa.JSON(), nullable=True),
        sa.Column("queued_at", sa.Double(), nullable=False),
        sa.Column("due_at", sa.Double(), nullable=False),
        sa.Column("expires_at", sa.Double(), nullable=False),
        sa.Column("claimed_by", sa.Integer(), nullable=True),
        sa.Column("claimed_at", sa.Double(), nullable=True),
        sa.Column("attempt", sa.Integer(), server_default="1", nullable=False),
        sa.Column("instance_id", sa.Text(), nullable=True),
        sa.Column("finished_at", sa.Double(), nullable=True),
        sa.Column("return_code", sa.Integer(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "(state = 'finished') = (return_code IS NOT NULL)", name=op.f("ck_starts_finished_has_a_return_code")
        ),
        sa.CheckConstraint(
            "(state IN ('finished', 'failed', 'cancelled', 'expired')) = (finished_at IS NOT NULL)",
            name=op.f("ck_starts_over_has_a_time"),
        ),
        sa.CheckConstraint("state <> 'queued' OR claimed_by IS NULL", name=op.f("ck_starts_queued_has_no_owner")),
        sa.CheckConstraint(
            "state IN ('queued', 'claimed', 'running', 'finished', 'failed', 'cancelled', 'expired')",
            name=op.f("ck_starts_state_known"),
        ),
        sa.CheckConstraint(
            "state NOT IN ('claimed', 'running') OR claimed_by IS NOT NULL", name=op.f("ck_starts_claim_has_owner")
        ),
        sa.CheckConstraint(
            "state NOT IN ('failed', 'expired') OR reason IS NOT NULL", name=op.f("ck_starts_failed_has_a_reason")
        ),
        sa.CheckConstraint(
            "state NOT IN ('running', 'finished') OR instance_id IS NOT NULL",
            name=op.f("ck_starts_running_has_an_instance"),
        ),
        sa.CheckConstraint("(claimed_by IS NULL) = (claimed_at IS NULL)", name=op.f("ck_starts_claim_is_whole")),
        sa.CheckConstraint("attempt >= 1", name=op.f("ck_starts_attempts_count_from_one")),
        sa.CheckConstraint("expires_at >= queued_at", name=op.f("ck_starts_expires_after_queued")),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_starts_account_id_accounts")),
        sa.ForeignKeyConstraint(["request_id"], ["requests.id"], name=op.f("fk_starts_request_id_requests")),
        sa.ForeignKeyConstraint(["service_id"], ["services.id"], name=op.f("fk_starts_service_id_services")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_starts")),
        sa.UniqueConstraint("reference", name=op.f("uq_starts_reference")),
    )
    op.create_index(
        "ix_starts_expiry",
        "starts",
        ["expires_at"],
        unique=False,
        sqlite_where=sa.text("state = 'queued'"),
        postgresql_where=sa.text("state = 'queued'"),
    )
    op.create_index(
        "ix_starts_held",
        "starts",
        ["claimed_by"],
        unique=False,
        sqlite_where=sa.text("state IN ('claimed', 'running')"),
        postgresql_where=sa.text("state IN ('claimed', 'running')"),
    )
    op.create_index("ix_starts_instance", "starts", ["instance_id"], unique=True)
    op.create_index("ix_starts_request", "starts", ["request_id"], unique=False)
    op.create_index(
        "ix_starts_turn",
        "starts",
        ["service_id", "due_at", "id"],
        unique=False,
        sqlite_where=sa.text("state = 'queued'"),
        postgresql_where=sa.text("state = 'queued'"),
    )
    op.create_table(
        "attempts",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("start_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("service_id", sa.Integer(), nullable=False),
        sa.Column("instance_id", sa.Text(), nullable=False),
        sa.Column("claimed_by", sa.Integer(), nullable=False),
        sa.Column("dialled_at", sa.Double(), nullable=False),
        sa.Column("slot_at", sa.Double(), nullable=False),
        sa.Column("finished_at", sa.Double(), nullable=True),
        sa.CheckConstraint("n >= 1", name=op.f("ck_attempts_attempts_count_from_one")),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_attempts_account_id_accounts")),
        sa.ForeignKeyConstraint(["service_id"], ["services.id"], name=op.f("fk_attempts_service_id_services")),
        sa.ForeignKeyConstraint(["start_id"], ["starts.id"], name=op.f("fk_attempts_start_id_starts")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_attempts")),
        sa.UniqueConstraint("instance_id", name=op.f("uq_attempts_instance_id")),
        sa.UniqueConstraint("start_id", "n", name=op.f("uq_attempts_start_id_n")),
    )
    op.create_index("ix_attempts_slot", "attempts", ["service_id", "slot_at"], unique=False)
