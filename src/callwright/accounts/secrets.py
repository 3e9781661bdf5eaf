"""API Access Keys and service passwords: made, hashed and compared here and nowhere else.

An access key is 128 random bits, so a plain SHA-256 of it tells nothing. A password is chosen by people: it is hashed
with argon2id, which is slow on purpose; successes are therefore remembered, as keyed digests under a key that only this
process has and that dies with it.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import secrets
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import NewType

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError

from callwright.accounts.service import check_password

PasswordHash = NewType("PasswordHash", str)

PREVIOUS_KEY_LIFE_S = (
    30 * 24 * 3600.0
)  # our choice, docs/reference/accounts.md: until the new key is used, at most this

_KEY_BYTES = 16
_HASHING_THREADS = 2
_MAX_HASHING = 64
_MAX_REMEMBERED = 10_000

_hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1, type=Type.ID)  # 19 MiB


def new_access_key() -> str:
    """Return a fresh API Access Key: 22 characters of the base64 alphabet."""
    return base64.b64encode(secrets.token_bytes(_KEY_BYTES)).decode().rstrip("=")


def access_key_digest(key: str) -> bytes:
    """Return what is stored of an access key."""
    return hashlib.sha256(key.encode()).digest()


def same_digest(given: bytes, stored: bytes | None) -> bool:
    """Compare in constant time; a missing digest takes as long as a wrong one."""
    return hmac.compare_digest(given, stored if stored is not None else bytes(len(given))) and stored is not None


def hash_password(password: str) -> PasswordHash:
    """Return what is stored of a service password (some 20 ms of CPU); raise ``RequestError`` if it is unusable."""
    return PasswordHash(_hasher.hash(check_password(password)))


class TooBusy(Exception):
    """So many passwords are being checked that one more would only make it worse."""


class PasswordChecker:
    """Checks service passwords off the event loop, each only once as long as it is right.

    Used from one event loop. ``close`` ends its threads.
    """

    def __init__(self) -> None:
        self._process_key = secrets.token_bytes(32)
        self._remembered: OrderedDict[bytes, None] = OrderedDict()
        self._hashing: dict[bytes, asyncio.Future[bool]] = {}
        self._threads = ThreadPoolExecutor(max_workers=_HASHING_THREADS, thread_name_prefix="password-hashing")
        self._nobody = hash_password(secrets.token_hex())

    async def check(self, stored: PasswordHash | None, password: str, *, before_hashing: Callable[[], None]) -> bool:
        """Return whether ``password`` fits; ``stored`` None (no such user) is never right but costs the same.

        ``before_hashing`` is called right before real work begins, and may raise to refuse it; a remembered success
        and a check that joins one already under way need no work. Raise ``TooBusy`` when too many are under way.
        """
        digest = self._digest(stored, password)
        if digest in self._remembered:
            self._remembered.move_to_end(digest)
            return True
        under_way = self._hashing.get(digest)
        if under_way is None:
            if len(self._hashing) >= _MAX_HASHING:
                raise TooBusy
            before_hashing()
            under_way = asyncio.get_running_loop().run_in_executor(
                self._threads, _verify, self._nobody if stored is None else stored, password
            )
            self._hashing[digest] = under_way
            under_way.add_done_callback(lambda done: self._finished(digest, done, real=stored is not None))
        # shielded: others may wait for the same check
        return await asyncio.shield(under_way) and stored is not None

    def close(self) -> None:
        self._threads.shutdown()

    def _digest(self, stored: PasswordHash | None, password: str) -> bytes:
        # keyed with the stored hash too: a changed password forgets the old one by itself
        mac = hmac.new(self._process_key, (stored or "").encode() + b"\0", hashlib.sha256)
        mac.update(password.encode())
        return mac.digest()

    def _finished(self, digest: bytes, done: asyncio.Future[bool], *, real: bool) -> None:
        del self._hashing[digest]
        if real and not done.cancelled() and done.exception() is None and done.result():
            self._remembered[digest] = None
            if len(self._remembered) > _MAX_REMEMBERED:
                self._remembered.popitem(last=False)


def _verify(stored: PasswordHash, password: str) -> bool:
    try:
        return _hasher.verify(stored, password)
    except (VerificationError, InvalidHashError):
        return False
