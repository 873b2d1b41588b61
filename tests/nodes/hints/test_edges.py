"""Hints of edges: canny, soft_edge, scribble."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from weft.engine import check
from weft.graphs import Graph
from weft.nodes import canny, load_image, scribble, soft_edge
from weft.nodes.values import Image


def step(left: object = 0.0, right: object = 1.0, size: int = 32) -> Image:
    """Two halves, each a grey or a colour."""
    pixels = torch.zeros(1, size, size, 3)
    pixels[:, :, : size // 2] = torch.as_tensor(left, dtype=torch.float32)
    pixels[:, :, size // 2 :] = torch.as_tensor(right, dtype=torch.float32)
    return Image(pixels)


def scene(seed: int = 0) -> Image:
    from weft.nodes.shapes.world import Scene, Thing, render

    thing = Thing("circle", "red", 40, 64, 50)
    other = Thing("square", "blue", 95, 60, 40)
    return Image(torch.from_numpy(render(Scene((thing, other), "white"))).float()[None] / 255)


def test_canny_is_opencvs() -> None:
    image = scene()
    eight = (image.pixels[0] * 255).round().to(torch.uint8).numpy()
    for low, high in ((100, 200), (30, 60), (700, 1500)):
        expected = cv2.Canny(eight, low, high)
        made = canny(image, low, high).pixels
        assert made.shape == image.pixels.shape
        assert np.array_equal((made[0] * 255).numpy(), np.repeat(expected[..., None], 3, 2))
    assert canny(image).pixels.sum() > 100


def test_canny_sees_colours_of_one_brightness() -> None:
    red, green = (0.6, 0.0, 0.0), (0.0, 0.6 * 0.299 / 0.587, 0.0)
    assert canny(step(red, green)).pixels.sum() > 0


def test_cannys_thresholds_and_blur_act() -> None:
    noisy = Image((scene().pixels + 0.3 * torch.rand(1, 128, 128, 3, generator=torch.manual_seed(0))).clamp(0, 1))
    counts = [int(canny(noisy, low, low * 2).pixels.sum()) for low in (50, 200, 600)]
    assert counts[0] > counts[1] > counts[2]
    assert canny(noisy, blur=3.0).pixels.sum() < canny(noisy).pixels.sum() / 2


def test_cannys_order_of_thresholds_is_checked() -> None:
    with pytest.raises(ValueError, match="above high"):
        canny(step(), 300, 200)
    with Graph() as graph:
        canny(load_image("no.png"), 300.0, 200.0)
    problems = [problem for problem in check(graph) if problem.node == "canny"]
    assert [(problem.code, problem.input) for problem in problems] == [("bad_value", "low")]


@pytest.mark.parametrize("scales", [1, 3])
def test_a_soft_edge_is_as_bright_as_its_contrast(scales: int) -> None:
    for contrast in (0.2, 0.8):
        made = soft_edge(step(0.1, 0.1 + contrast, 64), scales, gain=1.0).pixels[0, :, :, 0]
        assert made.max().item() == pytest.approx(contrast, rel=0.15)
        assert made[:, 31:33].mean() > made[:, 24:26].mean()
        assert made[:, :8].max() < 0.01  # the image's own border is no edge
    assert soft_edge(step(0.5, 0.5)).pixels.max() < 1e-5


def test_scribbles_are_few_and_thick() -> None:
    made = scribble(scene(), width=3).pixels[0, :, :, 0]
    assert set(made.unique().tolist()) == {0, 1}
    count, _ = cv2.connectedComponents(made.numpy().astype(np.uint8))
    assert count == 3  # nothing, the circle, the square
    assert scribble(scene(), width=7).pixels.sum() > 1.5 * made.sum() * 3


def test_scribbles_leave_out_what_is_short_or_faint() -> None:
    dot = step(0.0, 0.0, 64).pixels
    dot[:, 30:33, 30:33] = 1
    assert scribble(Image(dot), shortest=0.0, contrast=0.05).pixels.sum() > 0
    assert scribble(Image(dot), shortest=0.5, contrast=0.05).pixels.sum() == 0
    assert scribble(step(0.4, 0.5), contrast=0.15).pixels.sum() == 0
    assert scribble(step(0.4, 0.6), contrast=0.15).pixels.sum() > 0


def test_a_batch_is_its_images_each() -> None:
    both = Image(torch.cat([scene().pixels, step(size=128).pixels]))
    for make in (canny, soft_edge, scribble):
        made = make(both).pixels
        assert torch.equal(made[1:], make(Image(both.pixels[1:])).pixels)
        assert torch.equal(made[:1], make(Image(both.pixels[:1])).pixels)
