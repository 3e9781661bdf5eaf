"""SIP addresses found by a real name server and reached by UDP, TCP and TLS, through a whole engine."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from tests.support.engine_calls import Told, order_to
from tests.support.far_end import FarEnd, far_end
from tests.support.name_server import NameServer, Zone, name_server
from tests.support.real_engine import RealEngine, real_engine
from tests.support.sip_sipp import Ear
from tests.support.tls import Authority

from callwright.engine.call import OutgoingCall
from callwright.engine.interface import CallFailed
from callwright.engine.sip_tls import TlsSettings
from callwright.sip.core import Timers
from callwright.sip.event import Ended, Invited
from callwright.values.outcome import EndedBy

HOST = "127.0.0.1"
QUICK = Timers(t1=0.02, t2=0.16, t4=0.2)  # 64*T1 is 1.28 s

Story = Callable[[RealEngine, list[FarEnd], NameServer], Awaitable[None]]


def run(
    story: Story,
    zone: Callable[[list[FarEnd]], Zone],
    *,
    far_ends: int = 1,
    tls: TlsSettings | None = None,
    far_tls: TlsSettings | None = None,
    timers: Timers | None = None,
) -> None:
    async def main() -> None:
        async with asyncio.timeout(40), AsyncExitStack() as stack:
            far = [await stack.enter_async_context(far_end(tls=far_tls)) for _ in range(far_ends)]
            server, names = await stack.enter_async_context(name_server(zone(far)))
            world = await stack.enter_async_context(real_engine(names=names, tls=tls, timers=timers))
            await story(world, far, server)

    asyncio.run(main())


def placing(world: RealEngine, address: str) -> asyncio.Task[OutgoingCall]:
    told = Told()
    return asyncio.create_task(
        world.engine.place(order_to(address), before_invite=told.before_invite, on_answered=told.on_answered)
    )


async def up_and_down(world: RealEngine, far: FarEnd, address: str) -> tuple[Invited, OutgoingCall]:
    """Call an address that leads to a far end; it answers, and we hang up."""
    task = placing(world, address)
    invited = await far.answer()
    call = await task
    await call.hang_up()
    await far.ear.next(Ended)
    return invited, call


def header(invited: Invited, name: str) -> str:
    return next(value for key, value in invited.headers if key == name)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def heard_nothing(ear: Ear) -> bool:
    return not any(isinstance(event, Invited) for event in ear.heard)


# --- ways


def test_naptr_srv_and_a_records_lead_to_a_server_by_tcp() -> None:
    async def story(world: RealEngine, far: list[FarEnd], server: NameServer) -> None:
        invited, call = await up_and_down(world, far[0], "sip:anna@example.test")
        assert header(invited, "Via").startswith("SIP/2.0/TCP ")
        assert "transport=tcp" in header(invited, "Contact")
        assert invited.request_uri == "sip:anna@example.test"
        assert call.facts.remote == f"{HOST}:{far[0].address[1]}"
        assert {kind for _, kind in server.asked} >= {"NAPTR", "SRV", "A"}

    run(
        story,
        lambda far: {
            ("example.test.", "NAPTR"): [
                '20 10 "s" "SIP+D2U" "" _sip._udp.example.test.',
                '10 10 "s" "SIP+D2T" "" _sip._tcp.example.test.',
            ],
            ("_sip._tcp.example.test.", "SRV"): [f"1 0 {far[0].address[1]} gw.example.test."],
            ("_sip._udp.example.test.", "SRV"): ["1 0 9 gw.example.test."],
            ("gw.example.test.", "A"): [HOST],
        },
    )


def test_srv_alone_leads_to_a_server_by_udp() -> None:
    async def story(world: RealEngine, far: list[FarEnd], _server: NameServer) -> None:
        invited, _ = await up_and_down(world, far[0], "sip:anna@example.test")
        assert header(invited, "Via").startswith("SIP/2.0/UDP ")

    run(
        story,
        lambda far: {
            ("_sip._udp.example.test.", "SRV"): [f"1 0 {far[0].address[1]} gw.example.test."],
            ("gw.example.test.", "A"): [HOST],
        },
    )


def test_a_name_that_nobody_knows_ends_at_once() -> None:
    async def story(world: RealEngine, _far: list[FarEnd], _server: NameServer) -> None:
        with pytest.raises(CallFailed) as failed:
            await placing(world, "sip:anna@nowhere.test")
        assert (failed.value.outcome.code, failed.value.outcome.ended_by) == (503, EndedBy.PLATFORM)

    run(story, lambda far: {})


# --- failover (never when somebody may have been rung)


def two_servers(first: int, second: int, transport: str = "udp") -> Zone:
    return {
        (f"_sip._{transport}.example.test.", "SRV"): [
            f"1 0 {first} gw.example.test.",
            f"2 0 {second} gw.example.test.",
        ],
        ("gw.example.test.", "A"): [HOST],
    }


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_where_nobody_listens_the_second_server_is_asked(transport: str) -> None:
    async def story(world: RealEngine, far: list[FarEnd], _server: NameServer) -> None:
        await up_and_down(world, far[0], f"sip:anna@example.test;transport={transport}")

    run(story, lambda far: two_servers(free_port(), far[0].address[1], transport))


def test_a_server_that_is_unavailable_leaves_the_call_to_the_second_in_the_same_dialog() -> None:
    async def story(world: RealEngine, far: list[FarEnd], _server: NameServer) -> None:
        task = placing(world, "sip:anna@example.test")
        first = await far[0].ear.next(Invited)
        far[0].respond(first, 503)
        second = await far[1].answer()
        assert second.call_id == first.call_id
        assert header(second, "CSeq") == "2 INVITE"
        await (await task).hang_up()

    run(story, lambda far: two_servers(far[0].address[1], far[1].address[1]), far_ends=2)


@pytest.mark.parametrize("rings", [True, False])
def test_a_server_that_rang_or_asks_for_peace_keeps_the_call(rings: bool) -> None:
    async def story(world: RealEngine, far: list[FarEnd], _server: NameServer) -> None:
        task = placing(world, "sip:anna@example.test")
        invited = await (far[0].ring() if rings else far[0].ear.next(Invited))
        far[0].respond(invited, 503, headers=() if rings else (("Retry-After", "7"),))
        with pytest.raises(CallFailed) as failed:
            await task
        assert (failed.value.outcome.code, failed.value.facts.retry_after_s) == (503, None if rings else 7)
        assert heard_nothing(far[1].ear)

    run(story, lambda far: two_servers(far[0].address[1], far[1].address[1]), far_ends=2)


def test_a_server_that_stays_silent_may_be_ringing_and_no_other_is_asked() -> None:
    async def story(world: RealEngine, far: list[FarEnd], _server: NameServer) -> None:
        far[0].go_deaf()
        with pytest.raises(CallFailed) as failed:
            await placing(world, "sip:anna@example.test")
        assert failed.value.outcome.code == 408
        assert heard_nothing(far[1].ear)

    run(story, lambda far: two_servers(far[0].address[1], far[1].address[1]), far_ends=2, timers=QUICK)


# --- sips:


def secure_zone(far: list[FarEnd]) -> Zone:
    return {
        ("example.test.", "NAPTR"): [
            '10 10 "s" "SIP+D2U" "" _sip._udp.example.test.',
            '20 10 "s" "SIPS+D2T" "" _sips._tcp.example.test.',
        ],
        ("_sip._udp.example.test.", "SRV"): [f"1 0 {far[0].address[1]} gw.example.test."],
        ("_sips._tcp.example.test.", "SRV"): [f"1 0 {far[0].sip.tls_port} gw.example.test."],
        ("gw.example.test.", "A"): [HOST],
    }


def test_sips_goes_by_tls_only_both_sides_prove_who_they_are_and_contacts_are_sips(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    certificate, key = authority.certify("example.test")
    own, own_key = authority.certify("node.test")

    async def story(world: RealEngine, far: list[FarEnd], _server: NameServer) -> None:
        seen: list[str] = []
        world.sip.trace = lambda way, data, *_: seen.append(data.decode()) if way == "<" else None
        task = placing(world, "sips:anna@example.test")
        invited = await far[0].answer()
        call = await task
        assert header(invited, "Via").startswith("SIP/2.0/TLS ")
        assert header(invited, "Contact") == f"<sips:{HOST}:{world.sip.tls_port}>"
        (ok,) = [text for text in seen if text.startswith("SIP/2.0 200")]
        assert f"Contact: <sips:{HOST}:{far[0].sip.tls_port}>" in ok  # RFC 5630 section 5.1.2
        far[0].hang_up(invited)  # the BYE comes by TLS, too
        await call.wait_ended()
        assert any(text.startswith(f"BYE sips:{HOST}") for text in seen)

    run(
        story,
        secure_zone,
        tls=TlsSettings(certificate=own, key=own_key, authorities=authority.file, port=0),
        far_tls=TlsSettings(certificate=certificate, key=key, authorities=authority.file, port=0, ask_clients=True),
    )


def run_in_vain(folder: Path, *, proves: str, code: int, ask_clients: bool = False, days_left: float = 1) -> None:
    """Call a server that proves a name, without a certificate of one's own; it must hear nothing of the call."""
    authority = Authority(folder)
    certificate, key = authority.certify(proves, days_left=days_left)

    async def story(world: RealEngine, far: list[FarEnd], _server: NameServer) -> None:
        with pytest.raises(CallFailed) as failed:
            await placing(world, "sips:anna@example.test")
        assert failed.value.outcome.code == code
        assert heard_nothing(far[0].ear)

    far_tls = TlsSettings(certificate=certificate, key=key, authorities=authority.file, port=0, ask_clients=ask_clients)
    run(story, secure_zone, tls=TlsSettings(authorities=authority.file), far_tls=far_tls)


@pytest.mark.parametrize("proves", ["another.test", "gw.example.test", HOST])
def test_a_server_that_proves_another_name_than_the_one_asked_for_gets_nothing(tmp_path: Path, proves: str) -> None:
    run_in_vain(tmp_path, proves=proves, code=503)


def test_a_server_whose_certificate_has_expired_gets_nothing(tmp_path: Path) -> None:
    run_in_vain(tmp_path, proves="example.test", code=503, days_left=-1)


def test_without_a_client_certificate_a_server_that_wants_one_is_not_reached(tmp_path: Path) -> None:
    # With TLS 1.3 the INVITE leaves before the server judges: for us it is one that met silence.
    run_in_vain(tmp_path, proves="example.test", code=408, ask_clients=True)


# --- IPv6


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_a_call_between_ipv6_addresses_is_set_up_by_name(transport: str) -> None:
    async def main() -> None:
        async with asyncio.timeout(40), AsyncExitStack() as stack:
            far = await stack.enter_async_context(far_end(host="::1"))
            zone = {("six.test.", "AAAA"): ["::1"], ("six.test.", "A"): [HOST]}
            _, names = await stack.enter_async_context(name_server(zone))
            world = await stack.enter_async_context(real_engine(host="::1", names=names))
            invited, call = await up_and_down(world, far, f"sip:anna@six.test:{far.address[1]};transport={transport}")
            assert header(invited, "Contact").startswith("<sip:[::1]:")
            assert b"IN IP6 ::1" in invited.body
            # By TCP an IPv4 address is worth a try from here, too: nobody listened there.
            assert transport == "tcp" or call.facts.remote == f"[::1]:{far.address[1]}"

    asyncio.run(main())
