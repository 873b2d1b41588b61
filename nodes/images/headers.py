"""Format and size of an image file from its first bytes, so that limits are checked before any decoder runs."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Literal

MAX_PIXELS = 8192 * 8192
"""Most pixels of one image that are read or made; as float32 RGB this is 805 MB."""

MAX_FILE_BYTES = 1 << 30
"""Largest image file that is read: more than MAX_PIXELS take in any supported format, uncompressed."""

ImageFormat = Literal["PNG", "JPEG", "WEBP"]


class ImageFileError(ValueError):
    """An image file that cannot be used; the message names the file and says why."""


@dataclass(frozen=True)
class Header:
    """What the first bytes of an image file promise. `bits` is the depth of one sample (8, or 16 for some PNGs)."""

    format: ImageFormat
    width: int
    height: int
    bits: int = 8


def read_header(data: bytes) -> Header:
    """The header of a PNG, JPEG or WebP file.

    Raises ImageFileError for anything else, and for a header that is cut off or nonsense.
    """
    try:
        if data.startswith(b"\x89PNG\r\n\x1a\n"):
            header = _png(data)
        elif data.startswith(b"\xff\xd8\xff"):
            header = _jpeg(data)
        elif data[:4] == b"RIFF" and data[8:12] == b"WEBP":
            header = _webp(data)
        else:
            raise ImageFileError("is no PNG, JPEG or WebP image" if data else "is empty")
    except (struct.error, IndexError):
        raise ImageFileError("is cut off within its header") from None
    if header.width < 1 or header.height < 1:
        raise ImageFileError(f"is damaged: its header gives a size of {header.width} x {header.height}")
    return header


def check_pixels(width: int, height: int, what: str, limit: int = MAX_PIXELS) -> None:
    """Raise ImageFileError when width x height exceeds the limit; `what` begins the sentence."""
    if width * height > limit:
        raise ImageFileError(
            f"{what} {width:,} x {height:,} = {width * height:,} pixels; the limit is {limit:,} pixels"
        )


def _png(data: bytes) -> Header:
    length, kind, width, height, bits = struct.unpack_from(">I4sIIB", data, 8)
    if kind != b"IHDR" or length != 13:
        raise ImageFileError("is damaged: the PNG does not begin with its header chunk")
    return Header("PNG", width, height, bits)


# Start-of-frame markers: C0..CF without DHT (C4), JPG (C8) and DAC (CC).
_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


def _jpeg(data: bytes) -> Header:
    at = 2
    while True:
        if data[at] != 0xFF:
            raise ImageFileError("is damaged: a JPEG marker is missing in its header")
        marker = data[at + 1]
        if marker == 0xFF:  # fill bytes may stand before a marker
            at += 1
            continue
        if marker in _JPEG_FRAMES:
            height, width = struct.unpack_from(">HH", data, at + 5)
            return Header("JPEG", width, height)
        if marker in (0xD9, 0xDA):
            raise ImageFileError("is damaged: the JPEG holds no frame header")
        if marker == 0x01 or 0xD0 <= marker <= 0xD8:  # markers without a length
            at += 2
            continue
        at += 2 + struct.unpack_from(">H", data, at + 2)[0]


def _webp(data: bytes) -> Header:
    kind = data[12:16]
    if kind == b"VP8X":
        width = 1 + int.from_bytes(data[24:27], "little")
        height = 1 + int.from_bytes(data[27:30], "little")
    elif kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    elif kind == b"VP8 ":
        width, height = (side & 0x3FFF for side in struct.unpack_from("<HH", data, 26))
    else:
        raise ImageFileError("is damaged: the WebP holds no image chunk")
    if len(data) < 30:
        raise ImageFileError("is cut off within its header")
    return Header("WEBP", width, height)
