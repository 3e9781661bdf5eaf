from __future__ import annotations

from decimal import ROUND_FLOOR, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callwright.records.number_rate import NumberRate
from callwright.records.rating import CallCost, Reservation, rate_call, rate_feature, rate_instance, reserve
from callwright.records.settings import RateCard, RecordSettings
from callwright.values.errors import RequestError
from callwright.values.money import Money, money

CARD = RateCard(
    platform=money("0.01"),
    pstn=money("0.016"),
    tollfree=money("0.057"),
    tts=money("0.0072"),
    tts_neural=money("0.0192"),
    tollfree_prefixes=("44800", "1800"),
    features=(("sr_", money("0.02")), ("sr_play", money("0.05")), ("sv_", money("0.03"))),
)
SETTINGS = RecordSettings(rates=CARD)
T0 = 1_700_000_000.0

rates = st.decimals(min_value=0, max_value=10, places=6).map(lambda value: Money(abs(value)))
cards = st.builds(RateCard, platform=rates, pstn=rates, tollfree=rates, tts=rates, tts_neural=rates)
settings = st.builds(RecordSettings, rates=cards, include_neural_in_total=st.booleans())


@pytest.mark.parametrize(
    ("seconds", "minutes"), [(0.0, 0), (0.01, 1), (1.2, 1), (59.99, 1), (60.0, 1), (60.01, 2), (61.0, 2), (3600.0, 60)]
)
def test_a_call_costs_each_started_minute(seconds: float, minutes: int) -> None:
    cost = rate_call("tel:443069990123", 0.0, seconds, CARD)
    assert cost == CallCost(pstn=Money(Decimal(minutes) * Decimal("0.016")))


def test_a_minute_is_counted_on_the_duration_that_is_shown() -> None:
    assert rate_call("tel:44306", 0.0, 60.004, CARD).pstn == Decimal("0.016")


@pytest.mark.parametrize("destination", ["tel:448001234567", "tel:18005550100"])
def test_a_toll_free_number_has_its_own_price(destination: str) -> None:
    assert rate_call(destination, T0, T0 + 10, CARD) == CallCost(tollfree=money("0.0570"))


@pytest.mark.parametrize("destination", ["sip:44306@example.com", "con:room", "loc:service", "wss://h/p", "webrtc:c"])
def test_only_telephone_numbers_cost_anything(destination: str) -> None:
    assert rate_call(destination, T0, T0 + 10, CARD) == CallCost()


def test_a_call_that_was_never_answered_costs_nothing() -> None:
    assert rate_call("tel:443069990123", None, T0 + 30, CARD) == CallCost()


@pytest.mark.parametrize(
    ("kind", "seconds", "charged", "cost"),
    [
        ("sr_get_input", 0.5, 15.0, "0.0050"),
        ("sr_get_input", 15.0, 15.0, "0.0050"),
        ("sr_get_input", 15.01, 30.0, "0.0100"),
        ("sr_play", 20.0, 30.0, "0.0250"),
        ("sv_verify", 10.0, 10.0, "0.0050"),
        ("ct_connect_translator", 31.0, 45.0, "0.0000"),
    ],
)
def test_a_feature_is_charged_by_the_seconds_of_its_kind(kind: str, seconds: float, charged: float, cost: str) -> None:
    rated = rate_feature(kind, 0.0, seconds, CARD)
    assert (rated.seconds_for_cost, str(rated.cost)) == (charged, cost)


def test_speech_is_charged_by_exact_seconds_and_extra_channels_like_the_platform() -> None:
    costs = rate_instance(
        started_at=T0,
        stopped_at=T0 + 61,
        extra_channel_count=2,
        tts_ms=15_000,
        tts_neural_ms=1_234,
        calls=[CallCost(pstn=money("0.0160")), CallCost(tollfree=money("0.0570"))],
        feature_costs=[money("0.0050"), money("0.0001")],
        settings=SETTINGS,
        rates=CARD,
    )
    assert costs.platform == Decimal("0.02")
    assert costs.extra == Decimal("0.04")
    assert costs.pstn == Decimal("0.016")
    assert costs.tollfree == Decimal("0.057")
    assert costs.tts == Decimal("0.0018")
    assert costs.tts_neural == Decimal("0.0003")
    assert costs.feature == Decimal("0.0051")
    assert costs.total == Decimal("0.140")
    assert costs.valid


@given(
    settings,
    st.floats(min_value=0, max_value=100_000),
    st.integers(min_value=0, max_value=3),
    st.integers(min_value=0, max_value=10**7),
    st.integers(min_value=0, max_value=10**7),
    st.lists(st.tuples(st.booleans(), rates), max_size=5),
    st.lists(rates, max_size=5),
)
def test_the_parts_add_up_to_the_total_under_the_truncation_rule(
    settings: RecordSettings,
    seconds: float,
    extra: int,
    tts_ms: int,
    tts_neural_ms: int,
    calls: list[tuple[bool, Money]],
    features: list[Money],
) -> None:
    costs = rate_instance(
        started_at=T0,
        stopped_at=T0 + seconds,
        extra_channel_count=extra,
        tts_ms=tts_ms,
        tts_neural_ms=tts_neural_ms,
        calls=[CallCost(tollfree=amount) if free else CallCost(pstn=amount) for free, amount in calls],
        feature_costs=features,
        settings=settings,
        rates=settings.rates,
    )
    shown = [costs.platform, costs.extra, costs.pstn, costs.tollfree, costs.tts, costs.feature]
    if settings.include_neural_in_total:
        shown.append(costs.tts_neural)
    assert costs.total == sum(shown, Decimal(0)).quantize(Decimal("0.001"), rounding=ROUND_FLOOR)
    assert all(amount == amount.quantize(Decimal("0.0001")) for amount in shown)
    lost_by_truncation = costs.extra - costs.platform * extra
    assert extra == 0 or 0 <= lost_by_truncation < Decimal("0.0003")


def test_without_a_rate_card_everything_is_free_and_valid() -> None:
    costs = rate_instance(
        started_at=T0,
        stopped_at=T0 + 600,
        extra_channel_count=1,
        tts_ms=60_000,
        tts_neural_ms=60_000,
        calls=[rate_call("tel:443069990123", T0, T0 + 600, RateCard())],
        feature_costs=[],
        settings=RecordSettings(),
        rates=RateCard(),
    )
    assert costs.total == 0
    assert costs.valid


@pytest.mark.parametrize("rate", ["-0.01", "0.0000001", "NaN", "Infinity"])
def test_an_impossible_rate_is_refused_by_name(rate: str) -> None:
    with pytest.raises(RequestError, match="the rate pstn is") as refused:
        RateCard(pstn=money(rate))
    assert refused.value.field == "pstn"
    with pytest.raises(RequestError, match=r"features\.sr_"):
        RateCard(features=(("sr_", money(rate)),))


def test_a_number_with_a_rate_of_its_own_is_charged_by_it() -> None:
    own = NumberRate(prefix="44", price=money("0.06"), first_s=1, next_s=1, fee=money("0.01"))
    assert rate_call("tel:443069990123", T0, T0 + 7, CARD, own) == CallCost(pstn=money("0.017"))
    tollfree = NumberRate(prefix="44", price=money("0.06"), tollfree=True)
    assert rate_call("tel:443069990123", T0, T0 + 7, CARD, tollfree) == CallCost(tollfree=money("0.06"))


def test_a_clock_set_back_in_a_call_costs_nothing() -> None:
    assert rate_call("tel:443069990123", T0, T0 - 3600, CARD) == CallCost()


def test_the_first_minute_is_set_aside_at_once_and_each_further_one_as_it_begins() -> None:
    rate = NumberRate(price=money("0.05"), fee=money("0.01"))
    assert reserve(CARD, rate) == Reservation(at_start=money("0.07"), per_minute=money("0.06"))
    assert reserve(CARD, None) == Reservation(at_start=money("0.01"), per_minute=money("0.01"))
    minimum = NumberRate(price=money("0.05"), minimum=money("0.2"))
    assert reserve(CARD, minimum).at_start == money("0.21")


def test_a_long_first_step_is_set_aside_whole() -> None:
    assert reserve(RateCard(), NumberRate(price=money("0.06"), first_s=600)).at_start == money("0.6")
