"""Redirections on the air: followed in their order and within bounds, and nobody is led where the call might not go."""

from __future__ import annotations

import asyncio
import random
import secrets
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack

import pytest
from tests.support.engine_calls import Told, order_to
from tests.support.far_end import FarEnd, far_end
from tests.support.real_engine import RealEngine, real_engine, sandboxed_engine
from tests.support.sipp import answering, needs_sipp
from tests.support.trunks import trunk

from callwright.engine import redirecting
from callwright.engine.call import OutgoingCall
from callwright.engine.interface import CallFailed, CallOrder
from callwright.engine.redirects import MOST_FOLLOWED
from callwright.engine.trunk_setup import Trunk, parse_prefix
from callwright.sip.event import CancelledByPeer, Invited
from callwright.values.destination import Destination, parse_destination
from callwright.values.ids import CallId
from callwright.values.outcome import EndedBy

Asked = list[str]


def run(
    story: Callable[[RealEngine, Sequence[FarEnd]], Awaitable[None]],
    *,
    far_ends: int = 3,
    trunks: Callable[[Sequence[FarEnd]], Sequence[Trunk]] = lambda _far: (),
) -> None:
    async def main() -> None:
        async with asyncio.timeout(40), AsyncExitStack() as stack:
            far = [await stack.enter_async_context(far_end()) for _ in range(far_ends)]
            world = await stack.enter_async_context(real_engine(trunks=trunks(far)))
            await story(world, far)

    asyncio.run(main())


def at(far: FarEnd, user: str = "1000", more: str = "") -> str:
    return f"<sip:{user}@{far.address[0]}:{far.address[1]}{more}>"


def by_number(number: str = "447700900123") -> CallOrder:
    return CallOrder(
        call_id=CallId(f"{secrets.token_hex(8)}.1.{random.randrange(1000)}"),
        destination=parse_destination(f"tel:{number}"),
        caller_id="441908273800",
        service_name="demo",
    )


def placing(
    world: RealEngine, order: CallOrder, *, allowed: str | None = "", asked: Asked | None = None
) -> asyncio.Task[OutgoingCall]:
    """Place a call whose owner says ``allowed`` of other numbers; None: it has no owner."""
    told = Told()

    async def may_follow(to: Destination) -> str:
        if asked is not None:
            asked.append(to.prefixed)
        assert allowed is not None
        return allowed

    async def place() -> OutgoingCall:
        return await world.engine.place(
            order,
            before_invite=told.before_invite,
            on_answered=told.on_answered,
            may_follow=None if allowed is None else may_follow,
        )

    return asyncio.create_task(place())


async def fails(task: asyncio.Task[OutgoingCall]) -> CallFailed:
    with pytest.raises(CallFailed) as failed:
        await task
    return failed.value


def heard_nothing(far: FarEnd) -> bool:
    return not any(isinstance(event, Invited) for event in far.ear.heard)


# --- SIP addresses


def test_the_place_most_wanted_is_asked_first_and_the_next_when_nobody_rang_there() -> None:
    async def story(world: RealEngine, far: Sequence[FarEnd]) -> None:
        task = placing(world, order_to(far[0].address))
        first = await far[0].redirect(at(far[1]) + ";q=0.3", at(far[2], "other") + ";q=0.9")
        tried = await far[2].ear.next(Invited)
        far[2].respond(tried, 404)
        reached = await far[1].answer()
        call = await task
        assert call.facts.redirects == (at(far[2], "other").strip("<>"), at(far[1]).strip("<>"))
        assert call.facts.remote.endswith(f":{far[1].address[1]}")
        assert {one.to_uri for one in (tried, reached)} == {first.to_uri}  # To still names who was called
        assert reached.request_uri == at(far[1]).strip("<>")
        await call.hang_up()

    run(story)


def test_two_places_that_send_a_call_to_each_other_end_it() -> None:
    async def story(world: RealEngine, far: Sequence[FarEnd]) -> None:
        task = placing(world, order_to(far[0].address))
        await far[0].redirect(at(far[1]))
        await far[1].redirect(at(far[0]))
        failed = await fails(task)
        assert failed.outcome.code == 302
        assert "not followed: it leads back" in failed.outcome.detail
        assert failed.outcome.ended_by is EndedBy.FAR_END
        assert [isinstance(event, Invited) for event in far[0].ear.heard].count(True) == 1

    run(story)


def test_an_endless_chain_is_left_after_a_few() -> None:
    async def story(world: RealEngine, far: Sequence[FarEnd]) -> None:
        task = placing(world, order_to(far[0].address))
        for n in range(MOST_FOLLOWED + 1):
            await far[0].redirect(at(far[0], f"next{n}"), code=301)
        failed = await fails(task)
        assert failed.outcome.code == 301
        assert len(failed.facts.redirects) == MOST_FOLLOWED

    run(story, far_ends=1)


def test_one_ring_time_out_counts_for_all_places() -> None:
    async def story(world: RealEngine, far: Sequence[FarEnd]) -> None:
        task = placing(world, order_to(far[0].address, ring_timeout_s=0.6))
        await far[0].redirect(at(far[1]))
        await far[1].ring()
        failed = await fails(task)
        assert (failed.outcome.code, failed.outcome.ended_by) == (487, EndedBy.PLATFORM)
        await far[1].ear.next(CancelledByPeer)

    run(story, far_ends=2)


def test_a_busy_telephone_behind_a_redirection_is_the_outcome() -> None:
    async def story(world: RealEngine, far: Sequence[FarEnd]) -> None:
        task = placing(world, order_to(far[0].address))
        await far[0].redirect(at(far[1]), at(far[2]))
        far[1].respond(await far[1].ear.next(Invited), 486)
        assert (await fails(task)).outcome.code == 486
        assert heard_nothing(far[2])

    run(story)


@pytest.mark.parametrize(
    "contact", ["", "*", "<tel:+447700900123>", "<sip:nobody.invalid>", "<sip:x@127.0.0.1;transport=ws>"]
)
def test_without_a_place_to_go_to_the_redirection_is_the_outcome(contact: str) -> None:
    async def story(world: RealEngine, far: Sequence[FarEnd]) -> None:
        task = placing(world, order_to(far[0].address))
        await far[0].redirect(*([contact] if contact else []))
        assert (await fails(task)).outcome.code == 302

    run(story, far_ends=1)


def test_a_call_that_is_given_up_while_it_is_redirected_asks_nobody_else() -> None:
    async def story(world: RealEngine, far: Sequence[FarEnd]) -> None:
        looking, known = asyncio.Event(), asyncio.Event()

        async def never(host: str, **_: object) -> list[object]:
            looking.set()
            await known.wait()
            raise OSError("nobody knows")

        task = placing(world, order_to(far[0].address))
        invited = await far[0].ear.next(Invited)
        world.sip.locate = never  # type: ignore[assignment,method-assign]
        far[0].respond(invited, 302, headers=(("Contact", at(far[1])),))
        await looking.wait()
        task.cancel()
        await asyncio.sleep(0)  # it is given up in this turn of the loop
        known.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert heard_nothing(far[1])

    run(story, far_ends=2)


# --- what a SIP address may not lead to


def test_nobody_is_led_from_an_address_to_a_trunk() -> None:
    async def story(world: RealEngine, far: Sequence[FarEnd]) -> None:
        task = placing(world, order_to(far[0].address))
        await far[0].redirect(at(far[1], "+449012345678"))
        failed = await fails(task)
        assert failed.outcome.code == 302
        assert "trunk carrier is called by number" in failed.outcome.detail
        assert heard_nothing(far[1])

    run(story, far_ends=2, trunks=lambda far: [trunk("carrier", far[1].address[1])])


def test_a_trunk_cannot_be_called_by_its_address() -> None:
    async def story(world: RealEngine, far: Sequence[FarEnd]) -> None:
        refusal = world.engine.refusal(order_to(far[0].address).destination)
        assert refusal is not None
        assert "trunk carrier is called by number" in refusal.reason
        by_name = parse_destination(f"sip:+449012345678@localhost:{far[0].address[1]}")
        if world.engine.refusal(by_name) is None:  # a name that only leads there is found out when it is looked up
            order = order_to(f"sip:+449012345678@localhost:{far[0].address[1]}")
            failed = await fails(placing(world, order))
            assert failed.outcome.code == 403
        assert heard_nothing(far[0])

    run(story, far_ends=1, trunks=lambda far: [trunk("carrier", far[0].address[1])])


def test_nobody_outside_can_send_a_call_to_an_inner_address(monkeypatch: pytest.MonkeyPatch) -> None:
    # No far end on the loopback is outside; to the engine this one is.
    async def story(world: RealEngine, far: Sequence[FarEnd]) -> None:
        monkeypatch.setattr(redirecting, "_is_inner_host", lambda host: False)
        task = placing(world, order_to(far[0].address))
        await far[0].redirect(at(far[1]))
        assert "nobody outside may send us to" in (await fails(task)).outcome.detail
        assert heard_nothing(far[1])

    run(story, far_ends=2)


# --- numbers


def one_trunk(far: Sequence[FarEnd]) -> list[Trunk]:
    return [trunk("carrier", far[0].address[1], plus=True)]


def test_a_number_may_lead_to_another_that_its_owner_may_call_within_the_trunk() -> None:
    async def story(world: RealEngine, far: Sequence[FarEnd]) -> None:
        asked: Asked = []
        task = placing(world, by_number(), asked=asked)
        await far[0].redirect(at(far[0], "+447700900456"))
        reached = await far[0].answer()
        call = await task
        assert reached.request_uri.startswith("sip:+447700900456@")
        assert asked == ["tel:447700900456"]
        assert call.facts.trunk == "carrier"
        assert call.facts.redirects == (reached.request_uri,)
        await call.hang_up()

    run(story, far_ends=1, trunks=one_trunk)


def test_a_redirected_call_waits_for_its_turn_on_the_trunk_like_any_other() -> None:
    sent_at: list[float] = []

    def trace(way: str, data: bytes, _address: tuple[str, int], at: float) -> None:
        if way == ">" and data.startswith(b"INVITE"):
            sent_at.append(at)

    async def story(world: RealEngine, far: Sequence[FarEnd]) -> None:
        world.sip.trace = trace
        task = placing(world, by_number())
        await far[0].redirect(at(far[0], "+447700900456"))
        await far[0].answer()
        await (await task).hang_up()
        first, second = sent_at
        assert second - first >= 0.25

    run(story, far_ends=1, trunks=lambda far: [trunk("carrier", far[0].address[1], plus=True, max_cps=4)])


def two(far: Sequence[FarEnd]) -> list[Trunk]:
    return [
        trunk("first", far[0].address[1], prefixes=(parse_prefix("*:1"),)),
        trunk("second", far[1].address[1], prefixes=(parse_prefix("*:2"),)),
    ]


@pytest.mark.parametrize(("allowed", "why"), [("too dear", "too dear"), (None, "another number than the one dialled")])
def test_a_number_its_owner_may_not_call_is_not_dialled(allowed: str | None, why: str) -> None:
    async def story(world: RealEngine, far: Sequence[FarEnd]) -> None:
        task = placing(world, by_number(), allowed=allowed)
        await far[0].redirect(at(far[0], "+449012345678"))
        failed = await fails(task)
        assert failed.outcome.code == 302
        assert why in failed.outcome.detail

    run(story, far_ends=1, trunks=one_trunk)


def test_a_trunk_that_sends_a_call_elsewhere_is_not_followed_and_no_other_trunk_is_asked() -> None:
    async def story(world: RealEngine, far: Sequence[FarEnd]) -> None:
        task = placing(world, by_number())
        await far[0].redirect("<sip:+447700900123@192.0.2.77>")
        assert "192.0.2.77 is not this trunk" in (await fails(task)).outcome.detail
        assert heard_nothing(far[1])

    run(story, far_ends=2, trunks=two)


def test_a_redirected_call_that_fails_is_not_started_anew_on_another_trunk() -> None:
    async def story(world: RealEngine, far: Sequence[FarEnd]) -> None:
        task = placing(world, by_number())
        await far[0].redirect(at(far[0], "+447700900456"))
        far[0].respond(await far[0].ear.next(Invited), 503)
        assert (await fails(task)).outcome.code == 503
        assert heard_nothing(far[1])

    run(story, far_ends=2, trunks=two)


def test_the_redirecting_telephone_of_the_simulated_network_leads_to_the_one_it_names() -> None:
    async def main() -> None:
        async with asyncio.timeout(40), sandboxed_engine() as world:
            call = await placing(world, by_number("999005550014"))
            assert call.facts.redirects[0].startswith("sip:999005550001@")
            await call.hang_up()
            failed = await fails(placing(world, by_number("999005550014"), allowed="it is on the do-not-call list"))
            assert "do-not-call" in failed.outcome.detail

    asyncio.run(main())


# --- an independent implementation


@needs_sipp
def test_sipp_redirects_to_sipp_and_a_loop_of_it_ends() -> None:
    async def main() -> None:
        async with asyncio.timeout(40), real_engine() as world:
            with answering("answer") as target, answering("redirect", number=str(target.port)) as source:
                call = await placing(world, order_to((source.host, source.port)))
                await call.hang_up()
                for one in (source, target):
                    seen = await asyncio.to_thread(one.finish)
                    assert seen.all_succeeded, seen.why
            with answering("redirect_to_itself") as loop:
                failed = await fails(placing(world, order_to((loop.host, loop.port))))
                assert failed.outcome.code == 302
                seen = await asyncio.to_thread(loop.finish)
                assert seen.gists == ["> INVITE", "< 302", "> ACK"], seen.why

    asyncio.run(main())
