"""The Reason header (RFC 3326): why somebody ended a call, in the numbers of SIP or of the telephone network."""

from __future__ import annotations

import re

from callwright.sip.errors import SipParseError
from callwright.sip.headers import split_commas

_CAUSE = re.compile(r";\s*cause\s*=\s*([0-9]{1,3})(?![0-9])", re.IGNORECASE)
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')
_HIGHEST = 127


def q850_cause(value: str) -> int | None:
    """Return the Q.850 cause of a Reason value (there may be several reasons in it), 1 to 127; None without one."""
    try:
        reasons = split_commas(value)
    except SipParseError:
        return None
    for reason in reasons:
        protocol, semicolon, rest = _QUOTED.sub("", reason).partition(";")
        found = _CAUSE.search(semicolon + rest) if protocol.strip().upper() == "Q.850" else None
        if found is not None and 1 <= int(found[1]) <= _HIGHEST:
            return int(found[1])
    return None
