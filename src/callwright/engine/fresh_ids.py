"""Names nobody can guess, made by the hundred.

To ask the system for each costs a call into it, and lets other threads take the interpreter away in the midst of a
call's signalling, half a dozen times a call.
"""

from __future__ import annotations

import secrets

_AT_ONCE = 256
_BYTES = 16


class FreshIds:
    """Gives a fresh hex string of 32 digits at every call. For one thread."""

    def __init__(self) -> None:
        self._stock: list[str] = []

    def __call__(self) -> str:
        if not self._stock:
            digits = secrets.token_hex(_AT_ONCE * _BYTES)
            self._stock = [digits[at : at + 2 * _BYTES] for at in range(0, len(digits), 2 * _BYTES)]
        return self._stock.pop()
