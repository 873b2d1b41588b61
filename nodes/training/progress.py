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


class Recorder:
    """The numbers of each step: on the device until a block of them is fetched, then in the curve's file and an event.

    rows: of the steps before. total: steps of the whole training.
    """

    def __init__(self, ctx: Context, checkpoints: Checkpoints, rows: list[dict[str, float]], total: int) -> None:
        self._ctx, self._checkpoints, self._total = ctx, checkpoints, total
        self.rows = rows
        self._names: list[tuple[str, ...]] = []
        self._values: list[Tensor] = []
        self._plain: list[dict[str, float]] = []
        self._begun = time.monotonic()
        self._first = len([row for row in rows if "loss" in row])
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
        self._checkpoints.add_to_curve([row])

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
            wrong = [name for name in ("loss", "gradient_norm") if not math.isfinite(row.get(name, 0.0))]
            if wrong:
                self._checkpoints.add_to_curve(sound)
                raise TrainingError(self._diverged(int(row["step"]), wrong[0], row[wrong[0]]))
            sound.append(row)
        self.rows.extend(sound)
        self._checkpoints.add_to_curve(sound)
        for row in sound:
            self._smoothed = _smooth(self._smoothed, row["loss"])
        self._report(sound)

    def _diverged(self, step: int, name: str, value: float) -> str:
        saved = self._checkpoints.steps()
        rest = f"the checkpoint of step {saved[-1]} is sound and stays" if saved else "no checkpoint was written before"
        return (
            f"the {name.replace('_', ' ')} of step {step} is {value}: {rest}. A lower learning rate, a clip norm, or "
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
        names = list(dict.fromkeys(name for row in self.rows for name in row if name != "step"))
        columns = {}
        for name in names:
            pairs = [(int(row["step"]), row[name]) for row in self.rows if name in row]
            steps = torch.tensor([step for step, _ in pairs], dtype=torch.int64)
            columns[name] = (steps, torch.tensor([number for _, number in pairs], dtype=torch.float64))
        return Curve(columns)


def _smooth(before: float, loss: float) -> float:
    return loss if math.isnan(before) else SMOOTHING * before + (1 - SMOOTHING) * loss
