"""What an operator decides about records: prices, and the places where the documented examples are odd (ruling 4).

The defaults are the sensible ones of a self-hosted platform: everything costs nothing and that is valid. With
``include_neural_in_total`` and ``cdr_rated`` off, and the hosted cloud's links and domain, records come out as in the
documented examples.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from callwright.values.errors import RequestError
from callwright.values.money import ZERO, Money

_MAX_RATE_DECIMALS = 6  # what the ledger stores exactly


@dataclass(frozen=True, slots=True, kw_only=True)
class RateCard:
    """Prices in US dollars per minute.

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
        rates = [(name, getattr(self, name)) for name in ("platform", "pstn", "tollfree", "tts", "tts_neural")]
        for name, rate in (*rates, *((f"features.{prefix}", rate) for prefix, rate in self.features)):
            exponent = rate.as_tuple().exponent
            if not isinstance(exponent, int) or exponent < -_MAX_RATE_DECIMALS or rate < 0:
                raise RequestError(
                    f"the rate {name} is {rate}: it must be 0 or more, with at most {_MAX_RATE_DECIMALS} decimals",
                    field=name,
                )

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
