"""What a leg can be asked to play. A playlist is any sequence of these values."""

from __future__ import annotations

import msgspec


class SoundFile(msgspec.Struct, frozen=True, tag="file"):
    """A sound file of any rate and format libsndfile reads; several audio channels are mixed to one."""

    path: str


class Keys(msgspec.Struct, frozen=True, tag="keys"):
    """Telephone keys `0123456789ABCD#*`, sent as RFC 4733 events when agreed, otherwise as tone pairs."""

    digits: str


class Silence(msgspec.Struct, frozen=True, tag="silence"):
    """Nothing, for `ms` milliseconds rounded up to whole 20 ms frames."""

    ms: int


class Tone(msgspec.Struct, frozen=True, tag="tone"):
    """A steady tone of `ms` milliseconds; every frequency (Hz) has the level `level_dbm0`."""

    frequencies: tuple[float, ...]
    ms: int
    level_dbm0: float = -13.0


Sound = SoundFile | Keys | Silence | Tone
