"""A node, put together: opens its parts in order, and closes them in the reverse order when it is told to stop.

``run_node`` is the whole life of ``callwright serve``. Settings are read before it; what its parts need from outside
(the clock, chance) comes from here and nowhere below.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import os
import random
import secrets
import socket
import ssl
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass, field
from functools import partial
from ipaddress import ip_address, ip_network
from pathlib import Path

import structlog

from callwright import __version__
from callwright.accounts.credentials import Credentials
from callwright.accounts.numbers import load_all
from callwright.apps.events import InstanceEvent
from callwright.apps.instance import InstanceOrder, InstanceResult, Surroundings, ask_final_page_later, run_instance
from callwright.apps.rest.addresses import AddressPolicy
from callwright.apps.rest.webhook import PageClient
from callwright.config.binding import check_binding, is_for_this_machine, pages_may_be_on_loopback
from callwright.config.errors import SettingsError
from callwright.config.settings import Settings
from callwright.db.database import DATABASE_FILE, Database
from callwright.engine.engine import CallEngine
from callwright.engine.interface import CallProgress
from callwright.engine.media_client import MediaClient
from callwright.engine.routes import Routes, Sandbox
from callwright.engine.sip_socket import SipSocket
from callwright.engine.sip_tls import TlsSettings
from callwright.engine.trunk_desk import TrunkDesk
from callwright.engine.trunk_fields import declared_trunks
from callwright.engine.trunk_setup import Trunk
from callwright.engine.trunks import Trunks
from callwright.housekeeping import Keeping, sweep
from callwright.outbound import queue, recovery, redirects
from callwright.outbound.dispatcher import Dispatcher
from callwright.outbound.events import StartEvent
from callwright.outbound.identifiers import Identifiers
from callwright.records.settings import RateCard, RecordSettings
from callwright.sip.core import SipCore
from callwright.sip.guard import GuardSettings
from callwright.speech import Speech
from callwright.trace.recorder import MessageTrace
from callwright.trace.store import TRACE_FOLDER, TraceStore
from callwright.values.destination import Destination
from callwright.values.errors import InternalError, OutsideError
from callwright.values.ids import AccountId, ServiceReference
from callwright.values.money import Money
from callwright.web.admin import make_admin_app
from callwright.web.admin_requests import AdminEdge
from callwright.web.app import make_app
from callwright.web.edge import Edge, Limits, NodeFacts
from callwright.web.follow import Broadcaster
from callwright.web.listen import Listener, Manner, bind_port
from callwright.web.tls import Certificate

log = structlog.get_logger()

OpenSandbox = Callable[[Speech, Path], AbstractAsyncContextManager[Sandbox]]

COUNT_EVERY_S = 1.0
KNOW_EVERY_S = 10.0
STRANGERS_PER_SECOND = 20.0  # SIP requests outside of calls that one unknown address is heard with
STRANGERS_AT_ONCE = 100
SWEEP_EVERY_S = 3600.0
LAG_EVERY_S = 0.5
LAG_ALARM_S = 0.1
COLLECT_AFTER = (3_000, 5, 3)  # objects made before the garbage collector looks; then every so many looks further
PRIVATE_NETWORKS = tuple(
    map(ip_network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "fc00::/7"))
)


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeAddresses:
    """Where a running node is reached."""

    http: str
    sip: str
    sandbox: str
    admin_socket: Path


@dataclass(slots=True, kw_only=True)
class StopRequest:
    """How a node is told to stop: once to drain, twice to hang up what is left and leave."""

    asked: asyncio.Event = field(default_factory=asyncio.Event)
    at_once: asyncio.Event = field(default_factory=asyncio.Event)

    def ask(self) -> None:
        if self.asked.is_set():
            self.at_once.set()
        self.asked.set()


class CannotListenForSip(OutsideError):
    """The SIP address cannot be bound; the text says why and what to do."""


async def run_node(
    settings: Settings,
    *,
    stop: StopRequest,
    on_ready: Callable[[NodeAddresses], None],
    open_sandbox: OpenSandbox | None = None,
) -> None:
    """Open a node, say ``on_ready``, serve until ``stop`` is asked, drain and close.

    Raise ``OutsideError`` or ``RequestError`` saying which part cannot be opened and what to do; nothing stays behind.
    """
    check_binding(settings)
    async with AsyncExitStack() as parts:
        node = await _open(settings, parts, open_sandbox)
        on_ready(node.addresses)
        async with asyncio.TaskGroup() as tasks:
            watching = [
                tasks.create_task(node.count_queued(), name="count queued starts"),
                tasks.create_task(node.watch_lag(), name="watch the event loop"),
                tasks.create_task(node.warm_up(), name="warm the voice up"),
                tasks.create_task(node.housekeeping(), name="housekeeping"),
                tasks.create_task(node.know_neighbours(), name="know neighbours"),
                tasks.create_task(node.keep_messages(), name="keep SIP messages"),
            ]
            tasks.create_task(node.dispatcher.run(), name="dispatcher")
            tasks.create_task(node.finish_former_life(), name="finish former life")
            await stop.asked.wait()
            await node.drain(stop)
            for task in watching:
                task.cancel()


async def _open(settings: Settings, parts: AsyncExitStack, open_sandbox: OpenSandbox | None) -> Node:
    data = settings.data
    declared = declared_trunks(settings.trunks, file=settings.file or data, environ=os.environ)
    certificate = await asyncio.to_thread(_certificate, settings)
    database = await asyncio.to_thread(Database.open, data / DATABASE_FILE)
    parts.push_async_callback(asyncio.to_thread, database.close)
    credentials = Credentials(cloud_ids=frozenset({settings.cloud_id}), clock=time.time)
    parts.callback(credentials.close)
    media_host = await _advertised_media_host(settings)
    sip = await _open_sip(settings)
    parts.push_async_callback(sip.close)
    trace = _message_trace(settings, sip)
    if trace is not None:
        parts.push_async_callback(trace.close)
    media = await MediaClient.start(
        host=settings.sip.host,
        port_range=(settings.rtp.first_port, settings.rtp.last_port),
        workers=settings.media_workers,
    )
    parts.push_async_callback(media.close)
    speech = await parts.enter_async_context(Speech(data / "speech"))
    pages = await parts.enter_async_context(
        await PageClient.open(_page_policy(settings), media_cache=data / "cache" / "pages")
    )
    sandbox = await parts.enter_async_context(open_sandbox(speech, data / "sandbox")) if open_sandbox else None
    listening = await asyncio.to_thread(bind_port, settings.http.host, settings.http.port)
    node = Node(
        settings=settings,
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
        http=listening.getsockname()[:2],
    )
    await node.take_over()
    await node.trunk_desk.load()
    parts.push_async_callback(node.trunks.close)
    parts.push_async_callback(node.engine.close)
    http = await Listener.on_socket(
        make_app(node.web),
        listening,
        manner=Manner(
            certificate=certificate,
            behind_proxy=settings.http.behind_proxy,
            head_bytes=settings.limits.head_bytes,
            slow_s=settings.limits.slow_request_s,
            link_base=node.web.link_base,
        ),
    )
    parts.push_async_callback(http.close)
    admin = await Listener.on_unix_socket(make_admin_app(node.admin), settings.admin_socket)
    parts.push_async_callback(admin.close)
    return node


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
            new_id=partial(secrets.token_hex, 16),
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


def _page_policy(settings: Settings) -> AddressPolicy:
    allowed = tuple(map(ip_network, settings.pages.allow))
    if settings.pages.allow_private:
        allowed += PRIVATE_NETWORKS
    return AddressPolicy(allow_loopback=pages_may_be_on_loopback(settings), allowed=allowed)


def _open_to_sip(settings: Settings) -> Callable[[str], bool]:
    """Return what tells whether SIP addresses may be called at an IP address that is not public: at any while only
    users of this machine can ask for calls.
    """
    allowed = tuple(map(ip_network, settings.sip.allow))
    if is_for_this_machine(settings):
        return lambda _address: True
    return lambda address: any(ip_address(address) in network for network in allowed)


def _certificate(settings: Settings) -> Certificate | None:
    files = settings.http.certificate, settings.http.key
    return Certificate(files[0], files[1]) if files[0] is not None and files[1] is not None else None


def _limits(settings: Settings) -> Limits:
    return Limits(
        max_body_bytes=settings.limits.body_bytes,
        requests_per_account=settings.limits.requests_per_account,
        requests_per_address=settings.limits.requests_per_address,
        max_wait_s=settings.calls.queue_limit_s,
        ring_timeout_s=settings.calls.ring_timeout_s,
    )


def _record_settings(settings: Settings, http_base: str) -> RecordSettings:
    rates = settings.rates
    return RecordSettings(
        rates=RateCard(
            platform=Money(rates.platform),
            pstn=Money(rates.pstn),
            tollfree=Money(rates.tollfree),
            tts=Money(rates.tts),
            tts_neural=Money(rates.tts_neural),
            tollfree_prefixes=rates.tollfree_prefixes,
        ),
        include_neural_in_total=settings.records.include_neural_in_total,
        cdr_rated=settings.records.cdr_rated,
        error_link=settings.error_link_base(http_base),
        sip_domain=settings.sip_domain,
    )


class Node:
    """The parts of one running node and how they tell each other what happens."""

    def __init__(
        self,
        *,
        settings: Settings,
        database: Database,
        credentials: Credentials,
        sip: SipSocket,
        trace: MessageTrace | None,
        declared: list[Trunk],
        media: MediaClient,
        media_host: str,
        speech: Speech,
        pages: PageClient,
        sandbox: Sandbox | None,
        http: tuple[str, int],
    ) -> None:
        http_base = f"{settings.http.scheme}://{_host(http[0])}:{http[1]}"
        self._settings = settings
        self._database = database
        self._sandbox = sandbox
        self._sip = sip
        self._trace = trace
        self._broadcaster = Broadcaster()
        self._references: dict[str, ServiceReference] = {}  # of the instances and calls that are running
        self._queued = 0
        self._draining = False
        self._records = _record_settings(settings, http_base)
        self._identifiers = Identifiers(new_hex=secrets.token_hex, clock=time.time)
        self.trunks = Trunks(
            sip=sip,
            chance=random.random,
            contact=f"{_host(settings.sip.advertised_address or sip.address[0])}:{sip.address[1]}",
        )
        self.engine = CallEngine(
            sip=sip,
            media=media,
            routes=Routes(sandbox=sandbox, trunks=self.trunks, opens=_open_to_sip(settings)),
            sip_domain=settings.sip_domain,
            clock=time.time,
            on_progress=self._call_progressed,
            media_host=media_host,
            trace=trace,
        )
        self.trunk_desk = TrunkDesk(
            database=database,
            trunks=self.trunks,
            engine=self.engine,
            domain=settings.sip_domain,
            clock=time.time,
            new_call_id=lambda: self._identifiers.call(self._identifiers.instance()),
            declared=declared,
            file=settings.file,
        )
        self._around = Surroundings(
            engine=self.engine,
            database=database,
            pages=pages,
            speech=speech,
            media_root=settings.data / "media",
            logs_root=settings.data / "logs",
            clock=time.time,
            records=self._records,
            max_duration_s=settings.calls.max_duration_s,
            watcher=self._instance_told,
            may_follow=self._may_follow,
        )
        self.dispatcher = Dispatcher(
            database=database,
            run_instance=self._run_instance,
            refusal=self.engine.refusal,
            turn_of=self.engine.turn_of,
            identifiers=self._identifiers,
            clock=time.time,
            events=self._start_told,
            records=self._records,
        )
        self.web = Edge(
            db=database,
            credentials=credentials,
            link_base=settings.error_link_base(http_base),
            clock=time.time,
            new_reference=self._identifiers.reference,
            wake=self.dispatcher.wake,
            facts=self._facts,
            follower=self._broadcaster,
            records=self._records,
            limits=_limits(settings),
        )
        self.admin = AdminEdge(
            web=self.web,
            cloud_id=settings.cloud_id,
            broadcaster=self._broadcaster,
            node=self._node_facts,
            logs_root=settings.data / "logs",
            trunks=self.trunk_desk,
            messages=trace,
            calls=self.dispatcher,
        )
        self.addresses = NodeAddresses(
            http=http_base,
            sip=f"{_host(sip.address[0])}:{sip.address[1]}",
            sandbox=f"{sandbox.address[0]}:{sandbox.address[1]}" if sandbox else "",
            admin_socket=settings.admin_socket,
        )
        self._recovery: recovery.Recovery | None = None

    # --- its life

    async def take_over(self) -> None:
        """Put the queue of former lives right; nothing is dialled and nothing is answered before this."""
        now = time.time()
        self._recovery = await self._database.write(
            lambda c: recovery.take_over(c, incarnation=self._database.incarnation, now=now, records=self._records)
        )

    async def finish_former_life(self) -> None:
        """Hang up and close what a crash left: calls that were up get their BYE, records their end."""
        if self._recovery is None:
            raise InternalError("finish_former_life before take_over")
        await recovery.end_abandoned(
            self._recovery,
            database=self._database,
            hang_up_saved=self.engine.hang_up_saved,
            ask_final=partial(ask_final_page_later, around=self._around),
            clock=time.time,
            records=self._records,
            events=self._start_told,
        )

    async def drain(self, stop: StopRequest) -> None:
        """Place no more calls; let the running ones finish up to the limit, or until stop is asked a second time."""
        self._draining = True
        limit_s = self._settings.calls.drain_limit_s
        log.info(
            f"Stopping: no new calls; running ones may finish within {limit_s:g} s.",
            action="drain",
            running=self.dispatcher.running,
        )
        draining = asyncio.create_task(self.dispatcher.drain(limit_s), name="drain")
        hurried = asyncio.create_task(stop.at_once.wait(), name="second stop")
        await asyncio.wait({draining, hurried}, return_when=asyncio.FIRST_COMPLETED)
        hurried.cancel()
        if not draining.done():
            await self.dispatcher.drain(0)
        await draining

    async def count_queued(self) -> None:
        """Keep the number of waiting starts for ``/health``: counting a long queue takes too long to do per request."""
        while True:
            with contextlib.suppress(OutsideError):
                self._queued = await self._database.read(queue.total_length)
            await asyncio.sleep(COUNT_EVERY_S)

    async def warm_up(self) -> None:
        """Load the numbering data, then the voice, before the first call needs them: that takes a second or two."""
        await asyncio.to_thread(load_all)
        await self._around.speech.warm_up()
        _settle_memory()

    async def housekeeping(self) -> None:
        """Forget, every hour, what has been kept long enough."""
        kept = self._settings.records
        keeping = Keeping(
            records_days=kept.keep_days,
            references_days=kept.keep_references_days,
            logs_days=kept.keep_logs_days,
            recordings_days=kept.keep_recordings_days,
        )
        while True:
            try:
                await sweep(
                    self._database,
                    keeping=keeping,
                    logs_root=self._around.logs_root,
                    media_root=self._around.media_root,
                    now=time.time(),
                )
            except (OutsideError, OSError) as failure:
                log.warning(
                    "Old records cannot be removed now: tried again in an hour.",
                    action="housekeeping_failed",
                    reason=str(failure),
                )
            await asyncio.sleep(SWEEP_EVERY_S)

    async def know_neighbours(self) -> None:
        """Keep the addresses of trunks and of the simulated network known to the guard of the SIP port."""
        beside = {self._sandbox.address[0]} if self._sandbox is not None else set()
        found: dict[tuple[str, int, str], set[str]] = {}
        while True:
            trunks = [line.trunk for line in self.trunks.lines]
            places = {(trunk.host, trunk.port, trunk.transport.value): trunk for trunk in trunks}
            # A name that cannot be looked up now keeps the addresses it had.
            found = {place: hosts for place, hosts in found.items() if place in places}
            for place, trunk in places.items():
                with contextlib.suppress(OSError):
                    found[place] = {target.host for target in await self.trunks.link.locate(trunk)}
            self._sip.core.guard.know(beside.union(*found.values()))
            await asyncio.sleep(KNOW_EVERY_S)

    async def keep_messages(self) -> None:
        """Write the SIP messages of calls, unless they are not kept."""
        if self._trace is not None:
            await self._trace.run()

    async def watch_lag(self) -> None:
        """Warn when the event loop was held up: every call's signalling waits then."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + LAG_EVERY_S
            await asyncio.sleep(LAG_EVERY_S)
            if (lag_s := loop.time() - due) > LAG_ALARM_S:
                log.warning(f"The event loop was held up for {lag_s * 1000:.0f} ms.", action="loop_lag")

    # --- what its parts ask of each other

    async def _run_instance(
        self, order: InstanceOrder, before_invite: Callable[[bytes], Awaitable[None]]
    ) -> InstanceResult:
        self._references[order.instance_id] = self._references[order.call_id] = order.reference
        try:
            return await run_instance(order, before_invite, around=self._around)
        finally:
            del self._references[order.instance_id], self._references[order.call_id]

    async def _may_follow(self, account_id: AccountId, dialled: Destination, to: Destination) -> str:
        return await self._database.read(
            lambda c: redirects.may_follow(c, account_id, dialled=dialled, to=to, settings=self._records)
        )

    def _start_told(self, event: StartEvent) -> None:
        self._broadcaster.publish(event.reference, event)

    def _instance_told(self, event: InstanceEvent) -> None:
        if (reference := self._references.get(event.instance_id)) is not None:
            self._broadcaster.publish(reference, event)

    def _call_progressed(self, progress: CallProgress) -> None:
        if (reference := self._references.get(progress.call_id)) is not None:
            self._broadcaster.publish(reference, progress)

    def _facts(self) -> NodeFacts:
        return NodeFacts(draining=self._draining, queue_length=self._queued, running=self.dispatcher.running)

    def _node_facts(self) -> dict[str, object]:
        return {
            "http": self.addresses.http,
            "sip": self.addresses.sip,
            "sandbox": self.addresses.sandbox,
            "data": str(self._settings.data),
            "pid": os.getpid(),
            "live_calls": self.engine.live_calls,
            "sip_dialogs": self._sip.core.dialogs(),
            "tasks": len(asyncio.all_tasks()),
        }


def _settle_memory() -> None:
    """Leave what start-up made, which stays for good, out of every later garbage collection, and collect less often:
    looking through it again and again cost a tenth of the processor time of each call, in pauses of all calls at once.
    """
    gc.freeze()
    gc.set_threshold(*COLLECT_AFTER)


def _host(host: str) -> str:
    return f"[{host}]" if ":" in host else host
