"""Room that is kept for bad times: a file beside the database, deleted when the disk is full."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import threading
from pathlib import Path
from typing import BinaryIO

log = logging.getLogger("weft.store")

BYTES = 16 << 20
_PIECE = 1 << 20


class Ballast:
    """A file of `size` bytes that takes room on the disk until it is released.

    Args:
        file: made at once where there is room.
    """

    def __init__(self, file: Path, size: int = BYTES) -> None:
        self.file = file
        self.size = size
        self._lock = threading.Lock()
        self.refill()

    @property
    def released(self) -> bool:
        """Whether its room is in use: the disk was full, and has not been seen with room since."""
        return not self.file.exists()

    def release(self) -> bool:
        """Give its room to the database; whether there was any to give."""
        with self._lock:
            try:
                self.file.unlink()
            except FileNotFoundError:
                return False
            log.error("The disk is full: %s is released, so that jobs that run can be ended.", self.file)
            return True

    def refill(self) -> bool:
        """Make the file where it is not and the disk has room for it twice; whether it is there now."""
        with self._lock:
            if self.file.exists() and self.file.stat().st_size == self.size:
                return True
            part = self.file.with_name(f"{self.file.name}.part")
            try:
                if shutil.disk_usage(self.file.parent).free < 2 * self.size:
                    return False
                with open(part, "wb") as file:
                    _take(file, self.size)
                part.replace(self.file)
            except OSError as error:
                log.warning("No room is kept for a full disk: %s", error)
                with contextlib.suppress(OSError):
                    part.unlink()
                return False
            return True


def _take(file: BinaryIO, size: int) -> None:
    """Make a file take so much room, and not only look like it."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file.fileno(), 0, size)
    else:
        for start in range(0, size, _PIECE):
            file.write(bytes(min(_PIECE, size - start)))
