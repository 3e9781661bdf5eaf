"""Fresh identifiers, shaped as ``values.ids`` says, by a chance and a clock that are handed in; a node's chance."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from itertools import count

from callwright.values.ids import CallId, InstanceId, ServiceReference, call_id, instance_id, service_reference

_AT_ONCE = 256
_BYTES = 8


class RandomDigits:
    """Gives that many random bytes, at most 8, as hexadecimal digits; they are made by the hundred.

    To ask the system for each lets other threads take the interpreter away in the midst of a start, some three times a
    start. May be used from several threads.
    """

    def __init__(self) -> None:
        self._stock: list[str] = []

    def __call__(self, size: int) -> str:
        try:
            digits = self._stock.pop()
        except IndexError:
            many = secrets.token_hex(_AT_ONCE * _BYTES)
            self._stock += [many[at : at + 2 * _BYTES] for at in range(2 * _BYTES, len(many), 2 * _BYTES)]
            digits = many[: 2 * _BYTES]
        return digits[: 2 * size]


class Identifiers:
    """Makes the identifiers of one node. ``new_hex`` returns that many random bytes as hexadecimal digits
    (``RandomDigits``), ``clock`` epoch seconds. May be used from several threads.
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
