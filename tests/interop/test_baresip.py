"""Calls to baresip: what each side heard and wrote down, and what the telephone says of our signalling and sound.

All calls are placed at once, each to a telephone of its own; each test reads what became of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pytest
from tests.support.node_processes import marked_processes, wait_until
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
from tests.support.peers_baresip import Baresip, baresip, needs_baresip
from tests.support.tls import Authority

pytestmark = needs_baresip

NEAR_S = 0.3  # the telephone's side is stamped when its event is read
ACCOUNTS = {
    "udp": "",
    "tcp": ";audio_codecs=pcmu",
    "tls": ";audio_codecs=pcma",
    "g722": ";audio_codecs=g722/16000",
    "hold": "",
    "leaves": "",
    "busy": "",
    "silent": "",
}
TALKS = ("udp", "tcp", "tls", "g722", "hold")
NUMBER = "441908270000"  # of the telephone that speaks G.722, by a trunk that offers it
CAUSES = {"busy": ("BUSY(486)", "busy"), "silent": ("NOANSWER(487)", "no_answer")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One call that is over and the telephone it went to."""

    ended: Ended
    phone: Baresip


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Seen]]:
    folder = tmp_path_factory.mktemp("baresip")
    authority = Authority(folder)
    with marked_processes() as marked, ExitStack() as stack:
        marked.environment["SSL_CERT_FILE"] = str(authority.file)
        phones = {
            name: stack.enter_context(
                baresip(
                    folder / name,
                    marked,
                    answers="manual" if name in CAUSES else "auto",
                    user=NUMBER if name == "g722" else "phone",
                    account=account,
                    certificate=authority.certify("127.0.0.1") if name == "tls" else None,
                )
            )
            for name, account in ACCOUNTS.items()
        }
        with stand(folder / "node", marked) as stage:
            stage.prepare(*ACCOUNTS.keys() - {"silent"})
            stage.prepare("silent", ring_timeout_s=2)
            stage.add_trunk("wide", phones["g722"].address[1], NUMBER, codecs=["G722", "PCMA"])
            calls = {name: _place(stage, name, phone) for name, phone in phones.items()}
            _act(phones)
            ended = {name: stage.ended(call) for name, call in calls.items()}
        for phone in phones.values():
            phone.wait_for("CALL_CLOSED")
        yield {name: Seen(ended=ended[name], phone=phone) for name, phone in phones.items()}


def _place(stage: Stand, name: str, phone: Baresip) -> Placed:
    to = f"tel:{NUMBER}" if name == "g722" else phone.uri(transport=name if name in ("tcp", "tls") else "")
    if name in TALKS:
        return stage.converse(name, to)
    return stage.place(name, to, PLAY_TONE, rest(20))


def _act(phones: dict[str, Baresip]) -> None:
    """Do what the people at the telephones do."""
    phones["hold"].wait_for("CALL_ESTABLISHED")
    phones["hold"].command("hold")
    phones["busy"].wait_for("CALL_INCOMING")
    phones["busy"].command("hangup")
    phones["leaves"].wait_for("CALL_ESTABLISHED")
    phones["leaves"].command("hangup")
    for name in ("udp", "tcp", "tls", "g722"):
        phones[name].wait_for("CALL_ESTABLISHED")
        _press(phones[name])
    wait_until(lambda: "a=sendonly" in phones["hold"].log(), what="a telephone that holds")
    phones["hold"].command("resume")
    _press(phones["hold"])


def _press(phone: Baresip) -> None:
    for key in "5#9":
        phone.command("sndcode", key)


@pytest.mark.parametrize("name", TALKS)
def test_both_hear_the_other_s_tone_and_keys(seen: dict[str, Seen], name: str) -> None:
    call, phone = seen[name].ended, seen[name].phone
    check_conversation(call)
    assert phone.digits() == KEYS_SENT
    if name != "hold":  # its file begins anew when it resumes
        assert tone_ms(phone.heard(), TONE_HZ) == pytest.approx(TONE_MS, abs=60)


@pytest.mark.parametrize("name", [*TALKS, "leaves"])
def test_both_write_down_the_same_instants(seen: dict[str, Seen], name: str) -> None:
    call, phone = seen[name].ended, seen[name].phone
    answered, closed = phone.all("CALL_ESTABLISHED")[0], phone.all("CALL_CLOSED")[0]
    check_instants(call, answered_at=answered.at, ended_at=closed.at, near_s=NEAR_S)
    assert call.cdr["hangup_cause"] == "NORMAL(200)"


def test_the_telephone_s_hang_up_is_told_to_the_application(seen: dict[str, Seen]) -> None:
    assert seen["leaves"].ended.final["call_cause"] == "hung_up"


@pytest.mark.parametrize("name", CAUSES)
def test_a_call_that_is_not_answered_ends_with_its_cause(seen: dict[str, Seen], name: str) -> None:
    hangup_cause, cause = CAUSES[name]
    check_unanswered(seen[name].ended, hangup_cause=hangup_cause, cause=cause)


@pytest.mark.parametrize("name", TALKS)
def test_its_rtcp_says_that_nothing_was_lost(seen: dict[str, Seen], name: str) -> None:
    figures = seen[name].phone.figures()
    assert figures["PL"] == "0,0"
    assert figures["PD"] == "0,0"
    assert figures["DE"] == {"tcp": "PCMU/8000", "g722": "G722/16000"}.get(name, "PCMA/8000")


@pytest.mark.parametrize("name", ACCOUNTS)
def test_it_is_told_everything_once_and_complains_of_nothing(seen: dict[str, Seen], name: str) -> None:
    log = seen[name].phone.log()
    assert len(re.findall(r"^INVITE sip:(?:phone|44\d+)@", log, re.MULTILINE)) == 1
    requests = re.findall(r"^(ACK|BYE|CANCEL) sip:.*\r?\nVia:.*branch=(\w+)", log, re.MULTILINE)
    assert requests
    assert len(requests) == len(set(requests))
    # Its warnings are red.
    assert re.findall(r"\x1b\[31m([^\x1b]+)", log) == []
