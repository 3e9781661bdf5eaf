"""Keys that a far end sends as INFO within the call instead of with its sound.

Pure. No RFC defines the two content types; both are read as gateways commonly write them. docs/reference/calls.md.
"""

from __future__ import annotations

import re

_SIGNAL = re.compile(rb"(?:^|[\r\n])[ \t]*signal[ \t]*=[ \t]*([^\s;]{1,2})[ \t]*(?:[\r\n;]|$)", re.IGNORECASE)
_KEYS = "0123456789*#ABCD"  # by their event codes (RFC 4733 section 3.2), which some write instead of the key


def info_key(content_type: str, body: bytes) -> str | None:
    """Return the key of an INFO body, None when it carries none.

    ``application/dtmf-relay`` has a line ``Signal=``, ``application/dtmf`` that or the key alone.
    """
    kind = content_type.partition(";")[0].strip().lower()
    if kind not in ("application/dtmf-relay", "application/dtmf"):
        return None
    found = _SIGNAL.search(body)
    if found is not None:
        return _key(found[1])
    return _key(body.strip()) if kind == "application/dtmf" else None


def _key(written: bytes) -> str | None:
    text = written.decode("ascii", "replace").upper()
    if len(text) == 1 and text in _KEYS:
        return text
    return _KEYS[int(text)] if text in ("10", "11", "12", "13", "14", "15") else None
