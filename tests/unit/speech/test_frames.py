"""What a node and its speech worker say to each other."""

from __future__ import annotations

import io

import msgspec
import pytest

from callwright.speech.frames import MAX_FRAME, BrokenFrame, Hello, Said, Say, body_length, pack, read_frame


class Dribble(io.BytesIO):
    """Gives one byte at a time, as a pipe may."""

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(min(1, size or 0))


@pytest.mark.parametrize("stream_type", [io.BytesIO, Dribble])
def test_frames_are_read_back_one_by_one_however_they_arrive(stream_type: type[io.BytesIO]) -> None:
    sent = [Say(number=1, text="Hello é", rate=0.5), Say(number=2, text="", rate=1.0)]
    stream = stream_type(b"".join(pack(message) for message in sent))
    for message in sent:
        body = read_frame(stream)
        assert body is not None
        assert msgspec.msgpack.decode(body, type=Say) == message
    assert read_frame(stream) is None


def test_a_stream_that_ends_inside_a_frame_has_ended() -> None:
    whole = pack(Said(number=1, pcm=b"1234"))
    for length in range(len(whole)):
        assert read_frame(io.BytesIO(whole[:length])) is None


@pytest.mark.parametrize("length", [0, MAX_FRAME + 1, 2**32 - 1])
def test_a_length_out_of_bounds_is_a_broken_frame(length: int) -> None:
    with pytest.raises(BrokenFrame):
        body_length(length.to_bytes(4, "big"))


def test_the_greeting_says_the_rate_or_the_problem() -> None:
    body = pack(Hello(problem="no such wheel"))[4:]
    assert msgspec.msgpack.decode(body, type=Hello) == Hello(rate=0, problem="no such wheel")
