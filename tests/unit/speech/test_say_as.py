"""What say-as asks for."""

from __future__ import annotations

import pytest

from callwright.speech.say_as import say_as


@pytest.mark.parametrize(
    ("text", "asked", "format", "said"),
    [
        ("4096", "digits", "", "four zero nine six"),
        ("12345", "digits", "", "one two three, four five"),
        ("AB-12", "digits", "", "A, B, one two"),
        ("hello", "characters", "", "H, E, L, L, O"),
        ("a1", "spell-out", "", "A, one"),
        ("?", "characters", "", "?"),
        ("212-555 0100", "telephone", "", "two one two, five five five, zero one zero zero"),
        ("+44 20", "telephone", "", "plus four four, two zero"),
        ("4096", "cardinal", "", "four thousand ninety-six"),
        ("-1,234.5", "number", "", "minus one thousand two hundred thirty-four point five"),
        ("21", "ordinal", "", "twenty-first"),
        ("3rd", "ordinal", "", "third"),
        ("03/04/2024", "date", "dmy", "April third, twenty twenty-four"),
        ("03/04/2024", "date", "mdy", "March fourth, twenty twenty-four"),
        ("20240304", "date", "ymd", "March fourth, twenty twenty-four"),
        ("4/3", "date", "dm", "March fourth"),
        ("1999", "date", "y", "nineteen ninety-nine"),
        ("12/1999", "date", "my", "December nineteen ninety-nine"),
        ("14:30", "time", "hms24", "fourteen thirty"),
        ("2:30pm", "time", "hms12", "two thirty p.m."),
        ("1'21\"", "time", "", "one minute and twenty-one seconds"),
        ("$4.50", "currency", "", "four dollars and fifty cents"),
        ("£1", "currency", "", "one pound"),
    ],
)
def test_a_text_is_read_as_asked(text: str, asked: str, format: str, said: str) -> None:
    assert say_as(text, asked, format) == said


@pytest.mark.parametrize(
    ("text", "asked", "format", "said"),
    [
        ("many", "cardinal", "", "many"),
        ("soon 3", "date", "dmy", "soon three"),
        ("31/31/2024", "date", "dmy", "thirty-one/thirty-one/two thousand twenty-four"),
        ("5 things", "expletive", "", "five things"),
        ("99:99", "time", "", "ninety-nine:ninety-nine"),
    ],
)
def test_a_text_that_does_not_fit_is_read_as_usual(text: str, asked: str, format: str, said: str) -> None:
    assert say_as(text, asked, format) == said


def test_in_another_language_spelling_is_ours_and_the_rest_the_engines() -> None:
    assert say_as("A1-2", "characters", language="es") == "A, 1, 2"
    assert say_as("4096", "digits", language="de") == "4, 0, 9, 6"
    assert say_as("4096", "cardinal", language="de") == "4096"
