"""`python -m callwright.media_worker --fd N`: serve one node over the inherited Unix socket N until it is gone."""

from __future__ import annotations

import argparse
import contextlib
import gc
import os
import resource
import signal
import socket
import sys

from callwright.media_worker import memory
from callwright.media_worker.control import Control, NodeGone
from callwright.media_worker.worker import configured

_SWITCH_S = 0.0001
_NICENESS = -10


def main() -> None:
    """Run the worker; it ends when the socket's other end is closed, for whatever reason."""
    parser = argparse.ArgumentParser(prog="callwright.media_worker", description="The media process of a node.")
    parser.add_argument("--fd", type=int, required=True, help="number of the inherited Unix socket to the node")
    sock = socket.socket(fileno=parser.parse_args().fd)
    # Ctrl-C and a service manager's signal reach the whole group, but the node drains its calls first: it decides.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        worker = configured(Control(sock), sock)
    except NodeGone:
        return
    gc.collect()
    # Start-up objects never die; leaving them out keeps collections short enough for the tick.
    gc.freeze()
    # Audio cannot wait, so it goes before the rest of the machine where we are allowed to say so.
    with contextlib.suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, 0, _NICENESS)
    # Every send lets other threads in; this is how long the tick then waits at most to go on.
    sys.setswitchinterval(_SWITCH_S)
    memory.keep_freed()
    worker.run()


if __name__ == "__main__":
    main()
