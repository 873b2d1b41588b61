"""What techniques see: the run (fixed before the first step), the step (the present state), and which of them act."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import torch
from torch import Tensor

from weft.nodes.sampling.noise import draw
from weft.nodes.technique import AttentionRule, Branch, Order, Predictions, Technique, View
from weft.nodes.technique.layout import coverage, merged

if TYPE_CHECKING:
    from weft.engine.cache.trails import Trails
    from weft.nodes.sampling.schedule import Schedule
    from weft.nodes.technique.layout import Rows
    from weft.nodes.values import Conditioning

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Resume:
    """Where steps of earlier runs are found.

    recipe: everything that the denoiser and the empty prompt are made of, as `Contents.key` takes it.
    said: called with the number of steps taken from an earlier run, and of all.
    """

    trails: Trails
    recipe: Any
    said: Callable[[int, int], object] | None = None


@dataclass(eq=False)
class Run:
    """One denoising of B images.

    unet: the denoiser, in eval mode. schedule: its calls and levels.
    shape: (B, C, H, W) of the latents. device, dtype: where the denoiser runs and in which numbers; the latents
        themselves are float32 on that device.
    generators: one CPU generator per image, seeded seed + k; all noise of image k comes from number k.
    noise: (B, C, H, W), the first draw of each generator, or what the run was given in place of it.
    clean: (B, C, H, W), the latents that the run starts from, without noise; None for text to image.
    pure_noise: begin from noise alone even where `clean` is given (inpainting at full strength).
    scale_factor: pixels per latent pixel.
    time_ids: (1, 6) of SDXL's size conditioning, or None. scale_embedding: width of the guidance-scale embedding of
        distilled models, or 0.
    empty: makes the conditioning of an absent negative prompt.
    resume: where steps of earlier runs are found and this one's are kept; None for neither.
    """

    unet: Any
    schedule: Schedule
    shape: tuple[int, int, int, int]
    generators: Sequence[torch.Generator]
    noise: Tensor
    device: torch.device
    dtype: torch.dtype
    clean: Tensor | None = None
    pure_noise: bool = False
    time_ids: Tensor | None = None
    empty: Callable[[], Conditioning] | None = None
    techniques: Sequence[Technique] = ()
    views: Sequence[View] = ()
    scale_factor: int = 8
    scale_embedding: int = 0
    resume: Resume | None = None
    _states: dict[int, Any] = field(default_factory=dict)
    _derived: dict[int, Any] = field(default_factory=dict)
    _empty: Conditioning | None = None

    @property
    def batch(self) -> int:
        """B, the number of images."""
        return self.shape[0]

    @property
    def base(self) -> Technique:
        """The one term that makes the prediction to start from."""
        return next(technique for technique in self.techniques if technique.base)

    def coverage(self) -> Tensor:
        """How many views see each pixel of the canvas, (1, 1, H, W) on the CPU: ones where there are no views."""
        return coverage(self.views, *self.shape[-2:])

    def merged(self, parts: Tensor) -> Tensor:
        """The mean over all views at each pixel, (images, c, H, W), of what views have: rows view after view."""
        return merged(parts, self.views, *self.shape[-2:])

    def state(self, technique: Technique, factory: Callable[[], T]) -> T:
        """What `technique` remembers of this run's steps: made by `factory` at the first call, the same object after.

        See `Technique.snapshot`.
        """
        # By identity: two techniques with equal parameters still have a state each.
        if id(technique) not in self._states:
            self._states[id(technique)] = factory()
        return self._states[id(technique)]

    def derived(self, technique: Technique, factory: Callable[[], T]) -> T:
        """As `state`, for what could be made anew at any step and would be the same."""
        if id(technique) not in self._derived:
            self._derived[id(technique)] = factory()
        return self._derived[id(technique)]

    def state_of(self, technique: Technique) -> Any:
        """The `state` that `technique` has; None when it has not asked for it so far."""
        return self._states.get(id(technique))

    def forget(self) -> None:
        """Drop all that belongs to techniques, as before the first step."""
        self._states.clear()
        self._derived.clear()

    def draw(self) -> Tensor:
        """Fresh noise (B, C, H, W), one draw from each image's generator."""
        return draw(self.shape, self.generators, self.device)

    def empty_conditioning(self) -> Conditioning:
        """The conditioning of an absent negative prompt: the encoding of "", or zeros where the model wants them."""
        if self._empty is None:
            if self.empty is None:
                raise ValueError("this run cannot encode an empty prompt: give the negative prompt")
            self._empty = self.empty()
        return self._empty


_LISTED = ("guide", "branches", "channels", "residuals", "attention", "second", "after_step")
HOOKS = (*_LISTED, "combine", "combine_together")
"""What a technique is called for in each step that it acts in."""

Combine = Callable[["Step", Predictions, Tensor], Tensor]
"""One term of the prediction: `Technique.combine`, or what several techniques of one kind add together."""


@dataclass(frozen=True, eq=False)
class Active:
    """The techniques active at one call: by hook, only those that override it, in their order.

    wanted: roles that active techniques read from the base. combine: the terms, those of one kind in one.
    base_combine: of these what a run of the base alone has too, its own term and what rescales it.
    """

    wanted: frozenset[str]
    guide: tuple[Technique, ...]
    branches: tuple[Technique, ...]
    channels: tuple[Technique, ...]
    residuals: tuple[Technique, ...]
    attention: tuple[Technique, ...]
    second: tuple[Technique, ...]
    combine: tuple[Combine, ...]
    base_combine: tuple[Combine, ...]
    after_step: tuple[Technique, ...]


class Forward(Protocol):
    """Evaluates branches in one forward of the denoiser, or as few as memory allows."""

    def __call__(
        self,
        step: Step,
        branches: Iterable[Branch],
        latents: Tensor,
        rules: Sequence[AttentionRule] = (),
        images: Sequence[int] | None = None,
    ) -> Predictions:
        """The predictions of `branches`, each (B, C, H, W) float32; of some `images` alone, a row for each of these."""
        ...


@dataclass(slots=True, eq=False)
class Step:
    """One call of the denoiser, and what hooks may ask about it.

    index: 0 to `run.schedule.calls` - 1. latents: (B, C, H, W) float32 at level `index`, unscaled.
    branches: those of the forward, known from `attention` on; within `predict`, those that it is asked for.
    moved: latents (B, C, H, W), unscaled, of single branches in place of the common ones, where `guide` moves the rows
        of one branch alone.
    rows: those of the forward that is under way or was last, for attention rules that depend on a row's place.
    """

    run: Run
    index: int
    latents: Tensor
    active: Active
    forward: Forward
    branches: tuple[Branch, ...] = ()
    moved: dict[Branch, Tensor] = field(default_factory=dict)
    rows: Rows | None = None

    @property
    def timestep(self) -> Tensor:
        """The scheduler's timestep, a 0-dim CPU tensor (an integer or not, by scheduler)."""
        return self.run.schedule.timesteps[self.index]

    @property
    def calls(self) -> int:
        """How many calls the run has."""
        return self.run.schedule.calls

    @property
    def whole(self) -> bool:
        """Whether a whole step ends with this call: False between the two stages of Heun's."""
        return self.run.schedule.whole(self.index)

    @property
    def wanted(self) -> frozenset[str]:
        """Roles that active techniques read; the base has to give them."""
        return self.active.wanted

    def base_branches(self) -> list[Branch]:
        """The branches of the run's base in this step."""
        return list(self.run.base.branches(self))

    def base_prediction(self, predictions: Predictions) -> Tensor:
        """What the base, and what rescales it, make of predictions for branches with its roles."""
        prediction = predictions.role("cond")
        for combine in self.active.base_combine:
            prediction = combine(self, predictions, prediction)
        return prediction

    def predict(
        self,
        branches: Iterable[Branch],
        latents: Tensor | None = None,
        *,
        rules: Sequence[AttentionRule] = (),
        grad: bool = False,
        images: Sequence[int] | None = None,
    ) -> Predictions:
        """Another forward at this level, with every active technique's channels and residuals.

        What techniques add to the attention as a condition (`bias`, `add`) acts here too; captures, edits and
        identities belong to the step's own forward.

        latents: (B, C, H, W), unscaled; None for the current ones. rules: attention rules for this forward alone.
        grad: keep the graph, for a gradient on `latents`. images: only these of the batch; the predictions have a row
            for each. Counts as one more call in the cost.
        """
        branches = tuple(branches)
        rules = [*self._conditions(branches), *rules]
        with torch.set_grad_enabled(grad):
            return self.forward(self, branches, self.latents if latents is None else latents, rules, images)

    def _conditions(self, branches: tuple[Branch, ...]) -> list[AttentionRule]:
        """The rules of active techniques that condition these branches."""
        if not self.active.attention:
            return []
        own, self.branches = self.branches, branches
        try:
            rules = [rule for technique in self.active.attention for rule in technique.attention(self)]
        finally:
            self.branches = own
        return [rule for rule in rules if rule.op in ("bias", "add")]

    def x0(self, prediction: Tensor, latents: Tensor | None = None) -> Tensor:
        """The clean latents that a prediction means at this level."""
        return self.run.schedule.x0(prediction, self.latents if latents is None else latents, self.index)

    def epsilon(self, prediction: Tensor, latents: Tensor | None = None) -> Tensor:
        """The noise that a prediction means at this level."""
        return self.run.schedule.epsilon(prediction, self.latents if latents is None else latents, self.index)

    def renoise(self, clean: Tensor, noise: Tensor) -> Tensor:
        """Clean latents with `noise` at this level. For the level reached, see `Schedule.renoise`."""
        return self.run.schedule.renoise(clean, noise, self.index)


def overrides(technique: Technique, hook: str) -> bool:
    """Whether a technique's class has its own form of a hook."""
    return getattr(type(technique), hook) is not getattr(Technique, hook)


def expand(techniques: Iterable[Technique]) -> list[Technique]:
    """All parts of the techniques, sorted by `order`; equal places keep the order given."""
    parts = [part.narrowed(technique.window) for technique in techniques for part in technique.expand()]
    return sorted(parts, key=lambda part: part.order)


def activity(ordered: Sequence[Technique], calls: int) -> list[Active]:
    """For each call what is active. Equal sets share one object."""
    known: dict[tuple[bool, ...], Active] = {}
    timeline = []
    for index in range(calls):
        mask = tuple(technique.inside(index, calls) for technique in ordered)
        if mask not in known:
            present = [technique for technique, on in zip(ordered, mask, strict=True) if on]
            rows = [technique for technique, on in zip(ordered, mask, strict=True) if on or technique.base]
            hooks: dict[str, Any] = {hook: tuple(t for t in rows if overrides(t, hook)) for hook in _LISTED}
            hooks["combine"] = _terms(present)
            hooks["base_combine"] = _terms(t for t in present if t.base or t.order == Order.RESCALE)
            known[mask] = Active(frozenset().union(*(technique.needs for technique in present)), **hooks)
        timeline.append(known[mask])
    return timeline


def _terms(techniques: Iterable[Technique]) -> tuple[Combine, ...]:
    """What these add to the prediction, in their order; a kind that acts together has the place of its first."""
    kinds: dict[Any, list[Technique]] = {}
    terms: list[Combine] = []
    for technique in techniques:
        if overrides(technique, "combine_together"):
            together = type(technique).combine_together
            if together not in kinds:
                kinds[together] = []
                terms.append(partial(together, kinds[together]))
            kinds[together].append(technique)
        elif overrides(technique, "combine"):
            terms.append(technique.combine)
    return tuple(terms)
