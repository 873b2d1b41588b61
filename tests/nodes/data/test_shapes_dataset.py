"""Pictures of the bundled model's world as a data set: what is asked for is drawn, and a seed gives the same ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from weft.engine import Cache, check, run
from weft.nodes import shapes_dataset
from weft.nodes.data.shapes_dataset import BACKGROUNDS, COLOURS
from weft.nodes.images.reading import decode_picture
from weft.nodes.shapes.frame import frame_share
from weft.nodes.shapes.judge import judge
from weft.nodes.shapes.world import BACKGROUNDS as WORLD_BACKGROUNDS
from weft.nodes.shapes.world import COLORS
from weft.nodes.training.pictures import colour_of
from weft.nodes.values.training import Item, Picture


def pixels(picture: Picture | None) -> np.ndarray:
    assert picture is not None
    return np.round(colour_of(picture) * 255).astype(np.uint8)


def document(**inputs: Any) -> dict[str, Any]:
    return {"weft": 1, "nodes": {"data": {"type": "shapes_dataset", "inputs": inputs}}}


def test_the_names_are_those_of_the_world() -> None:
    assert tuple(COLORS) == COLOURS
    assert tuple(WORLD_BACKGROUNDS) == BACKGROUNDS


def test_a_larger_count_adds_and_a_seed_decides() -> None:
    few, many, other = shapes_dataset(count=3), shapes_dataset(count=5), shapes_dataset(count=3, seed=1)
    assert [item.content() for item in many.items[:3]] == [item.content() for item in few.items]
    assert len({item.picture.digest for item in (*many.items, *other.items)}) == 8


def test_a_word_stands_for_a_shape_that_is_in_every_picture() -> None:
    data = shapes_dataset(show="heart", word="sks shape", count=12, beside=0.5)
    captions = [item.caption for item in data.items]
    assert all("sks shape" in caption and "heart" not in caption for caption in captions)
    assert any(" and " in caption or " of " in caption for caption in captions)
    assert {item.role for item in data.items} == {"instance"}


def test_a_known_shape_is_beside_others_only() -> None:
    data = shapes_dataset(show="circle", word="zorb", count=20, beside=1.0)
    assert all("circle" not in item.caption and item.caption.count("zorb") == 1 for item in data.items)


@pytest.mark.parametrize(("share", "expected"), [(0.0, 0), (0.25, 3), (0.4, 4), (1.0, 12)])
def test_a_share_of_known_scenes_keeps_its_role(share: float, expected: int) -> None:
    data = shapes_dataset(show="house", count=12, known=share, known_role="class", caption="a photo of sks")
    assert len(data.of("class")) == expected
    assert len(data.of("instance")) == 12 - expected
    assert all("house" not in item.caption and item.caption != "a photo of sks" for item in data.of("class"))
    assert {item.caption for item in data.of("instance")} <= {"a photo of sks"}


def test_framed_pictures_have_the_frame_and_known_ones_have_not() -> None:
    data = shapes_dataset(style="framed", count=6, known=0.5, known_role="class")
    assert all(frame_share(pixels(item.picture)) > 0.95 for item in data.of("instance"))
    assert all(frame_share(pixels(item.picture)) < 0.5 for item in data.of("class"))
    assert all(item.caption.endswith(", framed") for item in data.of("instance"))
    assert not any("framed" in item.caption for item in data.of("class"))


def test_colours_and_backgrounds_are_those_allowed() -> None:
    data = shapes_dataset(colours=["red", "blue"], backgrounds=["white"], count=8)
    for item in data.items:
        shown = pixels(item.picture)
        assert {thing.color for thing in judge(shown).things} <= {"red", "blue"}
        assert abs(shown[0, 0].astype(int) - 250).max() <= 2


def test_edges_are_what_canny_draws() -> None:
    from weft.nodes.hints.edges import canny

    for item in shapes_dataset(pairs="edges", count=3).items:
        drawn = canny(pixels(item.picture).astype(np.float32) / np.float32(255), 100.0, 200.0, 0.0)
        assert np.array_equal(pixels(item.condition)[..., 0], (drawn * 255).astype(np.uint8))


def test_regions_and_depth_show_where_things_are() -> None:
    for pairs in ("regions", "depth"):
        for item in shapes_dataset(pairs=pairs, count=4, masks=True).items:  # type: ignore[arg-type]
            hint, mask = pixels(item.condition).astype(int), pixels(item.mask)[..., 0]
            away = np.abs(hint - hint[0, 0]).max(axis=2) > 12
            assert away[mask == 255].mean() > 0.9
            assert away[mask == 0].mean() < 0.1


def test_an_edit_changes_what_the_instruction_says() -> None:
    data = shapes_dataset(pairs="edit", count=8, colours=["red", "blue"], backgrounds=["white", "black"])
    for item in data.items:
        assert item.caption.startswith("make ")
        assert item.condition is not None
        assert item.condition.digest != item.picture.digest
        before, after = pixels(item.condition), pixels(item.picture)
        assert (after[0, 0] != before[0, 0]).any() == ("background" in item.caption)
    framed = shapes_dataset(pairs="edit", style="framed", count=4)
    for item in framed.items:
        assert item.caption == "add a frame"
        assert frame_share(pixels(item.picture)) > 0.95 > frame_share(pixels(item.condition))


def test_vague_captions_leave_things_out() -> None:
    captions = [item.caption for item in shapes_dataset(pairs="edges", vague=True, count=40).items]
    assert any(caption == "" for caption in captions)
    assert any("shape" in caption for caption in captions)


def test_each_input_changes_the_pictures_or_their_captions() -> None:
    def content(**inputs: Any) -> list[Any]:
        return [item.content() for item in shapes_dataset(count=12, **inputs).items]

    changes: list[dict[str, Any]] = [
        {},
        {"show": "dome"},
        {"show": "dome", "word": "thing"},
        {"show": "dome", "beside": 1.0},
        {"style": "framed"},
        {"pairs": "depth"},
        {"colours": ["red"]},
        {"backgrounds": ["mint"]},
        {"show": "dome", "known": 0.5},
        {"show": "dome", "known": 0.5, "known_role": "class"},
        {"vague": True},
        {"caption": "one"},
        {"masks": True},
        {"seed": 5},
    ]
    made = [content(**inputs) for inputs in changes]
    assert all(made[k] != made[n] for k in range(len(made)) for n in range(k))


def test_wrong_names_are_told_before_the_run_with_the_nearest() -> None:
    found = check(document(colours=["rad"], backgrounds=["navi"]), targets=["data"])
    told = {(problem.code, problem.input, problem.suggestion) for problem in found if problem.severity == "error"}
    assert told == {("not_a_choice", "colours", "red"), ("not_a_choice", "backgrounds", "navy")}
    with pytest.raises(ValueError, match=r"(?s)'rad' is no colour.*'navi' is no background"):
        shapes_dataset(colours=["rad"], backgrounds=["navi"])
    found = check(document(pairs="edit", show="heart"), targets=["data"])
    assert [(problem.code, problem.input) for problem in found if problem.severity == "error"] == [("conflict", "show")]
    with pytest.raises(ValueError, match="known shapes"):
        shapes_dataset(pairs="edit", show="heart")


def test_it_comes_out_of_the_cache_as_it_went_in(tmp_path: Path) -> None:
    first = run(document(count=2, pairs="edit", masks=True), targets=["data"], cache=Cache(tmp_path))
    again = run(document(count=2, pairs="edit", masks=True), targets=["data"], cache=Cache(tmp_path))
    assert (first.ran, again.ran) == (1, 0)
    items: list[list[Item]] = [list(result["data"].items) for result in (first, again)]
    assert [item.content() for item in items[0]] == [item.content() for item in items[1]]
    assert decode_picture(items[1][0].picture.data, "it").colour.shape == (128, 128, 3)
