"""The media files of one account: sounds to play, and the recordings its instances make."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import count
from pathlib import Path
from time import monotonic

from callwright.apps.rest.media_names import media_name_fault, recording_name
from callwright.values.errors import InternalError
from callwright.values.ids import AccountId

SEEN_S = 1.0  # how long a sound that was there is taken to be there still: playing it tells if it is not
_MOST_SEEN = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaStore:
    """The folder of one account below the node's media folder."""

    folder: Path
    _seen: dict[str, float] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def of(cls, media_root: Path, account: AccountId) -> MediaStore:
        return _store(media_root, account)

    def path(self, name: str) -> Path:
        """Return where the file of this name is. A name that was not checked when it came in is our bug."""
        if media_name_fault(name) is not None:
            raise InternalError(f"the media name {name!r} was not checked")
        return _path(self.folder, name)

    async def has(self, name: str) -> bool:
        path = self.path(name)
        if self._seen.get(name, 0.0) > monotonic():
            return True
        if not await asyncio.to_thread(path.is_file):
            return False
        if len(self._seen) >= _MOST_SEEN:
            self._seen.clear()
        self._seen[name] = monotonic() + SEEN_S
        return True

    async def new_recording(self, at: float, instance: str) -> tuple[str, str]:
        """Return the name and the path of a recording that begins now; the file exists, so the name is taken."""
        return await asyncio.to_thread(self._reserve, at, instance)

    def _reserve(self, at: float, instance: str) -> tuple[str, str]:
        for number in count():
            name = recording_name(at, instance, number)
            path = self.path(name)
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)  # what people said is nobody else's business
            try:
                path.open("xb").close()
            except FileExistsError:
                continue
            return name, str(path)
        raise AssertionError("counting never ends")


@lru_cache(maxsize=1024)
def _path(folder: Path, name: str) -> Path:
    return folder / name.lstrip("/")


@lru_cache(maxsize=1024)
def _store(media_root: Path, account: AccountId) -> MediaStore:
    return MediaStore(folder=media_root / str(account))
