"""Whether a start that leaves the queue may run, and if not, the reason its owner sees.

Three steps, each where it is cheapest. ``look_up`` runs in a reading thread for all starts of a claim: what only the
database knows, and the numbering data that would hold the event loop up. ``judge`` runs on the loop, for each start,
on what is known by then. ``agree`` runs in the transaction that stamps the start: prices and money, where no other
start can come in between.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

from sqlalchemy import Connection, bindparam, select

from callwright.accounts import do_not_call
from callwright.accounts.account import Account
from callwright.accounts.numbers import NumberKind, describe
from callwright.accounts.rules import Rules
from callwright.accounts.rules_rows import rules_of
from callwright.accounts.service import ApplicationKind, CallType, Service
from callwright.accounts.tables import account_rules, accounts
from callwright.db.prepared import Prepared
from callwright.engine.interface import Refusal
from callwright.engine.routes import TEST_NUMBER_PREFIX
from callwright.outbound.reasons import Reason
from callwright.outbound.start import Start
from callwright.records import rates, rating, spending
from callwright.records.number_rate import NumberRate
from callwright.records.settings import RateCard, RecordSettings
from callwright.records.tables import rate_cards
from callwright.values.destination import Destination, DestinationKind, parse_destination
from callwright.values.errors import CallwrightError, RequestError
from callwright.values.ids import AccountId, StartId

Found = Mapping[StartId, Reason]
NOTHING_FOUND: Final[Found] = MappingProxyType({})

_NEVER = {
    NumberKind.EMERGENCY: Reason.EMERGENCY_NUMBER,
    NumberKind.SHORT_CODE: Reason.SHORT_CODE,
}
_PREMIUM = frozenset({NumberKind.PREMIUM, NumberKind.SHARED_COST})
_UNKNOWN = frozenset({NumberKind.UNKNOWN, NumberKind.SATELLITE})

_rules_and_card = Prepared(
    select(account_rules, rate_cards.c.id.label("card_id"), rate_cards.c.rates)
    .select_from(accounts)
    .outerjoin(account_rules, account_rules.c.account_id == accounts.c.id)
    .outerjoin(rate_cards, rate_cards.c.id == rates.card_in_force(accounts.c.id))
    .where(accounts.c.id == bindparam("of"))
)


class MayNotRun(CallwrightError):
    """A start may not run although it was about to be dialled. ``reason`` is what its owner sees."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.value)
        self.reason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What an instance runs at: its ``card`` and the price of its call's ``number``, fixed now (None: the node's
    settings), and what is set aside for it.
    """

    card: RateCard | None
    number: NumberRate | None
    reservation: rating.Reservation


def look_up(c: Connection, starts: Iterable[Start]) -> Found:
    """Return the reasons that speak against starts and stand in the database. Blocks; call it in a thread."""
    called: dict[AccountId, dict[str, list[StartId]]] = {}
    for start in starts:
        if (number := _number(start)) is not None:
            called.setdefault(start.account_id, {}).setdefault(describe(number).number, []).append(start.id)
    return {
        start_id: Reason.DO_NOT_CALL
        for account_id, numbers in called.items()
        for number in do_not_call.blocked(c, account_id, numbers)
        for start_id in numbers[number]
    }


def judge(
    start: Start,
    *,
    account: Account,
    service: Service,
    refusal: Callable[[Destination], Refusal | None],
    found: Found = NOTHING_FOUND,
) -> Destination | str:
    """Return where to call, a number in its canonical form, or the reason why the start cannot run.

    ``refusal`` is the engine's word on whether this node can reach a destination, ``found`` what ``look_up`` found.
    """
    if not service.enabled:
        return Reason.SERVICE_DISABLED
    if service.application is ApplicationKind.UAS:
        return Reason.NO_UAS
    try:
        destination = parse_destination(start.given_to or "")
    except RequestError:
        return Reason.INVALID_DESTINATION
    if (destination.kind is DestinationKind.CON) is not (service.call_type is CallType.CONFERENCE):
        return Reason.WRONG_CALL_TYPE
    number = destination.address
    if destination.kind is DestinationKind.TEL and (canonical := describe(number).number) != number:
        # What was judged, and will be priced, is what is dialled: with a zero too many a trunk that puts its own before
        # would be asked for a number of another country.
        destination = replace(destination, address=canonical)
    refused = refusal(destination)
    if destination.kind is DestinationKind.TEL:
        simulated = refused is None and number.startswith(TEST_NUMBER_PREFIX)
        if not simulated and (never := forbidden(number, account.rules)) is not None:
            return never
        if (known := found.get(start.id)) is not None:
            return known
        if not account.may_show(start.given_from.replace("-", "")):
            return Reason.INVALID_CALLER_ID
    return destination if refused is None else refused.reason


def agree(
    c: Connection, account_id: AccountId, destination: Destination, *, settings: RecordSettings, now: float
) -> Terms:
    """Return the terms of an instance that is being stamped for one call; raise ``MayNotRun`` when there are none."""
    number = destination.address if destination.kind is DestinationKind.TEL else None
    if number is not None and do_not_call.is_blocked(c, account_id, describe(number).number):
        raise MayNotRun(Reason.DO_NOT_CALL)
    known = _rules_and_card.first(c, {"of": account_id})
    assert known is not None, "no start without its account"
    rules = rules_of(known)
    prices = rates.Prices()
    if known["card_id"] is not None:
        prices = rates.prices_of(c, known["card_id"], known["rates"], number)
    card = prices.card or settings.rates
    rate = prices.number or (None if number is None else card.number(number))
    if rules.max_price is not None and rate is not None and rate.price > rules.max_price:
        raise MayNotRun(Reason.PRICE_LIMIT)
    reservation = rating.reserve(card, rate)
    caps = spending.Caps(daily=rules.daily_cap, credit=rules.credit)
    if not spending.authorise(c, account_id, caps, reservation, now=now):
        raise MayNotRun(Reason.INSUFFICIENT_BALANCE)
    return Terms(card=prices.card, number=prices.number, reservation=reservation)


def _number(start: Start) -> str | None:
    """Return the telephone number a start calls, if it calls one."""
    try:
        destination = parse_destination(start.given_to or "")
    except RequestError:
        return None
    return destination.address if destination.kind is DestinationKind.TEL else None


def forbidden(number: str, rules: Rules) -> Reason | None:
    """Return why an account may not call a number by its kind or place, None when it may."""
    facts = describe(number)
    if (never := _NEVER.get(facts.kind)) is not None:
        return never
    if facts.kind in _PREMIUM and not rules.allow_premium:
        return Reason.PREMIUM_NUMBER
    if facts.kind in _UNKNOWN and not rules.allow_unknown:
        return Reason.UNKNOWN_NUMBER
    return None if rules.may_call(facts.number) else Reason.NUMBER_BLOCKED
