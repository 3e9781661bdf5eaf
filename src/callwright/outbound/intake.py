"""Requests for starts on their way into the queue: many of one service at a time (docs/reference/queue.md).

A statement costs as much as ten rows of it, so requests that came together are looked up, stored and numbered together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

from sqlalchemy import Connection, bindparam, insert, select

from callwright.outbound.reasons import MAX_WAIT_S
from callwright.outbound.request import StartRequest
from callwright.outbound.start import StartState
from callwright.outbound.tables import requests, starts
from callwright.outbound.wishes import Wishes
from callwright.values.errors import RequestError
from callwright.values.ids import AccountId, ServiceId, ServiceReference


class UniqueIdConflict(RequestError):
    """A ``unique_id`` came again with different parameters: nothing was started. The client must choose another."""

    def __init__(self, unique_id: str) -> None:
        super().__init__(f"unique_id '{unique_id}' was used with different parameters", field="unique_id")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """One request: its calls, what they hash to, and the identifier that makes it safe to repeat, if it has one."""

    calls: Sequence[StartRequest]
    digest: bytes
    unique_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Enqueued:
    """The references of a request, in its order; ``replayed`` when they are those of an earlier, equal one."""

    references: list[ServiceReference]
    replayed: bool = False


# Made once: building and hashing a statement costs as much as running it.
_of_unique_ids = select(requests.c.unique_id, requests.c.id, requests.c.digest).where(
    requests.c.account_id == bindparam("account"), requests.c.unique_id.in_(bindparam("unique_ids", expanding=True))
)
_of_requests = (
    select(starts.c.request_id, starts.c.reference)
    .where(starts.c.request_id.in_(bindparam("request_ids", expanding=True)))
    .order_by(starts.c.id)
)
_add_request = insert(requests).returning(requests.c.id)
_add_requests = insert(requests)
_add_starts = insert(starts)


def enqueue_all(
    c: Connection,
    *,
    account_id: AccountId,
    service_id: ServiceId,
    wanted: Sequence[Wanted],
    now: float,
    new_reference: Callable[[], ServiceReference],
    max_wait_s: float = MAX_WAIT_S,
) -> list[Enqueued | UniqueIdConflict]:
    """Queue the starts of several requests of one service; return for each, in order, what became of it.

    Of one request all starts are queued, or (when its ``unique_id`` was seen before, perhaps in this list) none.
    They wait at most ``max_wait_s`` seconds. The references are on disk once the transaction is committed, not before.
    """
    seen = _requests(c, account_id, [each.unique_id for each in wanted])
    references = _references(
        c, [found[0] for each in wanted if (found := seen.get(each.unique_id)) and found[1] == each.digest]
    )
    first = {each.unique_id: each for each in reversed(wanted) if each.unique_id not in seen}
    loose_id = _add(c, account_id, [each for each in wanted if each.unique_id is None], now)
    first.pop(None, None)
    if first:
        c.execute(_add_requests, [_row(account_id, [each], now) for each in first.values()])
        seen |= _requests(c, account_id, list(first))
    timed = cache(lambda wishes: _timed(wishes, now=now, max_wait_s=max_wait_s))
    rows: list[dict[str, object]] = []
    answers: list[Enqueued | UniqueIdConflict] = []
    for each in wanted:
        request_id, digest = (loose_id, each.digest) if each.unique_id is None else seen[each.unique_id]
        if each.unique_id is not None and first.get(each.unique_id) is not each:
            same = digest == each.digest
            answers.append(
                Enqueued(references=references[request_id], replayed=True) if same else UniqueIdConflict(each.unique_id)
            )
            continue
        references[request_id] = [new_reference() for _ in each.calls]
        answers.append(Enqueued(references=references[request_id]))
        rows += [
            {
                "reference": reference,
                "account_id": account_id,
                "service_id": service_id,
                "request_id": request_id,
                "state": StartState.QUEUED,
                "given_to": call.given_to,
                "given_from": call.given_from,
                "token": call.token,
                "outbound_parameters": call.outbound_parameters,
                "extra_sip_headers": call.extra_sip_headers or None,
                "queued_at": now,
                **timed(call.wishes),
            }
            for reference, call in zip(references[request_id], each.calls, strict=True)
        ]
    if rows:
        c.execute(_add_starts, rows)
    return answers


def _add(c: Connection, account_id: AccountId, loose: Sequence[Wanted], now: float) -> int:
    """Store requests that nobody can name again as one; return its id."""
    if not loose:
        return 0
    one: int = c.execute(_add_request, _row(account_id, loose, now)).scalar_one()
    return one


def _row(account_id: AccountId, wanted: Sequence[Wanted], now: float) -> dict[str, object]:
    return {
        "account_id": account_id,
        "unique_id": wanted[0].unique_id,
        "digest": wanted[0].digest,
        "count": sum(len(each.calls) for each in wanted),
        "created_at": now,
    }


def _requests(
    c: Connection, account_id: AccountId, unique_ids: Sequence[str | None]
) -> dict[str | None, tuple[int, bytes]]:
    """Return id and digest of the requests that were made under some identifiers."""
    named = [name for name in dict.fromkeys(unique_ids) if name is not None]
    if not named:
        return {}
    found = c.execute(_of_unique_ids, {"account": account_id, "unique_ids": named}).tuples()
    return {name: (request_id, digest) for name, request_id, digest in found}


def _references(c: Connection, request_ids: Sequence[int]) -> dict[int, list[ServiceReference]]:
    """Return the references of requests, in the order they were given out."""
    found: dict[int, list[ServiceReference]] = {request_id: [] for request_id in request_ids}
    if found:
        for request_id, reference in c.execute(_of_requests, {"request_ids": list(found)}).tuples():
            found[request_id].append(reference)
    return found


def _timed(wishes: Wishes, *, now: float, max_wait_s: float) -> dict[str, object]:
    """Return what a start's row says of its turn and of what was wished for it."""
    due_at = wishes.due_at(now)
    return {
        "priority": wishes.priority,
        "due_at": due_at,
        "expires_at": wishes.wait_until(now=now, due_at=due_at, max_wait_s=max_wait_s),
        "ring_timeout_s": wishes.ring_timeout_s,
        "max_duration_s": wishes.max_duration_s,
        "calling_hours": None if wishes.calling_hours is None else wishes.calling_hours.as_text(),
        "retry": None if wishes.retry is None else wishes.retry.as_text(),
    }
