"""A trunk as its operator set it up: where it is, which numbers it carries, what it is told, how much it may get.

Pure. docs/reference/trunks.md explains every field.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from callwright.media.offer_answer import CODECS, SPOKEN
from callwright.sip.uri import is_literal
from callwright.sip.way import Transport
from callwright.values.errors import RequestError

DEFAULT_CHECK_EVERY_S = 30.0
DEFAULT_EXPIRES_S = 600
KNOWN_CODECS = tuple(codec.name for codec in SPOKEN)
DEFAULT_CODECS = tuple(codec.name for codec in CODECS)

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,59}")
_HOST = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9._-]{0,252})|[0-9A-Fa-f:.]{2,45}")
_USER = re.compile(r"[A-Za-z0-9._~!*'()&=+$,;?/%-]{1,100}")
_LOGIN = re.compile(r'[^\x00-\x1f\x7f"\\]{1,100}')
_LONGEST_PREFIX = 15


@dataclass(frozen=True, slots=True, kw_only=True)
class TrunkPrefix:
    """Numbers a trunk carries: those that begin with ``digits`` ("" is every number).

    Of the trunks with an equally long prefix those of the lowest ``priority`` come first, shared out by ``weight``; a
    trunk of weight 0 is taken when no other of its priority is left.
    """

    digits: str = ""
    priority: int = 1
    weight: int = 1

    def __str__(self) -> str:
        return f"{self.digits or '*'}:{self.priority}:{self.weight}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trunk:
    """One trunk. ``port`` 0 is found by SRV, or the one its transport usually has.

    None for ``max_calls`` and ``max_cps`` is no limit; ``check_every_s`` 0 is no health check.

    The called number loses ``strip`` when it begins with it, then gets ``add``, then a "+" when ``plus``. ``codecs``
    are names in the order they are offered.
    """

    name: str
    host: str
    port: int = 0
    transport: Transport = Transport.UDP
    enabled: bool = True
    prefixes: tuple[TrunkPrefix, ...] = (TrunkPrefix(),)
    user: str = ""
    password: str = field(default="", repr=False)
    register: bool = False
    expires_s: int = DEFAULT_EXPIRES_S
    from_user: str = ""
    from_domain: str = ""
    assert_identity: bool = False
    withhold: bool = False
    strip: str = ""
    add: str = ""
    plus: bool = False
    codecs: tuple[str, ...] = DEFAULT_CODECS
    max_calls: int | None = None
    max_cps: float | None = None
    check_every_s: float = DEFAULT_CHECK_EVERY_S

    @property
    def address(self) -> tuple[str, int]:
        """Where its requests are sent: host and port; 0 for a name whose port is found by SRV (RFC 3263)."""
        return self.host, self.port or (self.transport.default_port if is_literal(self.host) else 0)

    @property
    def authority(self) -> str:
        """Host and port as a SIP URI writes them; a port that was not given is left away."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}" if self.port else host

    @property
    def domain(self) -> str:
        """The domain our user belongs to there."""
        return self.from_domain or self.authority

    def can_say(self, digits: str) -> bool:
        """Whether rewriting leaves a number the same one. Where ``strip`` turns full numbers into national ones, what
        begins with 00 or, on top of ``add``, with a zero (in North America with any) would be of another country.
        """
        if not self.strip or not digits.startswith(self.strip):
            return True
        national = digits.removeprefix(self.strip)
        return not national.startswith("0" if self.add or self.strip.startswith("1") else "00")


def parse_prefix(text: str) -> TrunkPrefix:
    """Read ``DIGITS[:PRIORITY[:WEIGHT]]``, ``*`` for every number; raise ``RequestError``."""
    digits, *numbers = text.strip().split(":")
    digits = digits.removeprefix("+")
    if len(numbers) > 2 or not all(_is_count(number) for number in numbers) or not digits:
        raise RequestError(
            f"'{text[:40]}' is not a prefix: write DIGITS[:PRIORITY[:WEIGHT]], * for every number", field="prefixes"
        )
    return TrunkPrefix(
        digits="" if digits == "*" else digits,
        priority=int(numbers[0]) if numbers else 1,
        weight=int(numbers[1]) if len(numbers) > 1 else 1,
    )


def check_trunk(trunk: Trunk) -> None:
    """Raise ``RequestError`` naming the first field that makes no sense."""
    _need(_NAME.fullmatch(trunk.name), "name", "1 to 60 letters, digits, '.', '_' and '-', the first a letter or digit")
    _need(_HOST.fullmatch(trunk.host), "host", "a host name or an IP address, without port")
    _need(0 <= trunk.port < 65536, "port", "1 to 65535, 0 for the usual one")
    _check_prefixes(trunk.prefixes)
    _need(not trunk.user or _LOGIN.fullmatch(trunk.user), "user", "at most 100 characters without quotes and controls")
    _need(not trunk.password or _LOGIN.fullmatch(trunk.password), "password", "at most 100 characters without controls")
    _need(trunk.user or not trunk.password, "user", "given together with a password")
    _need(trunk.user or not trunk.register, "user", "given for a trunk that registers")
    _need(_USER.fullmatch(trunk.user) or not trunk.register, "user", "a SIP user for a trunk that registers")
    _need(10 <= trunk.expires_s <= 86_400, "expires_s", "10 to 86400 seconds")
    _need(not trunk.from_user or _USER.fullmatch(trunk.from_user), "from_user", "a SIP user")
    _need(not trunk.from_domain or _HOST.fullmatch(trunk.from_domain), "from_domain", "a host name or an IP address")
    for name in ("strip", "add"):
        value: str = getattr(trunk, name)
        _need(not value or re.fullmatch(r"[0-9*#]{1,20}", value), name, "at most 20 digits")
    _need(
        trunk.codecs and len(set(trunk.codecs)) == len(trunk.codecs) and set(trunk.codecs) <= set(KNOWN_CODECS),
        "codecs",
        f"a choice of {', '.join(KNOWN_CODECS)}, each once",
    )
    _need(trunk.max_calls is None or trunk.max_calls >= 1, "max_calls", "at least 1")
    _need(trunk.max_cps is None or 0.01 <= trunk.max_cps <= 10_000, "max_cps", "0.01 to 10000")
    _need(
        trunk.check_every_s == 0 or 1 <= trunk.check_every_s <= 3600, "check_every_s", "1 to 3600 seconds, 0 for never"
    )


def _check_prefixes(prefixes: tuple[TrunkPrefix, ...]) -> None:
    digits = [prefix.digits for prefix in prefixes]
    _need(digits and len(set(digits)) == len(digits), "prefixes", "at least one prefix, and each only once")
    for prefix in prefixes:
        fits = not prefix.digits or (prefix.digits.isascii() and prefix.digits.isdigit())
        _need(fits and len(prefix.digits) <= _LONGEST_PREFIX, "prefixes", f"at most {_LONGEST_PREFIX} digits")
        _need(0 <= prefix.priority <= 1000 and 0 <= prefix.weight <= 1000, "prefixes", "priority and weight 0 to 1000")


def _need(fits: object, name: str, wanted: str) -> None:
    if not fits:
        raise RequestError(f"{name} of a trunk must be {wanted}", field=name)


def _is_count(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 4
