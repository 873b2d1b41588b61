"""Perturbed-attention guidance (arXiv 2403.17377): away from what the model makes without looking around.

Cost: one more row in the forward, in the steps where its scale is above 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Annotated, ClassVar

from weft.engine import NodeView, Problem, Range, node, value
from weft.nodes.technique import AttentionRule, Branch, Order, Predictions, Site, Technique
from weft.nodes.technique.layers import absent, chosen, layer_problem
from weft.nodes.values import Guidance

if TYPE_CHECKING:
    from torch import Tensor

    from weft.nodes.sampling.run import Run, Step

TIMESTEPS = 1000


@value("guidance.pag")
@dataclass(frozen=True, eq=False, kw_only=True)
class PerturbedAttention(Guidance):
    """e + p (e_c - e_ptb), p = max(0, scale - adaptive (1000 - t)).

    layers: where the self-attention of the perturbed row is the identity; see `chosen`.
    """

    order: ClassVar[int] = Order.PERTURBED
    needs: ClassVar[frozenset[str]] = frozenset({"cond"})
    counts_calls: ClassVar[bool] = False

    scale: float = 3.0
    adaptive: float = 0.0
    layers: tuple[str, ...] = ("mid",)

    def expand(self) -> Sequence[Technique]:
        """Nothing at a scale of 0."""
        return (self,) if self.scale > 0 else ()

    def setup(self, run: Run) -> None:
        """Refuse layers that this model does not have, naming those that it has."""
        from weft.nodes.sampling.attention import sites

        names = [site.name for site, _ in sites(run.unet, *run.shape[-2:]).values() if site.kind == "self"]
        for layer in self.layers:
            if (message := absent("pag", "self", layer, names)) is not None:
                raise ValueError(message)

    def branches(self, step: Step) -> Iterable[Branch]:
        """The conditional row once more."""
        if self._scale(step) <= 0:
            return ()
        rows, cond = step.run.derived(self, _Perturbed), _cond(step)
        if rows.branch is None or rows.branch.conditioning is not cond.conditioning:
            rows.branch = replace(cond, name="perturbed", role="perturbed")
            rows.rules = (AttentionRule("identity", self._where, (rows.branch,)),)
        if cond in step.moved:
            step.moved[rows.branch] = step.moved[cond]
        return (rows.branch,)

    def attention(self, step: Step) -> Iterable[AttentionRule]:
        """Identity in the chosen layers."""
        return step.run.derived(self, _Perturbed).rules if self._scale(step) > 0 else ()

    def combine(self, step: Step, predictions: Predictions, prediction: Tensor) -> Tensor:
        """Away from the perturbed prediction."""
        scale = self._scale(step)
        branch = step.run.derived(self, _Perturbed).branch
        if scale <= 0 or branch is None:
            return prediction
        return prediction + scale * (predictions.role("cond") - predictions[branch])

    def _scale(self, step: Step) -> float:
        if not self.adaptive:
            return self.scale
        return self.scale - self.adaptive * (TIMESTEPS - float(step.timestep))

    def _where(self, site: Site) -> bool:
        return site.kind == "self" and any(chosen(layer, site.name) for layer in self.layers)


@dataclass(eq=False)
class _Perturbed:
    """The row and its rule, the same objects from step to step."""

    branch: Branch | None = None
    rules: tuple[AttentionRule, ...] = field(default=())


def _cond(step: Step) -> Branch:
    return next(branch for branch in step.base_branches() if branch.role == "cond")


def _check(view: NodeView) -> Iterable[Problem]:
    """Layers that some model could have."""
    layers = view.literals.get("layers")
    if not isinstance(layers, (list, tuple)):
        return
    if not layers:
        message = "pag needs at least one layer, such as mid; to switch it off, set scale to 0"
        yield Problem(code="bad_value", node=view.id, input="layers", message=message, given=[])
    for layer in layers:
        wrong = layer_problem(layer) if isinstance(layer, str) else None
        if wrong:
            message, suggestion = wrong
            yield Problem(
                code="bad_value", node=view.id, input="layers", message=message, given=layer, suggestion=suggestion
            )


@node("pag", category="guidance", check=_check)
def pag(
    scale: Annotated[float, Range(0.0, 100.0, usual=(0.0, 10.0))] = 3.0,
    adaptive: Annotated[float, Range(0.0, 1.0)] = 0.0,
    layers: list[str] = ["mid"],  # noqa: B006 - the signature is the schema; it is never changed
) -> Guidance:
    """Clearer structure, with or without a prompt (perturbed-attention guidance, arXiv 2403.17377).

    The prompt is evaluated once more with the self-attention of some layers switched off, which loses structure, and
    the prediction is moved away from that.

    Args:
        scale: how far to move away; 0 is off.
        adaptive: weakens it as the run goes on: the scale falls by this much with every one of the model's 1000
            timesteps, and stays at 0 once it is there.
        layers: where self-attention is switched off: mid, down or up, one block (down_blocks.1), or one part of it
            (up_blocks.0.attentions.1).
    """
    if not layers:
        raise ValueError("pag needs at least one layer, such as mid; to switch it off, set scale to 0")
    for layer in layers:
        wrong = layer_problem(layer)
        if wrong:
            raise ValueError(wrong[0])
    return PerturbedAttention(scale=scale, adaptive=adaptive, layers=tuple(layers))
