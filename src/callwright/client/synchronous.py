"""The client for programs that wait for each answer: standard library only, one connection for each request."""

from __future__ import annotations

import http.client
import time
from collections.abc import Sequence
from urllib.parse import urlsplit

from callwright.client import requests
from callwright.client.calls import Call
from callwright.client.errors import NotReached, StillRunning
from callwright.client.requests import Account, Asked
from callwright.client.results import ApplicationStatus, Health, Job, Queue, Started, Status
from callwright.client.waiting import pauses, records_wait_s
from callwright.values.errors import RequestError


class Client:
    """The web services of one account. Every method raises ``WebServiceError`` or ``NotReached``."""

    def __init__(
        self,
        base_url: str,
        *,
        username: str,
        access_key: str | None = None,
        cloud_id: str = "0-0-0",
        timeout_s: float = 30.0,
    ) -> None:
        self._account = Account(cloud_id=cloud_id, username=username, access_key=access_key)
        self._url = urlsplit(base_url)
        if self._url.scheme not in ("http", "https") or not self._url.hostname:
            raise RequestError(f"'{base_url}' is not an http or https URL", field="base_url")
        self._timeout_s = timeout_s

    def service_start(
        self, service: str, password: str, calls: Call | Sequence[Call], *, unique_id: str | None = None
    ) -> Started:
        """Queue one start for each call; with a ``unique_id`` it is safe to send again after ``NotReached``."""
        login = self._account.service_login(service, password)
        return requests.started(*self._send(requests.ask_start(login, calls, unique_id)))

    def service_start_uas(
        self,
        service: str,
        password: str,
        outbound_parameters: str | None = None,
        *,
        count: int | None = None,
        delimiter: str | None = None,
        unique_id: str | None = None,
    ) -> Started:
        """Queue starts of a UAS service: ``count`` equal ones, or one for each piece between ``delimiter``."""
        login = self._account.service_login(service, password)
        asked = requests.ask_uas_start(login, outbound_parameters, count, delimiter, unique_id)
        return requests.started(*self._send(asked))

    def service_cancel(self, *references: str) -> dict[str, str]:
        """Cancel starts that nobody was dialled for: ``success``, ``failed`` or ``unknown`` for each."""
        return requests.cancelled(*self._post("/service_cancel", service_refs="/".join(references)))

    def service_status(self, *references: str) -> dict[str, Status]:
        """Return what is known of starts."""
        return requests.statuses(*self._post("/service_status", service_refs="/".join(references)))

    def application_status(self, application_instance_id: str) -> ApplicationStatus:
        """Return the records of an instance that has ended."""
        answer = self._post("/application_status", application_instance_id=application_instance_id)
        return requests.records(*answer)

    def job_status(self, unique_id: str) -> Job:
        """Return what a ``unique_id`` started."""
        return requests.job(*self._post("/job_status", unique_id=unique_id))

    def outbound_queues(self) -> list[Queue]:
        """Return the queues that are not empty, by name."""
        return requests.queues(*self._queue("GET"))

    def queue_length(self, service: str) -> int:
        """Return how many starts of a service wait."""
        return requests.queue(*self._queue("GET", service)).length

    def queue_purge(self, service: str) -> int:
        """Cancel every start of a service that nobody was dialled for; return how many there were."""
        return requests.purged(*self._queue("DELETE", service))

    def health(self) -> Health:
        """Return whether the node takes calls; one that is stopping says so, and is no error."""
        status, _, body = self._send(requests.ask_health())
        return requests.health(status, body)

    def wait_completed(self, reference: str, *, timeout_s: float = 300.0) -> Status:
        """Wait until a start is over and its records, if any, are ready; raise ``StillRunning`` after ``timeout_s``."""
        deadline = time.monotonic() + timeout_s
        for pause in pauses():
            status = self.service_status(reference)[reference]
            if status.is_over:
                time.sleep(records_wait_s(status, time.time()))
                return status
            if time.monotonic() + pause > deadline:
                raise StillRunning(f"{reference} is still {status.word} after {timeout_s:g} s")
            time.sleep(pause)
        raise AssertionError("pauses never end")

    def _post(self, path: str, **parameters: str) -> tuple[int, bytes]:
        status, _, body = self._send(requests.ask(path, self._account.key_login(), parameters))
        return status, body

    def _queue(self, method: str, service: str | None = None) -> tuple[int, bytes]:
        status, _, body = self._send(requests.ask_queue(method, self._account.key_login(), service))
        return status, body

    def _send(self, asked: Asked) -> tuple[int, dict[str, str], bytes]:
        secure = self._url.scheme == "https"
        kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
        connection = kind(self._url.hostname or "", self._url.port, timeout=self._timeout_s)
        try:
            connection.request(asked.method, self._url.path.rstrip("/") + asked.path, asked.body, asked.headers)
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise NotReached(f"{self._url.geturl()} does not answer: {str(error) or type(error).__name__}") from error
        finally:
            connection.close()
