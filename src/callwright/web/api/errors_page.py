"""``/errors`` and ``/errors/NNNN``: what error numbers mean and what to do; links of error answers lead here."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from callwright.web.edge import Edge
from callwright.web.error_catalogue import CATALOGUE, ErrorEntry
from callwright.web.errors import json_answer, problem
from callwright.web.page import page, table, text


async def errors_page(request: Request, _edge: Edge) -> Response:
    """Explain an error number: a page for people, or JSON when the client names a JSON type."""
    entry = CATALOGUE.get(request.path_params["number"])
    if entry is None:
        raise problem("404", "this error number is not used")
    if _wants_json(request):
        return json_answer(_explanation(entry))
    where = f"HTTP status {entry.status}" if entry.status is not None else "An error record of application_status"
    return page(
        f"{entry.code}: {entry.text}",
        f"<p>{where}.</p>",
        f"<h2>What it means</h2><p>{text(entry.cause)}</p>",
        f"<h2>What to do</h2><p>{text(entry.cure)}</p>",
        '<p><a href="/errors">All errors</a></p>',
    )


async def errors_index(request: Request, _edge: Edge) -> Response:
    """List every error number with what it means and what to do."""
    entries = [CATALOGUE[number] for number in sorted(CATALOGUE, key=lambda number: (len(number) == 3, number))]
    if _wants_json(request):
        return json_answer([_explanation(entry) for entry in entries])
    rows = [
        (f'<a href="/errors/{e.number}">{text(e.code)}</a>', text(e.text), text(e.cause), text(e.cure)) for e in entries
    ]
    return page("Errors", table(("code", "text", "means", "what to do"), rows))


def _explanation(entry: ErrorEntry) -> dict[str, str]:
    return {"code": entry.code, "text": entry.text, "cause": entry.cause, "cure": entry.cure}


def _wants_json(request: Request) -> bool:
    return "json" in request.headers.get("accept", "")
