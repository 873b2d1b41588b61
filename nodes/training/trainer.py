"""The one trainer: it makes steps of a recipe, and goes on from where an earlier run was cancelled or killed.

A training is told by its *trajectory*: the recipe with its data, the options, the seed, the code and the machine. Each
trajectory has a folder of checkpoints that outlives the run. The number of steps is no part of it where the learning
rate does not depend on it, so 800 steps go on from 500 that were made before, and a step that was saved can be had
again.
"""

from __future__ import annotations

import dataclasses
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from weft.engine import Cancelled, Context
from weft.nodes.sampling.content import Contents, code, machine
from weft.nodes.training.checkpoints import Checkpoints, State, read_state
from weft.nodes.training.draws import Draws
from weft.nodes.training.errors import TrainingError
from weft.nodes.training.optimizers import Schedule, build_optimizer, restore_state, state_of
from weft.nodes.training.order import Order
from weft.nodes.training.precision import Numerics
from weft.nodes.training.progress import Recorder
from weft.nodes.training.recipe import Recipe, Samples
from weft.nodes.values.pictures import Image
from weft.nodes.values.train_options import WITHOUT_HORIZON, TrainOptions
from weft.nodes.values.training import Adapter, Checkpoint, Curve

log = logging.getLogger("weft.training")

YIELD_SECONDS = 0.5
CHECKPOINT_SECONDS = 30.0
"""Between two checkpoints where no number of steps is said."""
NOT_LEARNED = frozenset(
    {
        "horizon",
        "checkpoint_every",
        "keep_every",
        "validate_every",
        "validation_prompts",
        "validation_seed",
        "validation_steps",
        "validation_guidance",
    }
)
"""Options that change nothing of what is learned."""


@dataclass(frozen=True)
class Trained:
    """What a training gives. images: of the validation prompts, in their order, by the last weights."""

    adapter: Adapter
    curve: Curve
    checkpoint: Checkpoint
    images: tuple[Image, ...] = ()


Validate = Callable[[Adapter, int], tuple[Image, ...]]
"""Makes pictures with what is learned so far, after a step."""


@dataclass(frozen=True)
class Goal:
    """How far a training goes. steps: of the optimizer. rate: the learning rate. start: a checkpoint to go on from."""

    steps: int
    rate: float
    batch: int = 1
    seed: int = 0
    start: Checkpoint | None = None


def train(recipe: Recipe, goal: Goal, options: TrainOptions, ctx: Context, validate: Validate | None = None) -> Trained:
    """Make the steps of a recipe, from the newest checkpoint of its trajectory on.

    Raises:
        TrainingError: it cannot begin, or a loss is no number; what was saved before stays.
        Cancelled: the run was cancelled; the steps that were made are saved.
    """
    key = trajectory(recipe, goal, options)
    with ctx.shared_workspace(key) as folder:
        return _Training(recipe, goal, options, ctx, Checkpoints(folder, options.keep_every), key, validate).run()


def trajectory(recipe: Recipe, goal: Goal, options: TrainOptions) -> str:
    """Identifies what a training learns at each step; equal ones give equal weights, and share their steps."""
    own = {field.name: getattr(options, field.name) for field in dataclasses.fields(options)}
    learned = {name: item for name, item in own.items() if name not in NOT_LEARNED}
    horizon = None if options.schedule in WITHOUT_HORIZON else options.horizon or goal.steps
    begin = goal.start.digest if goal.start is not None else ""
    parts = (recipe.name, recipe.identity(), learned, horizon, goal.rate, goal.batch, goal.seed, begin)
    return Contents().key((code(), machine(recipe.device), parts)).hex()


class _Training:
    """One run of a training."""

    def __init__(
        self,
        recipe: Recipe,
        goal: Goal,
        options: TrainOptions,
        ctx: Context,
        checkpoints: Checkpoints,
        key: str,
        validate: Validate | None,
    ) -> None:
        self.recipe, self.goal, self.options, self.ctx, self.key = recipe, goal, options, ctx, key
        self.checkpoints, self.validate = checkpoints, validate
        self.groups = recipe.groups()
        self.parameters = {name: p for own in self.groups.values() for name, p in own.items()}
        self._check()
        own_rates = dict.fromkeys(self.groups, goal.rate) | dict(recipe.rates())
        self.rates = {name: rate * options.rates.get(name, 1.0) for name, rate in own_rates.items()}
        for parameter in self.parameters.values():
            parameter.requires_grad_(True)
        self.optimizer = build_optimizer(options, self.groups, self.rates, recipe.decays())
        self.schedule = Schedule(options, goal.steps)
        self.numerics = Numerics(options.precision, recipe.device)
        self.draws = Draws(goal.seed)
        self.order = Order(self.draws, recipe.sizes(), goal.batch)
        self.average: dict[str, Tensor] = {}
        if options.ema:
            self.average = {name: p.detach().clone() for name, p in self.parameters.items()}
        self.pieces = 1
        self.saved: State | None = None

    def _check(self) -> None:
        if not self.recipe.sizes():
            raise TrainingError("there is no picture to train on")
        if not self.parameters:
            raise TrainingError("nothing of the model is left to train: name layers that it has")
        unknown = sorted(set(self.options.rates) - set(self.groups))
        if unknown:
            raise TrainingError(
                f"`rates` names {', '.join(unknown)}; this training has the groups {', '.join(self.groups)}"
            )

    def run(self) -> Trained:
        """From the newest checkpoint to the last step."""
        steps = self.goal.steps
        begin = self._resume()
        self.recorder = Recorder(self.ctx, self.checkpoints, self.checkpoints.read_curve(begin), steps)
        if begin:
            self.ctx.reused(begin, steps)
        images = self._validate(begin) if begin == 0 else ()
        yielded = saved = time.monotonic()
        every = self.options.checkpoint_every
        step = begin
        try:
            while step < steps:
                self._step(step)
                step += 1
                self.ctx.progress(step, steps, self.recorder.message)
                now = time.monotonic()
                if step < steps and (step % every == 0 if every else now - saved > CHECKPOINT_SECONDS):
                    self._save(step)
                    saved = time.monotonic()
                if self.options.validate_every and step % self.options.validate_every == 0 and step < steps:
                    self._validate(step)
                if now - yielded > YIELD_SECONDS:
                    with self.ctx.yield_device():
                        pass
                    yielded = time.monotonic()
        except Cancelled:
            if step > begin and (self.saved is None or self.saved.step < step):
                self._save(step)
            raise
        self.recorder.flush()
        state = self._save(steps, final=True)
        images = self._validate(steps) or images
        checkpoint = Checkpoint(self.recipe.name, steps, str(state.folder), state.digest)
        return Trained(self.recipe.export(self._result()), self.recorder.curve(), checkpoint, images)

    def _step(self, step: int) -> None:
        """One step of the optimizer."""
        options, goal = self.options, self.goal
        self.recipe.prepare(step)
        factor = self.schedule.factor(step)
        for group in self.optimizer.param_groups:
            group["lr"] = group["base"] * factor
        total = torch.zeros((), device=self.recipe.device)
        for part in range(options.accumulation):
            self.ctx.check_cancelled()
            batch = step * options.accumulation + part
            numbers = tuple(range(batch * goal.batch, (batch + 1) * goal.batch))
            samples = Samples(step, numbers, tuple(self.order.items(batch)), self.draws)
            total += self._backward(samples)
        norm = self.numerics.step(self.optimizer, list(self.parameters.values()), options.clip_norm)
        self.optimizer.zero_grad(set_to_none=True)
        if self.average:
            decay = min(options.ema, (1 + step) / (10 + step))
            with torch.no_grad():
                torch._foreach_lerp_(list(self.average.values()), list(self.parameters.values()), 1 - decay)
        plain = {"learning_rate": max(self.rates.values()) * factor, **self.recipe.numbers()}
        self.recorder.add(step + 1, {"loss": total, "gradient_norm": norm}, plain)

    def _backward(self, samples: Samples) -> Tensor:
        """The gradients of one batch, in as many pieces as fit into memory; returns its part of the step's loss."""
        whole = len(samples) * self.options.accumulation
        total = torch.zeros((), device=self.recipe.device)
        size = -(-len(samples) // self.pieces)
        for first in range(0, len(samples), size):
            with self.numerics.forward():
                loss = self.recipe.losses(samples.part(first, min(first + size, len(samples)))).sum() / whole
            self.numerics.backward(loss)
            total += loss.detach()
        return total

    def _resume(self) -> int:
        """Take the newest checkpoint's state; returns its step, 0 where there is none."""
        state = self.checkpoints.newest(self.goal.steps)
        start = self.goal.start
        if state is None and start is not None:
            state = self._given(start)
        if state is None:
            return 0
        tensors, meta = state.tensors, state.meta
        try:
            with torch.no_grad():
                for name, parameter in self.parameters.items():
                    parameter.copy_(tensors[f"weights/{name}"])
                for name, average in self.average.items():
                    average.copy_(tensors.get(f"average/{name}", tensors[f"weights/{name}"]))
            state_tensors = {k.removeprefix("optimizer/"): t for k, t in tensors.items() if k.startswith("optimizer/")}
            restore_state(self.optimizer, self.groups, state_tensors, meta["optimizer"])
        except (KeyError, RuntimeError, ValueError) as error:
            raise TrainingError(f"the checkpoint {state.folder} does not fit this training: {error}") from error
        self.numerics.restore(meta.get("numerics"))
        own = {k.removeprefix("recipe/"): t for k, t in tensors.items() if k.startswith("recipe/")}
        self.recipe.restore(own, meta.get("recipe_state"))
        self.pieces = int(meta.get("pieces", 1))
        self.saved = state
        return state.step

    def _given(self, start: Checkpoint) -> State:
        """A checkpoint that was wired in."""
        from pathlib import Path

        if start.recipe != self.recipe.name:
            raise TrainingError(
                f"the checkpoint is of a {start.recipe} training, and this one is {self.recipe.name}: only one of the "
                "same recipe can go on from it"
            )
        state = read_state(Path(start.folder))
        if state.digest != start.digest:
            raise TrainingError(
                f"the checkpoint {start.folder} is another one than was handed over: run its node again"
            )
        wanted = {f"weights/{name}": tuple(p.shape) for name, p in self.parameters.items()}
        there = {name: tuple(t.shape) for name, t in state.tensors.items() if name.startswith("weights/")}
        if wanted != there:
            odd = sorted(set(wanted.items()) ^ set(there.items()))[:3]
            raise TrainingError(
                f"the checkpoint {start.folder} holds other weights than this training: "
                f"{', '.join(f'{name} {list(shape)}' for name, shape in odd)}. Is its rank or its model another one?"
            )
        if state.step > self.goal.steps:
            raise TrainingError(
                f"the checkpoint is of step {state.step} and this training has {self.goal.steps} steps: ask for more"
            )
        return state

    def _save(self, step: int, final: bool = False) -> State:
        """Write a checkpoint, unless this very step has one."""
        self.recorder.flush()
        if self.saved is not None and self.saved.step == step and (not final or self.saved.meta.get("final")):
            return self.saved
        tensors, plain = state_of(self.optimizer, self.groups)
        own, data = self.recipe.state()
        everything: dict[str, Tensor] = {f"weights/{name}": p for name, p in self.parameters.items()}
        everything |= {f"average/{name}": t for name, t in self.average.items()}
        everything |= {f"optimizer/{name}": t for name, t in tensors.items()}
        everything |= {f"recipe/{name}": t for name, t in own.items()}
        meta: Mapping[str, Any] = {
            "recipe": self.recipe.name,
            "trajectory": self.key,
            "optimizer": plain,
            "numerics": self.numerics.state(),
            "recipe_state": data,
            "pieces": self.pieces,
            "torch": str(torch.__version__),
        }
        self.saved = self.checkpoints.save(step, everything, meta, final)
        self.ctx.report("train.checkpoint", {"step": step, "of": self.goal.steps})
        return self.saved

    def _result(self) -> dict[str, Tensor]:
        """The weights that count: their average where there is one."""
        source: Mapping[str, Tensor] = self.average or self.parameters
        return {name: tensor.detach().float().cpu().clone() for name, tensor in source.items()}

    def _validate(self, step: int) -> tuple[Image, ...]:
        """Losses on what is held out, and pictures, after a step."""
        if not self.options.validate_every:
            return ()
        with torch.no_grad(), self.recipe.evaluating():
            loss = self.recipe.validation_losses()
        if loss is not None:
            self.recorder.note(step, validation_loss=float(loss))
            self.ctx.report("train.validation", {"step": step, "of": self.goal.steps, "validation_loss": float(loss)})
        if self.validate is None:
            return ()
        return self.validate(self.recipe.export(self._result()), step)
