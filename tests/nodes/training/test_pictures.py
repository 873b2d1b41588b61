"""Pictures of a data set as pixels: what is read is what the data set was made with, cut and scaled to its size."""

from __future__ import annotations

import dataclasses
import io
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from tests.nodes.training.train_case import picture
from weft.nodes.training.errors import TrainingError
from weft.nodes.training.pictures import View, colour_of, digest_of, size_of, views_of
from weft.nodes.values.training import Item, Picture


def png(pixels: np.ndarray) -> Picture:
    file = io.BytesIO()
    PIL.Image.fromarray(pixels).save(file, "PNG")
    return Picture("it.png", digest_of(file.getvalue()), data=file.getvalue())


def test_what_is_transparent_lies_on_white() -> None:
    pixels = np.zeros((2, 2, 4), np.uint8)
    pixels[0, 0] = (255, 0, 0, 255)
    pixels[0, 1] = (255, 0, 0, 51)
    colour = colour_of(png(pixels))
    assert colour.dtype == np.float32
    assert colour[0, 0].tolist() == [1, 0, 0]
    assert np.allclose(colour[0, 1], [1, 0.8, 0.8])
    assert colour[1, 1].tolist() == [1, 1, 1]


def test_a_file_that_changed_is_not_trained_on(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(picture(1).data)
    own = Picture("a.png", picture(1).digest, path=str(path))
    assert np.array_equal(colour_of(own), colour_of(picture(1)))
    path.write_bytes(picture(2).data)
    with pytest.raises(TrainingError, match=r"a\.png changed since the data set was made: run its node again"):
        colour_of(own)
    path.unlink()
    with pytest.raises(TrainingError, match="does not exist"):
        colour_of(own)


def test_a_view_covers_the_size_and_keeps_the_shape() -> None:
    """A gradient from left to right: the middle is cut out of a wide picture, and nothing is stretched."""
    wide = np.repeat(np.linspace(0, 1, 64, dtype=np.float32)[None, :, None], 32, axis=0).repeat(3, axis=2)
    middle = View((32, 32)).of(wide)
    assert np.allclose(middle, wide[:, 16:48], atol=1e-6)
    small = View((16, 16)).of(wide)
    assert small.shape == (16, 16, 3)
    assert np.allclose(small[:, :, 0].mean(axis=0), wide[0, 16:48, 0].reshape(16, 2).mean(axis=1), atol=0.01)


def test_crops_lie_within_and_are_the_same_for_what_belongs_together() -> None:
    across = np.repeat(np.arange(96, dtype=np.float32)[None, :, None] / 96, 32, axis=0)
    seen = [View((32, 32), crop).of(across) for crop in range(6)]
    starts = [float(pixels[0, 0, 0]) * 96 for pixels in seen]
    assert starts[0] == pytest.approx(32, abs=0.1)
    assert all(0 <= start <= 64.1 for start in starts)
    assert len({round(start) for start in starts}) >= 5
    double = np.repeat(np.repeat(across, 2, axis=0), 2, axis=1)
    for crop, pixels in enumerate(seen):
        mask = View((32, 32), crop).of(double)
        assert np.abs(mask[4:-4, 4:-4] - pixels[4:-4, 4:-4]).max() < 1.5 / 96


def test_a_mirrored_view_is_the_other_one_turned_round() -> None:
    pixels = colour_of(picture(3))
    for crop in (0, 2):
        plain, mirrored = View((32, 48), crop).of(pixels), View((32, 48), crop, True).of(pixels)
        assert np.array_equal(plain[:, ::-1], mirrored)
        assert not np.array_equal(plain, mirrored)


def test_views_and_keys_of_an_item() -> None:
    item = Item(picture(1))
    assert list(views_of(item, 64)) == [View((64, 64))]
    several = dataclasses.replace(item, size=(32, 48), crops=2, flip=True)
    assert size_of(several, 64) == (32, 48)
    views = list(views_of(several, 64))
    assert len(views) == 4
    keys = {view.key(part) for view in [*views, View((64, 64))] for part in (picture(1), picture(2))}
    assert len(keys) == 10
