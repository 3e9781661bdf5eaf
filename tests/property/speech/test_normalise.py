"""Whatever is written, our reading of it ends, holds no digit, and is its own reading."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from callwright.speech.normalise import normalise
from callwright.speech.say_as import say_as

_PARTS = st.sampled_from(
    [
        *"0123456789.,:/-–+$£€%°#*&@^() \naAxmCé²½٣②",
        *(
            "00",
            "12",
            "2024",
            "555-0199",
            "1,234",
            "  ",
            "st",
            "th",
            "s",
            "am",
            "p.m.",
            "km",
            "March",
            "May",
            "AB",
            "in",
        ),
        *(
            "PIN",
            "PIN is ",
            "code",
            "dial",
            "call ",
            "number",
            "No.",
            "Dr.",
            "St.",
            "Main",
            "etc.",
            "ext.",
            "million",
            "k",
        ),
        *("http://", "www.", ".com", "a@b.co", "USD"),
    ]
)
_WRITTEN = st.one_of(st.lists(_PARTS, max_size=14).map("".join), st.text(max_size=60))
_REGIONS = st.sampled_from(["", "US", "GB", "IN"])
_ASKED = st.sampled_from(
    ["characters", "digits", "telephone", "cardinal", "ordinal", "date", "time", "currency", "fraction", "nonsense", ""]
)
_FORMATS = st.sampled_from(["", "mdy", "dmy", "ymd", "md", "y", "d", "m", "my", "hms12", "xyz"])


@settings(max_examples=400, deadline=None)
@given(text=_WRITTEN, region=_REGIONS)
def test_a_reading_holds_no_digit(text: str, region: str) -> None:
    assert not any(char.isdigit() for char in normalise(text, region=region))


@settings(max_examples=400, deadline=None)
@given(text=_WRITTEN, region=_REGIONS)
def test_reading_a_reading_changes_nothing(text: str, region: str) -> None:
    once = normalise(text, region=region)
    assert normalise(once, region=region) == once


@settings(max_examples=200, deadline=None)
@given(text=_WRITTEN, language=st.sampled_from(["es", "de", "zh", ""]))
def test_other_languages_pass_unchanged(text: str, language: str) -> None:
    assert normalise(text, language=language) == text


@settings(max_examples=400, deadline=None)
@given(text=_WRITTEN, asked=_ASKED, format=_FORMATS, region=_REGIONS)
def test_whatever_say_as_asks_the_english_reading_holds_no_digit(
    text: str, asked: str, format: str, region: str
) -> None:
    assert not any(char.isdigit() for char in say_as(text, asked, format, region=region))


@settings(max_examples=100, deadline=None)
@given(text=_WRITTEN, asked=_ASKED, format=_FORMATS)
def test_say_as_in_another_language_loses_no_letter_or_digit(text: str, asked: str, format: str) -> None:
    spoken = say_as(text, asked, format, language="es")
    assert [char for char in spoken if char.isalnum()] == [char for char in text if char.isalnum()]
