"""Whether a start that leaves the queue may run now, and if not, the reason its owner sees (ruling 16)."""

from __future__ import annotations

from collections.abc import Callable

from callwright.accounts.account import Account
from callwright.accounts.service import ApplicationKind, CallType, Service
from callwright.engine.interface import Refusal
from callwright.outbound.reasons import Reason
from callwright.outbound.start import Start
from callwright.values.destination import Destination, DestinationKind, parse_destination
from callwright.values.errors import RequestError


def judge(
    start: Start,
    *,
    account: Account,
    service: Service,
    refusal: Callable[[Destination], Refusal | None],
) -> Destination | str:
    """Return where to call, or the reason why the start cannot run.

    ``refusal`` is the engine's word on whether this node can reach a destination.
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
    if destination.kind is DestinationKind.TEL and not account.may_show(start.given_from.replace("-", "")):
        return Reason.INVALID_CALLER_ID
    refused = refusal(destination)
    return destination if refused is None else refused.reason
