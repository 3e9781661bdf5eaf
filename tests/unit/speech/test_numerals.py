"""Numbers as words."""

from __future__ import annotations

import pytest

from callwright.speech import numerals


@pytest.mark.parametrize(
    ("digits", "words"),
    [
        ("0", "zero"),
        ("7", "seven"),
        ("13", "thirteen"),
        ("20", "twenty"),
        ("42", "forty-two"),
        ("100", "one hundred"),
        ("305", "three hundred five"),
        ("1000", "one thousand"),
        ("1,234,567", "one million two hundred thirty-four thousand five hundred sixty-seven"),
        ("1000000", "one million"),
        ("900000000000009", "nine hundred trillion nine"),
        ("007", "zero zero seven"),
        ("1234567812345678", ", ".join(["one two three four, five six seven eight"] * 2)),
    ],
)
def test_cardinals_are_read_as_quantities(digits: str, words: str) -> None:
    assert numerals.cardinal(digits) == words


@pytest.mark.parametrize(
    ("digits", "words"),
    [
        ("1", "first"),
        ("2", "second"),
        ("3", "third"),
        ("5", "fifth"),
        ("8", "eighth"),
        ("9", "ninth"),
        ("11", "eleventh"),
        ("12", "twelfth"),
        ("20", "twentieth"),
        ("21", "twenty-first"),
        ("100", "one hundredth"),
        ("113", "one hundred thirteenth"),
    ],
)
def test_ordinals_change_their_last_word(digits: str, words: str) -> None:
    assert numerals.ordinal(digits) == words


@pytest.mark.parametrize(
    ("digits", "words"),
    [
        ("1999", "nineteen ninety-nine"),
        ("1905", "nineteen oh five"),
        ("1900", "nineteen hundred"),
        ("2000", "two thousand"),
        ("2004", "two thousand four"),
        ("2024", "twenty twenty-four"),
        ("99", "ninety-nine"),
    ],
)
def test_years_are_read_in_pairs(digits: str, words: str) -> None:
    assert numerals.year(digits) == words


@pytest.mark.parametrize(
    ("length", "groups"),
    [
        (1, [1]),
        (4, [4]),
        (5, [3, 2]),
        (6, [3, 3]),
        (7, [3, 4]),
        (8, [4, 4]),
        (9, [3, 3, 3]),
        (10, [3, 3, 4]),
        (11, [3, 4, 4]),
        (14, [3, 3, 4, 4]),
        (16, [4, 4, 4, 4]),
    ],
)
def test_long_digit_strings_are_spelt_in_groups_of_three_and_four(length: int, groups: list[int]) -> None:
    spoken = numerals.spelt_digits("5" * length)
    assert [len(group.split()) for group in spoken.split(", ")] == groups


def test_codes_name_their_letters_and_pause_between_groups() -> None:
    assert numerals.spelt("ab12-C9") == "A, B, one two, C, nine"


def test_the_groups_of_the_writer_are_kept() -> None:
    assert numerals.spelt_groups("+44 (20) 7946") == "plus four four, two zero, seven nine four six"
