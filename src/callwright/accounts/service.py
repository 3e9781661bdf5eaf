"""A service: a configured, named product of an account (docs/reference/accounts.md)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal
from urllib.parse import urlsplit

from callwright.values.errors import RequestError
from callwright.values.ids import AccountId, ServiceId

DEFAULT_RING_TIMEOUT_S = 60.0
DEFAULT_VOICE = ""  # the platform's own default voice
MAX_PAGE_URL_CHARS = 2048


class Direction(StrEnum):
    OUTBOUND = "outbound"
    INBOUND = "inbound"


class ApplicationKind(StrEnum):
    REST = "rest"
    UAS = "uas"


class CallType(StrEnum):
    """What an outbound service calls: numbers and addresses, or conference rooms."""

    TELEPHONE = "telephone"
    CONFERENCE = "conference"


Method = Literal["GET", "POST"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One URL of a REST application. It may hold a user name and password for the web server."""

    url: str
    method: Method = "POST"

    @property
    def holds_secret(self) -> bool:
        """Whether the URL holds a user name or password (RFC 3986 section 3.2.1)."""
        return _without_userinfo(self.url) != self.url


NO_PAGE: Final = Page(url="")  # the first page of a service whose application is not made of pages


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A service as the rest of the product sees it: without its password.

    Limits that are None are those of the account. ``first_page`` is ``NO_PAGE`` exactly for UAS services,
    ``uas_application_name`` is "" exactly for REST services. ``tts_voice`` "" is the platform's default.
    """

    id: ServiceId
    account_id: AccountId
    name: str
    direction: Direction
    application: ApplicationKind
    enabled: bool
    first_page: Page
    final_page: Page | None
    error_page: Page | None
    application_parameters: str
    tts_voice: str
    call_type: CallType
    max_cps: float | None
    min_cps: float | None
    max_running: int | None
    ring_timeout_s: float
    uas_application_name: str


_NAME = re.compile(r"[^/:\x00-\x1f\x7f]{1,255}")


def check_service_name(name: str) -> str:
    """Return ``name``, or raise ``RequestError``.

    The name is part of a user name of Basic authorisation, whose parts end at "/" and which ends at ":" (RFC 7617
    section 2): with either in it nobody could log in.
    """
    if not _NAME.fullmatch(name) or name != name.strip():
        raise RequestError(
            f"the service name '{name[:60]}' must have 1 to 255 characters without '/', ':' and control characters "
            "(it is part of the user name clients log in with), and must not begin or end with a space",
            field="name",
        )
    return name


def check_page(page: Page, *, field: str) -> Page:
    """Return ``page``, or raise ``RequestError`` naming ``field`` unless it is an absolute http or https URL."""
    problem = _page_problem(page)
    if problem:
        raise RequestError(f"{field} '{_without_userinfo(page.url)[:80]}' {problem}", field=field)
    return page


def check_ring_timeout(seconds: float) -> float:
    """Return ``seconds``, or raise ``RequestError`` unless a far end can be rung that long."""
    if not 1 <= seconds <= 600:
        raise RequestError(f"ring_timeout_s is {seconds}: it must be 1 to 600 seconds", field="ring_timeout_s")
    return seconds


def check_password(password: str) -> str:
    """Return ``password``, or raise ``RequestError`` when it is empty; it may hold any characters, also ':'."""
    if not password:
        raise RequestError("the service password is empty", field="password")
    if len(password.encode()) > 1024:
        raise RequestError("the service password is longer than 1024 bytes", field="password")
    return password


def _page_problem(page: Page) -> str:
    if page.method not in ("GET", "POST"):
        return f"has the method '{page.method}': it must be GET or POST"
    if len(page.url) > MAX_PAGE_URL_CHARS:
        return f"is longer than {MAX_PAGE_URL_CHARS} characters"
    if re.search(r"[\x00-\x20\x7f]", page.url):
        return "holds a space or a control character: percent-encode it"
    try:
        parts = urlsplit(page.url)
        host, _ = parts.hostname, parts.port  # reading the port checks that it is one
    except ValueError as error:
        return f"is not a URL: {error}"
    if parts.scheme.lower() not in ("http", "https"):
        return "must begin with http:// or https://"
    if not host:
        return "names no host"
    if parts.fragment:
        return "has a fragment ('#…'), which a web server never sees"
    return ""


def _without_userinfo(url: str) -> str:
    """Keep the password of a page out of messages and logs."""
    return re.sub(r"(?<=//)[^/?#]*@", "", url)
