"""The one trainer: it makes steps of a recipe, and goes on from where an earlier run was cancelled or killed.

A training is told by its *trajectory*: the recipe with its data, the options, the seed, the code and the machine. Each
trajectory has a folder of checkpoints that outlives the run. The number of steps is no part of it where the learning
rate does not depend on it, so 800 steps go on from 500 that were made before, and a step that was saved can be had
again.
"""

from __future__ import annotations

import contextlib
import difflib
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from weft.engine import Cancelled, Context
from weft.nodes.training.averaging import Average
from weft.nodes.training.checkpoints import Checkpoints, Saved, State
from weft.nodes.training.draws import Draws
from weft.nodes.training.errors import TrainingError
from weft.nodes.training.memory import free_memory, out_of_memory
from weft.nodes.training.optimizers import Schedule, as_used, build_optimizer
from weft.nodes.training.order import Order
from weft.nodes.training.precision import Numerics
from weft.nodes.training.processes import Processes
from weft.nodes.training.progress import Recorder, finite
from weft.nodes.training.recipe import Recipe, Samples
from weft.nodes.training.resuming import Learned, Rows, from_main, from_wire
from weft.nodes.training.trajectory import Goal as Goal
from weft.nodes.training.trajectory import trajectory
from weft.nodes.values.pictures import Image
from weft.nodes.values.train_options import TrainOptions
from weft.nodes.values.training import Adapter, Checkpoint, Curve

YIELD_SECONDS = 0.5
CHECKPOINT_SECONDS = 30.0
"""Between two checkpoints where no number of steps is said."""
CHECKPOINT_SHARE = 20.0
"""Where no number of steps is said, writing checkpoints takes at most one part in so many of the time."""
SEED = "validation_seed"
"""In the file of the curve, beside the loss that was measured with it."""
PICTURE = "picture/"


@dataclass(frozen=True)
class Trained:
    """What a training gives. images: of the validation prompts, in their order, by the last weights."""

    adapter: Adapter
    curve: Curve
    checkpoint: Checkpoint
    images: tuple[Image, ...] = ()


Validate = Callable[[Adapter, int], tuple[Image, ...]]
"""Makes pictures with what is learned so far, after a step."""


def train(recipe: Recipe, goal: Goal, options: TrainOptions, ctx: Context, validate: Validate | None = None) -> Trained:
    """Make the steps of a recipe, from the newest checkpoint of its trajectory on.

    Raises:
        TrainingError: it cannot begin, a loss is no number, or memory does not suffice for a single sample; what was
            saved before stays.
        Cancelled: the run was cancelled; the steps that were made are saved.
    """
    processes = Processes.launched(recipe.device)
    key = trajectory(recipe, goal, options, processes.count)
    with contextlib.ExitStack() as opened:
        with processes.together():
            # The others write nothing.
            folder = opened.enter_context(ctx.shared_workspace(key)) if processes.main else ctx.scratch
            groups = recipe.groups()
        processes.same_start(key, [parameter for own in groups.values() for parameter in own.values()])
        with processes.together():
            places = Checkpoints(folder, options.keep_every)
            training = _Training(recipe, goal, options, ctx, places, key, validate, processes)
        return training.run()


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
        processes: Processes | None = None,
    ) -> None:
        self.processes = processes or Processes()
        self.recipe, self.goal, self.options, self.ctx, self.key = recipe, goal, options, ctx, key
        self.checkpoints, self.validate = checkpoints, validate
        groups = recipe.groups()
        self.parameters = {name: p for own in groups.values() for name, p in own.items()}
        self._check(list(groups))
        own_rates = dict.fromkeys(groups, goal.rate) | dict(recipe.rates())
        self.rates = {name: rate * options.rates.get(name, 1.0) for name, rate in own_rates.items()}
        for parameter in self.parameters.values():
            parameter.requires_grad_(True)
        self.listed = list(self.parameters.values())
        self.optimizer = build_optimizer(options, groups, self.rates, recipe.decays())
        self.schedule = Schedule(options, goal.steps, max(self.rates.values()))
        self.numerics = Numerics(options.precision, recipe.device)
        self.draws = Draws(goal.seed)
        self.order = Order(self.draws, recipe.sizes(), goal.batch)
        self.average = Average(options.ema, self.parameters) if options.ema else None
        self.learned = Learned(recipe, groups, self.optimizer, options.optimizer, self.average, self.numerics)
        self.pieces = 1
        self.saved: Saved | None = None

    def _check(self, groups: list[str]) -> None:
        if not self.recipe.sizes():
            raise TrainingError("there is no picture to train on")
        if not self.parameters:
            raise TrainingError("nothing of the model is left to train: name layers that it has")
        unknown = sorted(set(self.options.rates) - set(groups))
        if unknown:
            near = [match for name in unknown for match in difflib.get_close_matches(name, groups, 1)]
            meant = f" Is {near[0]} meant?" if near else ""
            raise TrainingError(
                f"`rates` names {', '.join(unknown)}, and this training has the groups {', '.join(groups)}.{meant}"
            )

    def run(self) -> Trained:
        """From the newest checkpoint to the last step."""
        step, steps = self._resume(), self.goal.steps
        begun = step
        yielded = self.written = time.monotonic()
        self.writing = 0.0
        try:
            with self.processes.together():
                images = self._validate(step)
            while step < steps:
                self._step(step)
                step += 1
                with self.processes.together():
                    self._tell(step)
                    if step < steps:
                        # In this order: the checkpoint of a step comes after all that the curve has of it.
                        self._validate(step)
                        if self._due(step):
                            self._save(step)
                # Between the steps of several processes another training would come at another step in each.
                if self.processes.count == 1 and time.monotonic() - yielded > YIELD_SECONDS:
                    with self.ctx.yield_device():
                        pass
                    yielded = time.monotonic()
            with self.processes.together():
                saved = self._save(steps, final=True)
                if step > begun:
                    images = self._validate(step)
        except Cancelled:
            if step > begun:
                self._save(step)
            raise
        return self._trained(saved, images)

    def _trained(self, saved: Saved | None, images: tuple[Image, ...]) -> Trained:
        """What comes out, in all processes as the main one has it."""
        with self._as_used():
            tensors = {name: p.detach().float().cpu().clone() for name, p in self.parameters.items()}
        names, pictures = list(tensors), {f"{PICTURE}{k}": image.pixels for k, image in enumerate(images)}
        place = [str(saved.folder), saved.digest] if saved is not None else ["", ""]
        tensors, (place, self.recorder.rows) = self.processes.from_main(tensors | pictures, [place, self.recorder.rows])
        images = tuple(Image(pixels) for name, pixels in tensors.items() if name not in self.parameters)
        checkpoint = Checkpoint(self.recipe.name, self.goal.steps, place[0], place[1])
        adapter = self.recipe.export({name: tensors[name] for name in names})
        return Trained(adapter, self.recorder.curve(), checkpoint, images)

    def _tell(self, step: int) -> None:
        """Say how far it is; also a cancel point."""
        if self.processes.main:
            self.ctx.progress(step, self.goal.steps, self.recorder.message)
        self.ctx.check_cancelled()

    def _step(self, step: int) -> None:
        """One step of the optimizer."""
        with self.processes.together():
            self.recipe.prepare(step)
        loss, numbers = self._gradients(step)
        with self.processes.together():
            self._learn(step, loss, numbers)

    def _learn(self, step: int, loss: Tensor, numbers: Mapping[str, float]) -> None:
        """Change the weights by the gradients that there are."""
        factor = self.schedule.factor(step)
        for group in self.optimizer.param_groups:
            group["lr"] = group["base"] * factor
        try:
            norm = self.numerics.step(self.optimizer, self.listed, self.options.clip_norm)
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory(error):
                raise
            raise TrainingError(
                f"memory does not suffice for what the optimizer {self.options.optimizer} remembers of each weight: "
                "train fewer weights, or choose adamw_8bit, adafactor or sgd"
            ) from error
        self.optimizer.zero_grad(set_to_none=True)
        if self.average is not None:
            self.average.add(step)
        if self.processes.main:
            plain = {"learning_rate": max(self.rates.values()) * factor, **numbers}
            self.recorder.add(step + 1, {"loss": loss, "gradient_norm": norm}, plain)

    def _gradients(self, step: int) -> tuple[Tensor, dict[str, float]]:
        """The gradients of a step, in as many pieces as fit into memory; returns its loss and the recipe's numbers.

        What does not fit is made again from its beginning, in smaller pieces: samples have their random numbers by
        their own numbers, so that nothing but the rounding of the sum is different.
        """
        while True:
            too_much, reason = False, "in another process"
            with self.processes.together():
                try:
                    loss, numbers, own = self._attempt(step)
                except (RuntimeError, MemoryError) as error:
                    if not out_of_memory(error):
                        raise
                    too_much, reason = True, str(error).partition("\n")[0]
            if not self.processes.any(too_much):
                return self.processes.total(loss, self.listed), self.processes.mean(numbers, own)
            # Out of the handler: the error holds on to what the attempt had in memory.
            self._halve(step, reason)

    def _attempt(self, step: int) -> tuple[Tensor, dict[str, float], int]:
        """The loss of this process's samples, what the recipe tells of them, and how many they are."""
        goal, accumulation = self.goal, self.options.accumulation
        whole, size, own = goal.batch * accumulation, self._piece, 0
        total = torch.zeros((), device=self.recipe.device)
        for batch in range(step * accumulation, (step + 1) * accumulation):
            numbers = tuple(range(batch * goal.batch, (batch + 1) * goal.batch))
            samples = self.processes.share(Samples(step, numbers, tuple(self.order.items(batch)), self.draws))
            own += len(samples)
            for first in range(0, len(samples), size):
                self.ctx.check_cancelled()
                with self.numerics.forward():
                    loss = self.recipe.losses(samples.part(first, min(first + size, len(samples)))).sum() / whole
                self.numerics.backward(loss)
                total += loss.detach()
        return total, self.recipe.numbers(), own

    @property
    def _piece(self) -> int:
        """How many samples there are in one forward."""
        return -(-self.processes.most(self.goal.batch) // self.pieces)

    def _halve(self, step: int, reason: str) -> None:
        """Make the pieces of a batch smaller, after memory did not suffice."""
        self.optimizer.zero_grad(set_to_none=True)
        free_memory(self.recipe.device)
        before = self._piece
        if before == 1:
            raise TrainingError(
                f"memory does not suffice for step {step + 1}, with a single sample in a forward ({reason}): switch on "
                "gradient_checkpointing, take a mixed precision, fewer layers or smaller pictures"
            )
        self.pieces = min(2 * self.pieces, self.goal.batch)
        self.ctx.log.warning(
            "memory does not suffice for %d samples in one forward (%s): from step %d on there are %d, %d times as "
            "often, and the batch stays as it is",
            *(before, reason, step + 1, self._piece, -(-self.processes.most(self.goal.batch) // self._piece)),
        )
        data = {"step": step, "of": self.goal.steps, "phase": "smaller batches", "samples": self._piece}
        if self.processes.main:
            self.ctx.report("train.phase", {**data, "reason": reason[:500]})

    def _resume(self) -> int:
        """Take the newest checkpoint's state; returns its step, 0 where there is none."""
        state: State | None = None
        rows: Rows = []
        with self.processes.together():
            if self.processes.main:
                state, rows = self._found()
        state, rows = from_main(self.processes, state, rows)
        step = 0
        with self.processes.together():
            if state is not None:
                step, self.pieces = state.step, self.learned.restore(state, self.ctx.log)
                self.ctx.reused(step, self.goal.steps)
        rows = [row for row in map(self._comparable, rows) if len(row) > 1]
        skips = self.numerics.skips
        self.recorder = Recorder(self.ctx, self.checkpoints, rows, step, self.goal.steps, skips)
        return step

    def _found(self) -> tuple[State | None, Rows]:
        """The newest checkpoint, or the one that was wired in, and the lines of the curve up to it."""
        state, start = self.checkpoints.newest(self.goal.steps), self.goal.start
        rows = self.checkpoints.read_curve(state.step if state is not None else 0)
        if state is not None:
            self.saved = state.saved
        elif start is not None:
            state = from_wire(start, self.recipe.name, self.parameters, self.goal.steps)
            rows = Checkpoints(state.folder.parent).read_curve(state.step)
            with contextlib.suppress(OSError):
                self.checkpoints.add_to_curve(rows)
        return state, rows

    def _comparable(self, row: dict[str, float]) -> dict[str, float]:
        """A line of the curve without a validation that this training would not make, or not with the same noise."""
        same = row.get(SEED, self.options.validation_seed) == self.options.validation_seed
        if same and self._validates(int(row["step"])):
            return row
        return {name: item for name, item in row.items() if name not in ("validation_loss", SEED)}

    def _due(self, step: int) -> bool:
        """Whether a checkpoint is to be written after a step."""
        every = self.options.checkpoint_every
        if every:
            return step % every == 0
        wait = max(CHECKPOINT_SECONDS, CHECKPOINT_SHARE * self.writing)
        return time.monotonic() - self.written > wait

    def _save(self, step: int, final: bool = False) -> Saved | None:
        """Write a checkpoint, unless this very step has one; None where that cannot be.

        Raises:
            TrainingError: a number of the training is none: the checkpoint before stays the newest.
        """
        if not self.processes.main:
            return None
        self.recorder.flush()
        begun = time.monotonic()
        try:
            if self.saved is None or self.saved.step != step:
                wrong = self.learned.wrong()
                if wrong is not None:
                    raise TrainingError(self.recorder.diverged(step, f"weight {wrong}", float("nan")))
                tensors, meta = self.learned.state()
                meta |= {"trajectory": self.key, "pieces": self.pieces}
                self.saved = self.checkpoints.save(step, tensors, meta, final)
            elif final and not self.saved.final:
                self.saved = self.checkpoints.keep(self.saved)
            else:
                return self.saved
            told = {}
        except OSError as error:
            self.ctx.log.warning("the checkpoint of step %d cannot be written: %s. The training goes on", step, error)
            told = {"failed": str(error)[:500]}
        self.written = time.monotonic()
        self.writing = self.written - begun
        self.ctx.report("train.checkpoint", {"step": step, "of": self.goal.steps, **told})
        return self.saved if self.saved is not None and self.saved.step == step else None

    @contextlib.contextmanager
    def _as_used(self) -> Iterator[None]:
        """While the parameters are those that come out: their average, where there is one."""
        with as_used(self.optimizer, self.listed):
            if self.average is None:
                yield
                return
            with self.average.instead():
                yield

    def _validates(self, step: int) -> bool:
        every = self.options.validate_every
        return bool(every) and (step % every == 0 or step == self.goal.steps)

    def _validate(self, step: int) -> tuple[Image, ...]:
        """Losses on what is held out, and pictures, after a step, where they are due."""
        if not self._validates(step) or not self.processes.main:
            return ()
        with torch.no_grad(), self._as_used(), self.recipe.evaluating():
            if not self.recorder.has(step, "validation_loss"):
                with self.numerics.forward():
                    loss = self.recipe.validation_losses()
                if loss is not None:
                    self.recorder.note(step, validation_loss=float(loss), **{SEED: self.options.validation_seed})
                    told = {"step": step, "of": self.goal.steps, "validation_loss": finite(float(loss))}
                    self.ctx.report("train.validation", told)
            if self.validate is None:
                return ()
            weights = {name: p.detach().float().cpu().clone() for name, p in self.parameters.items()}
        return self.validate(self.recipe.export(weights), step)
