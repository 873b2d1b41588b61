"""Takes files of jobs over into the file store."""

from __future__ import annotations

from pathlib import Path

from weft.server.files.blobs import BlobStore, put_path
from weft.server.files.upload import UNKNOWN, describe
from weft.server.workers.audience import Stored

RESERVED_SECONDS = 600.0
"""What a job makes is named when it ends, and must be there until then."""


class Keeper:
    """Keeps what jobs make."""

    def __init__(self, blobs: BlobStore) -> None:
        self._blobs = blobs

    def take(self, path: Path) -> Stored:
        """See `server.workers.audience.Files`."""
        import mimetypes

        info = describe(self._blobs, put_path(self._blobs, path, RESERVED_SECONDS))
        mime = info.mime
        if mime == UNKNOWN:
            mime = mimetypes.guess_type(path.name)[0] or UNKNOWN
        return Stored(info.file, mime, info.bytes, info.width, info.height)
