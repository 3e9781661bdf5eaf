"""How far behind a line is read: late packets, a clock that is faster or slower, and many rows at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from callwright.media.codec import FRAME_SAMPLES
from callwright.media.g711 import Pcm
from callwright.media.jitter import (
    DELAY_FRAMES,
    MAX_DELAY_FRAMES,
    WINDOW_FRAMES,
    JitterBuffer,
)

MIDDLE = 100
"""A sample behind the part in which sound that comes back is blended in."""


WHEEL = 1900
"""So many different values are said before they come again."""


class Line:
    """Row 2 of a buffer. `number` is a packet's place in what is said; its samples all are `said(number)`."""

    def __init__(self) -> None:
        self.buffer = JitterBuffer(4)
        self.buffer.start(2)
        self.last = 0

    def come(self, *numbers: int) -> None:
        for number in numbers:
            sound = np.full((1, FRAME_SAMPLES), said(number), np.int16)
            self.buffer.place(np.array([2]), np.array([(2**32 - 900 + 160 * number) % 2**32], np.int64), sound)

    def frame(self) -> Pcm:
        frame: Pcm = self.buffer.frames(np.array([2]))[0]
        return frame

    def hear(self, frames: int) -> list[int | None]:
        """Which packets are heard in the next frames; None for what was made up."""
        return [self._number(self.frame()[MIDDLE:]) for _ in range(frames)]

    def talk(self, arrivals: Mapping[int, Sequence[int]], ticks: int) -> list[int | None]:
        """In each tick the packets of `arrivals` come and one frame is read."""
        heard: list[int | None] = []
        for tick in range(ticks):
            self.come(*arrivals.get(tick, ()))
            heard += self.hear(1)
        return heard

    def _number(self, samples: Pcm) -> int | None:
        place, rest = divmod(int(samples[0]) - 1000, 16)
        if rest or (samples != samples[0]).any() or not 0 <= place < WHEEL:
            return None
        # Of all packets with this value, the one nearest to what was heard last.
        self.last += (place - self.last + WHEEL // 2) % WHEEL - WHEEL // 2
        return self.last


def said(number: int) -> int:
    return 1000 + 16 * (number % WHEEL)


def steady(count: int, *, late: Mapping[int, int] | None = None) -> dict[int, list[int]]:
    """Packet n comes in tick n, some of them later by so many ticks."""
    arrivals: dict[int, list[int]] = {}
    for number in range(count):
        arrivals.setdefault(number + (late or {}).get(number, 0), []).append(number)
    return arrivals


def test_a_steady_line_is_heard_whole_and_three_frames_behind() -> None:
    heard = Line().talk(steady(40), 40)
    assert heard[DELAY_FRAMES:] == list(range(40 - DELAY_FRAMES))


def test_a_packet_too_late_with_nothing_newer_is_heard_and_the_line_read_later_from_then_on() -> None:
    # A standstill of six frames, after which everything comes at once.
    line = Line()
    late = {number: 16 - number for number in range(10, 16)}
    heard = line.talk(steady(60, late=late), 60)
    assert [number for number in heard if number is not None] == list(range(60 - heard.count(None)))
    assert line.buffer.delay_ms(2) > DELAY_FRAMES * 20


def test_a_packet_that_is_late_behind_newer_sound_is_lost_and_the_next_gap_waits() -> None:
    line = Line()
    late = {number: 4 for number in range(5, 45, 4)}
    heard = line.talk(steady(120, late=late), 120)
    present = [number for number in heard if number is not None]
    assert present == sorted(set(present))
    # Once the line is read four frames behind, nothing is lost any more.
    assert set(range(20, 45)) <= set(present)


def test_a_line_that_has_become_steady_is_read_closer_again() -> None:
    line = Line()
    late = {number: 16 - number for number in range(10, 16)}
    before_and_after = line.talk(steady(1500, late=late), 1500)
    heard = [number for number in before_and_after[-50:] if number is not None]
    assert heard == list(range(heard[0], heard[0] + 50))
    assert 1500 - 1 - heard[-1] <= DELAY_FRAMES


def test_two_frames_become_one_without_a_step_in_the_sound() -> None:
    line = Line()
    line.come(*range(8))
    # The eighth packet sets no new time: the line is eight frames behind from now on, five more than need be.
    loudest_step = 0
    last: int | None = None
    for number in range(8, 10 * WINDOW_FRAMES):
        line.come(number)
        frame = line.frame().astype(int)
        if last is not None and number > 20:
            steps = np.abs(np.diff(np.concatenate([[last], frame])))
            loudest_step = max(loudest_step, int(steps.max()))
        last = int(frame[-1])
    assert line.buffer.delay_ms(2) <= DELAY_FRAMES * 20
    assert loudest_step <= 2 * 16


@pytest.mark.parametrize("drift", [0.995, 1.005], ids=["slower", "faster"])
def test_a_clock_of_another_speed_is_followed(drift: float) -> None:
    line = Line()
    ticks, sent, heard = 6000, 0, []
    for tick in range(ticks):
        while sent < tick * drift:
            line.come(sent)
            sent += 1
        heard += line.hear(1)
        assert line.buffer.delay_ms(2) <= (DELAY_FRAMES + 3) * 20
    present = [number for number in heard if number is not None]
    assert present == sorted(set(present))
    assert len(present) > 0.97 * min(sent, ticks)


def test_the_line_is_never_read_more_than_so_far_behind() -> None:
    line = Line()
    late = {number: (number * 7919) % 30 for number in range(4, 800)}
    line.talk(steady(800, late=late), 800)
    assert line.buffer.delay_ms(2) <= (MAX_DELAY_FRAMES + 30) * 20
    heard = line.talk({tick: [900 + tick] for tick in range(1200)}, 1200)
    assert heard[-1] is not None
    assert 900 + 1199 - heard[-1] <= DELAY_FRAMES


def test_rows_do_not_disturb_each_other() -> None:
    buffer = JitterBuffer(50)
    rows = np.arange(50)
    for row in rows.tolist():
        buffer.start(row)
    for number in range(20):
        present = rows[(rows + number) % 5 != 0]
        sound = np.full((len(present), FRAME_SAMPLES), said(number), np.int16) + present[:, None].astype(np.int16)
        buffer.place(present, np.full(len(present), 160 * number), sound)
        frames = buffer.frames(rows)
        for row in rows.tolist():
            # Rows divisible by five lack the first packet, so that their second one is what set the time.
            wanted = number - DELAY_FRAMES
            if wanted >= 1 and (row + wanted) % 5 != 0 and row % 5 != 0:
                assert frames[row, MIDDLE] == said(wanted) + row
