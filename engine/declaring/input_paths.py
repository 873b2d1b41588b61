"""Which file of those that a run may read a path means."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from weft.engine.declaring.file_store import PREFIX, stored_file
from weft.engine.declaring.model_folders import model_folders
from weft.engine.errors import InputPathError


def resolve_input_path(path: str | os.PathLike[str], roots: Sequence[Path] | None) -> Path:
    """See `Context.resolve_input_path`; shared with the check, which does it before anything runs."""
    text = os.fspath(path)
    if "\0" in text:
        raise InputPathError(f"{text!r} is no path: it holds a zero byte")
    if text.startswith(PREFIX):  # a file of that name in the working directory is ./sha256:...
        return stored_file(text)
    given = Path(text)
    if roots is None:
        return given.resolve()
    candidates = [given.resolve()] if given.is_absolute() else [(root / given).resolve() for root in roots]
    open_ = [root.resolve() for root in (*roots, *model_folders())]
    inside = [path for path in candidates if any(root == path or root in path.parents for root in open_)]
    if not inside:
        places = ", ".join(map(str, roots)) or "none"
        raise InputPathError(f"{text} lies outside the folders that may be read ({places})")
    return next((path for path in inside if path.exists()), inside[0])
