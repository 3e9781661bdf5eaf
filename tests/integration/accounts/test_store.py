from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import select
from tests.support.ledger import T0, Ledger, open_ledger

from callwright.accounts import store
from callwright.accounts.account import ANY, AccountType
from callwright.accounts.secrets import PasswordHash, access_key_digest
from callwright.accounts.service import ApplicationKind, CallType, Direction, Page
from callwright.accounts.tables import accounts, services
from callwright.db.database import DATABASE_FILE, Database
from callwright.db.errors import DatabaseUnavailable
from callwright.db.sealing import KEY_FILE
from callwright.values.errors import RequestError
from callwright.values.ids import AccountId, ServiceId

FIRST = Page(url="https://bob:pw@app.example.com/first", method="GET")


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Ledger]:
    with open_ledger(tmp_path) as found:
        yield found


def test_an_account_is_kept_whole_and_its_key_only_as_a_digest(opened: Ledger) -> None:
    account, key = opened.db.write_now(
        lambda c: store.create_account(
            c,
            username="Alice@Example.com",
            cloud_id="1-2-0",
            type=AccountType.PREMIUM,
            max_cps=25.5,
            min_cps=2.0,
            max_running=100,
            caller_ids=("+44-306-9999876", "15550100"),
            created_at=T0,
        )
    )
    assert (account.username, account.cloud_id, account.type) == ("Alice@Example.com", "1-2-0", AccountType.PREMIUM)
    assert (account.max_cps, account.min_cps, account.max_running) == (25.5, 2.0, 100)
    assert account.caller_ids == ("443069999876", "15550100")
    assert opened.db.read_now(lambda c: store.get_account(c, account.id)) == account
    assert opened.db.read_now(lambda c: store.find_account(c, "1-2-0", "ALICE@example.COM")) == account
    assert opened.db.read_now(lambda c: store.find_account(c, "0-0-0", "alice@example.com")) is None
    assert opened.db.read_now(store.list_accounts) == [opened.account, account]
    row = opened.db.read_now(lambda c: c.execute(select(accounts).where(accounts.c.id == account.id)).one())
    assert access_key_digest(key) in tuple(row)
    assert not any(key in str(value) for value in row)


def test_new_accounts_start_one_service_a_second_and_have_no_caller_ids(opened: Ledger) -> None:
    assert (opened.account.max_cps, opened.account.min_cps, opened.account.max_running) == (1.0, 0.0, None)
    assert (opened.account.type, opened.account.caller_ids) == (AccountType.DEVELOPER, ())


def test_user_names_differ_by_more_than_case(opened: Ledger) -> None:
    with pytest.raises(RequestError, match="exists already") as refused:
        opened.db.write_now(lambda c: store.create_account(c, username="BOB@example.com", created_at=T0))
    assert refused.value.field == "username"
    opened.db.write_now(lambda c: store.create_account(c, username="BOB@example.com", cloud_id="1-2-0", created_at=T0))


def test_an_account_can_be_changed_within_its_limits(opened: Ledger) -> None:
    wanted = replace(opened.account, type=AccountType.PRODUCTION, max_cps=50.0, max_running=5, caller_ids=ANY)
    assert opened.db.write_now(lambda c: store.update_account(c, wanted)) == wanted
    assert opened.db.read_now(lambda c: store.get_account(c, wanted.id)) == wanted
    with pytest.raises(RequestError, match="min_cps"):
        opened.db.write_now(lambda c: store.update_account(c, replace(wanted, min_cps=51.0)))


def test_what_does_not_exist_is_refused_by_name(opened: Ledger) -> None:
    missing = opened.account.id + 1
    with pytest.raises(RequestError, match="no account"):
        opened.db.read_now(lambda c: store.get_account(c, AccountId(missing)))
    with pytest.raises(RequestError, match="no account"):
        opened.db.write_now(lambda c: store.rotate_access_key(c, AccountId(missing), now=T0))
    with pytest.raises(RequestError, match="no account"):
        opened.db.write_now(lambda c: store.create_service(c, AccountId(missing), name="x", created_at=T0))
    with pytest.raises(RequestError, match="no service"):
        opened.db.read_now(lambda c: store.get_service(c, ServiceId(999)))
    with pytest.raises(RequestError, match="no service"):
        opened.db.write_now(lambda c: store.set_service_password(c, ServiceId(999), PasswordHash("x")))


def test_a_service_is_kept_whole_without_its_password(opened: Ledger) -> None:
    service = opened.db.write_now(
        lambda c: store.create_service(
            c,
            opened.account.id,
            name="My Service",
            created_at=T0,
            password_hash=PasswordHash("the hash"),
            first_page=FIRST,
            final_page=Page(url="http://127.0.0.1:8000/final"),
            application_parameters="a=1",
            tts_voice="en-GB",
            call_type=CallType.CONFERENCE,
            max_cps=0.5,
            min_cps=0.25,
            max_running=3,
            ring_timeout_s=30.0,
        )
    )
    assert service.first_page == FIRST
    assert service.final_page == Page(url="http://127.0.0.1:8000/final", method="POST")
    assert (service.error_page, service.enabled, service.direction) == (None, True, Direction.OUTBOUND)
    assert (service.max_cps, service.min_cps, service.max_running, service.ring_timeout_s) == (0.5, 0.25, 3, 30.0)
    assert (service.tts_voice, service.application_parameters) == ("en-GB", "a=1")
    assert "the hash" not in str(service)
    assert opened.db.read_now(lambda c: store.get_service(c, service.id)) == service
    assert opened.db.read_now(lambda c: store.find_service(c, opened.account.id, "My Service")) == service
    assert opened.db.read_now(lambda c: store.find_service(c, opened.account.id, "my service")) is None
    assert opened.db.read_now(store.list_services) == [service, opened.service]
    assert opened.db.read_now(lambda c: store.list_services(c, AccountId(99))) == []


def test_a_service_can_be_changed_but_not_into_another(opened: Ledger) -> None:
    db, account_id = opened.db, opened.account.id
    wanted = replace(opened.service, name="renamed", enabled=False, final_page=FIRST, max_cps=0.5)
    assert db.write_now(lambda c: store.update_service(c, wanted)) == wanted
    other = db.write_now(
        lambda c: store.create_service(
            c, account_id, name="other", created_at=T0, password_hash=PasswordHash("x"), first_page=FIRST
        )
    )
    with pytest.raises(RequestError, match="already"):
        db.write_now(lambda c: store.update_service(c, replace(other, name="renamed")))
    with pytest.raises(RequestError, match="already"):
        db.write_now(
            lambda c: store.create_service(
                c, account_id, name="other", created_at=T0, password_hash=PasswordHash("x"), first_page=FIRST
            )
        )


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": "a/b"}, "name"),
        ({"first_page": Page(url="ftp://x/")}, "first_page"),
        ({"first_page": Page(url="")}, "first_page"),
        ({"error_page": Page(url="nonsense")}, "error_page"),
        ({"max_cps": 0.0}, "max_cps"),
        ({"ring_timeout_s": 0.0}, "ring_timeout_s"),
        ({"application": ApplicationKind.UAS}, "uas_application_name"),
        ({"uas_application_name": "program"}, "uas_application_name"),
        ({"application": ApplicationKind.UAS, "uas_application_name": "program"}, "first_page"),
    ],
)
def test_an_impossible_service_is_refused_with_its_field(
    opened: Ledger, changes: dict[str, object], field: str
) -> None:
    impossible = replace(opened.service, **changes)  # type: ignore[arg-type] # each row names fields of a Service
    with pytest.raises(RequestError) as refused:
        opened.db.write_now(lambda c: store.update_service(c, impossible))
    assert refused.value.field == field
    assert opened.db.read_now(lambda c: store.get_service(c, opened.service.id)) == opened.service


def test_an_outbound_service_needs_a_password_and_a_uas_one_no_page(opened: Ledger) -> None:
    with pytest.raises(RequestError) as refused:
        opened.db.write_now(
            lambda c: store.create_service(c, opened.account.id, name="x", created_at=T0, first_page=FIRST)
        )
    assert refused.value.field == "password"
    uas = opened.db.write_now(
        lambda c: store.create_service(
            c,
            opened.account.id,
            name="x",
            created_at=T0,
            password_hash=PasswordHash("x"),
            application=ApplicationKind.UAS,
            uas_application_name="program",
        )
    )
    assert (uas.first_page.url, uas.uas_application_name) == ("", "program")


def test_no_password_is_kept_in_the_clear(opened: Ledger) -> None:
    opened.db.write_now(lambda c: store.set_service_password(c, opened.service.id, PasswordHash("$argon2id$new")))
    kept = opened.db.read_now(lambda c: c.scalar(select(services.c.password_hash)))
    assert kept == "$argon2id$new"


def test_a_page_with_a_password_is_sealed_at_rest_and_given_back_whole(tmp_path: Path) -> None:
    with open_ledger(tmp_path) as opened:
        wanted = replace(opened.service, first_page=FIRST, error_page=FIRST)
        assert opened.db.write_now(lambda c: store.update_service(c, wanted)) == wanted
        row = opened.db.read_now(lambda c: c.execute(select(services)).one())
        assert not any("bob:pw" in str(value) for value in row)
    with Database.open(tmp_path / DATABASE_FILE) as again:
        assert again.read_now(lambda c: store.get_service(c, wanted.id)) == wanted


def test_a_database_without_its_key_file_says_what_is_missing(tmp_path: Path) -> None:
    with open_ledger(tmp_path) as opened:
        wanted = replace(opened.service, first_page=FIRST)
        opened.db.write_now(lambda c: store.update_service(c, wanted))
    assert (tmp_path / KEY_FILE).stat().st_mode & 0o777 == 0o600
    (tmp_path / KEY_FILE).unlink()
    with (
        Database.open(tmp_path / DATABASE_FILE) as again,
        pytest.raises(DatabaseUnavailable, match="put back the key file"),
    ):
        again.read_now(lambda c: store.get_service(c, wanted.id))


def test_a_damaged_key_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / KEY_FILE).write_text("nonsense")
    with pytest.raises(DatabaseUnavailable, match="key file"):
        Database.open(tmp_path / DATABASE_FILE)
