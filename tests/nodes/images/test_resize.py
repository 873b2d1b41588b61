"""resize, resize_mask, crop, pad, image_grid."""

from __future__ import annotations

import numpy as np
import PIL.Image
import PIL.ImageOps
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.nodes.images.pictures import random_rgb
from weft.nodes import crop, image_grid, pad, resize, resize_mask
from weft.nodes.images.headers import ImageFileError
from weft.nodes.images.scaling import target
from weft.nodes.values import Image, Mask

ROUNDING = 1.2
"""Levels of 8 bits: Pillow rounds after each of two passes, and sharp filters amplify the first rounding."""

METHODS = ["lanczos", "bicubic", "bilinear", "nearest"]


def image(height: int, width: int, batch: int = 1) -> Image:
    frames = [random_rgb(height, width, seed) for seed in range(batch)]
    return Image(torch.from_numpy(np.stack(frames)).float() / 255)


def flat(pixels: torch.Tensor) -> torch.Tensor:
    """Little contrast, whole levels: Pillow clips what overshoots 8 bits between its two passes, we do not."""
    return (pixels * 64 + 96).round() / 255


def flat_picture(height: int, width: int) -> PIL.Image.Image:
    return PIL.Image.fromarray((flat(image(height, width).pixels)[0] * 255).round().byte().numpy())


def plain(colour: tuple[float, float, float], height: int = 4, width: int = 4, batch: int = 1) -> Image:
    return Image(torch.tensor(colour).repeat(batch, height, width, 1))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("size", [(31, 17), (7, 5), (20, 20)])
def test_exact_equals_pillow_to_its_rounding(method: str, size: tuple[int, int]) -> None:
    resized = resize(Image(flat(image(12, 16).pixels)), *size, method=method)  # type: ignore[arg-type]
    expected = flat_picture(12, 16).resize(size, PIL.Image.Resampling[method.upper()])
    assert resized.pixels.shape == (1, size[1], size[0], 3)
    assert np.abs(resized.pixels[0].numpy() * 255 - np.asarray(expected)).max() <= ROUNDING


@pytest.mark.parametrize("method", METHODS)
def test_results_stay_in_range(method: str) -> None:
    edges = Image((image(8, 8).pixels > 0.5).float())
    for side in (3, 29):
        pixels = resize(edges, side, side, method=method).pixels  # type: ignore[arg-type]
        assert 0 <= float(pixels.min()) <= float(pixels.max()) <= 1


def test_a_batch_is_resized_image_by_image() -> None:
    batch = image(6, 9, batch=3)
    whole = resize(batch, 5, 4).pixels
    for k in range(3):
        assert torch.equal(whole[k : k + 1], resize(Image(batch.pixels[k : k + 1]), 5, 4).pixels)


def test_the_same_size_changes_nothing() -> None:
    source = image(6, 9)
    assert torch.equal(resize(source, 9, 6).pixels, source.pixels)


def test_fit_keeps_the_shape_within_the_size() -> None:
    assert resize(image(50, 100), 40, 40, "fit").pixels.shape == (1, 20, 40, 3)
    assert resize(image(100, 50), 40, 40, "fit").pixels.shape == (1, 40, 20, 3)
    assert resize(image(10, 10), 40, 60, "fit").pixels.shape == (1, 40, 40, 3)


def test_fill_covers_the_size_and_keeps_the_middle() -> None:
    filled = resize(Image(flat(image(30, 60).pixels)), 20, 20, "fill", "bicubic")
    expected = PIL.ImageOps.fit(flat_picture(30, 60), (20, 20), PIL.Image.Resampling.BICUBIC)
    assert np.abs(filled.pixels[0].numpy() * 255 - np.asarray(expected)).max() <= ROUNDING


def test_a_side_of_zero_follows_from_the_other() -> None:
    assert resize(image(50, 100), width=20).pixels.shape == (1, 10, 20, 3)
    assert resize(image(50, 100), height=20).pixels.shape == (1, 20, 40, 3)
    with pytest.raises(ValueError, match="give a width, a height or both"):
        resize(image(5, 5))


def test_too_large_a_result_is_refused() -> None:
    with pytest.raises(ImageFileError, match=r"16,384 x 16,384 = 268,435,456 pixels; the limit is 67,108,864"):
        resize(image(2, 2), 16384, 16384)
    with pytest.raises(ImageFileError, match="pixels; the limit is"):
        resize(image(1000, 1), width=16384)


@settings(max_examples=60, deadline=None)
@given(*[st.integers(1, 300)] * 4, st.sampled_from(["exact", "fit", "fill"]))
def test_any_target_lies_within_source_and_size(w: int, h: int, width: int, height: int, mode: str) -> None:
    got_width, got_height, (left, top, right, bottom) = target((w, h), width, height, mode)  # type: ignore[arg-type]
    assert 0 <= left < right <= w
    assert 0 <= top < bottom <= h
    if mode == "fit":
        assert 1 <= got_width <= width
        assert 1 <= got_height <= height
        assert got_width == width or got_height == height
    else:
        assert (got_width, got_height) == (width, height)
    if mode == "fill":  # the shape is kept
        assert (right - left) * height == pytest.approx((bottom - top) * width)


def test_masks_resize_soft_and_hard() -> None:
    mask = Mask(torch.tensor([[[0.0, 1.0]]]))
    assert resize_mask(mask, 4, 1, method="nearest").pixels[0, 0].tolist() == [0, 0, 1, 1]
    soft = resize_mask(mask, 4, 1).pixels[0, 0].tolist()
    assert soft == pytest.approx([0, 0.25, 0.75, 1])
    assert resize_mask(Mask(torch.eye(8)[None]), width=4).pixels.shape == (1, 4, 4)


def test_crop() -> None:
    source = image(10, 12)
    assert torch.equal(crop(source, 3, 2, 4, 5).pixels, source.pixels[:, 2:7, 3:7])
    assert crop(source, left=3, top=2).pixels.shape == (1, 8, 9, 3)
    for box in ((10, 0, 3, 3), (0, 9, 3, 2), (12, 0, 0, 0), (0, 0, 13, 1)):
        with pytest.raises(ValueError, match="does not lie within an image of 12 x 10"):
            crop(source, *box)


def test_pad() -> None:
    source = image(3, 4)
    padded = pad(source, 1, 2, 3, 4, colour="#ff0000").pixels
    assert padded.shape == (1, 9, 8, 3)
    assert torch.equal(padded[:, 2:5, 1:5], source.pixels)
    assert padded[0, 0, 0].tolist() == [1, 0, 0]
    edge = pad(source, left=2, mode="edge").pixels
    assert torch.equal(edge[:, :, 0], source.pixels[:, :, 0])
    mirror = pad(source, left=2, mode="mirror").pixels
    assert torch.equal(mirror[:, :, 0], source.pixels[:, :, 1])
    assert torch.equal(mirror[:, :, 1], source.pixels[:, :, 0])
    with pytest.raises(ImageFileError, match="the limit is"):
        pad(source, left=16384, top=16384)


def test_a_grid_is_about_square_and_in_reading_order() -> None:
    colours = [(k / 10, 0.0, 0.0) for k in range(5)]
    sheet = image_grid([plain(colour) for colour in colours], background="#00ff00").pixels
    assert sheet.shape == (1, 8, 12, 3)
    cells = [sheet[0, 4 * row + 1, 4 * column + 1, 0].item() for row in range(2) for column in range(3)]
    assert cells == pytest.approx([0, 0.1, 0.2, 0.3, 0.4, 0])
    assert sheet[0, 5, 9].tolist() == [0, 1, 0]


def test_a_grid_with_gap_columns_batches_and_sizes() -> None:
    sheet = image_grid([plain((0, 0, 0), 4, 4, batch=2), plain((0, 0, 1), 2, 6)], columns=1, gap=2).pixels
    assert sheet.shape == (1, 3 * 4 + 2 * 2, 6, 3)
    assert sheet[0, 0, 0].tolist() == [1, 1, 1]  # a smaller image stands in the middle of its cell
    assert sheet[0, 0, 1].tolist() == [0, 0, 0]
    assert sheet[0, 4, 3].tolist() == [1, 1, 1]  # gap
    assert sheet[0, 13, 0].tolist() == [0, 0, 1]
    assert image_grid([plain((0, 0, 0))], columns=7).pixels.shape == (1, 4, 4, 3)  # no empty columns


def test_a_grid_of_nothing_or_too_much() -> None:
    with pytest.raises(ValueError, match="at least one image"):
        image_grid([])
    large = Image(torch.zeros(1).expand(100, 1000, 1000, 3))
    with pytest.raises(ImageFileError, match=r"a grid of 10 x 10 images would have 10,000 x 10,000"):
        image_grid([large])
    with pytest.raises(ValueError, match="no colour"):
        image_grid([plain((0, 0, 0))], background="blau")
