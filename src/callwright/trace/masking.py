"""Takes out of a SIP message what nobody may read later: proofs of passwords, keys of sound, digits somebody pressed.

Pure. Every byte taken out is replaced by one "x", so lengths stay as they were and Content-Length stays true.
"""

from __future__ import annotations

import re

SHOWN_DIGITS = 3

_HEAD_END = re.compile(rb"\r?\n\r?\n")
_CREDENTIALS = re.compile(
    rb"^((?:proxy-)?authorization|authentication-info|proxy-authentication-info)[ \t]*:[^\r\n]*(?:\r?\n[ \t][^\r\n]*)*",
    re.IGNORECASE | re.MULTILINE,
)
_SCHEME = re.compile(rb":\s*([a-z0-9-]+)\s+", re.IGNORECASE)
_PROOF = re.compile(rb'\b(response|rspauth)\s*=\s*("[^"]*"|[^\s,"]+)', re.IGNORECASE)
_SDP_KEYS = re.compile(
    rb"^(k=|a=crypto:[^\r\n]*?\binline:|a=key-mgmt:|a=ice-pwd:)([^\r\n]+)", re.IGNORECASE | re.MULTILINE
)
_SIGNAL = re.compile(rb"^(\s*signal\s*=)([^\r\n]*)", re.IGNORECASE | re.MULTILINE)
_LENGTH_LINE = re.compile(rb"^\s*duration\s*=", re.IGNORECASE)
_URI_NUMBER = re.compile(rb"((?:sips?|tel):\+?)([0-9][0-9.\-()]{3,})", re.IGNORECASE)
_SHOWN_NAME = re.compile(rb'"[^"\r\n]*"(?=[ \t]*<)')
_LOGIN_NUMBER = re.compile(rb'\busername="[^"\r\n]*"', re.IGNORECASE)
_DIGIT = re.compile(rb"[0-9]")
_KEY = re.compile(rb"[0-9*#]")


def masked(data: bytes, *, numbers: bool = False) -> bytes:
    """Return a message without its secrets; ``numbers`` also hides all but the last three digits of numbers."""
    # Hardly any message has one of these. Long words are found several times as fast as short ones.
    low = b"\n" + data.lower()
    if b"authorization" in low or b"authentication-info" in low:
        data = _CREDENTIALS.sub(_without_proof, data)
    if b"\nk=" in low or b"\na=crypto:" in low or b"\na=key-mgmt:" in low or b"\na=ice-pwd:" in low:
        data = _SDP_KEYS.sub(lambda found: found[1] + b"x" * len(found[2]), data)
    is_info = low.startswith(b"\ninfo ")
    if not is_info and not numbers:
        return data
    end = _HEAD_END.search(data)
    head, body = (data, b"") if end is None else (data[: end.end()], data[end.end() :])
    return (_without_numbers(head) if numbers else head) + (_without_digits(body) if is_info else body)


def _without_proof(found: re.Match[bytes]) -> bytes:
    text = found[0]
    scheme = _SCHEME.search(text)
    about_us = b"info" in found[1].lower()
    if not about_us and (scheme is None or scheme[1].lower() != b"digest"):
        shown = text.index(b":") + 1 if scheme is None else scheme.end()
        return text[:shown] + b"x" * (len(text) - shown)
    return _PROOF.sub(_crossed_out, text)


def _crossed_out(found: re.Match[bytes]) -> bytes:
    name, value = found[0][: found.start(2) - found.start()], found[2]
    return name + (b'"' + b"x" * (len(value) - 2) + b'"' if value.startswith(b'"') else b"x" * len(value))


def _without_digits(body: bytes) -> bytes:
    lines = []
    for line in body.splitlines(keepends=True):
        if _LENGTH_LINE.match(line):
            lines.append(line)
            continue
        signal = _SIGNAL.sub(lambda found: found[1] + b"x" * len(found[2]), line)
        lines.append(_KEY.sub(b"x", signal) if signal == line else signal)
    return b"".join(lines)


def _without_numbers(head: bytes) -> bytes:
    head = _URI_NUMBER.sub(lambda found: found[1] + _ending(found[2]), head)
    head = _SHOWN_NAME.sub(lambda found: _ending(found[0]), head)
    return _LOGIN_NUMBER.sub(lambda found: _ending(found[0]), head)


def _ending(number: bytes) -> bytes:
    """The same text with all digits but the last three crossed out."""
    digits = [found.start() for found in _DIGIT.finditer(number)]
    hidden = bytearray(number)
    for at in digits[:-SHOWN_DIGITS]:
        hidden[at] = ord("x")
    return bytes(hidden)
