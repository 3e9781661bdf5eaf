"""From facts to costs, exactly (rulings 3 and 4; docs/reference/records.md, costs).

Minutes are counted on the durations clients see (truncated to hundredths), so that every cost can be checked from the
record itself. All arithmetic is decimal; each part is truncated to 4 decimals and the total of the truncated parts to
3, so the parts a client sees always explain the total.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import Decimal

from callwright.records.records import Costs
from callwright.records.settings import RecordSettings
from callwright.values import times
from callwright.values.money import ZERO, Money, part, total

_FEATURE_STEP_S = 15  # our choice: recognition and translation are charged by quarters of a minute
_STEPPED_FEATURES = ("sr", "ct")


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


def rate_call(
    destination_address: str, connected_at: float | None, ended_at: float, settings: RecordSettings
) -> CallCost:
    """Price an outbound call per started minute of connected time; only telephone numbers cost anything."""
    if connected_at is None or not destination_address.startswith("tel:"):
        return CallCost()
    number = destination_address.removeprefix("tel:")
    minutes = _started_minutes(times.duration(connected_at, ended_at))
    if number.startswith(settings.rates.tollfree_prefixes):
        return CallCost(tollfree=part(minutes * settings.rates.tollfree))
    return CallCost(pstn=part(minutes * settings.rates.pstn))


def rate_feature(kind: str, started_at: float, stopped_at: float, settings: RecordSettings) -> FeatureCost:
    """Price one use of a feature: recognition and translation by started quarters of a minute, others exactly."""
    seconds = times.duration(started_at, stopped_at)
    if kind.startswith(_STEPPED_FEATURES):
        seconds = float(math.ceil(seconds / _FEATURE_STEP_S) * _FEATURE_STEP_S)
    unit = settings.rates.feature(kind)
    return FeatureCost(seconds_for_cost=seconds, unit=unit, cost=part(Decimal(str(seconds)) / 60 * unit))


def rate_instance(
    *,
    started_at: float,
    stopped_at: float,
    extra_channel_count: int,
    tts_ms: int,
    tts_neural_ms: int,
    calls: Iterable[CallCost],
    features: Iterable[Money],
    settings: RecordSettings,
    valid: bool = True,
) -> Costs:
    """Price an instance from its facts and from what its calls and features came to.

    The platform is charged per started minute of the instance's life, once more for each extra channel; speech by
    exact seconds. ``valid`` False marks costs whose facts are not sure.
    """
    rates = settings.rates
    calls = tuple(calls)
    platform = _started_minutes(times.duration(started_at, stopped_at)) * rates.platform
    parts = Costs(
        platform=part(platform),
        extra=part(platform * extra_channel_count),
        pstn=part(sum((call.pstn for call in calls), start=ZERO)),
        tollfree=part(sum((call.tollfree for call in calls), start=ZERO)),
        tts_unit=rates.tts,
        tts=part(Decimal(tts_ms) / 60_000 * rates.tts),
        tts_neural_unit=rates.tts_neural,
        tts_neural=part(Decimal(tts_neural_ms) / 60_000 * rates.tts_neural),
        feature=part(sum(features, start=ZERO)),
        valid=valid,
    )
    return _with_total(parts, settings)


def _with_total(costs: Costs, settings: RecordSettings) -> Costs:
    amount = costs.platform + costs.extra + costs.pstn + costs.tollfree + costs.tts + costs.feature
    if settings.include_neural_in_total:
        amount += costs.tts_neural
    return replace(costs, total=total(amount))


def _started_minutes(seconds: float) -> int:
    return math.ceil(seconds / 60)
