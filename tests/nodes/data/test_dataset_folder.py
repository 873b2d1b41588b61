"""All pictures of a folder, and the folders that are none: what is passed over is named, what is wrong is refused."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

import pytest

from tests.nodes.data.conftest import Pictures
from tests.nodes.images.pictures import huge_png
from weft.engine import Cache, Context, InputPathError, check, run
from weft.engine.filehash import content_hash, forget
from weft.nodes import dataset_folder
from weft.nodes.training.errors import TrainingError
from weft.nodes.training.pictures import digest_of


def document(folder: Path | str, **inputs: Any) -> dict[str, Any]:
    return {"weft": 1, "nodes": {"data": {"type": "dataset_folder", "inputs": {"folder": str(folder), **inputs}}}}


def problems(folder: Path | str, **inputs: Any) -> list[tuple[str, str | None, str]]:
    found = check(document(folder, **inputs), targets=["data"])
    return [(problem.code, problem.input, problem.message) for problem in found if problem.severity == "error"]


def test_every_format_with_one_caption(pictures: Pictures) -> None:
    for number, name in enumerate(["b.png", "a.jpg", "c.jpeg", "d.webp", "E.PNG"]):
        pictures.add(name, number)
    pictures.text("notes.md", "no caption")
    pictures.add(".hidden.png", 9)
    data = dataset_folder(str(pictures.folder), caption="a photo of sks dog")
    assert [item.picture.name for item in data.items] == ["E.PNG", "a.jpg", "b.png", "c.jpeg", "d.webp"]
    assert {item.caption for item in data.items} == {"a photo of sks dog"}
    assert data.skipped == ()
    first = data.items[0].picture
    assert first.digest == content_hash(first.path) == digest_of(Path(first.path).read_bytes())


def test_what_each_item_is_told(pictures: Pictures) -> None:
    pictures.add("a.png", size=(64, 48))
    data = dataset_folder(
        str(pictures.folder), role="class", repeats=3, width=16, height=24, crops=2, flip=True, small="refuse"
    )
    (item,) = data.items
    assert (item.role, item.repeats, item.size, item.crops, item.flip) == ("class", 3, (16, 24), 2, True)


def test_folders_within_only_where_asked_for(pictures: Pictures) -> None:
    pictures.add("a.png")
    pictures.add("deep/er/b.png", 1)
    pictures.add(".secret/c.png", 2)
    os.symlink(pictures.folder, pictures.folder / "deep" / "again")
    assert len(dataset_folder(str(pictures.folder)).items) == 1
    names = [item.picture.name for item in dataset_folder(str(pictures.folder), recursive=True).items]
    assert names == ["a.png", "deep/er/b.png"]


def test_masks_beside_pictures_or_in_a_folder(pictures: Pictures) -> None:
    pictures.add("a.png")
    pictures.add("b.png", 1)
    pictures.add("a.mask.png", 2)
    pictures.add("masks/b.png", 3)
    beside = dataset_folder(str(pictures.folder))
    assert [item.mask is not None for item in beside.items] == [True, False]
    apart = dataset_folder(str(pictures.folder), masks=str(pictures.folder / "masks"), recursive=True)
    assert [item.picture.name for item in apart.items] == ["a.png", "b.png"]
    assert apart.items[1].mask is not None
    assert apart.items[1].mask.digest == content_hash(pictures.folder / "masks" / "b.png")


def test_a_bad_picture_among_good_ones_is_named_and_passed_over(
    pictures: Pictures, caplog: pytest.LogCaptureFixture
) -> None:
    pictures.add("good.png")
    (pictures.folder / "cut.png").write_bytes((pictures.folder / "good.png").read_bytes()[:20])
    (pictures.folder / "huge.png").write_bytes(huge_png(60_000, 60_000))
    (pictures.folder / "empty.jpg").write_bytes(b"")
    pictures.text("text.jpg", "I am no picture")
    pictures.text("old.gif", "GIF89a")
    os.mkfifo(pictures.folder / "pipe.png")
    with caplog.at_level(logging.WARNING):
        data = dataset_folder(str(pictures.folder))
    assert [item.picture.name for item in data.items] == ["good.png"]
    told = "\n".join(data.skipped)
    for name, why in {
        "cut.png": "cut off",
        "huge.png": "limit",
        "empty.jpg": "empty",
        "text.jpg": "no PNG, JPEG or WebP",
        "old.gif": "gif files are not read",
        "pipe.png": "no regular file",
    }.items():
        assert any(line.startswith(name) and why in line for line in data.skipped), (name, told)
        assert name in caplog.text
    assert len(data.skipped) == 6


def test_no_pictures_at_all(pictures: Pictures) -> None:
    with pytest.raises(TrainingError, match="has no picture in PNG, JPEG or WebP: there are no files"):
        dataset_folder(str(pictures.folder))
    pictures.text("a.txt", "one")
    pictures.text("b.txt", "two")
    with pytest.raises(TrainingError, match=r"there are 2 of \.txt"):
        dataset_folder(str(pictures.folder))
    pictures.text("broken.png", "no picture")
    with pytest.raises(TrainingError, match=r"no picture could be used: broken\.png"):
        dataset_folder(str(pictures.folder))


def test_it_is_told_before_the_run(pictures: Pictures) -> None:
    assert problems(pictures.folder)[0][:2] == ("bad_value", "folder")
    pictures.add("below/a.png")
    assert "set `recursive`" in problems(pictures.folder)[0][2]
    pictures.add("a.png")
    assert problems(pictures.folder) == []
    for wrong in (pictures.folder.parent / "picture", pictures.folder / "a.png"):
        assert [found[:2] for found in problems(wrong)] == [("bad_value", "folder")]
    assert [found[:2] for found in problems(pictures.folder, width=20, height=16)] == [("bad_value", "width")]
    assert [found[:2] for found in problems(pictures.folder, width=16)] == [("bad_value", "height")]
    assert [found[0] for found in problems(pictures.folder, role="instanse")] == ["not_a_choice"]
    assert [found[:2] for found in problems(pictures.folder, masks=str(pictures.folder / "m"))] == [
        ("bad_value", "masks")
    ]


def test_a_folder_that_comes_by_a_link_is_named_with_the_nearest(pictures: Pictures) -> None:
    from weft.nodes.datasets.files import folder_at

    resolve = Context().resolve_input_path
    with pytest.raises(TrainingError, match=r"there is no folder .*picture; did you mean pictures\?"):
        folder_at(str(pictures.folder.parent / "picture"), resolve)
    with pytest.raises(TrainingError, match="is a file"):
        folder_at(str(pictures.add("a.png")), resolve)
    with pytest.raises(TrainingError, match="no folder is given"):
        folder_at(" ", resolve)


@pytest.mark.parametrize("small", ["enlarge", "skip", "refuse"])
def test_pictures_below_the_size(pictures: Pictures, caplog: pytest.LogCaptureFixture, small: Any) -> None:
    pictures.add("large.png", size=(64, 64))
    pictures.add("little.png", 1, size=(64, 31))
    inputs: dict[str, Any] = {"width": 32, "height": 32, "small": small}
    if small == "refuse":
        with pytest.raises(TrainingError, match=r"1 pictures would have to be enlarged: little\.png: 64 x 31"):
            dataset_folder(str(pictures.folder), **inputs)
        return
    with caplog.at_level(logging.WARNING):
        data = dataset_folder(str(pictures.folder), **inputs)
    assert len(data.items) == (2 if small == "enlarge" else 1)
    assert "little.png: 64 x 31" in caplog.text
    assert "large.png" not in caplog.text
    assert bool(data.skipped) == (small == "skip")


def test_a_turned_photo_is_as_large_as_it_is_shown(pictures: Pictures) -> None:
    import PIL.Image

    turned = PIL.Image.Exif()
    turned[0x0112] = 6
    for name in ("photo.jpg", "photo.png", "photo.webp"):
        pictures.add(name, size=(40, 20), exif=turned)
    with pytest.raises(TrainingError, match="3 pictures would have to be enlarged"):
        dataset_folder(str(pictures.folder), width=40, height=16, small="refuse")
    assert len(dataset_folder(str(pictures.folder), width=16, height=40, small="refuse").items) == 3


def test_nothing_outside_the_roots_is_read(pictures: Pictures, tmp_path: Path) -> None:
    pictures.add("a.png")
    outside = Pictures(tmp_path / "outside")
    os.symlink(outside.add("b.png", 1), pictures.folder / "link.png")
    ctx = Context(roots=[pictures.folder])
    data = dataset_folder(str(pictures.folder), ctx=ctx)
    assert [item.picture.name for item in data.items] == ["a.png"]
    assert "outside" in data.skipped[0]
    with pytest.raises(InputPathError):
        dataset_folder(str(outside.folder), ctx=ctx)
    found = check(document(outside.folder), targets=["data"], roots=[pictures.folder])
    assert {problem.code for problem in found if problem.severity == "error"} == {"path_outside_root"}


def test_a_changed_file_runs_it_again_and_a_touched_one_does_not(pictures: Pictures, tmp_path: Path) -> None:
    path = pictures.add("a.png")
    cache = Cache(tmp_path / "cache")

    def ran() -> int:
        for file in pictures.folder.iterdir():
            forget(file)
        return run(document(pictures.folder), targets=["data"], cache=cache).ran

    assert [ran(), ran()] == [1, 0]
    os.utime(path, (1, 1))
    pictures.text("notes.md", "does not matter")
    assert ran() == 0
    pictures.add("a.png", 1)
    assert ran() == 1
    pictures.add("b.png", 2)
    assert ran() == 1
    (pictures.folder / "b.png").rename(pictures.folder / "c.png")
    assert ran() == 1


def test_a_pipe_in_the_folder_holds_nothing_up(pictures: Pictures, tmp_path: Path) -> None:
    """Its fingerprint would wait for what the pipe gives."""
    pictures.add("a.png")
    os.mkfifo(pictures.folder / "pipe.png")
    result = run(document(pictures.folder), targets=["data"], cache=Cache(tmp_path / "cache"))
    assert [item.picture.name for item in result["data"].items] == ["a.png"]
