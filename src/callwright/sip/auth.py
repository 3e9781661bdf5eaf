"""Digest authentication, both sides (RFC 3261 section 22, RFC 7616, RFC 8760).

``Answerer`` is the calling side: it remembers the challenges of one call and writes the Authorization headers.
``make_challenge`` and ``verify`` are the called side, used by the simulated telephone network.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable
from dataclasses import dataclass, field

from callwright.sip.errors import SipParseError
from callwright.sip.headers import Headers, quote, safe, split_commas, unquote

_SCHEME = re.compile(r"\s*([A-Za-z0-9\-]+)\s+(.*)", re.DOTALL)
_PART = re.compile(r'([A-Za-z0-9\-_]+)\s*=\s*("(?:[^"\\]|\\.)*"|[^\s,"]*)', re.DOTALL)
# Strongest first: RFC 8760 section 2.4 lets the client take the topmost it supports; we take the strongest.
_STRENGTH = ("sha-256", "sha-256-sess", "md5", "md5-sess")
_WRITTEN = {"sha-256": "SHA-256", "sha-256-sess": "SHA-256-sess", "md5": "MD5", "md5-sess": "MD5-sess"}
_MOST_STALE = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """A user name and its password. The password never appears in a repr."""

    user: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Challenge:
    """One WWW-Authenticate or Proxy-Authenticate value we can answer. ``algorithm`` is in lower case."""

    realm: str
    nonce: str
    algorithm: str = "md5"
    qop: bool = False
    opaque: str | None = None
    stale: bool = False
    proxy: bool = False


def parse_parts(value: str) -> tuple[str, dict[str, str]]:
    """Read ``Digest name="value", …`` into scheme and parts, names in lower case; raises SipParseError."""
    found = _SCHEME.fullmatch(value)
    if found is None:
        raise SipParseError(f"not an authentication header: {value[:80]!r}")
    parts: dict[str, str] = {}
    for piece in split_commas(found[2]):
        part = _PART.fullmatch(piece)
        if part is None:
            raise SipParseError(f"malformed part of an authentication header: {piece[:80]!r}")
        parts[part[1].lower()] = unquote(part[2])
    return found[1].lower(), parts


def challenges_of(headers: Headers) -> list[Challenge]:
    """Return the challenges of a 401 or 407 that we can answer, one a realm, the strongest algorithm of each.

    Malformed challenges, other schemes and unknown algorithms are passed over.
    """
    best: dict[tuple[bool, str], Challenge] = {}
    for name, proxy in (("www-authenticate", False), ("proxy-authenticate", True)):
        for value in headers.all(name):
            challenge = _challenge(value, proxy)
            if challenge is None:
                continue
            known = best.get((proxy, challenge.realm))
            if known is None or _STRENGTH.index(challenge.algorithm) < _STRENGTH.index(known.algorithm):
                best[proxy, challenge.realm] = challenge
    return list(best.values())


def _challenge(value: str, proxy: bool) -> Challenge | None:
    try:
        scheme, parts = parse_parts(value)
    except SipParseError:
        return None
    algorithm = parts.get("algorithm", "md5").lower()
    qops = [word.strip().lower() for word in parts.get("qop", "").split(",") if word.strip()]
    usable = scheme == "digest" and "realm" in parts and "nonce" in parts and algorithm in _STRENGTH
    if not usable or (qops and "auth" not in qops):
        return None
    return Challenge(
        realm=parts["realm"],
        nonce=parts["nonce"],
        algorithm=algorithm,
        qop=bool(qops),
        opaque=parts.get("opaque"),
        stale=parts.get("stale", "").lower() == "true",
        proxy=proxy,
    )


class Answerer:
    """What one call knows of its challenges: the latest of each realm and how often its nonce was used (nc)."""

    __slots__ = ("_counts", "_credentials", "_latest", "_new_id")

    def __init__(self, credentials: Credentials | None, new_id: Callable[[], str]) -> None:
        self._credentials = credentials
        self._new_id = new_id
        self._latest: dict[tuple[bool, str], Challenge] = {}
        self._counts: dict[tuple[bool, str], int] = {}

    def use(self, credentials: Credentials) -> None:
        """Answer with these credentials from now on."""
        self._credentials = credentials

    def learn(self, headers: Headers, tried: dict[str, int]) -> bool:
        """Take the challenges of a 401 or 407; True when the request is worth sending again with ``pairs``.

        ``tried`` belongs to one request and its repetitions: a realm that refuses a fresh answer without saying
        ``stale`` refuses the password, and asking on would never end (RFC 3261 section 22.1). One that asks for another
        algorithm has not looked at the password yet: an exchange may learn who we are from our first answer only.
        """
        if self._credentials is None:
            return False
        challenges = challenges_of(headers)
        for challenge in challenges:
            realm = f"{challenge.proxy}/{challenge.algorithm}/{challenge.realm}"
            before = tried.get(realm, 0)
            if before and (not challenge.stale or before > _MOST_STALE):
                return False
            tried[realm] = before + 1
            key = (challenge.proxy, challenge.realm)
            known = self._latest.get(key)
            if known is None or known.nonce != challenge.nonce:
                self._counts[key] = 0
            self._latest[key] = challenge
        return bool(challenges)

    def pairs(self, method: str, uri: str) -> list[tuple[str, str]]:
        """Return the Authorization and Proxy-Authorization headers for a request, [] before any challenge."""
        if self._credentials is None:
            return []
        pairs = []
        for key, challenge in self._latest.items():
            self._counts[key] += 1
            name = "Proxy-Authorization" if challenge.proxy else "Authorization"
            answer = _answer(challenge, self._credentials, method, uri, self._counts[key], self._new_id()[-16:])
            pairs.append((name, answer))
        return pairs


def _answer(challenge: Challenge, credentials: Credentials, method: str, uri: str, count: int, cnonce: str) -> str:
    nc = f"{count:08x}"
    response = _digest(
        challenge.algorithm, challenge.realm, challenge.nonce, credentials, method, uri, nc, cnonce, challenge.qop
    )
    parts = [
        f"username={quote(credentials.user)}",
        f"realm={quote(challenge.realm)}",
        f"nonce={quote(challenge.nonce)}",
        f"uri={quote(uri)}",
        f'response="{response}"',
        f"algorithm={_WRITTEN[challenge.algorithm]}",
    ]
    if challenge.qop:
        parts += [f'cnonce="{cnonce}"', "qop=auth", f"nc={nc}"]
    elif challenge.algorithm.endswith("-sess"):
        parts.append(f'cnonce="{cnonce}"')
    if challenge.opaque is not None:
        parts.append(f"opaque={quote(challenge.opaque)}")
    return "Digest " + ", ".join(parts)


def _digest(
    algorithm: str,
    realm: str,
    nonce: str,
    credentials: Credentials,
    method: str,
    uri: str,
    nc: str,
    cnonce: str,
    qop: bool,
) -> str:
    """Return the response value of RFC 7616 section 3.4.1, lower-case hex."""
    name = algorithm.removesuffix("-sess")

    def h(text: str) -> str:
        data = text.encode("utf-8", "surrogateescape")
        made = hashlib.sha256(data) if name == "sha-256" else hashlib.md5(data, usedforsecurity=False)
        return made.hexdigest()

    secret = h(f"{credentials.user}:{realm}:{credentials.password}")
    if algorithm.endswith("-sess"):
        secret = h(f"{secret}:{nonce}:{cnonce}")
    what = h(f"{method}:{uri}")
    if qop:
        return h(f"{secret}:{nonce}:{nc}:{cnonce}:auth:{what}")
    return h(f"{secret}:{nonce}:{what}")


def make_challenge(
    *, realm: str, nonce: str, algorithm: str = "MD5", qop: bool = True, stale: bool = False, opaque: str | None = None
) -> str:
    """Return the value of a WWW-Authenticate or Proxy-Authenticate header."""
    parts = [f"realm={quote(safe(realm, 'realm'))}", f"nonce={quote(safe(nonce, 'nonce'))}"]
    parts.append(f"algorithm={_WRITTEN[algorithm.lower()]}")
    if qop:
        parts.append('qop="auth"')
    if opaque is not None:
        parts.append(f"opaque={quote(safe(opaque, 'opaque'))}")
    if stale:
        parts.append("stale=true")
    return "Digest " + ", ".join(parts)


def verify(value: str, *, method: str, nonce: str, realm: str, credentials: Credentials) -> bool:
    """Tell whether an Authorization value answers our challenge. Malformed values are simply wrong answers.

    The nonce must be the one we gave; whether a count (nc) may come again is for the caller, who knows its nonces.
    """
    try:
        scheme, parts = parse_parts(value)
    except SipParseError:
        return False
    algorithm = parts.get("algorithm", "MD5").lower()
    if scheme != "digest" or algorithm not in _STRENGTH or parts.get("realm") != realm or parts.get("nonce") != nonce:
        return False
    qop = parts.get("qop", "").lower()
    if qop not in ("", "auth") or parts.get("username") != credentials.user:
        return False
    expected = _digest(
        algorithm,
        realm,
        nonce,
        credentials,
        method,
        parts.get("uri", ""),
        parts.get("nc", ""),
        parts.get("cnonce", ""),
        bool(qop),
    )
    return hmac.compare_digest(expected.encode(), parts.get("response", "").encode("utf-8", "surrogateescape"))
