"""Takes files of jobs over into the file store, and knows those that no job names yet."""

from __future__ import annotations

import contextlib
import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from weft.server.files.blobs import BlobStore, put_path
from weft.server.files.upload import UNKNOWN, describe
from weft.server.workers.audience import Stored


class Keeper:
    """Keeps what jobs make.

    What a job makes is named in the store when the job ends. Until then it is among `unnamed`, which whoever removes
    files asks for before it asks for the names.
    """

    def __init__(self, blobs: BlobStore) -> None:
        self._blobs = blobs
        self._mutex = threading.Lock()
        self._count = threading.Lock()
        """Of `_unnamed`, held for a moment: the event loop must not wait while a file is copied."""
        self._unnamed: Counter[str] = Counter()

    def take(self, path: Path) -> Stored:
        """See `server.workers.audience.Files`."""
        import mimetypes

        with self._mutex:
            file = put_path(self._blobs, path)
            with self._count:
                self._unnamed[file] += 1
        info = describe(self._blobs, file)
        mime = info.mime
        if mime == UNKNOWN:
            mime = mimetypes.guess_type(path.name)[0] or UNKNOWN
        return Stored(info.file, mime, info.bytes, info.width, info.height)

    def ended(self, files: Iterable[str]) -> None:
        """See `server.workers.audience.Files`."""
        with self._count:
            self._unnamed -= Counter(files)  # what counts zero goes

    def unnamed(self) -> set[str]:
        """Files of jobs that have not ended."""
        with self._count:
            return set(self._unnamed)

    @contextlib.contextmanager
    def waiting(self) -> Iterator[None]:
        """No file is taken meanwhile: nothing that is removed becomes a job's between the question and the deed."""
        with self._mutex:
            yield
