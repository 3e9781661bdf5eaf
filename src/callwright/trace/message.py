"""One SIP message as it is kept (docs/reference/ladder.md)."""

from __future__ import annotations

import msgspec

Place = tuple[str, int]


class KeptMessage(msgspec.Struct, frozen=True, array_like=True):
    """A message of a call, masked. ``at`` is epoch seconds, ``length`` that of the whole message on the wire.

    ``call`` is the call's id, "" when only the Call-ID in ``wire`` is known: a call that an earlier life of the node
    placed. ``near`` is our address, ``far`` the other side's. ``data`` may be cut short. ``left_out`` counts the
    messages of this Call-ID that were not kept just before this one.
    """

    call: str
    wire: str
    at: float
    sent: bool
    transport: str
    near: Place
    far: Place
    data: bytes
    length: int
    left_out: int = 0
