"""Pix2Pix Zero (arXiv 2302.03027): turn one thing into another, of a generated picture or of a real one.

Cost: three forwards a step, each with the base's rows: the reference, the gradient, and the step itself. The reference
is drawn along, so that only one step's attention maps are held at a time.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, NamedTuple

from weft.engine import Context, NodeView, Problem, Range, node, value
from weft.nodes.technique import Branch
from weft.nodes.values import Conditioning, Guidance, Model

if TYPE_CHECKING:
    from torch import Tensor

    from weft.nodes.sampling.companion import Companion
    from weft.nodes.sampling.run import Run, Step


@value("guidance.pix2pix_zero")
@dataclass(frozen=True, eq=False, kw_only=True)
class Pix2PixZero(Guidance):
    """x - amount grad sum over layers of the mean over rows and heads of |p - p_reference|^2, for the rows of the base.

    Each row of the base moves by its own gradient, as in the authors' code, and the latents go on from where the
    unconditional row was moved to.

    prompt: of the reference, the picture before the edit, whose attention is to be kept.
    """

    # After whatever else moves the latents: the edit starts from there, and the two losses are not summed.
    order: ClassVar[int] = 60
    needs: ClassVar[frozenset[str]] = frozenset({"cond"})

    prompt: Conditioning
    amount: float = 0.1

    def snapshot(self, run: Run) -> Any:
        """The reference's trajectory so far."""
        companion: Companion | None = run.state_of(self)
        return None if companion is None else companion.snapshot()

    def restore(self, step: Step, snapshot: Any) -> None:
        """The reference's trajectory so far."""
        from weft.nodes.sampling.companion import Companion

        step.run.state(self, lambda: Companion(step, self.prompt)).restore(snapshot)

    def guide(self, step: Step) -> Tensor | None:
        """Latents at which the edit's cross-attention is nearer to that of the reference."""
        if not self.amount:
            return None
        from weft.nodes.sampling.companion import Companion

        companion = step.run.state(self, lambda: Companion(step, self.prompt))
        pairs = companion.pairs(step)
        wanted = _reference(step, companion, pairs)
        moved = _descended(step, [branch for branch, _ in pairs], wanted, self.amount)
        first = next((branch for branch in moved if branch.role == "uncond"), pairs[0][0])
        common = moved.pop(first)
        step.moved.update(moved)
        return common


def _reference(step: Step, companion: Companion, pairs: list[tuple[Branch, Branch]]) -> list[list[Tensor]]:
    """The reference's cross-attention, (units, heads, queries, keys) by branch and layer; it takes its step."""
    from weft.nodes.sampling.maps import Maps, cross

    branches = [own for _, own in pairs]
    maps = [Maps(branch, cross) for branch in branches]
    predictions = step.predict(branches, rules=[part.rule for part in maps])
    companion.advance(step, pairs, predictions)
    return [list(part.take(_units(step)).values()) for part in maps]


def _descended(step: Step, branches: list[Branch], wanted: list[list[Tensor]], amount: float) -> dict[Branch, Tensor]:
    """The latents of each branch, moved against the gradient of its distance from the wanted maps."""
    import torch

    from weft.nodes.sampling.maps import Maps, cross

    with torch.enable_grad():
        leaves = [step.moved.get(branch, step.latents).detach().clone().requires_grad_() for branch in branches]
        rows = [replace(branch, latents=leaf) for branch, leaf in zip(branches, leaves, strict=True)]
        maps = [Maps(row, cross) for row in rows]
        step.predict(rows, rules=[part.rule for part in maps], grad=True)
        loss = torch.zeros((), device=step.latents.device)
        for part, references in zip(maps, wanted, strict=True):
            for found, reference in zip(part.take(_units(step)).values(), references, strict=True):
                # Rows of different images do not touch: one sum gives each image the gradient of its own loss.
                distance = (found.float() - reference.float()).square().sum((2, 3)).sum()
                loss = loss + distance / (len(branches) * found.shape[1])
        gradients = torch.autograd.grad(loss, leaves)
    seen = step.run.coverage().to(step.latents.device)
    moves = zip(branches, leaves, gradients, strict=True)
    return {branch: leaf.detach() - amount * gradient / seen for branch, leaf, gradient in moves}


def _units(step: Step) -> int:
    """How many rows a branch has: one per image, or per view of each."""
    return step.run.batch * max(1, len(step.run.views))


class Edit(NamedTuple):
    """What an edit consists of.

    Args:
        guidance: keeps the reference's composition; for `denoise.guidance`, beside the base.
        prompt: the prompt moved from source to target; for the prompt of the base.
    """

    guidance: Guidance
    prompt: Conditioning


def _check(view: NodeView) -> Iterable[Problem]:
    """Sentences on both sides."""
    for side in ("source", "target"):
        sentences = view.literals.get(side)
        if isinstance(sentences, (list, tuple)) and not sentences and not view.sources(side):
            message = f"pix2pix_zero needs at least one sentence about the {side}"
            yield Problem(code="bad_value", node=view.id, input=side, message=message, given=[])


@node("pix2pix_zero", category="guidance", resource="device", check=_check)
def pix2pix_zero(
    model: Model,
    prompt: Conditioning,
    source: list[str],
    target: list[str],
    amount: Annotated[float, Range(0.0, 100.0)] = 0.1,
    ctx: Context | None = None,
) -> Edit:
    """Turn one thing into another and keep the picture around it (Pix2Pix Zero, arXiv 2302.03027).

    Sentences about each give a direction from source to target, by which the prompt is moved: link the output `prompt`
    to the prompt of `cfg`, and `guidance` to `denoise` beside it. For a generated picture keep its prompt and seed. For
    a real one, `invert` it with a prompt that describes it, begin with `from_inversion`, and give `cfg` that prompt as
    the negative one too.

    Args:
        model: the denoiser, whose text encoders read the sentences.
        prompt: of the picture before the edit; no longer than the text encoder takes at once.
        source: sentences about what is there, such as "a cat on a street" and "a photo of a cat".
        target: sentences about what shall be there instead, best the same with the thing exchanged.
        amount: how strongly attention is held to where it was; 0 only moves the prompt. For models that predict v,
            0.01 or less.
    """
    from weft.nodes.prompts.encode import encode

    ctx = ctx or Context()
    for side, sentences in (("source", source), ("target", target)):
        if not sentences:
            raise ValueError(f"pix2pix_zero needs at least one sentence about the {side}")
    with model.parts() as parts:
        encoded = [[encode(parts, text, log=ctx.log, cut=True) for text in side] for side in (source, target)]
    before, after = (_mean(side) for side in encoded)
    length, width = before.text.shape[1:]
    if width != prompt.text.shape[2]:
        raise ValueError("pix2pix_zero: the prompt was encoded by another model")
    if length != prompt.text.shape[1]:
        raise ValueError(
            f"pix2pix_zero: the prompt has {prompt.text.shape[1]} tokens, and only one that the text encoder takes at "
            f"once, of {length}, can be moved: shorten it"
        )
    pooled = prompt.pooled
    if pooled is not None and before.pooled is not None and after.pooled is not None:
        pooled = pooled + (after.pooled - before.pooled)
    moved = replace(prompt, text=prompt.text + (after.text - before.text), pooled=pooled)
    return Edit(Pix2PixZero(prompt=prompt, amount=amount), moved)


def _mean(prompts: list[Conditioning]) -> Conditioning:
    """The mean of the states of some prompts, (1, L, D)."""
    import torch

    pooled = [prompt.pooled for prompt in prompts if prompt.pooled is not None]
    return Conditioning(
        torch.cat([prompt.text for prompt in prompts]).mean(0, keepdim=True),
        torch.cat(pooled).mean(0, keepdim=True) if pooled else None,
    )
