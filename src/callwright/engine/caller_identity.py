"""Who a call says it is from: the From address."""

from __future__ import annotations

import re
from urllib.parse import quote

from callwright.engine.interface import CallOrder
from callwright.values.destination import DestinationKind

_NUMBER = re.compile(r"\+?[0-9-]+")
_USER_MARKS = "-_.!~*'()&=+$,;?/"  # what a user part may hold unescaped beside letters and digits (RFC 3261 25.1)


def from_uri(order: CallOrder, *, domain: str) -> str:
    """Return the From URI: the caller id, or the service's name when there is none.

    Telephone numbers lose their "+" and dashes towards the telephone network; towards SIP addresses a caller id stays
    as it was given. A service name may be any text: what a SIP user cannot hold is escaped.
    """
    caller = order.caller_id.removeprefix("sip:")
    if not caller:
        return f"sip:{quote(order.service_name, safe=_USER_MARKS)}@{domain}"
    if order.destination.kind is DestinationKind.TEL:
        caller = caller.removeprefix("tel:")
        if _NUMBER.fullmatch(caller):
            caller = caller.lstrip("+").replace("-", "")
    return f"sip:{caller}" if "@" in caller else f"sip:{caller}@{domain}"
