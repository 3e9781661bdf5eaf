"""Opens what a node is made of, in order: the database, the sockets, the media workers, speech, pages."""

from __future__ import annotations

import asyncio
import errno
import os
import secrets
import socket
import ssl
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from callwright import __version__
from callwright.accounts.credentials import Credentials
from callwright.apps.rest.webhook import PageClient
from callwright.config.errors import SettingsError
from callwright.config.settings import Settings
from callwright.db.database import DATABASE_FILE, Database
from callwright.engine.fresh_ids import FreshIds
from callwright.engine.media_client import MediaClient
from callwright.engine.routes import Sandbox
from callwright.engine.sip_socket import SipSocket
from callwright.engine.sip_tls import TlsSettings
from callwright.engine.trunk_fields import declared_trunks
from callwright.engine.trunk_setup import Trunk
from callwright.server.from_settings import page_policy
from callwright.sip.core import SipCore
from callwright.sip.guard import GuardSettings
from callwright.speech import Speech
from callwright.trace.recorder import MessageTrace
from callwright.trace.store import TRACE_FOLDER, TraceStore
from callwright.values.errors import OutsideError
from callwright.web.listen import bind_port
from callwright.web.tls import Certificate

OpenSandbox = Callable[[Speech, Path], AbstractAsyncContextManager[Sandbox]]

STRANGERS_PER_SECOND = 20.0  # SIP requests outside of calls that one unknown address is heard with
STRANGERS_AT_ONCE = 100


class CannotListenForSip(OutsideError):
    """The SIP address cannot be bound; the text says why and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What a node is made of, open. ``http`` is bound and answers nobody yet; ``media_host`` is the address session
    descriptions tell, "" for the one listened on; ``declared`` are the trunks of the configuration file. ``trace`` is
    None when SIP messages are not kept.
    """

    database: Database
    credentials: Credentials
    sip: SipSocket
    trace: MessageTrace | None
    declared: list[Trunk]
    media: MediaClient
    media_host: str
    speech: Speech
    pages: PageClient
    sandbox: Sandbox | None
    http: socket.socket
    certificate: Certificate | None


async def open_parts(settings: Settings, opened: AsyncExitStack, open_sandbox: OpenSandbox | None) -> Parts:
    """Open the parts; ``opened`` closes them. Raise ``OutsideError`` or ``RequestError`` naming what cannot be."""
    data = settings.data
    declared = declared_trunks(settings.trunks, file=settings.file or data, environ=os.environ)
    certificate = await asyncio.to_thread(_certificate, settings)
    database = await asyncio.to_thread(Database.open, data / DATABASE_FILE)
    opened.push_async_callback(asyncio.to_thread, database.close)
    credentials = Credentials(cloud_ids=frozenset({settings.cloud_id}), clock=time.time)
    opened.callback(credentials.close)
    media_host = await _advertised_media_host(settings)
    sip = await _open_sip(settings)
    opened.push_async_callback(sip.close)
    trace = _message_trace(settings, sip)
    if trace is not None:
        opened.push_async_callback(trace.close)
    media = await MediaClient.start(
        host=settings.sip.host,
        port_range=(settings.rtp.first_port, settings.rtp.last_port),
        workers=settings.media_workers,
    )
    opened.push_async_callback(media.close)
    speech = await opened.enter_async_context(Speech(data / "speech"))
    pages = await opened.enter_async_context(
        await PageClient.open(page_policy(settings), media_cache=data / "cache" / "pages")
    )
    sandbox = await opened.enter_async_context(open_sandbox(speech, data / "sandbox")) if open_sandbox else None
    return Parts(
        database=database,
        credentials=credentials,
        sip=sip,
        trace=trace,
        declared=declared,
        media=media,
        media_host=media_host,
        speech=speech,
        pages=pages,
        sandbox=sandbox,
        http=await asyncio.to_thread(bind_port, settings.http.host, settings.http.port),
        certificate=certificate,
    )


async def _advertised_media_host(settings: Settings) -> str:
    """Return the address session descriptions tell, "" for the one listened on; a name is looked up once."""
    host, advertised = settings.sip.host, settings.sip.advertised_address
    if not advertised:
        if host in ("0.0.0.0", "::"):
            raise SettingsError(
                f"sip.host {host} is every address of this machine, and far ends must be told one: set "
                "sip.advertised_address to the address they reach it by",
                field="sip.advertised_address",
            )
        return ""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        found = await asyncio.get_running_loop().getaddrinfo(advertised, None, family=family, type=socket.SOCK_DGRAM)
    except (OSError, ValueError) as problem:
        raise SettingsError(
            f"sip.advertised_address {advertised} is no address far ends could reach sip.host {host} by: {problem}",
            field="sip.advertised_address",
        ) from problem
    return str(found[0][4][0])


async def _open_sip(settings: Settings) -> SipSocket:
    advertised = settings.sip.advertised_address

    def core(host: str, port: int) -> SipCore:
        return SipCore(
            contact_host=advertised or host,
            contact_port=port,
            new_id=FreshIds(),
            user_agent=f"callwright/{__version__}",
            guard=GuardSettings(hide=settings.sip.hide, per_second=STRANGERS_PER_SECOND, burst=STRANGERS_AT_ONCE),
        )

    try:
        return await SipSocket.open(
            host=settings.sip.host,
            port=settings.sip.port,
            core_factory=core,
            tls=TlsSettings(
                certificate=settings.sip.certificate,
                key=settings.sip.key,
                authorities=settings.sip.authorities,
                ask_clients=settings.sip.verify_clients,
                port=settings.sip.tls_port,
            ),
        )
    except ssl.SSLError as problem:
        raise CannotListenForSip(
            f"sip.certificate {settings.sip.certificate} and sip.key {settings.sip.key} cannot be used: {problem}"
        ) from problem
    except OSError as problem:
        raise CannotListenForSip(
            f"cannot listen on sip {settings.sip.host}:{settings.sip.port}: {_why_not_bound(problem)}"
        ) from problem


def _message_trace(settings: Settings, sip: SipSocket) -> MessageTrace | None:
    """Return what keeps the SIP messages of calls, at work; None when they are not kept."""
    wanted = settings.sip
    if wanted.trace == "off":
        return None
    store = TraceStore(
        settings.data / TRACE_FOLDER, most_bytes=wanted.trace_megabytes * 1_000_000, keep_days=wanted.trace_days
    )
    trace = MessageTrace(
        store,
        near=(wanted.advertised_address or sip.address[0], sip.address[1]),
        clock=time.time,
        new_id=partial(secrets.token_hex, 16),
        hide_numbers=wanted.trace_hide_numbers,
    )
    sip.trace = trace.saw
    return trace


def _why_not_bound(problem: OSError) -> str:
    said = problem if problem.errno is not None else problem.__cause__  # uvloop keeps the number in the cause
    match said.errno if isinstance(said, OSError) else None:
        case errno.EADDRINUSE:
            return "another program has that port: stop it, or choose another with --sip HOST:PORT (port 0: a free one)"
        case errno.EADDRNOTAVAIL:
            return "this machine does not have that address: choose one it has with --sip HOST:PORT"
        case _:
            return problem.strerror or str(problem)


def _certificate(settings: Settings) -> Certificate | None:
    files = settings.http.certificate, settings.http.key
    return Certificate(files[0], files[1]) if files[0] is not None and files[1] is not None else None
