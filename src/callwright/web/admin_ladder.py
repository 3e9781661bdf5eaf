"""``GET /ladder`` of the admin socket: the SIP messages kept of a call, or of the calls of a start."""

from __future__ import annotations

import base64

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response

from callwright.records.reading import read_cdrs
from callwright.records.records import Cdr
from callwright.records.tables import cdrs
from callwright.trace.message import KeptMessage
from callwright.values.errors import OutsideError, RequestError
from callwright.values.ids import ServiceReference, is_call_id, is_instance_id, is_service_reference
from callwright.web.admin_requests import AdminEdge, query_of
from callwright.web.errors import json_answer, problem
from callwright.web.explain import read_story


async def ladder(request: Request, edge: AdminEdge) -> Response:
    """``GET /ladder?of=``: a call's id, a start's reference or an instance's id; answers ``calls`` with ``messages``.

    A message has ``wire`` (its Call-ID), ``at`` (epoch seconds), ``sent``, ``transport``, ``near`` and ``far`` (host
    and port), ``data`` (masked, base64), ``length`` and ``left_out``.
    """
    of = query_of(request).required("of").strip()
    if edge.messages is None:
        raise RequestError("this node keeps no SIP messages: sip.trace is off")
    found = await edge.web.db.read(lambda c: _calls(c, of))
    answer = []
    for call_id, facts in found.items():
        try:
            messages = await edge.messages.read(call_id)
        except OSError as failure:
            raise OutsideError(f"the kept messages cannot be read: {failure}") from failure
        if facts is None and not messages:
            raise problem("404", f"no call has the id '{of[:100]}', or nothing is kept of it any more")
        answer.append(_facts(call_id, facts) | {"messages": [_message(message) for message in messages]})
    return json_answer({"calls": answer})


def _calls(c: Connection, of: str) -> dict[str, Cdr | None]:
    """Return the calls that are meant, with their records so far."""
    if is_service_reference(of):
        story = read_story(c, ServiceReference(of))
        if story is None:
            raise problem("404", f"no start has the reference '{of[:100]}'")
        if not story.calls:
            raise problem("404", f"nobody was called for '{of[:100]}' so far; callwright explain {of[:100]} tells more")
        return {call.call_id: call for call in story.calls}
    if is_instance_id(of):
        calls = read_cdrs(c, cdrs.c.instance_id == of)
        if not calls:
            raise problem("404", f"no instance '{of[:100]}' has calls")
        return {call.call_id: call for call in calls}
    if is_call_id(of):
        return {of: next(iter(read_cdrs(c, cdrs.c.call_id == of)), None)}
    raise RequestError(f"'{of[:100]}' is neither the id of a call, nor the reference of a start, nor an instance's id")


def _facts(call_id: str, cdr: Cdr | None) -> dict[str, object]:
    return {
        "call_id": call_id,
        "to": cdr.destination_address if cdr is not None else "",
        "hangup_cause": (cdr.hangup_cause or "") if cdr is not None else "",
        "is_over": cdr is None or cdr.ended_at is not None,
    }


def _message(message: KeptMessage) -> dict[str, object]:
    return {
        "wire": message.wire,
        "at": message.at,
        "sent": message.sent,
        "transport": message.transport,
        "near": list(message.near),
        "far": list(message.far),
        "data": base64.b64encode(message.data).decode(),
        "length": message.length,
        "left_out": message.left_out,
    }
