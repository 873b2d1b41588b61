"""Folders in which nodes keep what they have so far, by key: a training that was killed goes on from its checkpoint.

A workspace has one user at a time, in this process or another: it is locked by a file beside it, which the kernel
unlocks when a process ends in whatever way. All together are bounded by bytes; the least recently used go first, and
one in use never does.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows: nothing keeps two processes apart there
    fcntl = None  # type: ignore[assignment]

_LOCK = ".lock"
_WAIT_SECONDS = 0.1


class Workspace:
    """One that is in use. `path` is the folder; it stays when the use ends."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._descriptor = descriptor

    def close(self) -> None:
        """Let others use it."""
        if self._descriptor >= 0:
            with contextlib.suppress(OSError):
                os.utime(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = -1


class Workspaces:
    """All of a cache.

    Args:
        folder: that holds them; made when the first one is asked for.
        max_bytes: of all together, looked at when one more is made.
    """

    def __init__(self, folder: str | os.PathLike[str], max_bytes: int) -> None:
        self.folder = Path(folder).absolute()
        self.max_bytes = max_bytes

    def open(self, key: bytes, waiting: Callable[[], object]) -> Workspace:
        """The workspace of a key. When somebody uses it, wait until that ends.

        Args:
            waiting: called again and again meanwhile; what it raises ends the wait.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / key.hex()
        while (descriptor := self._lock(path)) is None:
            waiting()
            time.sleep(_WAIT_SECONDS)
        if not path.is_dir():
            self._make_room()
            path.mkdir()
        return Workspace(path, descriptor)

    def usage(self) -> tuple[int, int]:
        """(workspaces, bytes)."""
        sizes = [_size(path) for path in self._all()]
        return len(sizes), sum(sizes)

    def clear(self) -> int:
        """Remove those that nobody uses; returns how many."""
        return sum(self._remove(path) for path in list(self._all()))

    def _all(self) -> Iterator[Path]:
        with contextlib.suppress(OSError), os.scandir(self.folder) as entries:
            yield from (Path(entry.path) for entry in entries if entry.is_dir(follow_symlinks=False))

    def _make_room(self) -> None:
        sizes = {path: _size(path) for path in self._all()}
        total = sum(sizes.values())
        for path in sorted(sizes, key=_used):
            if total <= self.max_bytes:
                break
            if self._remove(path):
                total -= sizes[path]

    def _remove(self, path: Path) -> bool:
        """Remove one, unless somebody uses it."""
        descriptor = self._lock(path)
        if descriptor is None:
            return False
        try:
            shutil.rmtree(path, ignore_errors=True)
            with contextlib.suppress(OSError):
                os.unlink(path.with_suffix(_LOCK))
        finally:
            os.close(descriptor)
        return not path.exists()

    def _lock(self, path: Path) -> int | None:
        """A descriptor that holds the lock as long as it is open; None when somebody else has it."""
        name = path.with_suffix(_LOCK)
        while True:
            descriptor = os.open(name, os.O_RDWR | os.O_CREAT, 0o666)
            if fcntl is None:
                return descriptor
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)
                return None
            except BaseException:
                os.close(descriptor)
                raise
            with contextlib.suppress(OSError):
                if os.stat(name).st_ino == os.fstat(descriptor).st_ino:
                    return descriptor
            os.close(descriptor)  # it was removed between opening and locking, and another one may stand in its place


def _used(path: Path) -> float:
    try:
        return path.with_suffix(_LOCK).stat().st_mtime
    except OSError:
        return 0.0


def _size(path: Path) -> int:
    total = 0
    for folder, _, names in os.walk(path):
        for name in names:
            with contextlib.suppress(OSError):
                total += os.lstat(os.path.join(folder, name)).st_size
    return total
