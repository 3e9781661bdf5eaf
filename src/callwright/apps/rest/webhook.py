"""Ask the pages of customers' web applications over HTTP (docs/reference/rest-applications.md, the HTTP request).

``PageClient`` is shared by all instances; each instance asks through its own ``PageSession``, which keeps its cookies.
A request is repeated only when no byte of it can have been sent (ruling 24): every request has a connection of its
own, because on a reused one nobody can tell. Where a request may go is decided at connect time, on the very address
that is connected to, redirects included.
"""

from __future__ import annotations

import asyncio
import socket
from base64 import b64encode
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import Self
from urllib.parse import quote, unquote, urljoin, urlsplit, urlunsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from callwright.accounts.service import Method, Page
from callwright.apps.rest.addresses import AddressPolicy
from callwright.apps.rest.document import MAX_RESPONSE_BYTES
from callwright.apps.rest.fields import url_fault
from callwright.apps.rest.media_cache import MAX_MEDIA_BYTES, MediaCache, freshness_of
from callwright.apps.rest.pages import shown_url
from callwright.apps.rest.problem import Problem, ProblemKind

CONNECT_TIMEOUT_S = 10.0
TOTAL_TIMEOUT_S = 30.0
MAX_HTTP_REDIRECTS = 5
MAX_HEAD_LINE_BYTES = 32 * 1024  # web frameworks send cookies and policies of many kilobytes
RETRY_PAUSE_S = 0.3
USER_AGENT = "callwright"

_REDIRECTS = {301, 302, 303, 307, 308}
_REDIRECTS_KEEPING_METHOD = {307, 308}
_READ_BYTES = 64 * 1024
_BROKE = "the connection broke before the answer was complete"


class AddressRefused(OSError):
    """The host of a page is at an address where pages may not be."""


class _Failed(Exception):
    """An exchange failed; ``unsent`` is true when no byte of the request can have been sent."""

    def __init__(self, detail: str, *, unsent: bool = False) -> None:
        super().__init__(detail)
        self.unsent = unsent


@dataclass(frozen=True, slots=True, kw_only=True)
class PageReply:
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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    url: str
    status: int
    headers: Mapping[str, str]
    body: bytes


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
        connector: aiohttp.TCPConnector,
        cache: MediaCache,
        *,
        connect_timeout_s: float,
        total_timeout_s: float,
    ) -> None:
        self.policy = policy
        self.connector = connector
        self.cache = cache
        self.connect_timeout_s = connect_timeout_s
        self.total_timeout_s = total_timeout_s

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
        connector = aiohttp.TCPConnector(
            resolver=GuardedResolver(policy, resolver or aiohttp.ThreadedResolver()),
            force_close=True,
            limit=0,
            ttl_dns_cache=10,
        )
        cache = await asyncio.to_thread(MediaCache, media_cache)
        return cls(policy, connector, cache, connect_timeout_s=connect_timeout_s, total_timeout_s=total_timeout_s)

    async def close(self) -> None:
        await self.connector.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @asynccontextmanager
    async def session(self, *, cache_scope: str = "") -> AsyncIterator[PageSession]:
        """Open the session of one instance. Sounds from pages are shared by the sessions of one ``cache_scope``."""
        http = aiohttp.ClientSession(
            connector=self.connector,
            connector_owner=False,
            cookie_jar=aiohttp.CookieJar(unsafe=True),  # pages at bare IP addresses may have sessions too
            auto_decompress=False,
            max_line_size=MAX_HEAD_LINE_BYTES,
            max_field_size=MAX_HEAD_LINE_BYTES,
            timeout=aiohttp.ClientTimeout(total=None, connect=self.connect_timeout_s),
            # Compression is not asked for: a small answer that unfolds to gigabytes is somebody's attack.
            headers={"User-Agent": USER_AGENT, "Accept-Encoding": "identity"},
            middlewares=(_just_once,),
        )
        try:
            yield PageSession(self, http, cache_scope)
        finally:
            await http.close()


class PageSession:
    """The requests of one instance. Everything that goes wrong is a ``Problem`` that says what and where."""

    def __init__(self, client: PageClient, http: aiohttp.ClientSession, cache_scope: str) -> None:
        self._client = client
        self._http = http
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
        async with self._client.cache.entry(f"{self._cache_scope} {url}") as entry:
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
            async with asyncio.timeout(self._client.total_timeout_s):
                try:
                    return await self._follow(method, url, info, headers, max_bytes)
                except _Failed as failed:
                    if not failed.unsent:
                        raise
                await asyncio.sleep(RETRY_PAUSE_S)
                return await self._follow(method, url, info, headers, max_bytes)
        except _Failed as failed:
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
            except _Failed as failed:
                if hop:
                    failed.unsent = False  # the page itself has been asked
                raise
            if answer.status not in _REDIRECTS:
                return answer
            location = answer.headers.get("Location", "")
            if not location:
                raise _Failed(f"status {answer.status} without a Location")
            url = _redirected(url, location)
            if answer.status not in _REDIRECTS_KEEPING_METHOD:
                method = "GET"
        raise _Failed(f"more than {MAX_HTTP_REDIRECTS} HTTP redirects")

    async def _send(
        self, method: Method, url: str, info: bytes | None, headers: Mapping[str, str], max_bytes: int
    ) -> _Answer:
        target, authorization = _target(url, info if method == "GET" else None)
        refusal = self._refusal_of_literal(target.host or "")
        if refusal:
            raise _Failed(refusal)
        sent = dict(headers) | ({"Authorization": authorization} if authorization else {})
        body = info if method == "POST" else None
        if body is not None:
            sent["Content-Type"] = "application/json; charset=UTF-8"
        try:
            async with self._http.request(method, target, data=body, headers=sent, allow_redirects=False) as response:
                if response.headers.get("Content-Encoding", "identity").lower() != "identity":
                    raise _Failed("the answer is compressed, though that was not asked for")
                return _Answer(
                    url=url,
                    status=response.status,
                    headers=response.headers,
                    body=await _read(response, max_bytes),
                )
        except (aiohttp.ClientError, aiohttp.ServerTimeoutError) as error:
            raise self._failed(error, target) from error
        except ValueError as error:
            raise _Failed(f"the URL or a header of the answer cannot be used: {error}") from error

    def _refusal_of_literal(self, host: str) -> str | None:
        """Check a host that is an address already: resolvers are not asked about those."""
        is_literal = ":" in host or host.replace(".", "").isdigit()
        return self._client.policy.refusal(host) if is_literal else None

    def _failed(self, error: Exception, target: URL) -> _Failed:
        where = f"{target.host}:{target.port}"
        match error:
            case aiohttp.ClientConnectorCertificateError():
                return _Failed(f"the TLS certificate of {where} is not valid: {error.certificate_error}")
            case aiohttp.ClientConnectorSSLError():
                return _Failed(f"no TLS connection to {where}: {error.os_error.strerror or error.os_error}")
            case aiohttp.ClientConnectorError(os_error=AddressRefused() as refused):
                return _Failed(str(refused))
            case aiohttp.ClientConnectorDNSError():
                return _Failed(f"the host '{target.host}' was not found", unsent=True)
            case aiohttp.ClientConnectorError():
                return _Failed(f"no connection to {where}: {error.os_error.strerror or error.os_error}", unsent=True)
            case aiohttp.ServerTimeoutError():
                return _Failed(f"no connection to {where} within {self._client.connect_timeout_s:g} s")
            case aiohttp.InvalidURL():
                return _Failed("it is not a usable URL")
            case aiohttp.ClientResponseError():
                return _Failed(
                    f"the answer is not HTTP, or a line of its head is longer than {MAX_HEAD_LINE_BYTES} bytes"
                )
            case aiohttp.ClientConnectionError() | aiohttp.ClientPayloadError():
                return _Failed(_BROKE)
            case _:
                return _Failed(f"the request failed: {error}")


async def _just_once(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Turn a broken connection into an error of ours: after one of its own, aiohttp would send a GET a second time."""
    try:
        return await handler(request)
    except aiohttp.ClientConnectorError:
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise _Failed(_BROKE) from error


async def _read(response: aiohttp.ClientResponse, max_bytes: int) -> bytes:
    body = bytearray()
    async for piece in response.content.iter_chunked(_READ_BYTES):
        body += piece
        if len(body) > max_bytes:
            raise _Failed(f"the answer has more than {max_bytes} bytes")
    return bytes(body)


def _target(url: str, info: bytes | None) -> tuple[URL, str]:
    """Return what to connect to and the Authorization header: user information never travels in the URL."""
    fault = url_fault(url)
    parts = urlsplit(url) if fault is None else urlsplit("")
    if fault is not None or not parts.hostname:
        raise _Failed(f"the URL {fault or 'names no host'}")
    userinfo, _, host = parts.netloc.rpartition("@")
    bare = URL(urlunsplit((parts.scheme, host, parts.path or "/", parts.query, "")))
    authorization = f"Basic {b64encode(unquote(userinfo).encode()).decode()}" if userinfo else ""
    return (bare if info is None else with_instance_info(bare, info)), authorization


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
        raise _Failed(f"an HTTP redirect leads to something that is not a URL: {error}") from error
    if (after.scheme, after.netloc) == (before.scheme, before.netloc.rpartition("@")[2]):
        after = after._replace(netloc=before.netloc)
    return urlunsplit(after)


def _problem(method: str, url: str, detail: str) -> Problem:
    return Problem(ProblemKind.PAGE_REQUEST_FAILED, f"{method} {shown_url(url)}: {detail}")
