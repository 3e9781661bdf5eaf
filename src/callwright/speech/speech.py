"""Text-to-speech for the rest of the platform: a text and a voice in, the path of a prompt out.

See docs/reference/speech.md.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import structlog

from callwright.speech import sound
from callwright.speech.cache import CachedSound, SoundCache
from callwright.speech.engines import find_synthesisers
from callwright.speech.script import Script, Utterance, pieces, write_script
from callwright.speech.ssml import Pause
from callwright.speech.synthesiser import (
    MAX_SOUND_S,
    EngineUnusable,
    Samples,
    Synthesiser,
    SynthesisFailed,
    TextTooLong,
)
from callwright.speech.voices import Choice, Voice, resolve

log = structlog.get_logger()

DEFAULT_CACHE_BYTES = 500_000_000
PRIVATE_TTL_S = 600.0

_REST_AFTER_FAILURE_S = 30.0
_SWEEP_S = 60.0
_MOST_WARNINGS_REMEMBERED = 1000
_STOPPING = "The node is stopping: nothing more is spoken."


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """A prompt as an 8 kHz mono 16 bit WAV file. ``duration_s`` is what is billed, in the class ``neural`` says, which
    is the configured voice's; ``engine``, ``engine_version`` and ``voice`` name who really spoke. ``warnings`` are
    sentences about the text and the voice that quote nothing of the text.
    """

    path: Path
    duration_s: float
    engine: str
    engine_version: str
    voice: str
    neural: bool
    warnings: tuple[str, ...] = ()


@dataclass(slots=True, kw_only=True)
class SpeechCounts:
    """What was done since the start: prompts asked for, found in the cache, shared with another request, rendered."""

    asked: int = 0
    found: int = 0
    shared: int = 0
    rendered: int = 0


class Speech:
    """Renders prompts. Use it as ``async with Speech(folder) as speech``, or call ``start`` and ``close``.

    ``synthesisers`` replaces the engines found on this machine; ``programs_path`` the PATH they are looked for on.
    """

    def __init__(
        self,
        cache_folder: Path,
        *,
        cache_limit_bytes: int = DEFAULT_CACHE_BYTES,
        private_ttl_s: float = PRIVATE_TTL_S,
        synthesisers: Sequence[Synthesiser] | None = None,
        programs_path: str | None = None,
    ) -> None:
        self.counts = SpeechCounts()
        self._cache = SoundCache(folder=cache_folder, limit_bytes=cache_limit_bytes, private_ttl_s=private_ttl_s)
        self._given = synthesisers
        self._programs_path = programs_path
        self._engines: Mapping[str, Synthesiser] = {}
        self._resting: dict[str, float] = {}
        self._running: dict[str, asyncio.Task[CachedSound]] = {}
        self._warned: set[str] = set()
        self._sweeper: asyncio.Task[None] | None = None
        self._closed = False

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def start(self) -> None:
        """Open the cache and find the engines; starts none of them. Raises ``CacheUnusable``."""
        await asyncio.to_thread(self._cache.open)
        found = self._given if self._given is not None else await find_synthesisers(self._programs_path)
        self._engines = {synthesiser.engine: synthesiser for synthesiser in found}
        self._sweeper = asyncio.create_task(self._sweep(), name="expire private prompts")
        versions = {name: engine.version for name, engine in self._engines.items()}
        log.info("Text-to-speech is ready.", action="speech_ready", engines=versions)

    async def close(self) -> None:
        """Stop what is being rendered, end the engines' processes and remove private prompts; harmless twice."""
        self._closed = True
        tasks = [*self._running.values(), *([self._sweeper] if self._sweeper else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._sweeper = None
        for synthesiser in self._engines.values():
            await synthesiser.close()
        await asyncio.to_thread(self._cache.close)

    async def warm_up(self, default_selector: str = "") -> None:
        """Start the engine of a voice ahead of its first text, which then need not wait a second for the model."""
        voice = self._in_turn(resolve(None, default_selector, self._engines))[0]
        try:
            await self._engines[voice.engine].speak("Ready.", voice, 1.0)
        except SynthesisFailed as problem:
            log.warning(
                "A speech engine did not start.", action="speech_engine_failed", engine=voice.engine, why=str(problem)
            )

    async def render(
        self, text: str, *, selector: str | None, default_selector: str, private: bool = False
    ) -> Rendered:
        """Return a text as sound, from the cache or newly rendered.

        ``selector`` is the voice the page asks for, None when it asks for none; ``default_selector`` the service's, ""
        for the built-in one. ``private`` sounds are kept apart and forgotten soon: ask again for each use.

        Raises ``TextTooLong`` (the page's fault), ``NoVoice``, ``SynthesisFailed`` or ``CacheUnusable`` (ours). None of
        them quotes the text.
        """
        self.counts.asked += 1
        choice = resolve(selector, default_selector, self._engines)
        script = await asyncio.to_thread(
            write_script, text, language=choice.selector.language, region=choice.selector.region
        )
        for warning in (*choice.warnings, *script.warnings):
            self._warn_once(warning)
        failure: SynthesisFailed | None = None
        for voice in self._in_turn(choice):
            synthesiser = self._engines[voice.engine]
            try:
                cached = await self._sound(synthesiser, voice, script, private=private)
            except SynthesisFailed as problem:
                if self._closed:
                    raise
                if isinstance(problem, EngineUnusable):
                    self._resting[voice.engine] = asyncio.get_running_loop().time() + _REST_AFTER_FAILURE_S
                log.warning(
                    "A speech engine failed; the next best one speaks, if there is one.",
                    action="speech_engine_failed",
                    engine=voice.engine,
                    why=str(problem),
                    characters=len(text),
                )
                failure = problem
                continue
            return Rendered(
                path=cached.path,
                duration_s=cached.duration_s,
                engine=voice.engine,
                engine_version=synthesiser.version,
                voice=voice.name,
                neural=choice.neural,
                warnings=(*choice.warnings, *script.warnings),
            )
        raise SynthesisFailed(f"No speech engine could speak a text of {len(text)} characters: {failure}") from failure

    def _in_turn(self, choice: Choice) -> list[Voice]:
        """The best voice of each engine, best first; engines that failed a moment ago come last."""
        best: dict[str, Voice] = {}
        for voice in choice.voices:
            best.setdefault(voice.engine, voice)
        now = asyncio.get_running_loop().time()
        return sorted(best.values(), key=lambda voice: self._resting.get(voice.engine, 0.0) > now)

    async def _sound(self, synthesiser: Synthesiser, voice: Voice, script: Script, *, private: bool) -> CachedSound:
        name = await asyncio.to_thread(self._cache.name, voice, synthesiser.version, script, private=private)
        if self._closed:
            raise SynthesisFailed(_STOPPING)
        task = self._running.get(name)
        if task is None:
            task = asyncio.create_task(
                self._find_or_make(name, synthesiser, voice, script, private=private), name="render a prompt"
            )
            self._running[name] = task
            task.add_done_callback(lambda done: self._finished(name, done))
        else:
            self.counts.shared += 1
        try:
            # A caller that hangs up takes its wait away, not the prompt others wait for.
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if task.cancelled() and not _cancelling():
                raise SynthesisFailed(_STOPPING) from None
            raise

    def _finished(self, name: str, task: asyncio.Task[CachedSound]) -> None:
        self._running.pop(name, None)
        if not task.cancelled() and task.exception() is not None:
            log.debug("A prompt was not rendered.", action="speech_not_rendered", why=str(task.exception()))

    async def _find_or_make(
        self, name: str, synthesiser: Synthesiser, voice: Voice, script: Script, *, private: bool
    ) -> CachedSound:
        found = await asyncio.to_thread(self._cache.find, name, private=private)
        if found:
            self.counts.found += 1
            return found
        parts: list[Samples] = []
        seconds = 0.0
        for part in script.parts:
            samples = await self._part(synthesiser, voice, part)
            parts.append(samples)
            seconds += samples.size / sound.RATE
            if seconds > MAX_SOUND_S:
                raise TextTooLong(f"The text makes more than {MAX_SOUND_S:.0f} s of sound, the limit of a prompt.")
        self.counts.rendered += 1
        made = await asyncio.to_thread(lambda: self._cache.put(name, sound.wav_file(parts), private=private))
        log.debug(
            "A prompt was rendered.",
            action="speech_rendered",
            engine=voice.engine,
            voice=voice.name,
            sound="private" if private else name[:16],
            characters=sum(len(part.text) for part in script.parts if isinstance(part, Utterance)),
            seconds=round(made.duration_s, 2),
        )
        return made

    @staticmethod
    async def _part(synthesiser: Synthesiser, voice: Voice, part: Utterance | Pause) -> Samples:
        if isinstance(part, Pause):
            return sound.silence(part.seconds)
        spoken = []
        seconds = 0.0
        for piece in pieces(part.text, synthesiser.max_characters):
            spoken.append(await synthesiser.speak(piece, voice, part.rate))
            seconds += spoken[-1].samples.size / spoken[-1].rate
            if seconds > MAX_SOUND_S:
                raise TextTooLong(f"The text makes more than {MAX_SOUND_S:.0f} s of sound, the limit of a prompt.")
        return await asyncio.to_thread(lambda: sound.louder(sound.trimmed(sound.to_telephone(spoken)), part.gain_db))

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(_SWEEP_S)
            await asyncio.to_thread(self._cache.expire_private)

    def _warn_once(self, warning: str) -> None:
        if warning in self._warned:
            return
        if len(self._warned) >= _MOST_WARNINGS_REMEMBERED:
            self._warned.clear()
        self._warned.add(warning)
        log.warning(warning, action="speech_warning")


def _cancelling() -> bool:
    current = asyncio.current_task()
    return current is not None and current.cancelling() > 0
