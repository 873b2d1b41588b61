"""Semantic guidance (SEGA, arXiv 2301.12247): towards or away from concepts, only where each of them matters.

Cost: one more row in the forward per concept, until its cooldown.

One node is one concept. All of a run act together, as the concepts of one call of diffusers' pipeline do: while some
are still warming up, those that are warm share a weight of 1; momentum acts when all are warm. Each keeps its own
momentum: its recursion is linear, so that the sum over concepts is the common one where their settings are equal.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from weft.engine import NodeView, Problem, Range, node, value
from weft.nodes.checks import runs_with, steps_of
from weft.nodes.technique import Branch, Order, Predictions, Technique
from weft.nodes.values import Conditioning, Guidance

if TYPE_CHECKING:
    from torch import Tensor

    from weft.nodes.sampling.run import Run, Step


@value("guidance.sega")
@dataclass(frozen=True, eq=False, kw_only=True)
class Semantic(Guidance):
    """d_k = +-scale (e_k - e_u), where |d_k| is at least its quantile `threshold` over the image's channel.

    With t = sum w_k d_k + momentum v and v' = beta v + (1 - beta) t, in every step: all concepts warm, e + t; some,
    e + sum over the warm ones of (w_k / sum w) d_k; none, e. A concept that has cooled down has d_k = 0 and no weight.

    warmup, cooldown: numbers of the step from which on it acts, and acts no more; None for never.
    """

    order: ClassVar[int] = Order.SEMANTIC
    needs: ClassVar[frozenset[str]] = frozenset({"uncond"})

    concept: Conditioning
    direction: Literal["towards", "away"] = "towards"
    scale: float = 5.0
    warmup: int = 10
    cooldown: int | None = None
    threshold: float = 0.9
    weight: float = 1.0
    momentum: float = 0.1
    beta: float = 0.4

    def identity(self, index: int, calls: int) -> tuple[Any, ...]:
        """Of warm-up and cooldown only on which side of them the step is; cold without momentum, nothing more."""
        evaluated, warm = self._evaluated(index, calls), index >= self.warmup
        if not evaluated and not warm and not self.momentum:
            return ("cold",)
        strength = (self.concept, self.direction, self.scale, self.threshold, self.weight)
        return (*strength, self.momentum, self.beta, evaluated, warm)

    def snapshot(self, run: Run) -> Tensor | None:
        """The momentum."""
        state: _ConceptState | None = run.state_of(self)
        return None if state is None else state.momentum

    def restore(self, step: Step, snapshot: Tensor) -> None:
        """The momentum."""
        step.run.state(self, _ConceptState).momentum = snapshot

    def expand(self) -> Sequence[Technique]:
        """Nothing at a scale of 0: such a concept takes no part in what the others share either."""
        return (self,) if self.scale else ()

    def branches(self, step: Step) -> Iterable[Branch]:
        """The concept's row, from the first step on where it has momentum, while it can matter."""
        state = step.run.state(self, _ConceptState)
        if state.branch is None:
            # The unconditional row, which it is compared with, in all but its text.
            uncond = next(branch for branch in step.base_branches() if branch.role == "uncond")
            state.branch = replace(uncond, name="concept", conditioning=self.concept, guidance_scale=1.0)
        return (state.branch,) if self._evaluated(step.index, step.calls) else ()

    @staticmethod
    def combine_together(
        techniques: Sequence[Semantic], step: Step, predictions: Predictions, prediction: Tensor
    ) -> Tensor:
        """The term of all concepts."""
        uncond = predictions.role("uncond")
        differences = [concept._difference(step, predictions, uncond) for concept in techniques]
        sums = [concept._advance(step, difference) for concept, difference in zip(techniques, differences, strict=True)]
        warm = [step.index >= concept.warmup for concept in techniques]
        if all(warm):
            terms = [term for term in sums if term is not None]
        else:
            # Only concepts that act now share the weight: with one cooled down and the others not yet warm, none does.
            acting = [
                (concept.weight, difference)
                for concept, difference, is_warm in zip(techniques, differences, warm, strict=True)
                if is_warm and difference is not None
            ]
            whole = sum(weight for weight, _ in acting)
            terms = [difference * (weight / whole) for weight, difference in acting] if whole else []
        for term in terms:
            prediction = prediction + term
        return prediction

    def _evaluated(self, index: int, calls: int) -> bool:
        # A concept that never gets warm holds back the common term to the end, so its row would not be read; nor is it
        # while cold where there is no momentum that would remember it.
        needed = self.warmup < calls and (index >= self.warmup or self.momentum > 0)
        return needed and (self.cooldown is None or index < self.cooldown)

    def _difference(self, step: Step, predictions: Predictions, uncond: Tensor) -> Tensor | None:
        """d_k, or None where the concept is not evaluated."""
        if not self._evaluated(step.index, step.calls):
            return None
        branch = step.run.state(self, _ConceptState).branch
        assert branch is not None
        sign = 1.0 if self.direction == "towards" else -1.0
        return strongest((predictions[branch] - uncond) * (sign * self.scale), self.threshold)

    def _advance(self, step: Step, difference: Tensor | None) -> Tensor | None:
        """This concept's part of the common term t; keeps its part of v."""
        state = step.run.state(self, _ConceptState)
        total = None if difference is None else difference if self.weight == 1 else difference * self.weight
        if state.momentum is not None:
            carried = state.momentum * self.momentum
            total = carried if total is None else total + carried
        if total is not None:
            grown = total * (1 - self.beta)
            state.momentum = grown if state.momentum is None else grown + state.momentum * self.beta
        return total


@dataclass(eq=False)
class _ConceptState:
    """A concept's row, and its part of the momentum v (B, C, H, W); None is 0."""

    branch: Branch | None = None
    momentum: Tensor | None = None


def strongest(difference: Tensor, threshold: float) -> Tensor:
    """(B, C, H, W) with 0 where its size is below the quantile `threshold` of its image and channel."""
    import torch

    if threshold <= 0:
        return difference
    size = difference.abs()
    limit = _quantile(size.flatten(2), threshold)
    return torch.where(size >= limit[:, :, None, None], difference, torch.zeros_like(difference))


def _quantile(values: Tensor, share: float) -> Tensor:
    """`torch.quantile` along the last axis to the bit, without sorting all of it, which takes twenty times as long."""
    import torch

    count = values.shape[-1]
    below, weight = _rank(share, count)
    if below + 1 >= count:
        return values.amax(dim=-1)
    if count - below <= count // 4:
        largest = values.topk(count - below, dim=-1).values
        low, high = largest[..., -1], largest[..., -2]
    else:
        low, high = (values.kthvalue(place, dim=-1).values for place in (below + 1, below + 2))
    return torch.lerp(low, high, weight)


@functools.cache
def _rank(share: float, count: int) -> tuple[int, float]:
    """The place below a quantile and how far it lies towards the next, rounded as `torch.quantile` does in float32."""
    import torch

    rank = torch.tensor(share, dtype=torch.float32) * (count - 1)
    return int(rank), float(rank - rank.floor())


def _check(view: NodeView) -> Iterable[Problem]:
    """A concept that has time to act."""
    warmup, cooldown = view.literals.get("warmup"), view.literals.get("cooldown")
    if isinstance(warmup, int) and isinstance(cooldown, int) and cooldown <= warmup:
        yield Problem(
            severity="warning",
            code="bad_value",
            node=view.id,
            input="cooldown",
            message=f"the concept cools down at step {cooldown}, before it has warmed up at step {warmup}: only its "
            "momentum acts",
            given=cooldown,
        )
    if isinstance(warmup, int):
        for run in runs_with(view):
            steps = steps_of(run)
            if steps is not None and warmup >= steps:
                yield Problem(
                    severity="warning",
                    code="bad_value",
                    node=view.id,
                    input="warmup",
                    message=f"the concept warms up at step {warmup} and {run.id} has {steps} steps: it never acts",
                    given=warmup,
                )


@node("sega", category="guidance", check=_check)
def sega(
    concept: Conditioning,
    direction: Literal["towards", "away"] = "towards",
    scale: Annotated[float, Range(0.0, 1000.0, usual=(0.0, 20.0))] = 5.0,
    warmup: Annotated[int, Range(0, 10_000, usual=(0, 50))] = 10,
    cooldown: Annotated[int | None, Range(0, 10_000)] = None,
    threshold: Annotated[float, Range(0.0, 1.0)] = 0.9,
    weight: Annotated[float, Range(0.0, 100.0)] = 1.0,
    momentum: Annotated[float, Range(0.0, 1.0)] = 0.1,
    beta: Annotated[float, Range(0.0, 1.0)] = 0.4,
) -> Guidance:
    """More or less of a concept, and little else changed (semantic guidance, SEGA, arXiv 2301.12247).

    Wire one node per concept, as many as you like, beside a base such as `cfg`: "glasses" away, "a smile" towards. The
    prompt stays as it is.

    Args:
        concept: what there should be more or less of, encoded like a prompt.
        direction: towards the concept or away from it.
        scale: how strongly; 0 is off. 3 to 20 are usual.
        warmup: the number of steps before it acts. A later start keeps more of the picture's layout.
        cooldown: the number of steps after which it stops; without it, it acts to the end.
        threshold: the share of the picture, per channel, that is left alone: 0.9 changes the tenth where the concept
            matters most.
        weight: its part in the sum of all concepts.
        momentum: how much of the change so far goes on, once all concepts have warmed up.
        beta: how long momentum remembers: near 1, the steps long ago count most.
    """
    return Semantic(
        concept=concept,
        direction=direction,
        scale=scale,
        warmup=warmup,
        cooldown=cooldown,
        threshold=threshold,
        weight=weight,
        momentum=momentum,
        beta=beta,
    )
