from __future__ import annotations

import tracemalloc
from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callwright.apps.rest.media_names import media_name_fault, recording_name


@pytest.mark.parametrize(
    "name", ["a.wav", "/a.wav", "a/b/c.wave", "A-Z_0.9@x.WAV", "/rest_api/recordings/2026/02/02/x.wav", "a:b.wav"]
)
def test_good_names(name: str) -> None:
    assert media_name_fault(name) is None


@pytest.mark.parametrize(
    "name",
    [
        "",
        "/",
        "a",
        "a.mp3",
        "a.tif",
        ".wav",
        "x/.wav",
        "../a.wav",
        "a/../b.wav",
        "a..wav",
        "//a.wav",
        "a//b.wav",
        "./a.wav",
        "a/./b.wav",
        "a/",
        "a b.wav",
        "a\\b.wav",
        "a\x00.wav",
        "a\n.wav",
        "a.wav\n",
        "é.wav",
        "%2e%2e/a.wav",
        "x" * 600 + ".wav",
    ],
)
def test_bad_names(name: str) -> None:
    assert media_name_fault(name) is not None


@given(st.text(alphabet="ab./@:-_ \\\x00w", max_size=30).map(lambda text: f"{text}.wav"))
def test_no_good_name_leaves_its_folder(name: str) -> None:
    if media_name_fault(name) is None:
        parts = PurePosixPath("/media/1", name.lstrip("/")).parts
        assert parts[:3] == ("/", "media", "1")
        assert not {"..", ".", ""} & set(parts)


def test_recording_has_its_time_its_instance_and_perhaps_a_number() -> None:
    assert recording_name(1_391_351_463.9, "04f01fb92e8913a8.62100") == (
        "/rest_api/recordings/2014/02/02/14_31_03_04f01fb92e8913a8.62100.wav"
    )
    assert recording_name(1_391_351_463.0, "i.1", 2).endswith("/14_31_03_i.1_2.wav")
    assert media_name_fault(recording_name(0.0, "04f01fb92e8913a8.62100", 3)) is None


def test_names_that_are_too_long_are_not_kept() -> None:
    tracemalloc.start()
    try:
        for number in range(1000):
            assert "at most" in str(media_name_fault("a" * 5000 + f"{number}.wav"))
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 500_000
