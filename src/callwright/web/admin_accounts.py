"""Accounts and services over the admin socket: add, list, show, change keys.

Secrets appear in exactly one answer each: the one that made them.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterable
from itertools import islice
from typing import Literal

import msgspec
from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response

from callwright.accounts import store
from callwright.accounts.account import ANY, DEFAULT_MAX_CPS, Account, AccountType, AnyCallerId
from callwright.accounts.secrets import hash_password
from callwright.accounts.service import (
    DEFAULT_VOICE,
    NO_PAGE,
    ApplicationKind,
    CallType,
    Direction,
    Page,
    Service,
)
from callwright.values.errors import RequestError
from callwright.web.admin_requests import AdminEdge, body_of, query_of
from callwright.web.errors import json_answer, problem

MOST_LISTED = 20


class AccountToAdd(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The body of ``POST /accounts``; ``caller_ids`` is "any" or a list of full international numbers."""

    username: str
    type: AccountType = AccountType.DEVELOPER
    max_cps: float = DEFAULT_MAX_CPS
    min_cps: float = 0.0
    max_running: int | None = None
    caller_ids: Literal["any"] | list[str] = []


class AccountNamed(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The body of ``POST /accounts/rotate_key``."""

    username: str


class PageToAsk(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A page with its method; a page that is asked by POST may be its URL alone."""

    url: str
    method: Literal["GET", "POST"] = "POST"


class ServiceToAdd(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The body of ``POST /services``; without ``password`` one is made. ``account`` may be left out when there is only
    one.
    """

    name: str
    account: str | None = None
    password: str | None = None
    direction: Direction = Direction.OUTBOUND
    application: ApplicationKind = ApplicationKind.REST
    first_page: str | PageToAsk | None = None
    final_page: str | PageToAsk | None = None
    error_page: str | PageToAsk | None = None
    application_parameters: str = ""
    tts_voice: str = DEFAULT_VOICE
    call_type: CallType = CallType.TELEPHONE
    max_cps: float | None = None
    min_cps: float | None = None
    max_running: int | None = None
    ring_timeout_s: float | None = None
    uas_application_name: str = ""
    enabled: bool = True


async def accounts_list(_request: Request, edge: AdminEdge) -> Response:
    """``GET /accounts``."""
    accounts = await edge.web.db.read(store.list_accounts)
    return json_answer({"accounts": [account_object(account) for account in accounts]})


async def accounts_add(request: Request, edge: AdminEdge) -> Response:
    """``POST /accounts``: make an account; the answer shows its API Access Key, once."""
    wanted = await body_of(request, AccountToAdd)
    now = edge.web.clock()
    account, key = await edge.web.db.write(
        lambda c: store.create_account(
            c,
            username=wanted.username,
            created_at=now,
            cloud_id=edge.cloud_id,
            type=wanted.type,
            max_cps=wanted.max_cps,
            min_cps=wanted.min_cps,
            max_running=wanted.max_running,
            caller_ids=ANY if isinstance(wanted.caller_ids, str) else tuple(wanted.caller_ids),
        )
    )
    return json_answer({"account": account_object(account), "access_key": key})


async def accounts_rotate_key(request: Request, edge: AdminEdge) -> Response:
    """``POST /accounts/rotate_key``: a new API Access Key, shown once; the former one works until it is used."""
    wanted = await body_of(request, AccountNamed)
    now = edge.web.clock()

    def rotate(c: Connection) -> tuple[Account, str]:
        account = the_account(c, edge.cloud_id, wanted.username)
        return account, store.rotate_access_key(c, account.id, now=now)

    account, key = await edge.web.db.write(rotate)
    return json_answer({"account": account_object(account), "access_key": key})


async def services_list(request: Request, edge: AdminEdge) -> Response:
    """``GET /services?account=``: the services of an account, or of all."""
    username = query_of(request).one("account")

    def read(c: Connection) -> list[dict[str, object]]:
        account = the_account(c, edge.cloud_id, username) if username else None
        names = {each.id: each.username for each in store.list_accounts(c)}
        return [
            service_object(service, names[service.account_id])
            for service in store.list_services(c, account.id if account else None)
        ]

    return json_answer({"services": await edge.web.db.read(read)})


async def services_show(request: Request, edge: AdminEdge) -> Response:
    """``GET /services/show?name=&account=``: one outbound service."""
    parameters = query_of(request)
    name, username = parameters.required("name"), parameters.one("account")
    account, service = await edge.web.db.read(lambda c: the_service(c, edge.cloud_id, username, name))
    return json_answer({"service": service_object(service, account.username)})


async def services_add(request: Request, edge: AdminEdge) -> Response:
    """``POST /services``: make a service; the answer shows its password, once."""
    wanted = await body_of(request, ServiceToAdd)
    password = secrets.token_urlsafe(12) if wanted.password is None else wanted.password
    hashed = await asyncio.to_thread(hash_password, password)
    now = edge.web.clock()

    def add(c: Connection) -> tuple[Account, Service]:
        account = the_account(c, edge.cloud_id, wanted.account)
        return account, store.create_service(
            c,
            account.id,
            name=wanted.name,
            created_at=now,
            password_hash=hashed,
            direction=wanted.direction,
            application=wanted.application,
            enabled=wanted.enabled,
            first_page=_page(wanted.first_page) or NO_PAGE,
            final_page=_page(wanted.final_page),
            error_page=_page(wanted.error_page),
            application_parameters=wanted.application_parameters,
            tts_voice=wanted.tts_voice,
            call_type=wanted.call_type,
            max_cps=wanted.max_cps,
            min_cps=wanted.min_cps,
            max_running=wanted.max_running,
            ring_timeout_s=edge.web.limits.ring_timeout_s if wanted.ring_timeout_s is None else wanted.ring_timeout_s,
            uas_application_name=wanted.uas_application_name,
        )

    account, service = await edge.web.db.write(add)
    return json_answer({"service": service_object(service, account.username), "password": password})


def the_account(c: Connection, cloud_id: str, username: str | None) -> Account:
    """Return the named account, or the only one there is; raise ``RequestError`` saying which there are."""
    if username is not None:
        found = store.find_account(c, cloud_id, username)
        if found is None:
            there_are = _listed(account.username for account in store.list_accounts(c))
            raise problem("404", f"there is no account '{username[:60]}' in cloud {cloud_id}; {there_are}")
        return found
    accounts = store.list_accounts(c)
    if len(accounts) != 1:
        there_are = _listed(account.username for account in accounts)
        raise RequestError(f"say which account; {there_are}" if accounts else "there is no account yet; add one")
    return accounts[0]


def the_service(c: Connection, cloud_id: str, username: str | None, name: str) -> tuple[Account, Service]:
    """Return the named outbound service: of the named account, or of the only account that has one."""
    accounts = [the_account(c, cloud_id, username)] if username is not None else store.list_accounts(c)
    found = [(account, service) for account in accounts if (service := store.find_service(c, account.id, name))]
    if not found:
        owner = f"account '{username}'" if username is not None else "any account"
        services = (service for account in accounts for service in store.list_services(c, account.id))
        there_are = _listed(service.name for service in services if service.direction is Direction.OUTBOUND)
        raise problem("404", f"there is no outbound service '{name[:60]}' of {owner}; {there_are}")
    if len(found) > 1:
        names = ", ".join(account.username for account, _ in found)
        raise RequestError(f"say which account: {names} each have an outbound service '{name[:60]}'", field="account")
    return found[0]


def _listed(names: Iterable[str]) -> str:
    """Return what there is instead of what was named; the first ones will do."""
    first = list(islice(dict.fromkeys(names), MOST_LISTED + 1))
    if not first:
        return "there is none yet"
    return f"there are: {', '.join(first[:MOST_LISTED])}{', …' if len(first) > MOST_LISTED else ''}"


def account_object(account: Account) -> dict[str, object]:
    """Return what the command line shows of an account."""
    any_id = isinstance(account.caller_ids, AnyCallerId)
    return {
        "username": account.username,
        "cloud_id": account.cloud_id,
        "type": account.type,
        "max_cps": account.max_cps,
        "min_cps": account.min_cps,
        "max_running": account.max_running,
        "caller_ids": ANY.value if any_id else account.caller_ids,
        "created_at": account.created_at,
    }


def service_object(service: Service, username: str) -> dict[str, object]:
    """Return what the command line shows of a service."""
    return {
        "name": service.name,
        "account": username,
        "direction": service.direction,
        "application": service.application,
        "enabled": service.enabled,
        "first_page": _page_object(service.first_page),
        "final_page": _page_object(service.final_page),
        "error_page": _page_object(service.error_page),
        "application_parameters": service.application_parameters,
        "tts_voice": service.tts_voice,
        "call_type": service.call_type,
        "max_cps": service.max_cps,
        "min_cps": service.min_cps,
        "max_running": service.max_running,
        "ring_timeout_s": service.ring_timeout_s,
        "uas_application_name": service.uas_application_name,
    }


def _page(wanted: str | PageToAsk | None) -> Page | None:
    match wanted:
        case None:
            return None
        case str():
            return Page(url=wanted)
        case PageToAsk():
            return Page(url=wanted.url, method=wanted.method)


def _page_object(page: Page | None) -> dict[str, str] | None:
    return None if page is None or page == NO_PAGE else {"url": page.url, "method": page.method}
