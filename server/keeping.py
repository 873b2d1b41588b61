"""Files of jobs: what they make goes into the file store, and what they name comes to where nodes read."""

from __future__ import annotations

import contextlib
import mimetypes
from pathlib import Path

from weft.server.files.blobs import BlobStore, bring, put_path
from weft.server.files.errors import NoSuchFile
from weft.server.files.naming import named_in_text
from weft.server.files.upload import UNKNOWN, describe
from weft.server.workers.audience import Stored

RESERVED_SECONDS = 600.0
"""What a job makes is named when it ends, and must be there until then."""


class Keeper:
    """Keeps what jobs make, and has at hand what they need.

    Args:
        blobs: where files are kept.
        near: the folder that nodes read from, where that is another place.
    """

    def __init__(self, blobs: BlobStore, near: BlobStore | None = None) -> None:
        self._blobs = blobs
        self._near = near

    def bring(self, document: str) -> None:
        """See `server.workers.audience.Files`. What is not there is told by the job's own check."""
        if self._near is not None:
            for id in named_in_text(document.encode()):
                with contextlib.suppress(NoSuchFile):
                    bring(id, self._blobs, self._near, RESERVED_SECONDS)

    def take(self, path: Path) -> Stored:
        """See `server.workers.audience.Files`."""
        info = describe(self._blobs, put_path(self._blobs, path, RESERVED_SECONDS))
        mime = info.mime
        if mime == UNKNOWN:
            mime = mimetypes.guess_type(path.name)[0] or UNKNOWN
        return Stored(info.file, mime, info.bytes, info.width, info.height)
