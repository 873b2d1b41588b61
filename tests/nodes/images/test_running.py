"""Image nodes through the engine: what is cached, what is written again, and what a saved file can do."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from tests.nodes.images.pictures import encoded, huge_png, random_rgb
from weft.engine import Cache, RunFailed, WorkflowError, check, run
from weft.graphs import Graph, Workflow
from weft.nodes import (
    add_integers,
    image_grid,
    integer,
    invert_mask,
    load_image,
    load_mask,
    mask_to_image,
    resize,
    save_image,
)


def picture(path: Path, seed: int = 0) -> Path:
    path.write_bytes(encoded(PIL.Image.fromarray(random_rgb(6, 8, seed)), "PNG"))
    return path


def halves(path: Path, name: str = "small") -> Workflow:
    with Graph() as graph:
        save_image(resize(load_image(str(path)), width=4), name)
    return graph.workflow()


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


def test_a_file_becomes_a_file(tmp_path: Path, cache: Cache) -> None:
    result = run(halves(picture(tmp_path / "in.png")), cache=cache, out=tmp_path / "out")
    saved = tmp_path / "out" / "small.png"
    assert [str(item.ref) for item in result.outputs] == [str(saved)]
    assert PIL.Image.open(saved).size == (4, 3)


def test_a_second_run_does_nothing_until_something_changed(tmp_path: Path, cache: Cache) -> None:
    source, out = picture(tmp_path / "in.png"), tmp_path / "out"
    saved = out / "small.png"
    assert run(halves(source), cache=cache, out=out).ran == 3
    assert run(halves(source), cache=cache, out=out).ran == 0

    os.utime(source, (1, 1))  # touched, not changed
    assert run(halves(source), cache=cache, out=out).ran == 0

    before = saved.read_bytes()
    saved.unlink()
    assert run(halves(source), cache=cache, out=out).ran == 1  # from the cached image
    assert saved.read_bytes() == before

    picture(source, seed=1)
    assert run(halves(source), cache=cache, out=out).ran == 3
    assert saved.read_bytes() == before
    assert (out / "small_2.png").exists()


def test_a_spoilt_file_is_kept_and_the_image_saved_beside_it(tmp_path: Path, cache: Cache) -> None:
    source, out = picture(tmp_path / "in.png"), tmp_path / "out"
    run(halves(source), cache=cache, out=out)
    (out / "small.png").write_bytes(b"edited by hand")
    result = run(halves(source), cache=cache, out=out)
    assert result.ran == 1
    assert [Path(str(item.ref)).name for item in result.outputs] == ["small_2.png"]
    assert (out / "small.png").read_bytes() == b"edited by hand"


def test_without_a_cache_the_same_image_is_not_saved_twice(tmp_path: Path) -> None:
    source, out = picture(tmp_path / "in.png"), tmp_path / "out"
    for _ in range(2):
        run(halves(source), cache=Cache.none(), out=out)
    assert os.listdir(out) == ["small.png"]


def test_a_saved_image_runs_again(tmp_path: Path, cache: Cache) -> None:
    workflow = halves(picture(tmp_path / "in.png"))
    run(workflow, cache=cache, out=tmp_path / "out")
    again = Workflow.load(tmp_path / "out" / "small.png")
    assert again.to_dict() == workflow.to_dict()
    run(again, cache=Cache.none(), out=tmp_path / "other")
    first, second = (PIL.Image.open(tmp_path / folder / "small.png") for folder in ("out", "other"))
    assert first.tobytes() == second.tobytes()


def test_problems_are_found_before_anything_runs(tmp_path: Path) -> None:
    with Graph() as graph:
        image = load_image(str(tmp_path / "gone.png"), background="blau").named("load")
        sized = resize(image).named("size")  # type: ignore[attr-defined]
        save_image(sized, "../up").named("save")  # type: ignore[attr-defined]
    problems = {(problem.node, problem.input, problem.code) for problem in check(graph)}
    assert {
        ("load", "path", "bad_value"),
        ("size", "width", "bad_value"),
        ("save", "name", "bad_value"),
    } <= problems
    picture(tmp_path / "gone.png")
    assert ("load", "background", "bad_value") in {(p.node, p.input, p.code) for p in check(graph)}
    with pytest.raises(WorkflowError):
        run(graph, cache=Cache.none(), out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_huge_picture_fails_its_node_and_the_next_run_works(tmp_path: Path, cache: Cache) -> None:
    source = tmp_path / "in.png"
    source.write_bytes(huge_png(20_000, 20_000))
    with pytest.raises(RunFailed) as caught:
        run(halves(source), cache=cache, out=tmp_path / "out")
    assert caught.value.error.node == "load_image"
    assert "20,000 x 20,000 = 400,000,000 pixels; the limit is 67,108,864" in caught.value.error.message
    assert not (tmp_path / "out").exists()
    run(halves(picture(source)), cache=cache, out=tmp_path / "out")
    assert (tmp_path / "out" / "small.png").exists()


def test_masks_and_numbers_through_a_graph(tmp_path: Path, cache: Cache) -> None:
    source = picture(tmp_path / "in.png")
    with Graph() as graph:
        size = add_integers(integer(3), 1)
        mask = mask_to_image(invert_mask(load_mask(str(source), "red")))
        sheet = image_grid([resize(load_image(str(source)), size, size), resize(mask, size, size)], gap=1)
    pixels = run(graph, targets=[sheet], cache=cache, out=tmp_path / "out")[sheet].pixels
    assert pixels.shape == (1, 4, 9, 3)
    np.testing.assert_allclose(pixels[0, :, 5:, 0], 1 - pixels[0, :, :4, 0], atol=0.35)  # lanczos is clamped
