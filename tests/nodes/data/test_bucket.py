"""Sizes by shape: each picture gets the nearest, a batch holds one, and class images are there for every one."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from tests.nodes.data.conftest import Pictures
from weft.engine import Context, check
from weft.nodes import bucket, dataset_folder, join_datasets, shapes_dataset
from weft.nodes.datasets.buckets import bucket_sizes, suited
from weft.nodes.training.errors import TrainingError
from weft.nodes.training.material import Material
from weft.nodes.values import Model


def folder_of(pictures: Pictures, *sizes: tuple[int, int], **inputs: Any) -> Any:
    for number, size in enumerate(sizes):
        pictures.add(f"{number}.png", number, size=size)
    return dataset_folder(str(pictures.folder), **inputs)


@pytest.mark.parametrize(("side", "step", "ratio"), [(512, 64, 2.0), (1024, 64, 4.0), (64, 8, 2.0), (128, 32, 16.0)])
def test_sizes_have_the_area_and_the_steps(side: int, step: int, ratio: float) -> None:
    sizes = bucket_sizes(side, step, ratio)
    assert (side, side) in sizes
    assert {(high, wide) for wide, high in sizes} == set(sizes)
    for wide, high in sizes:
        assert wide % step == high % step == 0
        assert 0 < wide * high <= side * side
        assert max(wide, high) <= ratio * min(wide, high)
        # One step more on either side would be above the area, or above the ratio.
        bigger = [(wide + step, high), (wide, high + step)]
        assert all(w * h > side * side or max(w, h) > ratio * min(w, h) for w, h in bigger)


def test_each_picture_has_the_nearest_shape() -> None:
    sizes = bucket_sizes(512, 64, 2.0)
    assert suited((3000, 3000), sizes) == (512, 512)
    assert suited((6000, 4000), sizes) == (640, 384)
    assert suited((4000, 6000), sizes) == (384, 640)
    assert suited((5000, 4000), sizes) == (576, 448)
    assert suited((9000, 100), sizes) == max(sizes, key=lambda size: size[0] / size[1])


def test_pictures_of_several_shapes(pictures: Pictures) -> None:
    import PIL.Image

    data = folder_of(pictures, (200, 200), (300, 150), (150, 300))
    turned = PIL.Image.Exif()
    turned[0x0112] = 8
    pictures.add("3.jpg", 3, size=(300, 150), exif=turned)
    data = dataset_folder(str(pictures.folder), crops=2)
    sizes = [item.size for item in bucket(data, size=128, step=32).items]
    assert sizes == [(128, 128), (160, 96), (96, 160), (96, 160)]
    assert {item.crops for item in bucket(data, size=128, step=32).items} == {2}


@pytest.mark.parametrize("small", ["enlarge", "skip", "refuse"])
def test_pictures_below_their_size(pictures: Pictures, caplog: pytest.LogCaptureFixture, small: Any) -> None:
    data = folder_of(pictures, (200, 200), (60, 60))
    if small == "refuse":
        with pytest.raises(TrainingError, match=r"1\.png: 60 x 60 pixels are fewer than 128 x 128"):
            bucket(data, size=128, step=32, small=small)
        return
    with caplog.at_level(logging.WARNING):
        found = bucket(data, size=128, step=32, small=small)
    assert "1.png: 60 x 60" in caplog.text
    assert len(found.items) == (2 if small == "enlarge" else 1)
    assert len(found.skipped) == (0 if small == "enlarge" else 1)


def test_a_file_that_went_or_changed_is_passed_over(pictures: Pictures) -> None:
    data = folder_of(pictures, (64, 64), (64, 64), (64, 64))
    (pictures.folder / "0.png").unlink()
    pictures.add("1.png", 7, size=(64, 64))
    found = bucket(data, size=64, step=8)
    assert [item.picture.name for item in found.items] == ["2.png"]
    assert "does not exist" in found.skipped[0]
    assert "changed since the data set was made" in found.skipped[1]
    (pictures.folder / "2.png").unlink()
    with pytest.raises(TrainingError, match="no picture is left"):
        bucket(data, size=64, step=8)


def test_every_size_has_class_images(pictures: Pictures, model: Model, tmp_path: Path) -> None:
    """Else a batch of that size could not be made."""
    from weft.nodes.training.draws import Draws
    from weft.nodes.training.recipe import Samples

    few = folder_of(pictures, (64, 64), (96, 48), (48, 96), caption="a cat", repeats=2)
    classes = shapes_dataset(count=2, known=1.0, known_role="class")
    data = bucket(join_datasets([few, classes]), size=64, step=16)
    sizes = {item.size for item in data.of("instance")}
    assert len(sizes) == 3
    assert {item.size for item in data.of("class")} == sizes
    many = bucket(join_datasets([few, shapes_dataset(count=60, known=1.0, known_role="class")]), size=64, step=16)
    assert len(many.of("class")) == 60
    assert all(8 < sum(item.size == size for item in many.of("class")) < 35 for size in sizes)
    material = Material(model, data, Context(out=tmp_path))
    for place, item in enumerate(material.instances):
        samples = Samples(0, (0,), (place,), Draws(0))
        assert [other.size for other in material.class_items(samples, 1)] == [item.size]


def test_wrong_steps_are_told_before_the_run() -> None:
    def problems(**inputs: Any) -> list[tuple[str, str | None]]:
        nodes = {
            "data": {"type": "shapes_dataset", "inputs": {}},
            "bucket": {"type": "bucket", "inputs": {"dataset": {"link": "data"}, **inputs}},
        }
        found = check({"weft": 1, "nodes": nodes}, targets=["bucket"])
        return [(problem.code, problem.input) for problem in found if problem.severity == "error"]

    assert problems() == []
    assert problems(step=60) == [("bad_value", "step")]
    assert problems(size=32) == [("bad_value", "step")]
    assert problems(step=4) == [("out_of_range", "step")]
