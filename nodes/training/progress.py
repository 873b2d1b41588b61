"""What a training tells while it goes: numbers by step, fetched and reported in blocks, so that no step waits."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from weft.engine import Context
from weft.nodes.training.checkpoints import Checkpoints
from weft.nodes.training.errors import TrainingError
from weft.nodes.values.training import Curve

BLOCK_SECONDS = 0.25
BLOCK_STEPS = 256
SMOOTHING = 0.98
SKIPPED_STEPS = 40
"""So many steps one after the other may be passed over in float16: from 65536 on their scale is below any use."""


class Recorder:
    """The numbers of each step: on the device until a block of them is fetched, then in the curve's file and an event.

    rows: of the steps before. begin: the step that this run goes on from. total: steps of the whole training. skips:
    whether a gradient that is no number is nothing unusual: see `Numerics.skips`.
    """

    def __init__(
        self,
        ctx: Context,
        checkpoints: Checkpoints,
        rows: list[dict[str, float]],
        begin: int,
        total: int,
        skips: bool = False,
    ) -> None:
        self._ctx, self._checkpoints, self._total, self._skips = ctx, checkpoints, total, skips
        self.rows = rows
        self._skipped = 0
        self._unwritten: list[dict[str, float]] = []
        self._names: list[tuple[str, ...]] = []
        self._values: list[Tensor] = []
        self._plain: list[dict[str, float]] = []
        self._begun = time.monotonic()
        self._first = begin
        self._fetched = self._begun
        self._smoothed = self._smooth_all()

    def _smooth_all(self) -> float:
        """The smoothed loss, as it was when the last of the rows came."""
        smoothed = math.nan
        for row in self.rows:
            if "loss" in row:
                smoothed = _smooth(smoothed, row["loss"])
        return smoothed

    def add(self, step: int, numbers: Mapping[str, Tensor], plain: Mapping[str, float]) -> None:
        """The numbers of a step, counted from 1: those on the device, and those at hand."""
        self._names.append(tuple(numbers))
        self._values.extend(numbers.values())
        self._plain.append({"step": step, **plain})
        now = time.monotonic()
        if now - self._fetched > BLOCK_SECONDS or len(self._plain) >= BLOCK_STEPS:
            self.flush()

    def note(self, step: int, **numbers: float) -> None:
        """Numbers that come now and then, such as a validation loss."""
        self.flush()
        row = {"step": step, **numbers}
        if self.rows and self.rows[-1]["step"] == step:
            self.rows[-1].update(row)
        else:
            self.rows.append(row)
        self._write([row])

    def has(self, step: int, name: str) -> bool:
        """Whether there is a number of some name at a step."""
        return any(row["step"] == step and name in row for row in reversed(self.rows))

    def _write(self, rows: list[dict[str, float]]) -> None:
        """To the file. What cannot be written is still told, and written when there is room again."""
        known = bool(self._unwritten)
        self._unwritten.extend(rows)
        try:
            self._checkpoints.add_to_curve(self._unwritten)
            self._unwritten = []
        except OSError as error:
            if not known:
                self._ctx.log.warning("the curve cannot be written: %s. The training goes on", error)

    def _wrong(self, row: Mapping[str, float]) -> str | None:
        """What of a step is no number, where that is a reason to stop."""
        if not math.isfinite(row["loss"]):
            return "loss"
        if math.isfinite(row["gradient_norm"]):
            self._skipped = 0
            return None
        self._skipped += 1
        return None if self._skips and self._skipped <= SKIPPED_STEPS else "gradient_norm"

    def flush(self) -> None:
        """Fetch what has come, write it down and tell it.

        Raises:
            TrainingError: a loss or a gradient is no number.
        """
        if not self._plain:
            return
        fetched = torch.stack([value.detach().float().reshape(()) for value in self._values]).cpu().double().tolist()
        block, place = [], 0
        for names, plain in zip(self._names, self._plain, strict=True):
            block.append(plain | dict(zip(names, fetched[place : place + len(names)], strict=True)))
            place += len(names)
        self._names, self._values, self._plain = [], [], []
        self._fetched = time.monotonic()
        sound: list[dict[str, float]] = []
        for row in block:
            wrong = self._wrong(row)
            if wrong is not None:
                self.rows.extend(sound)
                self._write(sound)
                raise TrainingError(self.diverged(int(row["step"]), wrong.replace("_", " "), row[wrong]))
            sound.append(row)
        self.rows.extend(sound)
        self._write(sound)
        for row in sound:
            self._smoothed = _smooth(self._smoothed, row["loss"])
        self._report(sound)

    def diverged(self, step: int, what: str, value: float) -> str:
        """What to say when a number of a step is none."""
        saved = [saved for saved in self._checkpoints.steps() if saved < step]
        rest = f"the checkpoint of step {saved[-1]} is sound and stays" if saved else "no checkpoint was written before"
        return (
            f"the {what} of step {step} is {value}: {rest}. A lower learning rate, a clip norm, or "
            "float32 in place of half precision helps as a rule"
        )

    def _report(self, rows: list[dict[str, float]]) -> None:
        last = rows[-1]
        done = int(last["step"]) - self._first
        seconds = max(time.monotonic() - self._begun, 1e-9)
        rate = done / seconds
        data: dict[str, Any] = {
            **{name: value for name, value in last.items() if math.isfinite(value)},
            "step": int(last["step"]),
            "of": self._total,
            "loss_smoothed": self._smoothed,
            "steps_per_second": rate,
            "seconds_left": (self._total - int(last["step"])) / rate if rate > 0 else None,
            "first": int(rows[0]["step"]),
            "losses": [round(row["loss"], 6) for row in rows],
        }
        self._ctx.report("train.steps", data)

    @property
    def message(self) -> str:
        """For a progress bar."""
        return "" if math.isnan(self._smoothed) else f"loss {self._smoothed:.4f}"

    def curve(self) -> Curve:
        """All numbers so far."""
        names = sorted({name for row in self.rows for name in row} - {"step", "validation_seed"})
        columns = {}
        for name in names:
            pairs = [(int(row["step"]), row[name]) for row in self.rows if name in row]
            steps = torch.tensor([step for step, _ in pairs], dtype=torch.int64)
            columns[name] = (steps, torch.tensor([number for _, number in pairs], dtype=torch.float64))
        return Curve(columns)


def _smooth(before: float, loss: float) -> float:
    return loss if math.isnan(before) else SMOOTHING * before + (1 - SMOOTHING) * loss


def finite(number: float) -> float | None:
    """A number as JSON can have it."""
    return number if math.isfinite(number) else None
