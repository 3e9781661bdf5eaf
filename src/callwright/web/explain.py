"""``GET /explain`` of the admin socket: what became of one start, why, and what to do, for people.

It gathers what the queue and the ledger know and adds the words of ``explain_words`` and the error catalogue.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response

from callwright.accounts import store
from callwright.outbound.start import StartState, StartStatus
from callwright.outbound.start_facts import StartFacts, start_facts
from callwright.records.reading import read_adr, read_cdrs, read_records
from callwright.records.records import Adr, ApplicationType, Cdr, ErrorRecord
from callwright.records.tables import cdrs
from callwright.values.ids import ServiceReference
from callwright.values.times import datetime_text, rest_log_name
from callwright.web.admin_requests import AdminEdge, query_of
from callwright.web.error_catalogue import CATALOGUE
from callwright.web.errors import json_answer, problem
from callwright.web.explain_words import advice_on_reason, advice_on_return_code, cause_in_words
from callwright.web.status_words import status_text


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """Everything on disk about one start: the calls of all its attempts, ``adr`` and ``errors`` of the latest one."""

    facts: StartFacts
    account: str
    service: str
    adr: Adr | None
    calls: tuple[Cdr, ...]
    errors: tuple[ErrorRecord, ...]


async def explain(request: Request, edge: AdminEdge) -> Response:
    """``GET /explain?reference=``: a start of any account, with the meaning of each thing and what to do."""
    parameters = query_of(request)
    reference = ServiceReference(parameters.required("reference"))
    story = await edge.web.db.read(lambda c: read_story(c, reference))
    if story is None:
        raise problem("404", f"no start has the reference '{reference[:100]}'")
    logs = edge.logs_root / "rest" / str(story.facts.account_id)
    name = log_name(story)
    return json_answer(explanation(story, now=edge.web.clock()) | {"log": str(logs / name) if name else ""})


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
    )


def explanation(story: Story, *, now: float) -> dict[str, object]:
    """Return the answer of ``/explain`` without ``log``; ``now`` is epoch seconds."""
    facts = story.facts
    meaning, what_to_do = _advice(story, now)
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
        "calls": [_call_object(call) for call in story.calls],
        "errors": [_error_object(error, is_explained=bool(what_to_do)) for error in story.errors],
    }


def log_name(story: Story) -> str:
    """Return the name of the instance's log below the account's folder, "" when there is none."""
    adr = story.adr
    if adr is None or adr.application is not ApplicationType.REST:
        return ""
    return rest_log_name(adr.started_at if adr.stopped_at is None else adr.stopped_at, adr.instance_id)


def _advice(story: Story, now: float) -> tuple[str, str]:
    facts = story.facts
    status: StartStatus = facts.status
    match status.state:
        case StartState.QUEUED if facts.due_at > now:
            for_what = f" for attempt {len(facts.instances) + 1}" if facts.instances else ""
            return f"It waits in its queue{for_what} and is due at {datetime_text(facts.due_at)} UTC.", ""
        case StartState.QUEUED:
            return (
                f"It waits in its queue, at most until {datetime_text(facts.expires_at)} UTC: others of its service "
                "are before it, a limit of starts per second or running instances holds it back, or it is paused.",
                "Wait; callwright queue list shows the queues, callwright running what is paused. To take it back: "
                "callwright cancel.",
            )
        case StartState.CLAIMED:
            return "It is about to be dialled.", ""
        case StartState.RUNNING:
            return "Its call is being placed or is up.", "Wait for its end; callwright status shows it."
        case StartState.FINISHED:
            assert status.return_code is not None, "the database holds a return code for every finished start"
            is_answered = not story.calls or any(call.connected_at is not None for call in story.calls)
            return advice_on_return_code(status.return_code, is_answered=is_answered)
        case StartState.FAILED | StartState.EXPIRED | StartState.CANCELLED if status.reason:
            return advice_on_reason(status.reason)
        case StartState.CANCELLED:
            return "It was taken back before anybody was dialled.", "Start again if the call is still wanted."
        case _:
            return "It could not run.", "Look in the node's log for its reference."


def _call_object(call: Cdr) -> dict[str, object]:
    words = "it is not over yet" if call.hangup_cause is None else cause_in_words(call.hangup_cause)
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
