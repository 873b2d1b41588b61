"""The EXIF comment of JPEG and WebP files: ours, and those of other programs, whatever is wrong with them."""

from __future__ import annotations

import contextlib
import io
import random
import struct
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.graphs.test_metadata import A1111
from weft.graphs import Workflow, WorkflowError
from weft.graphs.exif import COMMENT, JPEG_ROOM, ExifError, extract, packed
from weft.graphs.limits import LIMITS
from weft.graphs.metadata import from_picture
from weft.graphs.pictures import picture_kind

TEXTS = {
    "weft_workflow": '{"weft": 1, "nodes": {"a": {"type": "text", "inputs": {"value": "grün ☂ 💧"}}}}',
    "weft_run": "{}",
}


def picture(format: str, exif: bytes = b"") -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (9, 5), "navy").save(file, format, exif=exif)
    return file.getvalue()


def tiff(comment: bytes, order: str = ">", kind: int = 7, place: int = 44) -> bytes:
    """EXIF data as other programs write them: the first table, the one that it names, the comment."""
    mark = b"MM" if order == ">" else b"II"
    head = struct.pack(f"{order}2sHI", mark, 42, 8)
    first = struct.pack(f"{order}HHHIII", 1, 0x8769, 4, 1, 26, 0)
    second = struct.pack(f"{order}HHHIII", 1, 0x9286, kind, len(comment), place, 0)
    return b"Exif\0\0" + head + first + second + comment


@pytest.mark.parametrize("format", ["JPEG", "WEBP"])
def test_texts_come_back(format: str, tmp_path: Path) -> None:
    data = picture(format, packed(TEXTS))
    assert extract(data) == TEXTS
    (tmp_path / "a.bin").write_bytes(data)
    assert extract(tmp_path / "a.bin") == TEXTS
    with Image.open(io.BytesIO(data)) as image:
        comment = image.getexif().get_ifd(0x8769)[0x9286]
    assert b"weft_workflow" in (comment if isinstance(comment, bytes) else comment.encode()), "Pillow reads it, too"
    assert extract(picture(format)) == {}


@given(st.dictionaries(st.sampled_from(["weft_workflow", "weft_run"]), st.text(max_size=50), min_size=1))
@settings(max_examples=50, deadline=None)
def test_any_text_comes_back(texts: dict[str, str]) -> None:
    assert extract(picture("JPEG", packed(texts))) == texts


@pytest.mark.parametrize("format", ["JPEG", "WEBP"])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    "written",
    [
        b"UNICODE\0" + A1111.encode("utf-16-be"),
        b"UNICODE\0" + A1111.encode("utf-16-le"),
        b"UNICODE\0" + A1111.encode("utf-16"),
        b"UNICODE\0" + ("星 " * 400 + "\n" + A1111).encode("utf-16-be"),
        b"ASCII\0\0\0" + A1111.encode(),
        bytes(8) + A1111.encode() + b"\0",
        A1111.encode(),
    ],
)
def test_parameters_of_a1111(format: str, order: str, written: bytes, tmp_path: Path) -> None:
    path = tmp_path / "theirs.bin"
    path.write_bytes(picture(format, tiff(written, order)))
    text = extract(path)["parameters"]
    assert text.endswith(A1111)
    found = from_picture(path)
    assert found.program == "AUTOMATIC1111"
    assert found.workflow.nodes["denoise"].inputs["seed"] == 1234567890
    with pytest.raises(
        WorkflowError, match=r"metadata of AUTOMATIC1111: `weft import .*theirs\.bin -o workflow\.json`"
    ):
        Workflow.load(path)


def test_a_comment_of_a_camera_is_no_parameters(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(picture("JPEG", tiff(b"ASCII\0\0\0A day at the sea")))
    assert extract(path) == {COMMENT: "A day at the sea"}
    with pytest.raises(WorkflowError, match="no metadata that are understood"):
        from_picture(path)
    with pytest.raises(WorkflowError, match="a picture of the kind JPEG, which carries no workflow"):
        Workflow.load(path)


@pytest.mark.parametrize("format", ["JPEG", "WEBP"])
def test_a_workflow_of_ours_loads_and_is_not_imported(format: str, tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(picture(format, packed(TEXTS)))
    assert Workflow.load(path).nodes["a"].inputs == {"value": "grün ☂ 💧"}
    with pytest.raises(WorkflowError, match="was saved by weft and carries its workflow"):
        from_picture(path)


def test_what_only_looks_like_ours_is_a_comment() -> None:
    for text in ('{"weft_workflow": 1}', '{"weft_workflow": ' + "[" * 100_000, '{"weft_'):
        assert extract(picture("WEBP", tiff(b"ASCII\0\0\0" + text.encode()))) == {COMMENT: text}


def test_other_pictures_and_no_pictures(tmp_path: Path) -> None:
    path = tmp_path / "a.gif"
    path.write_bytes(picture("GIF"))
    with pytest.raises(WorkflowError, match="of the kind GIF; metadata are read from PNG, JPEG and WebP files"):
        from_picture(path)
    path.write_bytes(b"hello")
    with pytest.raises(WorkflowError, match="is no picture"):
        from_picture(path)
    assert extract(b"") == extract(b"hello") == {}
    assert picture_kind(b"\x89PNG\r\n\x1a\n") == "PNG"


def test_fill_bytes_and_other_segments_are_passed() -> None:
    data = picture("JPEG")
    exif = packed(TEXTS)
    other = b"\xff\xe1" + struct.pack(">H", 40) + b"http://ns.adobe.com/xap/1.0/\0".ljust(38, b" ")
    segment = b"\xff\xff\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif
    assert extract(data[:2] + other + b"\xff\x01" + segment + data[2:]) == TEXTS
    pixels = data.index(b"\xff\xda")
    assert extract(data[:pixels] + data[pixels : pixels + 20] + segment + data[pixels + 20 :]) == {}, (
        "nothing of pixels"
    )


@pytest.mark.parametrize(
    ("exif", "words"),
    [
        (b"Exif\0\0", "no head"),
        (b"Exif\0\0XX\0*\0\0\0\x08", "no head"),
        (b"Exif\0\0MM\0*\xff\xff\xff\xff", "a table lies outside"),
        (b"Exif\0\0MM\0*\0\0\0\x08\xff\xff" + bytes(24), "a table lies outside"),
        (tiff(b"ASCII\0\0\0abc", place=1 << 31), "the comment lies outside"),
        (tiff(b"ASCII\0\0\0abc")[:-1], "the comment lies outside"),
        (tiff(b"")[:30], "a table lies outside"),
    ],
)
def test_damaged_data_are_said(exif: bytes, words: str, tmp_path: Path) -> None:
    head = b"RIFF" + struct.pack("<I", 0) + b"WEBP"
    path = tmp_path / "a.webp"
    path.write_bytes(head + b"EXIF" + struct.pack("<I", len(exif)) + exif)
    with pytest.raises(ExifError, match=words):
        extract(path)
    for read in (Workflow.load, from_picture):
        with pytest.raises(WorkflowError, match=words):
            read(path)


def test_tables_that_name_each_other_end() -> None:
    """The second table is the first one: it has no comment, and nothing goes on from there."""
    loop = struct.pack(">2sHIHHHIII", b"MM", 42, 8, 1, 0x8769, 4, 1, 8, 0)
    assert extract(picture("WEBP", b"Exif\0\0" + loop)) == {}


def test_limits_hold() -> None:
    data = picture("WEBP", packed(TEXTS))
    with pytest.raises(ExifError, match="bytes of EXIF data; at most 100 are read"):
        extract(data, replace(LIMITS, max_text_bytes=100))
    claims = b"RIFF\0\0\0\0WEBPEXIF\xff\xff\xff\xff"
    with pytest.raises(ExifError, match=r"4,294,967,295 bytes of EXIF data"):
        extract(claims)
    many = b"RIFF\0\0\0\0WEBP" + b"JUNK\0\0\0\0" * 50 + data[12:]
    assert extract(many, replace(LIMITS, max_chunks=20)) == {}
    assert extract(many) == TEXTS


def test_what_jpeg_has_room_for() -> None:
    rest = JPEG_ROOM - len(packed({"weft_run": ""}))
    exif = packed({"weft_run": "x" * rest})
    assert len(exif) == JPEG_ROOM
    assert extract(picture("JPEG", exif)) == {"weft_run": "x" * rest}


@pytest.mark.parametrize("format", ["JPEG", "WEBP"])
def test_every_cut_ends_in_an_answer(format: str) -> None:
    data = picture(format, packed(TEXTS))
    for end in range(len(data)):
        try:
            assert extract(data[:end]) in ({}, TEXTS)
        except ExifError:
            assert b"Exif" in data[:end] or b"EXIF" in data[:end]


@pytest.mark.parametrize("format", ["JPEG", "WEBP"])
def test_every_changed_byte_ends_in_an_answer(format: str) -> None:
    data = bytearray(picture(format, tiff(b"UNICODE\0" + "Steps: 2, a: b, c: d".encode("utf-16-le"), "<")))
    rng = random.Random(5)
    for place in range(len(data)):
        for value in (0, 255, rng.randrange(256)):
            before, data[place] = data[place], value
            with contextlib.suppress(ExifError):
                assert all(isinstance(text, str) for text in extract(bytes(data)).values())
            data[place] = before


@given(st.binary(max_size=300))
@settings(max_examples=300, deadline=None)
def test_any_bytes_end_in_an_answer(data: bytes) -> None:
    webp = b"RIFF\0\0\0\0WEBPEXIF" + struct.pack("<I", len(data)) + data
    for made in (data, webp, b"\xff\xd8" + data, b"\xff\xd8\xff\xe1\1\0Exif\0\0" + data):
        with contextlib.suppress(ExifError):
            assert all(isinstance(text, str) for text in extract(made).values())
