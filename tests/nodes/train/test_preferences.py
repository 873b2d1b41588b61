"""Pairs that a model makes and a reward tells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.tiny_rewards import Energy, tiny_model
from weft.engine import value
from weft.nodes import preferences
from weft.nodes.training.errors import TrainingError
from weft.nodes.training.pictures import colour_of
from weft.nodes.values.rewards import Reward


@value("test.reward.equal")
@dataclass(frozen=True, eq=False)
class Equal(Reward):
    """The same for all."""

    def score(self, images: Tensor, prompts: Sequence[str]) -> Tensor:
        return torch.ones(len(prompts))


def test_the_better_picture_is_preferred(tmp_path: Path) -> None:
    model, reward = tiny_model(tmp_path), Energy(1.0)
    found = preferences(model, ["a cat", "a dog"], reward, pairs=3, candidates=3, sampling_steps=2)
    assert [item.caption for item in found.items] == ["a cat", "a dog", "a cat"]
    for item in found.items:
        assert item.condition is not None
        both = torch.stack([torch.from_numpy(colour_of(part)) for part in (item.picture, item.condition)])
        better, worse = reward.score(both, ["", ""]).tolist()
        assert better > worse
    again = preferences(model, ["a cat", "a dog"], reward, pairs=3, candidates=3, sampling_steps=2)
    assert [item.content() for item in again.items] == [item.content() for item in found.items]
    others = preferences(model, ["a cat", "a dog"], Energy(-1.0), pairs=3, candidates=3, sampling_steps=2)
    pairs = [(item.picture.digest, item.condition.digest if item.condition else "") for item in found.items]
    assert [(item.condition.digest if item.condition else "", item.picture.digest) for item in others.items] == pairs


def test_pairs_that_are_equal_are_left_out(tmp_path: Path) -> None:
    model = tiny_model(tmp_path)
    with pytest.raises(TrainingError, match="no two pictures of a prompt have different rewards, in 2 pairs"):
        preferences(model, ["a cat"], Equal(), pairs=2, sampling_steps=1)
    with pytest.raises(TrainingError, match="no two pictures"):
        preferences(model, ["a cat"], Energy(), pairs=2, sampling_steps=1, least=1000.0)
    with pytest.raises(TrainingError, match="no prompt"):
        preferences(model, [], Energy())
