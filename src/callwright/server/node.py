"""The parts of one running node and how they tell each other what happens.

What the parts need from outside (the clock, chance) comes from here and nowhere below.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import structlog

from callwright.apps.events import InstanceEvent
from callwright.apps.instance import InstanceOrder, InstanceResult, Surroundings, ask_final_page_later, run_instance
from callwright.config.settings import Settings
from callwright.engine.engine import CallEngine
from callwright.engine.interface import CallProgress
from callwright.engine.routes import Routes
from callwright.engine.trunk_desk import TrunkDesk
from callwright.engine.trunks import Trunks
from callwright.outbound import queue, recovery, redirects
from callwright.outbound.dispatcher import Dispatcher
from callwright.outbound.events import StartEvent
from callwright.outbound.identifiers import Identifiers, RandomDigits
from callwright.server import upkeep
from callwright.server.from_settings import keeping, limits, open_to_sip, record_settings
from callwright.server.opening import Parts
from callwright.values.destination import Destination
from callwright.values.errors import InternalError, OutsideError
from callwright.values.ids import AccountId, ServiceReference
from callwright.web.admin_requests import AdminEdge
from callwright.web.edge import Edge, NodeFacts
from callwright.web.follow import Broadcaster

log = structlog.get_logger()

COUNT_EVERY_S = 1.0


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


class Node:
    """One running node: what it serves, and what its parts ask of each other."""

    def __init__(self, settings: Settings, parts: Parts) -> None:
        http_host, http_port = parts.http.getsockname()[:2]
        http_base = f"{settings.http.scheme}://{_host(http_host)}:{http_port}"
        database, sip, sandbox = parts.database, parts.sip, parts.sandbox
        self._settings = settings
        self._parts = parts
        self._broadcaster = Broadcaster()
        self._references: dict[str, ServiceReference] = {}  # of the instances and calls that are running
        self._queued = 0
        self._draining = False
        self._records = record_settings(settings, http_base)
        self._identifiers = Identifiers(new_hex=RandomDigits(), clock=time.time)
        self.trunks = Trunks(
            sip=sip,
            chance=random.random,
            contact=f"{_host(settings.sip.advertised_address or sip.address[0])}:{sip.address[1]}",
        )
        self.engine = CallEngine(
            sip=sip,
            media=parts.media,
            routes=Routes(sandbox=sandbox, trunks=self.trunks, opens=open_to_sip(settings)),
            sip_domain=settings.sip_domain,
            clock=time.time,
            on_progress=self._call_progressed,
            media_host=parts.media_host,
            trace=parts.trace,
        )
        self.trunk_desk = TrunkDesk(
            database=database,
            trunks=self.trunks,
            engine=self.engine,
            domain=settings.sip_domain,
            clock=time.time,
            new_call_id=lambda: self._identifiers.call(self._identifiers.instance()),
            declared=parts.declared,
            file=settings.file,
        )
        self._around = Surroundings(
            engine=self.engine,
            database=database,
            pages=parts.pages,
            speech=parts.speech,
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
            credentials=parts.credentials,
            link_base=settings.error_link_base(http_base),
            clock=time.time,
            new_reference=self._identifiers.reference,
            wake=self.dispatcher.wake,
            facts=self._facts,
            follower=self._broadcaster,
            records=self._records,
            limits=limits(settings),
        )
        self.admin = AdminEdge(
            web=self.web,
            cloud_id=settings.cloud_id,
            broadcaster=self._broadcaster,
            node=self._node_facts,
            logs_root=settings.data / "logs",
            trunks=self.trunk_desk,
            messages=parts.trace,
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
        self._recovery = await self._parts.database.write(
            lambda c: recovery.take_over(
                c, incarnation=self._parts.database.incarnation, now=now, records=self._records
            )
        )

    async def finish_former_life(self) -> None:
        """Hang up and close what a crash left: calls that were up get their BYE, records their end."""
        if self._recovery is None:
            raise InternalError("finish_former_life before take_over")
        await recovery.end_abandoned(
            self._recovery,
            database=self._parts.database,
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

    def upkeep_work(self) -> dict[str, Coroutine[None, None, None]]:
        """Return, by name, the work beside the calls: it goes on until it is cancelled."""
        parts = self._parts
        beside = set() if parts.sandbox is None else {parts.sandbox.address[0]}
        work: dict[str, Coroutine[None, None, None]] = {
            "count queued starts": self._count_queued(),
            "watch the event loop": upkeep.watch_lag(),
            "warm the voice up": upkeep.warm_up(parts.speech),
            "housekeeping": upkeep.forget_old(
                parts.database,
                keeping=keeping(self._settings),
                logs_root=self._around.logs_root,
                media_root=self._around.media_root,
            ),
            "know neighbours": upkeep.know_neighbours(parts.sip, self.trunks, beside=beside),
        }
        if parts.trace is not None:
            work["keep SIP messages"] = parts.trace.run()
        return work

    async def _count_queued(self) -> None:
        """Keep the number of waiting starts for ``/health``: counting a long queue takes too long to do per request."""
        while True:
            with contextlib.suppress(OutsideError):  # the last number stands; requests meet the failure themselves
                self._queued = await self._parts.database.read(queue.total_length)
            await asyncio.sleep(COUNT_EVERY_S)

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
        return await self._parts.database.read(
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
            "url": (self._settings.http.public_url or self.addresses.http).rstrip("/"),
            "sip": self.addresses.sip,
            "sandbox": self.addresses.sandbox,
            "data": str(self._settings.data),
            "pid": os.getpid(),
            "live_calls": self.engine.live_calls,
            "sip_dialogs": self._parts.sip.core.dialogs(),
            "tasks": len(asyncio.all_tasks()),
        }


def _host(host: str) -> str:
    return f"[{host}]" if ":" in host else host
