"""The comment in the EXIF of a JPEG or WebP file, which is where programs keep what others keep in a PNG's text.

Segments and chunks are walked as they stand in the file, within limits; nothing is decoded, and no tag but two is read.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

_MAX_PARTS = 20_000
_MAX_TAGS = 1000
_EXIF_IFD, _USER_COMMENT = 0x8769, 0x9286
_HEAD = b"Exif\0\0"


def user_comment(data: bytes) -> str | None:
    """The text of EXIF's UserComment in a JPEG or WebP file; None where there is none that can be read."""
    try:
        blocks = _jpeg(data) if data[:3] == b"\xff\xd8\xff" else _webp(data)
        for block in blocks:
            comment = _comment(block.removeprefix(_HEAD))
            if comment is not None:
                return _text(comment)
    except (struct.error, IndexError, UnicodeDecodeError):
        return None
    return None


def _jpeg(data: bytes) -> Iterator[bytes]:
    """The segments APP1 before the picture begins."""
    at = 2
    for _ in range(_MAX_PARTS):
        if data[at] != 0xFF:
            return
        kind = data[at + 1]
        if kind == 0xFF:
            at += 1
            continue
        if kind in (0xD9, 0xDA):
            return
        (length,) = struct.unpack_from(">H", data, at + 2)
        if kind == 0xE1 and data.startswith(_HEAD, at + 4):
            yield data[at + 4 : at + 2 + length]
        at += 2 + length


def _webp(data: bytes) -> Iterator[bytes]:
    """The chunks of EXIF."""
    at = 12
    for _ in range(_MAX_PARTS):
        if at + 8 > len(data):
            return
        kind, length = struct.unpack_from("<4sI", data, at)
        if kind == b"EXIF":
            yield data[at + 8 : at + 8 + length]
        at += 8 + length + length % 2


def _comment(block: bytes) -> tuple[bytes, str] | None:
    """The bytes of the comment, and how the block orders bytes."""
    order = {b"II": "<", b"MM": ">"}.get(block[:2])
    if order is None:
        return None
    (first,) = struct.unpack_from(f"{order}I", block, 4)
    inner = _tag(block, order, first, _EXIF_IFD)
    if inner is None:
        return None
    found = _tag(block, order, inner[1], _USER_COMMENT)
    if found is None:
        return None
    count, start = found
    return block[start : start + count], order


def _tag(block: bytes, order: str, at: int, wanted: int) -> tuple[int, int] | None:
    """Count and value (or its offset) of a tag in a directory."""
    (tags,) = struct.unpack_from(f"{order}H", block, at)
    for number in range(min(tags, _MAX_TAGS)):
        tag, _, count, value = struct.unpack_from(f"{order}HHII", block, at + 2 + 12 * number)
        if tag == wanted:
            return count, value
    return None


def _text(comment: tuple[bytes, str]) -> str:
    """A comment says in its first 8 bytes how it is written."""
    data, order = comment
    kind, body = data[:8], data[8:]
    if kind == b"UNICODE\0":
        # Writers disagree on the order; Latin letters tell, half of whose bytes are 0.
        big = body[0:400:2].count(0) > body[1:400:2].count(0) or (order == ">" and not body[1:400:2].count(0))
        text = body[: len(body) // 2 * 2].decode("utf-16-be" if big else "utf-16-le")
    else:
        text = (body if kind in (b"ASCII\0\0\0", bytes(8)) else data).decode("utf-8")
    return text.strip("\0 \ufeff")
