"""The loop of the speech worker, with a voice that needs no model."""

from __future__ import annotations

import io

import msgspec
import numpy as np
import pytest

from callwright.speech.frames import BrokenFrame, Said, Say, pack, read_frame
from callwright.speech.synthesiser import Samples
from callwright.speech.worker import serve


def speak(text: str, rate: float) -> Samples:
    if text == "odd":
        raise ValueError("a private text")
    return np.array([0.0, 0.5, -2.0, rate], np.float32)


def answers_to(*requests: Say, trailing: bytes = b"") -> list[Said]:
    out = io.BytesIO()
    serve(io.BytesIO(b"".join(pack(request) for request in requests) + trailing), out, speak)
    out.seek(0)
    found = []
    while (body := read_frame(out)) is not None:
        found.append(msgspec.msgpack.decode(body, type=Said))
    return found


def test_each_request_is_answered_with_16_bit_samples_under_its_number() -> None:
    first, second = answers_to(Say(number=4, text="a", rate=1.0), Say(number=5, text="b", rate=0.0))
    assert (first.number, second.number) == (4, 5)
    assert np.frombuffer(first.pcm, "<i2").tolist() == [0, 16383, -32767, 32767]


def test_a_text_the_voice_cannot_speak_is_answered_with_the_kind_of_problem_alone() -> None:
    odd, next_one = answers_to(Say(number=1, text="odd", rate=1.0), Say(number=2, text="a", rate=1.0))
    assert odd == Said(number=1, problem="ValueError")
    assert next_one.pcm


def test_the_loop_ends_with_its_input_also_inside_a_frame() -> None:
    assert len(answers_to(Say(number=1, text="a", rate=1.0), trailing=b"\0\0\0")) == 1


def test_a_broken_frame_ends_the_worker() -> None:
    with pytest.raises(BrokenFrame):
        answers_to(trailing=b"\xff\xff\xff\xff")
