"""What a watcher is shown of each event, and how watching ends."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from callwright.cli.node_link import NodeLink, NodeRefused
from callwright.cli.watching import describe, line_printer, watch
from callwright.outbound.events import Step

OVER = {"event": "Over", "status": "completed 0", "application_status_eta": 7, "application_instance_id": "i.1"}


class ToldLink(NodeLink):
    """A link whose node tells a fixed story."""

    def __init__(self, *events: dict[str, Any]) -> None:
        super().__init__(Path("admin.sock"))
        self._events = events

    def lines(self, path: str, query: Mapping[str, str]) -> Iterator[dict[str, Any]]:
        assert (path, query) == ("/watch", {"reference": "r"})
        yield from (dict(event) for event in self._events)


def shown_of(*events: dict[str, Any]) -> tuple[list[tuple[float, str, str]], dict[str, Any]]:
    shown: list[tuple[float, str, str]] = []
    over = watch(ToldLink(*events), "r", show=lambda at, who, what: shown.append((at, who, what)))
    return shown, over


@pytest.mark.parametrize("step", Step)
def test_every_step_of_a_start_has_words(step: Step) -> None:
    told = describe("StartEvent", {"step": step.value, "detail": "the detail"})
    assert told is not None
    assert told[0] == "start"
    assert "{" not in told[1]


def test_a_refused_start_shows_the_reason() -> None:
    assert describe("StartEvent", {"step": "refused", "detail": "No route"}) == ("start", "could not run: No route")


def test_keys_and_signalling_are_told_apart() -> None:
    assert describe("CallProgress", {"what": "key", "detail": "1 (100 ms)"}) == ("key", "key  1 (100 ms)")
    assert describe("CallProgress", {"what": "BYE", "detail": ""}) == ("sip", "BYE")


def test_what_an_application_does_is_shown_with_its_duration() -> None:
    event = {"kind": "page", "text": "page: POST /first 200", "seconds": 0.25}
    assert describe("InstanceEvent", event) == ("page", "page: POST /first 200  (0.25 s)")


@pytest.mark.parametrize(("name", "event"), [("InstanceEvent", {"kind": "action_ended"}), ("Something", {})])
def test_events_that_add_nothing_are_not_shown(name: str, event: dict[str, Any]) -> None:
    assert describe(name, event) is None


def test_watching_ends_with_the_last_status() -> None:
    progress = {"event": "CallProgress", "at": 12.5, "what": "INVITE", "detail": "sip:x"}
    shown, over = shown_of(progress, OVER)
    assert shown == [(12.5, "sip", "INVITE  sip:x")]
    assert over["status"] == "completed 0"


def test_a_watcher_that_was_too_slow_is_told_so() -> None:
    with pytest.raises(NodeRefused, match="too slow"):
        shown_of({"event": "Dropped", "text": "this watcher was too slow"})


def test_a_node_that_stops_in_the_middle_is_an_error_that_says_how_to_go_on() -> None:
    with pytest.raises(NodeRefused, match="callwright status r"):
        shown_of()


def test_lines_begin_with_the_seconds_since_the_start(capsys: pytest.CaptureFixture[str]) -> None:
    line_printer(100.0)(101.5, "sip", "INVITE")
    assert capsys.readouterr().out == "   1.500 s  sip      INVITE\n"
