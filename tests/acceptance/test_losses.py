"""A part of a node dies in the middle of a call: what is lost is that call, told truly, and nothing else."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import soundfile
from tests.support.audio import RATE, find_tone
from tests.support.node_and_phones import Place, node_and_phones
from tests.support.node_processes import wait_until

from callwright.sandbox.observation import EndedBy
from callwright.sandbox.observations import read_observations

ANSWERS, HUMS = "tel:999005558101", "tel:999005558102"
HUM_HZ = 600
PERSONAS = f"""
personas:
  - {{number: "8101", name: answers, answer_after: 0.2}}
  - number: "8102"
    name: hums
    answer_after: 0.2
    script:
      - tone: {{frequencies: [{HUM_HZ}], ms: 30000}}
"""


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with node_and_phones(tmp_path, PERSONAS) as opened:
        yield opened


def test_a_media_worker_that_dies_ends_its_call_and_the_next_call_has_a_new_one(place: Place) -> None:
    place.web.page("/first", {"sleep": {"seconds": 60}})
    service = place.node.add_service("calls", first_page=f"{place.web.url}/first", final_page=f"{place.web.url}/final")
    reference = place.node.start(service, ANSWERS)
    wait_until(lambda: "/first" in place.web.paths(), what="the call to be up")
    [worker] = [pid for pid, command in place.marked.alive().items() if "callwright.media_worker" in command]
    os.kill(worker, signal.SIGKILL)

    over = place.node.wait_over(reference, within_s=10)
    [cdr] = place.node.records(over)["cdrs"].values()
    assert cdr["hangup_cause"] == "ERROR(500)"
    wait_until(lambda: read_observations(place.phones), what="the far end's end")
    [seen] = read_observations(place.phones)
    assert seen.ended_by is EndedBy.CALLER
    assert place.web.paths() == ["/first", "/final"]

    place.web.page("/next", {"hang_up": {}})
    again = place.node.add_service("again", first_page=f"{place.web.url}/next")
    assert place.node.wait_over(place.node.start(again, ANSWERS)).status == "completed 0"


def test_a_recording_under_way_when_the_node_is_killed_is_a_whole_file(place: Place) -> None:
    record = {"record": {"next_page": {"url": f"{place.web.url}/next"}, "seconds_max_duration": 60}}
    place.web.page("/first", record)
    service = place.node.add_service("calls", first_page=f"{place.web.url}/first")
    reference = place.node.start(service, HUMS)
    media = place.node.data / "media"

    def two_seconds_on_disk() -> Path | None:
        return next((path for path in media.rglob("*.wav") if path.stat().st_size > 2 * RATE), None)

    recording = wait_until(two_seconds_on_disk, what="two seconds of recording")
    place.node.kill()
    place.marked.expect_none()
    samples, rate = soundfile.read(recording, dtype="int16")
    assert rate == RATE
    found = find_tone(samples, HUM_HZ)
    assert found is not None
    assert found.ms >= 1900

    place.node.begin()
    assert place.node.wait_over(reference).status == "completed -90"
    wait_until(lambda: read_observations(place.phones), what="the far end's end")
    [seen] = read_observations(place.phones)
    assert seen.ended_by is EndedBy.CALLER
