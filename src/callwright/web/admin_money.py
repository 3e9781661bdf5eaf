"""Rates, rules and do-not-call lists over the admin socket.

``account`` is a user name; in operations on rates, leaving it out means the default card, not the only account.
Amounts are texts, so that none of them is ever a float.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec
from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response

from callwright.accounts import do_not_call, store
from callwright.accounts.account import Account
from callwright.accounts.numbers import canonical
from callwright.accounts.rules import Rules
from callwright.records import rates, spending
from callwright.records.number_rate import NumberRate
from callwright.records.rate_file import read_rate_file
from callwright.records.settings import RateCard
from callwright.values.errors import RequestError
from callwright.values.ids import AccountId
from callwright.values.money import ZERO, Money
from callwright.web.admin_accounts import the_account
from callwright.web.admin_requests import AdminEdge, body_of, query_of
from callwright.web.edge import read_body
from callwright.web.errors import invalid, json_answer

MAX_FILE_BYTES = 32 * 1024 * 1024
MAX_SHOWN = 1000


class CardToSet(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The body of ``POST /rates``: what is left out stays. ``features`` maps beginnings of types to prices, where null
    removes one; ``number`` is the rate of one prefix, whose members left out have their defaults.
    """

    account: str | None = None
    platform: str | None = None
    pstn: str | None = None
    tollfree: str | None = None
    tts: str | None = None
    tts_neural: str | None = None
    tollfree_prefixes: list[str] | None = None
    features: dict[str, str | None] = {}
    number: NumberRate | None = None


class FileToImport(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The body of ``POST /rates/import`` and ``POST /do_not_call/import``: the text of a CSV file.

    ``dry_run`` changes nothing and answers the same; ``replace`` (rates only) removes every prefix not in the file.
    """

    text: str
    account: str | None = None
    dry_run: bool = False
    replace: bool = False


class RatesToRemove(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The body of ``POST /rates/remove``: without ``prefixes`` the whole card goes."""

    account: str | None = None
    prefixes: list[str] | None = None


class RulesToSet(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The body of ``POST /accounts/rules``: what is left out stays. Amounts: "" ends a limit; ``add_credit`` adds to
    the credit.
    """

    account: str | None = None
    allow_premium: bool | None = None
    allow_unknown: bool | None = None
    allowed_prefixes: list[str] | None = None
    blocked_prefixes: list[str] | None = None
    daily_cap: str | None = None
    credit: str | None = None
    add_credit: str | None = None
    max_price: str | None = None


class NumbersToList(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The body of ``POST /do_not_call`` and ``POST /do_not_call/remove``: numbers as people write them."""

    numbers: list[str]
    account: str | None = None
    note: str = ""


async def rates_show(request: Request, edge: AdminEdge) -> Response:
    """``GET /rates?account=&number=&after=``: the card in force, and its number rates or that of one number."""
    asked = query_of(request)
    username, number, after = asked.one("account"), asked.one("number"), asked.one("after") or ""

    def read(c: Connection) -> dict[str, object]:
        owner = _owner(c, edge, username)
        own = rates.card_of(c, owner)
        source = owner if own is not None else None
        card = own or rates.card_of(c, None)
        shown = card or edge.web.records.rates
        if number is not None:
            digits = canonical(number)
            found = rates.prices(c, owner or AccountId(0), digits).number or shown.number(digits)
            return {"card": _card_object(shown), "of": _of(username, own, card), "number": _rate_object(found)}
        listed = rates.number_rates_of(c, source) if card is not None else {}
        behind = [rate for prefix, rate in listed.items() if prefix > after]
        return {
            "card": _card_object(shown),
            "of": _of(username, own, card),
            "count": len(listed),
            "numbers": [_rate_object(rate) for rate in behind[:MAX_SHOWN]],
            "more": len(behind) > MAX_SHOWN,
        }

    return json_answer(await edge.web.db.read(read))


async def rates_set(request: Request, edge: AdminEdge) -> Response:
    """``POST /rates``: change a card; one that is made by this begins like the one that was in force."""
    wanted = await body_of(request, CardToSet)
    now = edge.web.clock()
    amounts: dict[str, Any] = {
        name: _amount(text, name)
        for name in ("platform", "pstn", "tollfree", "tts", "tts_neural")
        if (text := getattr(wanted, name)) is not None
    }

    def write(c: Connection) -> dict[str, object]:
        owner = _owner(c, edge, wanted.account)
        own = rates.card_of(c, owner)
        card = _begin_card(c, edge, owner, now) if own is None else own
        features = {**dict(card.features), **{n: _amount(p, n) for n, p in wanted.features.items() if p is not None}}
        kept = tuple(sorted((n, p) for n, p in features.items() if wanted.features.get(n, "") is not None))
        changed = replace(card, **amounts, features=kept)
        if wanted.tollfree_prefixes is not None:
            changed = replace(changed, tollfree_prefixes=tuple(wanted.tollfree_prefixes))
        rates.store_card(c, owner, changed, now=now)
        if wanted.number is not None:
            rates.store_number_rates(c, owner, [wanted.number], now=now)
        return {"card": _card_object(changed), "count": rates.count_number_rates(c, owner)}

    return json_answer(await edge.web.db.write(write))


async def rates_import(request: Request, edge: AdminEdge) -> Response:
    """``POST /rates/import``: store the number rates of a CSV file, all of them or (with ``problems``) none."""
    wanted = await _file(request)
    read = await asyncio.to_thread(read_rate_file, wanted.text)
    now = edge.web.clock()

    def preview(c: Connection) -> rates.Change:
        owner = _owner(c, edge, wanted.account)
        return rates.change(rates.number_rates_of(c, owner), read.rates, replace=wanted.replace)

    def write(c: Connection) -> rates.Change:
        owner = _owner(c, edge, wanted.account)
        if rates.card_of(c, owner) is None:
            _begin_card(c, edge, owner, now)
        return rates.store_number_rates(c, owner, read.rates, now=now, replace=wanted.replace)

    stored = not wanted.dry_run and not read.problems
    done = await (edge.web.db.write(write) if stored else edge.web.db.read(preview))
    return json_answer({"problems": read.problems, "stored": stored, **msgspec.to_builtins(done)})


async def rates_remove(request: Request, edge: AdminEdge) -> Response:
    """``POST /rates/remove``: remove number rates, or a card."""
    wanted = await body_of(request, RatesToRemove)

    def write(c: Connection) -> int:
        owner = _owner(c, edge, wanted.account)
        if wanted.prefixes is None:
            return int(rates.drop_card(c, owner))
        return rates.remove_number_rates(c, owner, wanted.prefixes)

    return json_answer({"removed": await edge.web.db.write(write)})


async def rules_show(request: Request, edge: AdminEdge) -> Response:
    """``GET /accounts/rules?account=``: what an account may call and spend, and what it has spent."""
    username = query_of(request).one("account")
    now = edge.web.clock()
    return json_answer(await edge.web.db.read(lambda c: _standing(c, the_account(c, edge.cloud_id, username), now=now)))


async def rules_set(request: Request, edge: AdminEdge) -> Response:
    """``POST /accounts/rules``: change what an account may call and spend; answered like ``GET``."""
    wanted = await body_of(request, RulesToSet)
    now = edge.web.clock()

    def write(c: Connection) -> dict[str, object]:
        account = the_account(c, edge.cloud_id, wanted.account)
        changed = replace(account, rules=_changed(account.rules, wanted))
        return _standing(c, store.update_account(c, changed), now=now)

    return json_answer(await edge.web.db.write(write))


async def do_not_call_show(request: Request, edge: AdminEdge) -> Response:
    """``GET /do_not_call?account=&after=``: a page of the list, in the order of the digits."""
    asked = query_of(request)

    def read(c: Connection) -> dict[str, object]:
        account = the_account(c, edge.cloud_id, asked.one("account"))
        entries = do_not_call.page(c, account.id, after=asked.one("after") or "", limit=MAX_SHOWN)
        return {
            "account": account.username,
            "count": do_not_call.size(c, account.id),
            "entries": [msgspec.to_builtins(entry) for entry in entries],
            "more": len(entries) == MAX_SHOWN,
        }

    return json_answer(await edge.web.db.read(read))


async def do_not_call_add(request: Request, edge: AdminEdge) -> Response:
    """``POST /do_not_call``: put numbers on the list; answers them as they are kept."""
    wanted = await body_of(request, NumbersToList)
    numbers = await asyncio.to_thread(lambda: [canonical(number) for number in wanted.numbers])
    now = edge.web.clock()
    added = await edge.web.db.write(
        lambda c: do_not_call.add(
            c,
            the_account(c, edge.cloud_id, wanted.account).id,
            [(number, wanted.note) for number in numbers],
            now=now,
        )
    )
    return json_answer({"numbers": numbers, "added": added})


async def do_not_call_remove(request: Request, edge: AdminEdge) -> Response:
    """``POST /do_not_call/remove``: take numbers off the list."""
    wanted = await body_of(request, NumbersToList)
    numbers = await asyncio.to_thread(lambda: [canonical(number) for number in wanted.numbers])
    removed = await edge.web.db.write(
        lambda c: do_not_call.remove(c, the_account(c, edge.cloud_id, wanted.account).id, numbers)
    )
    return json_answer({"numbers": numbers, "removed": removed})


async def do_not_call_import(request: Request, edge: AdminEdge) -> Response:
    """``POST /do_not_call/import``: put the numbers of a file on the list, all of them or (with ``problems``) none."""
    wanted = await _file(request)
    read = await asyncio.to_thread(do_not_call.read_list, wanted.text)
    now = edge.web.clock()

    def preview(c: Connection) -> int:
        account = the_account(c, edge.cloud_id, wanted.account)
        return len(read.entries) - len(do_not_call.blocked(c, account.id, (number for number, _ in read.entries)))

    stored = not wanted.dry_run and not read.problems
    if stored:
        added = await edge.web.db.write(
            lambda c: do_not_call.add(c, the_account(c, edge.cloud_id, wanted.account).id, read.entries, now=now)
        )
    else:
        added = await edge.web.db.read(preview)
    return json_answer(
        {
            "problems": read.problems,
            "stored": stored,
            "numbers": len(read.entries),
            "added": added,
            "repeated": read.repeated,
        }
    )


def _owner(c: Connection, edge: AdminEdge, username: str | None) -> AccountId | None:
    return None if username is None else the_account(c, edge.cloud_id, username).id


def _begin_card(c: Connection, edge: AdminEdge, owner: AccountId | None, now: float) -> RateCard:
    """Make the card of an owner as a copy of the one in force, with its number rates: nothing gets free by accident."""
    default = None if owner is None else rates.card_of(c, None)
    card = default or edge.web.records.rates
    rates.store_card(c, owner, card, now=now)
    if default is not None:
        rates.store_number_rates(c, owner, rates.number_rates_of(c, None).values(), now=now)
    return card


def _changed(rules: Rules, wanted: RulesToSet) -> Rules:
    given: dict[str, Any] = {
        name: value for name in ("allow_premium", "allow_unknown") if (value := getattr(wanted, name)) is not None
    }
    prefixes: dict[str, Any] = {
        name: tuple(value)
        for name in ("allowed_prefixes", "blocked_prefixes")
        if (value := getattr(wanted, name)) is not None
    }
    amounts: dict[str, Any] = {
        name: _amount(text, name) if text else None
        for name in ("daily_cap", "credit", "max_price")
        if (text := getattr(wanted, name)) is not None
    }
    changed = replace(rules, **given, **prefixes, **amounts)
    if wanted.add_credit is not None:
        changed = replace(changed, credit=Money((changed.credit or ZERO) + _amount(wanted.add_credit, "add_credit")))
    return changed


def _standing(c: Connection, account: Account, *, now: float) -> dict[str, object]:
    rules, stands = account.rules, spending.position(c, account.id, now=now)
    balance = None if rules.credit is None else rules.credit - stands.ever - stands.set_aside
    return {
        "account": account.username,
        "allow_premium": rules.allow_premium,
        "allow_unknown": rules.allow_unknown,
        "allowed_prefixes": rules.allowed_prefixes,
        "blocked_prefixes": rules.blocked_prefixes,
        "daily_cap": _text(rules.daily_cap),
        "credit": _text(rules.credit),
        "max_price": _text(rules.max_price),
        "spent_today": _text(stands.today),
        "spent": _text(stands.ever),
        "set_aside": _text(stands.set_aside),
        "balance": _text(balance),
    }


def _of(username: str | None, own: RateCard | None, card: RateCard | None) -> str:
    """Say where the prices come from."""
    if username is not None and own is not None:
        return f"account {username}"
    return "the default card" if card is not None else "the settings of the node"


def _card_object(card: RateCard) -> dict[str, object]:
    return {
        **{name: _text(getattr(card, name)) for name in ("platform", "pstn", "tollfree", "tts", "tts_neural")},
        "tollfree_prefixes": card.tollfree_prefixes,
        "features": {name: _text(price) for name, price in card.features},
    }


def _rate_object(rate: NumberRate) -> dict[str, object]:
    amounts = {name: _text(getattr(rate, name)) for name in ("price", "minimum", "fee")}
    return {
        "prefix": rate.prefix,
        **amounts,
        "first_s": rate.first_s,
        "next_s": rate.next_s,
        "tollfree": rate.tollfree,
    }


def _text(amount: Decimal | None) -> str | None:
    return None if amount is None else f"{amount.normalize():f}"


def _amount(text: str, field: str) -> Money:
    try:
        return Money(Decimal(text))
    except InvalidOperation as error:
        raise RequestError(f"{field} is '{text[:20]}': it must be an amount such as 0.0125", field=field) from error


async def _file(request: Request) -> FileToImport:
    try:
        return msgspec.json.decode(await read_body(request, MAX_FILE_BYTES), type=FileToImport)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise invalid("the body", str(error)) from error
