"""Calls that PJSIP and baresip place to us: who they say they are, what each side heard, hold, and who may hang up.

All calls are placed at once; each test reads what became of its own.
"""

from __future__ import annotations

import asyncio
import re
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.support.audio import Pcm, find_tone, read_wav
from tests.support.node_processes import marked_processes
from tests.support.peers import KEYS_SENT, PEER_HZ, TONE_HZ, TONE_MS, tone_ms
from tests.support.peers_baresip import Baresip, baresip, needs_baresip
from tests.support.peers_pjsip import Pjsip, needs_pjsip, pjsip
from tests.support.real_engine import HOST, RealEngine, real_engine
from tests.support.sip_sipp import until
from tests.support.tls import Authority

from callwright.engine.call import OutgoingCall
from callwright.engine.inbound import InboundCall
from callwright.engine.inbound_offer import InboundOffer
from callwright.engine.interface import Keys, RecordingOrder, Tone
from callwright.engine.sip_tls import TlsSettings
from callwright.sip.way import Transport
from callwright.values.ids import CallId
from callwright.values.outcome import EndedBy, Outcome

pytestmark = [needs_pjsip, needs_baresip]

TALKS = {"udp": Transport.UDP, "tls": Transport.TLS, "reliable": Transport.UDP, "baresip": Transport.TCP}
WITHIN_S = 25.0


@dataclass(slots=True, kw_only=True)
class Seen:
    """One call: what we were told and took; ``heard`` and ``keys_heard`` are the telephone's."""

    facts: InboundCall
    gone: bool = False
    keys: str = ""
    said: Pcm | None = None
    outcome: Outcome | None = None
    heard: Pcm | None = None
    keys_heard: str = ""
    log: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lines:
    """The telephones by what they are here for."""

    pjsip: dict[str, Pjsip]
    baresip: Baresip


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Seen]:
    folder = tmp_path_factory.mktemp("incoming")
    authority = Authority(folder)
    certificate, key = authority.certify(HOST)
    tls = TlsSettings(certificate=certificate, key=key, authorities=authority.file, port=0)
    with marked_processes() as marked, ExitStack() as stack:
        files: dict[str, Any] = {"certificate": str(certificate), "key": str(key)}
        phones = {
            "udp": stack.enter_context(pjsip(folder / "udp", marked, codecs=("PCMA",))),
            "tls": stack.enter_context(pjsip(folder / "tls", marked, transport="tls", codecs=("PCMU",), **files)),
            "reliable": stack.enter_context(pjsip(folder / "reliable", marked, reliable="must")),
            "gives_up": stack.enter_context(pjsip(folder / "gives_up", marked)),
            "refused": stack.enter_context(pjsip(folder / "refused", marked)),
        }
        lines = Lines(pjsip=phones, baresip=stack.enter_context(baresip(folder / "baresip", marked)))
        found = asyncio.run(_all_calls(folder, lines, tls))
        for phone in phones.values():
            phone.wait_for("state", state="DISCONNECTED")
            phone.leave()
        lines.baresip.wait_for("CALL_CLOSED")
    # What the telephones heard is complete once they are closed.
    telephones: dict[str, Pjsip | Baresip] = {**phones, "baresip": lines.baresip}
    for name, one in telephones.items():
        found[name].log, found[name].keys_heard = one.log(), one.digits()
        if name in TALKS:
            found[name].heard = one.heard()
    return found


async def _all_calls(folder: Path, lines: Lines, tls: TlsSettings) -> dict[str, Seen]:
    async with asyncio.timeout(40), real_engine(tls=tls) as world:
        calls: dict[str, asyncio.Task[Seen]] = {}

        def take(offer: InboundOffer) -> None:
            name = offer.facts.called_user
            calls[name] = asyncio.create_task(_take(world, offer, name, lines, folder), name=f"call of {name}")

        world.engine.on_inbound = take
        host, port = world.sip.address
        for name, phone in lines.pjsip.items():
            way = f"{world.sip.tls_port};transport=tls" if name == "tls" else str(port)
            await asyncio.to_thread(phone.wait_for, "ready")
            phone.tell("dial", to=f"sip:{name}@{host}:{way}")
        await asyncio.to_thread(lines.baresip.command, "dial", f"sip:baresip@{host}:{port};transport=tcp")
        await until(lambda: len(calls) == len(lines.pjsip) + 1)
        return {name: await call for name, call in calls.items()}


async def _take(world: RealEngine, offer: InboundOffer, name: str, lines: Lines, folder: Path) -> Seen:
    """Do our side of one call, and press the telephone's buttons."""
    seen = Seen(facts=offer.facts)
    if name == "refused":
        offer.reject(486)
        return seen
    offer.ring()
    if name == "gives_up":
        await asyncio.to_thread(lines.pjsip[name].wait_for, "state", state="EARLY", within_s=WITHIN_S)
        lines.pjsip[name].tell("hang up")
        await offer.gone.wait()
        seen.gone = True
        return seen
    call = await offer.accept(CallId(f"{len(name):016x}.1.{list(TALKS).index(name)}"))
    recording = asyncio.create_task(call.record(_recording(folder / f"{name}-said.wav")))
    await call.play([Tone(frequencies=(TONE_HZ,), ms=TONE_MS), Keys(digits=KEYS_SENT)])
    await _press(name, lines)
    seen.keys = "".join([await call.keys.next(WITHIN_S) or "" for _ in range(3)])
    if name == "udp":
        await _hold_and_resume(call, lines.pjsip[name])
    call.stop_recording()
    seen.said = read_wav((await recording).path)
    if name == "tls":
        lines.pjsip[name].tell("hang up")
    else:
        await call.hang_up()
    seen.outcome = await call.wait_ended()
    return seen


async def _press(name: str, lines: Lines) -> None:
    if name == "baresip":
        for key in "5#9":
            await asyncio.to_thread(lines.baresip.command, "sndcode", key)
    else:
        lines.pjsip[name].tell("digits", digits="5#9", by="rfc4733")


async def _hold_and_resume(call: OutgoingCall, phone: Pjsip) -> None:
    phone.tell("hold")
    await asyncio.to_thread(phone.wait_for, "held", within_s=WITHIN_S)
    playing = asyncio.create_task(call.play([Tone(frequencies=(TONE_HZ,), ms=200)]))
    phone.tell("resume")
    await asyncio.to_thread(phone.wait_for, "media", times=2, within_s=WITHIN_S)
    await playing


def _recording(path: Path) -> RecordingOrder:
    return RecordingOrder(path=str(path), max_duration_s=30.0, max_silence_s=30.0, max_initial_silence_s=30.0)


@pytest.mark.parametrize("name", TALKS)
def test_both_hear_the_other_s_tone_and_keys(seen: dict[str, Seen], name: str) -> None:
    call = seen[name]
    assert call.keys == "5#9"
    assert call.keys_heard == KEYS_SENT
    assert call.said is not None
    theirs = find_tone(call.said, PEER_HZ)
    assert theirs is not None
    assert theirs.ms > 1000
    assert call.heard is not None
    held = 200 if name == "udp" else 0
    assert tone_ms(call.heard, TONE_HZ) == pytest.approx(TONE_MS + held, abs=160 if held else 80)


@pytest.mark.parametrize("name", TALKS)
def test_we_are_told_who_calls_by_what(seen: dict[str, Seen], name: str) -> None:
    facts = seen[name].facts
    assert (facts.called_user, facts.transport) == (name, TALKS[name])
    assert facts.source[0] == HOST
    assert facts.caller.user == "phone"


@pytest.mark.parametrize("name", TALKS)
def test_either_side_hangs_up(seen: dict[str, Seen], name: str) -> None:
    outcome = seen[name].outcome
    assert outcome is not None
    assert outcome.ended_by is (EndedBy.FAR_END if name == "tls" else EndedBy.APPLICATION)


def test_a_caller_who_gives_up_is_told_so_by_the_book(seen: dict[str, Seen]) -> None:
    assert seen["gives_up"].gone
    assert re.search(r"^SIP/2.0 487 ", seen["gives_up"].log, re.MULTILINE)


def test_a_refused_caller_hears_why_and_not_from_whom(seen: dict[str, Seen]) -> None:
    refusal = re.search(r"^SIP/2.0 486 .*?^\r?$", seen["refused"].log, re.MULTILINE | re.DOTALL)
    assert refusal is not None
    assert "callwright" not in refusal[0].lower()


def test_ringing_that_must_be_acknowledged_is_acknowledged_once(seen: dict[str, Seen]) -> None:
    log = seen["reliable"].log
    assert len(re.findall(r"^PRACK sip:", log, re.MULTILINE)) == 1
    assert len(re.findall(r"^RSeq: ", log, re.MULTILINE)) == 1
