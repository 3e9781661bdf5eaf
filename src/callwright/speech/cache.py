"""Sounds on disk: rendered once, found again by what they say and who says it, thrown away when not used.

Two kinds of folders, all 0700. ``shared`` is kept from one start of the node to the next, used by every process that is
given the same cache, and trimmed to a size, least recently used first. ``private-…`` holds one process's sounds of
private texts: named by a keyed hash whose key is drawn at each start (the plain hash of a four-digit PIN is found by
trying all of them), removed when not used for a while, when the cache is closed, and when the cache is opened after a
process that could not close it. All functions here touch the disk: call them from a thread.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import hmac
import os
import secrets
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import structlog

from callwright.speech.script import Script
from callwright.speech.sound import BYTES_PER_SECOND, HEADER_BYTES, RATE
from callwright.speech.voices import Voice
from callwright.values.errors import OutsideError

log = structlog.get_logger()

IN_USE_S = 300.0
"""A sound used within this time may still be playing: it is never removed to make room."""

_SCHEME = 1  # raise it when finishing a sound changes, so that old files are not found any more
_KEEP_SHARE = 0.9


class CacheUnusable(OutsideError):
    """The folder of rendered prompts cannot be written: the disk is full, or the rights are wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CachedSound:
    """A complete sound on disk."""

    path: Path
    duration_s: float


@dataclass(slots=True, kw_only=True)
class SoundCache:
    """``limit_bytes`` bounds the shared folder, ``private_ttl_s`` the life of an unused private sound; ``now`` is the
    clock files are dated by.
    """

    folder: Path
    limit_bytes: int
    private_ttl_s: float
    now: Callable[[], float] = time.time
    _size: int = 0
    _secret: bytes = b""
    _private: Path = Path()
    _owner: int | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def open(self) -> None:
        """Make the folders, forget private and unfinished sounds of a former life, and count what is there."""
        self._secret = secrets.token_bytes(32)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            for folder in (self.folder, self._shared):
                folder.mkdir(mode=0o700, exist_ok=True)
                folder.chmod(0o700)
            with self._alone():
                self._remove_orphans()
                self._private = self.folder / f"private-{secrets.token_hex(8)}"
                self._owner = _locked(_owner_file(self._private))
                self._private.mkdir(mode=0o700)
            for part in self._shared.glob("*.part"):
                if part.stat().st_mtime < self.now() - IN_USE_S:  # a younger one may be another process's
                    part.unlink(missing_ok=True)
        except OSError as error:
            raise CacheUnusable(f"The prompt cache {self.folder} cannot be used: {error.strerror}.") from error
        self._size = sum(size for _, size, _ in self._files(self._shared))
        self._make_room()

    def close(self) -> None:
        """Remove the private sounds of this process; harmless twice and when ``open`` failed."""
        if self._owner is None:
            return
        with self._alone():
            _remove_private(self._private)
        os.close(self._owner)
        self._owner = None

    def name(self, voice: Voice, version: str, script: Script, *, private: bool) -> str:
        """Return the name of the sound this voice makes of a script."""
        facts = msgspec.msgpack.encode([_SCHEME, voice.engine, version, voice.name, RATE, script.parts])
        if private:
            return hmac.new(self._secret, facts, hashlib.sha256).hexdigest()
        return hashlib.sha256(facts).hexdigest()

    def find(self, name: str, *, private: bool) -> CachedSound | None:
        """Return a sound and note that it is used now; None when it is not there. A damaged file is removed."""
        path = self._path(name, private)
        now = self.now()
        try:
            size = path.stat().st_size
            with path.open("rb") as file:
                whole = _is_whole(file.read(HEADER_BYTES), size)
            if whole:
                os.utime(path, (now, now))
        except FileNotFoundError:
            return None
        except OSError as error:
            raise CacheUnusable(f"The prompt cache {self.folder} cannot be read: {error.strerror}.") from error
        if not whole:
            log.warning(
                "A damaged sound was removed from the prompt cache.", action="speech_cache_damaged", sound=path.name
            )
            path.unlink(missing_ok=True)
            return None
        return CachedSound(path=path, duration_s=(size - HEADER_BYTES) / BYTES_PER_SECOND)

    def put(self, name: str, wav: bytes, *, private: bool) -> CachedSound:
        """Write a sound whole or not at all, and make room when the folder has become too large."""
        path = self._path(name, private)
        part = path.with_name(f"{name}.{secrets.token_hex(4)}.part")
        now = self.now()
        try:
            with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(wav)
            os.utime(part, (now, now))
            part.replace(path)
        except OSError as error:
            with contextlib.suppress(OSError):  # what could not be written is told; what is left of it is nothing more
                part.unlink()
            raise CacheUnusable(f"A prompt could not be written to {self.folder}: {error.strerror}.") from error
        if not private:
            with self._lock:
                self._size += len(wav)
                if self._size > self.limit_bytes:
                    self._make_room()
        return CachedSound(path=path, duration_s=(len(wav) - HEADER_BYTES) / BYTES_PER_SECOND)

    def expire_private(self) -> None:
        """Remove private sounds that were not used for ``private_ttl_s``."""
        oldest = self.now() - self.private_ttl_s
        for used_at, _, path in self._files(self._private):
            if used_at < oldest:
                path.unlink(missing_ok=True)

    def _make_room(self) -> None:
        """Remove the least recently used sounds until a tenth is free, so that not every new one must look again."""
        files = sorted(self._files(self._shared))
        self._size = sum(size for _, size, _ in files)
        if self._size <= self.limit_bytes:
            return
        in_use_after = self.now() - IN_USE_S
        removed = 0
        for used_at, size, path in files:
            if self._size <= self.limit_bytes * _KEEP_SHARE or used_at > in_use_after:
                break
            path.unlink(missing_ok=True)
            self._size -= size
            removed += 1
        log.info("The prompt cache was trimmed.", action="speech_cache_trimmed", removed=removed, bytes=self._size)

    @staticmethod
    def _files(folder: Path) -> list[tuple[float, int, Path]]:
        found = []
        with os.scandir(folder) as entries:
            for entry in entries:
                try:
                    facts = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue  # another thread has just removed it
                if entry.name.endswith(".wav"):
                    found.append((facts.st_mtime, facts.st_size, Path(entry.path)))
        return found

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep other processes from opening or closing the same cache meanwhile."""
        lock = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)

    def _remove_orphans(self) -> None:
        """Remove the private sounds of processes that are gone: nobody holds the lock that says they live."""
        for owner_file in self.folder.glob("private-*.owner"):
            owner = _locked(owner_file)
            if owner is not None:
                _remove_private(owner_file.with_suffix(""))
                os.close(owner)

    def _path(self, name: str, private: bool) -> Path:
        return (self._private if private else self._shared) / f"{name}.wav"

    @property
    def _shared(self) -> Path:
        return self.folder / "shared"


def _owner_file(private: Path) -> Path:
    return private.with_name(private.name + ".owner")


def _locked(path: Path) -> int | None:
    """Open a file and hold its lock until it is closed, also by the end of the process; None when another holds it."""
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(file)
        return None
    return file


def _remove_private(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    _owner_file(folder).unlink(missing_ok=True)


def _is_whole(header: bytes, size: int) -> bool:
    """Whether the file is as long as its head says: a machine that lost its power may leave it shorter."""
    return (
        len(header) == HEADER_BYTES
        and header[:4] == b"RIFF"
        and int.from_bytes(header[40:44], "little") == size - HEADER_BYTES
    )
