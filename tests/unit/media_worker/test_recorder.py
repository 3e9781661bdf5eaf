"""The recorder's files, written piece by piece by the C helper and without it."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from callwright.media.helper import HELPER
from callwright.media.wav import WavFormat
from callwright.media_worker import recorder as module
from callwright.media_worker.recorder import Recorder, Tape

BLOCK = 4000
DEADLINE_S = 10.0


@pytest.fixture(params=["helper", "python"])
def recorder(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Recorder:
    if request.param == "python":
        monkeypatch.setattr(module, "HELPER", None)
    elif HELPER is None:
        pytest.skip("the C helper is not there")
    return Recorder()


def wait(recorder: Recorder, over: Callable[[], object]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not over():
        assert time.monotonic() < deadline
        recorder.take_closed()
        time.sleep(0.001)


def test_many_tapes_get_their_own_samples_in_order(recorder: Recorder, tmp_path: Path) -> None:
    chance = np.random.default_rng(5)
    closed: list[tuple[float, str]] = []
    tapes: list[Tape] = []
    sound = [chance.integers(-30000, 30000, (3 * BLOCK + 7, 2)).astype(np.int16) for _ in range(100)]
    for number, samples in enumerate(sound):
        tape = Tape(str(tmp_path / f"{number}.wav"), WavFormat.PCM16, 2, lambda *how: closed.append(how), lambda: None)
        tapes.append(tape)
        recorder.open(tape, samples[:0])
        for at in range(0, len(samples), BLOCK):
            # Several pieces of one file may wait together.
            recorder.write(tape, samples[at : at + BLOCK])
        if number % 3 == 0:
            recorder.take_closed()
    for tape in tapes:
        recorder.close(tape)
    wait(recorder, lambda: len(closed) == len(tapes))
    recorder.finish(DEADLINE_S)
    assert set(closed) == {((3 * BLOCK + 7) / 8000, "")}
    for number, samples in enumerate(sound):
        assert np.array_equal(soundfile.read(tmp_path / f"{number}.wav", dtype="int16")[0], samples)


def test_a_file_that_cannot_grow_any_more_keeps_what_it_has_and_opens(recorder: Recorder, tmp_path: Path) -> None:
    closed: list[tuple[float, str]] = []
    failed: list[str] = []
    path = tmp_path / "full.wav"
    tape = Tape(str(path), WavFormat.PCM16, 2, lambda *how: closed.append(how), lambda: failed.append("now"))
    block = np.ones((BLOCK, 2), np.int16)
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (6 * BLOCK, hard))
    try:
        recorder.open(tape, block)
        recorder.write(tape, block)
        wait(recorder, lambda: failed)
        recorder.write(tape, block)
        recorder.close(tape)
        wait(recorder, lambda: closed)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        recorder.finish(DEADLINE_S)
    assert closed == [(BLOCK / 8000, "it cannot be written: File too large")]
    assert failed == ["now"]
    assert len(soundfile.read(path)[0]) == BLOCK
