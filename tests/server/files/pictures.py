"""Pictures, sound ones and hostile ones, as bytes."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import PIL.Image

SIGNATURE = b"\x89PNG\r\n\x1a\n"


def chunk(kind: bytes, data: bytes = b"") -> bytes:
    """A part of a PNG."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, *chunks: bytes, pixels: bytes | None = None) -> bytes:
    """A grey PNG; without pixels it has as few as any decoder would notice late."""
    body = pixels if pixels is not None else zlib.compress(bytes(64))
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return SIGNATURE + head + b"".join(chunks) + chunk(b"IDAT", body) + chunk(b"IEND")


def animated(frames: int, stated: int | None = None) -> bytes:
    """An APNG of so many frames of a pixel each."""
    parts = [chunk(b"acTL", struct.pack(">II", frames if stated is None else stated, 0))]
    for number in range(frames):
        parts.append(chunk(b"fcTL", struct.pack(">IIIIIHHBB", number, 1, 1, 0, 0, 1, 1, 0, 0)))
        parts.append(chunk(b"fdAT", struct.pack(">I", number) + b"x"))
    return png(1, 1, *parts)


def text_bomb(count: int) -> bytes:
    """A PNG of some kB whose text takes so many bytes."""
    return png(1, 1, chunk(b"zTXt", b"parameters\0\0" + zlib.compress(bytes(count), 9)))


def encoded(format: str, size: tuple[int, int] = (40, 30), mode: str = "RGB", **options: Any) -> bytes:
    """A picture as Pillow writes it, red at its left and blue elsewhere where it has colours."""
    picture = PIL.Image.new("RGB", size, (0, 0, 255))
    picture.paste((255, 0, 0), (0, 0, size[0] // 2, size[1]))
    target = io.BytesIO()
    picture.convert(mode).save(target, format, **options)
    return target.getvalue()


def decoded(data: bytes) -> PIL.Image.Image:
    """What Pillow reads."""
    picture = PIL.Image.open(io.BytesIO(data))
    picture.load()
    return picture
