"""``/errors/NNNN``: what an error number means and what to do, where the links of error answers lead by default."""

from __future__ import annotations

import html

from starlette.requests import Request
from starlette.responses import Response

from callwright.web.edge import Edge
from callwright.web.error_catalogue import CATALOGUE
from callwright.web.errors import json_answer, problem


async def errors_page(request: Request, _edge: Edge) -> Response:
    """Answer a page for people, or JSON when the client names a JSON type."""
    entry = CATALOGUE.get(request.path_params["number"])
    if entry is None:
        raise problem("404", "this error number is not used")
    if "json" in request.headers.get("accept", ""):
        return json_answer({"code": entry.code, "text": entry.text, "cause": entry.cause, "cure": entry.cure})
    title, cause, cure = (html.escape(text) for text in (f"{entry.code}: {entry.text}", entry.cause, entry.cure))
    page = f"<html><head><title>{title}</title></head><body><h1>{title}</h1><p>{cause}</p><p>{cure}</p></body></html>"
    return Response(page, media_type="text/html")
