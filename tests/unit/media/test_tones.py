"""Tones have the frequencies, levels and lengths they are asked for."""

from __future__ import annotations

import numpy as np
import pytest
from tests.support.audio import level_at, strongest

from callwright.media import tones
from callwright.media.sounds import Silence, Tone

ROWS, COLUMNS = (697, 770, 852, 941), (1209, 1336, 1477, 1633)


@pytest.mark.parametrize("level", [-3.0, -13.0, -40.0])
def test_a_tone_has_its_level(level: float) -> None:
    sound = tones.tone((1000.0,), 500, level)
    assert len(sound) == 4000
    assert level_at(sound[400:-400], 1000) == pytest.approx(level, abs=0.1)


def test_two_frequencies_have_the_level_each() -> None:
    sound = tones.tone((350.0, 440.0), 1000, -19.0)
    assert [level_at(sound[800:-800], f) for f in (350, 440)] == pytest.approx([-19.0, -19.0], abs=0.3)


@pytest.mark.parametrize(
    ("key", "row", "column"), [("1", 697, 1209), ("5", 770, 1336), ("#", 941, 1477), ("D", 941, 1633)]
)
def test_keys_are_the_pairs_of_the_standard(key: str, row: int, column: int) -> None:
    sound = tones.keys(key)
    assert len(sound) == 1600
    assert (strongest(sound[:800], ROWS), strongest(sound[:800], COLUMNS)) == (row, column)
    assert not sound[800:].any()


def test_every_key_has_a_pair_of_its_own() -> None:
    assert len({tones.key_pair(key) for key in "0123456789ABCD*#"}) == 16


@pytest.mark.parametrize("text", ["", "E", "12"])
def test_what_is_no_key_has_no_pair(text: str) -> None:
    with pytest.raises(ValueError, match="not a telephone key"):
        tones.key_pair(text)


def test_tones_begin_and_end_softly_and_never_overflow() -> None:
    sound = tones.tone((400.0, 450.0), 100, 3.0)
    assert abs(int(sound[0])) < 10
    assert abs(int(sound[-1])) < 2000
    assert sound.max() == 32767


def test_short_and_empty_sounds_are_possible() -> None:
    assert len(tones.tone((400.0,), 1)) == 8
    assert len(tones.tone((400.0,), 0)) == 0
    assert len(tones.keys("")) == 0
    assert len(tones.silence(-5)) == 0


def test_a_cadence_repeats_until_its_time_is_filled() -> None:
    sound = tones.cadence((425.0,), (100, 200), 700)
    assert len(sound) == 5600
    loud = [bool(np.abs(sound[i : i + 800].astype(int)).max() > 1000) for i in range(0, 5600, 800)]
    assert loud == [True, False, False, True, False, False, True]


def test_a_cadence_without_length_is_refused() -> None:
    with pytest.raises(ValueError, match="pattern"):
        tones.cadence((425.0,), (), 100)


def test_ringing_sounds_as_in_its_region() -> None:
    sound = tones.cadence(*_pattern("gb"), 3000)
    assert len(sound) == 24000
    assert sound[800:2400].any()
    assert not sound[3300:4700].any()
    assert sound[5000:7000].any()
    assert len(tones.beep()) == 2000


def _pattern(country: str) -> tuple[tuple[float, ...], tuple[int, ...]]:
    ringing = tones.country_tones(country).ringing
    return ringing.frequencies, ringing.pattern


@pytest.mark.parametrize(
    ("country", "ringing", "busy"),
    [
        ("US", ((440, 480), (2000, 4000)), ((480, 620), (500, 500))),
        ("gb", ((400, 450), (400, 200, 400, 2000)), ((400,), (375, 375))),
        ("de", ((425,), (1000, 4000)), ((425,), (480, 480))),
        ("zz", ((425,), (1000, 4000)), ((425,), (500, 500))),
    ],
)
def test_every_country_rings_in_its_own_way(country: str, ringing: object, busy: object) -> None:
    here = tones.country_tones(country)
    assert (here.ringing.frequencies, here.ringing.pattern) == ringing
    assert (here.busy.frequencies, here.busy.pattern) == busy


@pytest.mark.parametrize("country", sorted(tones.COUNTRIES))
def test_the_tones_of_every_country_can_be_played_for_as_long_as_wanted(country: str) -> None:
    here = tones.country_tones(country)
    for tone in (here.ringing, here.busy):
        assert len(tone.pattern) % 2 == 0
        assert all(300 <= frequency <= 650 for frequency in tone.frequencies)
        sounds = tones.progress_sounds(tone, 7000)
        assert sum(sound.ms for sound in sounds if isinstance(sound, Tone | Silence)) == 7000
        assert all(isinstance(sound, Silence) == bool(index % 2) for index, sound in enumerate(sounds))
