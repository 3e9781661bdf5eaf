"""What an INVITE through a trunk says: the number it asks for, who is calling, and who may know (RFC 3323, RFC 3325).

Pure.
"""

from __future__ import annotations

from dataclasses import dataclass

from callwright.engine.caller_identity import from_uri
from callwright.engine.interface import CallOrder
from callwright.engine.trunk_setup import Trunk

ANONYMOUS = "sip:anonymous@anonymous.invalid"  # RFC 3323 section 4.1.1.3


@dataclass(frozen=True, slots=True, kw_only=True)
class Dress:
    """The parts of an INVITE that depend on its trunk."""

    request_uri: str
    from_uri: str
    from_display: str
    headers: tuple[tuple[str, str], ...]


def dress(trunk: Trunk, order: CallOrder, *, domain: str) -> Dress:
    """Return what an order says to a trunk; ``domain`` is our own SIP domain.

    From is the caller id unless the trunk has a ``from_user`` or withholds it. P-Asserted-Identity is the caller id,
    for trunks that want it asserted or that withhold it from the person called; an order without a caller id has none.
    """
    caller = _caller(trunk, order, domain=trunk.from_domain or domain)
    shown, display = caller, ""
    headers: list[tuple[str, str]] = []
    if trunk.withhold:
        shown, display = ANONYMOUS, "Anonymous"
        headers.append(("Privacy", "id"))
    if trunk.from_user:
        shown = f"sip:{trunk.from_user}@{trunk.from_domain or domain}"
    if order.caller_id and (trunk.assert_identity or trunk.withhold):
        headers.insert(0, ("P-Asserted-Identity", f"<{caller}>"))
    return Dress(
        request_uri=f"sip:{rewritten(trunk, order.destination.address)}@{trunk.authority};user=phone",
        from_uri=shown,
        from_display=display,
        headers=(*headers, *order.headers),
    )


def rewritten(trunk: Trunk, number: str) -> str:
    """Return a called number, digits of a full international number, as the trunk wants it."""
    kept = number.removeprefix(trunk.strip)
    return f"{'+' if trunk.plus else ''}{trunk.add}{kept}"


def _caller(trunk: Trunk, order: CallOrder, *, domain: str) -> str:
    uri = from_uri(order, domain=domain)
    user = uri.removeprefix("sip:").partition("@")[0]
    is_number = bool(order.caller_id) and user.isascii() and user.isdigit()
    return f"sip:+{uri.removeprefix('sip:')}" if trunk.plus and is_number else uri
