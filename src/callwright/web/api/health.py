"""``/health``: whether this node works, for load balancers and people; no credentials, no secrets."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from callwright.web.edge import Edge
from callwright.web.errors import json_answer


async def health(_request: Request, edge: Edge) -> Response:
    """Answer 200 with ``status`` ok, or 503 with ``status`` draining and a sentence that says why."""
    facts = edge.facts()
    body: dict[str, object] = {
        "status": "draining" if facts.draining else "ok",
        "version": edge.version,
        "queue_length": facts.queue_length,
        "running": facts.running,
    }
    if not facts.draining:
        return json_answer(body)
    body["text"] = "This node is stopping: it places no new calls and waits for the running ones to finish."
    return json_answer(body, status=503)
