"""Masks: shapes, combinations, growing, feathering, and compositing with them."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from weft.nodes import (
    combine_masks,
    composite,
    ellipse_mask,
    feather_mask,
    grow_mask,
    image_to_mask,
    invert_mask,
    mask_to_image,
    rectangle_mask,
    threshold_mask,
)
from weft.nodes.images.headers import ImageFileError
from weft.nodes.values import Image, Mask


def row(*values: float) -> Mask:
    return Mask(torch.tensor([[list(values)]]))


def rounded(mask: Mask) -> list[float]:
    return [round(float(value), 5) for value in mask.pixels.flatten()]


def test_a_rectangle_covers_its_pixels() -> None:
    mask = rectangle_mask(5, 4, left=1, top=2, right=4, bottom=3).pixels
    expected = torch.zeros(1, 4, 5)
    expected[0, 2, 1:4] = 1
    assert torch.equal(mask, expected)
    assert torch.equal(rectangle_mask(5, 4, 1, 2, 4, 3, invert=True).pixels, 1 - expected)


def test_zero_reaches_to_the_edge_and_what_sticks_out_is_cut() -> None:
    assert rounded(rectangle_mask(4, 1, left=2)) == [0, 0, 1, 1]
    assert rounded(rectangle_mask(4, 1, left=-5, right=1)) == [1, 0, 0, 0]
    assert rounded(rectangle_mask(4, 1, left=3, right=99)) == [0, 0, 0, 1]
    with pytest.raises(ValueError, match="is empty"):
        rectangle_mask(4, 4, left=4)
    with pytest.raises(ValueError, match="is empty"):
        ellipse_mask(4, 4, top=3, bottom=3)


def test_an_ellipse_has_its_area_and_symmetry() -> None:
    mask = ellipse_mask(60, 40, 10, 5, 50, 35).pixels
    assert float(mask.sum()) == pytest.approx(math.pi * 20 * 15, rel=0.002)
    assert torch.equal(mask, mask.flip(2))
    assert torch.equal(mask, mask.flip(1))
    assert mask[0, 20, 30] == 1
    assert mask[0, 5, 10] == 0
    assert 0 < float(mask[0, 9, 19]) <= 1
    assert ((mask > 0) & (mask < 1)).any()  # a soft rim


def test_an_ellipse_may_stick_out() -> None:
    whole = ellipse_mask(40, 40, 0, 0, 40, 40).pixels
    part = ellipse_mask(20, 40, -20, 0, 20, 40).pixels
    torch.testing.assert_close(part, whole[:, :, 20:], atol=0, rtol=0)


def test_sizes_are_bounded() -> None:
    with pytest.raises(ImageFileError, match="the limit is"):
        ellipse_mask(16384, 16384)
    with pytest.raises(ImageFileError, match="the limit is"):
        rectangle_mask(16384, 16384)


def test_image_to_mask_and_back() -> None:
    image = Image(torch.tensor([[[[1.0, 0.0, 0.0], [0.2, 0.4, 0.6], [1.0, 1.0, 1.0]]]]))
    assert rounded(image_to_mask(image)) == pytest.approx([0.299, 0.0598 + 0.2348 + 0.0684, 1], abs=1e-5)
    assert rounded(image_to_mask(image, "blue")) == pytest.approx([0, 0.6, 1])
    grey = mask_to_image(row(0, 0.25, 1))
    assert grey.pixels.shape == (1, 1, 3, 3)
    assert rounded(image_to_mask(grey)) == pytest.approx([0, 0.25, 1], abs=1e-5)


def test_invert_and_threshold() -> None:
    assert rounded(invert_mask(row(0, 0.25, 1))) == [1, 0.75, 0]
    assert rounded(threshold_mask(row(0, 0.49, 0.5, 1))) == [0, 0, 1, 1]


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("union", [0.2, 1, 0.7]),
        ("intersection", [0, 1, 0.3]),
        ("difference", [0, 0, 0.3]),
        ("product", [0, 1, 0.21]),
        ("exclusive", [0.2, 0, 0.4]),
    ],
)
def test_combining_two(mode: str, expected: list[float]) -> None:
    first, second = row(0, 1, 0.3), row(0.2, 1, 0.7)
    assert rounded(combine_masks([first, second], mode)) == pytest.approx(expected)  # type: ignore[arg-type]


def test_combining_one_many_and_none() -> None:
    assert rounded(combine_masks([row(0, 0.5)])) == [0, 0.5]
    assert rounded(combine_masks([row(1, 1, 1), row(1, 0, 0), row(0, 0, 1)], "difference")) == [0, 1, 0]
    batch = Mask(torch.zeros(3, 1, 2))
    assert combine_masks([row(1, 0), batch]).pixels.shape == (3, 1, 2)
    with pytest.raises(ValueError, match="no mask"):
        combine_masks([])
    with pytest.raises(ValueError, match="differ in size: 2 x 1 and 3 x 1"):
        combine_masks([row(0, 1), row(0, 1, 0)])
    with pytest.raises(ValueError, match="differ in number: 2 and 3"):
        combine_masks([Mask(torch.zeros(2, 1, 2)), batch])


def disc_maximum(plane: np.ndarray, radius: int) -> np.ndarray:
    """The definition, pixel by pixel."""
    height, width = plane.shape
    result = np.empty_like(plane)
    ys, xs = np.mgrid[:height, :width]
    for y in range(height):
        for x in range(width):
            result[y, x] = plane[(ys - y) ** 2 + (xs - x) ** 2 <= radius**2].max()
    return result


@pytest.mark.parametrize("radius", [1, 2, 5, 40])
def test_growing_takes_the_greatest_within_a_disc(radius: int) -> None:
    plane = np.random.default_rng(radius).random((13, 17), dtype=np.float32) ** 8
    grown = grow_mask(Mask(torch.from_numpy(plane)[None]), radius).pixels[0].numpy()
    np.testing.assert_array_equal(grown, disc_maximum(plane, radius))


def test_shrinking_is_growing_the_rest() -> None:
    mask = ellipse_mask(40, 30, 5, 5, 35, 25)
    shrunk = grow_mask(mask, -4)
    torch.testing.assert_close(shrunk.pixels, invert_mask(grow_mask(invert_mask(mask), 4)).pixels)
    assert float(shrunk.pixels.sum()) < float(mask.pixels.sum())
    assert float(grow_mask(rectangle_mask(9, 9), -3).pixels.min()) == 1  # the border is no edge
    assert grow_mask(mask, 0) is mask


def test_feathering_blurs_and_keeps_the_sum() -> None:
    dot = torch.zeros(2, 41, 41)
    dot[0, 20, 20] = 1
    dot[1, 10, 30] = 1
    soft = feather_mask(Mask(dot), 2.0).pixels
    assert soft.shape == dot.shape
    assert soft.sum(dim=(1, 2)).tolist() == pytest.approx([1, 1], abs=1e-3)
    assert float(soft[0, 20, 20]) == pytest.approx(1 / (2 * math.pi * 4), rel=0.02)
    assert float(soft[0, 20, 22] / soft[0, 20, 20]) == pytest.approx(math.exp(-0.5), rel=0.02)
    assert float(feather_mask(rectangle_mask(9, 9), 3.0).pixels.min()) == pytest.approx(1)
    still = row(0, 1)
    assert feather_mask(still, 0.0) is still


def test_values_are_not_changed_in_place() -> None:
    mask = ellipse_mask(12, 12)
    before = mask.pixels.clone()
    grow_mask(mask, 3)
    grow_mask(mask, -3)
    feather_mask(mask, 2.0)
    combine_masks([mask, invert_mask(mask)], "product")
    assert torch.equal(mask.pixels, before)


def test_composite() -> None:
    base, top = Image(torch.zeros(1, 1, 3, 3)), Image(torch.ones(2, 1, 3, 3))
    mixed = composite(base, top, row(0, 0.25, 1)).pixels
    assert mixed.shape == (2, 1, 3, 3)
    assert mixed[1, 0, :, 0].tolist() == [0, 0.25, 1]
    with pytest.raises(ValueError, match="image and mask differ in size"):
        composite(base, base, row(0, 1))
    many = Mask(torch.ones(4, 1, 3))
    assert composite(base, base, many).pixels.shape == (4, 1, 3, 3)
