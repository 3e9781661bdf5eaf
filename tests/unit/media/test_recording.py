"""When recordings begin and end, and what they keep."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest
from tests.support.audio import sine

from callwright.media.g711 import Pcm
from callwright.media.helper import HELPER
from callwright.media.recording import BEFORE_FRAMES, MUTED_BACK_FRAMES, MUTED_ON_FRAMES, Recordings, Tapes

needs_helper = pytest.mark.skipif(HELPER is None, reason="the C helper is not there")
BOTH = pytest.mark.parametrize("helper", [None, pytest.param(HELPER, marks=needs_helper)], ids=["Python", "C"])
ROW = 2
ROWS = np.array([ROW])
SILENT = np.zeros(160, np.int16)
LOUD = sine(1000, 20)


class Desk:
    """Feeds one row and keeps what comes out."""

    def __init__(self, **limits: float) -> None:
        self.recordings = Recordings(4)
        self.recordings.start(
            ROW, **{"max_duration_s": 0.0, "max_silence_s": 0.0, "max_initial_silence_s": 0.0} | limits
        )
        self.kept: list[Pcm] = []
        self.over: list[str] = []
        self.fed = 0

    def feed(self, frame: Pcm, times: int) -> Desk:
        for _ in range(times):
            if self.over:
                break
            blocks, over = self.recordings.add(ROWS, frame.reshape(1, 160))
            self.fed += 1
            self.kept += [block.samples for block in blocks]
            self.over += [end.how for end in over]
        return self

    def frames(self) -> int:
        self.kept.append(self.recordings.stop(ROW))
        return sum(len(samples) for samples in self.kept) // 160


def test_a_recording_begins_a_little_before_its_first_sound() -> None:
    desk = Desk().feed(SILENT, 500).feed(LOUD, 20)
    assert desk.recordings.contains_sound(ROW)
    assert desk.frames() == BEFORE_FRAMES + 20 - 3
    sound = np.concatenate(desk.kept)
    assert not sound[: (BEFORE_FRAMES - 3) * 160].any()
    assert np.array_equal(sound[(BEFORE_FRAMES - 3) * 160 :], np.tile(LOUD, 20))


def test_sound_from_the_start_is_kept_whole_in_blocks_of_half_a_second() -> None:
    desk = Desk().feed(LOUD, 125)
    assert [len(samples) for samples in desk.kept] == [4000] * 5
    assert desk.frames() == 125
    assert np.array_equal(np.concatenate(desk.kept), np.tile(LOUD, 125))


def test_silence_after_sound_ends_it() -> None:
    desk = Desk(max_silence_s=0.5, max_initial_silence_s=9).feed(LOUD, 10).feed(SILENT, 100)
    assert desk.over == ["silence"]
    assert desk.frames() == 35


def test_sound_in_between_starts_the_silence_anew() -> None:
    desk = Desk(max_silence_s=0.5).feed(LOUD, 10).feed(SILENT, 20).feed(LOUD, 5).feed(SILENT, 24)
    assert desk.over == []
    assert desk.feed(SILENT, 1).over == ["silence"]


@pytest.mark.parametrize(("initial", "silence", "frames"), [(1.0, 9.0, 50), (0.0, 0.4, 20), (2.0, 0.4, 100)])
def test_without_sound_it_ends_by_the_initial_silence_and_is_empty(initial: float, silence: float, frames: int) -> None:
    desk = Desk(max_initial_silence_s=initial, max_silence_s=silence).feed(SILENT, 1000)
    assert (desk.over, desk.fed) == (["silence"], frames)
    assert not desk.recordings.contains_sound(ROW)
    assert desk.frames() == 0


@pytest.mark.parametrize("longest_s", [0.1, 0.5, 1.0, 2.5])
def test_the_longest_duration_is_exact(longest_s: float) -> None:
    desk = Desk(max_duration_s=longest_s).feed(SILENT, 60).feed(LOUD, 1000)
    assert desk.over == ["max_duration"]
    assert desk.frames() == round(longest_s * 50)


def test_without_limits_it_goes_on() -> None:
    assert Desk().feed(LOUD, 10).feed(SILENT, 5000).over == []


def test_rows_are_active_between_start_and_stop() -> None:
    recordings = Recordings(4)
    recordings.start(1, max_duration_s=0, max_silence_s=0, max_initial_silence_s=0)
    recordings.start(3, max_duration_s=0, max_silence_s=0, max_initial_silence_s=0)
    assert recordings.rows.tolist() == [1, 3]
    assert len(recordings.stop(1)) == 0
    assert recordings.rows.tolist() == [3]


@BOTH
def test_a_tape_has_both_directions_side_by_side(helper: ctypes.CDLL | None) -> None:
    tapes = Tapes(4, helper)
    tapes.start(ROW)
    blocks = []
    for _ in range(60):
        blocks += tapes.add(ROWS, LOUD.reshape(1, 160), SILENT.reshape(1, 160))
    assert all(block.row == ROW for block in blocks)
    sound = np.concatenate([*(block.samples for block in blocks), tapes.stop(ROW)])
    assert sound.shape == (60 * 160, 2)
    assert np.array_equal(sound[:, 0], np.tile(LOUD, 60))
    assert not sound[:, 1].any()
    assert tapes.rows.tolist() == []


def tape_of(tapes: Tapes, frames: int) -> list[Pcm]:
    return [
        block.samples for _ in range(frames) for block in tapes.add(ROWS, LOUD.reshape(1, 160), LOUD.reshape(1, 160))
    ]


@BOTH
@pytest.mark.parametrize("down_at", [2, 30, 53, 56, 110])
def test_a_muted_tape_lacks_a_moment_before_and_a_moment_after(down_at: int, helper: ctypes.CDLL | None) -> None:
    tapes = Tapes(4, helper)
    tapes.start(ROW)
    kept = tape_of(tapes, down_at)
    tapes.mute(ROW)
    kept += tape_of(tapes, 7)
    tapes.unmute(ROW)
    kept += tape_of(tapes, 60)
    sound = np.concatenate([*kept, tapes.stop(ROW)]).reshape(-1, 160, 2)
    silent = [index for index, frame in enumerate(sound) if not frame.any()]
    assert len(sound) == down_at + 67
    assert silent == list(range(max(down_at - MUTED_BACK_FRAMES, 0), down_at + 7 + MUTED_ON_FRAMES))


@BOTH
def test_a_tape_begins_unmuted_whatever_was_on_its_row_before(helper: ctypes.CDLL | None) -> None:
    tapes = Tapes(4, helper)
    tapes.start(ROW)
    tapes.mute(ROW)
    tape_of(tapes, 3)
    tapes.stop(ROW)
    tapes.start(ROW)
    tape_of(tapes, 3)
    assert tapes.stop(ROW).all(axis=1).any()


@BOTH
def test_tapes_begun_together_do_not_fill_their_blocks_together(helper: ctypes.CDLL | None) -> None:
    tapes = Tapes(40, helper)
    rows = np.arange(40)
    for row in rows.tolist():
        tapes.start(row)
    frames = np.zeros((40, 160), np.int16)
    busiest = max(len(tapes.add(rows, frames, frames)) for _ in range(200))
    assert busiest <= 2
