"""Requests as values and answers decoded: what both clients share; no I/O."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar
from urllib.parse import quote, urlencode

import msgspec

from callwright.client.calls import Call
from callwright.client.errors import NotReached, WebServiceError
from callwright.client.results import ApplicationStatus, Health, Job, Queue, Started, Status
from callwright.values.errors import RequestError

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """The user name and password of HTTP Basic credentials."""

    user: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Whose web services are used; without an access key only ``service_start`` works."""

    cloud_id: str
    username: str
    access_key: str | None = field(repr=False)

    def key_login(self) -> Login:
        if self.access_key is None:
            raise RequestError("this operation needs the API Access Key of the account", field="access_key")
        return Login(user=f"{self.cloud_id}/{self.username}", password=self.access_key)

    def service_login(self, service: str, password: str) -> Login:
        return Login(user=f"{self.cloud_id}/{self.username}/{service}", password=password)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request: ``method`` ``path`` with ``body`` and ``headers``."""

    path: str
    body: bytes = field(repr=False)
    headers: dict[str, str] = field(repr=False)
    method: str = "POST"


def ask(path: str, login: Login, parameters: Mapping[str, str | None]) -> Asked:
    """Return the request for an operation; parameters that are None are left out."""
    given = {name: value for name, value in parameters.items() if value is not None}
    return Asked(
        path=path,
        body=urlencode(given).encode(),
        headers={**_headers(login), "Content-Type": "application/x-www-form-urlencoded; charset=utf-8"},
    )


def ask_queue(method: str, login: Login, service: str | None = None) -> Asked:
    """Return the request for one queue, or for all of them when no ``service`` is named."""
    path = "outbound_queues" if service is None else f"outbound/{quote(service, safe='')}/queue"
    return Asked(method=method, path=f"/service/v1/{path}", body=b"", headers=_headers(login))


def _headers(login: Login) -> dict[str, str]:
    credentials = base64.b64encode(f"{login.user}:{login.password}".encode()).decode()
    return {"Accept": "application/json", "Authorization": f"Basic {credentials}"}


def ask_health() -> Asked:
    """Return the request for ``/health``, which needs no credentials."""
    return Asked(method="GET", path="/health", body=b"", headers={"Accept": "application/json"})


def ask_start(login: Login, calls: Call | Sequence[Call], unique_id: str | None) -> Asked:
    """Return the request of ``service_start`` for one call, or a list of them."""
    members = calls.members() if isinstance(calls, Call) else [call.members() for call in calls]
    rest_calls = msgspec.json.encode(members).decode()
    return ask("/service_start", login, {"rest_calls": rest_calls, "unique_id": unique_id})


def ask_uas_start(
    login: Login, outbound_parameters: str | None, count: int | None, delimiter: str | None, unique_id: str | None
) -> Asked:
    """Return the request of ``service_start`` for a UAS service."""
    given = {
        "outbound_parameters": outbound_parameters,
        "count": None if count is None else str(count),
        "delimiter": delimiter,
        "unique_id": unique_id,
    }
    return ask("/service_start", login, given)


def started(status: int, headers: Mapping[str, str], body: bytes) -> Started:
    """Return the references of an answer of ``service_start``."""
    lowered = {name.lower(): value for name, value in headers.items()}
    return Started(
        references=decoded(status, body, list[str]), replayed=lowered.get("idempotent-replayed", "") == "true"
    )


def cancelled(status: int, body: bytes) -> dict[str, str]:
    """Return the answer of ``service_cancel``: ``success``, ``failed`` or ``unknown`` for each reference."""
    return decoded(status, body, dict[str, str])


def statuses(status: int, body: bytes) -> dict[str, Status]:
    """Return the answer of ``service_status``."""
    return decoded(status, body, dict[str, Status])


def records(status: int, body: bytes) -> ApplicationStatus:
    """Return the answer of ``application_status``."""
    return decoded(status, body, ApplicationStatus)


def job(status: int, body: bytes) -> Job:
    """Return the answer of ``job_status``."""
    return decoded(status, body, Job)


def queues(status: int, body: bytes) -> list[Queue]:
    """Return the answer for all queues."""
    return decoded(status, body, list[Queue])


def queue(status: int, body: bytes) -> Queue:
    """Return the answer for one queue."""
    return decoded(status, body, Queue)


def purged(status: int, body: bytes) -> int:
    """Return how many starts a purge took back."""
    return decoded(status, body, _Purged).purged


def health(status: int, body: bytes) -> Health:
    """Return the answer of ``/health``, which is 503 with the same body while the node stops."""
    return decoded(200 if status == 503 else status, body, Health)


def decoded(status: int, body: bytes, kind: type[T]) -> T:
    """Decode an answer; raise ``WebServiceError`` for an error answer and ``NotReached`` for anything else."""
    try:
        if status == 200:
            return msgspec.json.decode(body, type=kind)
        error = msgspec.json.decode(body, type=_ErrorAnswer).error
    except (msgspec.DecodeError, UnicodeDecodeError) as reason:
        raise NotReached(
            f"what answered with HTTP {status} is not callwright's web services ({reason}): check the base URL"
        ) from reason
    raise WebServiceError(status=status, code=error.code, text=error.text, details=error.details, link=error.link)


class _Error(msgspec.Struct, frozen=True):
    code: str
    text: str
    details: list[str] = []
    link: str = ""


class _ErrorAnswer(msgspec.Struct, frozen=True):
    error: _Error


class _Purged(msgspec.Struct, frozen=True):
    purged: int
