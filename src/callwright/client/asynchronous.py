"""The client for asyncio programs, on one aiohttp session."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Self

import aiohttp

from callwright.client import requests
from callwright.client.calls import Call
from callwright.client.errors import NotReached, StillRunning
from callwright.client.requests import Account, Asked
from callwright.client.results import ApplicationStatus, Health, Job, Queue, Started, Status
from callwright.client.waiting import pauses, records_wait_s


class AsyncClient:
    """The web services of one account, inside ``async with``. Methods raise ``WebServiceError`` or ``NotReached``."""

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
        self._base_url = base_url.rstrip("/")
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=timeout_s))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def service_start(
        self, service: str, password: str, calls: Call | Sequence[Call], *, unique_id: str | None = None
    ) -> Started:
        """Queue one start for each call; with a ``unique_id`` it is safe to send again after ``NotReached``."""
        login = self._account.service_login(service, password)
        return requests.started(*await self._send(requests.ask_start(login, calls, unique_id)))

    async def service_start_uas(
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
        return requests.started(*await self._send(asked))

    async def service_cancel(self, *references: str) -> dict[str, str]:
        """Cancel starts that nobody was dialled for: ``success``, ``failed`` or ``unknown`` for each."""
        return requests.cancelled(*await self._post("/service_cancel", service_refs="/".join(references)))

    async def service_status(self, *references: str) -> dict[str, Status]:
        """Return what is known of starts."""
        return requests.statuses(*await self._post("/service_status", service_refs="/".join(references)))

    async def application_status(self, application_instance_id: str) -> ApplicationStatus:
        """Return the records of an instance that has ended."""
        answer = await self._post("/application_status", application_instance_id=application_instance_id)
        return requests.records(*answer)

    async def job_status(self, unique_id: str) -> Job:
        """Return what a ``unique_id`` started."""
        return requests.job(*await self._post("/job_status", unique_id=unique_id))

    async def outbound_queues(self) -> list[Queue]:
        """Return the queues that are not empty, by name."""
        return requests.queues(*await self._queue("GET"))

    async def queue_length(self, service: str) -> int:
        """Return how many starts of a service wait."""
        return requests.queue(*await self._queue("GET", service)).length

    async def queue_purge(self, service: str) -> int:
        """Cancel every start of a service that nobody was dialled for; return how many there were."""
        return requests.purged(*await self._queue("DELETE", service))

    async def health(self) -> Health:
        """Return whether the node takes calls; one that is stopping says so, and is no error."""
        status, _, body = await self._send(requests.ask_health())
        return requests.health(status, body)

    async def wait_completed(self, reference: str, *, timeout_s: float = 300.0) -> Status:
        """Wait until a start is over and its records, if any, are ready; raise ``StillRunning`` after ``timeout_s``."""
        word = "not known"
        try:
            async with asyncio.timeout(timeout_s):
                for pause in pauses():
                    status = (await self.service_status(reference))[reference]
                    word = status.word
                    if status.is_over:
                        await asyncio.sleep(records_wait_s(status, time.time()))
                        return status
                    await asyncio.sleep(pause)
        except TimeoutError as error:
            raise StillRunning(f"{reference} is still {word} after {timeout_s:g} s") from error
        raise AssertionError("pauses never end")

    async def _post(self, path: str, **parameters: str) -> tuple[int, bytes]:
        status, _, body = await self._send(requests.ask(path, self._account.key_login(), parameters))
        return status, body

    async def _queue(self, method: str, service: str | None = None) -> tuple[int, bytes]:
        status, _, body = await self._send(requests.ask_queue(method, self._account.key_login(), service))
        return status, body

    async def _send(self, asked: Asked) -> tuple[int, dict[str, str], bytes]:
        try:
            async with self._session.request(
                asked.method,
                self._base_url + asked.path,
                data=asked.body or None,
                headers=asked.headers,
                allow_redirects=False,
            ) as answer:
                return answer.status, dict(answer.headers), await answer.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise NotReached(f"{self._base_url} does not answer: {str(error) or type(error).__name__}") from error
