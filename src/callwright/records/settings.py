"""What an operator decides about records: prices, and the places where the documented examples are odd.

The defaults are the sensible ones of a self-hosted platform: everything costs nothing and that is valid. With
``include_neural_in_total`` and ``cdr_rated`` off, and the hosted cloud's links and domain, records come out as in the
documented examples.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from callwright.records.number_rate import NumberRate, check_rate
from callwright.values.money import ZERO, Money


@dataclass(frozen=True, slots=True, kw_only=True)
class RateCard:
    """Prices in US dollars per minute, for numbers that have no rate of their own (``NumberRate``).

    Telephone calls to a number that begins with one of ``tollfree_prefixes`` (digits) cost ``tollfree``, others
    ``pstn``. ``features`` prices features by the beginning of their type (the longest that fits), e.g.
    ``(("sr_", money("0.01")),)``.
    """

    platform: Money = ZERO
    pstn: Money = ZERO
    tollfree: Money = ZERO
    tts: Money = ZERO
    tts_neural: Money = ZERO
    tollfree_prefixes: tuple[str, ...] = ()
    features: tuple[tuple[str, Money], ...] = ()

    def __post_init__(self) -> None:
        for name in ("platform", "pstn", "tollfree", "tts", "tts_neural"):
            check_rate(getattr(self, name), name)
        for prefix, rate in self.features:
            check_rate(rate, f"features.{prefix}")

    def number(self, number: str) -> NumberRate:
        """Return the rate of a telephone number that has none of its own: each started minute, by kind of number."""
        tollfree = number.startswith(self.tollfree_prefixes)
        return NumberRate(price=self.tollfree if tollfree else self.pstn, tollfree=tollfree)

    def feature(self, kind: str) -> Money:
        """Return the price per minute of a feature type, 0 when none fits."""
        fitting = [(len(prefix), rate) for prefix, rate in self.features if kind.startswith(prefix)]
        return max(fitting, default=(0, ZERO))[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordSettings:
    """How records are priced and shown.

    ``error_link`` is put before an error code to link to its documentation. ``sip_domain`` follows the "@" of
    originating addresses; ``{cloud_id}`` in it is replaced.
    """

    rates: RateCard = field(default_factory=RateCard)
    include_neural_in_total: bool = True
    cdr_rated: bool = True
    error_link: str = "https://callwright.example/docs/errors?error="
    sip_domain: str = "sip-{cloud_id}.callwright.example"


DEFAULT_SETTINGS: Final = RecordSettings()
