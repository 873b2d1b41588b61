"""From a picture to the workflow that its metadata stand for."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from weft.graphs.jsontext import refuse
from weft.graphs.limits import LIMITS, Limits
from weft.graphs.metadata import a1111, invokeai
from weft.graphs.metadata.exif import user_comment
from weft.graphs.metadata.recipe import MAX_CHARACTERS, Imported, Reader
from weft.graphs.png import PngError, extract
from weft.graphs.reader import picture_kind

READERS: dict[str, tuple[str, Reader]] = {
    invokeai.KEYWORD: (invokeai.PROGRAM, invokeai.read),
    a1111.KEYWORD: (a1111.PROGRAM, a1111.read),
}
"""By the keyword of the text in the PNG."""

MAX_PICTURE = 64 << 20
"""Bytes of a JPEG or WebP file."""
_WITH_EXIF = ("JPEG", "WebP")


def from_picture(path: str | os.PathLike[str], limits: Limits = LIMITS) -> Imported:
    """The workflow of a picture that AUTOMATIC1111's web UI or InvokeAI saved: a PNG, or a JPEG or WebP with EXIF.

    Raises:
        WorkflowError: `bad_document` for a file that cannot be read, is no such picture, or has no metadata of these
            programs that are understood; `too_large` for metadata beyond 200,000 characters.
    """
    path = Path(path)
    try:
        with open(path, "rb") as file:
            data = file.read(12)
            if picture_kind(data) in _WITH_EXIF:
                data += file.read(MAX_PICTURE + 1 - len(data))
        texts = _exif_texts(data, f"{path}") if picture_kind(data) in _WITH_EXIF else extract(path, limits)
    except PngError as error:
        refuse(f"{path}: {error}")
    except OSError as error:
        refuse(f"{path} cannot be read: {error.strerror or error}.")
    if "weft_workflow" in texts:
        refuse(f"{path} was saved by weft and carries its workflow: weft run takes it as it is.")
    return _imported(texts, f"{path}", _file_name(path))


def from_picture_bytes(data: bytes, limits: Limits = LIMITS) -> Imported:
    """The workflow of such a picture that is not a file here. Raises as `from_picture` does."""
    try:
        texts = _exif_texts(data, "The picture") if picture_kind(data) in _WITH_EXIF else extract(data, limits)
    except PngError as error:
        refuse(f"The picture cannot be read: {error}")
    if "weft_workflow" in texts:
        refuse("The picture was saved by weft and carries its workflow.")
    return _imported(texts, "The picture", "picture")


def _exif_texts(data: bytes, what: str) -> dict[str, str]:
    if len(data) > MAX_PICTURE:
        refuse(f"{what} has more than {MAX_PICTURE:,} bytes.", "too_large", expected=MAX_PICTURE)
    text = user_comment(data)
    return {} if text is None else {a1111.KEYWORD: text}


def _imported(texts: Mapping[str, str], what: str, name: str) -> Imported:
    """What the texts of a picture say, for the first program that they are of."""
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
