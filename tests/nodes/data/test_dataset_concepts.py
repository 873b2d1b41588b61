"""Several concepts: each picture keeps the number of its own, and data sets are joined in their order."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.nodes.data.conftest import Pictures
from weft.engine import check
from weft.nodes import dataset_concepts, dataset_folder, join_datasets, shapes_dataset
from weft.nodes.training.errors import TrainingError


@pytest.fixture
def folders(tmp_path: Path) -> dict[str, str]:
    found = {}
    for number, name in enumerate(("cat", "dog", "cats", "dogs")):
        one = Pictures(tmp_path / name)
        for k in range(2):
            one.add(f"{k}.png", 10 * number + k)
        found[name] = str(one.folder)
    return found


def problems(**inputs: Any) -> list[str]:
    nodes = {"data": {"type": "dataset_concepts", "inputs": inputs}}
    found = check({"weft": 1, "nodes": nodes}, targets=["data"])
    return [problem.message for problem in found if problem.severity == "error"]


def test_each_concept_has_its_number_and_captions(folders: dict[str, str]) -> None:
    inputs: dict[str, Any] = {
        "folders": [folders["cat"], folders["dog"]],
        "captions": ["photo of a <new1> cat", "photo of a <new2> dog"],
        "class_folders": [folders["cats"], folders["dogs"]],
        "class_captions": ["cat", "dog"],
        "repeats": 2,
    }
    assert problems(**inputs) == []
    data = dataset_concepts(**inputs)
    assert [(item.role, item.concept, item.caption, item.repeats) for item in data.items[::2]] == [
        ("instance", 0, "photo of a <new1> cat", 2),
        ("instance", 1, "photo of a <new2> dog", 2),
        ("class", 0, "cat", 1),
        ("class", 1, "dog", 1),
    ]


def test_lists_of_other_lengths(folders: dict[str, str], tmp_path: Path) -> None:
    both = [folders["cat"], folders["dog"]]
    assert problems(folders=both, captions=["one"]) == ["1 captions are given for 2 folders: give one each"]
    classes: dict[str, Any] = {"class_folders": both[:1], "class_captions": ["x"]}
    assert (
        "1 folders of class pictures are given for 2 concepts"
        in problems(folders=both, captions=["a", "b"], **classes)[0]
    )
    assert (
        "0 captions are given for 2 folders of class pictures"
        in problems(folders=both, captions=["a", "b"], class_folders=both)[0]
    )
    assert problems(folders=[], captions=[]) == ["no concept is given: name a folder of pictures for each"]
    (tmp_path / "empty").mkdir()
    assert "empty has no picture" in problems(folders=[str(tmp_path / "empty")], captions=["a"])[0]


def test_joined_in_their_order_with_numbers_of_their_own(folders: dict[str, str]) -> None:
    cats = dataset_folder(folders["cat"], caption="cat")
    drawn = shapes_dataset(count=3)
    assert [item.concept for item in join_datasets([cats, drawn]).items] == [0] * 5
    joined = join_datasets([cats, drawn, cats], number=True)
    assert [item.concept for item in joined.items] == [0, 0, 1, 1, 1, 2, 2]
    assert joined.items[0].picture == cats.items[0].picture
    with pytest.raises(ValueError, match="at least one"):
        join_datasets([])


def test_what_was_passed_over_is_joined_too(folders: dict[str, str]) -> None:
    (Path(folders["cat"]) / "bad.png").write_text("no picture")
    cats, dogs = dataset_folder(folders["cat"]), dataset_folder(folders["dog"])
    assert join_datasets([dogs, cats]).skipped == cats.skipped
    assert len(cats.skipped) == 1
    data = dataset_concepts([folders["cat"], folders["dog"]], ["a", "b"])
    assert data.skipped == cats.skipped


def test_no_concept_at_all_outside_a_graph() -> None:
    with pytest.raises((TrainingError, ValueError), match="no concept"):
        dataset_concepts([], [])
