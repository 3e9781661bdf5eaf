"""Calls through trunks, played by SIPp and by silent sockets: choice, failover, limits, what the trunk is told."""

from __future__ import annotations

import asyncio
import itertools
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import structlog
from tests.support.real_engine import RealEngine, real_engine
from tests.support.sipp import answering, needs_sipp
from tests.support.trunks import HOST, trunk, until

from callwright.engine import trunk_pace
from callwright.engine.interface import Call, CallFailed, CallOrder
from callwright.engine.trunk_report import state_report
from callwright.engine.trunk_setup import Trunk, parse_prefix
from callwright.engine.trunks import TrunksBusy
from callwright.sandbox.process import start_sandbox
from callwright.sip.core import Timers
from callwright.values.destination import parse_destination
from callwright.values.ids import CallId
from callwright.values.outcome import Cause, EndedBy

pytestmark = needs_sipp

FIRST, SECOND = (parse_prefix("*:1"),), (parse_prefix("*:2"),)
QUICK = Timers(t1=0.02, t2=0.16, t4=0.2)  # 64*T1 is 1.28 s


@dataclass(slots=True)
class Ledger:
    """Counts what the engine asks of its caller."""

    stamps: int = 0
    answers: list[str] = field(default_factory=list)

    async def before_invite(self, saved: bytes) -> None:
        self.stamps += 1

    async def on_answered(self, facts: object, saved: bytes) -> None:
        self.answers.append(repr(facts))


def order(number: int = 1, *, to: str = "447700900123", trunk: str = "", ring_timeout_s: float = 20) -> CallOrder:
    return CallOrder(
        call_id=CallId(f"0000000000000001.1.{number}"),
        destination=parse_destination(f"tel:{to}"),
        caller_id="441908273800",
        service_name="demo",
        ring_timeout_s=ring_timeout_s,
        trunk=trunk,
    )


def run(
    story: Callable[[RealEngine, Ledger], Awaitable[None]], *trunks: Trunk, timers: Timers | None = None
) -> RealEngine:
    async def main() -> RealEngine:
        async with asyncio.timeout(60), real_engine(trunks=trunks, timers=timers) as world:
            await story(world, Ledger())
            assert all(not line.calls for line in world.trunks.lines), "a call that is over holds its seat"
            return world

    return asyncio.run(main())


async def place(world: RealEngine, ledger: Ledger, wanted: CallOrder) -> Call:
    return await world.engine.place(wanted, before_invite=ledger.before_invite, on_answered=ledger.on_answered)


async def refused(world: RealEngine, ledger: Ledger, wanted: CallOrder) -> CallFailed:
    with pytest.raises(CallFailed) as failed:
        await place(world, ledger, wanted)
    return failed.value


@contextmanager
def silent() -> Iterator[socket.socket]:
    """A port that takes datagrams and says nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ear:
        ear.bind((HOST, 0))
        ear.setblocking(False)
        yield ear


def heard_anything(ear: socket.socket) -> bool:
    try:
        return bool(ear.recv(65_535))
    except BlockingIOError:
        return False


def run_and_ask_the_first_only(scenario: str, story: Callable[[RealEngine, Ledger], Awaitable[None]]) -> None:
    """Run a story with a scenario as its first trunk; the second must hear nothing."""
    with answering(scenario) as first, silent() as second:
        run(
            story,
            trunk("first", first.port, prefixes=FIRST),
            trunk("second", second.getsockname()[1], prefixes=SECOND),
        )
        assert first.finish().all_succeeded
        assert not heard_anything(second)


# --- failover


def test_a_trunk_without_room_leaves_the_call_to_the_next_within_the_same_attempt() -> None:
    async def story(world: RealEngine, ledger: Ledger) -> None:
        call = await place(world, ledger, order())
        assert ledger.stamps == 1
        assert len(ledger.answers) == 1
        assert call.facts.trunk == "second"
        assert call.facts.remote.endswith(f":{second.port}")
        assert (await call.wait_ended()).ended_by is EndedBy.FAR_END
        first_line = world.trunks.line("first")
        assert first_line is not None
        assert (first_line.tally.invites, first_line.tally.passed_on) == (1, 1)

    with answering("unavailable") as first, answering("answer_hang_up") as second:
        run(
            story,
            trunk("first", first.port, prefixes=FIRST),
            trunk("second", second.port, prefixes=SECOND),
        )
        assert first.finish().all_succeeded
        assert second.finish().all_succeeded


@pytest.mark.parametrize(("scenario", "cause"), [("busy", Cause.BUSY), ("decline", Cause.REJECTED)])
def test_a_person_who_is_busy_or_declines_is_not_called_through_another_trunk(scenario: str, cause: Cause) -> None:
    async def story(world: RealEngine, ledger: Ledger) -> None:
        failed = await refused(world, ledger, order())
        assert failed.outcome.cause is cause
        assert failed.facts.trunk == "first"

    run_and_ask_the_first_only(scenario, story)


def test_once_a_telephone_may_have_rung_no_other_trunk_is_asked() -> None:
    async def story(world: RealEngine, ledger: Ledger) -> None:
        failed = await refused(world, ledger, order())
        assert (failed.outcome.code, failed.facts.trunk) == (503, "first")

    run_and_ask_the_first_only("ring_unavailable", story)


def test_silence_may_hide_a_telephone_that_rings_so_no_other_trunk_is_asked() -> None:
    async def story(world: RealEngine, ledger: Ledger) -> None:
        failed = await refused(world, ledger, order())
        assert failed.outcome.code == 408

    with silent() as first, silent() as second:
        run(
            story,
            trunk("first", first.getsockname()[1], prefixes=FIRST),
            trunk("second", second.getsockname()[1], prefixes=SECOND),
            timers=QUICK,
        )
        assert heard_anything(first)
        assert not heard_anything(second)


def test_a_trunk_where_nobody_listens_leaves_the_call_to_the_next() -> None:
    async def story(world: RealEngine, ledger: Ledger) -> None:
        call = await place(world, ledger, order())
        assert call.facts.trunk == "second"
        await call.wait_ended()

    with silent() as probe:
        dead = probe.getsockname()[1]
    with answering("answer_hang_up") as second:
        run(story, trunk("first", dead, prefixes=FIRST), trunk("second", second.port, prefixes=SECOND))
        assert second.finish().all_succeeded


def test_without_another_trunk_the_refusal_is_the_outcome() -> None:
    async def story(world: RealEngine, ledger: Ledger) -> None:
        failed = await refused(world, ledger, order())
        assert failed.outcome.code == 503
        assert failed.facts.trunk == "only"

    with answering("unavailable") as only:
        run(story, trunk("only", only.port))


# --- choice


def test_a_trunk_that_health_checks_know_to_be_down_is_not_asked() -> None:
    async def story(world: RealEngine, ledger: Ledger) -> None:
        line = world.trunks.line("first")
        assert line is not None
        await until(lambda: line.health.is_down)
        call = await place(world, ledger, order())
        assert call.facts.trunk == "second"
        await call.wait_ended()
        assert line.tally.invites == 0

    with silent() as probe:
        dead = probe.getsockname()[1]
    with answering("answer_hang_up") as second:
        run(
            story,
            trunk("first", dead, prefixes=FIRST, check_every_s=0.2),
            trunk("second", second.port, prefixes=SECOND),
        )


def test_a_trunk_that_asked_to_be_left_alone_is_passed_over_and_slowed_down() -> None:
    async def story(world: RealEngine, ledger: Ledger) -> None:
        for number in (1, 2):
            call = await place(world, ledger, order(number))
            assert call.facts.trunk == "second"
            await call.wait_ended()
        line = world.trunks.line("first")
        assert line is not None
        now = asyncio.get_running_loop().time()
        assert line.pace.is_lowered(now)
        assert (line.tally.invites, line.tally.pushed_back) == (1, 1)

    with answering("unavailable_retry_after") as first, answering("answer_hang_up", calls=2) as second:
        run(
            story,
            trunk("first", first.port, prefixes=FIRST, max_cps=1000),  # even halved its turn comes at once
            trunk("second", second.port, prefixes=SECOND),
        )


def test_a_trunk_in_a_storm_of_refusals_gets_fewer_calls_and_is_trusted_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trunk_pace, "GROW_S", 0.5)
    refused_at: list[float] = []
    sent_at: list[float] = []

    def trace(way: str, data: bytes, _address: tuple[str, int], at: float) -> None:
        if way == ">" and data.startswith(b"INVITE"):
            sent_at.append(at)
        if way == "<" and data.startswith(b"SIP/2.0 503"):
            refused_at.append(at)

    def told(action: str) -> int:
        return sum(entry.get("action") == action for entry in logged)

    async def story(world: RealEngine, ledger: Ledger) -> None:
        world.sip.trace = trace
        line = world.trunks.line("only")
        assert line is not None

        def report() -> dict[str, object]:
            return state_report(line, asyncio.get_running_loop().time())

        for number in range(10):
            failed = await refused(world, ledger, order(number))
            assert (failed.outcome.code, failed.facts.retry_after_s) == (503, 1)
        said = report()
        assert (said["pushed_back"], said["lowered"]) == (10, True)
        assert said["rate"] in (20.0, 10.0), "halved, and once more if that took longer than a second"
        assert 0 < float(str(said["resting_for_s"])) <= 1
        assert min(later - earlier for earlier, later in itertools.pairwise(sent_at[1:])) > 0.049
        await until(lambda: not report()["lowered"])
        await until(lambda: told("trunk_recovered"))
        assert 1 <= told("trunk_pushed_back") <= 2
        assert told("trunk_recovered") == 1
        assert asyncio.get_running_loop().time() - refused_at[-1] >= 1.0, "trusted before its Retry-After was over"
        assert (report()["rate"], report()["resting_for_s"]) == (40.0, None)
        call = await place(world, ledger, order(11))
        await call.hang_up()

    with structlog.testing.capture_logs() as logged, answering("storm", calls=11) as only:
        run(story, trunk("only", only.port, max_cps=40))
        assert only.finish().all_succeeded


def test_a_full_trunk_leaves_calls_to_the_next_and_then_to_later() -> None:
    async def story(world: RealEngine, ledger: Ledger) -> None:
        one = await place(world, ledger, order(1))
        two = await place(world, ledger, order(2))
        assert (one.facts.trunk, two.facts.trunk) == ("first", "second")
        with pytest.raises(TrunksBusy, match=r"first is full \(1 calls\), second is full"):
            await place(world, ledger, order(3))
        assert ledger.stamps == 2
        await one.hang_up()
        three = await place(world, ledger, order(4))
        assert three.facts.trunk == "first"
        await asyncio.gather(two.hang_up(), three.hang_up())

    with answering("answer", calls=2) as first, answering("answer") as second:
        run(
            story,
            trunk("first", first.port, prefixes=FIRST, max_calls=1),
            trunk("second", second.port, prefixes=SECOND, max_calls=1),
        )


def test_invites_to_a_trunk_keep_its_distance_whoever_calls() -> None:
    sent: list[float] = []

    def trace(way: str, data: bytes, _address: tuple[str, int], at: float) -> None:
        if way == ">" and data.startswith(b"INVITE"):
            sent.append(at)

    async def story(world: RealEngine, ledger: Ledger) -> None:
        world.sip.trace = trace
        calls = await asyncio.gather(*(place(world, ledger, order(number)) for number in range(6)))
        await asyncio.gather(*(call.hang_up() for call in calls))

    with answering("answer", calls=6) as only:
        run(story, trunk("only", only.port, max_cps=10))
        assert only.finish().all_succeeded
    assert len(sent) == 6
    gaps = [later - earlier for earlier, later in itertools.pairwise(sent)]
    assert min(gaps) > 0.099


def test_an_order_for_one_trunk_goes_there_whatever_numbers_it_carries() -> None:
    async def story(world: RealEngine, ledger: Ledger) -> None:
        assert world.engine.refusal(parse_destination("tel:353861234567")) is not None
        call = await place(world, ledger, order(to="353861234567", trunk="uk"))
        assert call.facts.trunk == "uk"
        await call.wait_ended()

    with answering("answer_hang_up") as only:
        run(story, trunk("uk", only.port, prefixes=(parse_prefix("44"),)))


def test_numbers_no_trunk_carries_are_refused_with_a_hint() -> None:
    async def story(world: RealEngine, ledger: Ledger) -> None:
        refusal = world.engine.refusal(parse_destination("tel:353861234567"))
        assert refusal is not None
        assert refusal.reason.startswith("No route: none of the trunks carries 353861234567")
        assert "callwright trunk add" in refusal.reason
        failed = await refused(world, ledger, order(to="353861234567"))
        assert failed.outcome.code == 404
        assert ledger.stamps == 0

    run(story, trunk("uk", 9, prefixes=(parse_prefix("44"),)))


# --- what the trunk is told


def test_digest_credentials_of_the_trunk_answer_its_challenge() -> None:
    async def story(world: RealEngine, ledger: Ledger) -> None:
        call = await place(world, ledger, order())
        await call.hang_up()

    with answering("digest") as only:
        run(story, trunk("only", only.port, user="alice", password="open sesame"))
        assert only.finish().all_succeeded


def test_number_identity_and_codecs_are_those_the_trunk_wants() -> None:
    async def story(world: RealEngine, ledger: Ledger) -> None:
        call = await place(world, ledger, order())
        assert call.facts.originating == "441908273800@sip-0-0-0.callwright.test"
        await call.wait_ended()

    with answering("answer_hang_up") as only:
        run(
            story,
            trunk(
                "only",
                only.port,
                strip="44",
                add="0",
                from_user="account7",
                from_domain="carrier.example",
                assert_identity=True,
                withhold=True,
                codecs=("PCMU", "PCMA"),
            ),
        )
        invite = next(message for message in only.finish().messages if message.text.startswith("INVITE"))
    assert invite.text.startswith(f"INVITE sip:07700900123@{HOST}:{only.port};user=phone SIP/2.0")
    assert (invite.header("From") or "").startswith('"Anonymous" <sip:account7@carrier.example>;tag=')
    assert invite.header("P-Asserted-Identity") == "<sip:441908273800@carrier.example>"
    assert invite.header("Privacy") == "id"
    assert "RTP/AVP 0 8 101" in invite.text


# --- the simulated phone network as two trunks


def test_two_phone_networks_share_calls_as_two_trunks_and_one_helps_out_for_the_other(tmp_path: Path) -> None:
    async def main() -> None:
        first = await start_sandbox(data=tmp_path / "first")
        second = await start_sandbox(data=tmp_path / "second")
        try:
            trunks = (
                trunk("first", first.port, prefixes=FIRST, check_every_s=5),
                # The same number is a telephone with a network fault there and one that answers here.
                trunk("second", second.port, prefixes=SECOND, strip="999005550006", add="999005550009"),
            )
            async with asyncio.timeout(60), real_engine(trunks=trunks) as world:
                ledger = Ledger()
                line = world.trunks.line("first")
                assert line is not None
                await until(lambda: line.state(0.0) == "up")
                call = await place(world, ledger, order(1, to="999005550012"))
                assert call.facts.trunk == "first"
                await call.hang_up()
                call = await place(world, ledger, order(2, to="999005550006"))
                assert call.facts.trunk == "second"
                await call.hang_up()
                assert line.pace.is_lowered(asyncio.get_running_loop().time())
                busy = await refused(world, ledger, order(3, to="999005550002"))
                assert (busy.outcome.cause, busy.facts.trunk) == (Cause.BUSY, "second")
                assert ledger.stamps == 3
        finally:
            await asyncio.gather(first.close(), second.close())

    asyncio.run(main())
