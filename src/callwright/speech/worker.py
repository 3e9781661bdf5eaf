"""The speech worker: a child process that holds the neural voice and speaks what it is asked to.

Started as ``python -m callwright.speech.worker`` by ``hibari_engine``. Requests come on standard input, sound leaves on
standard output (``frames``). It ends when its input ends, so it never outlives its node, however that one died.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import BinaryIO

import msgspec
import numpy as np

from callwright.speech.frames import BrokenFrame, Hello, Said, Say, pack, read_frame
from callwright.speech.synthesiser import Samples

_NICENESS = 5  # a prompt may come a little later; the sound of calls in progress may not


def serve(requests: BinaryIO, answers: BinaryIO, speak: Callable[[str, float], Samples]) -> None:
    """Answer requests one by one until ``requests`` ends or stops making sense."""
    while (body := read_frame(requests)) is not None:
        request = msgspec.msgpack.decode(body, type=Say)
        answers.write(pack(_answer(request, speak)))
        answers.flush()


def _answer(request: Say, speak: Callable[[str, float], Samples]) -> Said:
    try:
        samples = speak(request.text, request.rate)
    except Exception as problem:  # a request is a bulkhead: one odd text must not end the voice of every other call
        return Said(number=request.number, problem=type(problem).__name__)
    pcm = (np.clip(samples, -1.0, 1.0) * 32767.0).astype("<i2").tobytes()
    return Said(number=request.number, pcm=pcm)


def _load() -> tuple[int, Callable[[str, float], Samples]]:
    from hibari import SAMPLE_RATE, Hibari

    # "heart" is the one voice inside the wheel; any other would be downloaded.
    voice = Hibari(voice="heart", threads=1)

    def speak(text: str, rate: float) -> Samples:
        # A fixed seed makes the same text the same sound, so a cached file and a fresh one are equal.
        return np.asarray(voice(text, speed=rate, seed=0), dtype=np.float32)

    speak("Ready.", 1.0)
    return int(SAMPLE_RATE), speak


def main() -> int:
    """Run the worker; 0 after its input ended, 1 when the voice could not be loaded or a frame was broken."""
    # Ctrl-C reaches the whole terminal group; the node decides when to stop and closes our input then.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.nice(_NICENESS)
    # Whatever a library prints must not land between the frames.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    try:
        rate, speak = _load()
    except Exception as problem:  # a missing or broken wheel becomes an answer the node can show
        answers.write(pack(Hello(problem=f"{type(problem).__name__}: {problem}")))
        answers.flush()
        return 1
    try:
        answers.write(pack(Hello(rate=rate)))
        answers.flush()
        serve(sys.stdin.buffer, answers, speak)
    except (BrokenPipeError, BrokenFrame, msgspec.DecodeError):
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
