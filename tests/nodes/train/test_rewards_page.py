"""The reward of docs/training-rewards.md: it is found, it is short, and a training takes it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.pasted import block
from tests.tiny_rewards import ddpo, lasting, tiny_model
from weft.engine import Catalogue
from weft.nodes.training.trainer import Goal, train
from weft.nodes.values.train_options import TrainOptions

PAGE = "docs/training-rewards.md"


@pytest.fixture(scope="module")
def reward(tmp_path_factory: pytest.TempPathFactory) -> Any:
    place = tmp_path_factory.mktemp("my_rewards")
    (place / "brightness.py").write_text(block(PAGE, "python", "class Brightness"), "utf-8")
    catalogue = Catalogue.load([place])
    assert catalogue.failures == []
    found = catalogue.get("reward_brightness")
    assert found is not None
    return found.fn(0.5)


def test_it_is_short() -> None:
    code = re.sub(r'"""(.|\n)*?"""', "", block(PAGE, "python", "class Brightness"))
    assert len([line for line in code.splitlines() if line.strip()]) <= 15


def test_a_training_takes_it_and_goes_on_with_it(reward: Any, tmp_path: Path) -> None:
    assert reward.score(torch.full((2, 4, 4, 3), 0.25), ["", ""]).tolist() == [-0.25, -0.25]
    model = tiny_model(tmp_path)

    def run(steps: int) -> Any:
        return train(ddpo(model, reward), Goal(steps, 1e-3, 3, 7), TrainOptions(), lasting(tmp_path / "runs"))

    first = run(1)
    assert run(2).curve.column("reward")[1][0] == first.curve.column("reward")[1][0] < 0
