"""The four transaction machines by themselves, timer by timer (RFC 3261 section 17, RFC 6026)."""

from __future__ import annotations

import pytest
from tests.support.sip_talk import PEER, request_from_peer, response_to

from callwright.sip.agenda import Timers
from callwright.sip.event import Send
from callwright.sip.message import Request, Response
from callwright.sip.transaction import (
    ClientTransaction,
    InviteClient,
    InviteServer,
    PlainClient,
    PlainServer,
    ServerKey,
    ServerTransaction,
    State,
)

KEY: ServerKey = ("z9hG4bK1", "h:5060", "INVITE")


class Bench:
    """One machine with its outbox, its table and everything its user heard."""

    def __init__(self) -> None:
        self.outbox: list[Send] = []
        self.clients: dict[str, ClientTransaction] = {}
        self.servers: dict[ServerKey, ServerTransaction] = {}
        self.heard: list[int] = []
        self.failed: list[tuple[int, float]] = []

    def invite_client(self, request: Request) -> InviteClient:
        return InviteClient(
            key="k",
            request=request,
            to=PEER,
            timers=Timers(),
            outbox=self.outbox,
            table=self.clients,
            on_response=self._hear,
            on_failure=self._fail,
            now=0.0,
        )

    def plain_client(self, request: Request) -> PlainClient:
        return PlainClient(
            key="k",
            request=request,
            to=PEER,
            timers=Timers(),
            outbox=self.outbox,
            table=self.clients,
            on_response=self._hear,
            on_failure=self._fail,
            now=0.0,
        )

    def invite_server(self, request: Request, *, trying: bytes | None = None) -> InviteServer:
        return InviteServer(
            key=KEY,
            request=request,
            source=PEER,
            to=PEER,
            timers=Timers(),
            outbox=self.outbox,
            table=self.servers,
            trying=trying,
            now=0.0,
        )

    def plain_server(self, request: Request) -> PlainServer:
        return PlainServer(
            key=KEY, request=request, source=PEER, to=PEER, timers=Timers(), outbox=self.outbox, table=self.servers
        )

    def _hear(self, response: Response, source: tuple[str, int], now: float) -> None:
        self.heard.append(response.code)

    def _fail(self, code: int, now: float) -> None:
        self.failed.append((code, now))

    def sent(self) -> int:
        count = len(self.outbox)
        self.outbox.clear()
        return count


def run(machine: ClientTransaction | ServerTransaction) -> list[float]:
    """Wake a machine at every moment it asks for; returns the moments."""
    moments = []
    while (at := machine.wake_at()) is not None and not machine.is_over:
        moments.append(at)
        machine.wake(at)
        assert len(moments) < 100
    return moments


INVITE = request_from_peer("INVITE")
BYE = request_from_peer("BYE")


def test_timers_a_and_b() -> None:
    bench = Bench()
    machine = bench.invite_client(INVITE)
    assert bench.clients == {"k": machine}
    assert run(machine) == [0.5, 1.5, 3.5, 7.5, 15.5, 31.5, 32.0]
    assert bench.sent() == 7
    assert bench.failed == [(408, 32.0)]
    machine.leave()
    assert bench.clients == {}


def test_timer_d_after_a_refusal_whose_repetitions_are_acknowledged_but_not_heard() -> None:
    bench = Bench()
    machine = bench.invite_client(INVITE)
    machine.receive(response_to(INVITE, 486, tag="x"), PEER, 1.0)
    machine.receive(response_to(INVITE, 486, tag="x"), PEER, 2.0)
    machine.receive(response_to(INVITE, 180, tag="x"), PEER, 2.0)
    assert bench.heard == [486]
    assert [send.data[:3] for send in bench.outbox] == [b"INV", b"ACK", b"ACK"]
    assert run(machine) == [33.0]
    assert (machine.state, bench.failed) == (State.TERMINATED, [])


def test_timer_m_after_an_answer_every_copy_of_which_is_heard() -> None:
    bench = Bench()
    machine = bench.invite_client(INVITE)
    machine.receive(response_to(INVITE, 180, tag="x"), PEER, 0.5)
    assert machine.wake_at() is None
    machine.receive(response_to(INVITE, 200, tag="x"), PEER, 1.0)
    machine.receive(response_to(INVITE, 200, tag="y"), PEER, 2.0)
    machine.receive(response_to(INVITE, 486, tag="z"), PEER, 2.0)
    assert bench.heard == [180, 200, 200]
    assert run(machine) == [33.0]
    assert bench.failed == []


def test_an_answer_behind_a_refusal_is_heard() -> None:
    bench = Bench()
    machine = bench.invite_client(INVITE)
    machine.receive(response_to(INVITE, 487, tag="x"), PEER, 1.0)
    machine.receive(response_to(INVITE, 200, tag="y"), PEER, 2.0)
    assert bench.heard == [487, 200]


def test_a_client_that_cannot_send_fails_once_and_not_after_an_answer() -> None:
    bench = Bench()
    for machine in (bench.invite_client(INVITE), bench.plain_client(BYE)):
        machine.fail(503, 0.1)
        machine.fail(503, 0.2)
        assert machine.is_over
    assert bench.failed == [(503, 0.1), (503, 0.1)]
    answered = bench.invite_client(INVITE)
    answered.receive(response_to(INVITE, 180), PEER, 0.0)
    answered.fail(503, 1.0)
    assert not answered.is_over
    answered.abandon()
    assert answered.is_over


def test_timers_e_and_f() -> None:
    bench = Bench()
    assert run(bench.plain_client(BYE)) == [0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5, 32.0]
    assert bench.sent() == 11
    assert bench.failed == [(408, 32.0)]


def test_a_provisional_answer_slows_a_plain_client_to_t2_but_timer_f_stands() -> None:
    bench = Bench()
    machine = bench.plain_client(BYE)
    machine.receive(response_to(BYE, 100), PEER, 0.1)
    assert run(machine) == [0.5, 4.5, 8.5, 12.5, 16.5, 20.5, 24.5, 28.5, 32.0]
    assert bench.failed == [(408, 32.0)]


def test_timer_k_swallows_repeated_answers() -> None:
    bench = Bench()
    machine = bench.plain_client(BYE)
    machine.receive(response_to(BYE, 200), PEER, 1.0)
    machine.receive(response_to(BYE, 200), PEER, 2.0)
    assert bench.heard == [200]
    assert run(machine) == [6.0]
    assert bench.failed == []


def test_timers_g_and_h_when_the_ack_never_comes() -> None:
    bench = Bench()
    machine = bench.invite_server(INVITE)
    machine.respond(486, b"486", 0.0)
    assert run(machine) == [0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5, 32.0]
    assert bench.sent() == 11
    machine.leave()
    assert bench.servers == {}


def test_timer_i_after_the_ack() -> None:
    bench = Bench()
    machine = bench.invite_server(INVITE)
    machine.respond(486, b"486", 0.0)
    ack = request_from_peer("ACK")
    machine.receive(ack, 1.0)
    machine.receive(ack, 2.0)
    machine.receive(INVITE, 2.0)
    assert machine.state is State.CONFIRMED
    assert bench.sent() == 1
    assert run(machine) == [6.0]


def test_timer_l_after_an_answer() -> None:
    bench = Bench()
    machine = bench.invite_server(INVITE, trying=b"100")
    machine.respond(200, b"200", 0.1)
    machine.receive(INVITE, 1.0)
    assert bench.sent() == 1
    assert not machine.is_pending
    machine.respond(486, b"486", 1.0)
    assert bench.sent() == 0
    assert run(machine) == [32.1]


def test_100_is_sent_after_200_ms_unless_something_else_was() -> None:
    bench = Bench()
    silent = bench.invite_server(INVITE, trying=b"100")
    assert run(silent) == [0.2]
    assert [send.data for send in bench.outbox] == [b"100"]
    ringing = bench.invite_server(INVITE, trying=b"100")
    ringing.respond(180, b"180", 0.1)
    assert run(ringing) == []


def test_timer_j_answers_repetitions() -> None:
    bench = Bench()
    machine = bench.plain_server(BYE)
    machine.receive(BYE, 0.0)
    assert bench.sent() == 0
    machine.respond(100, b"100", 0.0)
    machine.receive(BYE, 0.0)
    machine.respond(200, b"200", 1.0)
    machine.respond(500, b"500", 1.0)
    machine.receive(BYE, 2.0)
    assert [send.data for send in bench.outbox] == [b"100", b"100", b"200", b"200"]
    assert run(machine) == [33.0]


@pytest.mark.parametrize("at", [0.4, 31.0])
def test_waking_too_early_does_nothing(at: float) -> None:
    bench = Bench()
    machine = bench.plain_server(BYE)
    machine.respond(200, b"200", 0.0)
    bench.sent()
    machine.wake(at)
    assert (bench.sent(), machine.is_over) == (0, False)
