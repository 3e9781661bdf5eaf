"""Whatever far ends send can be masked, kept, drawn and captured: nothing raises, lengths stay, secrets go."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from callwright.trace.ladder import draw
from callwright.trace.masking import masked
from callwright.trace.message import KeptMessage
from callwright.trace.pcap import capture
from callwright.trace.store import TraceStore

SECRET = b"5ec2e7"
PARTS = st.sampled_from(
    [
        b"INVITE sip:4412345678@a SIP/2.0", b"SIP/2.0 200 OK", b"INFO sip:a SIP/2.0", b"\r\n", b"\r\n\r\n", b"\n", b" ",
        b"Via: SIP/2.0/UDP a;branch=1", b"CSeq: 1 INVITE", b"Call-ID: x", b"From: \"1234567\" <sip:7654321@b>",
        b"Authorization: Digest ", b"Proxy-Authorization:", b"authentication-info: ", b"rspauth=", b'response="', b'"',
        b",", b"Signal=5", b"Duration=160", b"k=", b"a=crypto:1 X inline:", b"tel:+", b"<sip:", b"\x00\xff\x1b[2J",
    ]
)  # fmt: skip
MESSAGES = st.one_of(st.binary(max_size=300), st.lists(PARTS | st.binary(max_size=8), max_size=30).map(b"".join))
HOSTS = st.sampled_from(["192.0.2.1", "2001:db8::1", "fe80::1%eth0", "no.address", ""])
PORTS = st.integers(0, 65535)


@given(MESSAGES, st.booleans())
def test_masking_keeps_every_length_and_has_nothing_more_to_do(data: bytes, numbers: bool) -> None:
    once = masked(data, numbers=numbers)
    assert len(once) == len(data)
    assert [at for at in range(len(data)) if once[at] != data[at] and once[at] != ord("x")] == []
    assert masked(once, numbers=numbers) == once


@given(st.lists(PARTS, max_size=6).map(b"".join), st.sampled_from([b"Authorization", b"Proxy-Authorization"]))
def test_no_proof_of_a_password_is_left(before: bytes, name: bytes) -> None:
    head = b"INVITE sip:a SIP/2.0\r\n" + before.replace(b"\r\n\r\n", b"").replace(b"\n", b"")
    line = name + b': Digest realm="r", response="' + SECRET + b'", nonce="n"'
    assert SECRET not in masked(head + b"\r\n" + line + b"\r\n\r\n")


@given(st.lists(st.tuples(MESSAGES, st.booleans(), st.sampled_from(["UDP", "TCP", "TLS"]), HOSTS, HOSTS, PORTS)))
def test_any_messages_can_be_kept_drawn_and_captured(
    said: list[tuple[bytes, bool, str, str, str, int]],
) -> None:
    kept = [
        KeptMessage("c.1.1", "w", 1000.0 + at, sent, by, (near, port), (far, port), data, len(data) + at % 3, at % 2)
        for at, (data, sent, by, near, far, port) in enumerate(said)
    ]
    shown = "\n".join(draw(kept, full=True))
    assert re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", shown) is None
    assert b"".join(capture(kept)).startswith(b"\xd4\xc3\xb2\xa1")
    with tempfile.TemporaryDirectory(prefix="trace-") as folder:
        store = TraceStore(Path(folder), most_bytes=1_000_000, keep_days=1)
        store.append(kept, now=1000.0)
        assert store.read("c.1.1") == kept
        store.close()
