"""Why a start could not run: the one table of reasons.

A client sees a reason as ``couldnotrun <reason>`` (docs/reference/queue.md); return codes are in ``apps.return_codes``.
Reasons of a destination this node cannot call (``… not available``, ``No route …``) come from the engine, which alone
knows its trunks; they pass through ``policy`` unchanged.
"""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """Texts after ``couldnotrun`` (and of a purge). Clients may compare them: changing one breaks somebody."""

    NO_UAS = "No UAS is connected"
    """The service's application runs on a remote application server, and none is connected."""
    SERVICE_DISABLED = "Service disabled"
    """The service was switched off while the start waited."""
    INVALID_CALLER_ID = "Invalid caller ID"
    """``from`` is not among the account's validated caller ids (telephone destinations only)."""
    INVALID_DESTINATION = "Invalid destination"
    """``to`` was accepted by an earlier version and means nothing to this one."""
    WRONG_CALL_TYPE = "Destination does not match the outbound call type of the service"
    """A conference room for a telephone service, or the reverse."""
    EMERGENCY_NUMBER = "Emergency numbers cannot be called"
    """An emergency number of some country, alone or behind its country code: refused for every account."""
    SHORT_CODE = "Short codes cannot be called"
    """A number that only works inside its own country: refused for every account."""
    PREMIUM_NUMBER = "Premium rate numbers are not allowed"
    """A premium rate or shared cost number, and the account does not allow them."""
    UNKNOWN_NUMBER = "Unknown and satellite numbers are not allowed"
    """No such country code, no such number in its country, or a satellite network; the account does not allow them."""
    NUMBER_BLOCKED = "Destination not allowed"
    """The account's lists of prefixes do not allow the number."""
    DO_NOT_CALL = "Do not call"
    """The number is on the account's do-not-call list."""
    PRICE_LIMIT = "Price per minute above the limit"
    """A minute of the call would cost more than the account allows."""
    INSUFFICIENT_BALANCE = "Insufficient balance"
    """The account's daily cap or credit would be exceeded, counting what is set aside for its running instances."""
    QUEUE_PURGED = "Queue purged"
    """The service's queue was emptied; such starts are ``cancelled``."""
    QUEUE_TIME_LIMIT = "Queue time limit exceeded"
    """The start waited for ``MAX_WAIT_S``."""
    INTERNAL_ERROR = "Internal error"
    """The platform failed before anybody was dialled; its log says how."""


MAX_WAIT_S = 24 * 3600.0  # our choice (docs/reference/queue.md, time limit)
