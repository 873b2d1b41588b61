"""load_image and load_mask: every kind of file comes out right, every bad one is refused by name."""

from __future__ import annotations

import contextlib
import hashlib
import os
import struct
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import PIL.Image
import PIL.ImageOps
import pytest

from tests.nodes.images.pictures import chunk, encoded, huge_jpeg, huge_png, huge_webp, png, random_rgb
from weft import Graph
from weft.engine import Cache, Context, InputPathError, check, run
from weft.engine.declaring.file_store import VARIABLE, place_of
from weft.nodes import load_image, load_mask
from weft.nodes.images.headers import ImageFileError, read_header
from weft.nodes.images.reading import read_picture

RNG = np.random.default_rng(0)


def written(folder: Path, data: bytes, name: str = "picture.png") -> str:
    path = folder / name
    path.write_bytes(data)
    return str(path)


@pytest.mark.parametrize(("format", "options"), [("PNG", {}), ("WEBP", {"lossless": True})])
def test_lossless_pixels_come_out_as_they_went_in(tmp_path: Path, format: str, options: dict[str, bool]) -> None:
    rgb = random_rgb(5, 7)
    image = load_image(written(tmp_path, encoded(PIL.Image.fromarray(rgb), format, **options)))
    assert image.pixels.shape == (1, 5, 7, 3)
    assert image.pixels.dtype.is_floating_point
    np.testing.assert_allclose(image.pixels[0].numpy(), rgb / 255, atol=1e-7)


def test_jpeg_equals_pillow(tmp_path: Path) -> None:
    data = encoded(PIL.Image.fromarray(random_rgb(9, 11)), "JPEG")
    path = written(tmp_path, data, "picture.jpg")
    np.testing.assert_allclose(load_image(path).pixels[0].numpy() * 255, np.asarray(PIL.Image.open(path)), atol=1e-4)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_sixteen_bits_keep_their_depth(tmp_path: Path, channels: int) -> None:
    samples = RNG.integers(0, 65536, (5, 7, channels))
    picture = read_picture(Path(written(tmp_path, png(samples, bits=16))))
    colour = samples[..., :3] if channels > 2 else np.repeat(samples[..., :1], 3, axis=2)
    np.testing.assert_allclose(picture.colour, colour / 65535, atol=1e-6)
    if channels in (2, 4):
        np.testing.assert_allclose(picture.alpha, samples[..., -1] / 65535, atol=1e-6)
    else:
        assert picture.alpha is None


@pytest.mark.parametrize(("channels", "clear"), [(1, (1000,)), (3, (1000, 2000, 3000))])
def test_sixteen_bits_with_one_transparent_colour(tmp_path: Path, channels: int, clear: tuple[int, ...]) -> None:
    samples = RNG.integers(4000, 65536, (3, 4, channels))
    samples[1, 2] = clear
    marker = chunk(b"tRNS", struct.pack(f">{channels}H", *clear))
    alpha = read_picture(Path(written(tmp_path, png(samples, bits=16, extra=marker)))).alpha
    expected = np.ones((3, 4))
    expected[1, 2] = 0
    np.testing.assert_array_equal(alpha, expected)


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "RGBA", "CMYK"])
def test_other_modes_equal_pillows_conversion(tmp_path: Path, mode: str) -> None:
    source = PIL.Image.fromarray(random_rgb(6, 8)).convert(mode)
    format = "JPEG" if mode == "CMYK" else "PNG"
    path = written(tmp_path, encoded(source, format))
    expected = np.asarray(PIL.Image.open(path).convert("RGB"))
    np.testing.assert_allclose(load_image(path).pixels[0].numpy() * 255, expected, atol=1e-4)


def test_transparency_lets_the_background_through(tmp_path: Path) -> None:
    rgba = np.array([[[255, 0, 0, 255], [255, 0, 0, 51], [255, 0, 0, 0]]], dtype=np.uint8)
    path = written(tmp_path, encoded(PIL.Image.fromarray(rgba), "PNG"))
    white, black, blue = (load_image(path, colour).pixels[0, 0].numpy() for colour in ("white", "black", "#0000ff"))
    np.testing.assert_allclose(white, [[1, 0, 0], [1, 0.8, 0.8], [1, 1, 1]], atol=1e-6)
    np.testing.assert_allclose(black, [[1, 0, 0], [0.2, 0, 0], [0, 0, 0]], atol=1e-6)
    np.testing.assert_allclose(blue, [[1, 0, 0], [0.2, 0, 0.8], [0, 0, 1]], atol=1e-6)


def test_a_transparent_palette_colour_is_transparent(tmp_path: Path) -> None:
    image = PIL.Image.new("P", (3, 1))
    image.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    image.putdata([0, 1, 2])
    path = written(tmp_path, encoded(image, "PNG", transparency=1))
    np.testing.assert_allclose(load_mask(path, "alpha").pixels[0, 0].numpy(), [1, 0, 1])
    np.testing.assert_allclose(load_image(path, "black").pixels[0, 0].numpy(), [[1, 0, 0], [0, 0, 0], [0, 0, 1]])


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP"])
def test_exif_orientation_is_applied(tmp_path: Path, orientation: int, format: str) -> None:
    exif = PIL.Image.Exif()
    exif[0x0112] = orientation
    path = written(tmp_path, encoded(PIL.Image.fromarray(random_rgb(5, 8)), format, exif=exif))
    expected = np.asarray(PIL.ImageOps.exif_transpose(PIL.Image.open(path)).convert("RGB"))
    np.testing.assert_allclose(load_image(path).pixels[0].numpy() * 255, expected, atol=1e-4)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_broken_exif_does_not_matter(tmp_path: Path) -> None:
    data = encoded(PIL.Image.fromarray(random_rgb(4, 4)), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff junk")
    assert load_image(written(tmp_path, data, "picture.jpg")).pixels.shape == (1, 4, 4, 3)


def test_of_an_animation_the_first_frame_is_read(tmp_path: Path) -> None:
    frames = [PIL.Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    data = encoded(frames[0], "WEBP", save_all=True, append_images=frames[1:], lossless=True)
    np.testing.assert_allclose(load_image(written(tmp_path, data)).pixels[0, 0, 0].numpy(), [1, 0, 0], atol=0.02)


@pytest.mark.parametrize(
    ("data", "size"),
    [
        (huge_png(20_000, 20_000), "20,000 x 20,000 = 400,000,000"),
        (huge_png(2**31 - 1, 2**31 - 1), "2,147,483,647 x 2,147,483,647"),
        (huge_jpeg(65_000, 65_000), "65,000 x 65,000 = 4,225,000,000"),
        (huge_webp(16_383, 16_383), "16,383 x 16,383 = 268,402,689"),
    ],
    ids=["png", "png of 2**31", "jpeg", "webp"],
)
def test_too_many_pixels_are_refused_by_the_header(tmp_path: Path, data: bytes, size: str) -> None:
    path = written(tmp_path, data)
    load = load_image.node_type.fn
    tracemalloc.start()
    try:
        with pytest.raises(ImageFileError) as caught:
            load(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert size in str(caught.value)
    assert "67,108,864" in str(caught.value)
    assert peak < 10_000_000  # nothing was decoded


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP"])
def test_a_cut_file_is_refused_at_any_length(tmp_path: Path, format: str) -> None:
    data = encoded(PIL.Image.fromarray(random_rgb(40, 50)), format)
    for length in (0, 3, 8, 11, 12, 20, 29, 40, 100, len(data) // 2, len(data) - 40):
        with pytest.raises(ImageFileError, match=r"picture\.png: the file is (empty|no PNG|cut off|damaged)"):
            load_image(written(tmp_path, data[:length]))


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP"])
def test_damaged_bytes_never_raise_anything_else(tmp_path: Path, format: str) -> None:
    data = encoded(PIL.Image.fromarray(random_rgb(16, 16)), format)
    for at in range(0, min(len(data), 700), 3):
        flipped = bytearray(data)
        flipped[at] ^= 0xFF
        with contextlib.suppress(ImageFileError):  # some flips do no harm
            load_image(written(tmp_path, bytes(flipped)))


def test_a_flipped_checksum_in_sixteen_bits_is_refused(tmp_path: Path) -> None:
    data = bytearray(png(RNG.integers(0, 65536, (9, 9, 3)), bits=16))
    data[60] ^= 1
    with pytest.raises(ImageFileError, match="damaged"):
        load_image(written(tmp_path, bytes(data)))


def test_a_text_bomb_is_not_unpacked(tmp_path: Path) -> None:
    bomb = chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(200_000_000), 9))
    path = written(tmp_path, png(random_rgb(4, 4), extra=bomb))
    tracemalloc.start()
    try:
        read_picture(Path(path))
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()


def test_a_workflow_larger_than_pillow_reads_is_no_obstacle(tmp_path: Path) -> None:
    # Pillow refuses compressed texts above 1 MiB; ours may have 8.
    text = chunk(b"iTXt", b"weft_workflow\0\1\0\0\0" + zlib.compress(b"a" * 3_000_000))
    rgb = random_rgb(4, 4)
    path = written(tmp_path, png(rgb, extra=text))
    np.testing.assert_allclose(load_image(path).pixels[0].numpy(), rgb / 255, atol=1e-7)


def test_other_formats_are_refused_whatever_the_suffix(tmp_path: Path) -> None:
    image = PIL.Image.fromarray(random_rgb(4, 4))
    for format in ("BMP", "GIF", "TIFF"):
        with pytest.raises(ImageFileError, match="no PNG, JPEG or WebP"):
            load_image(written(tmp_path, encoded(image, format)))
    with pytest.raises(ImageFileError, match="no PNG, JPEG or WebP"):
        load_image(written(tmp_path, b"<svg xmlns='http://www.w3.org/2000/svg'/>"))


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ImageFileError, match=r"gone\.png: the file does not exist"):
        load_image(str(tmp_path / "gone.png"))
    with pytest.raises(ImageFileError, match="is a folder"):
        load_image(str(tmp_path))
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(ImageFileError, match="no regular file"):  # and does not wait for a writer
        load_image(str(tmp_path / "pipe.png"))


def test_only_the_open_folders_are_read(tmp_path: Path) -> None:
    inside, outside = tmp_path / "in", tmp_path / "outside"
    inside.mkdir()
    outside.mkdir()
    data = encoded(PIL.Image.fromarray(random_rgb(4, 4)), "PNG")
    written(inside, data)
    written(outside, data)
    (inside / "link.png").symlink_to(outside / "picture.png")
    ctx = Context(roots=[inside])
    assert load_image("picture.png", ctx=ctx).pixels.shape == (1, 4, 4, 3)
    for path in (str(outside / "picture.png"), "../outside/picture.png", "link.png"):
        with pytest.raises(InputPathError):
            load_image(path, ctx=ctx)


def test_the_fingerprint_is_the_content(tmp_path: Path) -> None:
    fingerprint = load_image.node_type.fingerprint
    assert fingerprint is not None
    one = written(tmp_path, png(random_rgb(4, 4)), "one.png")
    same = written(tmp_path, png(random_rgb(4, 4)), "same.png")
    other = written(tmp_path, png(random_rgb(4, 4, seed=1)), "other.png")
    assert fingerprint(path=one) == fingerprint(path=same) != fingerprint(path=other)
    os.utime(one, (1, 1))
    assert fingerprint(path=one) == fingerprint(path=same)
    with pytest.raises(FileNotFoundError):  # the engine then runs the node, which says what is wrong
        fingerprint(path=str(tmp_path / "gone.png"))


def test_masks_from_each_channel(tmp_path: Path) -> None:
    rgba = np.array([[[255, 0, 0, 255], [0, 255, 0, 51], [255, 255, 255, 0]]], dtype=np.uint8)
    path = written(tmp_path, encoded(PIL.Image.fromarray(rgba), "PNG"))

    def row(channel: str, invert: bool = False) -> list[float]:
        mask = load_mask(path, channel, invert)  # type: ignore[arg-type]
        assert mask.pixels.shape == (1, 1, 3)
        return [round(float(value), 4) for value in mask.pixels[0, 0]]

    assert row("luminance") == [0.299, 0.587, 1.0]
    assert row("alpha") == [1.0, 0.2, 0.0]
    assert row("alpha", invert=True) == [0.0, 0.8, 1.0]
    assert row("green") == [0.0, 1.0, 1.0]


def test_a_file_without_transparency_is_opaque(tmp_path: Path) -> None:
    assert float(load_mask(written(tmp_path, png(random_rgb(3, 3))), "alpha").pixels.min()) == 1.0


def test_headers_of_many_encoders() -> None:
    image = PIL.Image.new("RGBA", (300, 200))
    opaque = image.convert("RGB")
    files = [
        encoded(image, "PNG"),
        encoded(opaque, "JPEG"),
        encoded(opaque, "JPEG", progressive=True, icc_profile=bytes(70_000)),
        encoded(opaque, "WEBP"),
        encoded(image, "WEBP"),
        encoded(opaque, "WEBP", lossless=True),
        encoded(image, "WEBP", lossless=True),
    ]
    assert [(header.width, header.height) for header in map(read_header, files)] == [(300, 200)] * len(files)


def test_an_uploaded_file_is_named_by_its_hash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a check and a run too, which know its size without knowing where it lies."""
    data = encoded(PIL.Image.fromarray(random_rgb(5, 7)), "PNG")
    id = "sha256:" + hashlib.sha256(data).hexdigest()
    place_of(tmp_path / "files", id).parent.mkdir(parents=True)
    place_of(tmp_path / "files", id).write_bytes(data)
    with Graph() as graph:
        image, mask = load_image(id), load_mask(id, "red")
    missing = check(graph, targets=["load_image", "load_mask"], roots=[])
    assert {(problem.code, problem.node, problem.input) for problem in missing} == {
        ("bad_value", "load_image", "path"),
        ("bad_value", "load_mask", "path"),
    }
    monkeypatch.setenv(VARIABLE, str(tmp_path / "files"))
    assert check(graph, targets=["load_image", "load_mask"], roots=[]) == []
    result = run(graph, targets=[image, mask], roots=[], cache=Cache())
    np.testing.assert_array_equal(result[image].pixels, load_image(written(tmp_path, data)).pixels)
    assert result[mask].pixels.shape == (1, 5, 7)
