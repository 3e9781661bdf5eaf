from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import Connection
from tests.support.ledger import T0, Ledger, open_ledger

from callwright.accounts import secrets, store
from callwright.accounts.account import Account
from callwright.accounts.credentials import Credentials, Denial, DenialReason
from callwright.accounts.secrets import PREVIOUS_KEY_LIFE_S, PasswordHash, hash_password
from callwright.accounts.service import Page
from callwright.accounts.throttle import FREE_FAILURES

PASSWORD = "a:password with: colons"
WRONG = Denial(reason=DenialReason.WRONG)
PAGE = Page(url="http://127.0.0.1:9/first")
OTHER_CLOUD = Denial(reason=DenialReason.OTHER_CLOUD)


class Clocks:
    """Hands-on time: ``now`` is what both clocks show."""

    def __init__(self) -> None:
        self.now = T0

    def __call__(self) -> float:
        return self.now


class Hashed(list[str]):
    """The passwords that were really hashed for a check, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.begun = threading.Event()


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> Hashed:
    done = Hashed()
    verify = secrets._verify

    def counting(stored: PasswordHash, password: str) -> bool:
        done.append(password)
        done.begun.set()
        return verify(stored, password)

    monkeypatch.setattr(secrets, "_verify", counting)
    return done


def run(tmp_path: Path, story: Callable[[Ledger, Credentials, Clocks], Awaitable[None]]) -> None:
    clocks = Clocks()
    with open_ledger(tmp_path) as opened:
        opened.db.write_now(lambda c: store.set_service_password(c, opened.service.id, hash_password(PASSWORD)))
        credentials = Credentials(clock=clocks, monotonic=clocks)

        async def whole() -> None:
            await story(opened, credentials, clocks)

        try:
            asyncio.run(whole())
        finally:
            credentials.close()


def test_the_right_password_gives_the_account_and_the_service(tmp_path: Path, hashed: Hashed) -> None:
    async def story(opened: Ledger, credentials: Credentials, clocks: Clocks) -> None:
        for username in ("bob@example.com", "BOB@Example.COM", "bob@example.com"):
            found = await credentials.check_service(opened.db, "0-0-0", username, "reminder", PASSWORD)
            assert found == (opened.account, opened.service)
        assert hashed == [PASSWORD]

    run(tmp_path, story)


def test_whatever_is_wrong_the_answer_is_the_same_and_a_password_was_hashed(tmp_path: Path, hashed: Hashed) -> None:
    async def story(opened: Ledger, credentials: Credentials, clocks: Clocks) -> None:
        attempts = [
            ("bob@example.com", "reminder", "wrong"),
            ("bob@example.com", "reminder", PASSWORD + " "),
            ("bob@example.com", "reminder", ""),
            ("bob@example.com", "Reminder", PASSWORD),
            ("bob@example.com", "unknown", PASSWORD),
            ("nobody@example.com", "reminder", PASSWORD),
        ]
        for attempt in attempts:
            assert await credentials.check_service(opened.db, "0-0-0", *attempt) == WRONG
        assert hashed == [password for _, _, password in attempts]

    run(tmp_path, story)


def test_another_cloud_is_told_apart(tmp_path: Path) -> None:
    async def story(opened: Ledger, credentials: Credentials, clocks: Clocks) -> None:
        service = credentials.check_service(opened.db, "1-2-0", "bob@example.com", "reminder", PASSWORD)
        assert await service == OTHER_CLOUD
        assert await credentials.check_access_key(opened.db, "1-2-0", "bob@example.com", opened.key) == OTHER_CLOUD

    run(tmp_path, story)


def test_guessing_is_slowed_for_the_account_and_address_before_a_password_is_hashed(
    tmp_path: Path, hashed: Hashed
) -> None:
    async def story(opened: Ledger, credentials: Credentials, clocks: Clocks) -> None:
        async def attempt(password: str, address: str = "192.0.2.1") -> object:
            return await credentials.check_service(
                opened.db, "0-0-0", "Bob@example.com", "reminder", password, address=address
            )

        # all at once: none may slip through because the others have not failed yet
        results = await asyncio.gather(*(attempt(f"guess {n}") for n in range(FREE_FAILURES + 5)))
        assert results.count(WRONG) == FREE_FAILURES == len(hashed)
        throttled = [result for result in results if result != WRONG]
        assert throttled == [Denial(reason=DenialReason.THROTTLED, retry_after_s=1.0)] * 5
        # even the right one has to wait, or guesses could be tried without end
        assert await attempt(PASSWORD) == throttled[0]
        assert len(hashed) == FREE_FAILURES
        key = await credentials.check_access_key(opened.db, "0-0-0", "bob@example.com", opened.key, address="192.0.2.1")
        assert key == throttled[0]
        assert await attempt(PASSWORD, address="192.0.2.2") == (opened.account, opened.service)
        clocks.now += 1.0
        assert await attempt(PASSWORD) == (opened.account, opened.service)
        assert await attempt("wrong") == WRONG

    run(tmp_path, story)


def test_a_rush_of_right_passwords_is_hashed_once(tmp_path: Path, hashed: Hashed) -> None:
    async def story(opened: Ledger, credentials: Credentials, clocks: Clocks) -> None:
        found = await asyncio.gather(
            *(
                credentials.check_service(opened.db, "0-0-0", "bob@example.com", "reminder", PASSWORD)
                for _ in range(100)
            )
        )
        assert found == [(opened.account, opened.service)] * 100
        assert hashed == [PASSWORD]

    run(tmp_path, story)


def test_a_changed_password_ends_the_old_one_at_once(tmp_path: Path) -> None:
    async def story(opened: Ledger, credentials: Credentials, clocks: Clocks) -> None:
        async def attempt(password: str) -> object:
            return await credentials.check_service(opened.db, "0-0-0", "bob@example.com", "reminder", password)

        assert await attempt(PASSWORD) == (opened.account, opened.service)
        hashed = hash_password("new")
        await opened.db.write(lambda c: store.set_service_password(c, opened.service.id, hashed))
        credentials.forget_rows()
        assert await attempt(PASSWORD) == WRONG
        assert await attempt("new") == (opened.account, opened.service)

    run(tmp_path, story)


def test_a_cancelled_request_does_not_disturb_others_with_the_same_password(tmp_path: Path, hashed: Hashed) -> None:
    async def story(opened: Ledger, credentials: Credentials, clocks: Clocks) -> None:
        def attempt() -> asyncio.Task[tuple[Account, object] | Denial]:
            return asyncio.create_task(
                credentials.check_service(opened.db, "0-0-0", "bob@example.com", "reminder", PASSWORD)
            )

        first, second = attempt(), attempt()
        assert await asyncio.to_thread(hashed.begun.wait, 10)
        first.cancel()
        assert await second == (opened.account, opened.service)

    run(tmp_path, story)


def test_the_access_key_gives_the_account(tmp_path: Path) -> None:
    async def story(opened: Ledger, credentials: Credentials, clocks: Clocks) -> None:
        async def attempt(username: str, key: str) -> Account | Denial:
            return await credentials.check_access_key(opened.db, "0-0-0", username, key)

        assert await attempt("BOB@example.com", opened.key) == opened.account
        assert await attempt("bob@example.com", opened.key.swapcase()) == WRONG
        assert await attempt("bob@example.com", "") == WRONG
        assert await attempt("bob@example.com", "ключ") == WRONG
        assert await attempt("nobody@example.com", opened.key) == WRONG
        assert await attempt("bob@example.com", PASSWORD) == WRONG

    run(tmp_path, story)


def test_after_a_rotation_the_previous_key_is_valid_until_the_new_one_is_used(tmp_path: Path) -> None:
    async def story(opened: Ledger, credentials: Credentials, clocks: Clocks) -> None:
        async def valid(key: str) -> bool:
            return await credentials.check_access_key(opened.db, "0-0-0", "bob@example.com", key) == opened.account

        new = await opened.db.write(lambda c: store.rotate_access_key(c, opened.account.id, now=clocks.now))
        assert await valid(opened.key)
        assert await valid(opened.key)
        assert await valid(new)
        assert not await valid(opened.key)
        assert await valid(new)

    run(tmp_path, story)


def test_many_right_first_logins_at_once_wait_for_each_other_and_all_get_in(tmp_path: Path, hashed: Hashed) -> None:
    async def story(opened: Ledger, credentials: Credentials, clocks: Clocks) -> None:
        names = [f"service {n}" for n in range(2 * FREE_FAILURES)]
        hashes = [hash_password(PASSWORD) for _ in names]  # each its own: none may share the work of another

        def add(c: Connection) -> None:
            for name, stored in zip(names, hashes, strict=True):
                store.create_service(
                    c, opened.account.id, name=name, created_at=T0, password_hash=stored, first_page=PAGE
                )

        opened.db.write_now(add)
        attempts = [
            credentials.check_service(opened.db, "0-0-0", "bob@example.com", name, PASSWORD, address="192.0.2.1")
            for name in names
        ]
        key = credentials.check_access_key(opened.db, "0-0-0", "bob@example.com", opened.key, address="192.0.2.1")
        *found, account = await asyncio.gather(*attempts, key)
        assert account == opened.account
        assert len(hashed) == len(names)
        assert [each[1].name for each in found if isinstance(each, tuple)] == names

    run(tmp_path, story)


def test_more_passwords_than_can_be_checked_at_once_are_said_to_be_busy_and_not_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(secrets, "_MAX_HASHING", 1)
    begun, may_end = threading.Event(), threading.Event()
    verify = secrets._verify

    def slow(stored: PasswordHash, password: str) -> bool:
        begun.set()
        return may_end.wait(20) and verify(stored, password)

    monkeypatch.setattr(secrets, "_verify", slow)

    async def story(opened: Ledger, credentials: Credentials, clocks: Clocks) -> None:
        check = partial(credentials.check_service, opened.db, "0-0-0", "bob@example.com", "reminder")
        first = asyncio.create_task(check(PASSWORD))
        assert await asyncio.to_thread(begun.wait, 20)
        assert await check("guess") == Denial(reason=DenialReason.BUSY, retry_after_s=1.0)
        may_end.set()
        assert await first == (opened.account, opened.service)

    run(tmp_path, story)


def test_a_previous_key_ends_after_thirty_days_and_at_the_next_rotation(tmp_path: Path) -> None:
    async def story(opened: Ledger, credentials: Credentials, clocks: Clocks) -> None:
        async def valid(key: str) -> bool:
            return await credentials.check_access_key(opened.db, "0-0-0", "bob@example.com", key) == opened.account

        second = await opened.db.write(lambda c: store.rotate_access_key(c, opened.account.id, now=clocks.now))
        clocks.now += PREVIOUS_KEY_LIFE_S
        assert await valid(opened.key)
        clocks.now += 1
        assert not await valid(opened.key)
        third = await opened.db.write(lambda c: store.rotate_access_key(c, opened.account.id, now=clocks.now))
        assert not await valid(opened.key)
        assert await valid(second)
        assert await valid(third)

    run(tmp_path, story)


def test_guessing_access_keys_is_slowed_too(tmp_path: Path) -> None:
    async def story(opened: Ledger, credentials: Credentials, clocks: Clocks) -> None:
        results = [
            await credentials.check_access_key(opened.db, "0-0-0", "bob@example.com", f"guess {n}")
            for n in range(FREE_FAILURES + 1)
        ]
        assert results[:-1] == [WRONG] * FREE_FAILURES
        assert results[-1] == Denial(reason=DenialReason.THROTTLED, retry_after_s=1.0)

    run(tmp_path, story)


def test_a_change_nobody_told_of_is_seen_within_a_second(tmp_path: Path) -> None:
    async def story(opened: Ledger, credentials: Credentials, clocks: Clocks) -> None:
        async def attempt(password: str) -> object:
            return await credentials.check_service(opened.db, "0-0-0", "bob@example.com", "reminder", password)

        assert await attempt(PASSWORD) == (opened.account, opened.service)
        hashed = hash_password("new")
        await opened.db.write(lambda c: store.set_service_password(c, opened.service.id, hashed))
        clocks.now += 1.0
        assert await attempt(PASSWORD) == WRONG
        assert await attempt("new") == (opened.account, opened.service)

    run(tmp_path, story)
