"""Looks a trunk over and says what it finds, in sentences: ``callwright trunk test``.

Nobody is called. What is asked: the address of its host, OPTIONS with its credentials, what became of REGISTER.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from enum import StrEnum

from callwright.engine.trunk_certificate import NotBelieved, NoTls, look_at_certificate
from callwright.engine.trunk_health import HealthState, is_alive
from callwright.engine.trunk_line import TrunkLine
from callwright.engine.trunk_link import CHECK_TIMEOUT_S, TrunkLink, options_plan
from callwright.engine.trunk_loop import own_place
from callwright.engine.trunk_setup import Trunk
from callwright.sip.event import AskDone
from callwright.sip.way import Target, Transport

DAY_S = 86_400.0
SOON_DAYS = 14.0  # a certificate that expires sooner is worth a word


class Verdict(StrEnum):
    GOOD = "good"
    BAD = "bad"
    NOTE = "note"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing found out about a trunk, for people."""

    verdict: Verdict
    text: str


async def examine(line: TrunkLine, link: TrunkLink, *, domain: str, epoch: float) -> list[Finding]:
    """Return what can be found out without calling anybody; a trunk whose host has no address, or is this
    node itself, ends it early.

    ``epoch`` is the time now in epoch seconds, for the dates of certificates.
    """
    trunk = line.trunk
    try:
        targets = await link.locate(trunk)
    except OSError as problem:
        why = problem.strerror or problem
        return [_bad(f"{trunk.host} has no address: {why}. Check the host name, and the name servers of this machine.")]
    if itself := own_place(targets, link):
        return [_bad(itself)]
    findings: list[Finding] = []
    if targets[0].host != trunk.host:
        found = ", ".join(f"{target.host} port {target.port}" for target in targets[:4])
        findings.append(_good(f"{trunk.host} is {found}."))
    if trunk.transport is Transport.TLS:
        findings.append(await _certificate(trunk, targets[0], link, epoch))
    if not any(each.verdict is Verdict.BAD for each in findings):  # else asking would fail for the same reason
        findings.append(await _ask_options(trunk, link, domain=domain))
    if line.registration is not None:
        findings.append(_registration(line))
    findings += _use(line)
    return findings


async def _certificate(trunk: Trunk, target: Target, link: TrunkLink, epoch: float) -> Finding:
    name = target.way.name or trunk.host
    try:
        shown = await look_at_certificate(target, name, link.tls)
    except NotBelieved as problem:
        return _bad(
            f"The certificate of {name} is not believed: {problem}. Calls would fail: the trunk must show one for "
            "that name, in date, from an authority this machine knows."
        )
    except NoTls as problem:
        return _bad(f"No TLS with {target.host} port {target.port}: {problem}. Check the port and the transport.")
    if shown.until is None:
        return _note(f"The certificate of {name} is not checked: whoever stands in between could be it.")
    days = (shown.until - epoch) / DAY_S
    if days < SOON_DAYS:
        return _note(f"The certificate of {name} expires in {max(0.0, days):.1f} days: its owner must renew it.")
    return _good(f"The certificate of {name} is believed and good for another {days:.0f} days.")


async def _ask_options(trunk: Trunk, link: TrunkLink, *, domain: str) -> Finding:
    where = f"{trunk.authority} by {trunk.transport.upper()}"
    began = _now()
    try:
        async with asyncio.timeout(CHECK_TIMEOUT_S):
            done = await link.ask(options_plan(trunk, domain=domain))
    except TimeoutError:
        silent = f"No answer from {where} to OPTIONS within {CHECK_TIMEOUT_S:g} s."
        if trunk.check_every_s == 0:
            return _note(f"{silent} It is used all the same: its health is not checked. --call tries it.")
        return _bad(
            f"{silent} The address or port is wrong, a firewall is in the way, or the trunk answers only addresses it "
            "knows: tell its operator the address of this node. A trunk that never answers OPTIONS needs --check-every "
            "0 (check_every_s = 0)."
        )
    if done.local:
        return _bad(f"Nobody listens at {where}: {done.reason}. Check the address, the port and the transport.")
    return _options_answer(trunk, done, ms=(_now() - began) * 1000)


def _options_answer(trunk: Trunk, done: AskDone, *, ms: float) -> Finding:
    said = f"OPTIONS was answered {done.code} {done.reason}".rstrip() + f" after {ms:.0f} ms"
    if done.code in (401, 407):
        if not trunk.user:
            return _bad(f"{said}: the trunk wants to know who calls. Set --user and --password.")
        return _bad(f"{said}: the trunk does not take user '{trunk.user}' with this password.")
    if not is_alive(done.code):
        return _bad(f"{said}: the trunk says of itself that it cannot take calls.")
    if done.code == 403 and done.challenged:
        return _bad(f"{said}, once user '{trunk.user}' had logged in: that user, its password or this node is barred.")
    if done.code == 403:
        return _note(
            f"{said}: the trunk is there and does not let us ask. It may know neither the address of this node nor the "
            "user: tell its operator, and try a call with --call."
        )
    if done.code >= 300:
        return _good(
            f"{said}: the trunk is there but does not answer that question, so what it thinks of us shows "
            "with the first call."
        )
    if done.challenged:
        return _good(f"{said}; user and password were asked for and accepted.")
    if trunk.user:
        return _good(f"{said}; it did not ask for the password, so whether that is right shows with the first call.")
    return _good(f"{said}.")


def _registration(line: TrunkLine) -> Finding:
    registration, now = line.registration, _now()
    assert registration is not None
    if registration.until is not None and registration.until > now:
        return _good(f"Registered as {line.trunk.user} for another {registration.until - now:.0f} s.")
    if line.refused is not None:
        return _bad(
            f"Not registered: {line.refused.text}. Tried again in {max(0.0, line.refused.retry_at - now):.0f} s. "
            "401, 403 or 407 mean the user or password, 404 the user or domain (--from-domain)."
        )
    return _bad("Not registered yet: the registrar has not answered so far.")


def _use(line: TrunkLine) -> list[Finding]:
    trunk, now = line.trunk, _now()
    findings = [_note(f"Calls offer {', '.join(trunk.codecs)} and telephone-event.")]
    if not trunk.enabled:
        findings.append(_bad("The trunk is disabled: it carries nothing until `callwright trunk enable`."))
    if line.health.state is HealthState.DOWN:
        findings.append(_bad("Its health checks fail, so calls go elsewhere or wait until two in a row are answered."))
    if line.pace.is_lowered(now):
        findings.append(
            _note(f"It pushed back lately: it gets {line.pace.rate(now) or 0:.2g} calls a second, and more by and by.")
        )
    if trunk.max_calls is not None and len(line.calls) >= trunk.max_calls:
        findings.append(_note(f"All of its {trunk.max_calls} calls are in use."))
    return findings


def _good(text: str) -> Finding:
    return Finding(verdict=Verdict.GOOD, text=text)


def _bad(text: str) -> Finding:
    return Finding(verdict=Verdict.BAD, text=text)


def _note(text: str) -> Finding:
    return Finding(verdict=Verdict.NOTE, text=text)


def _now() -> float:
    return asyncio.get_running_loop().time()
