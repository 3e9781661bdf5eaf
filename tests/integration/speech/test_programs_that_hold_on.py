"""Engines that hang: nobody waits for ever, neither for a program's pipe that another one holds nor for a turn."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
import uvloop
from tests.support.node_processes import wait_until

from callwright.speech import hibari_engine
from callwright.speech.programs import EspeakSynthesiser, Program
from callwright.speech.synthesiser import EngineUnusable, Sound
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
    wait_until(lambda: not _lives(left), within_s=10, what="the end of what the script started")


def test_a_text_does_not_wait_for_ever_for_its_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hibari_engine, "TURN_LIMIT_S", 0.05)
    voice = resolve(None, "", ["hibari"]).voices[0]

    async def speak() -> None:
        speaker = hibari_engine.HibariSynthesiser("1")

        async def hang(text: str, rate: float) -> Sound:
            await asyncio.Event().wait()
            raise AssertionError("unreachable")

        monkeypatch.setattr(speaker, "_ask", hang)
        first = asyncio.create_task(speaker.speak("One.", voice, 1.0))
        await asyncio.sleep(0)
        async with asyncio.timeout(5):
            with pytest.raises(EngineUnusable):
                await speaker.speak("Two.", voice, 1.0)
        assert not first.done(), "who has its turn is not hurried"
        first.cancel()

    asyncio.run(speak())


def _lives(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z" and os.getpid() != pid
