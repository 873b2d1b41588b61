"""How values show themselves: pictures in notebooks, short texts, and images as Pillow, numpy and files take them."""

from __future__ import annotations

import errno
import io
import os
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import torch

from weft.nodes.images import saving
from weft.nodes.images.saving import SaveError
from weft.nodes.nets.handles import ControlNet, ImageAdapter
from weft.nodes.values import Conditioning, Image, Latents, Mask, Model, Trajectory
from weft.nodes.values.pixels import SHEET_SIDE


def picture(batch: int = 1, height: int = 6, width: int = 5, seed: int = 0) -> Image:
    return Image(torch.rand(batch, height, width, 3, generator=torch.Generator().manual_seed(seed)))


def opened(png: bytes | None) -> PIL.Image.Image:
    assert png is not None
    return PIL.Image.open(io.BytesIO(png))


def rounded(image: Image, index: int = 0) -> np.ndarray:
    return (image.pixels[index].numpy() * np.float32(255)).round().astype(np.uint8)


def test_a_notebook_shows_one_image_as_it_is() -> None:
    image = picture()
    shown = opened(image._repr_png_())
    assert shown.format == "PNG"
    assert np.array_equal(np.asarray(shown), rounded(image))


def test_a_notebook_shows_a_batch_as_a_grid() -> None:
    image = picture(3)
    sheet = np.asarray(opened(image._repr_png_()))
    assert sheet.shape == (6 * 2 + 4, 5 * 2 + 4, 3)
    assert np.array_equal(sheet[:6, :5], rounded(image, 0))
    assert np.array_equal(sheet[:6, 9:], rounded(image, 1))
    assert np.array_equal(sheet[10:, :5], rounded(image, 2))
    assert (sheet[10:, 9:] == 255).all()


@pytest.mark.parametrize(("batch", "height", "width"), [(1, 30, 5000), (1, 5000, 1), (7, 900, 1100), (3000, 2, 3)])
def test_what_a_notebook_is_shown_is_limited(batch: int, height: int, width: int) -> None:
    shown = opened(Image(torch.zeros(batch, height, width, 3))._repr_png_())
    assert max(shown.size) <= SHEET_SIDE
    assert min(shown.size) >= 1


def test_a_notebook_shows_masks() -> None:
    shown = opened(Mask(torch.tensor([[[0.0, 1.0], [0.5, 0.0]]]))._repr_png_())
    assert np.asarray(shown)[..., 0].tolist() == [[0, 255], [128, 0]]


def test_pixels_that_are_no_numbers_are_shown_as_text() -> None:
    bad = picture(2)
    bad.pixels[1, 0, 0, 0] = float("nan")
    assert bad._repr_png_() is None
    assert Image(torch.zeros(0, 4, 4, 3))._repr_png_() is None
    with pytest.raises(ValueError, match="image 1 of the batch hold NaN"):
        bad.pil(1)
    assert bad.pil(0).size == (5, 6)


def test_pil_gives_one_image() -> None:
    image = picture(3)
    assert picture().pil().mode == "RGB"
    for index in range(3):
        assert np.array_equal(np.asarray(image.pil(index)), rounded(image, index))
        assert np.array_equal(np.asarray(image.pils()[index]), rounded(image, index))
    assert np.array_equal(np.asarray(image.pil(-1)), rounded(image, 2))
    with pytest.raises(ValueError, match="3 images: give an index from 0 to 2"):
        image.pil()
    with pytest.raises(ValueError, match="none to take"):
        Image(torch.zeros(0, 4, 4, 3)).pil()
    for index in (3, -4):
        with pytest.raises(IndexError, match=f"no image {index}"):
            image.pil(index)


def test_numpy_gives_a_copy() -> None:
    image = picture(2)
    before = image.pixels.clone()
    array = image.numpy()
    assert array.dtype == np.float32
    assert np.array_equal(array, before.numpy())
    array[:] = 0
    assert torch.equal(image.pixels, before)


@pytest.mark.parametrize(
    ("name", "kind"), [("a.png", "PNG"), ("a.JPG", "JPEG"), ("a.jpeg", "JPEG"), ("b.c.webp", "WEBP")]
)
def test_the_suffix_says_the_format(tmp_path: Path, name: str, kind: str) -> None:
    image = Image(torch.full((1, 8, 8, 3), 0.25))
    assert image.save(str(tmp_path / name)) == tmp_path / name
    with PIL.Image.open(tmp_path / name) as saved:
        assert saved.format == kind
        assert np.abs(np.asarray(saved).astype(int) - 64).max() <= 2
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_quality_is_heeded(tmp_path: Path) -> None:
    image = picture(1, 64, 64)
    for suffix in ("jpg", "webp"):
        low, high = (image.save(tmp_path / f"{quality}.{suffix}", quality=quality) for quality in (10, 95))
        assert low.stat().st_size < high.stat().st_size
    exact = image.save(tmp_path / "exact.webp", quality=100)
    with PIL.Image.open(exact) as saved:
        assert np.array_equal(np.asarray(saved), rounded(image))
    for quality in (0, 101):
        with pytest.raises(ValueError, match=f"quality must be 1 to 100, not {quality}"):
            image.save(tmp_path / "no.jpg", quality=quality)
    assert not (tmp_path / "no.jpg").exists()


def test_what_cannot_be_saved_is_said_and_leaves_nothing(tmp_path: Path) -> None:
    for name, message in (("a.jpgg", r"did you mean \.jpe?g"), ("a", r"use \.png, \.jpg"), ("a.tiff", "suffix")):
        with pytest.raises(ValueError, match=message):
            picture().save(tmp_path / name)
    with pytest.raises(ValueError, match="give an index"):
        picture(2).save(tmp_path / "a.png")
    with pytest.raises(ValueError, match=r"webp files hold at most 16,383 pixels a side, not 16,384 x 1: save as png"):
        Image(torch.zeros(1, 1, 16_384, 3)).save(tmp_path / "a.webp")
    with pytest.raises(SaveError, match="cannot save"):
        picture().save(tmp_path / "missing" / "a.png")
    assert list(tmp_path.iterdir()) == []
    image = picture(2)
    image.save(tmp_path / "a.png", 1)
    with PIL.Image.open(tmp_path / "a.png") as saved:
        assert np.array_equal(np.asarray(saved), rounded(image, 1))


@pytest.mark.parametrize("where", ["fsync", "replace"])
def test_a_save_that_fails_keeps_the_file_that_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    path = picture().save(tmp_path / "a.png")
    before = path.read_bytes()

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(saving.os, where, full)
    with pytest.raises(SaveError, match="no room to save"):
        picture(seed=1).save(path)
    monkeypatch.undo()
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["a.png"]
    assert picture(seed=1).save(path).read_bytes() != before


MODEL = Model(
    "shapes", "a/folder", "f" * 64, "sd1", "epsilon", scheduler={str(number): [0.5] * 100 for number in range(30)}
)

BIG = {
    "latents": Latents(torch.rand(4, 4, 64, 64)),
    "image": picture(4, 512, 512),
    "mask": Mask(torch.rand(4, 512, 512)),
    "trajectory": Trajectory("ddim", (1,), (1.5,) * 50, (0.5,) * 51, (torch.rand(1, 4, 64, 64),) * 51),
    "conditioning": Conditioning(
        torch.rand(1, 77, 768), prompt="a cat " * 50, tokens=("cat",) * 77, spans=(("cat", 1, 2),) * 75
    ),
    "model": MODEL,
    "controlnet": ControlNet("c" * 300, "b" * 300, "f" * 64, "sd1"),
    "ip_adapter": ImageAdapter("a", "b", "f" * 64, "sd1", "e", "g" * 64, 16, 768),
}


@pytest.mark.parametrize("name", BIG)
def test_big_values_print_on_a_line(name: str) -> None:
    text = repr(BIG[name])
    assert "\n" not in text
    assert len(text) < 450
    assert text.startswith(f"{type(BIG[name]).__name__}(")
    assert len(repr([BIG[name]] * 3)) < 1400


def test_a_short_text_says_what_matters() -> None:
    assert repr(BIG["latents"]) == "Latents(samples=<4 x 4 x 64 x 64, float32>)"
    assert repr(Image(torch.zeros(1, 2, 3, 3, dtype=torch.float16))) == "Image(pixels=<1 x 2 x 3 x 3, float16>)"
    text = repr(BIG["conditioning"])
    assert "text=<1 x 77 x 768, float32>" in text
    assert "(300 characters)" in text
    assert "... 77 in all" in text
    assert "pooled" not in text
    assert "source='shapes'" in repr(MODEL)
    assert "scheduler={30 entries}" in repr(MODEL)
