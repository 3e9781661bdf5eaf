"""The tables of accounts, their rules, their do-not-call lists and their services (docs/reference/accounts.md).

Keys and passwords are here only as hashes: of access keys SHA-256, of service passwords argon2id. The URL
of a page that holds a password is sealed. Times are epoch seconds. ``caller_ids`` is the JSON text ``"any"`` or a list
of numbers, prefixes are JSON lists. An account without a row in ``account_rules`` has the default rules.
"""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
)

from callwright.db.amounts import Amount
from callwright.db.metadata import metadata

accounts = Table(
    "accounts",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("cloud_id", Text, nullable=False),
    Column("username", Text, nullable=False),
    Column("username_key", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("max_cps", Double, nullable=False),
    Column("min_cps", Double, nullable=False),
    Column("max_running", Integer),
    Column("caller_ids", Text, nullable=False),
    Column("key_sha256", LargeBinary, nullable=False),
    Column("previous_key_sha256", LargeBinary),
    Column("previous_key_until", Double),
    Column("created_at", Double, nullable=False),
    UniqueConstraint("cloud_id", "username_key"),
    CheckConstraint("type IN ('developer', 'production', 'premium')", name="type_known"),
    CheckConstraint("max_cps > 0 AND min_cps >= 0 AND min_cps <= max_cps", name="cps_possible"),
    CheckConstraint("max_running >= 1", name="something_can_run"),
    CheckConstraint("length(key_sha256) = 32", name="key_is_sha256"),
    CheckConstraint("length(previous_key_sha256) = 32", name="previous_key_is_sha256"),
    CheckConstraint("(previous_key_sha256 IS NULL) = (previous_key_until IS NULL)", name="previous_key_is_whole"),
)

account_rules = Table(
    "account_rules",
    metadata,
    Column("account_id", ForeignKey("accounts.id"), primary_key=True),
    Column("allow_premium", Boolean, nullable=False),
    Column("allow_unknown", Boolean, nullable=False),
    Column("allowed_prefixes", Text, nullable=False),
    Column("blocked_prefixes", Text, nullable=False),
    Column("daily_cap", Amount),
    Column("credit", Amount),
    Column("max_price", Amount),
    CheckConstraint("daily_cap >= 0 AND credit >= 0 AND max_price >= 0", name="amounts_possible"),
)

do_not_call = Table(
    "do_not_call",
    metadata,
    Column("account_id", ForeignKey("accounts.id"), nullable=False),
    Column("number", Text, nullable=False),
    Column("note", Text, nullable=False),
    Column("added_at", Double, nullable=False),
    PrimaryKeyConstraint("account_id", "number"),
)

services = Table(
    "services",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("account_id", ForeignKey("accounts.id"), nullable=False),
    Column("direction", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("application", Text, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("password_hash", Text),
    Column("first_page_url", Text),
    Column("first_page_method", Text),
    Column("final_page_url", Text),
    Column("final_page_method", Text),
    Column("error_page_url", Text),
    Column("error_page_method", Text),
    Column("application_parameters", Text, nullable=False),
    Column("tts_voice", Text, nullable=False),
    Column("call_type", Text, nullable=False),
    Column("max_cps", Double),
    Column("min_cps", Double),
    Column("max_running", Integer),
    Column("ring_timeout_s", Double, nullable=False),
    Column("uas_application_name", Text, nullable=False),
    Column("created_at", Double, nullable=False),
    UniqueConstraint("account_id", "direction", "name"),
    CheckConstraint("direction IN ('outbound', 'inbound')", name="direction_known"),
    CheckConstraint("application IN ('rest', 'uas')", name="application_known"),
    CheckConstraint("call_type IN ('telephone', 'conference')", name="call_type_known"),
    CheckConstraint("direction <> 'outbound' OR password_hash IS NOT NULL", name="outbound_has_a_password"),
    CheckConstraint("(application = 'rest') = (first_page_url IS NOT NULL)", name="rest_has_a_first_page"),
    CheckConstraint("(application = 'uas') = (uas_application_name <> '')", name="uas_has_an_application"),
    CheckConstraint("(first_page_url IS NULL) = (first_page_method IS NULL)", name="first_page_is_whole"),
    CheckConstraint("(final_page_url IS NULL) = (final_page_method IS NULL)", name="final_page_is_whole"),
    CheckConstraint("(error_page_url IS NULL) = (error_page_method IS NULL)", name="error_page_is_whole"),
    CheckConstraint("max_cps > 0", name="max_cps_possible"),
    CheckConstraint("min_cps >= 0", name="min_cps_possible"),
    CheckConstraint("max_running >= 1", name="something_can_run"),
)
