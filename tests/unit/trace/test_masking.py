"""What nobody may read later is taken out of kept messages, and nothing else changes."""

from __future__ import annotations

import pytest

from callwright.trace.masking import masked

REGISTER = (
    b"INVITE sip:447700900123@carrier.example SIP/2.0\r\n"
    b"Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK1\r\n"
    b'From: "0441908273800 desk" <sip:+441908273800@us.example>;tag=1\r\n'
    b"To: <tel:+447700900123>\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\n%s"
    b"Content-Length: 0\r\n\r\n"
)


@pytest.mark.parametrize(
    ("line", "kept"),
    [
        (
            b'Authorization: Digest username="a", realm="r", nonce="n", response="0123abcd", algorithm=MD5',
            b'Authorization: Digest username="a", realm="r", nonce="n", response="xxxxxxxx", algorithm=MD5',
        ),
        (
            b'proxy-AUTHORIZATION : digest realm="r",\r\n\tresponse = "0123",\r\n qop=auth',
            b'proxy-AUTHORIZATION : digest realm="r",\r\n\tresponse = "xxxx",\r\n qop=auth',
        ),
        (b"Authorization: Digest response=0123abcd", b"Authorization: Digest response=xxxxxxxx"),
        (b"Authorization: Basic YTpi", b"Authorization: Basic xxxx"),
        (b"Authorization: YTpi", b"Authorization:xxxxx"),
        (b'Authentication-Info: rspauth="0123", nc=1', b'Authentication-Info: rspauth="xxxx", nc=1'),
        (b'WWW-Authenticate: Digest realm="r", nonce="n"', b'WWW-Authenticate: Digest realm="r", nonce="n"'),
        (b'X-Note: response="yes"', b'X-Note: response="yes"'),
    ],
)
def test_proofs_of_passwords_are_crossed_out_and_challenges_stay(line: bytes, kept: bytes) -> None:
    assert masked(REGISTER % (line + b"\r\n")) == REGISTER % (kept + b"\r\n")


def test_keys_of_sound_are_crossed_out() -> None:
    head = b"SIP/2.0 200 OK\r\nContent-Type: application/sdp\r\n\r\n"
    body = b"v=0\r\nk=clear:secret\r\na=crypto:1 AES_CM_128_HMAC_SHA1_32 inline:abcD|2^20\r\na=ice-pwd:pw\r\na=x:1\r\n"
    crossed = masked(head + body)
    assert crossed == head + (
        b"v=0\r\nk=xxxxxxxxxxxx\r\na=crypto:1 AES_CM_128_HMAC_SHA1_32 inline:xxxxxxxxx\r\na=ice-pwd:xx\r\na=x:1\r\n"
    )


@pytest.mark.parametrize(
    ("body", "kept"),
    [
        (b"Signal=5\r\nDuration=160\r\n", b"Signal=x\r\nDuration=160\r\n"),
        (b"signal= A \nduration=100", b"signal=xxx\nduration=100"),
        (b"5", b"x"),
        (b"<digits>12#</digits>", b"<digits>xxx</digits>"),
    ],
)
def test_digits_somebody_pressed_are_crossed_out(body: bytes, kept: bytes) -> None:
    head = b"INFO sip:a@b SIP/2.0\r\nContent-Type: application/dtmf-relay\r\nContent-Length: 9\r\n\r\n"
    assert masked(head + body) == head + kept


def test_a_message_without_secrets_stays_as_it_is() -> None:
    assert masked(REGISTER % b"") == REGISTER % b""


def test_numbers_keep_their_last_three_digits_when_that_is_wanted() -> None:
    hidden = masked(REGISTER % b'Authorization: Digest username="4419082738", nonce="12345678"\r\n', numbers=True)
    assert b"INVITE sip:xxxxxxxxx123@carrier.example" in hidden
    assert b'From: "xxxxxxxxxx800 desk" <sip:+xxxxxxxxx800@us.example>;tag=1' in hidden
    assert b"To: <tel:+xxxxxxxxx123>" in hidden
    assert b'username="xxxxxxx738", nonce="12345678"' in hidden
    assert b"Via: SIP/2.0/UDP 192.0.2.1:5060;" in hidden


@pytest.mark.parametrize(
    "evil",
    [b'"' + b"1" * 300_000, b"Authorization:" + b" " * 300_000, b"sip:" * 80_000, b'"' * 300_000, b"k=" * 150_000],
)
def test_no_message_takes_long(evil: bytes) -> None:
    """Quadratic work would be 10^11 steps here, beyond the time limit of a test."""
    hidden = masked(b"INVITE sip:a SIP/2.0\r\n" + evil + b"\r\n\r\n" + evil, numbers=True)
    assert len(hidden) == 26 + 2 * len(evil)
