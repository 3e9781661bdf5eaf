"""Sounds that pages delivered, kept for as long as their HTTP headers allow (RFC 9111).

An application forces a new copy by changing the URL. Times are those of a monotonic clock, in seconds.
"""

from __future__ import annotations

import asyncio
import shutil
from collections import OrderedDict
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

MAX_MEDIA_BYTES = 5 * 1024 * 1024
MAX_CACHE_BYTES = 512 * 1024 * 1024
DEFAULT_FRESH_S = 3600.0  # our choice for a page that says nothing: it can always change its URL
LONGEST_FRESH_S = 30 * 24 * 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Freshness:
    """How long a copy may be used without asking, and how to ask whether it still holds."""

    fresh_s: float
    etag: str = ""
    last_modified: str = ""


def freshness_of(headers: Mapping[str, str]) -> Freshness:
    """Read the cache headers of an answer (RFC 9111 5.2). ``no-store`` and ``private`` copies are used just once."""
    etag, last_modified = headers.get("ETag", ""), headers.get("Last-Modified", "")
    said: dict[str, str] = {}
    for directive in headers.get("Cache-Control", "").lower().split(","):
        name, _, value = directive.strip().partition("=")
        said[name] = value.strip('" ')
    if "no-store" in said or "private" in said:
        return Freshness(fresh_s=0.0)
    if "no-cache" in said:
        return Freshness(fresh_s=0.0, etag=etag, last_modified=last_modified)
    fresh_s = DEFAULT_FRESH_S
    limit = said.get("s-maxage", said.get("max-age"))
    if limit is not None:
        fresh_s = min(float(limit), LONGEST_FRESH_S) if limit.isascii() and limit.isdigit() else 0.0
    age = headers.get("Age", "0")
    if age.isascii() and age.isdigit():
        fresh_s = max(0.0, fresh_s - float(age))
    return Freshness(fresh_s=fresh_s, etag=etag, last_modified=last_modified)


@dataclass(slots=True)
class _Kept:
    """One sound, or the place for one. ``lock`` makes many calls that want the same sound at once fetch it once.

    Every copy has a name of its own, ``stem`` and a number: media workers remember sounds by their name. The copy
    before the last is kept for a call that is about to play it.
    """

    stem: Path
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    users: int = 0
    copies: int = 0
    size: int = 0
    fresh_until: float = 0.0
    freshness: Freshness = field(default_factory=lambda: Freshness(fresh_s=0.0))

    def path(self, copy: int) -> Path:
        return self.stem.with_name(f"{self.stem.name}-{copy}.wav")


class MediaCache:
    """A folder of sounds, at most ``max_bytes`` of them; the one not used for longest goes first."""

    def __init__(self, folder: Path, *, max_bytes: int = MAX_CACHE_BYTES) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700, parents=True)
        self._folder = folder
        self._max_bytes = max_bytes
        self._kept: OrderedDict[str, _Kept] = OrderedDict()

    @asynccontextmanager
    async def entry(self, key: str) -> AsyncIterator[Entry]:
        """Hold the place of one sound; whoever else wants it waits."""
        kept = self._kept.get(key)
        if kept is None:
            kept = self._kept[key] = _Kept(stem=self._folder / sha256(key.encode()).hexdigest())
        self._kept.move_to_end(key)
        kept.users += 1
        try:
            async with kept.lock:
                yield Entry(kept)
        finally:
            kept.users -= 1
        await asyncio.to_thread(_delete, self._superfluous())

    def _superfluous(self) -> list[Path]:
        """Drop what nobody uses and there is no room for; return its files."""
        total = sum(kept.size for kept in self._kept.values())
        files: list[Path] = []
        for key, kept in list(self._kept.items()):
            if not kept.users and (total > self._max_bytes or not kept.size):
                total -= kept.size
                del self._kept[key]
                files += [kept.path(kept.copies), kept.path(kept.copies - 1)]
        return files


class Entry:
    """The place of one sound in the cache, held by whoever fetches it."""

    def __init__(self, kept: _Kept) -> None:
        self._kept = kept

    @property
    def path(self) -> str:
        return str(self._kept.path(self._kept.copies))

    @property
    def exists(self) -> bool:
        return self._kept.size > 0

    def is_fresh(self, now: float) -> bool:
        return self.exists and now < self._kept.fresh_until

    def conditions(self) -> dict[str, str]:
        """Return the headers that ask for the sound only if it has changed."""
        held = self._kept.freshness
        conditions: dict[str, str] = {}
        if self.exists and held.etag:
            conditions["If-None-Match"] = held.etag
        if self.exists and held.last_modified:
            conditions["If-Modified-Since"] = held.last_modified
        return conditions

    def renew(self, now: float, freshness: Freshness) -> None:
        """The copy still holds."""
        held = self._kept.freshness
        self._kept.freshness = Freshness(
            fresh_s=freshness.fresh_s,
            etag=freshness.etag or held.etag,
            last_modified=freshness.last_modified or held.last_modified,
        )
        self._kept.fresh_until = now + freshness.fresh_s

    async def store(self, body: bytes, now: float, freshness: Freshness) -> str:
        """Keep a new copy and return its path."""
        kept = self._kept
        new, outdated = kept.path(kept.copies + 1), kept.path(kept.copies - 1)
        await asyncio.to_thread(new.write_bytes, body)
        kept.copies += 1
        kept.size = len(body)
        kept.freshness = freshness
        kept.fresh_until = now + freshness.fresh_s
        await asyncio.to_thread(_delete, [outdated])
        return str(new)


def _delete(files: list[Path]) -> None:
    for file in files:
        file.unlink(missing_ok=True)
