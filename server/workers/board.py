"""A file in which the server and a worker tell each other, of jobs that the worker does one after the other, which have
begun and which are not to begin any more."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

_SET = b"\x01"


class Board:
    """Two marks for each of some jobs, by their place: `begun`, which the worker sets, and `withdrawn`, which the
    server sets. Each side sets its own before it looks at the other's. So of a job that is withdrawn either the server
    sees that it has not begun, or the worker sees that it is withdrawn, or both: never does it run unseen.

    Args:
        file: made by `new`.
        count: of jobs.
    """

    def __init__(self, file: int, count: int) -> None:
        self._file = file
        self._count = count

    @classmethod
    @contextlib.contextmanager
    def new(cls, path: Path, count: int) -> Iterator[Board]:
        """A board without marks, for the server."""
        path.unlink(missing_ok=True)  # a worker that is gone may have it open
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600)
        try:
            os.write(file, bytes(2 * count))
            yield cls(file, count)
        finally:
            os.close(file)

    @classmethod
    @contextlib.contextmanager
    def open(cls, path: str, count: int) -> Iterator[Board]:
        """The board that the server made, for the worker."""
        file = os.open(path, os.O_RDWR | getattr(os, "O_BINARY", 0))
        try:
            yield cls(file, count)
        finally:
            os.close(file)

    def begin(self, place: int) -> bool:
        """Say that a job begins; whether it may."""
        self._set(place)
        return not self._is_set(self._count + place)

    def withdraw(self, place: int) -> bool:
        """Have a job not begin; whether it has not. Else it has begun, or the worker is about to see this."""
        self._set(self._count + place)
        return not self._is_set(place)

    def begun(self) -> list[int]:
        """The places of the jobs that have begun, or were about to."""
        return [place for place in range(self._count) if self._is_set(place)]

    def _set(self, at: int) -> None:
        os.lseek(self._file, at, os.SEEK_SET)
        os.write(self._file, _SET)

    def _is_set(self, at: int) -> bool:
        os.lseek(self._file, at, os.SEEK_SET)
        return os.read(self._file, 1) == _SET
