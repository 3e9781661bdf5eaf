"""What operations of the admin socket stand on, and how their JSON bodies are read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import msgspec
from starlette.requests import Request

from callwright.web.edge import Edge, read_body
from callwright.web.errors import invalid
from callwright.web.follow import Broadcaster

T = TypeVar("T")

MAX_ADMIN_BODY_BYTES = 1024 * 1024
ADMIN_BODY_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class AdminEdge:
    """The collaborators of the admin socket: those of the web services, and what only the node's own user may see.

    ``cloud_id`` is the one accounts are made in; ``node`` returns facts for ``callwright status``, ready for JSON;
    ``logs_root`` is where the logs of instances are.
    """

    web: Edge
    cloud_id: str
    broadcaster: Broadcaster
    node: Callable[[], dict[str, object]]
    logs_root: Path = Path("logs")


async def body_of(request: Request, kind: type[T]) -> T:
    """Return the JSON body of a request as ``kind``; raise error 0002 naming the member at fault."""
    body = await read_body(request, MAX_ADMIN_BODY_BYTES, ADMIN_BODY_S)
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise invalid("the body", str(error)) from error
