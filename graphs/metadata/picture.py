"""From a picture to the workflow that its metadata stand for."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from weft.graphs.jsontext import refuse
from weft.graphs.limits import LIMITS, Limits
from weft.graphs.metadata import a1111, invokeai
from weft.graphs.metadata.recipe import MAX_CHARACTERS, Imported, Reader
from weft.graphs.pictures import START, PictureError, picture_kind, texts_of

READERS: dict[str, tuple[str, Reader]] = {
    invokeai.KEYWORD: (invokeai.PROGRAM, invokeai.read),
    a1111.KEYWORD: (a1111.PROGRAM, a1111.read),
}
"""By the keyword of the text in the picture."""


def from_picture(path: str | os.PathLike[str], limits: Limits = LIMITS) -> Imported:
    """The workflow of a PNG, JPEG or WebP file that AUTOMATIC1111's web UI saved, or a PNG of InvokeAI.

    Raises:
        WorkflowError: `bad_document` for a file that cannot be read, is no such picture, or has no metadata of these
            programs that are understood; `too_large` for metadata beyond 200,000 characters.
    """
    path = Path(path)
    try:
        with open(path, "rb") as file:
            kind = picture_kind(file.read(START))
        if kind not in ("PNG", "JPEG", "WebP"):
            what = f"a picture of the kind {kind}" if kind else "no picture"
            refuse(f"{path} is {what}; metadata are read from PNG, JPEG and WebP files.")
        texts = texts_of(path, kind, limits)
    except PictureError as error:
        refuse(f"{path}: {error}")
    except OSError as error:
        refuse(f"{path} cannot be read: {error.strerror or error}.")
    if "weft_workflow" in texts:
        refuse(f"{path} was saved by weft and carries its workflow: weft run takes it as it is.")
    return from_texts(texts, f"{path}", _file_name(path))


def from_texts(texts: Mapping[str, str], what: str, name: str = "picture") -> Imported:
    """The workflow of such a picture of which the texts are at hand.

    Args:
        texts: by keyword, as `graphs.pictures.texts_of` gives them.
        what: the picture, as messages begin with it. name: of the picture that the workflow saves.

    Raises:
        WorkflowError: as `from_picture`.
    """
    faults = []
    for keyword, (program, read) in READERS.items():
        if (text := texts.get(keyword)) is None:
            continue
        if len(text) > MAX_CHARACTERS:
            message = f"{what}: the text {keyword!r} has {len(text):,} characters; at most {MAX_CHARACTERS:,} are read."
            refuse(message, "too_large", given=len(text), expected=MAX_CHARACTERS)
        try:
            return read(text).imported(name)
        except ValueError as error:
            faults.append(f"the text {keyword!r} is not that of {program}: {str(error).rstrip('.')}.")
    if faults:
        refuse(f"{what}: {' '.join(faults)}")
    refuse(f"{what} has no metadata that are understood: neither {' nor '.join(map(repr, READERS))} is in it.")


def _file_name(path: Path) -> str:
    """The picture's own name, as far as any file may have it."""
    return re.sub(r"[^\w .-]", "_", path.stem)[:60].strip(" .") or "picture"
