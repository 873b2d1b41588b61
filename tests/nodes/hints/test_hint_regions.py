"""Flat regions, the rule for depth, columns, and sizes taken from elsewhere."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from weft.engine import check
from weft.graphs import Graph
from weft.nodes import columns_mask, depth, load_image, resize_to, segmentation_palette, zero_columns
from weft.nodes.shapes.world import BACKGROUNDS, COLORS, Scene, Thing, render
from weft.nodes.values import Image, Latents

CIRCLE, STAR = Thing("circle", "red", 28, 64, 40), Thing("star", "cyan", 90, 64, 70)


def scene(background: str = "beige", noise: float = 0.0) -> Image:
    pixels = torch.from_numpy(render(Scene((CIRCLE, STAR), background))).float()[None] / 255
    return Image((pixels + noise * torch.randn(pixels.shape, generator=torch.manual_seed(1))).clamp(0, 1))


def colours(image: Image) -> set[tuple[int, ...]]:
    return {tuple(row) for row in (image.pixels * 255).round().int().reshape(-1, 3).tolist()}


@pytest.mark.parametrize("background", ["beige", "black", "mint"])
def test_regions_have_the_worlds_colours(background: str) -> None:
    made = segmentation_palette(scene(background, 0.05))
    assert colours(made) == {COLORS["red"], COLORS["cyan"], BACKGROUNDS[background]}
    clean = (scene(background).pixels * 255).round()
    same = ((made.pixels * 255).round() == clean).all(dim=3).float().mean()
    assert same > 0.95  # rims are between two colours


def test_an_image_has_its_own_palette() -> None:
    pixels = torch.tensor([[0.9, 0.1, 0.3], [0.2, 0.5, 0.9], [0.3, 0.8, 0.2]]).repeat_interleave(16, 0)
    image = Image(pixels[None, None].repeat(1, 48, 1, 1))
    made = segmentation_palette(image, "own", colours=8)
    assert len(colours(made)) == 3  # eight are asked for, three are there
    assert torch.allclose(made.pixels, image.pixels, atol=0.01)
    assert len(colours(segmentation_palette(image, "own", colours=2))) == 2
    assert torch.equal(made.pixels, segmentation_palette(image, "own", colours=8).pixels)


def test_small_parts_go_to_their_surroundings() -> None:
    pixels = torch.tensor(COLORS["blue"]).float().repeat(1, 64, 64, 1) / 255
    pixels[:, 10:13, 10:13] = torch.tensor(COLORS["red"]).float() / 255
    assert colours(segmentation_palette(Image(pixels), smallest=0.01)) == {COLORS["blue"]}
    assert colours(segmentation_palette(Image(pixels), smallest=0.001)) == {COLORS["blue"], COLORS["red"]}
    # Even where every part is below the share, something has to stay.
    checks = (torch.arange(8)[:, None] + torch.arange(8)) % 2
    assert len(colours(segmentation_palette(Image(checks[None, ..., None].repeat(1, 1, 1, 3).float()), smallest=0.5)))


def test_the_rule_for_depth_puts_large_things_in_front() -> None:
    for background in ("white", "navy"):
        made = depth(scene(background, 0.02), "shapes").pixels[0, :, :, 0]
        backdrop, circle, star = made[5, 5], made[64, 28], made[64, 90]
        assert backdrop == 0
        assert 0.5 < circle < star <= 1
    assert depth(Image(torch.full((1, 32, 32, 3), 0.4)), "shapes").pixels.max() == 0


def test_columns_by_fraction() -> None:
    assert columns_mask(8, 2, 0.25, 0.5).pixels[0].tolist() == [[0, 0, 1, 1, 0, 0, 0, 0]] * 2
    assert columns_mask(8, 1, 0.25, 0.5, invert=True).pixels.flatten().tolist() == [1, 1, 0, 0, 1, 1, 1, 1]
    assert columns_mask(5, 1).pixels.min() == 1
    for width in (7, 64, 65):  # ranges that meet cover each column once
        parts = [columns_mask(width, 1, a, b).pixels for a, b in ((0.0, 0.3), (0.3, 0.5), (0.5, 1.0))]
        assert torch.equal(sum(parts), torch.ones(1, 1, width))
    image = scene()
    left = zero_columns(image, 0.0, 0.5).pixels
    assert left[:, :, :64].max() == 0
    assert torch.equal(left[:, :, 64:], image.pixels[:, :, 64:])
    assert torch.equal(zero_columns(image, 0.0, 0.5, invert=True).pixels + left, image.pixels)


def test_columns_that_end_before_they_begin() -> None:
    with pytest.raises(ValueError, match="end before"):
        columns_mask(8, 8, 0.6, 0.4)
    with Graph() as graph:
        zero_columns(load_image("no.png"), 0.6, 0.4)
        columns_mask(8, 8, 0.2, 0.4)
    problems = [problem for problem in check(graph) if problem.node in ("zero_columns", "columns_mask")]
    assert [(problem.code, problem.node) for problem in problems] == [("bad_value", "zero_columns")]


def test_a_size_is_taken_from_an_image_or_from_latents() -> None:
    wide = Image(torch.rand(2, 10, 40, 3, generator=torch.manual_seed(0)))
    like = Image(torch.zeros(1, 30, 20, 3))
    assert resize_to(wide, like).pixels.shape == (2, 30, 20, 3)
    assert resize_to(wide, Latents(torch.zeros(1, 4, 4, 3))).pixels.shape == (2, 32, 24, 3)
    # fill keeps shapes: of 40 columns the middle 6 2/3 remain; exact keeps all of them
    marked = torch.zeros(1, 10, 40, 3)
    marked[:, :, :10] = 1
    assert resize_to(Image(marked), like, "fill", "nearest").pixels.max() == 0
    assert resize_to(Image(marked), like, "exact", "nearest").pixels[0, 0, :, 0].sum() == 5


def test_both_kinds_may_be_wired() -> None:
    from weft.nodes import load_model, noise

    with Graph() as graph:
        picture = load_image("no.png")
        resize_to(picture, picture)
        resize_to(picture, noise(load_model("shapes")))
    assert [problem for problem in check(graph) if str(problem.node).startswith("resize_to")] == []


def test_hints_are_float32_and_in_range() -> None:
    for made in (segmentation_palette(scene()), depth(scene(), "shapes")):
        assert made.pixels.dtype == torch.float32
        assert made.pixels.shape == (1, 128, 128, 3)
        assert 0 <= made.pixels.min() <= made.pixels.max() <= 1
        assert np.isfinite(made.pixels.numpy()).all()
