"""Saved workflows: a plain file each, which a person may read, edit, compare and commit, and its earlier versions.

    workflows/NAME.json             what is saved now
    versions/NAME/000007.json       what was before it; a larger number is later

A version is made of what is replaced or deleted, at that moment and whoever wrote it, so that nothing is lost that was
edited by hand. Deleting a workflow leaves its versions: what was deleted can be read there and saved again.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import shutil
import stat
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from weft.graphs.document import Workflow
from weft.graphs.files import write_atomic
from weft.graphs.limits import LIMITS, Limits
from weft.graphs.problems import WorkflowError, near
from weft.server.documents.errors import BadName, BrokenDocument, InTheWay, NoRoom, NoSuchWorkflow, TooMany
from weft.server.documents.etags import check_replace, etag_of
from weft.server.documents.names import SUFFIX, checked
from weft.server.documents.reading import read_document

_VERSION = re.compile(r"(\d{6,12})\.json")
_FULL = frozenset({errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)})
_RACY = 2_000_000_000
"""Nanoseconds within which a file may change twice and look the same."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A workflow or a version in a list.

    Args:
        modified: in seconds since 1970. etag: of its content.
        problem: why it cannot be read, for one that was edited by hand; None when it can.
        version: of an earlier version; None for what is saved now.
    """

    name: str
    title: str
    modified: float
    etag: str
    problem: str | None = None
    version: str | None = None


@dataclass(frozen=True, slots=True)
class Saved:
    """A workflow as it is saved.

    Args:
        data: the bytes of the file, of which `etag` is the tag.
        created: of a call that saves: whether there was none before.
    """

    name: str
    etag: str
    modified: float
    data: bytes
    workflow: Workflow
    created: bool = False


class SavedWorkflows:
    """Those of a data folder. May be used by several threads and processes at once.

    Args:
        folder: where the files are. versions: where their earlier versions are.
        max_versions: how many of each workflow stay; the oldest go.
        max_workflows: how many names there may be, and as many deleted ones whose versions stay.
    """

    def __init__(
        self,
        folder: Path,
        versions: Path,
        limits: Limits = LIMITS,
        max_versions: int = 50,
        max_workflows: int = 10_000,
    ) -> None:
        self.folder = folder
        self._versions = versions
        self._limits = limits
        self._most = 4 * limits.max_bytes
        """Bytes that become a version, of what somebody put there by hand."""
        self._max_versions = max_versions
        self._max_workflows = max_workflows
        self._mutex = threading.Lock()
        self._looked: dict[Path, tuple[tuple[int, ...], Listed]] = {}
        """What a file was when it was last read, by what the system says of it."""
        for path in (folder, versions):
            path.mkdir(parents=True, exist_ok=True)

    def listing(self) -> list[Listed]:
        """All of them by name, those too that cannot be read. Links, and files of other names, are passed over."""
        found = []
        for path in self._files():
            with contextlib.suppress(FileNotFoundError):
                found.append(self._listed(path, path.name.removesuffix(SUFFIX)))
        self._looked = {path: seen for path, seen in self._looked.items() if os.path.lexists(path)}
        return found

    def read(self, name: str, version: str | None = None) -> Saved:
        """A workflow, or an earlier version of one, which may have been deleted.

        Raises:
            BadName. NoSuchWorkflow: none of this name, or no such version.
            BrokenDocument: it was edited by hand and is no workflow any more.
        """
        name = checked(name)
        path = self._path(name) if version is None else self._version_path(name, version)
        try:
            data, state = self._bytes(path)
        except OSError:
            raise self._missing(name, version) from None
        try:
            workflow = read_document(data, self._limits)
        except WorkflowError as error:
            raise BrokenDocument(name, error.problems) from None
        return Saved(name, etag_of(data), state.st_mtime, data, workflow)

    def write(
        self,
        name: str,
        document: bytes | str | Mapping[str, Any] | Workflow,
        if_match: str | None = None,
        if_none_match: str | None = None,
    ) -> Saved:
        """Save a workflow, all or nothing. What was there becomes a version.

        Args:
            document: is laid out as Weft writes documents.
            if_match: the etag that was read, as an If-Match says it; needed where there is one.
            if_none_match: `*` saves only where there is none.

        Raises:
            BadName. WorkflowError: it is no workflow, with every problem of form.
                PreconditionRequired, Stale. InTheWay, TooMany, NoRoom: nothing has changed.
        """
        name = checked(name)
        text = document.to_json() if isinstance(document, Workflow) else document
        workflow = read_document(text, self._limits)
        data = workflow.to_json().encode()
        path = self._path(name)
        with _room(), self._locked():
            self.folder.mkdir(exist_ok=True)
            before = self._etag(path)
            if before is None and os.path.lexists(path):
                raise InTheWay(f"Something that is no file has the place of the workflow {name!r}: nothing was saved.")
            check_replace(name, before, if_match, if_none_match)
            if before is None and sum(1 for _ in self._files()) >= self._max_workflows:
                raise TooMany(f"{self._max_workflows:,} workflows are saved, and no more are; delete one first.")
            etag = etag_of(data)
            if before != etag:
                if before is not None:
                    self._keep_version(name, path)
                write_atomic(path, data)
            return Saved(name, etag, os.lstat(path).st_mtime, data, workflow, before is None)

    def delete(self, name: str, if_match: str | None = None) -> None:
        """Delete a workflow; it becomes its latest version.

        Raises:
            BadName, NoSuchWorkflow. Stale: `if_match` names another. NoRoom: nothing has changed.
        """
        name = checked(name)
        path = self._path(name)
        with _room(), self._locked():
            etag = self._etag(path)
            if etag is None:
                raise self._missing(name, None)
            check_replace(name, etag, if_match if if_match is not None else "*")
            self._keep_version(name, path)
            path.unlink()
            self._forget_deleted()

    def versions(self, name: str) -> list[Listed]:
        """The earlier versions of a workflow, the latest first; of a deleted one too.

        Raises:
            BadName. NoSuchWorkflow: there is and was none.
        """
        name = checked(name)
        found = []
        for path in reversed(self._version_files(name)):
            with contextlib.suppress(FileNotFoundError):
                listed = self._listed(path, name)
                found.append(
                    Listed(name, listed.title, listed.modified, listed.etag, listed.problem, str(int(path.stem)))
                )
        if not found and self._etag(self._path(name)) is None:
            raise self._missing(name, None)
        return found

    def texts(self) -> Iterator[bytes]:
        """The bytes of all of them and of all versions, for whoever looks for what they name. Broken ones too."""
        paths = list(self._files())
        with contextlib.suppress(FileNotFoundError):
            for entry in os.scandir(self._versions):
                if entry.is_dir(follow_symlinks=False):
                    paths += self._version_files(entry.name)
        for path in paths:
            with contextlib.suppress(FileNotFoundError), _opened(path) as file:
                yield file.read(self._most)

    # -- files

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}{SUFFIX}"

    def _version_path(self, name: str, version: str) -> Path:
        if not isinstance(version, str) or not re.fullmatch(r"[1-9][0-9]{0,11}", version):
            raise NoSuchWorkflow(f"There is no such version of {name!r}; versions are numbers.")
        path = self._versions / name / f"{int(version):06d}{SUFFIX}"
        if path not in self._version_files(name):
            raise self._missing(name, version)
        return path

    def _files(self) -> list[Path]:
        names = []
        with os.scandir(self.folder) as entries:
            for entry in entries:
                stem = entry.name.removesuffix(SUFFIX)
                with contextlib.suppress(BadName):
                    if stem != entry.name and checked(stem) == stem and entry.is_file(follow_symlinks=False):
                        names.append(entry.name)
        return [self.folder / name for name in sorted(names)]

    def _version_files(self, name: str) -> list[Path]:
        folder = self._versions / name
        try:
            if not stat.S_ISDIR(os.lstat(folder).st_mode):
                return []
            names = [entry for entry in os.listdir(folder) if _VERSION.fullmatch(entry)]
        except FileNotFoundError:
            return []
        return [folder / entry for entry in sorted(names, key=lambda entry: int(entry.removesuffix(SUFFIX)))]

    def _bytes(self, path: Path) -> tuple[bytes, os.stat_result]:
        """What is read of a file: no more than tells that it is too large."""
        with _opened(path) as file:
            return file.read(self._limits.max_bytes + 1), os.fstat(file.fileno())

    def _etag(self, path: Path) -> str | None:
        try:
            return etag_of(self._bytes(path)[0])
        except FileNotFoundError:
            return None

    def _listed(self, path: Path, name: str) -> Listed:
        state = os.lstat(path)
        if not stat.S_ISREG(state.st_mode):
            raise FileNotFoundError
        marks = (state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns)
        seen = self._looked.get(path)
        if seen is not None and seen[0] == marks:
            return seen[1]
        data, now = self._bytes(path)
        title, problem = "", None
        try:
            title = read_document(data, self._limits).title
        except WorkflowError as error:
            problem = error.problems[0].message
        listed = Listed(name, title, state.st_mtime, etag_of(data), problem)
        same = marks == (now.st_ino, now.st_size, now.st_mtime_ns, now.st_ctime_ns)
        if same and time.time_ns() - max(state.st_mtime_ns, state.st_ctime_ns) > _RACY:
            self._looked[path] = (marks, listed)
        return listed

    def _missing(self, name: str, version: str | None) -> NoSuchWorkflow:
        if version is not None:
            return NoSuchWorkflow(f"There is no version {version} of {name!r}.")
        hint = near(name, [path.name.removesuffix(SUFFIX) for path in self._files()])
        return NoSuchWorkflow(f"There is no workflow {name!r}." + (f" Did you mean {hint!r}?" if hint else ""))

    # -- versions

    def _keep_version(self, name: str, path: Path) -> None:
        """Have what is at a path as the latest version too, and no more versions than there may be."""
        folder = self._versions / name
        folder.mkdir(exist_ok=True)
        if not stat.S_ISDIR(os.lstat(folder).st_mode):
            raise InTheWay(f"Something that is no folder has the place of the versions of {name!r}: nothing was saved.")
        files = self._version_files(name)
        number = int(files[-1].stem) + 1 if files else 1
        target = folder / f"{number:06d}{SUFFIX}"
        with _opened(path) as file:
            data = file.read(self._most + 1)
        if len(data) > self._most:
            raise InTheWay(f"The file of {name!r} is far too large to be a workflow: move it away first.")
        write_atomic(target, data)
        # Its time is that of what it holds, not of when it was replaced.
        state = os.lstat(path)
        os.utime(target, ns=(state.st_atime_ns, state.st_mtime_ns))
        for old in [*files, target][: -self._max_versions]:
            old.unlink(missing_ok=True)

    def _forget_deleted(self) -> None:
        """No more deleted workflows than there may be: those go whose versions have not changed for longest."""
        present = {path.name.removesuffix(SUFFIX) for path in self._files()}
        with os.scandir(self._versions) as entries:
            gone = [entry for entry in entries if entry.name not in present and entry.is_dir(follow_symlinks=False)]
        if len(gone) > self._max_workflows:
            gone.sort(key=lambda entry: entry.stat(follow_symlinks=False).st_mtime_ns)
            for entry in gone[: len(gone) - self._max_workflows]:
                shutil.rmtree(entry.path, ignore_errors=True)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Nobody else of ours saves meanwhile, in this process or another."""
        with self._mutex:
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
            handle = os.open(self._versions / ".lock", flags, 0o600)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX)
                yield
            finally:
                os.close(handle)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """A file to read. FileNotFoundError for everything that is none: a link, a folder, a pipe."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise FileNotFoundError(errno.ENOENT, "no file") from error
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise FileNotFoundError(errno.ENOENT, "no file")
    with os.fdopen(handle, "rb") as file:
        yield file


@contextlib.contextmanager
def _room() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise NoRoom("The disk is full: nothing was saved, and what was there is as it was.") from error
        raise
