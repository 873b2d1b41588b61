"""Gradients of a reward through the sampler: DRaFT-K (arXiv 2309.17400), AlignProp (2310.03739), ReFL (2304.05977)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from weft.nodes.sampling.vae import unscale
from weft.nodes.training.denoiser import Condition
from weft.nodes.training.errors import TrainingError
from weft.nodes.training.policy import PolicyRecipe
from weft.nodes.training.recipe import Samples
from weft.nodes.training.rewards.rating import checked, name_of
from weft.nodes.values.rewards import Occasion

Through = Literal["last", "random", "one"]


@dataclass(frozen=True)
class BackpropSettings:
    """Which steps learn, and what of the reward counts.

    through: ``last``, the last `last` steps (DRaFT-K); ``random``, the last 1 to `last` of them, drawn for each step of
    the optimizer (AlignProp); ``one``, a single one drawn from the last `last` ones, whose prediction of the clean
    latents is the picture (ReFL).
    margin: 0 is the reward itself; above, only what a reward lacks to it counts. scale: of the loss.
    """

    through: Through = "last"
    last: int = 1
    margin: float = 0.0
    scale: float = 1.0


class RewardBackpropRecipe(PolicyRecipe):
    """The loss is minus the reward of pictures, which are made with gradients through some of the sampler's steps."""

    name: ClassVar[str] = "reward_backprop"

    def __init__(self, *given: Any, backprop: BackpropSettings, steps: int) -> None:
        super().__init__(*given)
        self.backprop, self._steps = backprop, steps
        if not self.reward.gives_gradients:
            raise TrainingError(
                f"the reward {name_of(self.reward)} has no gradients, and this training goes through the reward: "
                "reward_alignment and reward_aesthetic have, and train_ddpo takes any reward"
            )
        if backprop.last > len(self.ddim):
            raise TrainingError(
                f"`last` is {backprop.last} and pictures are made in {len(self.ddim)} steps: it can be no more"
            )
        self._found: list[Tensor] = []

    def settings(self) -> Any:
        """Which steps learn."""
        return asdict(self.backprop)

    def sizes(self) -> list[int]:
        """Prompts."""
        return [0] * len(self.prompts)

    def prepare(self, step: int) -> None:
        """Forget the rewards of the step before."""
        self._found = []

    def losses(self, samples: Samples) -> Tensor:
        """Minus the reward of each picture, or what it lacks: (n,)."""
        prompts = [self.prompts[item] for item in samples.items]
        latents = self.latents(samples)
        images = self._kept(self._decode, latents)
        scores = self.reward.score_tensor(images, prompts)
        checked(self.reward, scores, prompts, Occasion(self.draws.seed, samples.numbers))
        self._found.append(scores.detach())
        own = self.backprop
        lost = torch.relu(own.margin - scores) if own.margin else -scores
        return own.scale * lost.float()

    def latents(self, samples: Samples) -> Tensor:
        """The clean latents of each sample, with gradients: (n, C, h, w)."""
        condition = self.condition([self.prompts[item] for item in samples.items])
        sample = self.first_latents(samples.numbers)
        begin, end = self.window(samples)
        with torch.no_grad():
            for place in range(begin):
                sample = self._step(sample, place, condition, samples)
        if self.backprop.through == "one":
            places = torch.full((len(samples),), begin, device=self.device)
            prediction = self._kept(lambda noisy: self.predict(noisy, places, condition), sample)
            return self.ddim.clean(sample, prediction, places)
        for place in range(begin, end):

            def go(noisy: Tensor, place: int = place) -> Tensor:
                return self._step(noisy, place, condition, samples)

            sample = self._kept(go, sample)
        return sample

    def window(self, samples: Samples) -> tuple[int, int]:
        """The first step with gradients, and the one after the last."""
        own, count = self.backprop, len(self.ddim)
        if own.through == "last":
            return count - own.last, count
        drawn = int(samples.draws.generator("truncation", samples.step).integers(1, own.last + 1))
        return count - drawn, count if own.through == "random" else count - drawn + 1

    def _step(self, sample: Tensor, place: int, condition: Condition, samples: Samples) -> Tensor:
        self.ctx.check_cancelled()
        places = torch.full((len(samples),), place, device=self.device)
        prediction = self.predict(sample, places, condition)
        return self.ddim.step(sample, prediction, places, self.step_noise(place, samples.numbers))[0]

    def _decode(self, latents: Tensor) -> Tensor:
        """Pictures (n, H, W, 3) in [0, 1], with gradients."""
        vae = self.parts.vae
        image = vae.decode(unscale(vae, latents.float()).to(vae.dtype), return_dict=False)[0]
        return (image.float() / 2 + 0.5).clamp(0, 1).permute(0, 2, 3, 1)

    def _kept(self, function: Callable[[Tensor], Tensor], given: Tensor) -> Tensor:
        """A part of the way; with gradient checkpointing it is computed again for the gradients rather than kept."""
        if not self.options.gradient_checkpointing:
            return function(given)
        return checkpoint(function, given, use_reentrant=False)

    def numbers(self) -> dict[str, float]:
        """The rewards of the last step's pictures."""
        if not self._found:
            return {}
        scores = torch.cat(self._found).double()
        found = {"reward": float(scores.mean()), "reward_std": float(scores.std(correction=0))}
        self.ctx.report("train.reward", {"of": self._steps, "name": name_of(self.reward), **found})
        return found
