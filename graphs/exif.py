"""Text inside JPEG and WebP files: the EXIF comment, in which a saved picture keeps the workflow that made it.

Only segments are walked, no pixel is decoded, and sizes are looked at before memory is taken. Of the EXIF data two
tables are read, the first one and the one that it names, so that no file can lead in a circle.
"""

from __future__ import annotations

import io
import json
import os
import re
import struct
from collections.abc import Iterator, Mapping
from typing import BinaryIO

from weft.graphs.limits import LIMITS, Limits

PARAMETERS = "parameters"
"""The keyword of a comment that AUTOMATIC1111's web UI wrote, as its PNG files have it."""
COMMENT = "UserComment"
"""The keyword of any other comment."""
JPEG_ROOM = 65_533
"""Bytes of EXIF data that a JPEG file can hold."""

_HEAD = b"Exif\0\0"
_OURS = '{"weft_'
_EXIF_TABLE, _COMMENT = 0x8769, 0x9286
_LONG, _UNDEFINED = 4, 7
_SIZES = {1: 1, 2: 1, _UNDEFINED: 1}
"""Bytes of one item, by the type that a comment may have."""
_THEIRS = re.compile(r"\bSteps: *\d")


class ExifError(ValueError):
    """The EXIF data are damaged, or larger than the limits allow."""


def extract(source: str | os.PathLike[str] | bytes, limits: Limits = LIMITS) -> dict[str, str]:
    """The texts of a JPEG or WebP file by keyword: those that weft wrote, or the comment of another program.

    Nothing where the file has no comment, or is no such file.

    Args:
        source: a path, or the file's bytes.
        limits: bounds on the segments of the file and on its text.

    Raises:
        ExifError: the EXIF data are damaged, cut off, or beyond the limits.
        OSError: the file cannot be read.
    """
    with io.BytesIO(source) if isinstance(source, bytes) else open(source, "rb") as file:
        data = _exif(file, limits)
    text = None if data is None else _comment(data.removeprefix(_HEAD))
    if not text:
        return {}
    if text.startswith(_OURS) and (texts := _own(text)) is not None:
        return texts
    return {PARAMETERS if _THEIRS.search(text) else COMMENT: text}


def packed(texts: Mapping[str, str]) -> bytes:
    """EXIF data with texts of weft as its comment, as an encoder takes them. Keywords begin with `weft_`."""
    comment = b"ASCII\0\0\0" + json.dumps(dict(sorted(texts.items(), reverse=True)), separators=(",", ":")).encode()
    # Big-endian: the first table has one entry, the place of the second; that has one, the comment behind it.
    first, second, end = 8, 26, 44
    parts = [
        struct.pack(">2sHI", b"MM", 42, first),
        struct.pack(">HHHIII", 1, _EXIF_TABLE, _LONG, 1, second, 0),
        struct.pack(">HHHIII", 1, _COMMENT, _UNDEFINED, len(comment), end, 0),
        comment,
    ]
    return _HEAD + b"".join(parts)


def _own(text: str) -> dict[str, str] | None:
    try:
        texts = json.loads(text)
    except (ValueError, RecursionError):
        return None
    fits = isinstance(texts, dict) and all(isinstance(item, str) for item in texts.values())
    return texts if fits else None


# -- where the EXIF data are


def _exif(file: BinaryIO, limits: Limits) -> bytes | None:
    start = file.read(12)
    if start.startswith(b"\xff\xd8\xff"):
        parts = _jpeg(file, limits)
    elif start[:4] == b"RIFF" and start[8:] == b"WEBP":
        parts = _webp(file, limits)
    else:
        return None
    for length in parts:
        if length > limits.max_text_bytes:
            most = f"{limits.max_text_bytes:,}"
            raise ExifError(f"the picture has {length:,} bytes of EXIF data; at most {most} are read.")
        data = file.read(length)
        if len(data) < length:
            raise ExifError("the picture is cut off within its EXIF data.")
        return data
    return None


def _jpeg(file: BinaryIO, limits: Limits) -> Iterator[int]:
    """The lengths of the segments of EXIF data; the file then stands at the data. Ends before the first pixel."""
    at = 2
    for _ in range(limits.max_chunks):
        file.seek(at)
        head = file.read(10)
        if len(head) < 4 or head[0] != 0xFF:
            return
        marker, length = head[1], int.from_bytes(head[2:4], "big")
        if marker == 0xFF:  # fill bytes may stand before a marker
            at += 1
        elif marker == 0x01 or 0xD0 <= marker <= 0xD7:  # markers without a length
            at += 2
        elif marker in (0xD8, 0xD9, 0xDA) or length < 2:
            return
        else:
            if marker == 0xE1 and head[4:] == _HEAD:
                yield length - 8
            at += 2 + length


def _webp(file: BinaryIO, limits: Limits) -> Iterator[int]:
    at = 12
    for _ in range(limits.max_chunks):
        file.seek(at)
        head = file.read(8)
        if len(head) < 8:
            return
        length = int.from_bytes(head[4:], "little")
        if head[:4] == b"EXIF":
            yield length
        at += 8 + length + length % 2


# -- what they say


def _comment(data: bytes) -> str | None:
    """The comment of EXIF data, which begin with the order of their bytes."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(data[:4])
    if order is None:
        raise ExifError("the picture's EXIF data are damaged: they have no head.")
    try:
        table = _entry(data, order, struct.unpack_from(f"{order}I", data, 4)[0], _EXIF_TABLE)
        if table is None:
            return None
        place = struct.unpack(f"{order}I", table[2])[0]
        found = _entry(data, order, place, _COMMENT)
    except struct.error:
        raise ExifError("the picture's EXIF data are damaged: a table lies outside of them.") from None
    if found is None:
        return None
    kind, count, where = found
    if kind not in _SIZES or count < 8:
        return None
    offset = struct.unpack(f"{order}I", where)[0]
    if offset + count > len(data):
        raise ExifError("the picture's EXIF data are damaged: the comment lies outside of them.")
    return _decoded(data[offset : offset + count], order)


def _entry(data: bytes, order: str, place: int, wanted: int) -> tuple[int, int, bytes] | None:
    """Type, count, and value or place of one entry of a table. Raises struct.error for what lies outside."""
    (count,) = struct.unpack_from(f"{order}H", data, place)
    for number in range(count):
        tag, kind, size, value = struct.unpack_from(f"{order}HHI4s", data, place + 2 + 12 * number)
        if tag == wanted:
            return kind, size, value
    return None


def _decoded(comment: bytes, order: str) -> str:
    """A comment: eight bytes that say how the text behind them is written, and the text."""
    charset, text = comment[:8], comment[8:]
    if charset.startswith(b"UNICODE"):
        return text[: len(text) // 2 * 2].decode(_utf16(text, order), "replace").strip("\0 \ufeff")
    if charset == b"ASCII\0\0\0" or not charset.strip(b"\0 "):
        text = text.rstrip(b"\0 ")
    else:
        text = comment.rstrip(b"\0 ")  # a program that did not say
    try:
        return text.decode()
    except UnicodeDecodeError:
        return text.decode("latin-1")


def _utf16(text: bytes, order: str) -> str:
    """The order of bytes: that of the mark, else the one in which there are plain letters, else that of the file.

    Programs write the order of their choice there, whatever the EXIF data around it say.
    """
    if text[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return "utf-16-le" if text[0] == 0xFF else "utf-16-be"
    big, little = text[0::2].count(0), text[1::2].count(0)
    if big == little:
        return "utf-16-be" if order == ">" else "utf-16-le"
    return "utf-16-be" if big > little else "utf-16-le"
