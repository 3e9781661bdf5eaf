"""SIPp scenarios written as steps in the test that plays them.

    with scripted(receives("INVITE"), answers(180), answers(200, sdp=sound()), receives("ACK"), ...) as far_end:
        ...                                     # as support.sipp.answering

The called side's tag is ``one``. Requests of SIPp's own go to whoever called.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.sipp import Sipp, answering

_KEPT = ("Via", "From", "To", "CSeq")
_CONTACT = "Contact: <sip:callee@[local_ip]:[local_port]>"
_REASONS = {100: "Trying", 180: "Ringing", 183: "Session Progress", 200: "OK", 407: "Proxy Authentication Required",
            487: "Request Terminated", 491: "Request Pending", 503: "Service Unavailable", 600: "Busy Everywhere",
            603: "Decline", 604: "Does Not Exist Anywhere", 606: "Not Acceptable"}  # fmt: skip


def sound(*, payload: int = 8, direction: str = "sendrecv", version: int = 1) -> str:
    """Return a session description with SIPp's own media port."""
    law = {8: "PCMA", 0: "PCMU"}[payload]
    lines = (
        "v=0", f"o=callee 1 {version} IN IP[local_ip_type] [local_ip]", "s=-", "c=IN IP[media_ip_type] [media_ip]",
        "t=0 0", f"m=audio [media_port] RTP/AVP {payload} 101", f"a=rtpmap:{payload} {law}/8000",
        "a=rtpmap:101 telephone-event/8000", "a=fmtp:101 0-15", f"a={direction}",
    )  # fmt: skip
    return "\n".join(lines)


def receives(what: str | int, *, optional: bool = False, keep: bool | None = None) -> str:
    """Wait for a request, or a response by its code. INVITEs, or what ``keep`` says, are kept to be answered later."""
    kind = "response" if isinstance(what, int) else "request"
    rest = ' optional="true"' if optional else ""
    if not (what == "INVITE" if keep is None else keep):
        return f'<recv {kind}="{what}"{rest}/>'
    kept = "".join(f'<ereg regexp=".*" search_in="hdr" header="{name}:" assign_to="{name.lower()}"/>' for name in _KEPT)
    return f'<recv {kind}="{what}"{rest}><action>{kept}</action></recv>'


def waits(ms: int) -> str:
    """Do nothing for a while."""
    return f'<pause milliseconds="{ms}"/>'


def answers(
    code: int, *headers: str, tag: str = "one", sdp: str = "", kept: bool = False, repeats: bool | None = None
) -> str:
    """Send a response to what was received last, or to what was ``kept``. Final ones to INVITEs are repeated until
    something is received, unless ``repeats`` says otherwise.
    """
    if kept:
        via, from_, to, cseq = (f"{name}:[${name.lower()}]" for name in ("Via", "From", "To", "CSeq"))
    else:
        via, from_, to, cseq = "[last_Via:]", "[last_From:]", "[last_To:]", "[last_CSeq:]"
    to += f";tag={tag}-[call_number]" if tag else ""
    lines = [f"SIP/2.0 {code} {_REASONS[code]}", via, from_, to, "[last_Call-ID:]", cseq, _CONTACT, *headers]
    return _send(lines, sdp, repeats=bool(sdp) or code >= 300 if repeats is None else repeats)


def asks(method: str, *headers: str, cseq: int, tag: str = "one", sdp: str = "", repeats: bool = True) -> str:
    """Send a request within the call."""
    lines = [
        f"{method} sip:caller@[remote_ip]:[remote_port] SIP/2.0",
        "Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]",
        f"From: <sip:callee@example.com>;tag={tag}-[call_number]", "To:[$from]", "Call-ID: [call_id]",
        f"CSeq: {cseq} {method}", "Max-Forwards: 70", _CONTACT, *headers,
    ]  # fmt: skip
    return _send(lines, sdp, repeats=repeats and method != "ACK")


def _send(lines: list[str], sdp: str, *, repeats: bool) -> str:
    described = (
        ["Content-Type: application/sdp", "Content-Length: [len]", "", sdp] if sdp else ["Content-Length: 0", ""]
    )
    text = "\n".join([*lines, *described])
    retrans = ' retrans="500"' if repeats else ""
    return f"<send{retrans}><![CDATA[\n\n{text}\n\n]]></send>"


@contextmanager
def scripted(*steps: str, calls: int = 1, repeats: bool = True, limit_s: float = 30.0) -> Iterator[Sipp]:
    """Run SIPp as the called side of calls that go by these steps."""
    with tempfile.TemporaryDirectory(prefix="sipp-script-") as folder:
        path = Path(folder) / "script.xml"
        # SIPp refuses what is kept and never used.
        used = '<Reference variables="{}"/>'.format(",".join(name.lower() for name in _KEPT))
        head = '<?xml version="1.0" encoding="UTF-8" ?>\n<scenario name="script">'
        text = "\n".join([head, *steps, used, "</scenario>"])
        path.write_text(text, encoding="utf-8")
        with answering(str(path.with_suffix("")), calls=calls, repeats=repeats, limit_s=limit_s) as sipp:
            yield sipp
