"""What a page is asked with and what it may answer (docs/reference/rest-applications.md, request and response).

``instance_info`` builds the JSON of a request; ``parse_response`` turns an answer into typed actions, or says all
that is wrong with it before anything of it runs. The table of actions is handed in, so this module stays pure.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Generic, Protocol, TypeVar

import msgspec

from callwright.apps.rest.fields import Fields, Findings
from callwright.apps.rest.problem import Problem, ProblemKind
from callwright.values.destination import Destination, DestinationKind

API_VERSION = "2.0"
MAX_RESPONSE_BYTES = 1024 * 1024
MAX_TOKEN_CHARS = 5000
MAX_JSON_PARTS = 20_000
_BOM = b"\xef\xbb\xbf"

ActionT = TypeVar("ActionT")
ActionT_co = TypeVar("ActionT_co", covariant=True)


class CallState(Enum):
    """Values of ``call_state``."""

    IDLE = "idle"
    ANSWERED = "answered"


class Token(Enum):
    """The token of a response that gives none."""

    KEPT = "kept"


class CallInfo(msgspec.Struct, frozen=True, kw_only=True):
    """``this_call``. The two causes are given to a final page only."""

    call_id: str
    call_from: str
    call_to: str
    duration_s: float
    state: CallState
    application_parameters: str
    outbound_parameters: str
    cause: str | None = None
    raw_cause: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionResult:
    """``action_result``: ``result`` is the action's own dataclass, its field names are those on the wire."""

    action: str
    result: object


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorResult:
    """``error_result``: the failing action, "" when none was running, and what went wrong."""

    action: str
    result: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PageAnswer(Generic[ActionT]):
    """A valid answer of a page: what to do, the token to keep and what was strange about it."""

    actions: tuple[ActionT, ...] = ()
    token: str | Token | None = Token.KEPT
    warnings: tuple[str, ...] = ()


class ActionReader(Protocol[ActionT_co]):
    """An action's class, as far as reading it goes: ``read`` takes the properties, telling ``Fields`` what is wrong."""

    def read(self, fields: Fields, /) -> ActionT_co: ...


def instance_info(
    *,
    instance_id: str,
    token: str | None,
    log_filename: str,
    is_notification: bool = False,
    this_call: CallInfo | None = None,
    action_result: ActionResult | None = None,
    error_result: ErrorResult | None = None,
) -> bytes:
    """Return the JSON text that a page is asked with."""
    info: dict[str, object] = {
        "application_instance_id": instance_id,
        "token": token,
        "log_filename": log_filename,
        "is_notification": is_notification,
    }
    if this_call is not None:
        info["this_call"] = _call_object(this_call)
    if action_result is not None:
        info["action_result"] = action_result
    if error_result is not None:
        info["error_result"] = error_result
    return msgspec.json.encode(info)


def call_address(destination: Destination) -> str:
    """Return a destination as ``call_to`` shows it: the bare digits of a number, anything else with its prefix."""
    return destination.address if destination.kind is DestinationKind.TEL else destination.prefixed


def _call_object(call: CallInfo) -> dict[str, object]:
    shown: dict[str, object] = {
        "call_id": call.call_id,
        "call_direction": "out",
        "call_from": call.call_from,
        "call_to": call.call_to,
        "call_target": call.call_to,
        "call_divert": "",
        "seconds_call_duration": one_decimal(call.duration_s),
        "call_state": call.state.value,
    }
    if call.cause is not None:
        shown["call_cause"] = call.cause
        shown["call_raw_cause"] = call.raw_cause or ""
    shown["application_parameters"] = call.application_parameters
    shown["outbound_parameters"] = call.outbound_parameters
    return shown


def one_decimal(seconds: float) -> float:
    """Return a duration as pages are told it: truncated to one decimal, never negative."""
    return max(0.0, math.trunc(seconds * 10) / 10)


def parse_response(
    body: bytes, actions: Mapping[str, ActionReader[ActionT]], known: frozenset[str] = frozenset()
) -> PageAnswer[ActionT]:
    """Read a page's answer; raise ``Problem`` naming everything wrong with it.

    An empty body is an empty action list. ``known`` are names of documented actions that are not in ``actions``.
    """
    if not body.strip():
        return PageAnswer()
    findings = Findings()
    given, token = _opened(body, findings)
    read: list[ActionT | None] = []
    for one in given:
        read.append(_action(one, actions, known))
        if findings.is_full:
            break
    if findings.problems:
        raise Problem(ProblemKind.INVALID_ACTION, *findings.problems)
    return PageAnswer(
        actions=tuple(action for action in read if action is not None), token=token, warnings=tuple(findings.warnings)
    )


def action_names(body: bytes) -> tuple[str, ...]:
    """Return the names of an answer's actions when none of them can be run: what is in them is not looked at.

    Raise ``Problem`` when the answer itself is not valid.
    """
    if not body.strip():
        return ()
    given, _ = _opened(body, Findings())
    return tuple(name[:40] for one in given for name in one.names())


def _opened(body: bytes, findings: Findings) -> tuple[list[Fields], str | Token | None]:
    """Read what surrounds the actions; return the actions, not read yet, and the token."""
    response = Fields(_decode(body), "", findings)
    version = response.text("api_version")
    if response.has("api_version") and version != API_VERSION:
        response.problem("api_version", f"must be '{API_VERSION}', not '{version[:20]}'")
    token = _token(response)
    given = response.objects("actions", required=True) or []
    response.ignored("call_recording_cipher")
    response.finish()
    if findings.problems:
        raise Problem(ProblemKind.INVALID_RESPONSE, *findings.problems)
    return given, token


def _decode(body: bytes) -> object:
    """Decode JSON. The standard library's reader only explains where the fast one gave up."""
    if len(body) > MAX_RESPONSE_BYTES:
        raise Problem(ProblemKind.INVALID_RESPONSE, f"has more than {MAX_RESPONSE_BYTES} bytes")
    if has_too_many_parts(body):
        raise Problem(ProblemKind.INVALID_RESPONSE, f"has more than {MAX_JSON_PARTS} objects and arrays")
    try:
        document: object = msgspec.json.decode(body.removeprefix(_BOM))
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Problem(ProblemKind.INVALID_RESPONSE, f"is not JSON: {_json_fault(body, error)}") from error
    except RecursionError as error:
        raise Problem(ProblemKind.INVALID_RESPONSE, "is not JSON: it is nested too deeply") from error
    if not isinstance(document, dict):
        raise Problem(ProblemKind.INVALID_RESPONSE, "must be a JSON object")
    return document


def has_too_many_parts(body: bytes) -> bool:
    """Whether a JSON text has so many objects and arrays that taking it apart would hold up every other call."""
    return body.count(b"{") + body.count(b"[") > MAX_JSON_PARTS


def _json_fault(body: bytes, error: Exception) -> str:
    try:
        json.loads(body.removeprefix(_BOM))
    except json.JSONDecodeError as fault:
        return f"{fault.msg} in line {fault.lineno}, column {fault.colno}"
    except (UnicodeDecodeError, RecursionError):
        return "it is not UTF-8 text"
    return str(error)


def _token(response: Fields) -> str | Token | None:
    """Given: the new token; null: none; absent: the old one stays."""
    if "token" not in response.names():
        return Token.KEPT
    if not response.has("token"):
        response.value("token")
        return None
    return response.text("token", max_chars=MAX_TOKEN_CHARS)


def _action(one: Fields, actions: Mapping[str, ActionReader[ActionT]], known: frozenset[str]) -> ActionT | None:
    names = list(one.names())
    if len(names) != 1:
        if one.is_object:
            one.problem("", f"must have one key, the name of an action, not {len(names)}")
        return None
    name = names[0]
    if name in actions:
        fields = Fields(_properties(one, name), one.at(name), one.findings)
        action = actions[name].read(fields)
        fields.finish()
        return action
    if name in known:
        one.problem(name[:40], "the action is known, but not available in this version")
    else:
        one.problem(name[:40], "there is no such action")
    return None


def _properties(one: Fields, name: str) -> object:
    """Return the properties of an action. PHP writes an empty object as ``[]``."""
    given = one.value(name)
    if given == []:
        one.warning(name, "should be an object, [] is taken for {}")
    return {} if given is None or given == [] else given
