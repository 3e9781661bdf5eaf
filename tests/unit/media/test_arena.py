"""The arena hands out rows and takes them back."""

from __future__ import annotations

import numpy as np

from callwright.media.arena import RESERVED_ROWS, Arena, Run, to_frames
from callwright.media.codec import Coding
from callwright.media.g711 import Octets


def frames(count: int, octet: int = 1) -> Octets:
    return np.full((count, 160), octet, np.uint8)


def test_the_first_rows_are_silence_of_each_law() -> None:
    arena = Arena(4)
    assert set(arena.frames[Coding.ULAW].tolist()) == {0xFF}
    assert set(arena.frames[Coding.ALAW].tolist()) == {0xD5}


def test_stored_frames_are_where_the_run_says() -> None:
    arena = Arena(10)
    first, second = arena.store(frames(3, 7)), arena.store(frames(4, 8))
    assert (first, second) == (Run(RESERVED_ROWS, 3), Run(RESERVED_ROWS + 3, 4))
    assert arena.frames[RESERVED_ROWS : RESERVED_ROWS + 7, 0].tolist() == [7] * 3 + [8] * 4
    assert arena.free_rows == 3


def test_a_full_arena_says_so_and_released_neighbours_join() -> None:
    arena = Arena(9)
    runs = [arena.store(frames(3)) for _ in range(3)]
    assert arena.store(frames(1)) is None
    for run in (runs[0], runs[2]):
        assert run is not None
        arena.release(run)
    assert arena.free_rows == 6
    assert arena.store(frames(4)) is None
    assert runs[1] is not None
    arena.release(runs[1])
    assert arena.store(frames(9)) == Run(RESERVED_ROWS, 9)


def test_an_empty_run_is_no_run() -> None:
    arena = Arena(2)
    arena.release(Run(0, 0))
    assert arena.free_rows == 2


def test_a_last_frame_is_filled_up_with_silence() -> None:
    made = to_frames(np.full(161, 8, np.int16), Coding.ALAW)
    assert made.shape == (2, 160)
    assert made[1, 1:].tolist() == [0xD5] * 159
    assert to_frames(np.zeros(0, np.int16), Coding.ULAW).shape == (0, 160)
