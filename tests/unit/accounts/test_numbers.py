from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callwright.accounts.numbers import NumberKind, canonical, describe, load_all
from callwright.values.errors import RequestError


@pytest.mark.parametrize(
    ("digits", "country", "kind"),
    [
        ("441908273800", "GB", NumberKind.ORDINARY),
        ("447400123456", "GB", NumberKind.ORDINARY),
        ("12125550100", "US", NumberKind.ORDINARY),
        ("390612345678", "IT", NumberKind.ORDINARY),
        ("6834000", "NU", NumberKind.ORDINARY),
        ("448001234567", "GB", NumberKind.TOLL_FREE),
        ("18005550100", "US", NumberKind.TOLL_FREE),
        ("449098790000", "GB", NumberKind.PREMIUM),
        ("19005551234", "US", NumberKind.PREMIUM),
        ("3531550123456", "IE", NumberKind.PREMIUM),
        ("97912345678", "001", NumberKind.PREMIUM),
        ("870776123456", "001", NumberKind.SATELLITE),
        ("881612345678", "001", NumberKind.SATELLITE),
        ("88299123456", "001", NumberKind.SATELLITE),
        ("999005550012", "", NumberKind.UNKNOWN),
        ("99912345678", "", NumberKind.UNKNOWN),
        ("4412345", "", NumberKind.UNKNOWN),
        ("44190827380012", "", NumberKind.UNKNOWN),
    ],
)
def test_country_and_kind_of_a_number(digits: str, country: str, kind: NumberKind) -> None:
    facts = describe(digits)
    assert (facts.country, facts.kind) == (country, kind)


@pytest.mark.parametrize(
    "digits", ["112", "999", "911", "110", "118", "44999", "44112", "1911", "33112", "61000", "81110"]
)
def test_an_emergency_number_is_known_alone_and_behind_its_country_code(digits: str) -> None:
    assert describe(digits).kind is NumberKind.EMERGENCY


@pytest.mark.parametrize("digits", ["12", "4411", "1411", "123456", "44118118", "44116123"])
def test_a_number_for_one_country_only_is_a_short_code(digits: str) -> None:
    assert describe(digits).kind is NumberKind.SHORT_CODE


def test_an_indian_number_that_begins_like_an_emergency_number_is_none() -> None:
    assert describe("911123456789").kind is NumberKind.ORDINARY


def test_a_trunk_zero_behind_the_country_code_is_dropped() -> None:
    assert describe("4401908273800").number == "441908273800"


@pytest.mark.parametrize(
    "written",
    ["441908273800", "+441908273800", "+44-1908-273800", "+44 (0)1908 273 800", "0044 1908 273800", "+44.1908.273800"],
)
def test_every_way_of_writing_a_number_has_one_canonical_form(written: str) -> None:
    assert canonical(written) == "441908273800"


@pytest.mark.parametrize("written", ["", "01908 273800", "bob", "+44 call me", "44x", "+", "++44", "+999 (0) 1 2 3"])
def test_what_is_no_international_number_is_refused(written: str) -> None:
    with pytest.raises(RequestError):
        canonical(written)


@given(st.from_regex(r"[1-9][0-9]{1,17}", fullmatch=True))
def test_every_number_has_facts_and_its_canonical_form_is_stable(digits: str) -> None:
    facts = describe(digits)
    assert facts.number.isdecimal()
    assert describe(facts.number).number == facts.number


def test_loading_every_country_changes_no_answer() -> None:
    before = describe.__wrapped__("441908273800")
    load_all()
    assert describe.__wrapped__("441908273800") == before
