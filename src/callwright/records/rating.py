"""From facts to costs, exactly (docs/reference/records.md, costs).

Minutes are counted on the durations clients see (truncated to hundredths), so that every cost can be checked from the
record itself. All arithmetic is decimal; each part is truncated to 4 decimals and the total of the truncated parts to
3, so the parts a client sees always explain the total.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from callwright.records import features
from callwright.records.number_rate import NumberRate
from callwright.records.records import Costs
from callwright.records.settings import RateCard, RecordSettings
from callwright.values import times
from callwright.values.money import ZERO, Money, part, total

_MINUTE_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CallCost:
    """What one call came to; at most one of the two is not zero."""

    pstn: Money = ZERO
    tollfree: Money = ZERO


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureCost:
    """What one use of a feature came to, and the seconds it was charged for."""

    seconds_for_cost: float
    unit: Money
    cost: Money


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """What is set aside for an instance that is about to begin: ``at_start`` at once, ``per_minute`` for each minute
    after its first.
    """

    at_start: Money = ZERO
    per_minute: Money = ZERO


NOTHING_RESERVED: Final = Reservation()


def rate_call(
    destination_address: str,
    connected_at: float | None,
    ended_at: float,
    rates: RateCard,
    rate: NumberRate | None = None,
) -> CallCost:
    """Price an outbound call by its connected time; only telephone numbers cost anything.

    ``rate`` is the number's own rate, None when only the card has a price for it.
    """
    if connected_at is None or not destination_address.startswith("tel:"):
        return CallCost()
    if rate is None:
        rate = rates.number(destination_address.removeprefix("tel:"))
    cost = rate.cost(times.duration(connected_at, ended_at))
    return CallCost(tollfree=cost) if rate.tollfree else CallCost(pstn=cost)


def rate_feature(kind: str, started_at: float, stopped_at: float, rates: RateCard) -> FeatureCost:
    """Price one use of a feature: by started steps of its family (``features``), or exactly."""
    seconds = times.duration(started_at, stopped_at)
    if (step_s := features.step_s(kind)) is not None:
        seconds = float(math.ceil(seconds / step_s) * step_s)
    unit = rates.feature(kind)
    return FeatureCost(seconds_for_cost=seconds, unit=unit, cost=part(Decimal(str(seconds)) / 60 * unit))


def reserve(rates: RateCard, rate: NumberRate | None) -> Reservation:
    """Return what to set aside for an instance with one call: as if it were answered at once.

    ``rate`` is None for a call that costs nothing. Speech and features are not foreseen.
    """
    if rate is None:
        return Reservation(at_start=part(rates.platform), per_minute=rates.platform)
    at_start = part(rates.platform + rate.cost(_MINUTE_S))
    return Reservation(at_start=at_start, per_minute=Money(rates.platform + rate.price))


def rate_instance(
    *,
    started_at: float,
    stopped_at: float,
    extra_channel_count: int,
    tts_ms: int,
    tts_neural_ms: int,
    calls: Iterable[CallCost],
    feature_costs: Iterable[Money],
    settings: RecordSettings,
    rates: RateCard,
    valid: bool = True,
) -> Costs:
    """Price an instance from its facts and from what its calls and features came to.

    The platform is charged per started minute of the instance's life, once more for each extra channel; speech by
    exact seconds. ``rates`` are the prices of this instance. ``valid`` False marks costs whose facts are not sure.
    """
    calls = tuple(calls)
    minutes = _started_minutes(times.duration(started_at, stopped_at)) * rates.platform
    platform = part(minutes)
    extra = part(minutes * extra_channel_count)
    pstn = part(sum((call.pstn for call in calls), start=ZERO))
    tollfree = part(sum((call.tollfree for call in calls), start=ZERO))
    tts = part(Decimal(tts_ms) / 60_000 * rates.tts)
    tts_neural = part(Decimal(tts_neural_ms) / 60_000 * rates.tts_neural)
    feature = part(sum(feature_costs, start=ZERO))
    amount = platform + extra + pstn + tollfree + tts + feature
    if settings.include_neural_in_total:
        amount += tts_neural
    return Costs(
        platform=platform,
        extra=extra,
        pstn=pstn,
        tollfree=tollfree,
        tts_unit=rates.tts,
        tts=tts,
        tts_neural_unit=rates.tts_neural,
        tts_neural=tts_neural,
        feature=feature,
        total=total(amount),
        valid=valid,
    )


def _started_minutes(seconds: float) -> int:
    return math.ceil(seconds / 60)
