"""Voices that are programs: flite and espeak-ng, each run once for a text and asked for nothing but sound.

The text goes in through a pipe, never on the command line, where every user of the machine could read it; the sound
comes back through memory, so private speech touches no disk here. espeak-ng is under the GPL: it stays a separate
program.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import signal
import struct
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import structlog

from callwright.speech.synthesiser import MAX_SOUND_S, EngineUnusable, Sound, SynthesisFailed
from callwright.speech.voices import Voice

log = structlog.get_logger()

RUN_LIMIT_S = 20.0
STOP_LIMIT_S = 5.0  # for one that was killed, or whose output nobody reads any more
PROBE_LIMIT_S = 5.0
_MAX_BYTES = int(MAX_SOUND_S * 48000 * 2)
_AT_ONCE = 2
_ESPEAK_WORDS_PER_MINUTE = 160  # its own 175 is hard to follow on a telephone line


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """An installed program: where it is, and the version it says it has."""

    path: str
    version: str


class FliteSynthesiser:
    """Speaks English with flite's built-in voices."""

    engine = "flite"
    max_characters = 1000  # what it takes grows faster than the text: this much takes well under a second

    def __init__(self, program: Program, *, limit_s: float = RUN_LIMIT_S) -> None:
        self.version = program.version
        self._limit_s = limit_s
        self._path = program.path
        self._places = asyncio.Semaphore(_AT_ONCE)

    async def speak(self, text: str, voice: Voice, rate: float) -> Sound:
        """Speak; letters beyond ASCII lose their accents, which flite would read as noise."""
        plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore")
        # flite writes the length of the sound into the head of its file at the end: a pipe will not do, memory does.
        memory = os.memfd_create("speech")
        try:
            command = [self._path, "-voice", voice.name, "--setf", f"duration_stretch={1 / rate:.3f}"]
            async with self._places:
                await _run(
                    [*command, "-o", f"/proc/self/fd/{memory}"],
                    plain,
                    self.engine,
                    limit_s=self._limit_s,
                    pass_fds=(memory,),
                )
            size = os.fstat(memory).st_size
            if size > _MAX_BYTES:
                raise SynthesisFailed(f"flite made {size} bytes of sound of one text: more than we accept.")
            return wav_sound(os.pread(memory, size, 0), self.engine)
        finally:
            os.close(memory)

    async def close(self) -> None:
        """Nothing stays running between texts."""


class EspeakSynthesiser:
    """Speaks about a hundred languages, audibly a machine, with espeak-ng."""

    engine = "espeak-ng"
    max_characters = 1000

    def __init__(self, program: Program, *, limit_s: float = RUN_LIMIT_S) -> None:
        self.version = program.version
        self._limit_s = limit_s
        self._path = program.path
        self._places = asyncio.Semaphore(_AT_ONCE)

    async def speak(self, text: str, voice: Voice, rate: float) -> Sound:
        """Speak; a language this espeak-ng does not have is a ``SynthesisFailed``."""
        pace = str(round(_ESPEAK_WORDS_PER_MINUTE * rate))
        # -b 1: UTF-8. --stdin reads to the end before it speaks, so line ends do not matter.
        command = [self._path, "-v", voice.name, "-s", pace, "-b", "1", "--stdin", "--stdout"]
        async with self._places:
            output = await _run(command, text.encode("utf-8", "ignore"), self.engine, limit_s=self._limit_s)
        return wav_sound(output, self.engine)

    async def close(self) -> None:
        """Nothing stays running between texts."""


async def find_flite(search_path: str | None = None) -> Program | None:
    """Find flite on ``search_path`` (None: the PATH); None when it is not there or does not run."""
    return await _find("flite", ["--version"], r"flite-([\w.]+)", search_path)


async def find_espeak(search_path: str | None = None) -> Program | None:
    """Find espeak-ng on ``search_path`` (None: the PATH); None when it is not there or does not run."""
    return await _find("espeak-ng", ["--version"], r":\s*([\d.][\w.]*)", search_path)


def wav_sound(data: bytes, engine: str) -> Sound:
    """Read a mono 16 bit WAV file; the lengths in its head are only upper bounds, as espeak-ng writes them too early.

    Raises ``SynthesisFailed`` when it is anything else.
    """
    rate, at = 0, 12
    if data[:4] == b"RIFF" and data[8:12] == b"WAVE":
        while at + 8 <= len(data):
            kind, size = struct.unpack_from("<4sI", data, at)
            at += 8
            if kind == b"fmt " and size >= 16 and at + 16 <= len(data):
                coding, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", data, at)
                if (coding, channels, bits) != (1, 1, 16) or not 4000 <= rate <= 192000:
                    break
            elif kind == b"data" and rate:
                body = data[at : at + size]
                samples = np.frombuffer(body[: len(body) // 2 * 2], "<i2").astype(np.float32) / 32768.0
                return Sound(samples=samples, rate=rate)
            at += size + size % 2
    raise SynthesisFailed(f"{engine} gave {len(data)} bytes that are no mono 16 bit WAV file.")


async def _find(name: str, arguments: list[str], pattern: str, search_path: str | None) -> Program | None:
    path = shutil.which(name, path=search_path)
    if path is None:
        return None
    try:
        # Both print their version and end, flite with the code of a failure.
        said = await _run([path, *arguments], b"", name, limit_s=PROBE_LIMIT_S, any_code=True)
    except SynthesisFailed:
        return None
    found = re.search(pattern, said.decode("utf-8", "replace"))
    return Program(path=path, version=found.group(1) if found else "unknown")


async def _run(
    command: Sequence[str],
    text: bytes,
    engine: str,
    *,
    limit_s: float,
    pass_fds: tuple[int, ...] = (),
    any_code: bool = False,
) -> bytes:
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE if text else asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            pass_fds=pass_fds,
            # Ctrl-C on the terminal is for the node, which lets running calls finish.
            start_new_session=True,
        )
    except OSError as error:
        raise EngineUnusable(f"{engine} could not be run ({error.strerror}): is it still installed?") from error
    try:
        async with asyncio.timeout(limit_s):
            output = await _talk(process, text)
            code = await process.wait()
    except TimeoutError as error:
        raise EngineUnusable(f"{engine} took longer than {limit_s:g} s and was stopped.") from error
    finally:
        await _stop(process)
    if len(output) > _MAX_BYTES:
        raise SynthesisFailed(f"{engine} gave more than {_MAX_BYTES} bytes for one text and was stopped.")
    if code != 0 and not any_code:
        raise SynthesisFailed(f"{engine} ended with code {code}.")
    return output


async def _talk(process: asyncio.subprocess.Process, text: bytes) -> bytes:
    assert process.stdout is not None
    # A program that ended at once has closed its end already, and uvloop refuses to write to it.
    if process.stdin is not None and not process.stdin.is_closing():
        # A text is far smaller than a pipe's buffer, so writing it all first cannot block.
        process.stdin.write(text)
        process.stdin.close()
    parts = bytearray()
    while part := await process.stdout.read(65536):
        parts += part
        if len(parts) > _MAX_BYTES:
            break
    return bytes(parts)


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        # The whole session: a program that is a script leaves one of its own behind that keeps the pipe open.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    try:
        async with asyncio.timeout(STOP_LIMIT_S):
            while process.stdout is not None and await process.stdout.read(65536):
                pass
            await process.wait()
    except TimeoutError:
        log.error("A speech program was killed and does not end.", action="speech_program_stuck", pid=process.pid)
