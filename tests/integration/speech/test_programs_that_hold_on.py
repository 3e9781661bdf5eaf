"""A program that was killed may leave another behind that holds its pipe: nobody waits for that one."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
import uvloop

from callwright.speech.programs import EspeakSynthesiser, Program
from callwright.speech.synthesiser import EngineUnusable
from callwright.speech.voices import resolve


def test_a_script_that_hangs_is_stopped_with_what_it_started(tmp_path: Path) -> None:
    program = tmp_path / "espeak-ng"
    program.write_text(f"#!/bin/sh\nsleep 300 &\necho $! > {tmp_path}/pid\nwait\n", encoding="utf-8")
    program.chmod(0o755)
    voice = resolve(None, "", ["espeak-ng"]).voices[0]
    speaker = EspeakSynthesiser(Program(path=str(program), version="1"), limit_s=1.0)

    async def speak() -> None:
        with pytest.raises(EngineUnusable):
            await speaker.speak("Hello.", voice, 1.0)

    uvloop.run(speak())
    left = int((tmp_path / "pid").read_text())
    deadline = time.monotonic() + 10
    while _lives(left):
        assert time.monotonic() < deadline, "what the script started was left behind"
        time.sleep(0.02)


def _lives(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z" and os.getpid() != pid
