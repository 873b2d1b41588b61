"""What becomes a file and what is refused, before anything is decoded and with nothing left behind."""

from __future__ import annotations

import contextlib
import io
import random
import struct
import tracemalloc
import zlib
from collections.abc import Callable, Iterator

import PIL.Image
import pytest

from tests.server.files.pictures import animated, chunk, encoded, png, text_bomb
from weft.graphs.png import embed
from weft.server.files.blobs import DAY, put
from weft.server.files.errors import BadFile, FilesError, NoSuchFile, TooLarge, UnknownKind
from weft.server.files.local import LocalFiles
from weft.server.files.naming import named_in, named_in_text
from weft.server.files.pictures import LIMITS, look
from weft.server.files.upload import FileInfo, Upload, describe, receive

Names = Callable[[], set[str]]


@pytest.mark.parametrize(
    ("format", "mime", "options"),
    [
        ("PNG", "image/png", {}),
        ("PNG", "image/png", {"mode": "RGBA"}),
        ("PNG", "image/png", {"mode": "I;16"}),
        ("JPEG", "image/jpeg", {}),
        ("JPEG", "image/jpeg", {"progressive": True, "mode": "CMYK"}),
        ("WEBP", "image/webp", {}),
        ("WEBP", "image/webp", {"lossless": True}),
        ("WEBP", "image/webp", {"lossless": True, "mode": "RGBA", "exif": b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0"}),
        ("GIF", "image/gif", {}),
    ],
)
def test_pictures_become_files(local: LocalFiles, format: str, mime: str, options: dict[str, object]) -> None:
    data = encoded(format, (37, 21), **options)  # type: ignore[arg-type]
    info = receive(local, [data[:1], data[1:5], data[5:20], data[20:]])
    assert info == FileInfo(info.file, mime, len(data), 37, 21)
    assert describe(local, info.file) == info
    assert info.to_dict() == {"file": info.file, "mime": mime, "bytes": len(data), "width": 37, "height": 21}
    with local.open(info.file) as file:
        assert file.read() == data


def test_animations_count_their_frames(local: LocalFiles) -> None:
    frames = [PIL.Image.new("RGB", (8, 8), (shade, 0, 0)) for shade in range(0, 250, 10)]
    for format in ("GIF", "WEBP", "PNG"):
        target = io.BytesIO()
        frames[0].save(target, format, save_all=True, append_images=frames[1:])
        assert receive(local, [target.getvalue()]).width == 8


def huge_gif() -> bytes:
    frame = b"\x2c" + struct.pack("<HHHHB", 0, 0, 60_000, 60_000, 0) + b"\x02\x01\x00\x00"
    return b"GIF89a" + struct.pack("<HHBBB", 1, 1, 0, 0, 0) + frame + b"\x3b"


def animated_gif(frames: int) -> bytes:
    frame = b"\x2c" + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x01\x00\x00"
    return b"GIF89a" + struct.pack("<HHBBB", 1, 1, 0, 0, 0) + frame * frames + b"\x3b"


def webp(*chunks: tuple[bytes, bytes]) -> bytes:
    body = b"".join(kind + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2) for kind, data in chunks)
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


def canvas(width: int, height: int) -> tuple[bytes, bytes]:
    return b"VP8X", bytes(4) + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")


def jpeg(width: int, height: int) -> bytes:
    return b"\xff\xd8\xff\xc0" + struct.pack(">HBHH", 17, 8, height, width) + bytes(64)


HOSTILE: dict[str, tuple[bytes, type[Exception], str]] = {
    "12k x 12k": (png(12_000, 12_000), BadFile, "12,000 x 12,000 = 144,000,000 pixels; at most 67,108,864"),
    "one line": (png(2**31 - 1, 1), BadFile, "at most 67,108,864"),
    "no width": (png(0, 5), BadFile, "a size of 0 x 5"),
    "APNG of 10^5 frames": (animated(2, stated=100_000), BadFile, "100,000 frames; at most 1,000"),
    "APNG that hides its frames": (animated(30_000, stated=1), BadFile, "more than 20,000 parts"),
    "zTXt bomb": (text_bomb(80_000_000), BadFile, "more than 16,777,216 bytes of text"),
    "many texts": (png(1, 1, *[chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(2**20)))] * 17), BadFile, "bytes of text"),
    "cut PNG": (encoded("PNG")[:-20], BadFile, "PNG is cut off"),
    "PNG with a chunk beyond its end": (png(1, 1)[:40] + b"\x7f\xff\xff\xff", BadFile, "cut off"),
    "PNG without a header": (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IDAT", bytes(20)),
        BadFile,
        "does not begin with its header",
    ),
    "damaged text": (png(1, 1, chunk(b"tEXt", b"a\0b")[:-1] + b"?"), BadFile, "PNG"),
    "huge JPEG": (jpeg(65_000, 65_000), BadFile, "pixels"),
    "JPEG of fill bytes": (b"\xff\xd8" + b"\xff" * 50_000, BadFile, "more than 20,000 parts"),
    "cut JPEG": (b"\xff\xd8\xff\xe0\x00\x10JFIF\0\1\1\0\0\1", BadFile, "cut off"),
    "JPEG without a frame": (b"\xff\xd8\xff\xda" + bytes(40), BadFile, "no frame header"),
    "huge WebP": (webp(canvas(16_000, 16_000), (b"VP8L", bytes(10))), BadFile, "pixels"),
    "WebP of many frames": (webp(canvas(1, 1), *[(b"ANMF", bytes(16))] * 1500), BadFile, "1,500 frames"),
    "WebP of many parts": (webp(canvas(1, 1), *[(b"XXXX", b"")] * 30_000), BadFile, "more than 20,000 parts"),
    "cut WebP": (encoded("WEBP")[:-30], BadFile, "cut off"),
    "WebP of nothing": (webp((b"JUNK", bytes(40))), BadFile, "does not begin with a picture"),
    "huge GIF": (huge_gif(), BadFile, "60,000 x 60,000"),
    "GIF of many frames": (animated_gif(5_000), BadFile, "frames; at most 1,000"),
    "GIF in crumbs": (b"GIF89a" + bytes(7) + b"\x21\xfe" + b"\1x" * 90_000, BadFile, "more blocks"),
    "text": (b"<script>alert(1)</script>", UnknownKind, "no PNG, JPEG, WebP or GIF"),
    "SVG": (b"<svg xmlns='http://www.w3.org/2000/svg' onload='x()'/>", UnknownKind, "those are accepted"),
    "program": (b"\x7fELF" + bytes(100), UnknownKind, "those are accepted"),
    "pickle": (b"\x80\x04\x95" + bytes(50), UnknownKind, "those are accepted"),
    "nothing": (b"", UnknownKind, "is empty"),
    "one byte": (b"\x89", UnknownKind, "those are accepted"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_what_is_hostile_is_refused_cheaply_and_leaves_nothing(local: LocalFiles, names: Names, kind: str) -> None:
    data, error, words = HOSTILE[kind]
    before = names()
    tracemalloc.start()
    with pytest.raises(error, match=words.replace("(", r"\(")):
        receive(local, [data])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < (60 << 20)
    assert names() == before
    assert list(local.list()) == []


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "GIF"])
def test_damaged_pictures_are_told_or_refused_and_nothing_else(format: str) -> None:
    chance = random.Random(5)
    whole = encoded(format, (16, 16))
    for _ in range(500):
        data = bytearray(whole)
        for _ in range(chance.randrange(1, 6)):
            data[chance.randrange(len(data))] = chance.choice((0, 1, 127, 128, 255))
        with contextlib.suppress(FilesError):
            picture = look(io.BytesIO(bytes(data[: chance.randrange(1, len(data) + 1)])), texts=True)
            assert 0 < picture.width * picture.height <= LIMITS.max_pixels
            assert picture.frames <= LIMITS.max_frames


def test_too_much_is_refused_while_it_arrives(local: LocalFiles, names: Names) -> None:
    before, sent = names(), 0

    def endless() -> Iterator[bytes]:
        nonlocal sent
        yield encoded("PNG")[:-12]
        while True:
            sent += 1
            yield bytes(1 << 20)

    with pytest.raises(TooLarge, match="at most 33,554,432 bytes"):
        receive(local, endless())
    assert sent == 32
    assert names() == before


def test_what_is_no_picture_is_refused_with_its_first_bytes(local: LocalFiles) -> None:
    with Upload(local) as upload:
        upload.write(b"PK\3\4")
        with pytest.raises(UnknownKind):
            upload.write(bytes(12))


def test_an_upload_that_breaks_off_leaves_nothing(local: LocalFiles, names: Names) -> None:
    before = names()
    data = encoded("PNG")

    def broken() -> Iterator[bytes]:
        yield data[:50]
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        receive(local, broken())
    with Upload(local) as upload:
        upload.write(data)
    assert names() == before


def test_an_upload_is_reserved_for_a_day(local: LocalFiles, clock: Callable[[], float]) -> None:
    id = receive(local, [encoded("PNG")]).file
    assert not local.remove(id, now=clock() + DAY - 1)
    assert local.remove(id, now=clock() + DAY + 1)


def test_a_picture_with_its_workflow_may_be_uploaded(local: LocalFiles) -> None:
    data = embed(encoded("PNG"), {"weft_workflow": '{"weft": 1, "nodes": {}}' + " " * 3_000_000})
    assert receive(local, [data]).bytes == len(data)


def test_files_that_are_no_pictures_are_told_as_bytes(local: LocalFiles) -> None:
    """What jobs make may be anything; nobody is to show it as what it is not."""
    for data in (b"<html>", b"{}", encoded("PNG")[:-20], png(20_000, 20_000)):
        id = put(local, data)
        assert describe(local, id) == FileInfo(id, "application/octet-stream", len(data))
        assert describe(local, id).to_dict().keys() == {"file", "mime", "bytes"}
    with pytest.raises(NoSuchFile):
        describe(local, "sha256:" + "0" * 64)


def test_what_a_document_names() -> None:
    one, two, three = ("sha256:" + digit * 64 for digit in "123")
    data = {"nodes": {"a": {"inputs": {"path": one, "many": [[two], {three: 1}]}}}, "meta": {"title": "sha256:12"}}
    assert named_in(data) == {one, two, three}
    assert named_in(f"see {one}, {two}") == {one, two}
    assert named_in(None) == named_in(3) == set()
    deep: list[object] = [one]
    for _ in range(100_000):
        deep = [deep]
    assert named_in(deep) == {one}
    hidden = "".join(f"\\u{ord(letter):04x}" for letter in one)
    assert named_in_text(f'{{"path": "{hidden}", broken {two}'.encode()) == {one, two}
