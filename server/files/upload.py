"""What an upload is: bytes that arrive, are looked at as a whole, and become a file or leave nothing."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from types import TracebackType
from typing import Any

from weft.server.files.blobs import DAY, BlobStore, no_space
from weft.server.files.errors import FilesError
from weft.server.files.pictures import HEAD, LIMITS, PictureLimits, kind_of, look

MAX_UPLOAD = 32 << 20
"""Bytes of one upload."""
UNKNOWN = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class FileInfo:
    """A file as the interface tells of it. Width and height are None for what is no picture."""

    file: str
    mime: str
    bytes: int
    width: int | None = None
    height: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """As JSON data, without what does not apply."""
        return {name: item for name, item in asdict(self).items() if item is not None}


class Upload:
    """An upload in pieces, for whoever is given them one by one.

        with Upload(store) as upload:
            for piece in body:
                upload.write(piece)
            info = upload.finish()

    Leaving the block without `finish` leaves nothing behind, and so does each error.

    Raises:
        NoSpace: on entering, before anything is accepted.
    """

    def __init__(self, store: BlobStore, max_bytes: int = MAX_UPLOAD, limits: PictureLimits = LIMITS) -> None:
        self._store = store
        self._limits = limits
        self._max_bytes = max_bytes
        self._stack = contextlib.ExitStack()
        self._looked = False

    def __enter__(self) -> Upload:
        self._draft = self._stack.enter_context(self._store.draft(self._max_bytes))
        self._head = b""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def write(self, piece: bytes) -> None:
        """Take the next bytes.

        Raises:
            TooLarge: more than the limit. UnknownKind: no picture, as soon as that can be told. NoSpace.
        """
        self._draft.write(piece)
        if not self._looked:
            self._head += piece[: HEAD - len(self._head)]
            if len(self._head) >= HEAD:
                self._looked = True
                if kind_of(self._head) is None:
                    with no_space():  # what was written last goes to the disk first
                        look(self._draft.file, self._limits)  # says what is accepted

    def finish(self, reserve: float = DAY) -> FileInfo:
        """Have all of it as a file, which nobody has to name for a day.

        Raises:
            UnknownKind, BadFile: it is no picture, or none that may be decoded. NoSpace.
        """
        with no_space():
            picture = look(self._draft.file, self._limits, texts=True)
        id = self._store.keep(self._draft, reserve)
        return FileInfo(id, picture.mime, self._draft.size, picture.width, picture.height)


def receive(
    store: BlobStore, pieces: Iterable[bytes], max_bytes: int = MAX_UPLOAD, limits: PictureLimits = LIMITS
) -> FileInfo:
    """An upload of which all pieces are at hand. Raises as `Upload` does."""
    with Upload(store, max_bytes, limits) as upload:
        for piece in pieces:
            upload.write(piece)
        return upload.finish()


def describe(store: BlobStore, id: str, limits: PictureLimits = LIMITS) -> FileInfo:
    """A file of the store: what it is by its content, whoever put it there.

    What is no sound picture is told as `application/octet-stream`, so that nobody shows it as one.

    Raises:
        NoSuchFile: there is none.
    """
    with store.open(id) as file:
        size = store.size(id)
        try:
            picture = look(file, limits)
        except FilesError:
            return FileInfo(id, UNKNOWN, size)
    return FileInfo(id, picture.mime, size, picture.width, picture.height)
