"""What the C library does with freed memory (mallopt(3), malloc_trim(3)). Others than GNU's do as they like."""

from __future__ import annotations

import contextlib
import ctypes

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_KEPT_BYTES, _MAPPED_BYTES = 8 << 20, 16 << 20


def keep_freed() -> None:
    """Leave what a tick needs for a moment with this process: given back and asked for again every time, each
    page of it costs a fault.
    """
    with contextlib.suppress(OSError, AttributeError):
        library = ctypes.CDLL(None)
        library.mallopt(_M_MMAP_THRESHOLD, _MAPPED_BYTES)
        library.mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)


def give_back() -> None:
    """Give back what is free between things that are not: after a great deal was needed for once."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(_KEPT_BYTES)
