from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callwright.values import ids
from callwright.values.ids import InstanceId

hex8 = st.text("0123456789abcdef", min_size=8, max_size=8)
hex16 = st.text("0123456789abcdef", min_size=16, max_size=16)
number = st.integers(min_value=0, max_value=2**40)


def test_identifiers_have_the_documented_shape() -> None:
    assert ids.service_reference("2e891aea", 0, 1366641192, 77832) == "2e891aea_0.1366641192.77832"
    instance = ids.instance_id("100d73cb12cbf845", 8089)
    assert instance == "100d73cb12cbf845.8089"
    assert ids.call_id(instance, 106285, 246346213) == "100d73cb12cbf845.106285.246346213"


@given(hex8, number, number, number)
def test_references_are_recognised_and_can_stand_in_a_list(text: str, node: int, second: int, counter: int) -> None:
    reference = ids.service_reference(text, node, second, counter)
    assert ids.is_service_reference(reference)
    assert "/" not in reference
    assert not ids.is_instance_id(reference)


@given(hex16, number, number, number)
def test_a_call_shares_the_digits_of_its_instance(text: str, n: int, first: int, second: int) -> None:
    instance = ids.instance_id(text, n)
    call = ids.call_id(instance, first, second)
    assert ids.is_instance_id(instance)
    assert not ids.is_call_id(instance)
    assert ids.is_call_id(call)
    assert call.startswith(instance.partition(".")[0] + ".")
    assert "/" not in call


@pytest.mark.parametrize(
    "text", ["", "100d73cb12cbf845", "100D73CB12CBF845.1", "100d73cb12cbf845.", "100d73cb12cbf845.1\n", "x" * 17 + ".1"]
)
def test_what_is_not_an_instance_is_not_taken_for_one(text: str) -> None:
    assert not ids.is_instance_id(InstanceId(text))
