"""One trunk at work: when it takes a call, and what is told of it."""

from __future__ import annotations

from typing import Any

import pytest

from callwright.engine.trunk_line import TrunkLine, open_line
from callwright.engine.trunk_report import setup_report, state_report
from callwright.engine.trunk_setup import Trunk
from callwright.values.ids import CallId

NOW = 50.0


def line(**fields: Any) -> TrunkLine:
    plain: dict[str, Any] = {"name": "carrier", "host": "192.0.2.9"}
    return open_line(Trunk(**(plain | fields)), contact="192.0.2.1:5060", chance=lambda: 0.5, now=NOW)


def test_a_trunk_nobody_has_asked_yet_takes_calls() -> None:
    assert line().blocked(NOW) == ""
    assert line().state(NOW) == "unknown"
    assert line(check_every_s=0).state(NOW) == "unchecked"


def test_a_disabled_trunk_takes_none_and_is_neither_checked_nor_registered() -> None:
    off = line(enabled=False, user="alice", register=True)
    assert off.state(NOW) == "disabled"
    assert off.registration is None
    assert off.health.wake_at() is None


def test_a_trunk_that_is_down_takes_none() -> None:
    down = line()
    for _ in range(2):
        down.health.checked(None, NOW)
    assert down.state(NOW) == "down"


def test_a_trunk_that_registers_takes_calls_while_it_is_registered() -> None:
    ours = line(user="alice", register=True, expires_s=60)
    assert ours.state(NOW) == "not registered"
    assert ours.registration is not None
    ours.registration.wake(NOW)
    ours.registration.receive(code=200, reason="OK", headers=(("Expires", "60"),), local=False, now=NOW)
    assert ours.blocked(NOW + 59) == ""
    assert ours.blocked(NOW + 60) == "not registered"
    assert state_report(ours, NOW + 10)["registered_for_s"] == 50


def test_a_trunk_is_full_with_its_calls_and_free_when_one_is_over() -> None:
    busy = line(max_calls=2)
    busy.calls |= {CallId("1.1.1"), CallId("1.1.2")}
    assert busy.state(NOW) == "full (2 calls)"
    busy.calls.discard(CallId("1.1.1"))
    assert busy.blocked(NOW) == ""


@pytest.mark.parametrize(("code", "counted"), [(503, 1), (429, 1), (500, 0), (486, 0), (408, 0)])
def test_only_503_and_429_are_pushback(code: int, counted: int) -> None:
    pushed = line(max_cps=10)
    assert pushed.refusal(code, 30, NOW) is bool(counted)
    assert pushed.tally.pushed_back == counted
    report = state_report(pushed, NOW)
    assert report["lowered"] is bool(counted)
    assert report["rate"] == (5 if counted else 10)


def test_reports_hold_every_field_but_the_password() -> None:
    report = setup_report(Trunk(name="a", host="h", user="u", password="open sesame"), "")
    assert report["has_password"] is True
    assert "open sesame" not in repr(report)
    assert set(report) - {"has_password", "source"} == set(Trunk.__dataclass_fields__) - {"password"}
