"""Destinations: where a call goes, from the text a client gives (docs/reference/web-services.md, destinations)."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from callwright.values.errors import RequestError

MAX_DESTINATION_CHARS = 2000

_BARE_NUMBER = re.compile(r"[0-9]+(-[0-9]+)*")  # our choice: any number of single dashes between digits
_NUMBER = re.compile(r"\+?[0-9]+(-[0-9]+)*")
_MIN_DIGITS, _MAX_DIGITS = 2, 18  # E.164 allows 15; short codes and carrier prefixes need room on either side
_SIP_HOST = (
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*\.?|\[[0-9A-Fa-f:.]+\])"
)
_SIP_USER = r"(?:[A-Za-z0-9\-_.!~*'()&=+$,;?/:]|%[0-9A-Fa-f]{2})+"
_SIP = re.compile(rf"(?:{_SIP_USER}@)?{_SIP_HOST}(?::[0-9]{{1,5}})?(?:;[A-Za-z0-9\-_.!~*'+%=;]+)?")
_NAME = re.compile(r"[^\s\x00-\x1f\x7f/]{1,255}")
_WSS = re.compile(r"//[^\s\x00-\x20\x7f/?#]+(?:[/?][^\s\x00-\x20\x7f#]*)?")


class DestinationKind(StrEnum):
    TEL = "tel"
    SIP = "sip"
    LOC = "loc"
    WEBRTC = "webrtc"
    WSS = "wss"
    CON = "con"


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """A parsed destination: ``address`` has no prefix (a number: digits only), ``given`` is the client's text."""

    kind: DestinationKind
    address: str
    given: str

    @property
    def prefixed(self) -> str:
        """The form records show as ``destination_address``: always with its prefix."""
        return f"{self.kind}:{self.address}"


@lru_cache(maxsize=4096)  # each start asks three times: when it comes in, when it is judged and for its number
def parse_destination(text: str) -> Destination:
    """Parse a client's ``to``; raise ``RequestError`` saying what is wrong with it.

    Without a prefix, digits optionally separated by single dashes are a telephone number; everything else is a SIP
    address.
    """
    if not text:
        raise RequestError("the destination is empty")
    if len(text) > MAX_DESTINATION_CHARS:
        raise RequestError(f"the destination is longer than {MAX_DESTINATION_CHARS} characters")
    prefix, colon, rest = text.partition(":")
    if colon and prefix.lower() in _PARSERS:
        kind = DestinationKind(prefix.lower())
        return Destination(kind=kind, address=_PARSERS[kind](rest), given=text)
    if _BARE_NUMBER.fullmatch(text):
        return Destination(kind=DestinationKind.TEL, address=_number(text), given=text)
    return Destination(kind=DestinationKind.SIP, address=_sip(text), given=text)


def parse_number(text: str) -> str:
    """Return the digits of a full international number ("+" and single dashes allowed), or raise ``RequestError``."""
    return _number(text)


def _number(text: str) -> str:
    if not _NUMBER.fullmatch(text):
        raise RequestError(
            f"'{text[:40]}' is not a telephone number: only digits, a leading '+' and single '-' are allowed"
        )
    digits = text.lstrip("+").replace("-", "")
    if digits.startswith("0"):
        raise RequestError(f"'{text[:40]}' starts with 0: give the full international number without leading zeros")
    if not _MIN_DIGITS <= len(digits) <= _MAX_DIGITS:
        raise RequestError(
            f"'{text[:40]}' has {len(digits)} digits: a telephone number has {_MIN_DIGITS} to {_MAX_DIGITS}"
        )
    return digits


def _sip(text: str) -> str:
    match = _SIP.fullmatch(text)
    if match is None:
        hint = ": for a telephone number with '+' write tel:+…" if _NUMBER.fullmatch(text) else ""
        raise RequestError(f"'{text[:60]}' is not a SIP address (user@host){hint}")
    return text


def _named(what: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if not _NAME.fullmatch(text):
            raise RequestError(f"'{text[:60]}' is not {what}: 1 to 255 characters without spaces and '/'")
        return text

    return parse


def _wss(text: str) -> str:
    if not _WSS.fullmatch(text):
        raise RequestError(f"'wss:{text[:60]}' is not a secure WebSocket URL (wss://host/path)")
    return text


_PARSERS = {
    DestinationKind.TEL: _number,
    DestinationKind.SIP: _sip,
    DestinationKind.LOC: _named("an inbound service name"),
    DestinationKind.WEBRTC: _named("a WebRTC client id"),
    DestinationKind.WSS: _wss,
    DestinationKind.CON: _named("a conference room name"),
}
