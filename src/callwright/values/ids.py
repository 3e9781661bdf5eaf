"""Identifiers, shaped as clients of the hosted cloud know them (docs/reference/web-services.md, identifiers).

Chance and time are arguments: whoever makes an identifier brings the random hexadecimal digits and the clock. No
identifier contains "/", the delimiter of lists of identifiers.
"""

from __future__ import annotations

import re
from typing import NewType

AccountId = NewType("AccountId", int)
ServiceId = NewType("ServiceId", int)
StartId = NewType("StartId", int)
ServiceReference = NewType("ServiceReference", str)
InstanceId = NewType("InstanceId", str)
CallId = NewType("CallId", str)

_REFERENCE = re.compile(r"[0-9a-f]{8}_[0-9]+\.[0-9]+\.[0-9]+")
_INSTANCE = re.compile(r"[0-9a-f]{16}\.[0-9]+")
_CALL = re.compile(r"[0-9a-f]{16}\.[0-9]+\.[0-9]+")


def service_reference(hex8: str, node: int, epoch_s: int, counter: int) -> ServiceReference:
    """Return e.g. ``2e891aea_0.1366641192.77832``: eight hex digits, node, epoch second, counter."""
    return ServiceReference(f"{hex8}_{node}.{epoch_s}.{counter}")


def instance_id(hex16: str, number: int) -> InstanceId:
    """Return e.g. ``100d73cb12cbf845.8089``: sixteen hex digits and a decimal number."""
    return InstanceId(f"{hex16}.{number}")


def call_id(instance: InstanceId, first: int, second: int) -> CallId:
    """Return e.g. ``100d73cb12cbf845.106285.246346213``: the instance's hex digits and two decimal numbers."""
    return CallId(f"{instance.partition('.')[0]}.{first}.{second}")


def is_service_reference(text: str) -> bool:
    return _REFERENCE.fullmatch(text) is not None


def is_instance_id(text: str) -> bool:
    return _INSTANCE.fullmatch(text) is not None


def is_call_id(text: str) -> bool:
    return _CALL.fullmatch(text) is not None
