"""The media files of one account: sounds to play, and the recordings its instances make."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from callwright.apps.rest.media_names import media_name_fault, recording_name
from callwright.values.errors import InternalError
from callwright.values.ids import AccountId


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaStore:
    """The folder of one account below the node's media folder."""

    folder: Path

    @classmethod
    def of(cls, media_root: Path, account: AccountId) -> MediaStore:
        return cls(folder=media_root / str(account))

    def path(self, name: str) -> Path:
        """Return where the file of this name is. A name that was not checked when it came in is our bug."""
        if media_name_fault(name) is not None:
            raise InternalError(f"the media name {name!r} was not checked")
        return self.folder / name.lstrip("/")

    async def has(self, name: str) -> bool:
        return await asyncio.to_thread(self.path(name).is_file)

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
