"""Attend-and-Excite (arXiv 2301.13826): every named subject gets attention somewhere in the picture.

Cost: in the steps before `max_iter`, and in those of `thresholds`, one forward of the prompt alone with its gradient;
up to `refinements` more where a threshold is missed. No other step costs anything.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from weft.engine import NodeView, Problem, Range, node, value
from weft.nodes.checks import base_views, check_words, prompt_texts
from weft.nodes.prompts.words import spans_in_each
from weft.nodes.values import Guidance

if TYPE_CHECKING:
    from torch import Tensor

    from weft.nodes.sampling.run import Run, Step
    from weft.nodes.technique import Branch

THRESHOLDS = {"0": 0.05, "10": 0.5, "20": 0.8}
CONTRAST = 100.0


@value("guidance.attend_and_excite")
@dataclass(frozen=True, eq=False, kw_only=True)
class AttendAndExcite(Guidance):
    """x - scale sqrt(1 .. 1/2) grad max_k max(0, 1 - a_k), with a_k the highest attention that token k gets.

    subjects: words, or several in a row; every token of every place where they stand has to be attended to.
    thresholds: (step, attention that each token needs there before the run goes on).
    resolution: rows of the maps; 0 is a quarter of the latents'.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"cond"})

    subjects: tuple[str, ...]
    max_iter: int = 25
    thresholds: tuple[tuple[int, float], ...] = ()
    scale: float = 20.0
    refinements: int = 20
    resolution: int = 0

    def identity(self, index: int, calls: int) -> tuple[Any, ...] | None:
        """Of thresholds and `max_iter` only what holds in this step; None where it does nothing."""
        threshold = dict(self.thresholds).get(index) if self.refinements else None
        alters = index < self.max_iter
        if not self.scale or not (alters or threshold is not None):
            return None
        refinements = 0 if threshold is None else self.refinements
        return calls, self.subjects, self.scale, self.resolution, alters, threshold, refinements

    def guide(self, step: Step) -> Tensor | None:
        """Latents at which the subjects are attended to. Each image of a batch has its own loss."""
        threshold = dict(self.thresholds).get(step.index)
        alters = step.index < self.max_iter
        if not self.scale or not (alters or (threshold is not None and self.refinements)):
            return None
        focus = step.run.derived(self, lambda: self._focus(step))
        size = self._step_size(step)
        latents = step.latents
        images = list(range(step.run.batch))
        losses, gradient = focus.losses(step, latents, images)
        if threshold is not None and self.refinements:
            behind = [image for image in images if float(losses[image]) > max(0.0, 1.0 - threshold)]
            refined = behind
            for iteration in range(self.refinements):
                if not behind:
                    break
                if iteration:
                    losses, gradient = focus.losses(step, latents, behind, gradient)
                latents = _descend(latents, gradient, size, behind)
                if iteration:
                    # The latents have moved once more when their former loss turns out to be low enough.
                    behind = [image for image in behind if float(losses[image]) > max(0.0, 1.0 - threshold)]
            if refined and alters:
                _, gradient = focus.losses(step, latents, refined, gradient)
        return _descend(latents, gradient, size, images) if alters else latents

    def _step_size(self, step: Step) -> float:
        """From `scale` at the first call to 0.71 of it at the last."""
        return self.scale * math.sqrt(1.0 - 0.5 * step.index / max(1, step.calls - 1))

    def _focus(self, step: Step) -> _Focus:
        """What to look at: found once a run. Raises ValueError for unknown words or a resolution without maps."""

        branch = next(branch for branch in step.base_branches() if branch.role == "cond")
        prompts = branch.conditioning.singles()
        tokens: list[dict[int, None]] = [{} for _ in prompts]
        for subject in self.subjects:
            for own, spans in zip(tokens, spans_in_each(prompts, subject), strict=True):
                for first, end in spans:
                    own.update(dict.fromkeys(range(first, end)))
        chunk = branch.conditioning.chunk_length
        return _Focus(branch, [list(own) for own in tokens], chunk, _map_size(step.run, self.resolution))


@dataclass(frozen=True, eq=False)
class _Focus:
    """The branch, the numbers of its tokens, and rows and columns of the maps to average.

    tokens: of each image's prompt, or of the one for all. chunk: from one start token to the next.
    """

    branch: Branch
    tokens: list[list[int]]
    chunk: int
    size: tuple[int, int]

    def losses(
        self, step: Step, latents: Tensor, images: Sequence[int], others: Tensor | None = None
    ) -> tuple[dict[int, Tensor], Tensor]:
        """Loss by image, and the gradient (B, C, H, W); for images not asked for, that of `others`.

        With views each view has its own maps; an image's loss is its worst view's, and where views overlap the mean
        of their gradients counts.
        """
        import torch

        from weft.nodes.sampling.maps import Maps

        run = step.run
        maps = Maps(self.branch, lambda site: site.kind == "cross" and site.resolution == self.size)
        with torch.enable_grad():
            leaf = latents.detach().requires_grad_()
            chosen = None if len(images) == run.batch else images
            step.predict([self.branch], leaf, rules=[maps.rule], grad=True, images=chosen)
            found = maps.take(len(images) * max(1, len(run.views)))
            # The order of the mean is diffusers': layers on the way up first.
            ordered = sorted(found.items(), key=lambda item: ("up", "down", "mid").index(item[0].place))
            rows = [self.tokens[image if len(self.tokens) > 1 else 0] for image in images]
            losses = _losses([maps for _, maps in ordered], self.size, rows, self.chunk)
            (gradient,) = torch.autograd.grad(losses.sum(), leaf)
        if run.views:
            gradient = gradient / run.coverage().to(gradient.device)
        if others is not None:
            asked = torch.zeros(run.batch, 1, 1, 1, dtype=torch.bool)
            asked[list(images)] = True
            gradient = torch.where(asked.to(gradient.device), gradient, others)
        worst = losses.detach().unflatten(0, (-1, len(images))).amax(0).cpu()
        return dict(zip(images, worst, strict=True)), gradient


def _losses(maps: Sequence[Tensor], size: tuple[int, int], rows: list[list[int]], chunk: int) -> Tensor:
    """`subject_losses` of each row, (n,), with tokens of its own: those of `rows`, over and over. 0 without any."""
    import torch

    if all(row == rows[0] for row in rows):
        return subject_losses(maps, size, rows[0], chunk)
    # A row whose prompt has none of the subjects is left as it is.
    single = [
        subject_losses([found[n : n + 1] for found in maps], size, rows[n % len(rows)], chunk)
        if rows[n % len(rows)]
        else torch.zeros(1, device=maps[0].device)
        for n in range(len(maps[0]))
    ]
    return torch.cat(single)


def subject_losses(
    maps: Sequence[Tensor], size: tuple[int, int], tokens: Sequence[int], chunk: int | None = None
) -> Tensor:
    """How far the least attended of some tokens is from full attention, (n,), 0 to 1.

    maps: probabilities (n, heads, queries, keys) of layers of one size. tokens: numbers among the keys. chunk: how many
    keys lie between a start token and the next, in a prompt of several chunks; None is all.
    """
    import torch
    from torch.nn import functional

    stacked = torch.cat([found.float() for found in maps], dim=1)
    mean = stacked.sum(1) / stacked.shape[1]
    keys = mean.shape[-1]
    length = chunk if chunk is not None and keys % chunk == 0 else keys
    # The first token of a chunk draws most attention whatever the picture, and the last is padding.
    words = mean.unflatten(-1, (-1, length))[..., 1:-1].flatten(-2)
    shares = (words * CONTRAST).softmax(dim=-1)
    places = [token - 1 - 2 * (token // length) for token in tokens]
    chosen = shares[..., places].transpose(1, 2).unflatten(-1, size)
    # As in the authors' code, whose Gaussian of sigma 0.5 has the exponent -(x / 2 sigma)^2.
    bell = torch.exp(-(torch.tensor([-1.0, 0.0, 1.0], device=mean.device) ** 2))
    kernel = bell[:, None] * bell[None, :]
    kernel = (kernel / kernel.sum())[None, None]
    flat = chosen.flatten(0, 1)[:, None]
    smooth = functional.conv2d(functional.pad(flat, (1, 1, 1, 1), mode="reflect"), kernel)
    highest = smooth.flatten(1).amax(1).unflatten(0, (-1, len(tokens)))
    return functional.relu(1.0 - highest).max(dim=1).values


def _descend(latents: Tensor, gradient: Tensor, size: float, images: Sequence[int]) -> Tensor:
    """Some images moved against the gradient."""
    moved = latents.clone()
    moved[list(images)] = latents[list(images)] - size * gradient[list(images)]
    return moved


def _map_size(run: Run, resolution: int) -> tuple[int, int]:
    """Rows and columns of the maps to look at."""
    from weft.nodes.sampling.maps import map_sizes

    sizes = [size for size in map_sizes(run) if min(size) > 1]
    if resolution:
        for size in sizes:
            if size[0] == resolution:
                return size
        rows = ", ".join(str(size[0]) for size in sizes) or "none large enough"
        raise ValueError(f"attend_and_excite: no cross-attention map has {resolution} rows here, there are: {rows}")
    if not sizes:
        raise ValueError("attend_and_excite: the picture is too small, its cross-attention maps have one row or column")
    height = (run.views[0].height if run.views else run.shape[2]) / 4
    return min(sizes, key=lambda size: abs(math.log(size[0] / height)))


def read_thresholds(thresholds: Mapping[str, float]) -> tuple[tuple[int, float], ...]:
    """(step, attention) in order. Raises ValueError for what is no step or no share."""
    problems = list(_threshold_problems(thresholds))
    if problems:
        raise ValueError(problems[0])
    return tuple(sorted((int(step), float(attention)) for step, attention in thresholds.items()))


def _threshold_problems(thresholds: Mapping[str, object]) -> Iterable[str]:
    for step, attention in thresholds.items():
        if not (str(step).isascii() and str(step).isdigit()):
            yield f"a threshold stands at a step, a number from 0 on, not at {step!r}"
        if isinstance(attention, (int, float)) and not 0 <= attention <= 1:
            yield f"the threshold at step {step} is a share from 0 to 1, not {attention}"


def _check(view: NodeView) -> Iterable[Problem]:
    """Subjects that the prompt has, and thresholds that are some."""
    subjects = view.literals.get("subjects")
    if isinstance(subjects, (list, tuple)):
        if not subjects and not view.sources("subjects"):
            message = "attend_and_excite needs at least one word of the prompt"
            yield Problem(code="bad_value", node=view.id, input="subjects", message=message, given=[])
        for base in base_views(view):
            yield from check_words(view, "subjects", subjects, prompt_texts(base))
    thresholds = view.literals.get("thresholds")
    if isinstance(thresholds, Mapping):
        for message in _threshold_problems(thresholds):
            yield Problem(code="bad_value", node=view.id, input="thresholds", message=message, given=dict(thresholds))


@node("attend_and_excite", category="guidance", check=_check)
def attend_and_excite(
    subjects: list[str],
    max_iter: Annotated[int, Range(0, 1000)] = 25,
    thresholds: dict[str, float] = THRESHOLDS,
    scale: Annotated[float, Range(0.0, 1000.0, usual=(0.0, 50.0))] = 20.0,
    refinements: Annotated[int, Range(0, 100)] = 20,
    resolution: Annotated[int, Range(0, 1024)] = 0,
) -> Guidance:
    """Make sure that every named subject appears (Attend-and-Excite, arXiv 2301.13826).

    Early in the run, when it is decided what stands where, the latents are moved until each subject's word is attended
    to somewhere in the picture. It goes beside a base such as `cfg`, in whose prompt the words are looked up.

    Args:
        subjects: words of the prompt, such as "cat" and "red circle". Of a word that stands there several times, each
            place needs its own attention. Of prompts for each image of a batch (`batch_prompts`) one at least needs the
            word, and each image is held to those that its own prompt has.
        max_iter: the number of steps in which the latents are moved.
        thresholds: by step, how much attention each subject must have got there, 0 to 1; where it has not, the step is
            refined before the run goes on. The default is for 50 steps.
        scale: how far to move the latents; 0 is off.
        refinements: how many moves a threshold may take at most.
        resolution: rows of the attention maps to look at; 0 is a quarter of the latents', 16 for pictures of 512
            pixels.
    """
    if not subjects or not all(subject.strip() for subject in subjects):
        raise ValueError("attend_and_excite needs at least one word of the prompt, and no empty ones")
    return AttendAndExcite(
        subjects=tuple(subjects),
        max_iter=max_iter,
        thresholds=read_thresholds(thresholds),
        scale=scale,
        refinements=refinements,
        resolution=resolution,
    )
