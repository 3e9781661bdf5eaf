"""One node per data folder: a lock of the operating system, gone with the process that holds it."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from callwright.db.errors import DatabaseUnavailable, DataFolderInUse

LOCK_FILE = "node.lock"


class FolderLock:
    """Holds the lock of a data folder from construction to ``release``.

    The file keeps the holder's process id for people; the lock itself is the kernel's (flock), so a killed node leaves
    nothing to clean up. The file is never removed: a second node could otherwise lock a file no one can see any more.
    """

    def __init__(self, folder: Path) -> None:
        """Take the lock, or raise ``DataFolderInUse`` naming the folder and the process that holds it."""
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._descriptor = os.open(folder / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise DatabaseUnavailable(f"the data folder {folder} cannot be used: {error.strerror}") from error
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(self._descriptor, 32, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(self._descriptor)
            raise DataFolderInUse(
                f"the data folder {folder} is in use by another node (process {holder}): stop that node, or choose "
                "another folder with --data"
            ) from error
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, f"{os.getpid()}\n".encode(), 0)

    @property
    def released(self) -> bool:
        return self._descriptor < 0

    def release(self) -> None:
        os.close(self._descriptor)
        self._descriptor = -1
