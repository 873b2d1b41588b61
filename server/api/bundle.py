"""The editor as it was built (`make editor`): read once, compressed once, kept in memory."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from fastapi import Request, Response

FOLDER = Path(__file__).parents[1] / "static"
_TYPES = {
    ".css": "text/css",
    ".html": "text/html",
    ".ico": "image/x-icon",
    ".js": "text/javascript",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".webp": "image/webp",
}
_PACKED = frozenset({".png", ".webp"})


@dataclass(frozen=True, slots=True)
class StaticFile:
    """A file that every caller gets alike. etag: of its bytes, without quotes. small: the same by gzip."""

    data: bytes
    kind: str
    etag: str
    small: bytes | None

    @classmethod
    def read(cls, path: Path) -> StaticFile:
        """A file of a known kind."""
        data = path.read_bytes()
        # Without a time in it, so that two servers give the same bytes under the same etag.
        small = None if path.suffix in _PACKED else gzip.compress(data, 9, mtime=0)
        return cls(data, _TYPES[path.suffix], hashlib.sha256(data).hexdigest()[:32], small)

    def answer(self, request: Request, headers: Mapping[str, str] | None = None) -> Response:
        """The file as a client can take it, or 304 for who has it."""
        packed = self.small is not None and takes_gzip(request.headers.get("accept-encoding", ""))
        # What is sent differs, so a strong etag does, too.
        etag = f'"{self.etag}-gzip"' if packed else f'"{self.etag}"'
        sent = {"ETag": etag, "Cache-Control": "no-cache", "Vary": "Accept-Encoding", **(headers or {})}
        if etag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=sent)
        if packed and self.small is not None:
            return Response(self.small, media_type=self.kind, headers={**sent, "Content-Encoding": "gzip"})
        return Response(self.data, media_type=self.kind, headers=sent)


def takes_gzip(said: str) -> bool:
    """Whether `Accept-Encoding` lets gzip through."""
    for part in said.lower().split(","):
        name, _, rest = part.partition(";")
        if name.strip() in ("gzip", "*"):
            quality = rest.strip().removeprefix("q=").strip()
            return quality not in ("0", "0.0", "0.00", "0.000")
    return False


def read_folder(folder: Path) -> dict[str, StaticFile]:
    """The files right in a folder, by name."""
    if not folder.is_dir():
        return {}
    return {path.name: StaticFile.read(path) for path in sorted(folder.iterdir()) if path.suffix in _TYPES}


@cache
def editor_page() -> StaticFile | None:
    """The editor's page; None where it was not built."""
    return read_folder(FOLDER).get("index.html")


@cache
def editor_assets() -> Mapping[str, StaticFile]:
    """What the page loads, by name."""
    return read_folder(FOLDER / "assets")
