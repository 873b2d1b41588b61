"""Text inside pictures of any kind, and which kind a file is."""

from __future__ import annotations

import os

from weft.graphs import exif, png
from weft.graphs.exif import ExifError
from weft.graphs.limits import LIMITS, Limits
from weft.graphs.png import SIGNATURE, PngError

PictureError = (PngError, ExifError)
"""What `texts_of` raises of a picture."""

START = 12
"""Bytes that `picture_kind` looks at."""


def picture_kind(data: bytes) -> str | None:
    """What kind of picture a file is that begins like this; None for anything else."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WebP"
    if data[4:12] in (b"ftypavif", b"ftypheic"):
        return "AVIF" if data[8:12] == b"avif" else "HEIC"
    starts = {SIGNATURE: "PNG", b"\xff\xd8\xff": "JPEG", b"GIF87a": "GIF", b"GIF89a": "GIF"}
    starts |= {b"II*\0": "TIFF", b"MM\0*": "TIFF"}
    return next((kind for start, kind in starts.items() if data.startswith(start)), None)


def texts_of(source: str | os.PathLike[str] | bytes, kind: str, limits: Limits = LIMITS) -> dict[str, str]:
    """The texts of a picture by keyword; none of a kind that carries none.

    Args:
        source: a path, or the file's bytes.
        kind: as `picture_kind` says.

    Raises:
        PngError, ExifError: the picture is damaged, or beyond the limits.
        OSError: the file cannot be read.
    """
    if kind == "PNG":
        return png.extract(source, limits)
    return exif.extract(source, limits) if kind in ("JPEG", "WebP") else {}
