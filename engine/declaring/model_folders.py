"""Model folders: configured folders in which nodes look models up by name, and which may be read wherever reading is.

They are a setting of the machine and not of a workflow, so they come from the environment, which processes that run
nodes inherit. Here alone nodes and the engine read it.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

VARIABLE = "WEFT_MODELS"
"""Folders, with `os.pathsep` (a colon; a semicolon on Windows) between them."""


def model_folders() -> tuple[Path, ...]:
    """The configured folders, absolute, in the order in which they are looked into. They need not be there."""
    texts = [text for text in os.environ.get(VARIABLE, "").split(os.pathsep) if text.strip()]
    return tuple(dict.fromkeys(_absolute(text) for text in texts))


def _absolute(text: str) -> Path:
    try:
        return Path(text).expanduser().absolute()
    except RuntimeError:  # `~` of somebody who is not known here
        return Path(text).absolute()


def set_model_folders(folders: Sequence[str | os.PathLike[str]]) -> None:
    """Have this process, and those that it starts, look into these: absolute paths."""
    os.environ[VARIABLE] = os.pathsep.join(map(str, folders))


@contextlib.contextmanager
def using_model_folders(folders: Sequence[str | os.PathLike[str]] | None) -> Iterator[None]:
    """Look into these instead of those of the environment, while the block runs; None leaves them.

    For the whole process: processes that it starts inherit them.

    Raises:
        ValueError: one of them, or of those in the environment, is no folder, or a name holds the separator.
    """
    before = os.environ.get(VARIABLE)
    if folders:
        for text in (os.fspath(folder) for folder in folders):
            if os.pathsep in text or not text.strip():
                raise ValueError(f"{text!r} cannot be a model folder: its name is empty or holds {os.pathsep!r}")
        # Made absolute now, since a node may change the working directory.
        set_model_folders([_absolute(os.fspath(folder)) for folder in folders])
    try:
        for path in model_folders():
            if not path.is_dir():
                what = "is no folder" if path.exists() else "is not there"
                raise ValueError(f"the model folder {path} {what}" + ("" if folders else f" ({VARIABLE} names it)"))
        yield
    finally:
        if before is None:
            os.environ.pop(VARIABLE, None)
        else:
            os.environ[VARIABLE] = before
