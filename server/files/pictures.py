"""What kind of picture a file is and how large, from its structure alone: no pixel is decoded.

What the numbers promise is what decoders would take memory for, so every limit is checked here, before anybody decodes.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from weft.graphs.limits import Limits
from weft.graphs.png import SIGNATURE, PngError, extract
from weft.server.files.errors import BadFile, UnknownKind

HEAD = 16
"""Bytes from which the kind can be told."""


@dataclass(frozen=True, slots=True)
class PictureLimits:
    """What a picture may ask of those who decode it.

    Args:
        max_pixels: width times height, 64 Mi by default: as many as nodes read.
        max_frames: of an animation, of which one is ever decoded.
        max_parts: chunks, segments or blocks of a file.
        max_text_bytes: text in it, after decompression.
    """

    max_pixels: int = 8192 * 8192
    max_frames: int = 1000
    max_parts: int = 20_000
    max_text_bytes: int = 16 << 20


LIMITS = PictureLimits()


@dataclass(frozen=True, slots=True)
class Picture:
    """What a file's structure says: the media type, width and height in pixels, how many frames."""

    mime: str
    width: int
    height: int
    frames: int = 1


def kind_of(head: bytes) -> str | None:
    """The media type of a picture that begins like this, of those that are known; None for anything else."""
    if head.startswith(SIGNATURE):
        return "image/png"
    if head.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    return "image/gif" if head[:6] in (b"GIF87a", b"GIF89a") else None


def look(file: BinaryIO, limits: PictureLimits = LIMITS, texts: bool = False) -> Picture:
    """What a file holds that can be sought in.

    Args:
        texts: whether the texts of a PNG are looked at too, for which the whole file is read.

    Raises:
        UnknownKind: no PNG, JPEG, WebP or GIF.
        BadFile: damaged, cut off, or beyond the limits; says which, what was given and what is allowed.
    """
    total = file.seek(0, os.SEEK_END)
    file.seek(0)
    mime = kind_of(file.read(HEAD))
    if mime is None:
        what = "is empty" if not total else "is no PNG, JPEG, WebP or GIF picture"
        raise UnknownKind(f"The file {what}; those are accepted.")
    try:
        picture = _READERS[mime](_Reader(file, total, limits))
    except (struct.error, IndexError):
        raise BadFile(f"The {_noun(mime)} is cut off.") from None
    if picture.width < 1 or picture.height < 1:
        raise BadFile(f"The {_noun(mime)} states a size of {picture.width} x {picture.height} pixels.")
    if picture.width * picture.height > limits.max_pixels:
        count = f"{picture.width:,} x {picture.height:,} = {picture.width * picture.height:,} pixels"
        raise BadFile(f"The {_noun(mime)} has {count}; at most {limits.max_pixels:,} are accepted.")
    if picture.frames > limits.max_frames:
        raise BadFile(f"The {_noun(mime)} has {picture.frames:,} frames; at most {limits.max_frames:,} are accepted.")
    if texts and mime == "image/png":
        _check_texts(file, limits)
    return picture


def _noun(mime: str) -> str:
    return {"image/png": "PNG", "image/jpeg": "JPEG", "image/webp": "WebP", "image/gif": "GIF"}[mime]


class _Reader:
    """A file, and how many parts of it were passed."""

    def __init__(self, file: BinaryIO, total: int, limits: PictureLimits) -> None:
        self.file = file
        self.total = total
        self.limits = limits
        self.at = 0
        self.blocks = 0
        self._parts = 0

    def read(self, at: int, count: int) -> bytes:
        """So many bytes, or fewer at the end of the file."""
        self.file.seek(at)
        return self.file.read(count)

    def part(self, noun: str) -> None:
        """Count one."""
        self._parts += 1
        if self._parts > self.limits.max_parts:
            raise BadFile(f"The {noun} has more than {self.limits.max_parts:,} parts.")


def _png(reader: _Reader) -> Picture:
    width, height, frames = 0, 0, 0
    at = len(SIGNATURE)
    while True:
        length, kind = struct.unpack(">I4s", reader.read(at, 8))
        reader.part("PNG")
        if at == len(SIGNATURE):
            if (length, kind) != (13, b"IHDR"):
                raise BadFile("The PNG does not begin with its header.")
            width, height = struct.unpack(">II", reader.read(at + 8, 8))
        if kind == b"acTL":
            frames = max(frames, *struct.unpack(">I", reader.read(at + 8, 4)))
        at += 12 + length
        if at > reader.total:
            raise BadFile("The PNG is cut off.")
        if kind == b"IEND":
            break
    return Picture("image/png", width, height, max(1, frames))


def _check_texts(file: BinaryIO, limits: PictureLimits) -> None:
    """Whether the texts are whole and, inflated, within the limits: readers of the workflow in them will need that."""
    file.seek(0)
    try:
        extract(file.read(), Limits(max_text_bytes=limits.max_text_bytes, max_chunks=limits.max_parts))
    except PngError as error:
        text = str(error)
        raise BadFile(f"{text[:1].upper()}{text[1:]}") from None


# Start of frame: C0..CF without DHT (C4), JPG (C8) and DAC (CC).
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


def _jpeg(reader: _Reader) -> Picture:
    at = 2
    while True:
        mark, kind = reader.read(at, 2)[0], reader.read(at, 2)[1]
        reader.part("JPEG")
        if mark != 0xFF:
            raise BadFile("The JPEG is damaged: a marker is missing in its header.")
        if kind == 0xFF:  # fill bytes may stand before a marker
            at += 1
        elif kind in _FRAMES:
            height, width = struct.unpack(">HH", reader.read(at + 5, 4))
            return Picture("image/jpeg", width, height)
        elif kind in (0xD9, 0xDA):
            raise BadFile("The JPEG is damaged: it has no frame header.")
        elif kind == 0x01 or 0xD0 <= kind <= 0xD8:  # markers without a length
            at += 2
        else:
            at += 2 + struct.unpack(">H", reader.read(at + 2, 2))[0]


def _webp(reader: _Reader) -> Picture:
    (stated,) = struct.unpack("<I", reader.read(4, 4))
    if stated + 8 > reader.total + 1:
        raise BadFile("The WebP is cut off.")
    size: tuple[int, int] | None = None
    frames, at = 0, 12
    while at + 8 <= min(reader.total, stated + 8):
        kind, length = struct.unpack("<4sI", reader.read(at, 8))
        reader.part("WebP")
        head = reader.read(at + 8, 10)
        frames += kind == b"ANMF"
        if size is None:
            size = _webp_size(kind, head)
        at += 8 + length + length % 2
    if size is None or at > reader.total + 1:
        raise BadFile("The WebP is cut off, or holds no picture.")
    return Picture("image/webp", *size, max(1, frames))


def _webp_size(kind: bytes, head: bytes) -> tuple[int, int]:
    """Width and height by the first chunk, which has to be one of the three that a picture begins with."""
    if kind == b"VP8X":
        if len(head) < 10:
            raise IndexError
        return 1 + int.from_bytes(head[4:7], "little"), 1 + int.from_bytes(head[7:10], "little")
    if kind == b"VP8L":
        (bits,) = struct.unpack("<I", head[1:5])
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8 ":
        width, height = struct.unpack("<HH", head[6:10])
        return width & 0x3FFF, height & 0x3FFF
    raise BadFile("The WebP is damaged: it does not begin with a picture.")


def _gif(reader: _Reader) -> Picture:
    """The largest of the screen and of its frames: a decoder takes room for both."""
    width, height, flags = struct.unpack("<HHB", reader.read(6, 5))
    reader.at = 13 + _table(flags)
    frames = 0
    while (mark := reader.read(reader.at, 1)[0]) != 0x3B:
        reader.part("GIF")
        if mark == 0x21:
            reader.at += 2
        elif mark == 0x2C:
            left, top, wide, high, flags = struct.unpack("<HHHHB", reader.read(reader.at + 1, 9))
            width, height = max(width, left + wide), max(height, top + high)
            reader.at += 11 + _table(flags)
            frames += 1
        else:
            raise BadFile("The GIF is damaged.")
        for length in _blocks(reader):
            reader.at += length + 1
        reader.at += 1
        if frames > reader.limits.max_frames:
            break  # as many as there are need not be counted
    return Picture("image/gif", width, height, max(1, frames))


def _table(flags: int) -> int:
    """Bytes of the colour table that follows."""
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def _blocks(reader: _Reader) -> Iterator[int]:
    while length := reader.read(reader.at, 1)[0]:
        reader.blocks += 1
        if reader.blocks > 20_000 + reader.total // 64:  # writers fill blocks of 255 bytes
            raise BadFile("The GIF is cut into more blocks than a picture needs.")
        yield length


_READERS: dict[str, Callable[[_Reader], Picture]] = {
    "image/png": _png,
    "image/jpeg": _jpeg,
    "image/webp": _webp,
    "image/gif": _gif,
}
