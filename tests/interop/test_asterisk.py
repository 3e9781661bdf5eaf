"""Calls by trunks to an Asterisk: what both sides heard, what both wrote down, and what it complained of.

A campaign for one's own machine (``pytest -m load tests/interop/test_asterisk.py``): docs/interoperability.md has its
results. All calls are placed at once; each test reads what became of its own.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from tests.support.audio import find_tone
from tests.support.node_processes import marked_processes, wait_until
from tests.support.peers import (
    KEYS_SENT,
    PEER_HZ,
    PLAY_TONE,
    TONE_HZ,
    TONE_MS,
    Ended,
    Stand,
    check_conversation,
    check_instants,
    check_unanswered,
    rest,
    stand,
)
from tests.support.peers_asterisk import PASSWORD, Asterisk, asterisk, needs_asterisk
from tests.support.peers_pjsip import Pjsip, needs_pjsip, pjsip
from tests.support.tls import Authority

pytestmark = [pytest.mark.load, pytest.mark.timeout(300), needs_asterisk, needs_pjsip]

NEAR_S = 0.2  # both stamp when they get to it
LINES = {
    "md5": "",
    "sha": "",
    "tcp": "disallow=all\nallow=ulaw",
    "tls": "",
    "rel": "100rel=required",
    "timer": "timers=always\ntimers_sess_expires=90\ntimers_min_se=90",
    "info": "dtmf_mode=info",
    "inband": "dtmf_mode=inband",
    "g722": "disallow=all\nallow=g722",
    "reg": "direct_media=yes\nmoh_passthrough=yes",
    "phone": "direct_media=yes",
    "linear": "disallow=all\nallow=slin16,slin",
}
CONVERSATIONS = ("md5", "sha", "tcp", "tls", "info", "inband", "g722", "linear", "rel")
CAUSES = {
    "busy": ("02", "BUSY(486)", "busy"),
    "declined": ("03", "BARRED(403)", "failed"),
    "unanswered": ("04", "NOANSWER(487)", "no_answer"),
    "unknown": ("98", "UNOBTAINABLE(404)", "unobtainable"),
    "congested": ("06", "NOCHANNELS(503)", "failed"),
}
SESSION_S = 100
BETWEEN_S = 1.0  # as a person takes between two steps; meanwhile the exchange moves the sound by offers of its own


def number(line: str, ending: str) -> str:
    """The number that a line's trunk carries to an extension."""
    return f"4419082{list(LINES).index(line) + 70:02}0{ending}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Campaign:
    exchange: Asterisk
    stage: Stand
    phone: Pjsip
    calls: dict[str, Ended]
    log: str


@pytest.fixture(scope="module")
def campaign(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Campaign]:
    folder = tmp_path_factory.mktemp("asterisk")
    authority = Authority(folder)
    with marked_processes() as marked:
        marked.environment["SSL_CERT_FILE"] = str(authority.file)
        with (
            asterisk(marked, lines=LINES, sha256=("sha",), certificate=authority.certify("127.0.0.1")) as exchange,
            stand(folder / "node", marked) as stage,
            pjsip(
                folder / "phone",
                marked,
                answers=((0.0, 180), (0.3, 200)),
                codecs=("PCMA", "PCMU"),
                id="sip:phone@127.0.0.1",
                registrar=f"sip:127.0.0.1:{exchange.port}",
                user="phone",
                password=PASSWORD,
            ) as phone,
        ):
            for name in LINES:
                if name != "phone":
                    _add_trunk(stage, exchange, name)
            calls = {
                f"talk-{name}": stage.converse(f"talk-{name}", f"tel:{number(name, '01')}", rest(25))
                for name in CONVERSATIONS
            }
            stage.prepare(*CAUSES, ring_timeout_s=3)
            for name, (ending, _, _) in CAUSES.items():
                calls[name] = stage.place(name, f"tel:{number('md5', ending)}")
            calls["early"] = stage.place("early", f"tel:{number('rel', '07')}", PLAY_TONE)
            calls["echo"] = stage.place("echo", f"tel:{number('md5', '08')}", {"record": {}}, PLAY_TONE)
            calls["leaves"] = stage.place("leaves", f"tel:{number('md5', '09')}", rest(20))
            calls["timer"] = stage.place("timer", f"tel:{number('timer', '11')}", rest(SESSION_S), PLAY_TONE)
            phone.wait_for("registered", code=200)
            wait_until(
                lambda: "Avail" in exchange.command("pjsip show contacts"), what="a phone that is reached", every_s=0.5
            )
            calls["bridged"] = stage.converse("bridged", f"tel:{number('reg', '10')}", rest(20))
            phone.wait_for("state", state="CONFIRMED", within_s=30)
            for step in ("hold", "resume"):
                time.sleep(BETWEEN_S)
                phone.tell(step)
            time.sleep(BETWEEN_S)
            phone.tell("digits", digits="5#9", by="rfc4733")
            stage.wait_page(calls["bridged"], "recorded", within_s=40)
            phone.tell("hang up")
            ended = {name: stage.ended(call, within_s=SESSION_S + 60) for name, call in calls.items()}
            contacts = exchange.command("pjsip show contacts")
            yield Campaign(exchange=exchange, stage=stage, phone=phone, calls=ended, log=exchange.log() + contacts)


def _add_trunk(stage: Stand, exchange: Asterisk, name: str) -> None:
    transport = name if name in ("tcp", "tls") else "udp"
    stage.add_trunk(
        name,
        exchange.tls_port if name == "tls" else exchange.port,
        number(name, ""),
        transport=transport,
        user=name,
        password=PASSWORD,
        from_user=name if name == "sha" else "",
        register=name == "reg",
        expires_s=60,
        check_every_s=5,
        codecs={"g722": ["G722", "PCMA"], "linear": ["L16"]}.get(name, ["PCMA", "PCMU"]),
    )


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_both_hear_the_other_s_tone_and_keys(campaign: Campaign, name: str) -> None:
    call, extension = campaign.calls[f"talk-{name}"], number(name, "01")
    check_conversation(call)
    # By INFO it only hears INFO, which we do not send: a far end without telephone-event gets tones.
    assert campaign.exchange.keys(name) == ("" if name == "info" else KEYS_SENT)
    ours = find_tone(campaign.exchange.heard(extension), TONE_HZ)
    assert ours is not None
    assert ours.ms == pytest.approx(TONE_MS, abs=30)


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_both_write_down_the_same_instants(campaign: Campaign, name: str) -> None:
    call = campaign.calls[f"talk-{name}"]
    record = campaign.exchange.record(name, number(name, "01"))
    assert record.disposition == "ANSWERED"
    check_instants(call, answered_at=record.answered, ended_at=record.ended, near_s=NEAR_S)
    assert call.cdr["duration"] == pytest.approx(record.ended - record.answered, abs=NEAR_S)


@pytest.mark.parametrize("name", CAUSES)
def test_a_call_that_is_not_answered_ends_with_its_cause(campaign: Campaign, name: str) -> None:
    _, hangup_cause, cause = CAUSES[name]
    call = campaign.calls[name]
    check_unanswered(call, hangup_cause=hangup_cause, cause=cause)


def test_a_reliable_progress_with_sound_is_acknowledged_and_the_answer_taken(campaign: Campaign) -> None:
    assert campaign.calls["early"].cdr["hangup_cause"] == "NORMAL(200)"
    assert "Request msg PRACK" in campaign.log or re.search(r"^PRACK sip:", campaign.log, re.MULTILINE)


def test_the_far_end_s_hang_up_is_written_down_by_both_alike(campaign: Campaign) -> None:
    call = campaign.calls["leaves"]
    assert call.final["call_cause"] == "hung_up"
    record = campaign.exchange.record("md5", number("md5", "09"))
    assert call.cdr["call_hangup_time"] == pytest.approx(record.ended, abs=NEAR_S)


def test_a_short_session_timer_is_refreshed(campaign: Campaign) -> None:
    call = campaign.calls["timer"]
    assert call.cdr["duration"] > SESSION_S
    assert call.final["call_cause"] == "completed"


def test_a_call_on_to_another_telephone_survives_moved_sound_and_hold(campaign: Campaign) -> None:
    call = campaign.calls["bridged"]
    assert call.keys == "5#9"
    assert call.final["call_cause"] == "hung_up"
    assert campaign.phone.digits() == KEYS_SENT
    theirs = find_tone(call.recording(), PEER_HZ)
    assert theirs is not None
    assert theirs.ms > 1500


def test_the_registration_is_taken_and_its_health_checks_answered(campaign: Campaign) -> None:
    assert re.search(r"Contact:\s+reg/sip:reg@127\.0\.0\.1:\d+\S*\s+\w+\s+Avail", campaign.log)


def test_it_complains_of_nothing_we_sent(campaign: Campaign) -> None:
    blamed = [line for line in campaign.exchange.warnings() if re.search(r"pjsip|rtp|sdp|chan_|dsp", line)]
    assert [line for line in blamed if not re.search(r"loader\.c|Unable to load", line)] == []
    assert [line for line in campaign.log.splitlines() if "pjsip_distributor" in line and "failed for" in line] == []
