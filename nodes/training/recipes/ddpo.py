"""DDPO (arXiv 2305.13301): the steps of a sampler are actions, which are made likelier where the picture was rewarded.

An *epoch* makes pictures with the weights as they are and asks for their rewards. Its updates are steps of the
optimizer, each over all steps of the sampler of some of its pictures: with M pictures, b of them a step, and e passes
over the epoch, an epoch has e * M / b steps. It is made in `prepare`, before its first step.

The forwards of sampling and updates are of one shape, always `rows` pictures, so that they compute the very same: at an
epoch's first step the ratio of the new probability to the old is 1 to the last bit. A checkpoint holds the epoch's
first weights and its rewards; the pictures are made again from these, as they were.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from weft.nodes.sampling.content import Contents
from weft.nodes.sampling.vae import decode_latents
from weft.nodes.training.policy import PolicyRecipe
from weft.nodes.training.recipe import Samples
from weft.nodes.training.rewards.rating import name_of, rated
from weft.nodes.training.rollouts import PromptStatistics, Rollout
from weft.nodes.values.rewards import Occasion

FP16_SCALE = 2.0**12
"""Of losses in float16, whose gradients would vanish; a power of two changes no digit."""
RATED_AT_ONCE = 64
"""Pictures that a reward is asked for together, which bounds the memory that they take."""


@dataclass(frozen=True)
class PpoSettings:
    """How an epoch is made and used.

    pictures: in an epoch. batch: pictures in a step of the optimizer, accumulation included. rows: in a forward.
    passes: how often an epoch's pictures are used. clip: of the ratio. clip_advantage: of the advantages.
    buffer, least: of `PromptStatistics`. timesteps: the share of the sampler's steps that are used.
    """

    pictures: int
    batch: int
    rows: int
    passes: int = 1
    clip: float = 1e-4
    clip_advantage: float = 5.0
    buffer: int = 32
    least: int = 16
    timesteps: float = 1.0


class DdpoRecipe(PolicyRecipe):
    """Policy gradients with clipped ratios (PPO), over the steps of DDIM."""

    name: ClassVar[str] = "ddpo"

    def __init__(self, *given: Any, ppo: PpoSettings, steps: int) -> None:
        super().__init__(*given)
        self.ppo, self._steps = ppo, steps
        self.statistics = PromptStatistics(ppo.buffer, ppo.least)
        # A step that draws nothing has no probability: the last one, where the schedule ends without noise.
        self.drawing = [place for place, deviation in enumerate(self.ddim.deviations.tolist()) if deviation > 0]
        self.rollout: Rollout | None = None
        self._first: dict[str, Tensor] = {}
        self._restored: tuple[int, Tensor, Tensor] | None = None
        self._clipped = self._squares = self._seen = 0.0

    def settings(self) -> Any:
        """Of the updates."""
        return asdict(self.ppo)

    def sizes(self) -> list[int]:
        """Pictures of an epoch, by place."""
        return [0] * self.ppo.pictures

    @property
    def steps_of_epoch(self) -> int:
        """Of the optimizer."""
        return self.ppo.passes * self.ppo.pictures // self.ppo.batch

    def prepare(self, step: int) -> None:
        """Make the pictures of the epoch that a step is of, unless they are there."""
        self._clipped = self._squares = self._seen = 0.0
        epoch = step // self.steps_of_epoch
        if self.rollout is not None and self.rollout.epoch == epoch:
            return
        if self._restored is not None and self._restored[0] == epoch:
            with self._first_weights():
                latents, log_probabilities = self._sample(epoch)
            _, rewards, advantages = self._restored
            prompts = tuple(self.prompts_of(self._numbers(epoch)))
            self.rollout = Rollout(epoch, prompts, latents, log_probabilities, rewards, advantages)
            return
        self._begin(epoch, step)

    def _begin(self, epoch: int, step: int) -> None:
        """A new epoch. Nothing of the recipe changes before all of it is there."""
        first = {name: p.detach().clone() for name, p in self._parameters().items()}
        latents, log_probabilities = self._sample(epoch)
        prompts = tuple(self.prompts_of(self._numbers(epoch)))
        rewards = self._rewards(epoch, prompts, latents[:, -1])
        statistics = self.statistics.copy()
        advantages = statistics.advantages(prompts, rewards)
        self.statistics, self._first, self._restored = statistics, first, None
        self.rollout = Rollout(epoch, prompts, latents, log_probabilities, rewards, advantages)
        self._report(step)

    def _numbers(self, epoch: int) -> range:
        """Of an epoch's pictures, over the whole training."""
        return range(epoch * self.ppo.pictures, (epoch + 1) * self.ppo.pictures)

    @torch.no_grad()
    def _sample(self, epoch: int) -> tuple[Tensor, Tensor]:
        """Latents (n, T + 1, C, h, w) and log-probabilities (n, T) of an epoch's pictures."""
        numbers, rows, ddim = self._numbers(epoch), self.ppo.rows, self.ddim
        latents = torch.empty(len(numbers), len(ddim) + 1, *self.shape)
        found = torch.zeros(len(numbers), len(ddim))
        for first in range(0, len(numbers), rows):
            own = list(numbers[first : first + rows])
            part = slice(first, first + len(own))
            # A smaller last piece is filled up, so that all forwards have one shape.
            own += own[:1] * (rows - len(own))
            condition, sample = self.condition(self.prompts_of(own)), self.first_latents(own)
            count = part.stop - part.start
            latents[part, 0] = sample[:count].cpu()
            for place in range(len(ddim)):
                self.ctx.check_cancelled()
                places = torch.full((rows,), place, device=self.device)
                with self.numerics():
                    prediction = self.predict(sample, places, condition)
                sample, mean = ddim.step(sample, prediction, places, self.step_noise(place, own))
                if place in self.drawing:
                    found[part, place] = ddim.log_probability(sample, mean, places)[:count].cpu()
                latents[part, place + 1] = sample[:count].cpu()
            self.ctx.progress(part.stop, len(numbers), f"make pictures, epoch {epoch + 1}")
        return latents, found

    def _rewards(self, epoch: int, prompts: Sequence[str], latents: Tensor) -> Tensor:
        """The reward of each picture: (n,) float64."""
        numbers, found = self._numbers(epoch), []
        for first in range(0, len(numbers), RATED_AT_ONCE):
            part = slice(first, first + RATED_AT_ONCE)
            images = decode_latents(self.parts.vae, latents[part], check=self.ctx.check_cancelled)
            occasion = Occasion(self.draws.seed, tuple(numbers[part]), self.ctx.check_cancelled)
            found.append(rated(self.reward, images, prompts[part], occasion))
        return torch.cat(found)

    def _report(self, step: int) -> None:
        assert self.rollout is not None
        rewards = self.rollout.rewards
        quantiles = torch.quantile(rewards, torch.tensor([0.1, 0.5, 0.9], dtype=torch.float64)).tolist()
        data = {
            "step": step,
            "of": self._steps,
            "epoch": self.rollout.epoch,
            "reward": float(rewards.mean()),
            "reward_std": float(rewards.std(correction=0)),
            "quantiles": {"0.1": quantiles[0], "0.5": quantiles[1], "0.9": quantiles[2]},
            "name": name_of(self.reward),
        }
        self.ctx.report("train.reward", data)

    def losses(self, samples: Samples) -> Tensor:
        """The clipped objective of each picture, the mean over its steps: (n,).

        Gradients are computed here, forward by forward, and handed on with the losses: memory is that of one forward.
        """
        assert self.rollout is not None
        pairs = self._pairs(samples)
        parameters = list(self._parameters().values())
        total: list[Tensor] = [torch.zeros_like(p) for p in parameters]
        losses = torch.zeros(len(samples), device=self.device)
        share, rows = len(samples) / len(pairs), self.ppo.rows
        half = torch.is_autocast_enabled(self.device.type) and self.options.precision == "fp16"
        scale = FP16_SCALE if half else 1.0
        for first in range(0, len(pairs), rows):
            self.ctx.check_cancelled()
            part = pairs[first : first + rows]
            found = self._objectives(part, samples.items)
            gradients = torch.autograd.grad(found.sum() * scale, parameters, allow_unused=True)
            for whole, gradient in zip(total, gradients, strict=True):
                if gradient is not None:
                    whole.add_(gradient, alpha=share / scale)
            owners = torch.tensor([owner for owner, _ in part], device=self.device)
            losses.index_add_(0, owners, found.detach() * share)
        product = sum(((p * g).sum() for p, g in zip(parameters, total, strict=True)), start=losses.new_zeros(()))
        return losses + (product - product.detach()) / len(samples)

    def _pairs(self, samples: Samples) -> list[tuple[int, int]]:
        """Pictures, by their place among the samples, with steps of the sampler: each has its own order of them."""
        count = max(1, round(self.ppo.timesteps * len(self.drawing)))
        orders = [samples.draws.order("timesteps", number, len(self.drawing))[:count] for number in samples.numbers]
        return [(owner, self.drawing[order[turn]]) for turn in range(count) for owner, order in enumerate(orders)]

    def _objectives(self, pairs: Sequence[tuple[int, int]], items: Sequence[int]) -> Tensor:
        """What is to become small, of each pair: (n,), with gradients. One forward of `rows` rows."""
        rollout, ppo, count = self.rollout, self.ppo, len(pairs)
        assert rollout is not None
        full = [*pairs, *[pairs[0]] * (ppo.rows - count)]
        owners = [items[owner] for owner, _ in full]
        steps = [place for _, place in full]
        places = torch.tensor(steps, device=self.device)
        condition = self.condition([rollout.prompts[owner] for owner in owners])
        before, after = (rollout.latents[owners, [s + k for s in steps]].to(self.device) for k in (0, 1))
        mean = self.ddim.mean(before, self.predict(before, places, condition), places)
        new = self.ddim.log_probability(after, mean, places)[:count]
        old = rollout.log_probabilities[owners, steps].to(self.device)[:count]
        advantages = rollout.advantages[owners].to(self.device, torch.float32)[:count]
        advantages = advantages.clamp(-ppo.clip_advantage, ppo.clip_advantage)
        ratio = torch.exp(new - old)
        self._count(ratio.detach(), (new - old).detach())
        return torch.maximum(-advantages * ratio, -advantages * ratio.clamp(1 - ppo.clip, 1 + ppo.clip))

    def _count(self, ratio: Tensor, difference: Tensor) -> None:
        self._seen += len(ratio)
        self._clipped += float(((ratio - 1).abs() > self.ppo.clip).sum())
        self._squares += float((difference.double() ** 2).sum())

    def numbers(self) -> dict[str, float]:
        """The epoch's reward, and how far the last step's ratios were from 1."""
        assert self.rollout is not None
        rewards, seen = self.rollout.rewards, max(self._seen, 1)
        return {
            "reward": float(rewards.mean()),
            "reward_std": float(rewards.std(correction=0)),
            "clip_fraction": self._clipped / seen,
            "approx_kl": 0.5 * self._squares / seen,
        }

    def state(self) -> tuple[dict[str, Tensor], Any]:
        """The epoch's first weights, its rewards and advantages, and the last rewards of each prompt."""
        known = self._restored
        if self.rollout is not None:
            known = self.rollout.epoch, self.rollout.rewards, self.rollout.advantages
        if known is None:
            return {}, None
        epoch, rewards, advantages = known
        tensors = {f"first/{name}": tensor for name, tensor in self._first.items()}
        return tensors | {"rewards": rewards, "advantages": advantages}, {
            "epoch": epoch,
            "statistics": self.statistics.state(),
            "made_by": self._maker(),
        }

    def restore(self, tensors: Mapping[str, Tensor], data: Any) -> None:
        """Put back what `state` gave; the pictures are made again when a step needs them."""
        if not data or data["made_by"] != self._maker():
            # From a training with other prompts or settings: its pictures are not those of this one's epochs.
            return
        self._first = {name.removeprefix("first/"): t for name, t in tensors.items() if name.startswith("first/")}
        self._restored = int(data["epoch"]), tensors["rewards"], tensors["advantages"]
        self.statistics.restore(data["statistics"])
        self.rollout = None

    def _maker(self) -> str:
        """Identifies what decides which pictures an epoch has and what they are worth, beside the weights."""
        return Contents().key(self.identity()).hex()

    def _parameters(self) -> dict[str, torch.nn.Parameter]:
        return {name: p for own in self.groups().values() for name, p in own.items()}

    @contextmanager
    def _first_weights(self) -> Iterator[None]:
        """While pictures are made again: the weights that they were made with."""
        parameters = self._parameters()
        now = {name: p.detach().clone() for name, p in parameters.items()}
        with torch.no_grad():
            for name, p in parameters.items():
                p.copy_(self._first[name])
            try:
                yield
            finally:
                for name, p in parameters.items():
                    p.copy_(now[name])
