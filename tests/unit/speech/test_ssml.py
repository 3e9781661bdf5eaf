"""Texts with markup, taken apart."""

from __future__ import annotations

import pytest

from callwright.speech.ssml import Pause, Words, parse


def words(text: str) -> str:
    return " ".join("".join(item.text for item in parse(text).items if isinstance(item, Words)).split())


def test_a_text_without_markup_is_one_run_of_words() -> None:
    markup = parse("Hello there.")
    assert markup.items == (Words(text="Hello there."),)
    assert (markup.characters, markup.warnings) == (12, ())


@pytest.mark.parametrize("text", ["", "   ", "<speak></speak>", "<speak> <p/> </speak>"])
def test_a_text_without_words_has_no_items(text: str) -> None:
    assert parse(text).items == ()


@pytest.mark.parametrize(
    ("tag", "seconds"),
    [
        ('<break time="500ms"/>', 0.5),
        ('<break time="2s"/>', 2.0),
        ('<break time="+.5s"/>', 0.5),
        ('<break time="99s"/>', 10.0),
        ('<break strength="x-strong"/>', 0.9),
        ('<break time="soon"/>', 0.3),
        ("<break/>", 0.3),
        ("<BREAK/>", 0.3),
    ],
)
def test_a_break_is_silence_of_at_most_ten_seconds(tag: str, seconds: float) -> None:
    assert parse(f"One{tag}two").items == (Words(text="One"), Pause(seconds=seconds), Words(text="two"))


def test_a_break_of_nothing_is_nothing() -> None:
    assert parse('One <break strength="none"/>two').items == (Words(text="One two"),)


@pytest.mark.parametrize(
    ("attributes", "rate", "gain"),
    [
        ('rate="slow"', 0.75, 0.0),
        ('rate="120%"', 1.2, 0.0),
        ('rate="+50%"', 1.5, 0.0),
        ('rate="-20%"', 0.8, 0.0),
        ('rate="1%"', 0.5, 0.0),
        ('rate="900%"', 2.0, 0.0),
        ('rate="odd" volume="odd" pitch="high"', 1.0, 0.0),
        ('volume="loud"', 1.0, 6.0),
        ('volume="-6dB"', 1.0, -6.0),
        ('volume="+90dB"', 1.0, 12.0),
        ('volume="silent"', 1.0, -96.0),
    ],
)
def test_prosody_sets_pace_and_volume_within_limits(attributes: str, rate: float, gain: float) -> None:
    assert parse(f"<prosody {attributes}>Now</prosody>").items == (Words(text="Now", rate=rate, gain_db=gain),)


def test_manners_nest_and_end_with_their_element() -> None:
    text = '<prosody rate="slow">a<prosody rate="slow" volume="loud">b</prosody>c</prosody>d'
    assert parse(text).items == (
        Words(text="a", rate=0.75),
        Words(text="b", rate=0.562, gain_db=6.0),
        Words(text="c", rate=0.75),
        Words(text="d"),
    )


def test_emphasis_is_slower_and_louder_or_the_reverse() -> None:
    strong, reduced = parse('<emphasis level="strong">a</emphasis><emphasis level="reduced">b</emphasis>').items
    assert isinstance(strong, Words)
    assert isinstance(reduced, Words)
    assert strong.rate < 1 < reduced.rate
    assert strong.gain_db > 0 > reduced.gain_db


def test_say_as_keeps_what_it_asks_for() -> None:
    text = 'PIN <say-as interpret-as="Digits">4096</say-as>, <say-as interpret-as="date" format="DMY">1/2/24</say-as>.'
    assert parse(text).items == (
        Words(text="PIN "),
        Words(text="4096", interpret_as="digits"),
        Words(text=", "),
        Words(text="1/2/24", interpret_as="date", format="dmy"),
        Words(text="."),
    )


def test_sentences_and_paragraphs_are_parted_by_one_pause_each() -> None:
    text = "<p><s>One.</s> <s>Two.</s></p>\n<p>Three.</p>"
    assert parse(text).items == (
        Words(text="One."),
        Pause(seconds=0.2, asked=False),
        Words(text="Two."),
        Pause(seconds=0.5, asked=False),
        Words(text="Three."),
    )


def test_a_break_between_sentences_replaces_their_pause() -> None:
    assert parse('<s>One.</s><break time="1s"/><s>Two.</s>').items == (
        Words(text="One."),
        Pause(seconds=1.0),
        Words(text="Two."),
    )


def test_an_alias_is_spoken_instead_of_the_text() -> None:
    assert words('<sub alias="World Wide Web Consortium">W3C <b>x</b></sub> rules') == "World Wide Web Consortium rules"


def test_the_text_of_a_phoneme_is_spoken_without_a_warning() -> None:
    markup = parse('You say <phoneme alphabet="ipa" ph="pɪˈkɑːn">pecan</phoneme>.')
    assert markup.items == (Words(text="You say pecan."),)
    assert markup.warnings == ()


def test_unknown_tags_are_left_out_and_named_in_a_warning() -> None:
    markup = parse('<voice name="x">Hello</voice> <amazon:effect name="whispered">there</amazon:effect>')
    assert markup.items == (Words(text="Hello there"),)
    assert markup.warnings == (
        "Tags that are not supported were left out, their text is spoken: amazon:effect, voice.",
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Fish & chips", "Fish & chips"),
        ("<s>Fish & chips</s>", "Fish & chips"),
        ("Fish &amp; chips &lt;3 &#65;&#x42;", "Fish & chips <3 AB"),
        ("<s>AT&T &nbsp; &unknown;</s>", "AT&T &nbsp; &unknown;"),
        ("5 < 6 and 7 > 3", "5 < 6 and 7 > 3"),
    ],
)
def test_reserved_characters_are_read_escaped_or_bare(text: str, said: str) -> None:
    markup = parse(text)
    assert words(text) == said
    assert markup.warnings == ()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("<speak>Hello <b>there</speak>", "Hello there"),
        ("Hello</p>", "Hello"),
        ("<prosody rate=slow>Hello</prosody>", "Hello"),
        ("Hello <there", "Hello <there"),
        ("<s>Fish &amp; chips", "Fish & chips"),
    ],
)
def test_malformed_markup_is_spoken_without_its_tags_and_warned_of(text: str, said: str) -> None:
    (warning,) = parse(text).warnings
    assert words(text) == said
    assert warning.startswith("The SSML was spoken as plain text, because it is no well-formed XML")


def test_a_document_type_is_refused_and_no_entity_is_expanded() -> None:
    bomb = '<!DOCTYPE s [<!ENTITY a "boom boom"><!ENTITY b "&a;&a;&a;">]><speak>Hello &b;</speak>'
    (warning,) = parse(bomb).warnings
    assert "boom boom boom" not in words(bomb)
    assert words(bomb).endswith("Hello &b;")
    assert "no well-formed XML" in warning


def test_an_external_entity_is_not_fetched() -> None:
    text = '<!DOCTYPE s SYSTEM "file:///etc/passwd" [<!ENTITY x SYSTEM "file:///etc/passwd">]><speak>a &x;</speak>'
    assert "root" not in words(text)
    assert parse(text).warnings


def test_warnings_quote_nothing_that_is_spoken() -> None:
    for text in ("<b>secret 4096", "<x>secret 4096</x>"):
        assert "secret" not in "".join(parse(text).warnings)
        assert "4096" not in "".join(parse(text).warnings)


def test_characters_are_counted_without_tags() -> None:
    assert parse('<speak><prosody rate="slow">Hello</prosody></speak>').characters == 5


def test_control_characters_and_half_characters_become_spaces() -> None:
    assert words("a\x00b\x1b<s>c\ud800d</s>") == "a b c d"
