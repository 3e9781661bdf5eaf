"""Whether a call may follow a redirection to another telephone number (docs/reference/sip.md, redirections): what
``policy`` asks of every number, and that it costs no more than the one dialled, for that is what its account pays.
"""

from __future__ import annotations

from sqlalchemy import Connection

from callwright.accounts import do_not_call
from callwright.accounts.numbers import describe
from callwright.accounts.rules_rows import rules_for
from callwright.engine.routes import TEST_NUMBER_PREFIX
from callwright.outbound.policy import forbidden
from callwright.outbound.reasons import Reason
from callwright.records import rates
from callwright.records.number_rate import NumberRate
from callwright.records.settings import RecordSettings
from callwright.values.destination import Destination
from callwright.values.ids import AccountId

DEARER = "it costs more than the number that was dialled"
NOT_CANONICAL = "it is not written as a full international number"


def may_follow(
    c: Connection, account_id: AccountId, *, dialled: Destination, to: Destination, settings: RecordSettings
) -> str:
    """Return why a call to one number may not go on to another, "" when it may. Blocks; call it in a thread."""
    is_simulated = all(one.address.startswith(TEST_NUMBER_PREFIX) for one in (dialled, to))
    if not is_simulated and (never := forbidden(to.address, rules_for(c, account_id))) is not None:
        return never
    if (canonical := describe(to.address).number) != to.address:
        return NOT_CANONICAL  # a trunk that rewrites numbers could make another one of it than the one judged here
    if do_not_call.is_blocked(c, account_id, canonical):
        return Reason.DO_NOT_CALL
    was, would_be = (_rate(c, account_id, one.address, settings) for one in (dialled, to))
    return DEARER if _is_dearer(would_be, was) else ""


def _rate(c: Connection, account_id: AccountId, number: str, settings: RecordSettings) -> NumberRate:
    prices = rates.prices(c, account_id, number)
    return prices.number or (prices.card or settings.rates).number(number)


def _is_dearer(one: NumberRate, other: NumberRate) -> bool:
    """Whether a call could cost more at one rate than at another."""
    return (
        one.price > other.price
        or one.fee > other.fee
        or one.minimum > other.minimum
        or one.first_s > other.first_s
        or one.next_s > other.next_s
    )
