"""Files behind any URL that fsspec knows: S3, Google Cloud, Azure, SFTP, memory.

fsspec comes with torch and huggingface-hub; a protocol may need a package of its own, such as s3fs, which it names when
it is missing. Nodes read files of a folder: `blobs.bring` copies what a job names into a `LocalFiles`.
"""

from __future__ import annotations

import contextlib
import datetime
import secrets
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, cast

from weft.engine.declaring.file_store import PREFIX, is_content_id
from weft.server.files.blobs import Draft, Stored, checked
from weft.server.files.errors import FilesError, NoSuchFile

_DRAFT_SECONDS = 3600.0


class StoreFails(FilesError):  # noqa: N818 (it says what happens)
    """The store's own place does not answer, or refuses."""

    status = 503
    code = "unavailable"


class FsspecFiles:
    """See `BlobStore`. A draft is a file of this machine until it is whole, and is then copied to the store.

    Removal looks at reservations first, and again under a lock of this process. Between *several servers* on one store
    a file can be removed in the moment between the two; let one of them collect.

    Args:
        url: where, such as `s3://bucket/weft` or `memory://weft`.
        options: for fsspec: credentials, an endpoint.

    Raises:
        ImportError: fsspec, or what it needs for this protocol, is not installed; says which.
    """

    def __init__(self, url: str, clock: Callable[[], float] = time.time, **options: Any) -> None:
        from fsspec.core import url_to_fs

        self._system, root = url_to_fs(url, **options)
        self._root = root.rstrip("/")
        self._clock = clock
        self._mutex = threading.Lock()

    def check_room(self, count: int = 0) -> None:
        """See `BlobStore`. Such stores do not say how much room they have: a write fails when there is none."""

    @contextlib.contextmanager
    def draft(self, max_bytes: int | None = None) -> Iterator[Draft]:
        """See `BlobStore`."""
        with tempfile.TemporaryDirectory(prefix="weft-") as folder:
            draft = Draft(Path(folder) / "draft", max_bytes)
            try:
                yield draft
            finally:
                draft.discard()

    def keep(self, draft: Draft, reserve: float = 0.0) -> str:
        """See `BlobStore`."""
        draft.finish()
        id = draft.id
        half = f"{self._root}/.drafts/{secrets.token_hex(16)}"
        with _told():
            for path in (half, self._path(id)):
                self._system.makedirs(str(PurePosixPath(path).parent), exist_ok=True)
            try:
                self._system.put_file(str(draft.path), half)
                with self._mutex:
                    if reserve:
                        self._write_reservation(id, self._clock() + reserve)
                    self._system.mv(half, self._path(id))
            except BaseException:
                with contextlib.suppress(Exception):
                    self._system.rm_file(half)
                raise
        return id

    def open(self, id: str) -> BinaryIO:
        """See `BlobStore`."""
        path = self._path(id)
        with _told(id):
            return cast(BinaryIO, self._system.open(path, "rb"))

    def size(self, id: str) -> int:
        """See `BlobStore`."""
        path = self._path(id)
        with _told(id):
            return int(self._system.size(path))

    def reserve(self, id: str, seconds: float) -> bool:
        """See `BlobStore`."""
        path = self._path(id)
        with _told(), self._mutex:
            self._system.invalidate_cache()
            if not self._system.exists(path):
                return False
            self._write_reservation(id, self._clock() + seconds)
            return True

    def remove(self, id: str, *, now: float | None = None, age: float = 0.0) -> bool:
        """See `BlobStore`."""
        path = self._path(id)
        with _told(), self._mutex:
            self._system.invalidate_cache()
            if not self._system.exists(path):
                return False
            if now is not None and (self._until(id) > now or self._modified(path) > now - age):
                return False
            self._system.rm_file(path)
            with contextlib.suppress(FileNotFoundError):
                self._system.rm_file(self._reservation(id))
            return True

    def list(self) -> Iterator[Stored]:
        """See `BlobStore`."""
        for path, info in self._within(self._root).items():
            id = PREFIX + PurePosixPath(path).name
            if is_content_id(id) and "/." not in path[len(self._root) :]:
                with contextlib.suppress(FileNotFoundError):
                    yield Stored(id, int(info["size"]), self._modified(path))

    def tidy(self, now: float) -> None:
        """See `BlobStore`."""
        for path in self._within(f"{self._root}/.drafts"):
            with contextlib.suppress(FileNotFoundError):
                if self._modified(path) < now - _DRAFT_SECONDS:
                    self._system.rm_file(path)
        for path in self._within(f"{self._root}/.reserved"):
            id = PREFIX + PurePosixPath(path).name
            with self._mutex, contextlib.suppress(FileNotFoundError):
                if is_content_id(id) and self._until(id) <= now:
                    self._system.rm_file(path)

    def _within(self, folder: str) -> dict[str, dict[str, Any]]:
        with _told():
            self._system.invalidate_cache()
            found: dict[str, dict[str, Any]] = self._system.find(folder, detail=True)
            return found

    def _path(self, id: str) -> str:
        digits = checked(id)
        return f"{self._root}/{digits[:2]}/{digits}"

    def _reservation(self, id: str) -> str:
        return f"{self._root}/.reserved/{checked(id)}"

    def _until(self, id: str) -> float:
        try:
            return float(self._system.cat_file(self._reservation(id))[:40])
        except (FileNotFoundError, ValueError):
            return 0.0

    def _write_reservation(self, id: str, until: float) -> None:
        if until > self._until(id):
            path = self._reservation(id)
            self._system.makedirs(str(PurePosixPath(path).parent), exist_ok=True)
            self._system.pipe_file(path, f"{until:.3f}".encode())

    def _modified(self, path: str) -> float:
        when: datetime.datetime = self._system.modified(path)
        return (when if when.tzinfo else when.replace(tzinfo=datetime.UTC)).timestamp()


@contextlib.contextmanager
def _told(id: str | None = None) -> Iterator[None]:
    """Errors of other people's file systems as ours; they may name hosts and keys, so their texts stay in the log."""
    try:
        yield
    except FilesError:
        raise
    except FileNotFoundError as error:
        if id is None:
            raise StoreFails("The store of files is not there.") from error
        raise NoSuchFile(f"There is no file {id}.") from error
    except Exception as error:
        raise StoreFails(f"The store of files does not answer as it should ({type(error).__name__}).") from error
