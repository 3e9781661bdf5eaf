"""From a text to utterances and pauses."""

from __future__ import annotations

import pytest

from callwright.speech.script import Utterance, pieces, write_script
from callwright.speech.ssml import Pause
from callwright.speech.synthesiser import TextTooLong


def said(text: str, rate: float = 1.0, gain_db: float = 0.0) -> Utterance:
    return Utterance(text=text, rate=rate, gain_db=gain_db)


def test_a_plain_text_is_one_normalised_utterance() -> None:
    assert write_script("Press 1.", language="en").parts == (said("Press one."),)


def test_say_as_is_spoken_in_the_sentence_around_it() -> None:
    text = 'Your PIN, <say-as interpret-as="digits">4096</say-as>, and 4096 more.'
    assert write_script(text, language="en").parts == (
        said("Your PIN, four zero nine six, and four thousand ninety-six more."),
    )


def test_words_in_another_manner_are_an_utterance_of_their_own() -> None:
    text = 'One <prosody rate="slow">two</prosody> three.'
    assert write_script(text, language="en").parts == (said("One"), said("two", rate=0.75), said("three."))


def test_a_sentence_that_ended_is_followed_by_a_pause() -> None:
    text = 'One. <prosody rate="slow">Two.</prosody>'
    assert write_script(text, language="en").parts == (
        said("One."),
        Pause(seconds=0.25, asked=False),
        said("Two.", rate=0.75),
    )


def test_breaks_stay_where_they_are() -> None:
    assert write_script('One <break time="2s"/> two.', language="en").parts == (
        said("One"),
        Pause(seconds=2.0),
        said("two."),
    )


def test_a_blank_line_ends_a_sentence_and_other_line_ends_are_spaces() -> None:
    assert write_script("One\ntwo\n\nthree.\n\nFour", language="en").parts == (said("One two. three. Four"),)


def test_the_region_reaches_the_reading() -> None:
    assert write_script("3/4/2024", language="en", region="GB").parts == (said("April third, twenty twenty-four"),)


def test_other_languages_keep_their_numbers() -> None:
    assert write_script("Pulse 1.", language="es").parts == (said("Pulse 1."),)


def test_a_text_of_3000_characters_is_spoken_and_one_more_is_refused_by_name_of_the_limit() -> None:
    assert write_script("a" * 3000, language="en").parts == (said("a" * 3000),)
    with pytest.raises(TextTooLong, match=r"3001 characters to speak; the limit is 3000\.") as refusal:
        write_script("a" * 3001, language="en")
    assert refusal.value.field == "text_to_say"


def test_tags_do_not_count_but_have_a_limit_too() -> None:
    assert write_script("<s>" + "a" * 2996 + "</s>", language="en").parts == (said("a" * 2996),)
    with pytest.raises(TextTooLong, match=r"6006 characters with its tags; the limit is 6000\."):
        write_script("<break/>" * 750 + "abcdef", language="en")


def test_breaks_longer_than_a_prompt_may_be_are_refused() -> None:
    with pytest.raises(TextTooLong, match=r"breaks of the text last 610 s; the limit of a prompt is 600 s\."):
        write_script('<break time="10s"/>' * 61, language="en")


@pytest.mark.parametrize(
    ("text", "longest", "cut"),
    [
        ("Short.", 10, ["Short."]),
        ("First one. Second one.", 12, ["First one.", "Second one."]),
        ("a b c, d e f g", 10, ["a b c,", "d e f g"]),
        ("one two three", 8, ["one two", "three"]),
        ("unbreakable", 4, ["unbr", "eaka", "ble"]),
        ("   ", 4, []),
    ],
)
def test_long_texts_are_cut_at_the_best_place(text: str, longest: int, cut: list[str]) -> None:
    assert pieces(text, longest) == cut
