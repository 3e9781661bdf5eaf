"""Real sound files through the loader threads into a small arena."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
from tests.support.audio import level_at, sine, write_wav

from callwright.media import g711
from callwright.media.arena import Arena
from callwright.media.codec import Coding
from callwright.media.sounds import Keys, Silence, SoundFile, Tone
from callwright.media_worker import sounds
from callwright.media_worker.sounds import CachedSound, Loadable, SoundCache, SoundError, read_file, silence_frames

DEADLINE_S = 20.0


class Loader:
    def __init__(self, rows: int) -> None:
        self.arena = Arena(rows)
        self.cache = SoundCache(self.arena)

    def load(self, *wanted: Loadable, coding: Coding = Coding.ALAW) -> list[CachedSound | SoundError]:
        taken: dict[int, CachedSound | SoundError] = {}
        for index, sound in enumerate(wanted):
            self.cache.request(sound, coding, lambda outcome, index=index: taken.__setitem__(index, outcome))  # type: ignore[misc]
        deadline = time.monotonic() + DEADLINE_S
        while len(taken) < len(wanted):
            assert time.monotonic() < deadline
            self.cache.take_loaded()
            time.sleep(0.001)
        return [taken[index] for index in range(len(wanted))]

    def one(self, sound: Loadable, coding: Coding = Coding.ALAW) -> CachedSound:
        outcome = self.load(sound, coding=coding)[0]
        assert isinstance(outcome, CachedSound)
        return outcome


@pytest.mark.parametrize(
    ("rate", "channels", "subtype"),
    [(8000, 1, "PCM_16"), (8000, 1, "ALAW"), (8000, 2, "PCM_U8"), (48000, 2, "FLOAT"), (16000, 1, "IMA_ADPCM")],
)
def test_sounds_of_many_kinds_become_telephone_sound(tmp_path: Path, rate: int, channels: int, subtype: str) -> None:
    tone = sine(1000, 500, -10.0, rate)
    write_wav(tmp_path / "tone.wav", np.stack([tone] * channels, axis=1) if channels > 1 else tone, rate, subtype)
    pcm = read_file(str(tmp_path / "tone.wav"))
    assert len(pcm) == pytest.approx(4000, abs=70)
    assert level_at(pcm[400:3600], 1000) == pytest.approx(-10.0, abs=0.3)


def test_sixteen_bit_and_companded_sound_is_kept_to_the_bit(tmp_path: Path) -> None:
    samples = np.arange(-32768, 32768, 7, dtype=np.int32).astype(np.int16)
    write_wav(tmp_path / "linear.wav", samples)
    assert np.array_equal(read_file(str(tmp_path / "linear.wav")), samples)
    octets = g711.encode(samples, Coding.ALAW)
    write_wav(tmp_path / "alaw.wav", g711.decode(octets, Coding.ALAW), subtype="ALAW")
    assert np.array_equal(g711.encode(read_file(str(tmp_path / "alaw.wav")), Coding.ALAW), octets)


def test_one_file_asked_for_by_many_is_loaded_once(tmp_path: Path) -> None:
    write_wav(tmp_path / "tone.wav", sine(500, 200))
    loader = Loader(100)
    sound = SoundFile(str(tmp_path / "tone.wav"))
    taken = loader.load(*[sound] * 5)
    assert len({id(each) for each in taken}) == 1
    assert loader.one(sound) is taken[0]
    assert isinstance(taken[0], CachedSound)
    assert taken[0].pins == 6
    assert loader.arena.free_rows == 90
    assert loader.one(sound, Coding.ULAW) is not taken[0]


def test_the_least_recently_used_sound_nobody_plays_makes_room(tmp_path: Path) -> None:
    loader = Loader(25)
    first, second = (Tone((float(frequency),), 200) for frequency in (400, 500))
    for tone in (first, second, first):
        loader.cache.release(loader.one(tone))
    third = loader.one(Tone((600.0,), 200))
    assert len(loader.cache) == 2
    before = loader.one(first)
    assert before.pins == 1
    outcome = loader.load(Tone((700.0,), 200))[0]
    assert isinstance(outcome, SoundError)
    assert "full of sounds being played" in outcome.reason
    loader.cache.release(third)
    assert loader.one(second).run.frames == 10


def test_a_sound_thrown_out_while_it_was_looked_up_is_loaded_again() -> None:
    loader = Loader(10)
    tone = Tone((400.0,), 200)
    loader.cache.release(loader.one(tone))
    taken: list[CachedSound | SoundError] = []
    loader.cache.request(tone, Coding.ALAW, taken.append)
    deadline = time.monotonic() + DEADLINE_S
    while not loader.cache._results:
        assert time.monotonic() < deadline
        time.sleep(0.001)
    assert loader.cache._results[0].frames is None
    loader.arena.release(loader.cache._cached.popitem()[1].run)
    while not taken:
        assert time.monotonic() < deadline
        loader.cache.take_loaded()
        time.sleep(0.001)
    assert isinstance(taken[0], CachedSound)


def test_what_cannot_be_played_has_its_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_wav(tmp_path / "long.wav", sine(500, 3000))
    write_wav(tmp_path / "wide.wav", np.zeros((100, 9), np.int16))
    (tmp_path / "empty.wav").write_bytes(b"")
    monkeypatch.setattr(sounds, "MAX_SOUND_S", 2)
    loader = Loader(500)
    reasons = {"long.wav": "longer than", "wide.wav": "9 audio channels", "empty.wav": "not a sound", "none": "no such"}
    for name, reason in reasons.items():
        outcome = loader.load(SoundFile(str(tmp_path / name)))[0]
        assert isinstance(outcome, SoundError)
        assert outcome.path == str(tmp_path / name)
        assert reason in outcome.reason
    outcome = loader.load(SoundFile("a\0b"))[0]
    assert isinstance(outcome, SoundError)


def test_an_empty_sound_is_a_sound_of_no_frames(tmp_path: Path) -> None:
    write_wav(tmp_path / "empty.wav", np.zeros(0, np.int16), 44100)
    assert Loader(10).one(SoundFile(str(tmp_path / "empty.wav"))).run.frames == 0


def test_keys_are_rendered_as_tone_pairs() -> None:
    assert Loader(50).one(Keys("12")).run.frames == 20


@pytest.mark.parametrize(("ms", "frames"), [(0, 0), (-1, 0), (1, 1), (20, 1), (21, 2), (1000, 50)])
def test_silences_are_rounded_up_to_whole_frames(ms: int, frames: int) -> None:
    assert silence_frames(Silence(ms)) == frames


def test_a_small_file_that_unfolds_to_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sounds, "_MAX_SAMPLES", 1_000_000)
    path = tmp_path / "bomb.wav"
    with soundfile.SoundFile(path, "w", samplerate=192_000, channels=8, format="FLAC", subtype="PCM_16") as file:
        file.write(np.zeros((192_000, 8), np.int16))
    assert path.stat().st_size < 20_000
    with pytest.raises(SoundError, match="samples, at most"):
        read_file(str(path))


def test_a_file_read_in_blocks_sounds_as_if_read_at_once(tmp_path: Path) -> None:
    samples = (0.3 * np.random.default_rng(5).standard_normal((300_000, 2))).astype(np.float32)
    soundfile.write(tmp_path / "stereo.wav", samples, 44_100, subtype="FLOAT")
    at_once = np.rint(soxr.resample(samples.mean(axis=1), 44_100, 8_000) * 32768.0)
    read = read_file(str(tmp_path / "stereo.wav"))
    assert len(read) == len(at_once)
    assert np.abs(read - np.clip(at_once, -32768, 32767)).max() <= 1
