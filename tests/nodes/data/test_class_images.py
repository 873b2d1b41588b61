"""Class images: each prompt and seed is drawn once, alone or in a batch, whatever was asked for before."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from weft.engine import Cancelled, CancelToken, Context, check
from weft.engine.cache.workspaces import Workspaces
from weft.nodes import class_images
from weft.nodes.training.errors import TrainingError
from weft.nodes.training.pictures import colour_of
from weft.nodes.values import Model
from weft.nodes.values.training import Dataset

library = importlib.import_module("weft.nodes.datasets.class_pictures")
pytestmark = pytest.mark.usefixtures("one_thread")


class Runs:
    """What was denoised: the first seed and the number of images of each run. after: called after each."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, int]] = []
        self.after: Any = lambda: None
        self._denoise = library.denoise

    def __call__(self, *args: Any, **options: Any) -> Any:
        self.seen.append((options["seed"], options["batch"]))
        result = self._denoise(*args, **options)
        self.after()
        return result

    def taken(self) -> list[tuple[int, int]]:
        seen, self.seen = self.seen, []
        return seen


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> Runs:
    found = Runs()
    monkeypatch.setattr(library, "denoise", found)
    return found


def make(model: Model, tmp_path: Path, token: CancelToken | None = None, **inputs: Any) -> Dataset:
    options: dict[str, Any] = {"prompt": "a photo of a dog", "count": 3, "steps": 2, **inputs}
    ctx = Context("classes", workspaces=Workspaces(tmp_path / "workspaces", 1 << 30), cancel=token)
    return class_images(model, ctx=ctx, **options)


def test_more_images_make_only_those_that_are_new(model: Model, tmp_path: Path, runs: Runs) -> None:
    few = make(model, tmp_path, count=3, batch=2)
    assert runs.taken() == [(0, 2), (2, 1)]
    more = make(model, tmp_path, count=5, batch=4)
    assert runs.taken() == [(3, 2)]
    assert [item.content() for item in more.items[:3]] == [item.content() for item in few.items]
    assert {(item.role, item.caption) for item in more.items} == {("class", "a photo of a dog")}
    shifted = make(model, tmp_path, count=3, seed=4)
    assert runs.taken() == [(5, 2)]
    assert shifted.items[0].picture.digest == more.items[4].picture.digest


def test_a_batch_equals_single_images_by_their_seeds(model: Model, tmp_path: Path, runs: Runs) -> None:
    together = make(model, tmp_path / "one", count=4, batch=4)
    alone = make(model, tmp_path / "two", count=4, batch=1)
    assert runs.taken() == [(0, 4), (0, 1), (1, 1), (2, 1), (3, 1)]
    for one, other in zip(together.items, alone.items, strict=True):
        assert np.abs(colour_of(one.picture) - colour_of(other.picture)).max() < 1.5 / 255
    assert len({item.picture.digest for item in together.items}) == 4


def test_several_prompts_have_the_same_seeds_and_places_of_their_own(model: Model, tmp_path: Path, runs: Runs) -> None:
    make(model, tmp_path, prompt="a photo of a cat", count=2)
    data = make(model, tmp_path, more_prompts=["a photo of a cat"], count=2)
    assert runs.taken() == [(0, 2), (0, 2)]
    assert [item.caption for item in data.items] == ["a photo of a dog"] * 2 + ["a photo of a cat"] * 2
    assert len({item.picture.digest for item in data.items}) == 4


@pytest.mark.parametrize(
    "other",
    [
        {"steps": 3},
        {"guidance_scale": 2.0},
        {"negative": "a cat"},
        {"scheduler": "euler"},
        {"width": 64, "height": 32},
    ],
)
def test_what_changes_them_makes_others(model: Model, tmp_path: Path, runs: Runs, other: dict[str, Any]) -> None:
    first = make(model, tmp_path, count=1)
    second = make(model, tmp_path, count=1, **other)
    assert len(runs.taken()) == 2
    assert first.items[0].picture.digest != second.items[0].picture.digest
    assert second.items[0].size == (other.get("width", 0), other.get("height", 0))


def test_what_was_made_before_a_cancel_is_kept(model: Model, tmp_path: Path, runs: Runs) -> None:
    token = CancelToken()

    def stop_after_two() -> None:
        if len(runs.seen) == 2:
            token.cancel()

    runs.after = stop_after_two
    with pytest.raises(Cancelled):
        make(model, tmp_path, token, count=4, batch=1)
    made = runs.taken()
    assert make(model, tmp_path, count=4, batch=1).items
    again = runs.taken()
    # The second was cancelled between its denoising and its file.
    assert (made, again) == ([(0, 1), (1, 1)], [(1, 1), (2, 1), (3, 1)])


def test_a_damaged_file_is_made_again(model: Model, tmp_path: Path, runs: Runs) -> None:
    first = make(model, tmp_path, count=2)
    files = sorted((tmp_path / "workspaces").rglob("*.png"))
    assert len(files) == 2
    files[0].write_bytes(files[0].read_bytes()[:-10])
    files[1].write_bytes(b"")
    runs.taken()
    again = make(model, tmp_path, count=2)
    assert runs.taken() == [(0, 2)]
    assert [item.content() for item in again.items] == [item.content() for item in first.items]


def test_a_full_disk_keeps_nothing_and_loses_nothing(
    model: Model, tmp_path: Path, runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(library.os, "replace", full)
    data = make(model, tmp_path, count=2)
    assert len(data.items) == 2
    assert list((tmp_path / "workspaces").rglob("*.png")) == []
    assert len(runs.taken()) == 1


def test_wrong_inputs_are_told_before_the_run(model: Model) -> None:
    def problems(**inputs: Any) -> list[tuple[str, str | None]]:
        nodes = {
            "model": {"type": "load_model", "inputs": {"source": "shapes"}},
            "classes": {"type": "class_images", "inputs": {"model": {"link": "model"}, **inputs}},
        }
        found = check({"weft": 1, "nodes": nodes}, targets=["classes"])
        return [(problem.code, problem.input) for problem in found if problem.severity == "error"]

    assert problems(prompt="a dog") == []
    assert problems(prompt="a dog", more_prompts=["a dog"]) == [("bad_value", "more_prompts")]
    assert problems(prompt="a dog", width=20, height=16) == [("bad_value", "width")]
    assert problems(prompt="a", more_prompts=["b"], count=15_000) == [("bad_value", "count")]
    with pytest.raises((TrainingError, ValueError), match="given twice"):
        class_images(model, "a", more_prompts=["b", "b"])
