"""Whether a trunk leads back to this node itself: its own answers would make it look alive, and calls come back."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable

from callwright.engine.trunk_link import TrunkLink
from callwright.engine.trunk_setup import Trunk
from callwright.engine.trunks import is_this_machine
from callwright.sip.uri import plain_host
from callwright.sip.way import Target

LOOK_S = 3.0  # adding a trunk does not wait for a name server longer than this
LEADS_BACK = "leads back here"
_EVERY_ADDRESS = ("0.0.0.0", "::")


async def warning_of(trunk: Trunk, link: TrunkLink) -> str:
    """Return what is to be said of a trunk that is this node itself, "" of any other and of one nobody can find now."""
    with contextlib.suppress(OSError):
        async with asyncio.timeout(LOOK_S):
            return own_place(await link.locate(trunk), link)
    return ""


def own_place(targets: Iterable[Target], link: TrunkLink) -> str:
    """Return in a sentence which of the places of a trunk is this node's own, "" when none is."""
    for target in targets:
        host = plain_host(target.host)
        for own, port in link.own_places(target.way.transport):
            if target.port == port and (host == plain_host(own) or (own in _EVERY_ADDRESS and is_this_machine(host))):
                return (
                    f"{target.host} port {target.port} is this node itself: calls by this trunk would come back here "
                    "and reach nobody. Give --host and --port of the trunk's own server."
                )
    return ""
