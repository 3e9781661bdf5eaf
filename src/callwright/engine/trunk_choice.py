"""Which trunks carry a number, in which order, and when the next one may try.

Pure: chance is an argument.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from callwright.engine.trunk_setup import Trunk, TrunkPrefix


def in_order(trunks: Iterable[Trunk], digits: str, chance: Callable[[], float]) -> list[Trunk]:
    """Return the enabled trunks that carry a number and can say it, best first: longest prefix, lowest priority, then
    by weight.

    ``chance`` gives numbers from 0 up to 1; over many calls equals of one prefix and priority come first in the
    proportion of their weights (weighted sampling by the keys u**(1/w)).
    """
    found = []
    for trunk in trunks:
        prefix = _longest(trunk.prefixes, digits)
        if trunk.enabled and prefix is not None and trunk.can_say(digits):
            luck = chance() ** (1 / prefix.weight) if prefix.weight else -1.0
            found.append((-len(prefix.digits), prefix.priority, -luck, trunk.name, trunk))
    return [trunk for *_, trunk in sorted(found, key=lambda entry: entry[:4])]


def carries(trunk: Trunk, digits: str) -> bool:
    """Tell whether a trunk is enabled, carries a number and can say it."""
    return trunk.enabled and _longest(trunk.prefixes, digits) is not None and trunk.can_say(digits)


def _longest(prefixes: Iterable[TrunkPrefix], digits: str) -> TrunkPrefix | None:
    longest = None
    for prefix in prefixes:
        if digits.startswith(prefix.digits) and (longest is None or len(prefix.digits) > len(longest.digits)):
            longest = prefix
    return longest


def may_try_next(code: int, *, local: bool, rang: bool, trunk_is_down: bool) -> bool:
    """Tell whether a call that failed may be tried through another trunk without anybody being dialled twice.

    ``local`` failures had no final response: 503 says that the INVITE could not be delivered, 408 that nobody answered
    it. Silence may hide a telephone that rings, so it counts only when health checks know that the trunk is down.
    ``rang`` is any 18x. What speaks of the person called (4xx, 6xx) or of our account (401, 403, 407) stays final.
    """
    if rang:
        return False
    if local:
        return code == 503 or (code == 408 and trunk_is_down)
    return code in (408, 429) or 500 <= code <= 599
