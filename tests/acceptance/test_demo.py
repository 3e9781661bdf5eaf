"""``callwright demo`` as a newcomer runs it: to its end, and interrupted in the middle."""

from __future__ import annotations

import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import soundfile
from tests.support.audio import RATE, level
from tests.support.node import command, json_after
from tests.support.node_processes import MarkedProcesses, marked_processes, wait_until

from callwright.sandbox.observation import EndedBy
from callwright.sandbox.observations import read_observations

DEMO_S = 90.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A demo that is over: its exit code, what it printed, and the folder it worked in."""

    code: int
    out: str
    err: str
    folder: Path

    @property
    def stages(self) -> list[tuple[float, str, str]]:
        """The events: seconds since the start, who, what."""
        return [
            (float(found[1]), found[2], found[3])
            for found in re.finditer(r"^ *(\d+\.\d{3}) s  (\w+) +(.*)$", self.out, re.MULTILINE)
        ]


@contextmanager
def running_demo(folder: Path, marked: MarkedProcesses) -> Iterator[subprocess.Popen[str]]:
    """Run the demo with its temporary folder below ``folder``; its output goes to two files there."""
    environment = marked.environment | {"TMPDIR": str(folder), "PYTHONUNBUFFERED": "1"}
    with (folder / "out").open("w") as out, (folder / "err").open("w") as err:
        process = subprocess.Popen(
            command("demo"), stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=environment, text=True
        )
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()


def data_folder(folder: Path) -> Path:
    [found] = folder.glob("callwright-demo-*")
    return found


def records_of(records: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    [cdr] = records["cdrs"].values()
    return records["adr"], cdr


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shown]:
    folder = tmp_path_factory.mktemp("demo")
    with marked_processes() as marked, running_demo(folder, marked) as process:
        code = process.wait(DEMO_S)
        # Nothing may outlive the command by even a moment: it promises so.
        marked.expect_none(within_s=0.5)
        yield Shown(
            code=code,
            out=(folder / "out").read_text(encoding="utf-8"),
            err=(folder / "err").read_text(encoding="utf-8"),
            folder=data_folder(folder),
        )


def test_the_demo_succeeds_without_a_complaint(shown: Shown) -> None:
    assert (shown.code, shown.err) == (0, "")


def test_the_stages_of_the_call_are_shown_in_order_with_their_times(shown: Shown) -> None:
    whats = [f"{who} {what}" for _, who, what in shown.stages]
    expected = (
        "queue queued",
        "start taken from the queue",
        "start stamped",
        "sip INVITE",
        "sip 180",
        "sip 200",
        "page page: POST",
        "prompt text 'Hello",
        "prompt text 'To leave a message",
        "key key  1",
        "prompt text 'Please speak",
        "record /rest_api/recordings/",
        "prompt text 'Thank you",
        "sip BYE",
        "page final page: POST",
        "start finished, return code 0",
    )
    found = [next((at for at, what in enumerate(whats) if what.startswith(begin)), None) for begin in expected]
    assert None not in found, dict(zip(expected, found, strict=True))
    assert found == sorted(at for at in found if at is not None)
    times = [at for at, _, _ in shown.stages]
    assert times == sorted(times)


def test_the_printed_answers_are_those_of_a_completed_call(shown: Shown) -> None:
    [reference] = json_after(shown.out, "answer:")
    status = json_after(shown.out, "service_status, as a client receives it:")
    records = json_after(shown.out, "application_status, as a client receives it:")
    adr, cdr = records_of(records)
    assert status[reference]["status"] == "completed 0"
    assert status[reference]["application_instance_id"] == adr["application_instance_id"]
    assert adr["rest_initial_token"] == "demo"
    assert cdr["hangup_cause"] == "NORMAL(200)"
    assert cdr["destination_address"] == "tel:999005550001"
    assert adr["tts_seconds"] + adr["tts_neural_seconds"] > 5
    assert records["errs"] == {}


def test_the_recording_it_names_is_a_playable_file_of_what_the_far_end_said(shown: Shown) -> None:
    [path] = re.findall(r"^what the telephone said, recorded: +(.*)$", shown.out, re.MULTILINE)
    samples, rate = soundfile.read(path, dtype="int16")
    assert rate == RATE
    [seen] = read_observations(shown.folder / "sandbox")
    message = seen.sounded[-1]
    assert message.is_speech
    assert sum(level(samples[at : at + RATE // 2]) > -35.0 for at in range(0, len(samples), RATE // 2)) >= 6
    [seconds] = re.findall(r"Thank you\..* (\d+) seconds", shown.out)
    assert len(samples) / RATE == pytest.approx(float(seconds), abs=0.6)


def test_the_telephone_heard_the_prompts_and_was_hung_up_once(shown: Shown) -> None:
    [seen] = read_observations(shown.folder / "sandbox")
    [path] = re.findall(r"^what the telephone heard: +(.*)$", shown.out, re.MULTILINE)
    samples, _ = soundfile.read(path, dtype="int16")
    assert sum(level(samples[at : at + RATE // 2]) > -35.0 for at in range(0, len(samples), RATE // 2)) >= 10
    assert seen.ended_by is EndedBy.CALLER
    assert [one.message for one in seen.messages if one.direction == "received"].count("BYE") == 1
    _, cdr = records_of(json_after(shown.out, "application_status, as a client receives it:"))
    assert len(samples) / RATE == pytest.approx(cdr["duration"], abs=0.5)


@pytest.mark.parametrize("moment", ["while it rings", "while it speaks"])
def test_an_interrupted_demo_says_so_hangs_up_and_leaves_no_process(moment: str, tmp_path: Path) -> None:
    awaited = {"while it rings": "180 Ringing", "while it speaks": "prompt   text"}[moment]
    with marked_processes() as marked, running_demo(tmp_path, marked) as process:
        wait_until(lambda: awaited in (tmp_path / "out").read_text(encoding="utf-8"), within_s=60, what=awaited)
        process.send_signal(signal.SIGINT)
        code = process.wait(30)
        marked.expect_none(within_s=0.5)
    assert code == 130
    assert "interrupted" in (tmp_path / "err").read_text(encoding="utf-8")
    assert "Traceback" not in (tmp_path / "err").read_text(encoding="utf-8")
    [seen] = read_observations(data_folder(tmp_path) / "sandbox")
    expected = {"while it rings": (EndedBy.CANCELLED, 487), "while it speaks": (EndedBy.CALLER, 200)}[moment]
    assert (seen.ended_by, seen.final_code) == expected
