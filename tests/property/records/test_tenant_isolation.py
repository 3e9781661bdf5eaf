"""Two accounts do whatever they like to the stores; neither ever sees or changes anything of the other's.

The oracle: a second database in which only one of the two ever did anything. After every step the account that acts
must get the same answer as there, and what the other one sees must not have changed.
"""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection
from tests.support.ledger import T0

from callwright.accounts import do_not_call, store
from callwright.accounts.account import Account, AccountType
from callwright.accounts.rules import Rules
from callwright.accounts.secrets import PasswordHash
from callwright.accounts.service import Page, Service
from callwright.db.database import DATABASE_FILE, Database
from callwright.outbound import claims, queue
from callwright.outbound.intake import UniqueIdConflict
from callwright.outbound.policy import MayNotRun
from callwright.outbound.request import StartRequest
from callwright.outbound.transactions import settle, stamp_and_open
from callwright.records import ledger, rates, spending
from callwright.records.number_rate import NumberRate
from callwright.records.reading import read_adr
from callwright.records.settings import RateCard, RecordSettings
from callwright.values.destination import parse_destination
from callwright.values.ids import CallId, InstanceId, ServiceReference
from callwright.values.money import Money, money

NUMBERS = ("441908273800", "441908273801", "33123456789")
PRICED = RecordSettings(rates=RateCard(platform=money("0.01")))


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenant:
    """An account with its service in one database. References and ids hold its name, so they never clash."""

    db: Database
    name: str
    account: Account
    service: Service


Operation = Callable[[Connection, Tenant, int], object]


def start(c: Connection, mine: Tenant, n: int) -> object:
    numbers = itertools.count(n * 10)
    try:
        return queue.enqueue(
            c,
            account_id=mine.account.id,
            service_id=mine.service.id,
            calls=[StartRequest(given_to=f"tel:{NUMBERS[n % 3]}", given_from="441908273800")] * (n % 2 + 1),
            digest=bytes([n % 2]) * 32,
            unique_id=f"job{n % 4}",
            now=T0,
            new_reference=lambda: ServiceReference(f"{mine.name}_0.{next(numbers)}.1"),
        )
    except UniqueIdConflict as conflict:
        return str(conflict)


def run_one(c: Connection, mine: Tenant, n: int) -> object:
    claimed = claims.claim(c, mine.service.id, limit=1, incarnation=1, now=T0 + 1)
    for start in claimed:
        instance, to = instance_of(mine.name, n), parse_destination(start.given_to or "")
        if read_adr(c, instance) is not None:
            claims.release(c, [start.id], incarnation=1)
            return None
        call = CallId(f"{instance}.1")
        try:
            stamped = stamp_and_open(
                c,
                start,
                service=mine.service,
                destination=to,
                instance_id=instance,
                call_id=call,
                incarnation=1,
                now=T0 + n,
                slot_at=T0 + n,
            )
        except MayNotRun as refused:
            claims.fail(c, start.id, incarnation=1, reason=str(refused), now=T0 + n)
            continue
        if not stamped:
            return None
        if n % 2:
            settle(
                c,
                start,
                instance_id=instance,
                incarnation=1,
                now=T0 + n + 61,
                return_code=0,
                give_up=None,
                retry_at=None,
                settings=PRICED,
            )
    return [start.reference for start in claimed]


def cancel(c: Connection, mine: Tenant, n: int) -> object:
    return queue.cancel(c, account_id=mine.account.id, references=everyones(n), now=T0 + 2)


def purge(c: Connection, mine: Tenant, n: int) -> object:
    return queue.purge(c, mine.service.id, now=T0 + 2)


def list_numbers(c: Connection, mine: Tenant, n: int) -> object:
    return do_not_call.add(c, mine.account.id, [(NUMBERS[n % 3], mine.name)], now=T0)


def unlist_numbers(c: Connection, mine: Tenant, n: int) -> object:
    return do_not_call.remove(c, mine.account.id, NUMBERS[: n % 3 + 1])


def price(c: Connection, mine: Tenant, n: int) -> object:
    rate = NumberRate(prefix=NUMBERS[n % 3][: n % 5 + 1], price=Money(money(n) / 100))
    return rates.store_number_rates(c, mine.account.id, [rate], now=T0, replace=n % 2 == 0)


def drop_prices(c: Connection, mine: Tenant, n: int) -> object:
    return rates.drop_card(c, mine.account.id)


def rule(c: Connection, mine: Tenant, n: int) -> object:
    rules = Rules(allow_premium=n % 2 == 0, credit=Money(money(n)))
    return store.update_account(c, replace(mine.account, rules=rules)).rules


OPERATIONS: tuple[Operation, ...] = (
    start,
    start,
    run_one,
    run_one,
    cancel,
    purge,
    list_numbers,
    unlist_numbers,
    price,
    drop_prices,
    rule,
)

# Each example begins with something to see and to spoil: waiting, running and finished starts of both.
PRELUDE = tuple(
    (who, operation, n) for operation, n in ((start, 1), (start, 2), (run_one, 1), (run_one, 2)) for who in (0, 1)
)


def instance_of(name: str, n: int) -> InstanceId:
    return InstanceId(f"{name}{n:08x}.1")


def everyones(n: int) -> list[ServiceReference]:
    """References of both accounts: to ask for what is not one's own is the point."""
    return [ServiceReference(f"{name}_0.{each}.1") for name in ("a" * 8, "b" * 8) for each in range(n * 10, n * 10 + 3)]


def view(c: Connection, mine: Tenant) -> object:
    """Return everything an account can see, asking for everybody's references, jobs and instances."""
    account = mine.account.id
    return (
        [queue.status(c, account_id=account, references=everyones(n)) for n in range(20)],
        [queue.job(c, account_id=account, unique_id=f"job{n}") for n in range(4)],
        queue.length(c, mine.service.id),
        [service.name for service in store.list_services(c, account)],
        [ledger.application_status(c, account, instance_of(name, n)) for name in ("a" * 8, "b" * 8) for n in range(20)],
        do_not_call.page(c, account),
        do_not_call.blocked(c, account, NUMBERS),
        rates.card_of(c, account),
        rates.number_rates_of(c, account),
        [rates.prices(c, account, number) for number in NUMBERS],
        spending.position(c, account, now=T0 + 100),
        store.get_account(c, account).rules,
    )


def tenant(db: Database, name: str) -> Tenant:
    def make(c: Connection) -> tuple[Account, Service]:
        account, _ = store.create_account(c, username=f"{name}@example.com", created_at=T0, type=AccountType.PREMIUM)
        service = store.create_service(
            c,
            account.id,
            name="calls",
            created_at=T0,
            password_hash=PasswordHash("none"),
            first_page=Page(url="http://127.0.0.1/first"),
        )
        return account, service

    account, service = db.write_now(make)
    return Tenant(db=db, name=name[0] * 8, account=account, service=service)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """New databases without end; to make their tables each time would take most of the time."""
    folder = tmp_path_factory.mktemp("tenants")
    Database.open(folder / DATABASE_FILE).close()

    def fresh(n: int) -> Path:
        (folder / str(n)).mkdir()
        return Path(shutil.copy(folder / DATABASE_FILE, folder / str(n)))

    return map(fresh, itertools.count())


@settings(max_examples=20, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 1), st.integers(0, len(OPERATIONS) - 1), st.integers(0, 19)), min_size=1, max_size=20
    )
)
def test_nobody_sees_or_changes_what_belongs_to_another(
    files: Iterator[Path], steps: list[tuple[int, int, int]]
) -> None:
    with ExitStack() as open_databases:

        def database() -> Database:
            return open_databases.enter_context(Database.open(next(files)))

        shared = database()
        together = [tenant(shared, "ann"), tenant(shared, "bob")]
        alone = [tenant(database(), "ann"), tenant(database(), "bob")]
        for who, operation, n in (*PRELUDE, *((who, OPERATIONS[what], n) for who, what, n in steps)):
            mine, mine_alone = together[who], alone[who]
            got = shared.write_now(lambda c: operation(c, mine, n))  # noqa: B023
            expected = mine_alone.db.write_now(lambda c: operation(c, mine_alone, n))  # noqa: B023
            assert _told(got) == _told(expected)
        for mine, mine_alone in zip(together, alone, strict=True):
            seen = shared.read_now(lambda c: view(c, mine))  # noqa: B023
            assert _told(seen) == _told(mine_alone.db.read_now(lambda c: view(c, mine_alone)))  # noqa: B023


def _told(answer: object) -> str:
    return repr(answer)
