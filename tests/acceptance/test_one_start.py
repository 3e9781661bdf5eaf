"""One start over real HTTP becomes one real call: its records and pages against the facts as the far end saw them.

All calls of this file are placed at once on one node; each test reads what became of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import soundfile
from tests.support.audio import RATE, find_tone, level, sine
from tests.support.node import CALLER, Node, Over, running_node
from tests.support.node_outside import LoopThread, web_application
from tests.support.node_processes import marked_processes, wait_until

from callwright.sandbox.observation import EndedBy, Observation
from callwright.sandbox.observations import read_heard, read_observations, read_rings
from callwright.testing.web_application import Asked, WebApplication, say

NEAR_S = 0.05
RING_TIMEOUT_S = 1.5
TONE_HZ, TONE_MS = 1000, 1200
SPOKEN_HZ, SPOKEN_MS = 700, 1500
KEYS = "159#0*"

PERSONAS = f"""
personas:
  - number: "7001"
    name: plays a tone and says which keys it heard
    ring_after: 0.2
    answer_after: 0.6
    script:
      - listen: {{for: beep, timeout: 10}}
      - tone: {{frequencies: [{SPOKEN_HZ}], ms: {SPOKEN_MS}}}
"""

_PLAY_TONE = {"play": {"play_list": [{"file_to_play": "tone.wav"}]}}
_PRESS_KEYS = {"play": {"play_list": [{"digits_to_play": KEYS}]}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """One call that is over: what we say of it, and what its far end and its web application saw."""

    over: Over
    adr: dict[str, Any]
    cdr: dict[str, Any]
    errs: dict[str, Any]
    seen: Observation
    rings: int
    heard: Any
    asked: list[Asked]
    data: Path

    @property
    def pages(self) -> list[str]:
        """The last parts of the URLs asked, in order."""
        return [one.path.rsplit("/", 1)[1] for one in self.asked]

    def info(self, page: str) -> dict[str, Any]:
        """What a page was asked with, the first time."""
        found = next(one.info for one in self.asked if one.path.endswith(f"/{page}"))
        assert found is not None
        return found

    def recording(self) -> Any:
        """The samples of the recording that the page after it was told of."""
        name = self.info("recorded")["action_result"]["result"]["filename"]
        samples, rate = soundfile.read(self.data / "media" / "1" / name.lstrip("/"), dtype="int16")
        assert rate == RATE
        return samples


NUMBERS = {
    "conversation": "tel:999005550001",
    "busy": "tel:999005550002",
    "declined": "tel:999005550003",
    "unanswered": "tel:999005550004",
    "unknown": "tel:999005550005",
    "fault": "tel:999005550006",
    "silent": "tel:999005550009",
    "hung_up": "tel:999005550010",
    "keys": "tel:999005550012",
    "digest": "tel:999005550013",
    "forked": "tel:999005550015",
    "crossed": "tel:999005550016",
    "tone": "tel:999005557001",
}

HANGUP_CAUSES = {
    "busy": "BUSY(486)",
    "declined": "REJECTED(603)",
    "unanswered": "NOANSWER(487)",
    "unknown": "UNOBTAINABLE(404)",
    "fault": "NOCHANNELS(503)",
    "crossed": "NOANSWER(487)",
}
FINAL_CAUSES = {
    "busy": ("busy", "486"),
    "declined": ("failed", "603"),
    "unanswered": ("no_answer", "487"),
    "unknown": ("unobtainable", "404"),
    "fault": ("failed", "503"),
    "crossed": ("no_answer", "487"),
    "hung_up": ("hung_up", "200"),
}
NEVER_UP = frozenset(HANGUP_CAUSES)


def _write_pages(web: WebApplication, name: str) -> None:
    """Give a service the pages of its call; what has no page of its own hangs up at once."""
    base = f"{web.url}/{name}"
    record = {"record": {"next_page": {"url": f"{base}/recorded"}, "milliseconds_max_silence": 1000}}
    record["record"] |= {"beep_on_start": True, "seconds_max_duration": 12}
    match name:
        case "conversation":
            options = [{"digit": "1", "next_page": {"url": f"{base}/pressed"}}]
            web.page(f"/{name}/first", {"run_menu": {"prompt": say("Press one."), "menu_options": options}}, token="t2")
            web.page(f"/{name}/pressed", say("Speak."), record)
            web.page(f"/{name}/recorded", say("Goodbye."))
        case "silent":
            web.page(f"/{name}/first", _PLAY_TONE)
        case "keys":
            web.page(f"/{name}/first", _PRESS_KEYS, {"sleep": {"seconds": 1}})
        case "tone":
            web.page(f"/{name}/first", record)
            web.page(f"/{name}/recorded")
        case "hung_up":
            web.page(f"/{name}/first", {"sleep": {"seconds": 30}})
        case _:
            web.page(f"/{name}/first", {"sleep": {"seconds": 1}})
    web.page(f"/{name}/final")


@pytest.fixture(scope="module")
def placed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Placed]]:
    folder = tmp_path_factory.mktemp("one_start")
    personas, data = folder / "personas.yaml", folder / "data"
    personas.write_text(PERSONAS, encoding="utf-8")
    media = data / "media" / "1"
    media.mkdir(parents=True)
    soundfile.write(media / "tone.wav", sine(TONE_HZ, TONE_MS), RATE, subtype="PCM_16")
    with (
        marked_processes() as marked,
        LoopThread() as outside,
        web_application(outside) as web,
        running_node(data, marked, "--sandbox", "--personas", str(personas)) as node,
    ):
        calls = {name: _place(node, web, name, number) for name, number in NUMBERS.items()}
        over = node.wait_all_over(list(calls.values()))
        # An instance is over a moment before its far end has written what it saw.
        wait_until(lambda: len(read_observations(data / "sandbox")) >= len(NUMBERS), what="all observations")
        yield {name: _read(node, web, over[reference], name) for name, reference in calls.items()}


def _place(node: Node, web: WebApplication, name: str, number: str) -> str:
    _write_pages(web, name)
    base = f"{web.url}/{name}"
    service = node.add_service(
        name,
        first_page=f"{base}/first",
        final_page=f"{base}/final",
        error_page=f"{base}/error",
        ring_timeout_s=RING_TIMEOUT_S if name in ("unanswered", "crossed") else 30,
        application_parameters="of the service",
    )
    header = {"name": "X-Call", "value": name}
    return node.start(service, number, token="t1", outbound_parameters="of the start", extra_sip_headers=[header])


def _read(node: Node, web: WebApplication, over: Over, name: str) -> Placed:
    records = node.records(over)
    [cdr] = records["cdrs"].values()
    folder = node.data / "sandbox"
    dialled = NUMBERS[name].removeprefix("tel:")
    [seen] = read_observations(folder, dialled=dialled)
    return Placed(
        over=over,
        adr=records["adr"],
        cdr=cdr,
        errs=records["errs"],
        seen=seen,
        rings=sum(ring.dialled == dialled for ring in read_rings(folder)),
        heard=read_heard(folder, seen),
        asked=[one for one in web.asked if one.path.startswith(f"/{name}/")],
        data=node.data,
    )


# --- what every call has


@pytest.mark.parametrize("name", NUMBERS)
def test_a_start_rings_its_far_end_once_and_is_completed(placed: dict[str, Placed], name: str) -> None:
    call = placed[name]
    assert call.over.status == "completed 0"
    assert call.rings == 1
    assert call.errs == {}
    assert ("x-call", name) in [(header.lower(), value) for header, value in call.seen.headers]


@pytest.mark.parametrize("name", NUMBERS)
def test_the_records_have_the_instants_and_the_cause_that_the_far_end_saw(placed: dict[str, Placed], name: str) -> None:
    call, seen = placed[name], placed[name].seen
    assert call.cdr["hangup_cause"] == HANGUP_CAUSES.get(name, "NORMAL(200)")
    assert call.cdr["call_initiated_time"] == pytest.approx(seen.invited_at, abs=NEAR_S)
    assert call.cdr["call_hangup_time"] == pytest.approx(seen.ended_at, abs=NEAR_S)
    if name in NEVER_UP:
        assert call.cdr["call_connected_time"] == 0.0
        assert call.cdr["duration"] == 0.0
    else:
        assert seen.answered_at is not None
        assert seen.ended_at is not None
        assert call.cdr["call_connected_time"] == pytest.approx(seen.answered_at, abs=NEAR_S)
        # Durations are cut to hundredths of a second.
        assert call.cdr["duration"] == pytest.approx(seen.ended_at - seen.answered_at, abs=NEAR_S + 0.01)


@pytest.mark.parametrize("name", NUMBERS)
def test_the_application_record_is_about_the_start_and_spans_its_call(placed: dict[str, Placed], name: str) -> None:
    adr, cdr = placed[name].adr, placed[name].cdr
    expected = {
        "application_name": name,
        "application_parameters": "of the service",
        "outbound_parameters": "of the start",
        "rest_to": NUMBERS[name],
        "rest_from": CALLER,
        "rest_initial_token": "t1",
        "exit_status": 0,
        "costs_valid": "true",
    }
    assert {key: adr[key] for key in expected} == expected
    assert adr["start_time"] <= cdr["call_initiated_time"] <= cdr["call_hangup_time"] <= adr["stop_time"]
    began = datetime.fromtimestamp(adr["start_time"], UTC)
    assert adr["start_datetime"] == began.strftime("%Y-%m-%d_%H:%M:%S")


@pytest.mark.parametrize("name", NUMBERS)
def test_the_final_page_is_asked_once_and_last_with_the_cause_of_the_call(placed: dict[str, Placed], name: str) -> None:
    call = placed[name]
    assert call.pages.count("final") == 1
    assert call.pages[-1] == "final"
    assert "error" not in call.pages
    told = call.info("final")["this_call"]
    assert (told["call_cause"], told["call_raw_cause"]) == FINAL_CAUSES.get(name, ("completed", "200"))
    assert told["call_state"] == "idle"
    assert told["seconds_call_duration"] == pytest.approx(call.cdr["duration"], abs=0.1)


@pytest.mark.parametrize("name", sorted(NEVER_UP))
def test_a_call_that_is_not_answered_asks_the_final_page_only(placed: dict[str, Placed], name: str) -> None:
    assert placed[name].pages == ["final"]


# --- how calls end


def test_a_call_nobody_answers_is_cancelled_when_its_service_stops_ringing(placed: dict[str, Placed]) -> None:
    seen = placed["unanswered"].seen
    assert seen.ended_by is EndedBy.CANCELLED
    assert _received(seen).count("CANCEL") == 1
    assert seen.ended_at is not None
    assert seen.ended_at - seen.invited_at >= RING_TIMEOUT_S - NEAR_S


def test_an_answer_that_crosses_the_cancel_is_acknowledged_and_hung_up(placed: dict[str, Placed]) -> None:
    seen = placed["crossed"].seen
    assert seen.final_code == 200
    assert seen.acked_at is not None
    assert seen.ended_by is EndedBy.CALLER


def test_the_second_answer_of_a_forked_call_is_hung_up_and_the_first_goes_on(placed: dict[str, Placed]) -> None:
    call = placed["forked"]
    assert _received(call.seen).count("ACK") >= 2
    assert _received(call.seen).count("BYE") == 2
    assert call.cdr["duration"] >= 1.0


def test_a_hang_up_by_the_far_end_ends_the_running_action_at_once(placed: dict[str, Placed]) -> None:
    call = placed["hung_up"]
    assert call.seen.ended_by is EndedBy.PERSONA
    assert call.pages == ["first", "final"]


def test_a_hang_up_by_the_application_reaches_the_far_end_as_one_bye(placed: dict[str, Placed]) -> None:
    seen = placed["silent"].seen
    assert seen.ended_by is EndedBy.CALLER
    assert _received(seen).count("BYE") == 1


def test_a_far_end_that_asks_for_a_password_gets_it_in_the_same_call(placed: dict[str, Placed]) -> None:
    seen = placed["digest"].seen
    assert next(one.message for one in seen.messages if one.direction == "sent") == "401 Unauthorized"
    assert any(name.lower() == "authorization" for name, _ in seen.headers)
    assert seen.final_code == 200


# --- keys and sound


def test_every_key_that_is_played_is_heard_by_the_far_end_in_order(placed: dict[str, Placed]) -> None:
    assert placed["keys"].seen.keys == KEYS


def test_the_key_the_far_end_presses_reaches_the_page_its_menu_names(placed: dict[str, Placed]) -> None:
    call = placed["conversation"]
    assert call.seen.keys_sent == "1"
    assert call.pages == ["first", "pressed", "recorded", "final"]
    assert call.info("pressed")["action_result"] == {"action": "run_menu", "result": {"digit": "1"}}
    assert [one.info["token"] for one in call.asked if one.info] == ["t1", "t2", "t2", "t2"]


def test_a_known_tone_from_a_media_file_is_what_the_far_end_hears(placed: dict[str, Placed]) -> None:
    call = placed["silent"]
    found = find_tone(call.heard, TONE_HZ)
    assert found is not None
    assert found.ms == pytest.approx(TONE_MS, abs=40)
    assert found.level == pytest.approx(-10.0, abs=1.0)


def test_the_tone_of_the_far_end_is_in_the_recording_whole(placed: dict[str, Placed]) -> None:
    call = placed["tone"]
    found = find_tone(call.recording(), SPOKEN_HZ)
    assert found is not None
    assert found.ms == pytest.approx(SPOKEN_MS, abs=40)
    result = call.info("recorded")["action_result"]["result"]
    assert result["contains_sound"] is True
    assert result["seconds_duration"] == pytest.approx(len(call.recording()) / RATE, abs=0.1)


def test_the_message_the_far_end_speaks_is_in_the_recording(placed: dict[str, Placed]) -> None:
    call = placed["conversation"]
    message = next(sounded for sounded in reversed(call.seen.sounded) if sounded.what == "say")
    assert message.is_speech
    recording = call.recording()
    loud = [level(recording[at : at + RATE // 2]) > -35.0 for at in range(0, len(recording), RATE // 2)]
    assert sum(loud) >= 4, "at least two seconds of speech"


def test_a_prompt_is_heard_by_the_far_end_as_speech_and_its_seconds_are_counted(placed: dict[str, Placed]) -> None:
    call = placed["conversation"]
    loud = [level(call.heard[at : at + 400]) > -35.0 for at in range(0, len(call.heard), 400)]
    spoken_s = sum(loud) * 0.05
    counted_s = call.adr["tts_seconds"] + call.adr["tts_neural_seconds"]
    assert spoken_s >= 1.0
    assert counted_s >= spoken_s - 0.6, "the beep of the recording is the only other loud sound"


@pytest.mark.parametrize("name", ["silent", "keys", "tone", "digest"])
def test_packets_flow_both_ways_for_the_whole_call_and_none_is_lost(placed: dict[str, Placed], name: str) -> None:
    call = placed[name]
    expected = call.cdr["duration"] / 0.02
    assert call.seen.rtp.lost == 0
    assert call.seen.rtp.duplicates == 0
    # Each key press adds end packets that are sent three times (RFC 4733 section 2.5.1.4).
    assert expected * 0.9 - 5 <= call.seen.rtp.received <= expected * 1.1 + 5 + 3 * len(call.seen.keys)


def _received(seen: Observation) -> list[str]:
    return [one.message for one in seen.messages if one.direction == "received"]
