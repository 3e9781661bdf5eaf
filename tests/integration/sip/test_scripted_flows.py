"""What carriers and telephones do that is not in the usual scenarios: SIPp plays it, the call engine takes it.

docs/reference/conformance.md lists which test covers which behaviour.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Awaitable, Callable, Iterator

import pytest
from tests.support.engine_calls import Air, on_the_air, order_to
from tests.support.sip_sipp import until
from tests.support.sipp import Sipp, SippMessage, SippResult, needs_sipp
from tests.support.sipp_script import answers, asks, receives, scripted, sound, waits

from callwright.engine.interface import CallFacts
from callwright.sip.auth import Credentials
from callwright.values.outcome import Cause, EndedBy

pytestmark = needs_sipp

Story = Callable[[Sipp], Awaitable[CallFacts]]
HANG_UP = (receives("BYE"), answers(200, tag=""))
CANCELLED = (receives("CANCEL"), answers(200), answers(487, kept=True), receives("ACK"))
DIRECTIONS = {"a=sendrecv", "a=recvonly", "a=sendonly", "a=inactive"}
ANSWER = (receives("INVITE"), answers(180), answers(200, sdp=sound()), receives("ACK"))


@pytest.fixture(scope="module")
def air() -> Iterator[Air]:
    with on_the_air() as opened:
        yield opened


def play(air: Air, story: Story, *steps: str, repeats: bool = True) -> tuple[CallFacts, SippResult]:
    """Run a story against SIPp's steps; SIPp must have seen all of them."""

    async def run() -> tuple[CallFacts, SippResult]:
        with scripted(*steps, repeats=repeats) as far:
            facts = await story(far)
            return facts, await asyncio.to_thread(far.finish)

    facts, seen = air.run(run())
    assert seen.all_succeeded, seen.why
    return facts, seen


def up_then_down(air: Air, *, when: Callable[[Sipp, CallFacts], bool] = lambda far, facts: True) -> Story:
    """Be answered, and hang up once something is so."""

    async def story(far: Sipp) -> CallFacts:
        call = await air.place(order_to((far.host, far.port)))
        await until(lambda: when(far, call.facts))
        await call.hang_up()
        return call.facts

    return story


def not_answered(air: Air, *, ring_timeout_s: float = 10.0) -> Story:
    async def story(far: Sipp) -> CallFacts:
        return (await air.fail(order_to((far.host, far.port), ring_timeout_s=ring_timeout_s))).facts

    return story


def received(seen: SippResult, method: str) -> list[SippMessage]:
    return [message for message in seen.messages if message.gist == f"> {method}"]


def outcome_of(facts: CallFacts) -> str:
    assert facts.outcome is not None
    return facts.outcome.hangup_cause


# --- passwords


def digest_parts(message: SippMessage) -> dict[str, str]:
    value = message.header("Proxy-Authorization") or ""
    return {
        name.lower(): quoted or plain for name, quoted, plain in re.findall(r'(\w+)=(?:"([^"]*)"|([^\s,]+))', value)
    }


def expected_response(parts: dict[str, str], digest: Callable[[bytes], str]) -> str:
    """The answer by RFC 7616 section 3.4.1, worked out here and not by what is tested."""
    first = digest(f"alice:{parts['realm']}:open sesame".encode())
    second = digest(f"INVITE:{parts['uri']}".encode())
    middle = f"{parts['nonce']}:{parts['nc']}:{parts['cnonce']}:{parts['qop']}"
    return digest(f"{first}:{middle}:{second}".encode())


@pytest.mark.parametrize(
    ("algorithm", "digest"),
    [("MD5", lambda data: hashlib.md5(data).hexdigest()), ("SHA-256", lambda data: hashlib.sha256(data).hexdigest())],
)
def test_a_proxy_s_challenge_and_a_stale_nonce_are_answered(
    air: Air, algorithm: str, digest: Callable[[bytes], str]
) -> None:
    challenge = f'Proxy-Authenticate: Digest realm="proxy", qop="auth", algorithm={algorithm}, nonce='
    air.routes.credentials = Credentials(user="alice", password="open sesame")
    try:
        _, seen = play(
            air,
            up_then_down(air),
            receives("INVITE"),
            answers(407, f'{challenge}"first"'),
            receives("ACK"),
            receives("INVITE"),
            answers(407, f'{challenge}"second", stale=true', tag="two"),
            receives("ACK"),
            *ANSWER,
            *HANG_UP,
        )
    finally:
        air.routes.credentials = None
    first, second, third = received(seen, "INVITE")
    assert first.header("Proxy-Authorization") is None
    for message, nonce in ((second, "first"), (third, "second")):
        parts = digest_parts(message)
        assert (parts["nonce"], parts["algorithm"]) == (nonce, algorithm)
        assert parts["response"] == expected_response(parts, digest)
    assert [message.header("CSeq") for message in (first, second, third)] == ["1 INVITE", "2 INVITE", "3 INVITE"]
    assert len({message.header("Call-ID") for message in (first, second, third)}) == 1


def test_of_two_challenges_the_stronger_that_comes_first_is_answered(air: Air) -> None:
    air.routes.credentials = Credentials(user="alice", password="open sesame")
    names = ("SHA-256", "MD5")
    challenges = [f'Proxy-Authenticate: Digest realm="p", nonce="n", qop="auth", algorithm={name}' for name in names]
    try:
        _, seen = play(
            air, up_then_down(air), receives("INVITE"), answers(407, *challenges), receives("ACK"), *ANSWER, *HANG_UP
        )
    finally:
        air.routes.credentials = None
    assert digest_parts(received(seen, "INVITE")[1])["algorithm"] == "SHA-256"


def test_the_same_challenge_again_ends_the_call(air: Air) -> None:
    challenge = 'Proxy-Authenticate: Digest realm="proxy", nonce="same", algorithm=MD5'
    air.routes.credentials = Credentials(user="alice", password="wrong")
    refusal = (receives("INVITE"), answers(407, challenge), receives("ACK"))
    try:
        facts, seen = play(air, not_answered(air), *refusal, *refusal)
    finally:
        air.routes.credentials = None
    assert facts.outcome is not None
    assert (facts.outcome.cause, facts.outcome.code) == (Cause.FAILED, 407)
    assert len(received(seen, "INVITE")) == 2


# --- answers


def test_a_second_telephone_that_answers_is_acknowledged_and_hung_up_and_the_first_stays(air: Air) -> None:
    def second_is_gone(far: Sipp, facts: CallFacts) -> bool:
        return far.result().gists.count("> BYE") == 1

    _, seen = play(
        air,
        up_then_down(air, when=second_is_gone),
        receives("INVITE"),
        answers(180),
        answers(180, tag="two"),
        answers(200, sdp=sound()),
        receives("ACK"),
        answers(200, sdp=sound(), tag="two", kept=True, repeats=False),
        receives("ACK"),
        *HANG_UP,
        *HANG_UP,
    )
    tags = [(message.header("To") or "").rpartition("tag=")[2][:3] for message in received(seen, "BYE")]
    assert tags == ["two", "one"]


def test_ringing_that_must_be_acknowledged_is(air: Air) -> None:
    facts, seen = play(
        air,
        up_then_down(air),
        receives("INVITE"),
        answers(180, "Require: 100rel", "RSeq: 42", repeats=True),
        receives("PRACK"),
        answers(200, tag=""),
        answers(200, sdp=sound(), kept=True),
        receives("ACK"),
        *HANG_UP,
    )
    assert facts.ringing_at is not None
    [prack] = received(seen, "PRACK")
    assert prack.header("RAck") == "42 1 INVITE"


@pytest.mark.parametrize("code", [600, 603, 604, 606])
def test_a_refusal_for_everywhere_ends_the_call(air: Air, code: int) -> None:
    facts, _ = play(air, not_answered(air), receives("INVITE"), answers(180), answers(code), receives("ACK"))
    assert facts.outcome is not None
    assert (facts.outcome.code, facts.outcome.ended_by) == (code, EndedBy.FAR_END)


def test_a_trying_and_then_nothing_is_cancelled_at_the_ring_time_out(air: Air) -> None:
    facts, seen = play(
        air,
        not_answered(air, ring_timeout_s=0.4),
        receives("INVITE"),
        answers(100, tag=""),
        *CANCELLED,
    )
    assert outcome_of(facts) == "NOANSWER(487)"
    assert facts.ringing_at is None
    assert len(received(seen, "INVITE")) == 1


def test_a_cancel_waits_for_the_first_word_of_the_far_end(air: Air) -> None:
    facts, seen = play(
        air,
        not_answered(air, ring_timeout_s=0.2),
        receives("INVITE"),
        waits(400),
        answers(100, tag=""),
        *CANCELLED,
    )
    assert outcome_of(facts) == "NOANSWER(487)"
    assert seen.gists.index("< 100") < seen.gists.index("> CANCEL")


# --- in the call


def test_hold_resume_and_a_change_of_codec_are_agreed_to(air: Air) -> None:
    def offer(cseq: int, **how: object) -> tuple[str, ...]:
        described = sound(version=cseq, **how)  # type: ignore[arg-type]
        return (
            asks("INVITE", cseq=cseq, sdp=described),
            receives(100, optional=True),
            receives(200),
            asks("ACK", cseq=cseq),
        )

    facts, seen = play(
        air,
        up_then_down(air, when=lambda far, facts: facts.codec == "PCMU"),
        *ANSWER,
        *offer(10, direction="sendonly"),
        *offer(11),
        *offer(12, direction="inactive"),
        *offer(13, payload=0),
        *HANG_UP,
    )
    answered = [message.text for message in seen.messages if message.gist == "> 200" and "m=audio" in message.text]
    directions = [next(line for line in text.split() if line in DIRECTIONS) for text in answered]
    assert directions == ["a=recvonly", "a=sendrecv", "a=inactive", "a=sendrecv"]
    versions = [int(next(line for line in text.splitlines() if line[:2] == "o=").split()[2]) for text in answered]
    assert versions == sorted(set(versions))
    assert facts.codec == "PCMU"


def test_byes_that_cross_on_the_wire_are_both_answered(air: Air) -> None:
    facts, seen = play(
        air,
        up_then_down(air),
        *ANSWER,
        receives("BYE", keep=True),
        asks("BYE", cseq=7, repeats=False),
        receives(200),
        answers(200, tag="", kept=True),
    )
    assert facts.outcome is not None
    assert facts.outcome.ended_by is EndedBy.APPLICATION
    assert seen.gists.count("> BYE") == 1


def test_a_bye_that_is_lost_twice_is_sent_until_it_is_answered(air: Air) -> None:
    _, seen = play(air, up_then_down(air), *ANSWER, receives("BYE"), receives("BYE"), *HANG_UP, repeats=False)
    assert len(received(seen, "BYE")) == 3
