"""The file store: a folder of files that are named by what is in them, which may be read wherever reading is.

A document says `sha256:` and 64 hex digits where it would say a path, so it means the same file on every machine, and
nobody who writes documents learns or chooses where a file lies. Like model folders it is a setting of the machine, and
comes from the environment, which processes that run nodes inherit. This is the only place that reads it.
"""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

from weft.engine.errors import NoSuchFileError
from weft.graphs.problems import shown

VARIABLE = "WEFT_FILES"
PREFIX = "sha256:"
CONTENT_ID = re.compile(r"sha256:[0-9a-f]{64}")
"""The hash of the whole file, in lower case, so that a content has one name."""


def is_content_id(text: str) -> bool:
    """Whether it is `sha256:` and 64 hex digits in lower case."""
    return CONTENT_ID.fullmatch(text) is not None


def file_store() -> Path | None:
    """The folder of the file store, absolute; None where there is none."""
    text = os.environ.get(VARIABLE, "")
    return Path(text).absolute() if text.strip() else None


def set_file_store(folder: str | os.PathLike[str] | None) -> None:
    """Have this process, and those that it starts, find files by their ids here; None: nowhere."""
    if folder is None:
        os.environ.pop(VARIABLE, None)
    else:
        os.environ[VARIABLE] = os.path.abspath(folder)


def place_of(folder: Path, id: str) -> Path:
    """Where a store keeps the file of an id: in a sub-folder by the first two digits, for folders of bearable size.

    Raises:
        NoSuchFileError: it is no content id.
    """
    if not is_content_id(id):
        hint = f" (in lower case it would be {id.lower()})" if is_content_id(id.lower()) else ""
        raise NoSuchFileError(
            f"{shown(id, 100)} is no content id, which is {PREFIX} and 64 hex digits in lower case{hint}"
        )
    digits = id.removeprefix(PREFIX)
    return folder / digits[:2] / digits


def stored_file(id: str) -> Path:
    """The file of an id in the file store of this process.

    Raises:
        NoSuchFileError: it is no content id, there is no store, or the store has no such file. Names no other id, since
            whoever knows the id of a file may read it; and no folder, since documents come from elsewhere.
    """
    folder = file_store()
    path = place_of(folder or Path(), id)
    if folder is None:
        raise NoSuchFileError(f"{id} is the id of an uploaded file, and there is no file store here ({VARIABLE})")
    try:
        # A link in the store would lead out of it; nobody but the store puts files there, and it makes none.
        whole = stat.S_ISDIR(os.lstat(path.parent).st_mode) and stat.S_ISREG(os.lstat(path).st_mode)
    except OSError:
        whole = False
    if not whole:
        raise NoSuchFileError(f"there is no file {id}: it was not uploaded here, or it was removed since")
    return path.parent.resolve() / path.name
