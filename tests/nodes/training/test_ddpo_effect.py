"""DDPO raises what it is rewarded for, on pictures that it was not trained on, and lowers it with the sign turned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.tiny_rewards import ddpo, lasting, tiny_model
from weft.engine import value
from weft.nodes.training.recipes import ddpo as module
from weft.nodes.training.recipes.ddpo import DdpoRecipe
from weft.nodes.training.trainer import Goal, train
from weft.nodes.values.rewards import Reward
from weft.nodes.values.train_options import TrainOptions

FAR_EPOCHS = (10_000, 10_001, 10_002, 10_003)
"""Whose pictures have numbers that the training never comes to."""


@value("test.reward.level")
@dataclass(frozen=True, eq=False)
class Level(Reward):
    """sign times the mean of what a picture holds."""

    sign: float = 1.0

    def score(self, images: Tensor, prompts: Sequence[str]) -> Tensor:
        return self.sign * images.float().mean(dim=(1, 2, 3))


def rewards(recipe: DdpoRecipe, reward: Reward) -> Tensor:
    """Of the same noise each time: first latents and each step's draws are by the pictures' numbers."""
    latents = torch.cat([recipe._sample(epoch)[0][:, -1] for epoch in FAR_EPOCHS])
    return reward.score(latents.permute(0, 2, 3, 1), [""] * len(latents)).double()


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_the_reward_rises_by_more_than_four_standard_errors(
    tmp_path: Path, sign: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The level of the latents, which is what the sampler acts on; a random VAE would hide it."""
    monkeypatch.setattr(module, "decode_latents", lambda vae, latents, check: latents.permute(0, 2, 3, 1))
    model, reward = tiny_model(tmp_path, "v_prediction"), Level(sign)
    ctx = lasting(tmp_path / "runs")
    recipe = ddpo(model, reward, ctx, pictures=64, batch=64, rows=64, steps=2, guidance=1.0, prompts=("a red circle",))
    before = rewards(recipe, reward)
    train(recipe, Goal(10, 1e-2, 64, 7), TrainOptions(), ctx)
    after = rewards(recipe, reward)
    count = len(before)
    # Of pictures of the same noise, and, which is harder to pass, as if they were of different noise.
    paired = float((after - before).std()) / count**0.5
    apart = float((before.var() + after.var()) / count) ** 0.5
    rise = float((after - before).mean())
    assert rise > 4 * paired
    assert rise > 4 * apart
