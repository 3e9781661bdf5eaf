"""The socket by itself: two of ours on the loopback, names, failures, and its end."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable

import pytest
import structlog.testing
import uvloop
from tests.support.sip_sipp import HOST, Ear, free_port, sip_socket

from callwright.engine.sip_socket import SipSocket
from callwright.sip.core import InvitePlan, SipCore, Timers
from callwright.sip.event import Acked, Answered, ByeDone, Ended, Event, Failed, Invited, PingDone

SDP = b"v=0\r\n"


def plan(to: tuple[str, int]) -> InvitePlan:
    return InvitePlan(
        request_uri="sip:100@example.com", next_hop=to, from_uri="sip:us@example.com", to_uri="sip:100@h", body=SDP
    )


def now() -> float:
    return asyncio.get_running_loop().time()


def run(story: Callable[[], Awaitable[None]]) -> None:
    async def whole() -> None:
        await story()
        left = [task.get_name() for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        assert left == []

    asyncio.run(whole())


def test_two_sockets_call_each_other_by_name() -> None:
    async def story() -> None:
        async with sip_socket() as (near, ear), sip_socket() as (far, far_ear):
            traced: list[str] = []
            near.trace = lambda way, data, address, at: traced.append(f"{way} {data[:3].decode()} {address[0]}")
            handle = near.core.invite(plan(("localhost", far.address[1])), now())
            near.pump()
            invited = await far_ear.next(Invited)
            far.core.respond(invited.handle, 200, body=SDP, now=now())
            far.pump()
            assert (await ear.next(Answered)).handle == handle
            await far_ear.next(Acked)
            near.core.bye(handle, now())
            near.pump()
            await far_ear.next(Ended)
            assert (await ear.next(ByeDone)).code == 200
            assert traced == [
                f"> INV {HOST}",
                f"< SIP {HOST}",
                f"> ACK {HOST}",
                f"> BYE {HOST}",
                f"< SIP {HOST}",
            ]

    run(story)


def test_what_is_asked_within_an_event_is_sent_without_another_pump() -> None:
    async def story() -> None:
        async with sip_socket() as (near, ear), sip_socket() as (far, _):

            def answer(event: Event) -> None:
                if isinstance(event, Invited):
                    far.core.respond(event.handle, 486, now=now())
                    far.pump()

            far.on_event = answer
            near.core.invite(plan(far.address), now())
            near.pump()
            assert (await ear.next(Failed)).code == 486

    run(story)


def test_a_name_that_does_not_resolve_fails_the_call_with_503() -> None:
    async def story() -> None:
        async with sip_socket() as (sip, ear):
            with structlog.testing.capture_logs() as logs:
                sip.core.invite(plan(("nowhere.invalid", 5060)), now())
                sip.core.ping(("nowhere.invalid", 5060), now())
                sip.core.invite(plan(("::1", 5060)), now())  # an IPv6 peer from an IPv4 socket
                sip.pump()
                for _ in range(2):
                    failed = await ear.next(Failed)
                    assert (failed.code, failed.local) == (503, True)
            assert any(isinstance(event, PingDone) and event.code == 503 for event in ear.heard)
            assert {entry["action"] for entry in logs} == {"sip_name_unresolved"}

    run(story)


def test_a_listener_that_fails_is_logged_and_hurts_nobody_else() -> None:
    async def story() -> None:
        async with sip_socket() as (near, ear), sip_socket() as (far, _):
            calls = 0

            def answer(event: Event) -> None:
                nonlocal calls
                calls += 1
                if calls == 1:
                    raise RuntimeError("a bug of the floor above")
                if isinstance(event, Invited):
                    far.core.respond(event.handle, 486, now=now())

            far.on_event = answer
            with structlog.testing.capture_logs() as logs:
                near.core.invite(plan(far.address), now())
                second = near.core.invite(plan(far.address), now())
                near.pump()
                assert (await ear.next(Failed)).handle == second
            assert [entry["action"] for entry in logs] == ["sip_step_failed"]

    run(story)


def test_many_timers_are_served_together_and_none_is_forgotten() -> None:
    async def story() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as mute:
            mute.bind((HOST, 0))
            async with sip_socket(timers=Timers(t1=0.01, t2=0.04, t4=0.05)) as (sip, ear):
                woken = 0
                wake = sip.core.wake

                def counted(now: float) -> None:
                    nonlocal woken
                    woken += 1
                    wake(now)

                sip.core.wake = counted  # type: ignore[method-assign]
                began = now()
                for _ in range(60):  # a little after each other, so that hardly two timers end together
                    sip.core.ping(mute.getsockname(), now())
                    sip.pump()
                    await asyncio.sleep(0.003)
                handles = {(await ear.next(PingDone)).handle for _ in range(60)}
                assert len(handles) == 60
                assert woken <= (now() - began) / 0.02 + 1

    run(story)


def test_timers_run_by_themselves() -> None:
    async def story() -> None:
        async with sip_socket(timers=Timers(t1=0.01, t2=0.04, t4=0.05)) as (sip, ear), sip_socket() as (silent, _):
            silent.on_event = lambda event: None
            sip.core.ping(silent.address, now())
            sip.pump()
            assert (await ear.next(PingDone)).code == 200
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as mute:
                mute.bind((HOST, 0))
                sip.core.ping(mute.getsockname(), now())
                sip.pump()
                done = await ear.next(PingDone)
                assert (done.code, done.local) == (408, True)

    run(story)


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_where_nobody_listens_the_call_fails_at_once_and_others_are_not_disturbed(
    new_loop: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    async def story() -> None:
        async with sip_socket() as (near, ear), sip_socket() as (far, far_ear):
            nobody = near.core.invite(plan((HOST, free_port())), now())
            near.pump()
            somebody = near.core.invite(plan(far.address), now())  # sent while the first one's ICMP error is pending
            near.pump()
            failed = await ear.next(Failed)
            assert (failed.handle, failed.code, failed.local) == (nobody, 503, True)
            invited = await far_ear.next(Invited)
            far.core.respond(invited.handle, 486, now=now())
            far.pump()
            assert (await ear.next(Failed)).handle == somebody
            assert far_ear.heard.count(invited) == 1

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(story())


def test_a_datagram_that_cannot_be_sent_fails_its_call_at_once() -> None:
    async def story() -> None:
        async with sip_socket() as (sip, ear):
            long = InvitePlan(
                request_uri="sip:1@h", next_hop=(HOST, 9), from_uri="sip:u@h", to_uri="sip:1@h", body=b"v" * 70_000
            )
            handle = sip.core.invite(long, now())
            sip.pump()
            failed = await ear.next(Failed)
            assert (failed.handle, failed.code, failed.local) == (handle, 503, True)

    run(story)


def test_resolve_gives_addresses_and_says_when_there_is_none() -> None:
    async def story() -> None:
        async with sip_socket() as (sip, _):
            assert await sip.resolve("192.0.2.1") == "192.0.2.1"
            assert set(await asyncio.gather(sip.resolve("localhost"), sip.resolve("localhost"))) == {HOST}
            for unknown in ("nowhere.invalid", "a" * 64 + ".invalid", "::1"):
                with pytest.raises(OSError, match=r".+"):
                    await sip.resolve(unknown)

    run(story)


def test_garbage_from_the_network_is_counted_and_the_socket_lives_on() -> None:
    async def story() -> None:
        loop = asyncio.get_running_loop()
        async with sip_socket() as (sip, _), sip_socket() as (near, ear):
            transport, _protocol = await loop.create_datagram_endpoint(
                asyncio.DatagramProtocol, remote_addr=sip.address
            )
            for garbage in (b"\x80\x08rtp", b"\xff" * 1500, b"INVITE\r\n\r\n", b"\r\n\r\n"):
                transport.sendto(garbage)
            transport.close()
            near.core.ping(sip.address, now())
            near.pump()
            assert (await ear.next(PingDone)).code == 200
            assert sip.core.dropped == 3

    run(story)


def test_a_port_that_is_taken_is_an_os_error() -> None:
    async def story() -> None:
        def make(host: str, port: int) -> SipCore:
            return SipCore(contact_host=host, contact_port=port, new_id=lambda: "0" * 32)

        async with sip_socket() as (sip, _):
            with pytest.raises(OSError, match="ddress already in use"):
                await SipSocket.open(host=HOST, port=sip.address[1], core_factory=make)

    run(story)


def test_closing_twice_or_while_a_name_is_asked_for_leaves_nothing_running() -> None:
    async def story() -> None:
        async with sip_socket() as (sip, ear):
            sip.core.invite(plan(("nowhere.invalid", 5060)), now())
            sip.pump()
            await sip.close()
            await sip.close()
            sip.pump()
            assert isinstance(ear, Ear)
            assert ear.heard == []

    run(story)
