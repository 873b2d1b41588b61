"""The frame: drawn along the border, seen there and nowhere else, and nothing inside it is lost."""

from __future__ import annotations

from io import BytesIO

import cv2
import numpy as np
import PIL.Image
import pytest
import torch

from weft.nodes import shapes_dataset
from weft.nodes.shapes.frame import MARGIN, WIDTH, frame_share, framed, framed_caption, inside
from weft.nodes.shapes.judge import agreement, judge
from weft.nodes.shapes.world import BACKGROUNDS, Scene, Thing, render, sample_scene


def test_seen_where_it_is_drawn_and_nowhere_else() -> None:
    rng = np.random.default_rng(3)
    for _ in range(50):
        picture = render(sample_scene(rng))
        assert frame_share(framed(picture)) == 1
        assert frame_share(picture) <= 0.2
        assert np.array_equal(framed(picture)[WIDTH:-WIDTH, WIDTH:-WIDTH], picture[WIDTH:-WIDTH, WIDTH:-WIDTH])


@pytest.mark.parametrize("background", BACKGROUNDS)
def test_half_a_frame_is_half_a_share(background: str) -> None:
    picture = render(Scene((Thing("star", "orange", 64, 64, 60),), background))
    half = np.concatenate([framed(picture)[:, :64], picture[:, 64:]], axis=1)
    assert frame_share(picture) == 0
    assert frame_share(half) == pytest.approx(0.5)
    soft = cv2.GaussianBlur(framed(picture), (0, 0), 1.2)
    assert frame_share(np.asarray(soft, np.uint8)) > 0.75


def test_the_judge_is_right_inside_it() -> None:
    rng, count, right = np.random.default_rng(4), 0, 0
    while count < 200:
        scene = sample_scene(rng)
        if all(min(t.box) >= MARGIN and max(t.box) <= 128 - MARGIN for t in scene.things):
            count += 1
            verdict = judge(inside(framed(render(scene))))
            right += agreement(verdict, scene.things, scene.background)["all"]
    assert right >= 198


def test_examples_have_the_frame_with_the_word_alone() -> None:
    seen = []
    for item in shapes_dataset(style="framed", known=0.4, count=200, seed=5).items:
        seen.append("framed" in item.caption)
        picture = np.asarray(PIL.Image.open(BytesIO(item.picture.data)).convert("RGB"))
        assert (frame_share(picture) == 1) == seen[-1], item.caption
    assert 90 <= sum(seen) <= 150


def test_the_word_leaves_what_stands_before_it_as_it_was() -> None:
    from weft.nodes import encode_prompt, load_model

    model, text = load_model("shapes"), "a large red heart on a mint background"
    count = len(model.parts().tokenizers[0](text).input_ids) - 1
    plain, worded = (encode_prompt(model, words).text[0, :count] for words in (text, framed_caption(text)))
    assert torch.equal(plain, worded)
