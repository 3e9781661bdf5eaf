"""Trunks that nobody calls through: health checks and registration against SIPp and against sockets of our own."""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace

import pytest
from tests.support.sipp import answering, needs_sipp
from tests.support.trunks import open_socket, trunk, trunks_alone, until

from callwright.engine.trunk_health import HealthState
from callwright.engine.trunk_setup import parse_prefix
from callwright.engine.trunks import Trunks
from callwright.sip.registration import RegistrationState
from callwright.sip.way import Transport
from callwright.values.ids import CallId


def _free_port() -> int:
    return random.randrange(20000, 30000)


@needs_sipp
def test_a_registration_is_challenged_told_a_longer_time_refreshed_after_a_change_and_taken_back() -> None:
    async def story(port: int) -> None:
        gateway = trunk("carrier", port, user="alice", password="open sesame", register=True, expires_s=1)
        async with trunks_alone(gateway) as trunks:
            line = trunks.line("carrier")
            assert line is not None
            registration = line.registration
            assert registration is not None
            assert line.blocked(0.0) == "not registered"
            await until(lambda: registration.until is not None)
            first = registration.until
            assert line.blocked(asyncio.get_running_loop().time()) == ""
            await trunks.set_up([replace(gateway, max_calls=2, plus=True)])
            changed = trunks.line("carrier")
            assert changed is not None
            assert changed is not line
            assert changed.registration is registration, "a change that does not concern it ended the registration"
            await until(lambda: registration.until != first)
        assert registration.state is RegistrationState.OVER

    with answering("registrar", repeats=False) as registrar:
        asyncio.run(story(registrar.port))
        seen = registrar.finish()
    assert seen.all_succeeded, seen.why
    requests = [message for message in seen.messages if not message.sent]
    assert len({message.header("Call-ID") for message in requests}) == 1
    numbers = [int((message.header("CSeq") or "0").split()[0]) for message in requests]
    assert numbers == list(range(1, 9))


def test_a_registrar_that_is_not_there_is_told_by_the_line_and_tried_again_later() -> None:
    async def story(port: int) -> None:
        gateway = trunk("carrier", port, user="alice", password="wrong", register=True)
        async with trunks_alone(gateway) as trunks:
            line = trunks.line("carrier")
            assert line is not None
            await until(lambda: line.refused is not None)
            assert line.refused is not None
            assert "could not be sent" in line.refused.text
            assert line.refused.retry_at > asyncio.get_running_loop().time()
            assert line.state(asyncio.get_running_loop().time()) == "not registered"

    asyncio.run(story(_free_port()))


@pytest.mark.parametrize("transport", [Transport.UDP, Transport.TCP])
def test_a_trunk_that_answers_options_is_up_and_one_where_nobody_listens_is_down(transport: Transport) -> None:
    async def story() -> None:
        far_end = await open_socket()
        port = far_end.address[1]
        closed = await open_socket()
        dead = closed.address[1]
        await closed.close()
        there = trunk("there", port, check_every_s=0.2, transport=transport)
        gone = trunk("gone", dead, check_every_s=0.2, transport=transport)
        async with trunks_alone(there, gone) as trunks:
            good, bad = trunks.line("there"), trunks.line("gone")
            assert good is not None
            assert bad is not None
            await until(lambda: good.health.state is HealthState.UP)
            await until(lambda: bad.health.is_down)
            assert bad.blocked(0.0) == "down"
            await far_end.close()
            await until(lambda: good.health.is_down)

    asyncio.run(story())


def test_trunks_that_stay_as_they_were_keep_their_state_when_others_change() -> None:
    async def story() -> None:
        far_end = await open_socket()
        kept = trunk("kept", far_end.address[1], check_every_s=0.2)
        async with trunks_alone(kept, trunk("other", far_end.address[1])) as trunks:
            line = trunks.line("kept")
            assert line is not None
            await until(lambda: line.health.state is HealthState.UP)
            await trunks.set_up([kept, trunk("new", far_end.address[1], max_calls=3)])
            assert trunks.line("kept") is line
            assert [each.name for each in trunks.lines] == ["kept", "new"]
        await far_end.close()

    asyncio.run(story())


def test_a_changed_trunk_keeps_what_still_holds() -> None:
    async def story() -> None:
        far_end = await open_socket()
        port = far_end.address[1]
        before = trunk("kept", port, check_every_s=0.2, max_cps=5.0)
        async with trunks_alone(before) as trunks:
            first = trunks.line("kept")
            assert first is not None
            await until(lambda: first.health.state is HealthState.UP)
            passage = await trunks.take("441908273800", CallId("0000000000000001.1.1"))
            first.leaves(0.0)

            await trunks.set_up([replace(before, max_calls=1, prefixes=(parse_prefix("44"),))])
            second = trunks.line("kept")
            assert second is not None
            assert second.state(0.0) == "full (1 calls)"
            assert (second.health, second.pace, second.tally.invites) == (first.health, first.pace, 1)
            assert passage.trunk == before, "a call goes on as it began"
            passage.release()
            assert second.state(0.0) == "up"

            await trunks.set_up([replace(before, max_cps=1.0, port=dead)])
            third = trunks.line("kept")
            assert third is not None
            assert third.pace.rate(0.0) == 1.0
            assert third.health.state is HealthState.UNKNOWN
            await until(lambda: third.health.is_down)
            await trunks.set_up([before])
            fourth = trunks.line("kept")
            assert fourth is not None
            await until(lambda: fourth.health.state is HealthState.UP)
        await far_end.close()

    dead = _free_port()
    asyncio.run(story())


def test_a_request_from_a_trunk_is_known_by_its_address() -> None:
    async def story() -> None:
        async with trunks_alone(trunk("here", 5070), trunk("there", 0, host="192.0.2.7")) as trunks:
            assert trunks.trunk_of(("192.0.2.7", 40_000)) == "there"
            assert trunks.trunk_of(("127.0.0.1", 5070)) == "here"
            assert trunks.trunk_of(("127.0.0.1", 5071)) is None
            assert trunks.trunk_of(("192.0.2.8", 5060)) is None

    asyncio.run(story())


def test_trunks_close_without_any() -> None:
    async def story() -> None:
        sip = await open_socket()
        trunks = Trunks(sip=sip, chance=random.random)
        await trunks.close()
        assert not trunks.carry("441908273800")
        await sip.close()

    asyncio.run(story())
