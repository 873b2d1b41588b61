"""8-bit pixels as the bytes of an image file: PNG, JPEG or WebP."""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING, Literal, get_args

from weft.graphs.problems import near

if TYPE_CHECKING:
    import PIL.Image

FileFormat = Literal["png", "jpeg", "webp"]

FORMATS: tuple[FileFormat, ...] = get_args(FileFormat)

SUFFIXES: dict[str, FileFormat] = {".png": "png", ".jpg": "jpeg", ".jpeg": "jpeg", ".webp": "webp"}
"""Which format a file's suffix, in lower case, stands for."""

_MAX_SIDES: dict[FileFormat, int] = {"png": 2**31 - 1, "jpeg": 65_535, "webp": 16_383}


def format_of(path: PurePath) -> FileFormat:
    """The format that a file's suffix stands for. Raises ValueError, with the suffixes that there are."""
    suffix = path.suffix.lower()
    if suffix in SUFFIXES:
        return SUFFIXES[suffix]
    hint = near(suffix, SUFFIXES) if suffix else None
    known = f"did you mean {hint}?" if hint else f"use {', '.join(SUFFIXES)}"
    raise ValueError(f"{path.name!r} does not end in the suffix of an image format: {known}")


def encode(image: PIL.Image.Image, format: FileFormat, quality: int = 90, exif: bytes = b"") -> bytes:
    """The bytes of an image file, without metadata but for EXIF data in JPEG and WebP files.

    quality: of JPEG and WebP, 1 (smallest) to 100; PNG has no loss and ignores it. WebP of quality 100 has no loss.
    Raises ValueError for a quality out of range and an image larger than the format can hold.
    """
    from io import BytesIO

    if not 1 <= quality <= 100:
        raise ValueError(f"quality must be 1 to 100, not {quality}")
    limit = _MAX_SIDES[format]
    if max(image.size) > limit:
        size = f"{image.width:,} x {image.height:,}"
        raise ValueError(f"{format} files hold at most {limit:,} pixels a side, not {size}: save as png")
    buffer = BytesIO()
    if format == "png":
        image.save(buffer, "PNG")
    elif format == "jpeg":
        # At high quality colours keep their full resolution: halved, red edges get soft.
        image.save(buffer, "JPEG", quality=quality, subsampling=0 if quality >= 90 else 2, exif=exif)
    else:
        image.save(buffer, "WEBP", quality=quality, lossless=quality == 100, exif=exif)
    return buffer.getvalue()
