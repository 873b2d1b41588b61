"""Which pictures are held out depends on each one's content alone."""

from __future__ import annotations

import dataclasses
import logging

import pytest

from weft.nodes import join_datasets, shapes_dataset, split
from weft.nodes.training.errors import TrainingError
from weft.nodes.values.training import Dataset


def held_out(dataset: Dataset) -> set[str]:
    return {item.picture.digest for item in dataset.of("validation")}


def test_a_share_is_about_that_many() -> None:
    data = shapes_dataset(count=200)
    assert 20 < len(split(data, share=0.2).of("validation")) < 60
    assert len(split(data, share=0.2).items) == 200


def test_order_and_other_pictures_do_not_matter() -> None:
    data = shapes_dataset(count=40)
    turned = Dataset(tuple(reversed(data.items)))
    more = join_datasets([shapes_dataset(count=5, seed=9), data])
    for inputs in ({"share": 0.3}, {"share": 0.3, "seed": 4}):
        first = held_out(split(data, **inputs))  # type: ignore[arg-type]
        assert held_out(split(turned, **inputs)) == first  # type: ignore[arg-type]
        assert first <= held_out(split(more, **inputs))  # type: ignore[arg-type]
    assert held_out(split(data, share=0.3)) != held_out(split(data, share=0.3, seed=4))


def test_a_count_is_exact_and_one_picture_more_moves_one_at_most() -> None:
    data = shapes_dataset(count=30)
    few = held_out(split(Dataset(data.items[:29]), count=7))
    more = held_out(split(data, count=7))
    assert (len(few), len(more)) == (7, 7)
    assert len(few & more) >= 6


def test_equal_pictures_stay_on_one_side_and_other_roles_stay() -> None:
    data = shapes_dataset(count=12, known=0.5, known_role="class")
    twice = join_datasets([data, Dataset(tuple(dataclasses.replace(i, caption="again") for i in data.items))])
    found = split(twice, count=3)
    assert len(found.of("validation")) == 6
    assert len(found.of("class")) == 12
    assert held_out(found) & {item.picture.digest for item in found.of("instance")} == set()
    again = split(found, count=1)
    assert held_out(found) < held_out(again)


def test_nothing_left_to_learn_from_and_nothing_held_out(caplog: pytest.LogCaptureFixture) -> None:
    data = shapes_dataset(count=3)
    with pytest.raises(TrainingError, match="all 3 instance pictures would be held out"):
        split(data, count=3)
    with pytest.raises(TrainingError, match="all 3"):
        split(data, share=1.0)
    with pytest.raises(TrainingError, match="no instance pictures"):
        split(Dataset(()))
    with caplog.at_level(logging.WARNING):
        assert split(data, share=1e-9).of("validation") == []
    assert "give a `count`" in caplog.text
