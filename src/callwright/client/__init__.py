"""A typed client of the web services, for programs that wait and for programs that await.

    client = Client("http://127.0.0.1:8080", username="bob@example.com", access_key="...")
    started = client.service_start("MyService", "its password", Call(to="tel:999005550001", from_="443069999876"))
    status = client.wait_completed(started.references[0])
    records = client.application_status(status.application_instance_id)

``AsyncClient`` has the same methods as coroutines.
"""

from callwright.client.asynchronous import AsyncClient
from callwright.client.calls import Again, Call, CallingHours, Retry
from callwright.client.errors import NotReached, StillRunning, WebServiceError
from callwright.client.results import Adr, ApplicationStatus, Cdr, ErrorReport, Fdr, Health, Job, Queue, Started, Status
from callwright.client.synchronous import Client

__all__ = [
    "Adr",
    "Again",
    "ApplicationStatus",
    "AsyncClient",
    "Call",
    "CallingHours",
    "Cdr",
    "Client",
    "ErrorReport",
    "Fdr",
    "Health",
    "Job",
    "NotReached",
    "Queue",
    "Retry",
    "Started",
    "Status",
    "StillRunning",
    "WebServiceError",
]
