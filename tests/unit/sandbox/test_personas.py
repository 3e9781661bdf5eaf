from __future__ import annotations

import pytest

from callwright.sandbox.persona import Persona
from callwright.sandbox.personas import BUILT_IN, find_persona


@pytest.mark.parametrize(
    ("ending", "name"),
    [
        ("0001", "answers and takes part"),
        ("0002", "busy"),
        ("0003", "declines"),
        ("0004", "never answers"),
        ("0009", "answers, says nothing"),
        ("0010", "answers and hangs up after 2 s"),
        ("0012", "speaks every key it hears"),
    ],
)
def test_the_last_four_digits_choose_the_persona(ending: str, name: str) -> None:
    found = find_persona(f"99900555{ending}", BUILT_IN)

    assert found is not None
    assert found.name == name


def test_a_number_with_another_ending_is_nobodys() -> None:
    assert find_persona("999005559999", BUILT_IN) is None
    assert find_persona("", BUILT_IN) is None
    assert find_persona("01", BUILT_IN) is None


def test_the_longest_ending_wins_whatever_the_order() -> None:
    short, full = Persona(number="0001", name="short"), Persona(number="999005550001", name="full")

    assert find_persona("999005550001", [full, short]) is full
    assert find_persona("999005550001", [short, full]) is full
    assert find_persona("999005560001", [short, full]) is short


def test_of_equal_endings_the_later_one_wins_so_that_a_file_overrides() -> None:
    own = Persona(number="0001", name="own")

    assert find_persona("999005550001", [*BUILT_IN, own]) is own


def test_no_two_built_in_personas_share_a_number() -> None:
    numbers = [persona.number for persona in BUILT_IN]

    assert len(set(numbers)) == len(numbers)


def test_only_personas_that_must_listen_do() -> None:
    listening = {persona.number for persona in BUILT_IN if persona.listens}

    assert listening == {"0001", "0007"}
