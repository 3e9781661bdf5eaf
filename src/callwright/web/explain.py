"""``GET /explain`` of the admin socket: what became of one start, why, and what to do, for people.

It gathers what the queue and the ledger know and adds the words of ``explain_words`` and the error catalogue.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response

from callwright.accounts import store
from callwright.apps import return_codes
from callwright.engine.routes import TEST_NUMBER_PREFIX
from callwright.engine.trunk_desk import TrunkDesk
from callwright.outbound.pauses import read_pauses
from callwright.outbound.start import StartState, StartStatus
from callwright.outbound.start_facts import StartFacts, start_facts
from callwright.records import ledger
from callwright.records.reading import read_adr, read_cdrs, read_records
from callwright.records.records import Adr, ApplicationType, Cdr, ErrorRecord
from callwright.records.tables import cdrs
from callwright.values.destination import DestinationKind, parse_destination
from callwright.values.errors import RequestError
from callwright.values.ids import ServiceReference
from callwright.values.times import datetime_text, rest_log_name
from callwright.web.admin_requests import AdminEdge, query_of
from callwright.web.error_catalogue import CATALOGUE
from callwright.web.errors import json_answer, problem
from callwright.web.explain_log import troubles
from callwright.web.explain_words import (
    RESTARTS,
    HowFar,
    advice_on_reason,
    advice_on_return_code,
    cause_in_words,
)
from callwright.web.status_words import status_text

SOON_S = 10.0  # longer than a start waits that found no trunk before it looks again


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """Everything on disk about one start: the calls of all its attempts, ``adr`` and ``errors`` of the latest one."""

    facts: StartFacts
    account: str
    service: str
    adr: Adr | None
    calls: tuple[Cdr, ...]
    errors: tuple[ErrorRecord, ...]
    is_paused: bool


async def explain(request: Request, edge: AdminEdge) -> Response:
    """``GET /explain?reference=``: a start of any account, with the meaning of each thing and what to do."""
    parameters = query_of(request)
    reference = ServiceReference(parameters.required("reference"))
    story = await edge.web.db.read(lambda c: read_story(c, reference))
    if story is None:
        raise problem("404", f"no start has the reference '{reference[:100]}'")
    logs = edge.logs_root.absolute() / "rest" / str(story.facts.account_id)
    name = log_name(story)
    log = {"log": str(logs / name), "troubles": await asyncio.to_thread(troubles, logs / name)} if name else {"log": ""}
    busy = _busy_trunks(story, edge.trunks)
    return json_answer(explanation(story, now=edge.web.clock(), busy=busy) | log)


def read_story(c: Connection, reference: ServiceReference) -> Story | None:
    """Return what is known of a start, None for a reference that is not known."""
    facts = start_facts(c, reference)
    if facts is None:
        return None
    instance = facts.status.instance_id
    adr = read_adr(c, instance) if instance else None
    records = read_records(c, facts.account_id, instance) if instance else None
    return Story(
        facts=facts,
        account=store.get_account(c, facts.account_id).username,
        service=store.get_service(c, facts.service_id).name,
        adr=adr,
        calls=tuple(read_cdrs(c, cdrs.c.instance_id.in_(facts.instances))) if facts.instances else (),
        errors=records.errors if records else (),
        is_paused=read_pauses(c).hold(facts.account_id, facts.service_id),
    )


def _busy_trunks(story: Story, trunks: TrunkDesk | None) -> str:
    """Return which trunks a waiting call to a number waits for, and why, "" when it waits for none."""
    if trunks is None or story.facts.status.state is not StartState.QUEUED:
        return ""
    try:
        destination = parse_destination(story.facts.given_to or "")
    except RequestError:
        return ""
    is_number = destination.kind is DestinationKind.TEL and not destination.address.startswith(TEST_NUMBER_PREFIX)
    return trunks.busy(destination.address) if is_number else ""


def explanation(story: Story, *, now: float, busy: str = "") -> dict[str, object]:
    """Return the answer of ``/explain`` without what concerns the log; ``now`` is epoch seconds, ``busy`` says which
    trunks a start that waits waits for.
    """
    facts = story.facts
    meaning, what_to_do = _advice(story, now, busy)
    return {
        "reference": facts.reference,
        "status": status_text(facts.status),
        "meaning": meaning,
        "what_to_do": what_to_do,
        "account": story.account,
        "service": story.service,
        "to": facts.given_to or "",
        "from": facts.given_from,
        "unique_id": facts.unique_id or "",
        "queued": datetime_text(facts.queued_at),
        "finished": "" if facts.status.finished_at is None else datetime_text(facts.status.finished_at),
        "attempts": len(facts.instances),
        "instance": facts.status.instance_id,
        "calls": [_call_object(call, words=_how_it_ended(story, call)) for call in story.calls],
        "errors": [_error_object(error, is_explained=bool(what_to_do)) for error in story.errors],
    }


def log_name(story: Story) -> str:
    """Return the name of the instance's log below the account's folder, "" when there is none."""
    adr = story.adr
    if adr is None or adr.application is not ApplicationType.REST:
        return ""
    return rest_log_name(adr.started_at if adr.stopped_at is None else adr.stopped_at, adr.instance_id)


def _advice(story: Story, now: float, busy: str) -> tuple[str, str]:
    facts = story.facts
    status: StartStatus = facts.status
    match status.state:
        case StartState.QUEUED:
            return _advice_on_waiting(story, now, busy)
        case StartState.CLAIMED:
            return "It is about to be dialled.", ""
        case StartState.RUNNING:
            return _how_it_runs(story), "Wait for its end; callwright status shows it."
        case StartState.FINISHED:
            assert status.return_code is not None, "the database holds a return code for every finished start"
            if status.return_code == ledger.RETURN_CODE_RESTARTED:
                return RESTARTS[_how_far(story)]
            is_answered = not story.calls or any(call.connected_at is not None for call in story.calls)
            return advice_on_return_code(status.return_code, is_answered=is_answered)
        case StartState.FAILED | StartState.EXPIRED | StartState.CANCELLED if status.reason:
            return advice_on_reason(status.reason)
        case StartState.CANCELLED:
            return "It was taken back before anybody was dialled.", "Start again if the call is still wanted."
        case _:
            return "It could not run.", "Look in the node's log for its reference."


def _advice_on_waiting(story: Story, now: float, busy: str) -> tuple[str, str]:
    facts = story.facts
    waits = f"It waits in its queue, at most until {datetime_text(facts.expires_at)} UTC:"
    take_back = "To take it back: callwright cancel."
    if story.is_paused:
        return (
            f"{waits} dialling is paused.",
            f"callwright running shows what is paused, callwright resume ends it. {take_back}",
        )
    if busy and facts.due_at <= now + SOON_S:
        return (
            f"{waits} no trunk can take it now ({busy}).",
            f"callwright trunk test says what is wrong with a trunk; the start is tried again by itself. {take_back}",
        )
    if facts.due_at > now:
        for_what = f" for attempt {len(facts.instances) + 1}" if facts.instances else ""
        return f"It waits in its queue{for_what} and is due at {datetime_text(facts.due_at)} UTC.", ""
    return (
        f"{waits} others of its service are before it, or a limit of starts per second or running instances holds it "
        "back.",
        f"Wait; callwright queue list shows the queues. {take_back}",
    )


def _how_it_runs(story: Story) -> str:
    calls = _latest_calls(story)
    if any(call.ended_at is None and call.connected_at is not None for call in calls):
        return "Its call is up."
    if any(call.ended_at is None for call in calls):
        return "Its call is being placed."
    return "Its call is over; its application is not yet."


def _latest_calls(story: Story) -> list[Cdr]:
    return [call for call in story.calls if call.instance_id == story.facts.status.instance_id]


def _how_far(story: Story) -> HowFar:
    """Return how far the latest call had come when the platform stopped; recovery closes what was still open."""
    calls = _latest_calls(story)
    if any(_was_cut_off(call) for call in calls):
        return HowFar.UP
    if not calls or any(call.hangup_cause == ledger.LOST_CAUSE for call in calls):
        return HowFar.UNKNOWN
    return HowFar.OVER


def _was_cut_off(call: Cdr) -> bool:
    return call.detail.endswith(ledger.CUT_OFF)


def _how_it_ended(story: Story, call: Cdr) -> str:
    if call.hangup_cause is None:
        return "it is not over yet"
    status = story.facts.status
    was_stopped = status.return_code == return_codes.CANCELLED and call.instance_id == status.instance_id
    if call.connected_at is not None and (was_stopped or _was_cut_off(call)):
        return "it was answered"  # who ended it, and that it did not end as it should, stands beside it
    return cause_in_words(call.hangup_cause, call.detail)


def _call_object(call: Cdr, *, words: str) -> dict[str, object]:
    return {
        "call_id": call.call_id,
        "to": call.destination_address,
        "placed": datetime_text(call.initiated_at),
        "answered": "" if call.connected_at is None else datetime_text(call.connected_at),
        "ended": "" if call.ended_at is None else datetime_text(call.ended_at),
        "hangup_cause": call.hangup_cause or "",
        "in_words": words,
        "detail": call.detail,
        "q850": "" if call.q850 is None else str(call.q850),
        "trunk": call.trunk,
    }


def _error_object(error: ErrorRecord, *, is_explained: bool) -> dict[str, object]:
    """Return an error record; what to do about it is left out where the start says that better."""
    entry = None if is_explained else CATALOGUE.get(error.code)
    return {"code": error.code, "text": error.text, "what_to_do": entry.cure if entry else ""}
