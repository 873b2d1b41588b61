"""Small pictures of pictures, made once: WebP, in a folder beside the store.

They are drawn by a process of their own (`drawing.py`): a decoder that takes too much memory, too long or crashes on a
hostile file is that process's end and not the server's. It starts when it is first needed and ends when it is idle.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import struct
import subprocess
import sys
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from weft.engine.declaring.file_store import PREFIX
from weft.graphs.files import write_atomic
from weft.server.files import drawing
from weft.server.files.blobs import PIECE, BlobStore, checked, no_space
from weft.server.files.errors import BadFile, BadSize
from weft.server.files.pictures import LIMITS, PictureLimits, look

SIDES = (64, 128, 256, 512, 1024)
"""Pixels of the longer side. What is asked for is rounded up to one of them, so that there are few of each picture."""
SMALLEST, LARGEST = 32, 1024
_NAME = re.compile(r"([0-9a-f]{64})_\d+\.webp")
_MAX_REFUSED = 1000
_MAX_REPLY = 16 << 20


def side_for(size: int) -> int:
    """The side that is made for a size that was asked for. Raises BadSize outside of 32 to 1024."""
    if not SMALLEST <= size <= LARGEST:
        raise BadSize(f"size is {size}; thumbnails have {SMALLEST} to {LARGEST} pixels on the longer side.")
    return next(side for side in SIDES if side >= size)


class Thumbnails:
    """Those of the pictures in a store.

    Args:
        folder: where they are kept, such as `files/.thumbnails`.
        seconds: how long drawing one may take.
    """

    def __init__(self, store: BlobStore, folder: Path, limits: PictureLimits = LIMITS, seconds: float = 20.0) -> None:
        self.folder = folder
        self._store = store
        self._limits = limits
        self._drawer = Drawer(limits, seconds)
        self._mutex = threading.Lock()
        self._busy: dict[tuple[str, int], tuple[threading.Lock, int]] = {}
        self._refused: OrderedDict[str, str] = OrderedDict()
        """Pictures that could not be drawn, with why: each try costs as much as a good one, or more."""

    def thumbnail(self, id: str, size: int) -> bytes:
        """The WebP of a picture, no larger than this on either side; smaller pictures are not enlarged.

        Raises:
            NoSuchFile, BadSize. UnknownKind, BadFile: it is no picture, or none that can be drawn.
            NoSpace: it cannot be kept.
        """
        side = side_for(size)
        path = self.folder / f"{checked(id)}_{side}.webp"
        with self._store.open(id) as file:
            with contextlib.suppress(OSError):
                return _read(path)
            with self._alone(id, side):
                with contextlib.suppress(OSError):
                    return _read(path)
                if id in self._refused:
                    raise BadFile(self._refused[id])
                try:
                    look(file, self._limits)
                    data = self._drawer.draw(file, side)
                except BadFile as error:
                    self._refuse(id, str(error))
                    raise
                with no_space():
                    self.folder.mkdir(parents=True, exist_ok=True)
                    write_atomic(path, data)
                return data

    def forget(self, ids: Iterable[str]) -> None:
        """Remove those of files that are gone."""
        for id in ids:
            for side in SIDES:
                (self.folder / f"{checked(id)}_{side}.webp").unlink(missing_ok=True)

    def tidy(self, now: float) -> None:
        """Remove those whose pictures are gone, and what a crash left half written an hour ago."""
        there = {stored.id for stored in self._store.list()}
        try:
            names = os.listdir(self.folder)
        except FileNotFoundError:
            return
        for name in names:
            path, match = self.folder / name, _NAME.fullmatch(name)
            with contextlib.suppress(FileNotFoundError):
                old = os.lstat(path).st_mtime < now - 3600
                if (match and PREFIX + match[1] not in there) or (not match and name.endswith(".tmp") and old):
                    path.unlink()

    def close(self) -> None:
        """End the process that draws."""
        self._drawer.close()

    def _refuse(self, id: str, message: str) -> None:
        with self._mutex:
            self._refused[id] = message
            if len(self._refused) > _MAX_REFUSED:
                self._refused.popitem(last=False)

    @contextlib.contextmanager
    def _alone(self, id: str, side: int) -> Iterator[None]:
        """Nobody else makes the same one meanwhile."""
        key = (id, side)
        with self._mutex:
            lock, users = self._busy.get(key, (threading.Lock(), 0))
            self._busy[key] = (lock, users + 1)
        try:
            with lock:
                yield
        finally:
            with self._mutex:
                lock, users = self._busy[key]
                if users == 1:
                    del self._busy[key]
                else:
                    self._busy[key] = (lock, users - 1)


class Drawer:
    """The process that draws, one picture at a time."""

    def __init__(self, limits: PictureLimits, seconds: float) -> None:
        self._limits = limits
        self._seconds = seconds
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: socket.socket | None = None

    def draw(self, file: BinaryIO, side: int) -> bytes:
        """A WebP of the picture in a file.

        Raises:
            BadFile: it cannot be decoded, takes too long, or ends the process that tries.
        """
        with contextlib.ExitStack() as stack:
            try:
                handle = file.fileno()
            except OSError:  # of a store far away
                copy = stack.enter_context(tempfile.TemporaryFile())
                file.seek(0)
                with no_space():
                    while piece := file.read(PIECE):
                        copy.write(piece)
                    copy.flush()
                handle = copy.fileno()
            with self._lock:
                return self._drawn(handle, side)

    def close(self) -> None:
        """End it; the next picture starts another."""
        with self._lock:
            self._end()

    def _drawn(self, handle: int, side: int) -> bytes:
        for again in (True, False):
            if self._process is None or self._process.poll() is not None:
                self._start()
            channel = self._channel
            assert channel is not None
            try:
                socket.send_fds(channel, [struct.pack(">I", side)], [handle])
            except OSError:  # it was idle, and ended just now
                self._end()
                if again:
                    continue
                raise BadFile("The picture cannot be drawn: what draws does not start.") from None
            try:
                good, length = struct.unpack(">?I", _exactly(channel, 5))
                if length > _MAX_REPLY:
                    raise ConnectionError
                data = _exactly(channel, length)
            except TimeoutError:
                self._end()
                raise BadFile(f"The picture cannot be drawn: it takes longer than {self._seconds:g} seconds.") from None
            except OSError:
                idle = self._process is not None and self._process.wait(1.0) == drawing.IDLE
                self._end()
                if idle and again:
                    continue
                raise BadFile("The picture cannot be drawn: it takes too much memory, or is damaged.") from None
            if not good:
                raise BadFile(f"The picture cannot be drawn: {data.decode('utf-8', 'replace')}.")
            return data
        raise AssertionError

    def _start(self) -> None:
        self._end()
        ours, theirs = socket.socketpair()
        words = [str(theirs.fileno()), str(self._limits.max_pixels), json.dumps(sys.path)]
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-P", drawing.__file__, *words],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
            )
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        ours.settimeout(self._seconds)
        self._channel = ours

    def _end(self) -> None:
        if self._channel is not None:
            self._channel.close()
            self._channel = None
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


def _exactly(channel: socket.socket, count: int) -> bytes:
    data = bytearray()
    while len(data) < count:
        piece = channel.recv(min(count - len(data), 1 << 20))
        if not piece:
            raise ConnectionError
        data += piece
    return bytes(data)


def _read(path: Path) -> bytes:
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    with os.fdopen(handle, "rb") as file:
        return file.read()
