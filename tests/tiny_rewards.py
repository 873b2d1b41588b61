"""Rewards and trainings by them, small enough for tests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from tests.tiny import tiny_sd1
from weft.engine import CancelToken, Context, value
from weft.engine.cache.workspaces import Workspaces
from weft.nodes import load_model
from weft.nodes.training.lora_settings import LoraSettings
from weft.nodes.training.policy import Sampling
from weft.nodes.training.recipes.ddpo import DdpoRecipe, PpoSettings
from weft.nodes.training.recipes.reward_backprop import BackpropSettings, RewardBackpropRecipe
from weft.nodes.values import Model
from weft.nodes.values.rewards import Reward
from weft.nodes.values.train_options import TrainOptions

PROMPTS = ("a red circle", "a blue square on the left", "a cat")


@value("test.reward.energy")
@dataclass(frozen=True, eq=False)
class Energy(Reward):
    """sign times the mean square of what a picture holds."""

    differentiable: ClassVar[bool] = True
    sign: float = -1.0

    def score(self, images: Tensor, prompts: Sequence[str]) -> Tensor:
        return self.score_tensor(images, prompts).detach()

    def score_tensor(self, images: Tensor, prompts: Sequence[str]) -> Tensor:
        return self.sign * images.float().square().mean(dim=(1, 2, 3))


def tiny_model(folder: Path, prediction: str = "epsilon") -> Model:
    return load_model(str(tiny_sd1(folder / f"tiny-{prediction}", prediction, sample_size=4, length=16)), device="cpu")


def lasting(folder: Path, cancel: CancelToken | None = None, listener: Any = None) -> Context:
    """A context whose checkpoints outlive it."""
    return Context(workspaces=Workspaces(folder, 1 << 28), cancel=cancel, listener=listener)


def ddpo(model: Model, reward: Reward | None = None, ctx: Context | None = None, **changes: Any) -> DdpoRecipe:
    """A recipe with small settings; changes: of `PpoSettings`, `Sampling`, `TrainOptions` by their own names."""
    ppo: dict[str, Any] = {"pictures": 6, "batch": 3, "rows": 3}
    sampling = {"steps": 4, "guidance": 3.0, "eta": 1.0}
    given = {"prompts": PROMPTS, "seed": 7, "options": TrainOptions(), "rank": 2} | changes
    for name in list(given):
        for own, cls in ((ppo, PpoSettings), (sampling, Sampling)):
            if name in cls.__dataclass_fields__:
                own[name] = given.pop(name)
    return DdpoRecipe(
        model,
        given["prompts"],
        reward or Energy(),
        Sampling(**sampling),
        LoraSettings("lora", given["rank"], seed=given["seed"]),
        given["options"],
        ctx or Context(),
        given["seed"],
        ppo=PpoSettings(**ppo),
        steps=10,
    )


def backprop(model: Model, reward: Reward | None = None, options: TrainOptions | None = None, **changes: Any) -> Any:
    sampling = {"steps": 4, "guidance": 3.0, "eta": 0.0}
    own: dict[str, Any] = {}
    for name, item in changes.items():
        (sampling if name in sampling else own)[name] = item
    return RewardBackpropRecipe(
        model,
        PROMPTS,
        reward or Energy(),
        Sampling(**sampling),
        LoraSettings("lora", 2, seed=7),
        options or TrainOptions(),
        Context(),
        7,
        backprop=BackpropSettings(**own),
        steps=10,
    )


def liven(recipe: Any) -> None:
    """Give an adapter an effect: LoRA begins with none."""
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for own in recipe.groups().values():
            for parameter in own.values():
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.05)
                parameter.requires_grad_(True)
