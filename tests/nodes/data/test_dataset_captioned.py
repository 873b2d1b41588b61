"""Captions beside pictures and in tables; halves without the other are told all at once."""

from __future__ import annotations

import csv
import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.nodes.data.conftest import Pictures
from weft.engine import check
from weft.nodes import dataset_captioned
from weft.nodes.datasets import tables
from weft.nodes.training.errors import TrainingError
from weft.nodes.training.pictures import colour_of, digest_of
from weft.nodes.values.training import Dataset


def problems(folder: Path | str, **inputs: Any) -> list[str]:
    nodes = {"data": {"type": "dataset_captioned", "inputs": {"folder": str(folder), **inputs}}}
    found = check({"weft": 1, "nodes": nodes}, targets=["data"])
    return [problem.message for problem in found if problem.severity == "error"]


def captions(data: Dataset) -> dict[str, str]:
    return {item.picture.name: item.caption for item in data.items}


def write_csv(pictures: Pictures, rows: list[list[str]], name: str = "metadata.csv") -> None:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    pictures.text(name, text.getvalue())


def write_parquet(path: Path, images: list[Any], texts: list[Any], names: tuple[str, str] = ("image", "text")) -> None:
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    parquet.write_table(arrow.table({names[0]: images, names[1]: texts, "other": [0] * len(texts)}), path)


def test_text_files_beside_the_pictures(pictures: Pictures) -> None:
    pictures.add("a.png")
    pictures.add("b.jpg", 1)
    pictures.add("deep/c.webp", 2)
    pictures.text("a.txt", "\ufeffa red\n  circle \n")
    pictures.text("b.caption", "ein grüner Stern")
    pictures.text("deep/c.txt", "deep")
    assert captions(dataset_captioned(str(pictures.folder))) == {"a.png": "a red circle", "b.jpg": "ein grüner Stern"}
    assert captions(dataset_captioned(str(pictures.folder), recursive=True))["deep/c.webp"] == "deep"


def test_halves_without_the_other_are_told_all_at_once(pictures: Pictures) -> None:
    for number in range(3):
        pictures.add(f"{number}.png", number)
    pictures.text("0.txt", "one")
    pictures.text("lost.txt", "a caption")
    pictures.text("2.txt", "  \n")
    with pytest.raises(TrainingError) as told:
        dataset_captioned(str(pictures.folder))
    assert "3 pictures or captions" in str(told.value)
    for part in ("1.png has no caption", "2.png has no caption", "lost.txt has no picture", "set `missing` to skip"):
        assert part in str(told.value)
    data = dataset_captioned(str(pictures.folder), missing="skip")
    assert captions(data) == {"0.png": "one"}
    assert sorted(data.skipped) == ["1.png has no caption", "2.png has no caption", "lost.txt has no picture"]
    filled = dataset_captioned(str(pictures.folder), missing="skip", caption="a photo")
    assert captions(filled) == {"0.png": "one", "1.png": "a photo", "2.png": "a photo"}


def test_captions_that_cannot_be_read_are_passed_over(pictures: Pictures) -> None:
    for number in range(3):
        pictures.add(f"{number}.png", number)
    pictures.text("0.txt", "one")
    (pictures.folder / "1.txt").write_bytes(b"\xff\xfe\xff")
    pictures.text("2.txt", "x" * 70_000)
    data = dataset_captioned(str(pictures.folder))
    assert list(captions(data)) == ["0.png"]
    assert ["UTF-8" in data.skipped[0], "at most 65,536 bytes" in data.skipped[1]] == [True, True]


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_a_table_as_imagefolder_has_it(pictures: Pictures, kind: str) -> None:
    pictures.add("train/0001.png")
    pictures.add("0002.jpg", 1)
    rows = [("train/0001.png", 'a "quoted", line'), ("0002.jpg", "grün")]
    if kind == "csv":
        write_csv(pictures, [["file_name", "text", "license"], *([name, text, "x"] for name, text in rows)])
    else:
        lines = [json.dumps({"file_name": name, "text": text, "objects": {"id": [1]}}) for name, text in rows]
        pictures.text("metadata.jsonl", "\n".join(lines) + "\n\n")
    assert problems(pictures.folder) == []
    assert captions(dataset_captioned(str(pictures.folder), recursive=True)) == dict(rows)


def test_rows_without_pictures_and_pictures_without_rows(pictures: Pictures) -> None:
    for name in ("a.png", "b.png", "spare.png"):
        pictures.add(name, len(name))
    rows = [["a.png", "one"], ["gone.png", "two"], ["b.png", ""], ["", "three"]]
    write_csv(pictures, [["file_name", "text"], *rows])
    with pytest.raises(TrainingError) as told:
        dataset_captioned(str(pictures.folder))
    for part in (
        "metadata.csv, line 3: there is no file gone.png",
        "b.png has no caption",
        "metadata.csv, line 5 has no file_name",
        "spare.png is not in metadata.csv",
    ):
        assert part in str(told.value)
    data = dataset_captioned(str(pictures.folder), missing="skip")
    assert captions(data) == {"a.png": "one"}
    assert len(data.skipped) == 4


@pytest.mark.parametrize("name", ["../out.png", "/etc/out.png", "C:/out.png", "a/../../out.png"])
def test_a_table_names_nothing_outside_its_folder(pictures: Pictures, name: str) -> None:
    pictures.add("a.png")
    Pictures(pictures.folder.parent).add("out.png", 1)
    write_csv(pictures, [["file_name", "text"], ["a.png", "one"], [name, "two"]])
    data = dataset_captioned(str(pictures.folder))
    assert captions(data) == {"a.png": "one"}
    assert "does not lie in the folder of the table" in data.skipped[0]


def test_columns_are_named_with_the_nearest(pictures: Pictures) -> None:
    pictures.add("a.png")
    write_csv(pictures, [["path", "comment"], ["a.png", "one"]])
    assert "has no column of captions: none is called text, caption, prompt" in problems(pictures.folder)[0]
    assert "did you mean 'comment'?" in problems(pictures.folder, caption_column="coment")[0]
    assert problems(pictures.folder, caption_column="comment") == []
    assert captions(dataset_captioned(str(pictures.folder), caption_column="comment")) == {"a.png": "one"}


def test_a_table_of_another_name_and_two_tables(pictures: Pictures) -> None:
    pictures.add("a.png")
    write_csv(pictures, [["file_name", "text"], ["a.png", "one"]])
    write_csv(pictures, [["image", "prompt"], ["a.png", "two"]], "others.csv")
    assert captions(dataset_captioned(str(pictures.folder), table="others.csv")) == {"a.png": "two"}
    assert "did you mean others.csv?" in problems(pictures.folder, table="other.csv")[0]
    pictures.text("metadata.jsonl", "{}")
    assert "has metadata.csv and metadata.jsonl" in problems(pictures.folder)[0]


def test_damaged_tables(pictures: Pictures, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures.add("a.png")
    pictures.text("one.jsonl", '{"file_name": "a.png", "text": "x"}\n[1]\nnonsense\n')
    with pytest.raises(TrainingError, match=r"line 2 is no object, line 3 is no JSON"):
        dataset_captioned(str(pictures.folder), table="one.jsonl")
    pictures.text("empty.csv", "")
    with pytest.raises(TrainingError, match="first line has to name the columns"):
        dataset_captioned(str(pictures.folder), table="empty.csv")
    write_csv(pictures, [["file_name", "text"], ["a.png", "y" * 20_000]], "long.csv")
    with pytest.raises(TrainingError, match="at most 16,384"):
        dataset_captioned(str(pictures.folder), table="long.csv")
    (pictures.folder / "bytes.csv").write_bytes(b"file_name,text\na.png,\xff\n")
    with pytest.raises(TrainingError, match="is no UTF-8 text"):
        dataset_captioned(str(pictures.folder), table="bytes.csv")
    monkeypatch.setattr(tables, "MAX_TABLE_BYTES", 100)
    with pytest.raises(TrainingError, match="at most 100 are read"):
        dataset_captioned(str(pictures.folder), table="long.csv")
    monkeypatch.setattr(tables, "MAX_PICTURES", 1)
    write_csv(pictures, [["file_name", "text"], ["a.png", "1"], ["a.png", "2"]], "many.csv")
    with pytest.raises(TrainingError, match="more than 1 rows"):
        dataset_captioned(str(pictures.folder), table="many.csv")


def test_parquet_with_pictures_inside_in_several_files(pictures: Pictures, tmp_path: Path) -> None:
    data = [pictures.add(f"{number}.png", number).read_bytes() for number in range(3)]
    folder = tmp_path / "hub"
    folder.mkdir()
    first = [{"bytes": data[0], "path": "0.png"}, {"bytes": data[1], "path": None}]
    write_parquet(folder / "train-00000.parquet", first, ["zero", "one"])
    write_parquet(folder / "train-00001.parquet", [{"bytes": data[2], "path": "2.png"}], ["two"])
    assert problems(folder) == []
    found = dataset_captioned(str(folder))
    assert [item.caption for item in found.items] == ["zero", "one", "two"]
    assert [item.picture.digest for item in found.items] == [digest_of(part) for part in data]
    assert colour_of(found.items[2].picture).shape == (16, 24, 3)
    assert found.items[0].picture.name == "train-00000.parquet, row 1 (0.png)"


def test_parquet_with_names_and_with_what_is_wrong(pictures: Pictures, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures.add("a.png")
    write_parquet(pictures.folder / "names.parquet", ["a.png", "gone.png", None], ["one", "two", "three"])
    with pytest.raises(TrainingError, match=r"row 2: there is no file gone\.png"):
        dataset_captioned(str(pictures.folder))
    assert captions(dataset_captioned(str(pictures.folder), missing="skip")) == {"a.png": "one"}
    write_parquet(pictures.folder / "broken.parquet", [{"bytes": b"no picture", "path": "x"}], ["one"])
    with pytest.raises(TrainingError, match=r"no picture could be used: broken\.parquet, row 1"):
        dataset_captioned(str(pictures.folder), table="broken.parquet")
    pictures.text("fake.parquet", "PAR1 and no more")
    assert "cannot be read as parquet" in problems(pictures.folder, table="fake.parquet")[0]
    monkeypatch.setattr(tables, "MAX_PARQUET_BYTES", 50)
    with pytest.raises(TrainingError, match="bytes unpacked; the limit is 50"):
        dataset_captioned(str(pictures.folder), table="names.parquet")


def test_parquet_without_pyarrow(pictures: Pictures, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures.text("data.parquet", "")
    monkeypatch.setitem(sys.modules, "pyarrow.lib", None)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(TrainingError, match=r"needs the package pyarrow.*or save the table as metadata\.csv"):
        dataset_captioned(str(pictures.folder))
