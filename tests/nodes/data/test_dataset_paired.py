"""Pairs from two folders and from tables: which is the picture, and which belongs to it."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from tests.nodes.data.conftest import Pictures
from weft.engine import check
from weft.engine.filehash import content_hash
from weft.nodes import dataset_paired
from weft.nodes.training.errors import TrainingError
from weft.nodes.training.pictures import digest_of


def problems(folder: Path | str, **inputs: Any) -> list[str]:
    nodes = {"data": {"type": "dataset_paired", "inputs": {"folder": str(folder), **inputs}}}
    found = check({"weft": 1, "nodes": nodes}, targets=["data"])
    return [problem.message for problem in found if problem.severity == "error"]


@pytest.mark.parametrize("within", [False, True])
def test_two_folders_by_the_names_of_the_files(pictures: Pictures, tmp_path: Path, within: bool) -> None:
    hints = Pictures(pictures.folder / "hints" if within else tmp_path / "hints")
    for number, (name, other) in enumerate([("a.png", "a.jpg"), ("sub/b.jpg", "sub/b.png")]):
        pictures.add(name, number)
        hints.add(other, 10 + number)
    pictures.text("a.txt", "one")
    hints.text("sub/b.txt", "two")
    assert problems(pictures.folder, conditions=str(hints.folder), recursive=True) == []
    data = dataset_paired(str(pictures.folder), str(hints.folder), recursive=True)
    assert [(item.picture.name, item.caption) for item in data.items] == [("a.png", "one"), ("sub/b.jpg", "two")]
    for item, name in zip(data.items, ["a.jpg", "sub/b.png"], strict=True):
        assert item.condition is not None
        assert item.condition.digest == content_hash(hints.folder / name)


def test_halves_without_the_other_twins_and_other_shapes(
    pictures: Pictures, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    hints = Pictures(tmp_path / "hints")
    pictures.add("a.png")
    pictures.add("b.png", 1)
    hints.add("a.png", 2, size=(48, 16))
    hints.add("c.png", 3)
    with pytest.raises(TrainingError, match=r"b\.png has no condition of that name, hints/c\.png has no picture"):
        dataset_paired(str(pictures.folder), str(hints.folder))
    with caplog.at_level(logging.WARNING):
        data = dataset_paired(str(pictures.folder), str(hints.folder), missing="skip", caption="one for all")
    assert [item.caption for item in data.items] == ["one for all"]
    assert "a.png (24 x 16 and 48 x 16)" in caplog.text
    hints.add("a.jpg", 4)
    with pytest.raises(TrainingError, match=r"pictures of the same name: a\.jpg and a\.png"):
        dataset_paired(str(pictures.folder), str(hints.folder))
    with pytest.raises(TrainingError, match="in one folder"):
        dataset_paired(str(pictures.folder), str(pictures.folder))


def test_a_bad_condition_passes_over_the_pair(pictures: Pictures, tmp_path: Path) -> None:
    hints = Pictures(tmp_path / "hints")
    for number in range(2):
        pictures.add(f"{number}.png", number)
        hints.add(f"{number}.png", number)
    hints.text("1.png", "no picture")
    data = dataset_paired(str(pictures.folder), str(hints.folder))
    assert [item.picture.name for item in data.items] == ["0.png"]
    assert data.skipped == ("1.png (its condition): the file is no PNG, JPEG or WebP image",)


@pytest.mark.parametrize(
    ("picture", "condition", "caption"),
    [
        ("image", "conditioning_image", "text"),
        ("edited_image", "input_image", "edit_prompt"),
        ("edited_image", "original_image", "edit_prompt"),
        ("target", "source", "prompt"),
        ("edited_image_file_name", "input_image_file_name", "edit_prompt"),
    ],
)
def test_tables_with_the_usual_columns(pictures: Pictures, picture: str, condition: str, caption: str) -> None:
    pictures.add("out/0.png")
    pictures.add("in/0.png", 1)
    row = {condition: "in/0.png", picture: "out/0.png", caption: "make it blue"}
    pictures.text("metadata.jsonl", json.dumps(row))
    assert problems(pictures.folder) == []
    (item,) = dataset_paired(str(pictures.folder)).items
    assert item.condition is not None
    assert (item.picture.name, item.condition.name.split(" ")[0]) == ("out/0.png", "out/0.png")
    assert item.picture.digest == content_hash(pictures.folder / "out/0.png")
    assert item.condition.digest == content_hash(pictures.folder / "in/0.png")
    assert item.caption == "make it blue"


def test_parquet_of_edits_and_columns_by_name(pictures: Pictures) -> None:
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    before, after = (pictures.add(f"{name}.png", k).read_bytes() for k, name in enumerate(("before", "after")))
    columns = {"left": [{"bytes": before, "path": None}], "right": [{"bytes": after, "path": None}], "say": ["red"]}
    parquet.write_table(arrow.table(columns), pictures.folder / "data.parquet")
    assert "has no column of conditions" in problems(pictures.folder)[0]
    names = {"image_column": "right", "condition_column": "left", "caption_column": "say"}
    assert problems(pictures.folder, **names) == []
    (item,) = dataset_paired(str(pictures.folder), **names).items  # type: ignore[arg-type]
    assert item.condition is not None
    assert (item.picture.digest, item.condition.digest) == (digest_of(after), digest_of(before))
    (other,) = dataset_paired(str(pictures.folder), image_column="right", condition_column="left", caption="x").items
    assert other.caption == "x"


def test_neither_a_folder_of_conditions_nor_a_table(pictures: Pictures) -> None:
    pictures.add("a.png")
    assert "name the folder of the second pictures in `conditions`, or a table" in problems(pictures.folder)[0]
