"""What the web services stand on: their collaborators as one value, and how a request's parts are read."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

import structlog
from starlette.requests import Request

from callwright import __version__
from callwright.accounts.account import Account
from callwright.accounts.credentials import Credentials
from callwright.accounts.service import DEFAULT_RING_TIMEOUT_S, Service
from callwright.db.database import Database
from callwright.outbound.reasons import MAX_WAIT_S
from callwright.records.settings import DEFAULT_SETTINGS, RecordSettings
from callwright.values.ids import ServiceId, ServiceReference
from callwright.web.errors import HttpProblem, problem
from callwright.web.params import MAX_BODY_BYTES, Parameters, read_parameters
from callwright.web.rates import RateLimit
from callwright.web.start_batches import StartBatches
from callwright.web.status_batches import StatusBatches

FOLLOWED = 100  # of a longer list nobody follows each start; telling of all of them would hold up the event loop

T = TypeVar("T")

log = structlog.get_logger()

OFF_LOOP_BYTES = 16 * 1024  # about 200 calls: longer texts are parsed in a thread


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeFacts:
    """What ``/health`` tells: no secrets, no names."""

    draining: bool
    queue_length: int
    running: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What clients may ask for: how large a body, how many requests a second (0: as many as they like), and how long
    starts may wait.
    """

    max_body_bytes: int = MAX_BODY_BYTES
    requests_per_account: float = 0.0
    requests_per_address: float = 0.0
    max_wait_s: float = MAX_WAIT_S
    ring_timeout_s: float = DEFAULT_RING_TIMEOUT_S  # of services added without one


class Follower(Protocol):
    """Hears what requests did to starts, so that ``call --watch`` can show it: ``follow.Broadcaster``."""

    def publish(self, reference: ServiceReference, event: object) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class StartQueued:
    """A start was accepted and is on disk. ``at`` is epoch seconds."""

    reference: ServiceReference
    account: str
    service: str
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StartCancelled:
    """A start was cancelled before anybody was dialled. ``at`` is epoch seconds."""

    reference: ServiceReference
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """The collaborators of the web services.

    ``clock`` gives epoch seconds; ``new_reference`` makes unique references and is called in the writer thread;
    ``wake`` tells the dispatcher that a service has new starts; ``facts`` are read by ``/health``; ``link_base`` comes
    before the number in error links; ``monotonic`` gives seconds for the request rates.
    """

    db: Database
    credentials: Credentials
    link_base: str
    clock: Callable[[], float]
    new_reference: Callable[[], ServiceReference]
    wake: Callable[[ServiceId], None]
    facts: Callable[[], NodeFacts]
    follower: Follower
    records: RecordSettings = DEFAULT_SETTINGS
    limits: Limits = Limits()
    version: str = __version__
    monotonic: Callable[[], float] = time.monotonic
    account_rate: RateLimit = field(init=False)
    address_rate: RateLimit = field(init=False)
    batches: StartBatches = field(init=False)
    states: StatusBatches = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "account_rate", RateLimit(self.limits.requests_per_account))
        object.__setattr__(self, "address_rate", RateLimit(self.limits.requests_per_address))
        batches = StartBatches(
            self.db, clock=self.clock, new_reference=self.new_reference, max_wait_s=self.limits.max_wait_s
        )
        object.__setattr__(self, "batches", batches)
        object.__setattr__(self, "states", StatusBatches(self.db))

    def hold_back(self, rate: RateLimit, key: Hashable) -> None:
        """Count a request of an account or from an address; raise 429 when there were too many."""
        wait_s = rate.wait_s(key, self.monotonic())
        if wait_s > 0:
            retry_after_s = math.ceil(wait_s)
            raise problem(
                "429", f"too many requests a second; try again in {retry_after_s} s", Retry_After=str(retry_after_s)
            )

    def queued(self, account: Account, service: Service, references: Sequence[ServiceReference]) -> None:
        """Tell the dispatcher, the log and whoever follows that starts were queued."""
        at = self.clock()
        for reference in references[:FOLLOWED]:
            self.follower.publish(
                reference, StartQueued(reference=reference, account=account.username, service=service.name, at=at)
            )
        if len(references) > 1:  # a line for each single start would cost more than queueing it
            log.info(
                "Starts were queued",
                action="web.queued",
                account=account.username,
                service=service.name,
                count=len(references),
                first=references[0],
            )
        self.wake(service.id)

    def cancelled(self, references: Sequence[ServiceReference]) -> None:
        """Tell the log and whoever follows that starts were cancelled."""
        self._tell_cancelled(references)
        if references:
            log.info("Starts were cancelled", action="web.cancelled", count=len(references), first=references[0])

    def purged(self, service: Service, number: int, references: Sequence[ServiceReference]) -> None:
        """Tell the dispatcher, the log and whoever follows that a queue was emptied of ``number`` starts;
        ``references`` are the first of them.
        """
        self._tell_cancelled(references)
        log.info("A queue was purged", action="web.purged", service=service.name, count=number)
        self.wake(service.id)

    def _tell_cancelled(self, references: Sequence[ServiceReference]) -> None:
        at = self.clock()
        for reference in references[:FOLLOWED]:
            self.follower.publish(reference, StartCancelled(reference=reference, at=at))


async def parameters_of(request: Request, edge: Edge) -> Parameters:
    """Read the parameters of a request, its body included; raise ``HttpProblem`` naming what cannot be read."""
    body = await read_body(request, edge.limits.max_body_bytes)
    query = request.scope["query_string"]
    content_type = request.headers.get("content-type", "")
    return await off_loop(len(body) + len(query), lambda: read_parameters(query, content_type, body))


async def read_body(request: Request, limit: int) -> bytes:
    """Return the body; raise 413 past ``limit`` bytes and 415 when it is compressed."""
    declared = request.headers.get("content-length", "0")
    if declared.isascii() and declared.isdigit() and int(declared) > limit:
        raise _too_large(limit)
    chunks = bytearray()
    async for chunk in request.stream():
        chunks += chunk
        if len(chunks) > limit:
            raise _too_large(limit)
    coding = request.headers.get("content-encoding", "identity").strip().lower()
    if chunks and coding not in ("", "identity"):
        raise problem("415", f"a body with content coding '{coding[:40]}' is not read; send it uncompressed")
    return bytes(chunks)


def _too_large(limit: int) -> HttpProblem:
    return problem("413", f"a request may have at most {limit} bytes")


async def off_loop(size: int, work: Callable[[], T]) -> T:
    """Do ``work`` here when its input is small, in a thread when it would hold up the event loop."""
    return work() if size <= OFF_LOOP_BYTES else await asyncio.to_thread(work)
