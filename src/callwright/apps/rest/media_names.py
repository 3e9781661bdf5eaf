"""Names in an account's media file store (docs/reference/rest-applications.md, media files).

A name is a path of parts that are never empty, ``.`` or ``..``, of harmless characters only: joined to the store's
folder it cannot leave it.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import lru_cache

SOUND_SUFFIXES = (".wav", ".wave")
MAX_NAME_CHARS = 512

_NAME = re.compile(r"/?[A-Za-z0-9._@:-]+(?:/[A-Za-z0-9._@:-]+)*")


def media_name_fault(name: str) -> str | None:
    """Return what is wrong with the name of a sound in the store, or None."""
    if len(name) > MAX_NAME_CHARS:
        return f"has {len(name)} characters, at most {MAX_NAME_CHARS} are allowed"
    return _fault(name)


@lru_cache(maxsize=1024)
def _fault(name: str) -> str | None:
    if ".." in name or "//" in name:
        return "must not have '..' or '//'"
    if not _NAME.fullmatch(name):
        return "may only have the characters a-z A-Z 0-9 . _ / @ - and must name a file"
    if "." in name.split("/"):
        return "must not have the part '.'"
    if not name.lower().endswith(SOUND_SUFFIXES) or name.rpartition("/")[2].startswith("."):
        return f"must be a name that ends in {' or '.join(SOUND_SUFFIXES)}"
    return None


def recording_name(at: float, instance: str, number: int = 0) -> str:
    """Return the name of a recording made at this epoch time (UTC); ``number`` tells several of one second apart."""
    moment = datetime.fromtimestamp(int(at), UTC)
    suffix = f"_{number}" if number else ""
    return moment.strftime("/rest_api/recordings/%Y/%m/%d/%H_%M_%S_") + f"{instance}{suffix}.wav"
