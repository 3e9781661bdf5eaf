"""A node, put together: ``run_node`` is the whole life of ``callwright serve``. Settings are read before it."""

from callwright.server.node import NodeAddresses, StopRequest
from callwright.server.opening import CannotListenForSip, OpenSandbox
from callwright.server.running import run_node

__all__ = ["CannotListenForSip", "NodeAddresses", "OpenSandbox", "StopRequest", "run_node"]
