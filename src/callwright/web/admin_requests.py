"""What operations of the admin socket stand on, and how their JSON bodies are read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

import msgspec
from starlette.requests import Request

from callwright.engine.trunk_desk import TrunkDesk
from callwright.trace.recorder import MessageTrace
from callwright.values.ids import InstanceId
from callwright.values.misfits import misfit
from callwright.web.edge import Edge, read_body
from callwright.web.errors import invalid
from callwright.web.follow import Broadcaster
from callwright.web.params import Parameters, read_parameters

T = TypeVar("T")

MAX_ADMIN_BODY_BYTES = 1024 * 1024


class CallDesk(Protocol):
    """What the operator asks of whoever runs the calls: ``outbound.dispatcher.Dispatcher``."""

    def look_again(self) -> None:
        """Notice at once that something was paused or resumed."""
        ...

    def hang_up(self, instance_id: InstanceId) -> bool:
        """End a running instance; return False when it does not run here."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class AdminEdge:
    """The collaborators of the admin socket: those of the web services, and what only the node's own user may see.

    ``cloud_id`` is the one accounts are made in; ``node`` returns facts for ``callwright status``, ready for JSON;
    ``logs_root`` is where the logs of instances are; ``trunks`` is None on a node that has none to offer,
    ``messages`` on one that keeps none, ``calls`` on one that places none.
    """

    web: Edge
    cloud_id: str
    broadcaster: Broadcaster
    node: Callable[[], dict[str, object]]
    logs_root: Path = Path("logs")
    trunks: TrunkDesk | None = None
    messages: MessageTrace | None = None
    calls: CallDesk | None = None


async def body_of(request: Request, kind: type[T]) -> T:
    """Return the JSON body of a request as ``kind``; raise error 0002 naming the member at fault."""
    body = await read_body(request, MAX_ADMIN_BODY_BYTES)
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        member, reason = misfit(error, kind)
        raise invalid(member or "the body", reason) from error


def query_of(request: Request) -> Parameters:
    """Return the parameters of a request's query; raise error 0002 when it cannot be read."""
    return read_parameters(request.scope["query_string"], "", b"")
