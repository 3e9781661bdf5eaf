"""Selectors, and who speaks."""

from __future__ import annotations

import pytest

from callwright.speech.voices import BUILT_IN_SELECTOR, Gender, NoVoice, parse_selector, resolve

ALL = ("hibari", "flite", "espeak-ng")


def test_the_documented_example_is_taken_apart() -> None:
    selector = parse_selector("English US Female Polly Kimberly")
    assert (selector.language, selector.region, selector.gender) == ("en", "US", Gender.FEMALE)
    assert (selector.engine, selector.name, selector.neural) == ("polly", "Kimberly", False)


@pytest.mark.parametrize(
    ("text", "language", "region"),
    [
        ("English UK Male Cepstral Lawrence", "en", "GB"),
        ("english british female polly amy", "en", "GB"),
        ("English South African Female Polly Ayanda", "en", "ZA"),
        ("French Canadian Female Polly Chantal", "fr", "CA"),
        ("Portuguese Brazilian Male Polly Ricardo", "pt", "BR"),
        ("Chinese Cantonese Female Polly Hiujin", "yue", ""),
        ("German Female Polly Marlene", "de", ""),
        ("German", "de", ""),
        ("Klingon Male Worf", "", ""),
        ("", "", ""),
    ],
)
def test_language_and_region_are_known_by_their_usual_names(text: str, language: str, region: str) -> None:
    selector = parse_selector(text)
    assert (selector.language, selector.region) == (language, region)


@pytest.mark.parametrize(
    ("text", "neural"),
    [
        ("English US Female Polly Kimberly", False),
        ("English US Female Polly Neural Kimberly", True),
        ("English US Female Polly Kimberly Neural", True),
        ("English Australian Female Polly Olivia", True),
        ("English US Female Hibari Heart", True),
        ("English US Male Flite Rms", False),
        ("English US Female", False),
    ],
)
@pytest.mark.parametrize("installed", [ALL, ("hibari",), ("flite",), ("espeak-ng",)])
def test_the_class_is_the_configured_voices_whatever_is_installed(
    text: str, neural: bool, installed: tuple[str, ...]
) -> None:
    assert resolve(text, "", installed).neural is neural


@pytest.mark.parametrize(
    ("text", "installed", "engine", "name"),
    [
        ("English US Female Polly Kimberly", ALL, "flite", "slt"),
        ("English US Female Polly Kimberly", ("hibari",), "hibari", "heart"),
        ("English US Female Polly Kimberly", ("hibari", "espeak-ng"), "hibari", "heart"),
        ("English US Female Polly Neural Joanna", ALL, "hibari", "heart"),
        ("English US Male Polly Matthew", ALL, "flite", "rms"),
        ("English US Male Polly Matthew", ("hibari", "espeak-ng"), "espeak-ng", "en-us"),
        ("English UK Male Polly Brian", ("espeak-ng",), "espeak-ng", "en-gb"),
        ("English Scottish Male Cepstral X", ALL, "flite", "awb"),
        ("English US Male Flite Kal16", ALL, "flite", "kal16"),
        ("English US Male Espeak Any", ALL, "espeak-ng", "en-us"),
        ("English", ALL, "flite", "rms"),
        ("Spanish Castilian Female Polly Conchita", ALL, "espeak-ng", "es+f3"),
        ("Spanish Mexican Male Polly X", ALL, "espeak-ng", "es-419"),
        ("Chinese Mandarin Female Polly Zhiyu", ALL, "espeak-ng", "cmn+f3"),
        ("Norwegian Male X", ALL, "espeak-ng", "nb"),
        ("", ALL, "hibari", "heart"),
    ],
)
def test_language_gender_and_region_choose_an_installed_voice(
    text: str, installed: tuple[str, ...], engine: str, name: str
) -> None:
    choice = resolve(text, "", installed)
    assert (choice.voices[0].engine, choice.voices[0].name) == (engine, name)
    assert choice.warnings == ()


def test_the_page_names_the_voice_before_the_service_and_the_service_before_the_node() -> None:
    spanish, german = "Spanish Spain Female Polly Lucia", "German Female Polly Marlene"
    assert resolve(spanish, german, ALL).selector.text == spanish
    assert resolve(None, german, ALL).selector.text == german
    assert resolve("  ", german, ALL).selector.text == german
    assert resolve(None, "", ALL).selector.text == BUILT_IN_SELECTOR


def test_an_unknown_language_is_spoken_by_the_service_voice_in_its_class_with_a_warning() -> None:
    choice = resolve("Klingon Male Polly Neural Worf", "German Female Polly Marlene", ALL)
    assert choice.selector.language == "de"
    assert choice.neural is False
    assert choice.warnings == (
        'The voice "Klingon Male Polly Neural Worf" names no language we know: "German Female Polly Marlene" speaks '
        "instead.",
    )


def test_a_warning_shows_a_selector_as_one_short_line() -> None:
    (warning,) = resolve("Klingon\nMale \x1b[31m" + "x" * 500, "", ALL).warnings
    assert warning.isprintable()
    assert len(warning) < 300


def test_when_the_service_voice_is_unknown_too_the_built_in_one_speaks() -> None:
    assert resolve("Klingon", "Sindarin Male", ALL).selector.text == BUILT_IN_SELECTOR


def test_a_language_no_engine_speaks_is_read_by_another_with_a_warning() -> None:
    choice = resolve("Spanish Spain Female Polly Lucia", "", ("hibari",))
    assert choice.voices[0].engine == "hibari"
    assert choice.selector.language == "es"
    assert "Install espeak-ng" in choice.warnings[0]


def test_a_missing_gender_is_warned_of() -> None:
    choice = resolve("English US Male Polly Matthew", "", ("hibari",))
    assert choice.voices[0].gender is Gender.FEMALE
    assert 'No male voice is installed for "English US Male Polly Matthew"' in choice.warnings[0]


def test_every_installed_engine_stands_in_for_the_best_one() -> None:
    choice = resolve("Spanish Spain Female Polly Lucia", "", ALL)
    assert list(dict.fromkeys(voice.engine for voice in choice.voices)) == ["espeak-ng", "flite", "hibari"]


def test_without_any_engine_the_error_says_what_to_install() -> None:
    with pytest.raises(NoVoice, match="install the Python package hibari-tts, or the programs flite or espeak-ng"):
        resolve(None, "", ())
