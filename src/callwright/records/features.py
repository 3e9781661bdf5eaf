"""The families of features that are charged apart, by the beginning of their type (docs/reference/records.md, FDRs)."""

from __future__ import annotations

import re

from callwright.values.errors import RequestError

# type begins with → seconds of one charged step, None: charged exactly. The first that fits decides.
_STEPS: tuple[tuple[str, int | None], ...] = (
    ("sr", 15),  # speech recognition: sr_ standard, srp1_ premium model
    ("ct", 15),  # translated calls: ct_, ctn_ (neural voice), ctp1_ (premium recognition), ctnp1_ (both)
    ("sv", None),  # speaker verification
)

KNOWN_TYPES = frozenset(
    {
        *(f"{model}_{use}" for model in ("sr", "srp1") for use in ("play", "get_input", "run_speech_menu")),
        "sr_start_transcription",
        "srp1_start_transcription",
        "sv_register",
        "sv_verify",
        *(f"{kind}_connect_translator" for kind in ("ct", "ctn", "ctp1", "ctnp1")),
    }
)
"""The documented types; the list is open, so others are recorded too."""

_TYPE = re.compile(r"[a-z][a-z0-9]*_[a-z0-9_]{1,60}")


def check_type(kind: str) -> str:
    """Return ``kind``, or raise ``RequestError`` unless it looks like a type: a family, "_" and a use."""
    if not _TYPE.fullmatch(kind):
        raise RequestError(f"'{kind[:60]}' is not a type of feature such as sr_get_input", field="type")
    return kind


def step_s(kind: str) -> int | None:
    """Return the seconds a use of this type is charged in steps of, None when it is charged exactly."""
    return next((seconds for beginning, seconds in _STEPS if kind.startswith(beginning)), None)
