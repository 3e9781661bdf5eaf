"""Calls to PJSIP: what each side heard and wrote down, reliable provisional answers, hold and new offers.

All calls are placed at once, each to a telephone of its own; each test reads what became of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest
from tests.support.node_processes import marked_processes
from tests.support.peers import (
    KEYS_SENT,
    PLAY_TONE,
    TONE_HZ,
    TONE_MS,
    Ended,
    Placed,
    Stand,
    check_conversation,
    check_instants,
    check_unanswered,
    rest,
    stand,
    tone_ms,
)
from tests.support.peers_pjsip import Figures, Pjsip, needs_pjsip, pjsip
from tests.support.tls import Authority

pytestmark = needs_pjsip

NEAR_S = 0.3  # the telephone looks around every 10 ms when nobody else wants the processor
UP = ((0.0, 180), (0.2, 200))
PHONES: dict[str, dict[str, Any]] = {
    "reliable": {"reliable": "must", "answers": ((0.0, 183), (0.5, 200)), "codecs": ("PCMA",)},
    "info": {"transport": "tcp", "codecs": ("PCMU",)},
    "secure": {"transport": "tls", "codecs": ("PCMU", "PCMA")},
    "hold": {"codecs": ("PCMU", "PCMA"), "timers": "always", "session_s": 90},
    "quiet": {"silence_suppression": True},
    "wide": {"codecs": ("G722",)},
    "leaves": {},
    "refuses": {
        "answers": {
            "busy": ((0.0, 180), (0.2, 486)),
            "declined": ((0.2, 603),),
            "silent": ((0.0, 180),),
        }
    },
}
TALKS = ("reliable", "info", "secure", "hold", "quiet", "wide")
NUMBER = "441908270000"  # of the telephone that speaks G.722, by a trunk that offers it
CAUSES = {
    "busy": ("BUSY(486)", "busy"),
    "declined": ("REJECTED(603)", "failed"),
    "silent": ("NOANSWER(487)", "no_answer"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One call that is over and the telephone it went to; ``figures`` where it was asked for them."""

    ended: Ended
    phone: Pjsip
    figures: Figures | None


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Seen]]:
    folder = tmp_path_factory.mktemp("pjsip")
    authority = Authority(folder)
    certificate, key = authority.certify("127.0.0.1")
    with marked_processes() as marked:
        marked.environment["SSL_CERT_FILE"] = str(authority.file)
        with ExitStack() as stack:
            more = {"certificate": str(certificate), "key": str(key), "wants_certificates_of": str(authority.file)}
            shown, shown_key = authority.certify("node.example")
            settings = f'[sip]\ncertificate = "{shown}"\nkey = "{shown_key}"\ntls_port = 0\n'
            phones = {
                name: stack.enter_context(pjsip(folder / name, marked, **(more | facts)))
                for name, facts in PHONES.items()
            }
            with stand(folder / "node", marked, settings=settings) as stage:
                stage.prepare(*TALKS, "leaves", "busy", "declined")
                stage.prepare("silent", ring_timeout_s=2)
                stage.add_trunk("wide", phones["wide"].port, NUMBER, codecs=["G722", "PCMA"])
                to = {name: phones[name].uri() for name in TALKS} | {"wide": f"tel:{NUMBER}"}
                calls = {name: stage.converse(name, to[name], rest(20)) for name in TALKS}
                calls["leaves"] = stage.place("leaves", phones["leaves"].uri(), PLAY_TONE, rest(20))
                for name in CAUSES:
                    calls[name] = stage.place(name, phones["refuses"].uri(name), PLAY_TONE)
                figures = _act(stage, phones, calls)
                ended = {name: stage.ended(call) for name, call in calls.items()}
            for phone in phones.values():
                phone.wait_for("state", state="DISCONNECTED")
                phone.leave()
        # What the telephones heard is complete once they are closed.
        yield {
            name: Seen(ended=one, phone=phones.get(name, phones["refuses"]), figures=figures.get(name))
            for name, one in ended.items()
        }


def _act(stage: Stand, phones: dict[str, Pjsip], calls: dict[str, Placed]) -> dict[str, Figures]:
    """Do what the people at the telephones do."""
    hold = phones["hold"]
    hold.wait_for("state", state="CONFIRMED")
    hold.tell("hold")
    hold.wait_for("held")
    phones["leaves"].wait_for("state", state="CONFIRMED")
    phones["leaves"].tell("hang up")
    for name in TALKS:
        if name != "hold":
            phones[name].wait_for("state", state="CONFIRMED")
            phones[name].tell("digits", digits="5#9", by="info" if name == "info" else "rfc4733")
    for offer in ({"do": "resume"}, {"do": "reoffer", "codecs": ["PCMA", "PCMU"]}, {"do": "update"}):
        before = len(hold.all("media"))
        hold.tell(**offer)
        hold.wait_for("media", times=before + 1)
    hold.tell("digits", digits="5#9", by="rfc4733")
    figures = {}
    for name in TALKS:
        stage.wait_page(calls[name], "recorded")
        figures[name] = phones[name].figures()
        phones[name].tell("hang up")
    return figures


@pytest.mark.parametrize("name", TALKS)
def test_both_hear_the_other_s_tone_and_keys(seen: dict[str, Seen], name: str) -> None:
    call, phone = seen[name].ended, seen[name].phone
    check_conversation(call)
    assert phone.digits() == KEYS_SENT
    assert tone_ms(phone.heard(), TONE_HZ) == pytest.approx(TONE_MS, abs=160 if name == "hold" else 80)


@pytest.mark.parametrize("name", [*TALKS, "leaves"])
def test_both_write_down_the_same_instants(seen: dict[str, Seen], name: str) -> None:
    call, phone = seen[name].ended, seen[name].phone
    answered, closed = (phone.all("state", state=state)[0] for state in ("CONFIRMED", "DISCONNECTED"))
    check_instants(call, answered_at=answered["at"], ended_at=closed["at"], near_s=NEAR_S)
    assert call.final["call_cause"] == "hung_up"


@pytest.mark.parametrize("name", CAUSES)
def test_a_call_that_is_not_answered_ends_with_its_cause(seen: dict[str, Seen], name: str) -> None:
    hangup_cause, cause = CAUSES[name]
    check_unanswered(seen[name].ended, hangup_cause=hangup_cause, cause=cause)


def test_a_reliable_progress_is_acknowledged_once(seen: dict[str, Seen]) -> None:
    log = seen["reliable"].phone.log()
    assert len(re.findall(r"^PRACK sip:", log, re.MULTILINE)) == 1
    assert len(re.findall(r"^SIP/2.0 183 ", log, re.MULTILINE)) == 1
    assert re.search(r"^Require: 100rel", log, re.MULTILINE)


def test_hold_resume_another_codec_and_an_update_are_answered_with_newer_descriptions(seen: dict[str, Seen]) -> None:
    log = seen["hold"].phone.log()
    versions = re.findall(r"^o=- (\d+) (\d+) IN IP4 127\.0\.0\.1\r?\ns=-", log, re.MULTILINE)
    assert len({session for session, _ in versions}) == 1
    assert [int(version) for _, version in versions] == list(range(1, 6))
    assert "a=recvonly" in log


@pytest.mark.parametrize("name", TALKS)
def test_its_rtcp_says_that_nothing_was_lost_and_that_we_report(seen: dict[str, Seen], name: str) -> None:
    figures = seen[name].figures
    assert figures is not None
    assert (figures.lost, figures.misordered) == (0, 0), figures.text
    assert figures.received > 200
    assert figures.reports == 1, figures.text


@pytest.mark.parametrize("name", [*TALKS, "leaves", *CAUSES])
def test_it_is_told_everything_once_and_complains_of_nothing(seen: dict[str, Seen], name: str) -> None:
    phone = seen[name].phone
    assert len(phone.all("incoming")) == (len(CAUSES) if name in CAUSES else 1)
    assert phone.all("problem") == []
    log = phone.log()
    assert len(re.findall("Retransmit timer event", log)) <= 2  # none but on a machine that had no time for our ACK
    faults = re.findall(r"^.*(?:[Ii]nvalid|[Bb]ad |PJ_E|PJSIP_E|PJMEDIA_E).*$", log, re.M)
    own = (
        "Remove port failed",  # how it closes its files
        "transport destroyed",  # its connection when the node ends
        "Bad RTP pt 0 (expecting 8)",  # packets that were on their way when it changed the codec
    )
    assert [fault for fault in faults if not any(word in fault for word in own)] == []
