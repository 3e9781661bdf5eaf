"""Prompts from real engines. hibari is a requirement; flite and espeak-ng are used when they are installed."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import stat
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest
import soundfile
from structlog.testing import capture_logs

from callwright.speech import (
    BUILT_IN_SELECTOR,
    NoVoice,
    Rendered,
    Speech,
    SynthesisFailed,
    TextTooLong,
    available_engines,
)
from callwright.speech.hibari_engine import HibariSynthesiser, installed_version
from callwright.speech.programs import EspeakSynthesiser, FliteSynthesiser, Program, find_espeak, find_flite
from callwright.speech.synthesiser import EngineUnusable, Sound
from callwright.speech.voices import _LANGUAGES, Voice, resolve

TEXT = "Thank you for calling. Please press one to speak to somebody."
STANDARD = "English US Female Polly Kimberly"
NOWHERE = "/nonexistent"

needs_flite = pytest.mark.skipif(shutil.which("flite") is None, reason="the program flite is not installed")
needs_espeak = pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="the program espeak-ng is not installed")


class Counting:
    """A tone per text, slow enough for requests to meet; counts what it is asked. ``stumble`` fails that many times."""

    version = "1"
    max_characters = 100

    def __init__(
        self, engine: str = "hibari", *, stumble: int = 0, error: type[SynthesisFailed] = SynthesisFailed
    ) -> None:
        self.engine = engine
        self.asked: list[str] = []
        self.closed = False
        self.go = asyncio.Event()
        self._stumble = stumble
        self._error = error

    async def speak(self, text: str, voice: Voice, rate: float) -> Sound:
        self.asked.append(text)
        await self.go.wait()
        if len(self.asked) <= self._stumble:
            raise self._error("stumbled")
        at = np.arange(int(0.1 * len(text) * 16000 / rate)) / 16000
        return Sound(samples=np.asarray(0.3 * np.sin(2 * np.pi * 440 * at), dtype=np.float32), rate=16000)

    async def close(self) -> None:
        self.closed = True


@asynccontextmanager
async def counted(folder: Path, *engines: Counting) -> AsyncIterator[Speech]:
    for engine in engines:
        engine.go.set()
    async with Speech(folder, synthesisers=engines) as speech:
        yield speech


def run(test: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(60):
            await test()

    asyncio.run(bounded(), debug=True)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - other processes and threads make it true, without an event of ours
            await asyncio.sleep(0.005)


def is_gone(pid: int) -> bool:
    """Whether a process has ended; one nobody has waited for yet (Z) has."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def assert_is_speech(rendered: Rendered, *, between_s: tuple[float, float]) -> None:
    facts = soundfile.info(rendered.path)
    assert (facts.samplerate, facts.channels, facts.subtype, facts.format) == (8000, 1, "PCM_16", "WAV")
    assert rendered.duration_s == facts.frames / 8000
    assert between_s[0] < rendered.duration_s < between_s[1]
    samples, _ = soundfile.read(rendered.path, dtype="float32")
    frames = samples[: samples.size // 160 * 160].reshape(-1, 160)
    loud = np.sqrt(np.mean(np.square(frames), axis=1)) > 0.02
    assert 0.4 < np.mean(loud) < 1.0, "speech is sound most of the time, with gaps"
    spectrum = np.abs(np.fft.rfft(samples)) ** 2
    hertz = np.fft.rfftfreq(samples.size, 1 / 8000)
    assert spectrum[(hertz > 100) & (hertz < 3400)].sum() > 0.9 * spectrum.sum()


def test_hibari_alone_speaks_what_a_wheel_only_node_is_asked(tmp_path: Path) -> None:
    async def scene() -> None:
        async with Speech(tmp_path, programs_path=NOWHERE) as speech:
            rendered = await speech.render(TEXT, selector=None, default_selector="")
            assert_is_speech(rendered, between_s=(2.5, 8))
            assert (rendered.engine, rendered.voice, rendered.neural) == ("hibari", "heart", True)
            assert rendered.engine_version == installed_version()
            standard = await speech.render(TEXT, selector=STANDARD, default_selector="")
            assert (standard.engine, standard.neural) == ("hibari", False)
            assert speech.counts.rendered == 1

    run(scene)


@needs_flite
def test_flite_speaks_the_standard_voices_of_english(tmp_path: Path) -> None:
    async def scene() -> None:
        async with Speech(tmp_path) as speech:
            rendered = await speech.render(TEXT, selector=STANDARD, default_selector="")
            assert_is_speech(rendered, between_s=(2.5, 8))
            assert (rendered.engine, rendered.voice, rendered.neural) == ("flite", "slt", False)
            man = await speech.render(TEXT, selector="English US Male Polly Matthew", default_selector="")
            assert man.voice == "rms"
            assert man.path.read_bytes() != rendered.path.read_bytes()

    run(scene)


@needs_espeak
@pytest.mark.parametrize(
    ("selector", "text"),
    [
        ("Spanish Castilian Female Polly Conchita", "Gracias por llamar. Pulse 1 para hablar con nosotros."),
        ("Russian Male Polly Maxim", "Спасибо за звонок. Нажмите один, чтобы поговорить с нами."),
        ("Chinese Mandarin Female Polly Zhiyu", "感谢您的来电。请按一与我们通话。"),
    ],
)
def test_espeak_speaks_other_languages(tmp_path: Path, selector: str, text: str) -> None:
    async def scene() -> None:
        async with Speech(tmp_path) as speech:
            rendered = await speech.render(text, selector=selector, default_selector="")
            assert_is_speech(rendered, between_s=(1.5, 12))
            assert rendered.engine == "espeak-ng"

    run(scene)


@needs_espeak
def test_espeak_has_a_voice_for_every_language_we_know() -> None:
    async def scene() -> None:
        process = await asyncio.create_subprocess_exec("espeak-ng", "--voices", stdout=asyncio.subprocess.PIPE)
        output, _ = await process.communicate()
        known = {line.split()[1] for line in output.decode().splitlines()[1:]}
        for name in _LANGUAGES:
            voice = resolve(name, "", ["espeak-ng"]).voices[0].name.partition("+")[0]
            assert voice in known, name

    run(scene)


def test_breaks_and_pace_are_heard(tmp_path: Path) -> None:
    async def scene() -> None:
        async with Speech(tmp_path, programs_path=NOWHERE) as speech:

            async def seconds(text: str) -> float:
                return (await speech.render(text, selector=None, default_selector="")).duration_s

            plain = await seconds("Thank you for calling.")
            assert await seconds('Thank you for calling.<break time="3s"/>') == pytest.approx(plain + 3, abs=0.01)
            slow = await seconds('<prosody rate="x-slow">Thank you for calling.</prosody>')
            assert 1.5 * plain < slow < 2.5 * plain

    run(scene)


def test_a_second_request_is_answered_from_the_cache_without_the_engine(tmp_path: Path) -> None:
    async def scene() -> None:
        engine = Counting()
        async with counted(tmp_path, engine) as speech:
            first = await speech.render(TEXT, selector=None, default_selector="")
            again = await speech.render(f"<speak>{TEXT}</speak>", selector=BUILT_IN_SELECTOR, default_selector="")
        assert again == first
        assert engine.asked == [TEXT]
        next_life = Counting()
        async with counted(tmp_path, next_life) as speech:
            assert await speech.render(TEXT, selector=None, default_selector="") == first
        assert next_life.asked == []

    run(scene)


def test_twenty_equal_requests_at_once_are_one_synthesis(tmp_path: Path) -> None:
    async def scene() -> None:
        engine = Counting()
        async with Speech(tmp_path, synthesisers=[engine]) as speech:
            asking = [
                asyncio.create_task(speech.render(TEXT, selector=None, default_selector=""), name=f"ask {number}")
                for number in range(20)
            ]
            await until(lambda: bool(engine.asked) and speech.counts.shared == 19)
            engine.go.set()
            rendered = await asyncio.gather(*asking)
        assert len(set(rendered)) == 1
        assert engine.asked == [TEXT]
        assert speech.counts.rendered == 1

    run(scene)


def test_a_caller_who_hangs_up_does_not_take_the_prompt_from_the_others(tmp_path: Path) -> None:
    async def scene() -> None:
        engine = Counting()
        async with Speech(tmp_path, synthesisers=[engine]) as speech:
            gone = asyncio.create_task(speech.render(TEXT, selector=None, default_selector=""), name="gone")
            stays = asyncio.create_task(speech.render(TEXT, selector=None, default_selector=""), name="stays")
            await until(lambda: bool(engine.asked) and speech.counts.shared == 1)
            gone.cancel()
            engine.go.set()
            assert (await stays).path.exists()
            with pytest.raises(asyncio.CancelledError):
                await gone
        assert engine.asked == [TEXT]

    run(scene)


def test_closing_fails_what_is_being_rendered_and_closes_the_engines(tmp_path: Path) -> None:
    async def scene() -> None:
        engine = Counting()
        speech = Speech(tmp_path, synthesisers=[engine])
        await speech.start()
        asking = asyncio.create_task(speech.render(TEXT, selector=None, default_selector=""), name="asking")
        await until(lambda: bool(engine.asked))
        await speech.close()
        with pytest.raises(SynthesisFailed, match="The node is stopping"):
            await asking
        assert engine.closed
        await speech.close()

    run(scene)


def test_a_killed_worker_is_replaced_by_the_next_request(tmp_path: Path) -> None:
    async def scene() -> None:
        engine = HibariSynthesiser("test")
        async with Speech(tmp_path, synthesisers=[engine]) as speech:
            await speech.warm_up()
            first = engine.worker_pid
            assert first is not None
            os.kill(first, signal.SIGKILL)
            rendered = await speech.render(TEXT, selector=None, default_selector="")
            assert_is_speech(rendered, between_s=(2.5, 8))
            second = engine.worker_pid
            assert second not in (None, first)
        assert engine.worker_pid is None
        with pytest.raises(ProcessLookupError):
            os.kill(second or 0, 0)

    run(scene)


def test_a_cancelled_request_leaves_no_answer_for_the_next_one(tmp_path: Path) -> None:
    async def scene() -> None:
        engine = HibariSynthesiser("test")
        voice = resolve(None, "", ["hibari"]).voices[0]
        expected = await engine.speak("Good evening.", voice, 1.0)
        long = asyncio.create_task(engine.speak("Thank you for calling, " * 15, voice, 1.0), name="long")
        await until(engine._turn.locked)
        long.cancel()
        with pytest.raises(asyncio.CancelledError):
            await long
        after = await engine.speak("Good evening.", voice, 1.0)
        np.testing.assert_array_equal(after.samples, expected.samples)
        await engine.close()

    run(scene)


def test_the_worker_ends_when_its_node_is_killed(tmp_path: Path) -> None:
    async def scene() -> None:
        script = tmp_path / "node.py"
        script.write_text(
            "import asyncio, pathlib, sys\n"
            "from callwright.speech.hibari_engine import HibariSynthesiser\n"
            "from callwright.speech.voices import resolve\n"
            "async def main():\n"
            "    engine = HibariSynthesiser('test')\n"
            "    await engine.speak('Hello.', resolve(None, '', ['hibari']).voices[0], 1.0)\n"
            "    sys.stderr.write(f'{engine.worker_pid}\\n')\n"
            "    await asyncio.sleep(60)\n"
            "asyncio.run(main())\n"
        )
        node = await asyncio.create_subprocess_exec(
            sys.executable, str(script), stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
        )
        assert node.stderr is not None
        lines: list[bytes] = []
        while not lines or not lines[-1].strip().isdigit():
            lines.append(await node.stderr.readline())
            assert lines[-1], b"".join(lines)
        worker = int(lines[-1])
        node.kill()
        await node.wait()
        await until(lambda: is_gone(worker))

    run(scene)


def test_a_text_over_the_limit_is_refused_and_reaches_no_engine(tmp_path: Path) -> None:
    async def scene() -> None:
        engine = Counting()
        async with counted(tmp_path, engine) as speech:
            with pytest.raises(TextTooLong, match="the limit is 3000"):
                await speech.render("a" * 3001, selector=None, default_selector="")
        assert engine.asked == []

    run(scene)


def test_a_text_that_makes_too_long_a_sound_is_refused(tmp_path: Path) -> None:
    async def scene() -> None:
        engine = Counting()
        async with counted(tmp_path, engine) as speech:
            # Each digit becomes a word: at a tenth of a second a letter that is more than ten minutes.
            with pytest.raises(TextTooLong, match="more than 600 s of sound"):
                await speech.render("7" * 2900, selector=None, default_selector="")
        assert list((tmp_path / "shared").iterdir()) == []

    run(scene)


def test_without_the_programs_the_next_best_engine_speaks_and_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")

    async def scene() -> None:
        async with Speech(tmp_path) as speech:
            rendered = await speech.render(TEXT, selector=STANDARD, default_selector="")
            assert (rendered.engine, rendered.neural) == ("hibari", False)
            with capture_logs() as lines:
                for _ in range(3):
                    spanish = await speech.render("Hola.", selector="Spanish Spain Male Polly X", default_selector="")
            assert spanish.engine == "hibari"
            assert [line["log_level"] for line in lines if line["action"] == "speech_warning"] == ["warning"]
            assert any("Install espeak-ng" in line["event"] for line in lines)

    run(scene)


def test_an_unusable_engine_is_stood_in_for_and_rests(tmp_path: Path) -> None:
    async def scene() -> None:
        flite, hibari = Counting("flite", stumble=1, error=EngineUnusable), Counting("hibari")
        async with counted(tmp_path, flite, hibari) as speech:
            for text in ("One.", "Two."):
                assert (await speech.render(text, selector=STANDARD, default_selector="")).engine == "hibari"
        assert (flite.asked, hibari.asked) == (["One."], ["One.", "Two."])

    run(scene)


def test_a_text_that_breaks_an_engine_does_not_change_the_voice_of_the_next(tmp_path: Path) -> None:
    async def scene() -> None:
        flite, hibari = Counting("flite", stumble=1), Counting("hibari")
        async with counted(tmp_path, flite, hibari) as speech:
            assert (await speech.render("One.", selector=STANDARD, default_selector="")).engine == "hibari"
            assert (await speech.render("Two.", selector=STANDARD, default_selector="")).engine == "flite"

    run(scene)


def test_nothing_is_started_after_closing(tmp_path: Path) -> None:
    async def scene() -> None:
        engine = HibariSynthesiser("test")
        async with Speech(tmp_path, synthesisers=[engine]) as speech:
            pass
        with pytest.raises(SynthesisFailed, match="The node is stopping"):
            await speech.render(TEXT, selector=None, default_selector="")
        with pytest.raises(SynthesisFailed, match="hibari was closed"):
            await engine.speak("Hello.", resolve(None, "", ["hibari"]).voices[0], 1.0)
        assert engine.worker_pid is None

    run(scene)


def test_a_worker_that_cannot_load_its_voice_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "hibari").mkdir()
    (tmp_path / "hibari" / "__init__.py").write_text("raise ImportError('this wheel is broken')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    async def scene() -> None:
        engine = HibariSynthesiser("test")
        with pytest.raises(
            EngineUnusable, match="hibari cannot be used on this machine: ImportError: this wheel is broken"
        ):
            await engine.speak("Hello.", resolve(None, "", ["hibari"]).voices[0], 1.0)
        assert engine.worker_pid is None

    run(scene)


def test_when_every_engine_fails_the_error_says_so_without_the_text(tmp_path: Path) -> None:
    async def scene() -> None:
        async with counted(tmp_path, Counting("flite", stumble=9), Counting("hibari", stumble=9)) as speech:
            with pytest.raises(SynthesisFailed, match="No speech engine could speak a text of 6 characters: stumbled"):
                await speech.render("secret", selector=None, default_selector="")

    run(scene)


def test_a_node_without_engines_says_what_to_install(tmp_path: Path) -> None:
    async def scene() -> None:
        async with Speech(tmp_path, synthesisers=[]) as speech:
            with pytest.raises(NoVoice, match="apt-get install flite espeak-ng"):
                await speech.render(TEXT, selector=None, default_selector="")

    run(scene)


def test_programs_that_crash_hang_or_are_removed_are_failed_syntheses(tmp_path: Path) -> None:
    def program(name: str, body: str) -> Program:
        path = tmp_path / name
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(0o755)
        return Program(path=str(path), version="1")

    voice = resolve(STANDARD, "", ["flite"]).voices[0]

    async def scene() -> None:
        for body, why in (
            ("exit 3", "ended with code 3"),
            ("exec sleep 60", r"took longer than 0\.5 s"),
            ("echo nonsense", "no mono 16 bit WAV file"),
            ("kill -9 $$", "ended with code -9"),
        ):
            engine = EspeakSynthesiser(program("broken", body), limit_s=0.5)
            with pytest.raises(SynthesisFailed, match=why):
                await engine.speak("secret", voice, 1.0)
        removed = FliteSynthesiser(Program(path=str(tmp_path / "removed"), version="1"))
        with pytest.raises(SynthesisFailed, match=r"flite could not be run .*: is it still installed\?"):
            await removed.speak("secret", voice, 1.0)

    run(scene)


@needs_flite
def test_flite_is_given_plain_letters_and_speaks_them(tmp_path: Path) -> None:
    async def scene() -> None:
        async with Speech(tmp_path) as speech:
            accented = await speech.render("The café is naïve.", selector=STANDARD, default_selector="")
            assert accented.engine == "flite"
            assert_is_speech(accented, between_s=(0.8, 4))

    run(scene)


def test_private_sounds_are_kept_apart_and_gone_after_closing(tmp_path: Path) -> None:
    async def scene() -> None:
        engine = Counting()
        async with counted(tmp_path, engine) as speech:
            with capture_logs() as lines:
                private = await speech.render("Your PIN is 4096.", selector=None, default_selector="", private=True)
                again = await speech.render("Your PIN is 4096.", selector=None, default_selector="", private=True)
            public = await speech.render("Your PIN is 4096.", selector=None, default_selector="")
            assert private == again
            assert private.path.parent.name.startswith("private-")
            assert stat.S_IMODE(private.path.parent.stat().st_mode) == 0o700
            assert public.path.parent == tmp_path / "shared"
            assert public.path.stem != private.path.stem
            said = repr(lines)
            assert "rendered" in said
            assert not any(word in said for word in ("4096", "PIN", "four zero", private.path.stem[:12]))
        assert not private.path.exists()
        assert public.path.exists()

    run(scene)


def test_no_text_reaches_the_log_whatever_goes_wrong(tmp_path: Path) -> None:
    async def scene() -> None:
        with capture_logs() as lines:
            async with counted(tmp_path, Counting("flite", stumble=1), Counting("hibari")) as speech:
                await speech.render("<b>hush <i>hush", selector=STANDARD, default_selector="")
                await speech.render("<unknown>hush hush</unknown>", selector="Klingon", default_selector=STANDARD)
        assert len(lines) > 3
        assert "hush" not in repr(lines)

    run(scene)


def test_a_text_without_words_is_a_moment_of_silence(tmp_path: Path) -> None:
    async def scene() -> None:
        async with counted(tmp_path, Counting()) as speech:
            rendered = await speech.render("<speak/>", selector=None, default_selector="")
        assert rendered.duration_s == 0.02

    run(scene)


def test_doctor_is_told_what_is_there_and_what_is_missing() -> None:
    async def scene() -> None:
        missing = {report.engine: report for report in await available_engines(NOWHERE)}
        assert missing["hibari"].version == installed_version()
        assert [report.installed for report in missing.values()] == [True, False, False]
        assert missing["flite"].how_to_install == "apt-get install flite"
        for name, find in (("flite", find_flite), ("espeak-ng", find_espeak)):
            program = await find()
            assert (program is not None) == (shutil.which(name) is not None)
            assert program is None or program.version[0].isdigit()

    run(scene)
