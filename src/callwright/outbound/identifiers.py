"""Fresh identifiers, shaped as ``values.ids`` says; chance and the clock come from outside."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

from callwright.values.ids import CallId, InstanceId, ServiceReference, call_id, instance_id, service_reference


class Identifiers:
    """Makes the identifiers of one node. ``new_hex`` returns that many random bytes as hexadecimal digits
    (``secrets.token_hex``), ``clock`` epoch seconds. May be used from several threads.
    """

    def __init__(self, *, new_hex: Callable[[int], str], clock: Callable[[], float], node: int = 0) -> None:
        self._new_hex = new_hex
        self._clock = clock
        self._node = node
        self._references = count(1)
        self._instances = count(1)
        self._calls = count(1)

    def reference(self) -> ServiceReference:
        return service_reference(self._new_hex(4), self._node, int(self._clock()), next(self._references))

    def instance(self) -> InstanceId:
        return instance_id(self._new_hex(8), next(self._instances))

    def call(self, instance: InstanceId) -> CallId:
        return call_id(instance, next(self._calls), int(self._new_hex(4), 16))
