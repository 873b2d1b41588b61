"""Files of jobs: what they make goes into the file store, and what they name comes to where nodes read."""

from __future__ import annotations

import contextlib
import mimetypes
import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from weft.server.files.blobs import DAY, BlobStore, bring, put_path
from weft.server.files.errors import NoSuchFile
from weft.server.files.naming import named_in_text
from weft.server.files.upload import UNKNOWN, describe
from weft.server.workers.audience import Stored

NEAR_SECONDS = 600.0
"""For so long a file that was brought here stays without being named here."""


class Keeper:
    """Keeps what jobs make, and has at hand what they need.

    What a job makes is named by the job when it ends. Until then it is among `unnamed`, which whoever removes files
    asks for before it asks for the names. Where several servers share a store of files, the others cannot ask; there
    it is reserved for a day as well.

    Args:
        blobs: where files are kept.
        near: the folder that nodes read from, where that is another place: other servers may use `blobs` too.
    """

    def __init__(self, blobs: BlobStore, near: BlobStore | None = None) -> None:
        self._blobs = blobs
        self.near = near
        self._mutex = threading.Lock()
        self._count = threading.Lock()
        """Of `_unnamed`, held for a moment: the event loop must not wait while a file is copied."""
        self._unnamed: Counter[str] = Counter()

    @property
    def shared(self) -> bool:
        """Whether other servers may use the same store of files."""
        return self.near is not None

    def bring(self, document: str) -> None:
        """See `server.workers.audience.Files`. What is not there is told by the job's own check."""
        if self.near is not None:
            for id in named_in_text(document.encode()):
                with contextlib.suppress(NoSuchFile):
                    bring(id, self._blobs, self.near, NEAR_SECONDS)

    def take(self, path: Path) -> Stored:
        """See `server.workers.audience.Files`."""
        with self._mutex:
            file = put_path(self._blobs, path, DAY if self.shared else 0.0)
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
