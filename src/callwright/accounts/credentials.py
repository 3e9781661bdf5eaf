"""Who is asking: check the user name and secret of a request (docs/reference/accounts.md).

The answer to a wrong user, a wrong service and a wrong secret is the same and takes the same time. Guessing is slowed
for each account and address, before a password is hashed.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

from callwright.accounts import store
from callwright.accounts.account import Account, user_key
from callwright.accounts.secrets import PasswordChecker, TooBusy, access_key_digest, same_digest
from callwright.accounts.service import Service
from callwright.accounts.store import AccountLogin, ServiceLogin
from callwright.accounts.throttle import Throttle
from callwright.db.database import Database

_BUSY_WAIT_S = 1.0
_ROWS_FRESH_S = 1.0
_MAX_ROWS = 10_000


class DenialReason(StrEnum):
    WRONG = "wrong"  # 401
    OTHER_CLOUD = "other_cloud"  # 403: the user name begins with a cloud id that is not served here
    THROTTLED = "throttled"  # 429: too many failures; try again after ``retry_after_s``
    BUSY = "busy"  # 429: so many passwords are being checked that one more would only make it worse; likewise


@dataclass(frozen=True, slots=True, kw_only=True)
class Denial:
    """Why a request is refused. ``retry_after_s`` is above 0 exactly for throttled and busy."""

    reason: DenialReason
    retry_after_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class UserName:
    """The user name of Basic authorisation, taken apart; ``service_name`` is None when it has two parts."""

    cloud_id: str
    username: str
    service_name: str | None


def split_user_name(text: str) -> UserName | None:
    """Take ``cloudID/username`` or ``cloudID/username/service`` apart; None when it is neither."""
    parts = text.split("/")
    if len(parts) not in (2, 3) or not all(parts):
        return None
    return UserName(cloud_id=parts[0], username=parts[1], service_name=parts[2] if len(parts) == 3 else None)


Login = TypeVar("Login")
T = TypeVar("T")
_Who = tuple[str, str, str]  # cloud, account, address


class _FreshRows(Generic[Login]):
    """Rows as read a moment ago: many requests a second come with the same login, and reading it costs more than all
    else about it. Only what was found is kept, never a verdict: throttle and secret are looked at every time.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._rows: dict[tuple[str, ...], tuple[Login, float]] = {}
        self._life = 0

    async def get(self, key: tuple[str, ...], read: Callable[[], Awaitable[Login | None]]) -> Login | None:
        kept = self._rows.get(key)
        if kept is not None and self._monotonic() < kept[1]:
            return kept[0]
        life, until = self._life, self._monotonic() + _ROWS_FRESH_S
        found = await read()
        if found is not None and life == self._life:  # else it may be what was forgotten meanwhile
            if len(self._rows) >= _MAX_ROWS:
                self._rows.clear()
            self._rows[key] = (found, until)
        return found

    def forget(self) -> None:
        self._rows.clear()
        self._life += 1


class _Throttled(Exception):
    def __init__(self, wait_s: float) -> None:
        super().__init__()
        self.wait_s = wait_s


class _Tries:
    """Passwords that are being hashed, by who sent them."""

    def __init__(self) -> None:
        self._ends: dict[_Who, list[asyncio.Event]] = {}

    def under_way(self, who: _Who) -> bool:
        return who in self._ends

    def begin(self, who: _Who) -> None:
        self._ends.setdefault(who, []).append(asyncio.Event())

    def end(self, who: _Who) -> None:
        ends = self._ends[who]
        ends.pop().set()
        if not ends:
            del self._ends[who]

    async def next_end(self, who: _Who) -> None:
        await self._ends[who][-1].wait()


class Credentials:
    """Checks credentials for one event loop; ``close`` ends its threads.

    ``cloud_ids`` are those served here. ``clock`` gives epoch seconds, ``monotonic`` seconds for pauses.
    """

    def __init__(
        self,
        *,
        cloud_ids: frozenset[str] = frozenset({"0-0-0"}),
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._cloud_ids = cloud_ids
        self._clock = clock
        self._monotonic = monotonic
        self._throttle = Throttle()
        self._tries = _Tries()
        self._passwords = PasswordChecker()
        self._accounts: _FreshRows[AccountLogin] = _FreshRows(monotonic)
        self._services: _FreshRows[ServiceLogin] = _FreshRows(monotonic)

    def forget_rows(self) -> None:
        """Read accounts and services afresh from now on: call it after changing one, or the change takes a second."""
        self._accounts.forget()
        self._services.forget()

    def close(self) -> None:
        self._passwords.close()

    async def check_service(
        self, db: Database, cloud_id: str, username: str, service_name: str, password: str, *, address: str = ""
    ) -> tuple[Account, Service] | Denial:
        """Return the account and its outbound service if the password is right; ``address`` is the client's."""
        if cloud_id not in self._cloud_ids:
            return Denial(reason=DenialReason.OTHER_CLOUD)
        who = (cloud_id, user_key(username), address)
        tried = False

        def count_try() -> None:
            nonlocal tried
            self._hold_back(who)
            # Counted as a failure before its hash is worked out, so that guesses sent all at once are counted too.
            self._throttle.failed(who, self._monotonic())
            self._tries.begin(who)
            tried = True

        async def check() -> tuple[Account, Service] | Denial:
            self._hold_back(who)
            found = await self._services.get(
                (cloud_id, who[1], service_name),
                lambda: db.read(lambda c: store.service_login(c, cloud_id, username, service_name)),
            )
            right = await self._passwords.check(
                found.password_hash if found else None, password, before_hashing=count_try
            )
            if found is None or not right:
                return Denial(reason=DenialReason.WRONG)
            self._throttle.succeeded(who)
            return found.account, found.service

        try:
            return await self._in_turn(who, check)
        except TooBusy:
            return Denial(reason=DenialReason.BUSY, retry_after_s=_BUSY_WAIT_S)
        finally:
            if tried:
                self._tries.end(who)

    async def check_access_key(
        self, db: Database, cloud_id: str, username: str, key: str, *, address: str = ""
    ) -> Account | Denial:
        """Return the account if ``key`` is its API Access Key, or the previous one while that is still valid."""
        if cloud_id not in self._cloud_ids:
            return Denial(reason=DenialReason.OTHER_CLOUD)
        who = (cloud_id, user_key(username), address)

        async def check() -> Account | Denial:
            self._hold_back(who)
            return await self._check_access_key(db, who, key)

        return await self._in_turn(who, check)

    async def _check_access_key(self, db: Database, who: _Who, key: str) -> Account | Denial:
        cloud_id, username, _ = who
        login = await self._accounts.get(who[:2], lambda: db.read(lambda c: store.account_login(c, cloud_id, username)))
        given = access_key_digest(key)
        current = same_digest(given, login.key_sha256 if login else None)
        previous = same_digest(given, login.previous_key_sha256 if login else None)
        in_time = login is not None and (login.previous_key_until or 0.0) >= self._clock()
        if login is None or not (current or (previous and in_time)):
            self._throttle.failed(who, self._monotonic())
            return Denial(reason=DenialReason.WRONG)
        self._throttle.succeeded(who)
        if current and login.previous_key_sha256 is not None:
            account_id = login.account.id
            await db.write(lambda c: store.forget_previous_key(c, account_id, used=given))
            self._accounts.forget()
        return login.account

    async def _in_turn(self, who: _Who, check: Callable[[], Awaitable[T | Denial]]) -> T | Denial:
        """Do a check. One that is held back by others that are under way, which may yet be right, waits for them."""
        while True:
            try:
                return await check()
            except _Throttled as throttled:
                if not self._tries.under_way(who):
                    return Denial(reason=DenialReason.THROTTLED, retry_after_s=throttled.wait_s)
            await self._tries.next_end(who)

    def _hold_back(self, who: _Who) -> None:
        wait_s = self._throttle.wait_s(who, self._monotonic())
        if wait_s > 0:
            raise _Throttled(wait_s)
