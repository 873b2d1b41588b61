"""Self-attention guidance (SAG, arXiv 2210.00939): away from the picture with blurred what the model looks at.

Cost: one more row in a second forward, which needs the first one's result. Where several techniques have such rows,
they share that forward.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, ClassVar

from weft.engine import Range, node, value
from weft.nodes.technique import AttentionRule, Branch, Order, Predictions, Site, Technique
from weft.nodes.values import Guidance

if TYPE_CHECKING:
    from torch import Tensor

    from weft.nodes.sampling.maps import Maps
    from weft.nodes.sampling.run import Step

RADIUS, SIGMA = 4, 1.0
FOCUS = 1.0
"""How much attention a place gets from all others together on average: what gets more is looked at."""


@value("guidance.sag")
@dataclass(frozen=True, eq=False, kw_only=True)
class SelfAttention(Guidance):
    """e + scale (e_u - e_deg), e_deg at latents whose x0 is blurred where the mid block's self-attention is high.

    The rows that it looks at are the unconditional ones, or the conditional ones in a run that has no others.
    """

    order: ClassVar[int] = Order.SELF_ATTENTION
    counts_calls: ClassVar[bool] = False

    scale: float = 0.75

    def expand(self) -> Sequence[Technique]:
        """Nothing at a scale of 0."""
        return (self,) if self.scale else ()

    def attention(self, step: Step) -> Iterable[AttentionRule]:
        """Catches the mid block's first self-attention of the reference rows. Nothing in the second forward."""
        from weft.nodes.sampling.maps import Maps

        state = step.run.derived(self, _Degraded)
        reference = _reference(step)
        if reference not in step.branches:
            return ()
        state.reference, state.maps = reference, Maps(reference, _first_mid)
        return (state.maps.rule,)

    def second(self, step: Step, predictions: Predictions) -> Iterable[Branch]:
        """The reference row once more, degraded."""
        import torch

        state = step.run.derived(self, _Degraded)
        reference = state.reference
        assert reference is not None
        latents = step.moved.get(reference, step.latents)
        clean = step.x0(predictions[reference], latents)
        mask = self._mask(step, state)
        blurred = torch.lerp(clean, blur(clean), mask)
        degraded = step.renoise(blurred, step.epsilon(predictions[reference], latents))
        state.branch = replace(reference, name="degraded", latents=degraded, like=reference)
        state.maps = None
        return (state.branch,)

    def combine(self, step: Step, predictions: Predictions, prediction: Tensor) -> Tensor:
        """Away from the degraded prediction."""
        state = step.run.derived(self, _Degraded)
        assert state.reference is not None
        assert state.branch is not None
        return prediction + self.scale * (predictions[state.reference] - predictions[state.branch])

    def _mask(self, step: Step, state: _Degraded) -> Tensor:
        """Where the model looks, (B, 1, H, W): 1 or 0, and between where overlapping views do not agree."""
        from torch.nn import functional

        run = step.run
        found = state.maps.take(run.batch * max(1, len(run.views))) if state.maps is not None else {}
        if not found:
            raise ValueError("sag: this model has no self-attention in its mid block")
        ((site, probabilities),) = found.items()
        # Received by each place from all queries, as a mean over heads.
        received = probabilities.float().mean(1).sum(1)
        small = (received > FOCUS).float().unflatten(1, site.resolution)[:, None]
        size = (run.views[0].height, run.views[0].width) if run.views else tuple(run.shape[-2:])
        mask = functional.interpolate(small, size=size)
        return run.merged(mask) if run.views else mask


@dataclass(eq=False)
class _Degraded:
    """The row that is looked at, its attention in the present step, and the degraded row."""

    reference: Branch | None = None
    maps: Maps | None = None
    branch: Branch | None = None


def _reference(step: Step) -> Branch:
    rows = step.base_branches()
    return next((row for row in rows if row.role == "uncond"), rows[0])


def _first_mid(site: Site) -> bool:
    return site.kind == "self" and site.name.startswith("mid_block.attentions.0.transformer_blocks.0.")


def blur(latents: Tensor) -> Tensor:
    """Gaussian of 9 x 9 and sigma 1 over (B, C, H, W), mirrored at the edges. Raises ValueError for sides below 5."""
    import torch
    from torch.nn import functional

    height, width = latents.shape[-2:]
    if min(height, width) <= RADIUS:
        raise ValueError(
            f"sag blurs over {2 * RADIUS + 1} latent pixels, and the canvas has only {height} x {width}: make it larger"
        )
    places = torch.arange(-RADIUS, RADIUS + 1, dtype=latents.dtype, device=latents.device)
    bell = torch.exp(-0.5 * (places / SIGMA) ** 2)
    bell = bell / bell.sum()
    flat = functional.pad(latents.flatten(0, 1)[:, None], (RADIUS,) * 4, mode="reflect")
    # A Gaussian over both sides is one over each after the other.
    across = functional.conv2d(flat, bell.view(1, 1, 1, -1))
    return functional.conv2d(across, bell.view(1, 1, -1, 1))[:, 0].unflatten(0, latents.shape[:2])


@node("sag", category="guidance")
def sag(scale: Annotated[float, Range(0.0, 10.0, usual=(0.0, 2.0))] = 0.75) -> Guidance:
    """Finer detail, with or without a prompt (self-attention guidance, SAG, arXiv 2210.00939).

    What the model itself looks at is blurred and evaluated once more, and the prediction is moved away from that. It
    works under every scheduler.

    Args:
        scale: how far to move away; 0 is off, up to 1 is usual.
    """
    return SelfAttention(scale=scale)
