"""What the look at a trunk says of one that never answers OPTIONS."""

from __future__ import annotations

import asyncio

import pytest

from callwright.engine import trunk_check
from callwright.engine.trunk_check import Verdict, examine
from callwright.engine.trunk_line import open_line
from callwright.engine.trunk_link import TrunkLink
from callwright.engine.trunk_setup import Trunk
from callwright.sip.ask import AskPlan
from callwright.sip.event import AskDone
from callwright.sip.way import Target, Transport, Way


class SilentLink(TrunkLink):
    def __init__(self) -> None:
        """Need no socket: nothing is sent."""

    def own_places(self, transport: Transport) -> tuple[tuple[str, int], ...]:
        return ()

    async def locate(self, trunk: Trunk) -> list[Target]:
        return [Target(host=trunk.host, port=5060, way=Way())]

    async def ask(self, plan: AskPlan) -> AskDone:
        await asyncio.Event().wait()
        raise AssertionError("nobody answers")


@pytest.mark.parametrize(("check_every_s", "verdict"), [(30.0, Verdict.BAD), (0.0, Verdict.NOTE)])
def test_silence_is_a_fault_only_of_a_trunk_whose_health_is_checked(
    monkeypatch: pytest.MonkeyPatch, check_every_s: float, verdict: Verdict
) -> None:
    monkeypatch.setattr(trunk_check, "CHECK_TIMEOUT_S", 0.01)
    trunk = Trunk(name="carrier", host="192.0.2.9", check_every_s=check_every_s)
    line = open_line(trunk, contact="192.0.2.1:5060", chance=lambda: 0.5, now=0.0)
    found = asyncio.run(examine(line, SilentLink(), domain="us.example", epoch=0.0))
    assert [each.verdict for each in found if "No answer" in each.text] == [verdict]


class AnsweringLink(SilentLink):
    def __init__(self, code: int, *, challenged: bool) -> None:
        """Answer everything with this code."""
        self._code = code
        self._challenged = challenged

    async def ask(self, plan: AskPlan) -> AskDone:
        return AskDone(
            handle="a", at=0.0, code=self._code, reason="Said", call_id="c", cseq=1, challenged=self._challenged
        )


@pytest.mark.parametrize(
    ("code", "challenged", "verdict", "words"),
    [
        (200, True, Verdict.GOOD, "user and password were asked for and accepted"),
        (200, False, Verdict.GOOD, "it did not ask for the password"),
        (401, True, Verdict.BAD, "does not take user 'alice' with this password"),
        (403, True, Verdict.BAD, "once user 'alice' had logged in"),
        (403, False, Verdict.NOTE, "tell its operator"),
        (404, False, Verdict.GOOD, "does not answer that question"),
        (405, True, Verdict.GOOD, "does not answer that question"),
        (501, False, Verdict.GOOD, "does not answer that question"),
        (503, False, Verdict.BAD, "cannot take calls"),
    ],
)
def test_what_an_answer_means_is_said(code: int, challenged: bool, verdict: Verdict, words: str) -> None:
    trunk = Trunk(name="carrier", host="192.0.2.9", user="alice", password="x")
    line = open_line(trunk, contact="192.0.2.1:5060", chance=lambda: 0.5, now=0.0)
    link = AnsweringLink(code, challenged=challenged)
    [found] = [
        each for each in asyncio.run(examine(line, link, domain="us.example", epoch=0.0)) if "OPTIONS" in each.text
    ]
    assert (found.verdict, words in found.text) == (verdict, True), found.text
    assert ("accepted" in found.text) is (code == 200 and challenged)
