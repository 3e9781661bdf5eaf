"""A node's web side for tests: a real database, real credentials, the real application, under the real web server."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import aiohttp
from tests.support.web_caller import basic

from callwright.accounts import store
from callwright.accounts.account import ANY, Account, AccountType
from callwright.accounts.credentials import Credentials
from callwright.accounts.secrets import PasswordHash, hash_password
from callwright.accounts.service import ApplicationKind, Page, Service
from callwright.db.database import Database
from callwright.records.settings import DEFAULT_SETTINGS, RecordSettings
from callwright.values.ids import ServiceId, ServiceReference
from callwright.web.admin import make_admin_app
from callwright.web.admin_requests import AdminEdge
from callwright.web.app import make_app
from callwright.web.edge import Edge, Limits, NodeFacts
from callwright.web.follow import Broadcaster
from callwright.web.listen import Listener, Manner
from callwright.web.tls import Certificate

NOW = 1366641192.25
PASSWORD = "s3cret:with/colon"
_HASHES: dict[str, PasswordHash] = {}


@dataclass(slots=True)
class Clock:
    """Epoch seconds that stand still until a test moves them."""

    now: float = NOW

    def __call__(self) -> float:
        return self.now


@dataclass(slots=True, kw_only=True)
class WebNode:
    """What a test needs to know of the node it talks to."""

    db: Database
    edge: Edge
    broadcaster: Broadcaster
    clock: Clock
    facts: list[NodeFacts]
    wakes: list[ServiceId] = field(default_factory=list)
    base: str = ""
    admin_socket: Path | None = None
    session: aiohttp.ClientSession | None = None

    def add_account(
        self, username: str = "bob@example.com", type: AccountType = AccountType.PREMIUM
    ) -> tuple[Account, str]:
        """Make an account; return it and its API Access Key."""
        return self.db.write_now(
            lambda c: store.create_account(c, username=username, created_at=NOW, type=type, caller_ids=ANY)
        )

    def add_service(
        self, account: Account, name: str = "outbound_test", kind: ApplicationKind = ApplicationKind.REST
    ) -> Service:
        """Make an outbound service whose password is ``PASSWORD``."""
        if PASSWORD not in _HASHES:
            _HASHES[PASSWORD] = hash_password(PASSWORD)
        rest = kind is ApplicationKind.REST
        page = {"first_page": Page(url="http://127.0.0.1:9/first")} if rest else {"uas_application_name": "app"}
        return self.db.write_now(
            lambda c: store.create_service(
                c,
                account.id,
                name=name,
                created_at=NOW,
                password_hash=_HASHES[PASSWORD],
                application=kind,
                **page,
            )
        )

    def set_facts(self, *, draining: bool = False, queue_length: int = 0, running: int = 0) -> None:
        """Change what the node says of itself."""
        self.facts[:] = [NodeFacts(draining=draining, queue_length=queue_length, running=running)]

    async def ask(
        self, method: str, target: str, *, headers: dict[str, str] | None = None, data: Any = None
    ) -> tuple[int, Any, Mapping[str, str]]:
        """Send a request over HTTP; return status, parsed body (text when it is not JSON) and headers."""
        assert self.session is not None
        async with self.session.request(
            method, self.base + target, headers=headers, data=data, allow_redirects=False
        ) as answer:
            is_json = answer.headers.get("Content-Type", "").startswith("application/json")
            body = await (answer.json() if is_json else answer.text())
            return answer.status, body, answer.headers.copy()


def service_login(name: str = "outbound_test", username: str = "bob@example.com") -> dict[str, str]:
    """Return the header of a service's credentials."""
    return basic(f"0-0-0/{username}/{name}", PASSWORD)


def key_login(key: str, username: str = "bob@example.com") -> dict[str, str]:
    """Return the header of an account's credentials."""
    return basic(f"0-0-0/{username}", key)


async def until(condition: Callable[[], bool], *, deadline_s: float = 10.0) -> None:
    """Return once ``condition`` holds; fail when it does not by the deadline."""
    pause_s = 0.01
    for _ in range(round(deadline_s / pause_s)):
        if condition():
            return
        await asyncio.sleep(pause_s)
    raise AssertionError(f"what was waited for did not happen within {deadline_s:g} s")


def seed_references(first: int = 77832) -> Callable[[], ServiceReference]:
    """Return a maker of references shaped and numbered as in the documented examples."""
    counter = itertools.count(first)
    return lambda: ServiceReference(f"2e891aea_0.1366641192.{next(counter)}")


@asynccontextmanager
async def web_node(
    folder: Path,
    *,
    records: RecordSettings = DEFAULT_SETTINGS,
    limits: Limits | None = None,
    listen: bool = True,
    admin: bool = False,
    certificate: Certificate | None = None,
    slow_s: float = 30.0,
) -> AsyncIterator[WebNode]:
    """Open a database in ``folder`` and serve the web services on a free port (and the admin socket when asked)."""
    clock = Clock()
    credentials = Credentials(clock=clock)
    with Database.open(folder / "callwright.db") as db:
        broadcaster = Broadcaster()
        facts = [NodeFacts(draining=False, queue_length=0, running=0)]
        wakes: list[ServiceId] = []
        edge = Edge(
            db=db,
            credentials=credentials,
            link_base="https://help.example/errors/",
            clock=clock,
            new_reference=seed_references(),
            wake=wakes.append,
            facts=lambda: facts[0],
            follower=broadcaster,
            records=records,
        )
        if limits is not None:
            edge = replace(edge, limits=limits)
        node = WebNode(db=db, edge=edge, broadcaster=broadcaster, clock=clock, facts=facts, wakes=wakes)
        listeners: list[Listener] = []
        try:
            if listen:
                manner = Manner(certificate=certificate, close_limit_s=1, slow_s=slow_s, clock=clock)
                listeners.append(await Listener.on_port(make_app(edge), host="127.0.0.1", port=0, manner=manner))
                node.base = f"{'http' if certificate is None else 'https'}://127.0.0.1:{listeners[0].port}"
            if admin:
                node.admin_socket = folder / "admin.sock"
                admin_app = make_admin_app(
                    AdminEdge(web=edge, cloud_id="0-0-0", broadcaster=broadcaster, node=lambda: {"incarnation": 1})
                )
                listeners.append(
                    await Listener.on_unix_socket(admin_app, node.admin_socket, manner=Manner(close_limit_s=1))
                )
            async with aiohttp.ClientSession() as session:
                node.session = session
                yield node
        finally:
            for listener in listeners:
                await listener.close()
            credentials.close()
