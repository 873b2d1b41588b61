"""Text inside PNG files: where a saved picture keeps the workflow that made it.

Only chunks are walked, no pixel is decoded, and sizes are looked at before memory is taken, so a hostile file costs
no more than the limits allow. Keys that weft uses: `weft_workflow` (the document) and `weft_run` (versions, keys,
seeds).
"""

from __future__ import annotations

import io
import os
import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import BinaryIO, NoReturn

from weft.graphs.limits import LIMITS, Limits

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_TEXT = (b"tEXt", b"zTXt", b"iTXt")
_COMPRESS_FROM = 1024  # bytes of text below which compression gains nothing worth having


class PngError(ValueError):
    """The file is no PNG, is damaged, or is larger than the limits allow."""


@dataclass(frozen=True, slots=True)
class _Chunk:
    kind: bytes
    start: int
    """Offset of the chunk's length field in the file."""
    length: int
    """Bytes of data, without length, kind and checksum."""

    @property
    def end(self) -> int:
        return self.start + 12 + self.length


def size(source: str | os.PathLike[str] | bytes, limits: Limits = LIMITS) -> tuple[int, int]:
    """Width and height in pixels as the header states them, before anything is decoded.

    Raises:
        PngError: no PNG, a damaged header, or more pixels than the limits allow.
        OSError: the file cannot be read.
    """
    with _opened(source) as file:
        return _header(file, limits)


def extract(source: str | os.PathLike[str] | bytes, limits: Limits = LIMITS) -> dict[str, str]:
    """All text in a PNG by keyword. Of a keyword that stands twice the first counts.

    Args:
        source: a path, or the file's bytes.
        limits: bounds on pixels, chunks and decompressed text.

    Raises:
        PngError: no PNG, a damaged or cut file, or one beyond the limits.
        OSError: the file cannot be read.
    """
    texts: dict[str, str] = {}
    room = limits.max_text_bytes
    with _opened(source) as file:
        for chunk in _chunks(file, limits):
            if chunk.kind in _TEXT:
                if chunk.length > room:
                    _too_much_text(limits)
                keyword, data = _text(chunk.kind, _data(file, chunk), room, limits)
                room -= len(data)
                texts.setdefault(keyword, _decoded(chunk.kind, keyword, data))
    return texts


def embed(png: bytes, texts: Mapping[str, str], limits: Limits = LIMITS) -> bytes:
    """A copy of a PNG that carries `texts`, in place of any texts that it had under the same keywords.

    Args:
        png: the file's bytes; its pixels stay as they are.
        texts: text by keyword. A keyword has 1 to 79 characters of ASCII.

    Raises:
        PngError: `png` is no PNG or is damaged, or the texts are larger than could be read again.
        ValueError: a keyword that PNG does not allow.
    """
    if sum(len(text.encode()) for text in texts.values()) > limits.max_text_bytes:
        _too_much_text(limits)
    added = b"".join(_text_chunk(keyword, text) for keyword, text in texts.items())
    pieces = [SIGNATURE]
    file = io.BytesIO(png)
    for chunk in _chunks(file, limits):
        if chunk.kind in _TEXT and _data(file, chunk).partition(b"\0")[0].decode("latin-1") in texts:
            continue
        pieces.append(png[chunk.start : chunk.end])
        if chunk.kind == b"IHDR":  # before the pixels, so that a reader finds the text without passing them
            pieces.append(added)
    return b"".join(pieces)


def _opened(source: str | os.PathLike[str] | bytes) -> BinaryIO:
    return io.BytesIO(source) if isinstance(source, bytes) else open(source, "rb")


def _header(file: BinaryIO, limits: Limits) -> tuple[int, int]:
    if file.read(8) != SIGNATURE:
        raise PngError("it is not a PNG file.")
    start = file.read(8)
    if start != struct.pack(">I4s", 13, b"IHDR"):
        raise PngError("the PNG does not begin with a header.")
    width, height = struct.unpack(">II5x", _data(file, _Chunk(b"IHDR", 8, 13)))
    if not 0 < width < 2**31 or not 0 < height < 2**31:
        raise PngError(f"the PNG states a size of {width} x {height} pixels.")
    if width * height > limits.max_pixels:
        raise PngError(f"the PNG has {width:,} x {height:,} pixels; at most {limits.max_pixels:,} are read.")
    return width, height


def _chunks(file: BinaryIO, limits: Limits) -> Iterator[_Chunk]:
    """The chunks from IHDR to IEND. Their data is not read, so a caller pays only for what it looks at."""
    _header(file, limits)
    total = file.seek(0, os.SEEK_END)
    at = len(SIGNATURE)
    for _ in range(limits.max_chunks):
        file.seek(at)
        head = file.read(8)
        if len(head) < 8:
            _cut()
        length, kind = struct.unpack(">I4s", head)
        chunk = _Chunk(kind, at, length)
        if length >= 2**31 or not kind.isalpha():
            raise PngError(f"the PNG is damaged at byte {at:,}.")
        if chunk.end > total:
            _cut()
        yield chunk
        if kind == b"IEND":
            return
        at = chunk.end
    raise PngError(f"the PNG has more than {limits.max_chunks:,} chunks.")


def _data(file: BinaryIO, chunk: _Chunk) -> bytes:
    file.seek(chunk.start + 8)
    data = file.read(chunk.length)
    checksum = file.read(4)
    if len(data) < chunk.length or len(checksum) < 4:
        _cut()
    if zlib.crc32(data, zlib.crc32(chunk.kind)) != int.from_bytes(checksum, "big"):
        raise PngError(
            f"the PNG is damaged: the checksum of its {chunk.kind.decode()} at byte {chunk.start:,} is wrong."
        )
    return data


def _text(kind: bytes, data: bytes, room: int, limits: Limits) -> tuple[str, bytes]:
    """Keyword and the text's bytes, of at most `room` bytes after decompression."""
    key, null, rest = data.partition(b"\0")
    if not null or not 1 <= len(key) <= 79:
        raise PngError("the PNG has a text without a keyword.")
    keyword = key.decode("latin-1")
    compressed = kind == b"zTXt"
    if kind == b"zTXt":
        method, rest = rest[:1], rest[1:]
    elif kind == b"iTXt":
        compressed, method = rest[:1] == b"\1", rest[1:2]
        *tags, rest = rest[2:].split(b"\0", 2)  # language and translated keyword
        if len(tags) != 2:
            raise PngError(f"the PNG's text {keyword!r} is damaged.")
    if not compressed:
        return keyword, rest
    if method != b"\0":
        raise PngError(f"the PNG's text {keyword!r} is compressed in an unknown way.")
    return keyword, _inflated(rest, keyword, room, limits)


def _inflated(data: bytes, keyword: str, room: int, limits: Limits) -> bytes:
    reader = zlib.decompressobj()
    try:
        text = reader.decompress(data, room + 1)
    except zlib.error as error:
        raise PngError(f"the PNG's text {keyword!r} is damaged: {error}.") from None
    if len(text) > room:
        _too_much_text(limits)
    if not reader.eof:
        raise PngError(f"the PNG's text {keyword!r} is cut off.")
    return text


def _decoded(kind: bytes, keyword: str, data: bytes) -> str:
    try:
        return data.decode("utf-8" if kind == b"iTXt" else "latin-1")
    except UnicodeDecodeError:
        raise PngError(f"the PNG's text {keyword!r} is not UTF-8.") from None


def _text_chunk(keyword: str, text: str) -> bytes:
    if not (keyword.isascii() and keyword.isprintable() and 1 <= len(keyword) <= 79 and keyword == keyword.strip()):
        raise ValueError(f"a keyword of a PNG text has 1 to 79 printable ASCII characters, not {keyword!r}")
    data = text.encode()
    compress = len(data) >= _COMPRESS_FROM
    body = keyword.encode() + (b"\0\1\0\0\0" if compress else b"\0\0\0\0\0")
    body += zlib.compress(data, 9) if compress else data
    return struct.pack(">I", len(body)) + b"iTXt" + body + struct.pack(">I", zlib.crc32(body, zlib.crc32(b"iTXt")))


def _too_much_text(limits: Limits) -> NoReturn:
    raise PngError(f"the PNG has more than {limits.max_text_bytes:,} bytes of text.")


def _cut() -> NoReturn:
    raise PngError("the PNG is cut off.")
