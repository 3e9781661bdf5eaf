"""Keys in the bodies of INFO requests."""

from __future__ import annotations

import pytest

from callwright.engine.info_keys import info_key


@pytest.mark.parametrize(
    ("content_type", "body", "key"),
    [
        ("application/dtmf-relay", b"Signal=5\r\nDuration=160\r\n", "5"),
        ("Application/DTMF-Relay; charset=utf-8", b"Duration = 100\r\nsignal = #\r\n", "#"),
        ("application/dtmf-relay", b"Signal=*", "*"),
        ("application/dtmf-relay", b"Signal=10\nDuration=250\n", "*"),
        ("application/dtmf-relay", b"Signal=15\r\n", "D"),
        ("application/dtmf", b"7", "7"),
        ("application/dtmf", b" a\r\n", "A"),
        ("application/dtmf", b"Signal=0\r\n", "0"),
    ],
)
def test_a_key_is_read_as_gateways_write_it(content_type: str, body: bytes, key: str) -> None:
    assert info_key(content_type, body) == key


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/dtmf-relay", b"5"),
        ("application/dtmf-relay", b"Signal=16\r\n"),
        ("application/dtmf-relay", b"Signal=\r\nDuration=160\r\n"),
        ("application/dtmf-relay", b"NoSignal=5\r\n"),
        ("application/dtmf", b"55"),
        ("application/dtmf", b""),
        ("application/dtmf", b"\xb2"),
        ("text/plain", b"5"),
        ("", b"Signal=5\r\n"),
    ],
)
def test_what_is_no_single_key_is_none(content_type: str, body: bytes) -> None:
    assert info_key(content_type, body) is None
