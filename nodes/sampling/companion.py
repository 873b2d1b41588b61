"""A second trajectory beside the run's own: the picture that another prompt gives from the same noise."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from weft.nodes.sampling.run import Step
from weft.nodes.technique import Branch, Predictions
from weft.nodes.values import Conditioning


class Companion:
    """A plain run of `prompt` under the same base term, level by level with the run that it is made in.

    Its noise is the run's own, also in schedulers that add some in each step. Techniques other than the base, and what
    rescales it, leave it alone; residuals and channels are those of every row.

    To be made at its first step, before the scheduler steps.
    """

    def __init__(self, step: Step, prompt: Conditioning) -> None:
        self.prompt = prompt
        self.latents = step.latents
        self._schedule = step.run.schedule.fork()

    def pairs(self, step: Step) -> list[tuple[Branch, Branch]]:
        """Each branch of the base with the companion's, at the companion's latents. New ones in each step."""
        return [(branch, self._own(branch)) for branch in step.base_branches()]

    def _own(self, branch: Branch) -> Branch:
        own = replace(branch, name=f"{branch.name} of the source", latents=self.latents)
        return replace(own, role="source", conditioning=self.prompt) if branch.role == "cond" else own

    def advance(self, step: Step, pairs: Iterable[tuple[Branch, Branch]], predictions: Predictions) -> None:
        """One step of the scheduler with the companion's own predictions. Before the run takes its own."""
        prediction = step.base_prediction(Predictions({branch: predictions[own] for branch, own in pairs}))
        self._schedule.bind(_copies(step.run.generators))
        self.latents = self._schedule.step(prediction, step.index, self.latents)

    def snapshot(self) -> tuple[Tensor, dict[str, Any]]:
        """What it remembers of the steps so far."""
        return self.latents, self._schedule.snapshot()

    def restore(self, snapshot: tuple[Tensor, dict[str, Any]]) -> None:
        """Go on from a `snapshot`. To be done before its first step."""
        self.latents, history = snapshot
        self._schedule.restore(history)


def _copies(generators: Iterable[torch.Generator]) -> list[torch.Generator]:
    """Generators that draw the same next, without the originals moving on."""
    copies = []
    for generator in generators:
        copy = torch.Generator(generator.device)
        copy.set_state(generator.get_state())
        copies.append(copy)
    return copies
