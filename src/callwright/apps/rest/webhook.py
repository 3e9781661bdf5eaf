"""Ask the pages of customers' web applications over HTTP (docs/reference/rest-applications.md, the HTTP request).

``PageClient`` is shared by all instances; each instance asks through its own ``PageSession``, which keeps its cookies.
A request is repeated only when no byte of it can have been sent: every request has a connection of its
own, because on a reused one nobody can tell. Where a request may go is decided at connect time, on the very address
that is connected to, redirects included.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from http.cookies import CookieError, SimpleCookie
from ipaddress import ip_address
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import Self
from urllib.parse import quote, unquote, urljoin, urlsplit, urlunsplit

import aiohttp
import msgspec
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from callwright.accounts.service import Method, Page
from callwright.apps.rest.addresses import AddressPolicy
from callwright.apps.rest.document import MAX_RESPONSE_BYTES
from callwright.apps.rest.exchange import ExchangeFailed, HeadersFound, exchange, request_bytes
from callwright.apps.rest.fields import url_fault
from callwright.apps.rest.media_cache import MAX_MEDIA_BYTES, Entry, MediaCache, freshness_of
from callwright.apps.rest.pages import shown_url
from callwright.apps.rest.problem import Problem, ProblemKind
from callwright.apps.rest.until import Within

CONNECT_TIMEOUT_S = 10.0
TOTAL_TIMEOUT_S = 30.0
MAX_HTTP_REDIRECTS = 5
NAMES_KNOWN_S = 10.0
RETRY_PAUSE_S = 0.3
USER_AGENT = "callwright"

_REDIRECTS = {301, 302, 303, 307, 308}
_REDIRECTS_KEEPING_METHOD = {307, 308}
_MOST_NAMES_KNOWN = 10_000
_MOST_ADDRESSES_JUDGED = 1024


class AddressRefused(OSError):
    """The host of a page is at an address where pages may not be."""


class PageReply(msgspec.Struct, frozen=True, kw_only=True):
    """A page's answer: ``url`` is where it finally came from, ``body`` is empty for a 204."""

    url: str
    status: int
    body: bytes
    seconds: float


class PageRefused(Problem):
    """A page answered with a status that is none of success; ``reply`` is that answer."""

    def __init__(self, page: Page, reply: PageReply) -> None:
        super().__init__(ProblemKind.PAGE_REQUEST_FAILED, f"{page.method} {shown_url(page.url)}: status {reply.status}")
        self.reply = reply


class _Answer(msgspec.Struct, frozen=True, kw_only=True):
    url: str
    status: int
    headers: HeadersFound
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class _Target:
    """A URL taken apart: ``target`` is path and query as they are sent, ``host`` a name or an address."""

    url: URL
    host: str
    port: int
    target: str
    authority: str
    authorization: str


class GuardedResolver(AbstractResolver):
    """Resolves names and drops every address the policy refuses: what is left is what is connected to."""

    def __init__(self, policy: AddressPolicy, inner: AbstractResolver) -> None:
        self._policy = policy
        self._inner = inner

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        found = await self._inner.resolve(host, port, family)
        refusals = [self._policy.refusal(one["host"]) for one in found]
        if found and all(refusals):
            raise AddressRefused(refusals[0])
        return [one for one, refusal in zip(found, refusals, strict=True) if refusal is None]

    async def close(self) -> None:
        await self._inner.close()


class PageClient:
    """The HTTP client of the node. ``media_cache`` is a folder for sounds that pages deliver; it is emptied on opening.

    Make it with ``await PageClient.open(…)`` and close it, or use it as ``async with``.
    """

    def __init__(
        self,
        policy: AddressPolicy,
        resolver: AbstractResolver,
        cache: MediaCache,
        *,
        connect_timeout_s: float,
        total_timeout_s: float,
    ) -> None:
        self._refusal = lru_cache(maxsize=_MOST_ADDRESSES_JUDGED)(policy.refusal)
        self.cache = cache
        self.connect_timeout_s = connect_timeout_s
        self.total_timeout_s = total_timeout_s
        self.tls = ssl.create_default_context()
        self._resolver = resolver
        self._known: dict[tuple[str, int], tuple[float, list[str]]] = {}

    @classmethod
    async def open(
        cls,
        policy: AddressPolicy,
        *,
        media_cache: Path,
        resolver: AbstractResolver | None = None,
        connect_timeout_s: float = CONNECT_TIMEOUT_S,
        total_timeout_s: float = TOTAL_TIMEOUT_S,
    ) -> Self:
        cache = await asyncio.to_thread(MediaCache, media_cache)
        guarded = GuardedResolver(policy, resolver or aiohttp.ThreadedResolver())
        return cls(policy, guarded, cache, connect_timeout_s=connect_timeout_s, total_timeout_s=total_timeout_s)

    async def addresses(self, host: str, port: int) -> list[str]:
        """Return the addresses of a host that pages may be at; raise ``ExchangeFailed`` when there are none."""
        if _is_address(host):
            if refusal := self._refusal(host):
                raise ExchangeFailed(refusal)
            return [host]
        known = self._known.get((host, port))
        if known is not None and monotonic() < known[0]:
            return known[1]
        try:
            found = [one["host"] for one in await self._resolver.resolve(host, port)]
        except AddressRefused as refused:
            raise ExchangeFailed(str(refused)) from refused
        except OSError as error:
            raise ExchangeFailed(f"the host '{host}' was not found", unsent=True) from error
        if len(self._known) >= _MOST_NAMES_KNOWN:
            self._known.clear()
        self._known[host, port] = monotonic() + NAMES_KNOWN_S, found
        return found

    async def close(self) -> None:
        await self._resolver.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def session(self, *, cache_scope: str = "") -> PageSession:
        """Return the session of one instance. Sounds from pages are shared by the sessions of one ``cache_scope``."""
        return PageSession(self, cache_scope)


class PageSession:
    """The requests of one instance. Everything that goes wrong is a ``Problem`` that says what and where."""

    def __init__(self, client: PageClient, cache_scope: str) -> None:
        self._client = client
        self._cookies: aiohttp.CookieJar | None = None  # few applications have any
        self._cache_scope = cache_scope

    async def ask(self, page: Page, info: bytes) -> PageReply:
        """Ask for a page with the JSON text ``info``; return its answer if it is a 200 or a 204."""
        began = monotonic()
        answer = await self._exchange(
            page.method, page.url, info=info, headers={"Accept": "application/json"}, max_bytes=MAX_RESPONSE_BYTES
        )
        body = b"" if answer.status == 204 else answer.body
        reply = PageReply(url=answer.url, status=answer.status, body=body, seconds=monotonic() - began)
        if answer.status not in (200, 204):
            raise PageRefused(page, reply)
        return reply

    async def notify(self, page: Page, info: bytes) -> PageReply:
        """Ask for a page whose answer does not matter, as long as its status is a success."""
        began = monotonic()
        answer = await self._exchange(
            page.method, page.url, info=info, headers={"Accept": "application/json"}, max_bytes=MAX_RESPONSE_BYTES
        )
        reply = PageReply(url=answer.url, status=answer.status, body=answer.body, seconds=monotonic() - began)
        if not 200 <= answer.status < 300:
            raise PageRefused(page, reply)
        return reply

    async def fetch_sound(self, url: str) -> str:
        """Return the path of a local copy of the sound that a page delivers, from the cache while it is fresh."""
        key, limit_s = f"{self._cache_scope} {url}", self._client.total_timeout_s
        try:
            async with asyncio.timeout(limit_s) as waiting, self._client.cache.entry(key) as entry:
                waiting.reschedule(None)
                return await self._sound(url, entry)
        except TimeoutError as error:
            # Behind a page that never answers each call would wait for all those before it to give up.
            raise _problem("GET", url, f"others wait for it, too, and had no answer within {limit_s:g} s") from error

    async def _sound(self, url: str, entry: Entry) -> str:
        """Return the path of a sound whose place in the cache we hold."""
        now = monotonic()
        if entry.is_fresh(now):
            return entry.path
        answer = await self._exchange("GET", url, info=None, headers=entry.conditions(), max_bytes=MAX_MEDIA_BYTES)
        freshness = freshness_of(answer.headers)
        if answer.status == 304 and entry.exists:
            entry.renew(now, freshness)
            return entry.path
        if answer.status != 200:
            raise _problem("GET", url, f"status {answer.status}")
        return await entry.store(answer.body, now, freshness)

    async def _exchange(
        self, method: Method, url: str, *, info: bytes | None, headers: Mapping[str, str], max_bytes: int
    ) -> _Answer:
        """Send a request, again when it cannot have been sent, and follow redirects."""
        try:
            with Within(self._client.total_timeout_s):
                try:
                    return await self._follow(method, url, info, headers, max_bytes)
                except ExchangeFailed as failed:
                    if not failed.unsent:
                        raise
                await asyncio.sleep(RETRY_PAUSE_S)
                return await self._follow(method, url, info, headers, max_bytes)
        except ExchangeFailed as failed:
            raise _problem(method, url, str(failed)) from failed
        except TimeoutError as error:
            limit = f"no complete answer within {self._client.total_timeout_s:g} s"
            raise _problem(method, url, limit) from error

    async def _follow(
        self, method: Method, url: str, info: bytes | None, headers: Mapping[str, str], max_bytes: int
    ) -> _Answer:
        for hop in range(MAX_HTTP_REDIRECTS + 1):
            try:
                answer = await self._send(method, url, info, headers, max_bytes)
            except ExchangeFailed as failed:
                if hop:
                    failed.unsent = False  # the page itself has been asked
                raise
            if answer.status not in _REDIRECTS:
                return answer
            location = answer.headers.get("Location", "")
            if not location:
                raise ExchangeFailed(f"status {answer.status} without a Location")
            url = _redirected(url, location)
            if answer.status not in _REDIRECTS_KEEPING_METHOD:
                method = "GET"
        raise ExchangeFailed(f"more than {MAX_HTTP_REDIRECTS} HTTP redirects")

    async def _send(
        self, method: Method, url: str, info: bytes | None, headers: Mapping[str, str], max_bytes: int
    ) -> _Answer:
        target = _target(url) if method == "POST" or info is None else _target_with(url, info)
        sent = [("Host", target.authority), ("User-Agent", USER_AGENT), *headers.items()]
        # Compression is not asked for: a small answer that unfolds to gigabytes is somebody's attack.
        sent.append(("Accept-Encoding", "identity"))
        if target.authorization:
            sent.append(("Authorization", target.authorization))
        if self._cookies is not None and (cookies := self._cookies.filter_cookies(target.url)):
            sent.append(("Cookie", "; ".join(f"{name}={one.coded_value}" for name, one in cookies.items())))
        body = info if method == "POST" else None
        if body is not None:
            sent.append(("Content-Type", "application/json; charset=UTF-8"))
        answered = await exchange(
            request_bytes(method, target.target, sent, body),
            await self._client.addresses(target.host, target.port),
            target.port,
            tls=self._client.tls if target.url.scheme == "https" else None,
            host=target.host,
            connect_timeout_s=self._client.connect_timeout_s,
            max_bytes=max_bytes,
        )
        if answered.cookies:
            self._keep_cookies(answered.cookies, target.url)
        if answered.headers.get("content-encoding", "identity").lower() != "identity":
            raise ExchangeFailed("the answer is compressed, though that was not asked for")
        return _Answer(url=url, status=answered.status, headers=answered.headers, body=answered.body)

    def _keep_cookies(self, given: Sequence[str], url: URL) -> None:
        if self._cookies is None:
            self._cookies = aiohttp.CookieJar(unsafe=True)  # pages at bare IP addresses may have sessions too
        for one in given:
            read = SimpleCookie()
            with contextlib.suppress(CookieError):  # one that breaks the grammar is not kept
                read.load(one)
            self._cookies.update_cookies(read, url)


@lru_cache(maxsize=1024)
def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


@lru_cache(maxsize=1024)
def _target(url: str) -> _Target:
    """Take a URL apart: user information never travels in it. Raise ``ExchangeFailed`` when it is of no use."""
    fault = url_fault(url)
    parts = urlsplit(url) if fault is None else urlsplit("")
    if fault is not None or not parts.hostname:
        raise ExchangeFailed(f"the URL {fault or 'names no host'}")
    userinfo, _, host = parts.netloc.rpartition("@")
    try:
        bare = URL(urlunsplit((parts.scheme, host, parts.path or "/", parts.query, "")))
    except ValueError as error:
        raise ExchangeFailed(f"the URL cannot be used: {error}") from error
    return _taken_apart(bare, f"Basic {b64encode(unquote(userinfo).encode()).decode()}" if userinfo else "")


def _target_with(url: str, info: bytes) -> _Target:
    """Take a URL apart, with ``instance_info`` in its query."""
    bare = _target(url)
    return _taken_apart(with_instance_info(bare.url, info), bare.authorization)


def _taken_apart(url: URL, authorization: str) -> _Target:
    host, port = url.raw_host, url.port
    if not host or port is None:
        raise ExchangeFailed("it is not a usable URL")
    named = f"[{host}]" if ":" in host else host
    return _Target(
        url=url,
        host=host,
        port=port,
        target=url.raw_path_qs,
        authority=named if url.is_default_port() else f"{named}:{port}",
        authorization=authorization,
    )


def with_instance_info(url: URL, info: bytes) -> URL:
    """Add the query argument ``instance_info`` behind the URL's own, in place of one that is there already."""
    kept = [item for item in url.raw_query_string.split("&") if item and not item.startswith("instance_info=")]
    query = "&".join([*kept, f"instance_info={quote(info, safe='')}"])
    bare = str(url.with_query(None).with_fragment(None))
    return URL(f"{bare}?{query}", encoded=True)


def _redirected(url: str, location: str) -> str:
    """Return where a redirect leads. User name and password stay with their own server."""
    before = urlsplit(url)
    try:
        after = urlsplit(urljoin(url, location))
    except ValueError as error:
        raise ExchangeFailed(f"an HTTP redirect leads to something that is not a URL: {error}") from error
    if (after.scheme, after.netloc) == (before.scheme, before.netloc.rpartition("@")[2]):
        after = after._replace(netloc=before.netloc)
    return urlunsplit(after)


def _problem(method: str, url: str, detail: str) -> Problem:
    return Problem(ProblemKind.PAGE_REQUEST_FAILED, f"{method} {shown_url(url)}: {detail}")
