"""A data folder of the first schema, with starts in every state, goes on under the newest one.

What the old version wrote is spelled in SQL: today's code must not help to make it.
"""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

from sqlalchemy import Connection
from tests.support.ledger import T0

from callwright.accounts import store
from callwright.accounts.rules import NO_RULES
from callwright.db import migrate
from callwright.db.connections import writer_engine
from callwright.db.database import DATABASE_FILE, Database
from callwright.db.sealing import KEY_FILE, SecretBox
from callwright.outbound import claims, queue, recovery
from callwright.outbound.start import StartState
from callwright.outbound.transactions import close_abandoned
from callwright.records import ledger, spending
from callwright.records.settings import RateCard, RecordSettings
from callwright.values.ids import AccountId, InstanceId, ServiceId, ServiceReference
from callwright.values.money import money

ACCOUNT, SERVICE = AccountId(1), ServiceId(1)
CLOSED, OPEN = InstanceId("00000000000000aa.1"), InstanceId("00000000000000bb.2")
PRICED = RecordSettings(rates=RateCard(platform=money("0.01"), pstn=money("0.02")))

WRITTEN_BY_THE_FIRST_VERSION = f"""
INSERT INTO node (id, incarnation) VALUES (1, 4);
INSERT INTO accounts (id, cloud_id, username, username_key, type, max_cps, min_cps, caller_ids, key_sha256, created_at)
    VALUES (1, '0-0-0', 'Ann@example.com', 'ann@example.com', 'premium', 5.0, 0.0, '"any"', zeroblob(32), {T0});
INSERT INTO services (id, account_id, direction, name, application, enabled, password_hash, first_page_url,
    first_page_method, application_parameters, tts_voice, call_type, ring_timeout_s, uas_application_name, created_at)
    VALUES (1, 1, 'outbound', 'calls', 'rest', 1, 'hash', 'http://127.0.0.1/first', 'POST', '', '', 'telephone', 60.0,
    '', {T0});
INSERT INTO requests (id, account_id, unique_id, digest, count, created_at) VALUES (1, 1, 'job', zeroblob(32), 4, {T0});
INSERT INTO adrs (instance_id, account_id, reference, application_name, application, application_parameters,
    outbound_parameters, rest_to, rest_from, rest_initial_token, uas_application_name, uas_ip_address, uas_name,
    extra_channel_count, fax, started_at, stopped_at, exit_status, platform_cost, extra_cost, pstn_cost, tollfree_cost,
    tts_unit_cost, tts_cost, tts_neural_unit_cost, tts_neural_cost, feature_cost, total_cost, costs_valid)
    VALUES ('{CLOSED}', 1, 'r3', 'calls', 'rest', '', '', 'tel:44', '', '', '', '', '', 0, 0, {T0}, {T0 + 30}, 0,
    10000, 0, 16000, 0, 0, 0, 0, 0, 0, 26000, 1);
INSERT INTO adrs (instance_id, account_id, reference, application_name, application, application_parameters,
    outbound_parameters, rest_to, rest_from, rest_initial_token, uas_application_name, uas_ip_address, uas_name,
    extra_channel_count, fax, started_at)
    VALUES ('{OPEN}', 1, 'r4', 'calls', 'rest', '', '', 'tel:443069990123', '', '', '', '', '', 0, 0, {T0 + 40});
INSERT INTO cdrs (call_id, instance_id, direction, channel_type, destination_address, originating_user, initiated_at,
    connected_at, dialog)
    VALUES ('00000000000000bb.1.1', '{OPEN}', 'out', 'p', 'tel:443069990123', 'calls', {T0 + 40}, {T0 + 45}, x'7b7d');
INSERT INTO starts (id, reference, account_id, service_id, request_id, state, given_to, given_from, token, queued_at,
    due_at, expires_at)
    VALUES (1, 'r1', 1, 1, 1, 'queued', 'tel:443069990123', '44', 'hello', {T0}, {T0}, {T0 + 86400});
INSERT INTO starts (id, reference, account_id, service_id, request_id, state, given_to, given_from, queued_at, due_at,
    expires_at, claimed_by, claimed_at)
    VALUES (2, 'r2', 1, 1, 1, 'claimed', 'tel:443069990124', '44', {T0}, {T0}, {T0 + 86400}, 4, {T0});
INSERT INTO starts (id, reference, account_id, service_id, request_id, state, given_to, given_from, queued_at, due_at,
    expires_at, claimed_by, claimed_at, instance_id, finished_at, return_code)
    VALUES (3, 'r3', 1, 1, 1, 'finished', 'tel:44', '44', {T0}, {T0}, {T0 + 86400}, 4, {T0}, '{CLOSED}', {T0 + 30}, 0);
INSERT INTO starts (id, reference, account_id, service_id, request_id, state, given_to, given_from, queued_at, due_at,
    expires_at, claimed_by, claimed_at, instance_id)
    VALUES (4, 'r4', 1, 1, 1, 'running', 'tel:443069990123', '44', {T0}, {T0}, {T0 + 86400}, 4, {T0}, '{OPEN}');
INSERT INTO attempts (id, start_id, n, account_id, service_id, instance_id, claimed_by, dialled_at, slot_at)
    VALUES (1, 4, 1, 1, 1, '{OPEN}', 4, {T0 + 40}, {T0 + 40});
"""


def first_version(folder: Path) -> Path:
    """Make a data folder as the first version left it when it was killed."""
    path = folder / DATABASE_FILE
    with writer_engine(path, SecretBox(folder / KEY_FILE)).connect() as connection, connection.begin():
        migrate.upgrade(connection, to="0001")
        for statement in WRITTEN_BY_THE_FIRST_VERSION.strip().removesuffix(";").split(";\n"):
            connection.exec_driver_sql(statement)
    return path


def test_every_start_of_an_older_version_goes_on(tmp_path: Path) -> None:
    with Database.open(first_version(tmp_path)) as db:
        assert db.incarnation == 5
        found = db.write_now(lambda c: recovery.take_over(c, incarnation=5, now=T0 + 100, records=PRICED))
        assert (found.taken_back, [each.adr.instance_id for each in found.abandoned]) == (1, [OPEN])
        assert found.abandoned[0].calls[0].dialog == b"{}"
        claimed = db.write_now(lambda c: claims.claim(c, SERVICE, limit=10, incarnation=5, now=T0 + 100))
        assert [(start.reference, start.token) for start in claimed] == [("r1", "hello"), ("r2", None)]
        job = db.read_now(lambda c: queue.job(c, account_id=ACCOUNT, unique_id="job"))
        assert job is not None
        assert job.references == ["r1", "r2", "r3", "r4"]


def test_a_record_begun_under_an_older_version_is_closed_at_the_prices_of_the_node(tmp_path: Path) -> None:
    with Database.open(first_version(tmp_path)) as db:
        assert db.write_now(lambda c: close_abandoned(c, OPEN, now=T0 + 100, settings=PRICED)) == -90
        status = db.read_now(lambda c: ledger.application_status(c, ACCOUNT, OPEN))
        assert status is not None
        adr = status["adr"]
        assert (adr["platform_cost"], adr["pstn_cost"], adr["costs_valid"]) == (0.01, 0.02, "false")  # type: ignore[index]
        state = db.read_now(
            lambda c: queue.status(c, account_id=ACCOUNT, references=[ServiceReference("r4")])["r4"]  # type: ignore[index]
        )
        assert (state.state, state.return_code) == (StartState.FINISHED, -90)


def test_what_was_spent_under_an_older_version_counts(tmp_path: Path) -> None:
    with Database.open(first_version(tmp_path)) as db:

        def stands(c: Connection) -> spending.Position:
            return spending.position(c, ACCOUNT, now=T0 + 60)

        assert db.read_now(stands).ever == db.read_now(stands).today == Decimal("0.026")
        assert db.read_now(stands).set_aside == 0


def test_an_account_of_an_older_version_has_the_default_rules(tmp_path: Path) -> None:
    with Database.open(first_version(tmp_path)) as db:
        account = db.read_now(lambda c: store.find_account(c, "0-0-0", "ann@EXAMPLE.com"))
        assert account is not None
        assert account.rules == NO_RULES
