"""A database with one account and service in it, and short ways to write records."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection

from callwright.accounts import store
from callwright.accounts.account import Account
from callwright.accounts.secrets import PasswordHash
from callwright.accounts.service import Page, Service
from callwright.db.database import DATABASE_FILE, Database
from callwright.records import ledger
from callwright.records.number_rate import NumberRate
from callwright.records.rating import NOTHING_RESERVED, Reservation
from callwright.records.settings import RateCard
from callwright.values.ids import CallId, InstanceId

T0 = 1_700_000_000.0
INSTANCE = InstanceId("100d73cb12cbf845.8089")
CALL = CallId("100d73cb12cbf845.1.1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """An open database with ``account`` (whose key is ``key``) and its ``service``, which nobody can log in to."""

    db: Database
    account: Account
    key: str
    service: Service


@contextmanager
def open_ledger(folder: Path) -> Iterator[Ledger]:
    """Open a fresh database in ``folder`` and close it at the end."""
    with Database.open(folder / DATABASE_FILE) as db:
        account, key = db.write_now(lambda c: store.create_account(c, username="bob@example.com", created_at=T0))
        service = db.write_now(
            lambda c: store.create_service(
                c,
                account.id,
                name="reminder",
                created_at=T0,
                password_hash=PasswordHash("nothing fits"),
                first_page=Page(url="http://127.0.0.1:1/first"),
            )
        )
        yield Ledger(db=db, account=account, key=key, service=service)


def begin_instance(
    c: Connection,
    account: Account,
    *,
    instance_id: InstanceId = INSTANCE,
    call_id: CallId | None = CALL,
    started_at: float = T0,
    originating_user: str = "443069999876",
    rates: RateCard | None = None,
    rate: NumberRate | None = None,
    reservation: Reservation = NOTHING_RESERVED,
) -> None:
    """Open an ADR and, unless ``call_id`` is None, the CDR of its call to tel:443069990123."""
    ledger.open_adr(
        c,
        instance_id=instance_id,
        account_id=account.id,
        application_name="reminder",
        started_at=started_at,
        rates=rates,
        reservation=reservation,
    )
    if call_id is not None:
        ledger.open_cdr(
            c,
            call_id=call_id,
            instance_id=instance_id,
            destination_address="tel:443069990123",
            originating_user=originating_user,
            initiated_at=started_at,
            rate=rate,
        )
