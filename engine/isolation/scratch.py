"""The folder for a worker's temporary files: removed with the worker, and where that failed, by the next that starts.

A folder belongs to somebody as long as the file `lock` in it is locked: by the process that asked for the worker or by
the worker's guard. The system lets go of a lock when its holders are gone, whichever way they went. A folder without
such a file is nobody's to judge and stays.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import tempfile

try:
    import fcntl
except ImportError:  # not a POSIX system: other kinds of workers need no such folder
    fcntl = None  # type: ignore[assignment]

PREFIX = "weft-worker-"
_LOCK = "lock"


class Scratch:
    """A folder of its own below the system's folder for temporary files.

    Attributes:
        folder: its path. lock: descriptor of its locked file.
    """

    def __init__(self) -> None:
        sweep(tempfile.gettempdir())
        self._held = tempfile.TemporaryDirectory(prefix=PREFIX, ignore_cleanup_errors=True)
        self.folder = self._held.name
        path = os.path.join(self.folder, _LOCK)
        self.lock = os.open(f"{path}.new", os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        # Under its name it is locked from the start, so whoever can lock it knows that nobody is there.
        fcntl.flock(self.lock, fcntl.LOCK_EX)
        os.rename(f"{path}.new", path)

    def remove(self) -> None:
        """Remove it. May be called again."""
        self._held.cleanup()
        lock, self.lock = self.lock, -1
        if lock >= 0:
            os.close(lock)


def sweep(folder: str) -> None:
    """Remove what workers left in a folder whose processes are all gone."""
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(PREFIX):
                with contextlib.suppress(OSError):
                    _remove_left_over(entry)


def _remove_left_over(entry: os.DirEntry[str]) -> None:
    found = entry.stat(follow_symlinks=False)
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        return
    lock = os.open(os.path.join(entry.path, _LOCK), os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # BlockingIOError: it is in use
        shutil.rmtree(entry.path, ignore_errors=True)
    finally:
        os.close(lock)
