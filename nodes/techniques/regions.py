"""Region prompts (MultiDiffusion, arXiv 2302.08113, section 4.2): each part of the canvas follows its own prompt.

Cost: a row per region, in the one forward. On a panorama, a row per region and view.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, ClassVar

from weft.engine import NodeView, Problem, Range, node, value
from weft.nodes.checks import same_size
from weft.nodes.technique import Branch, Order, Predictions, Technique
from weft.nodes.values import Conditioning, Guidance, Mask

if TYPE_CHECKING:
    from torch import Tensor

    from weft.nodes.sampling.run import Run, Step


@value("guidance.regions")
@dataclass(frozen=True, eq=False, kw_only=True)
class Regions(Guidance):
    """e_c becomes (1 - sum w_k) e_c + sum w_k e_k, before the base term; w_k = strength m_k, at most 1 in sum.

    Where masks overlap so far that they exceed 1, their prompts share the pixel in proportion. What no mask covers
    follows the base's prompt, so every pixel has one.

    prompts, masks: region by region; 1 = here.
    """

    # The base guides away from the unconditional prediction whatever conditional one it is given.
    order: ClassVar[int] = Order.BASE - 10
    counts_calls: ClassVar[bool] = False

    prompts: tuple[Conditioning, ...]
    masks: tuple[Mask, ...]
    strength: float = 1.0

    def expand(self) -> Sequence[Technique]:
        """Nothing at strength 0."""
        return (self,) if self.strength > 0 else ()

    def setup(self, run: Run) -> None:
        """The weights, so that masks that do not fit are found before the first step."""
        run.derived(self, lambda: _Regions(self, run))

    def branches(self, step: Step) -> Iterable[Branch]:
        """A row for each region."""
        return step.run.derived(self, lambda: _Regions(self, step.run)).branches(self.prompts, step)

    def combine(self, step: Step, predictions: Predictions, prediction: Tensor) -> Tensor:
        """The conditional prediction, put together from the regions'."""
        state = step.run.derived(self, lambda: _Regions(self, step.run))
        mixed = state.rest * prediction
        for weight, branch in zip(state.weights, self.branches(step), strict=True):
            mixed = mixed + weight * predictions[branch]
        return mixed


class _Regions:
    """What a run keeps: weights (1 or B, 1, H, W) of each region and of the rest, and the branches."""

    def __init__(self, regions: Regions, run: Run) -> None:
        import torch

        from weft.nodes.sampling.inpaint import latent_mask

        height, width = run.shape[2:]
        weights = []
        for number, mask in enumerate(regions.masks, start=1):
            weight = latent_mask(mask, height, width, run.scale_factor, binary=False).to(run.device)
            if run.batch % weight.shape[0]:
                raise ValueError(f"region {number} has {weight.shape[0]} masks, which do not fit {run.batch} images")
            if weight.shape[0] > 1:
                weight = weight.repeat(run.batch // weight.shape[0], 1, 1, 1)
            weights.append(regions.strength * weight)
        total = sum(weights, start=torch.zeros((), device=run.device))
        self.weights = [weight / total.clamp(min=1) for weight in weights]
        self.rest = (1 - total).clamp(min=0)
        self._branches: tuple[Branch, ...] = ()

    def branches(self, prompts: Iterable[Conditioning], step: Step) -> tuple[Branch, ...]:
        """One for each prompt, the same objects in every step."""
        if not self._branches:
            cond = next(branch for branch in step.base_branches() if branch.role == "cond")
            self._branches = tuple(
                replace(cond, name=f"region {number}", role="region", conditioning=prompt)
                for number, prompt in enumerate(prompts, start=1)
            )
        return self._branches


def _check(view: NodeView) -> Iterable[Problem]:
    prompts, masks = len(view.sources("prompts")), len(view.sources("masks"))
    if prompts != masks:
        message = _uneven(prompts, masks)
        yield Problem(code="bad_value", node=view.id, input="masks", message=message, given=masks, expected=prompts)


def _uneven(prompts: int, masks: int) -> str:
    return f"{prompts} prompts and {masks} masks: every region needs one of each, in the same order"


@node("regions", category="guidance", tags=(same_size("masks", or_latents=True),), check=_check)
def regions(
    prompts: list[Conditioning],
    masks: list[Mask],
    strength: Annotated[float, Range(0.0, 1.0)] = 1.0,
) -> Guidance:
    """Give parts of the image prompts of their own (MultiDiffusion, arXiv 2302.08113).

    It changes what the base term, such as `cfg`, guides towards: within a mask its prompt, elsewhere the base's.
    Where masks overlap their prompts share the pixels. Works on panoramas too: masks are of the whole canvas.

    Args:
        prompts: one for each region.
        masks: where each prompt acts, in the same order; each of the image's size. Soft edges mix.
        strength: how much the prompts replace the base's within their masks; 0 is off.
    """
    prompts = [prompts] if isinstance(prompts, Conditioning) else list(prompts)
    masks = [masks] if isinstance(masks, Mask) else list(masks)
    if len(prompts) != len(masks):
        raise ValueError(_uneven(len(prompts), len(masks)))
    return Regions(prompts=tuple(prompts), masks=tuple(masks), strength=strength)
