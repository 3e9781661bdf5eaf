"""The optional C helper: socket loops and G.722, compiled when callwright is installed where there is a C compiler.

It is a plain shared object beside this file, called through ctypes, which lets other threads run meanwhile. Without it
everything works but G.722, and moving packets takes more processor time (docs/reference/media.md). A value in
the environment variable NO_CALLWRIGHT_HELPER leaves it unused, also in the media workers, which inherit it.
"""

from __future__ import annotations

import ctypes
import os
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import numpy as np
import numpy.typing as npt

SWITCH = "NO_CALLWRIGHT_HELPER"
"""Not a setting: it has to be known before anything of ours is imported, here and in every worker."""
VERSION = 2
"""Of the C functions: a shared object of another one was left over by another release and is not used."""


class Unavailable(Exception):
    """There is no helper to use; the message is the reason, for the person who runs the machine."""


def load() -> ctypes.CDLL:
    """Load the helper; raise `Unavailable`."""
    if os.environ.get(SWITCH):
        raise Unavailable(f"it is switched off by {SWITCH}")
    places = [Path(__file__).with_name(f"_helper{suffix}") for suffix in EXTENSION_SUFFIXES]
    found = next((place for place in places if place.is_file()), None)
    if found is None:
        raise Unavailable(
            "it was not compiled: install a C compiler (on Debian: apt install gcc) and run the setup again"
        )
    try:
        library = ctypes.CDLL(str(found))
        version = library.callwright_helper_version()
    except (OSError, AttributeError) as error:
        raise Unavailable(f"{found.name} cannot be loaded ({error}): run the setup again") from error
    if version != VERSION:
        raise Unavailable(f"{found.name} was compiled for another release: run the setup again")
    return library


def _loaded() -> ctypes.CDLL | None:
    try:
        return load()
    except Unavailable:
        return None


HELPER = _loaded()
"""The helper, or None: the Python loops are used then and G.722 is not spoken."""


def address(array: npt.NDArray[np.generic]) -> int:
    """Where an array's elements lie; they must be contiguous, and stay alive as long as this is used."""
    assert array.flags.c_contiguous
    return int(array.ctypes.data)


def state() -> str:
    """One line for people: whether the helper is used, and if not, why."""
    try:
        load()
    except Unavailable as reason:
        return f"the C helper is not used: {reason}"
    return "the C helper moves the packets and speaks G.722"
