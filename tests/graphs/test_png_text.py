"""Text in PNG files: kept whole, and no way in for a hostile file."""

from __future__ import annotations

import io
import struct
import tracemalloc
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weft.graphs import Limits
from weft.graphs.png import SIGNATURE, PngError, embed, extract, size


def chunk(kind: bytes, data: bytes = b"", checksum: int | None = None) -> bytes:
    checksum = zlib.crc32(kind + data) if checksum is None else checksum
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)


def png(*chunks: bytes, width: int = 1, height: int = 1) -> bytes:
    """A grey picture with further chunks before its pixels."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"".join([SIGNATURE, header, *chunks, chunk(b"IDAT", zlib.compress(b"\0\0")), chunk(b"IEND")])


PNG = png()


def refused(data: bytes, says: str, limits: Limits | None = None) -> None:
    with pytest.raises(PngError, match=says):
        extract(data, limits or Limits())


@given(st.dictionaries(st.from_regex(r"[A-Za-z_]{1,79}", fullmatch=True), st.text(max_size=2000), max_size=3))
def test_texts_come_back(texts: dict[str, str]) -> None:
    assert extract(embed(PNG, texts)) == texts


def test_a_long_text_is_kept_small_and_comes_back(tmp_path: Path) -> None:
    texts = {"weft_workflow": '{"é": "\U0001f600"}' * 50_000, "weft_run": "{}"}
    path = tmp_path / "x.png"
    path.write_bytes(embed(PNG, texts))
    assert path.stat().st_size < 20_000
    assert extract(path) == texts


def test_pillow_reads_what_we_write_and_we_what_pillow_writes() -> None:
    from PIL import Image, PngImagePlugin

    info = PngImagePlugin.PngInfo()
    info.add_text("plain", "caf\xe9")
    info.add_text("packed", "text " * 100, zip=True)
    info.add_itxt("wide", "\u4e2d\u6587", zip=True)
    out = io.BytesIO()
    Image.new("RGB", (2, 3), "red").save(out, "PNG", pnginfo=info)
    theirs = {"plain": "caf\xe9", "packed": "text " * 100, "wide": "\u4e2d\u6587"}
    assert extract(out.getvalue()) == theirs
    ours = embed(out.getvalue(), {"weft_workflow": "é" * 3000})
    with Image.open(io.BytesIO(ours)) as image:
        image.load()
        assert image.text == theirs | {"weft_workflow": "é" * 3000}
        assert image.getpixel((1, 2)) == (255, 0, 0)
    assert size(ours) == (2, 3)


def test_embedding_replaces_and_keeps() -> None:
    once = embed(png(chunk(b"tEXt", b"weft_run\0old"), chunk(b"tEXt", b"other\0kept")), {"weft_run": "new"})
    assert extract(once) == {"weft_run": "new", "other": "kept"}
    assert embed(once, {"weft_run": "new"}) == once


def test_keywords_are_those_of_png() -> None:
    for keyword in ("", "a" * 80, "é", " a", "a\0b"):
        with pytest.raises(ValueError, match="79 printable"):
            embed(PNG, {keyword: "x"})


def test_damaged_files_are_refused() -> None:
    refused(b"", "not a PNG")
    refused(b"\xff\xd8\xff" + PNG, "not a PNG")
    refused(SIGNATURE, "does not begin")
    refused(SIGNATURE + chunk(b"IEND"), "does not begin")
    refused(PNG[:20], "cut off")
    refused(PNG[:-12], "cut off")
    refused(PNG[:-1], "cut off")
    refused(png(chunk(b"tEXt", b"a\0b", checksum=1)), "checksum")
    refused(SIGNATURE + chunk(b"IHDR", bytes(13), checksum=0), "checksum")
    refused(png(width=0), "0 x 1")
    refused(png(chunk(b"te\0t", b"")), "damaged at byte")
    refused(png(chunk(b"tEXt", b"no keyword")), "without a keyword")
    refused(png(chunk(b"tEXt", b"k" * 80 + b"\0x")), "without a keyword")
    refused(png(chunk(b"zTXt", b"k\0\0not zlib")), "is damaged")
    refused(png(chunk(b"zTXt", b"k\0\0" + zlib.compress(b"x" * 999)[:-8])), "cut off")
    refused(png(chunk(b"zTXt", b"k\0\1abc")), "unknown way")
    refused(png(chunk(b"iTXt", b"k\0\0\0en")), "is damaged")
    refused(png(chunk(b"iTXt", b"k\0\0\0\0\0\xff")), "not UTF-8")
    # A length that runs over the end, up to the largest that can be written.
    for length in (100, 2**31 - 1):
        refused(PNG[:33] + struct.pack(">I4s", length, b"tEXt") + b"abc", "cut off")
    refused(PNG[:33] + struct.pack(">I4s", 2**32 - 1, b"tEXt") + b"abc", "damaged")


def test_every_cut_and_every_changed_byte_ends_in_an_answer() -> None:
    whole = embed(PNG, {"weft_workflow": "x" * 2000})
    for at in range(len(whole)):
        with pytest.raises(PngError):
            extract(whole[:at])
        changed = whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1 :]
        try:
            texts = extract(changed)
        except PngError:
            continue
        assert texts in ({"weft_workflow": "x" * 2000}, {})  # a checksum of pixels, or a chunk's name


def test_too_many_pixels_are_refused_by_the_header_alone() -> None:
    refused(png(width=20_000, height=20_000), "20,000 x 20,000 pixels")
    with pytest.raises(PngError, match="pixels"):
        size(png(width=2**31 - 1, height=2**31 - 1))
    assert size(png(width=4096, height=4096)) == (4096, 4096)


def test_a_text_that_unpacks_to_256_megabytes_takes_no_memory() -> None:
    packer = zlib.compressobj(9)
    bomb = b"".join([packer.compress(bytes(2**20)) for _ in range(256)] + [packer.flush()])
    hostile = png(chunk(b"zTXt", b"weft_workflow\0\0" + bomb))
    tracemalloc.start()
    try:
        refused(hostile, "bytes of text")
        assert tracemalloc.get_traced_memory()[1] < 64 * 2**20
    finally:
        tracemalloc.stop()


def test_limits_hold_for_all_texts_together_and_for_chunks() -> None:
    limits = Limits(max_text_bytes=1000, max_chunks=20)
    half = chunk(b"tEXt", b"k\0" + b"x" * 600)
    assert len(extract(png(half), limits)["k"]) == 600
    refused(png(half, half), "1,000 bytes of text", limits)
    refused(png(*[chunk(b"tIME")] * 30), "more than 20 chunks", limits)
    with pytest.raises(PngError, match="bytes of text"):
        embed(PNG, {"k": "é" * 501}, limits)


def test_pixels_are_not_read(tmp_path: Path) -> None:
    path = tmp_path / "large.png"
    with open(path, "wb") as file:
        file.write(PNG[:33] + chunk(b"tEXt", b"k\0v") + struct.pack(">I4s", 2**30, b"IDAT"))
        file.seek(2**30 + 4, 1)
        file.write(chunk(b"IEND"))
    tracemalloc.start()
    try:
        assert extract(path) == {"k": "v"}
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()
