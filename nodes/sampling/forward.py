"""The batched forward: the rows of all branches, images and views evaluated together, and taken apart again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from weft.nodes.models.description import channel_message
from weft.nodes.technique import AttentionRule, Branch, Predictions, Residuals, Technique, View
from weft.nodes.technique.layout import Rows, Units

if TYPE_CHECKING:
    from weft.nodes.sampling.attention import Processors
    from weft.nodes.sampling.run import Run, Step
    from weft.nodes.values import Conditioning


BUDGET = 2**33
"""Bytes that the inner states of one forward may take, roughly: what is wider goes in several forwards."""


class Forward:
    """Evaluates branches for a run.

    max_units: how many images (or views of images) go in one forward; None for as many as `BUDGET` allows. Out of
        memory halves it.
    calls, rows: how many forwards ran and how many rows they had, for costs and tests.
    """

    def __init__(self, run: Run, processors: Processors | None, max_units: int | None = None) -> None:
        self.run = run
        self.processors = processors
        self.max_units = max_units
        self.calls = 0
        self.rows = 0
        self._prepared: dict[Any, Any] = {}
        self._chunks: dict[tuple[int, ...] | None, list[Units]] = {}
        self._chunked_by: int | None = -1
        self._shared: dict[tuple[Branch, Any], Residuals] = {}
        self._blank: dict[Technique, Tensor] = {}
        self._longest: Conditioning | None = None
        self._sized: Conditioning | None = None
        self._in_channels = int(run.unet.config.in_channels)
        width = run.unet.config.cross_attention_dim
        self._text_width = width if isinstance(width, int) and run.unet.config.encoder_hid_dim is None else None

    def __call__(
        self,
        step: Step,
        branches: Iterable[Branch],
        latents: Tensor,
        rules: Sequence[AttentionRule] = (),
        images: Sequence[int] | None = None,
    ) -> Predictions:
        """The predictions of `branches`, each (B, C, H, W) float32; of some `images` alone, a row for each of these."""
        chosen = None if images is None else tuple(images)
        while True:
            try:
                return self._evaluate(step, tuple(dict.fromkeys(branches)), latents, rules, chosen)
            except torch.OutOfMemoryError:
                largest = max(len(units) for units in self.chunks(chosen))
                if largest == 1:
                    raise
                self.max_units = (largest + 1) // 2

    def new_step(self, base: Iterable[Branch] = ()) -> None:
        """Forget what only holds within a step. base: the base's branches in it."""
        if self._shared:
            self._shared = {}
        self._longest = self._sized = None
        self._meet(base)

    def _meet(self, branches: Iterable[Branch]) -> None:
        """Remember the longest prompt of the step that says what shorter ones are filled up with, and whose sizes those
        without sizes of their own share: the base's prompt.

        So all rows of a step are alike where they do not differ on purpose, whichever forward they are in.
        """
        for branch in branches:
            found = branch.conditioning
            if self._sized is None and branch.role == "cond" and found.sizes:
                self._sized = found
            known = 0 if self._longest is None else self._longest.text.shape[1]
            if found.padding is not None and found.text.shape[1] > known:
                self._longest = found

    def _filling(self, conditioning: Conditioning) -> tuple[Tensor, int] | None:
        """What fills a prompt up to the step's longest one, and how often; None where nothing does."""
        longest = self._longest
        if longest is None or conditioning.text.shape[1] >= longest.text.shape[1]:
            return None
        padding = longest.padding if conditioning.padding is None else conditioning.padding
        if padding is None:
            return None
        times, rest = divmod(longest.text.shape[1] - conditioning.text.shape[1], padding.shape[1])
        return None if rest else (padding, times)

    def _length(self, conditioning: Conditioning) -> int:
        """The tokens of a prompt as the denoiser sees it."""
        filling = self._filling(conditioning)
        return int(conditioning.text.shape[1] + (filling[0].shape[1] * filling[1] if filling else 0))

    def chunks(self, images: tuple[int, ...] | None = None) -> list[Units]:
        """The units of each forward. All branches of a unit stay together: attention rules may relate them.

        images: None for all. The lists are kept: what is prepared for units is found by their object.
        """
        if self._chunked_by != self.max_units:
            self._chunks, self._chunked_by = {}, self.max_units
        if images not in self._chunks:
            chosen = range(self.run.batch) if images is None else images
            views: Sequence[View | None] = self.run.views or (None,)
            pairs = [(view, image) for view in views for image in chosen]
            size = self.max_units or _units_that_fit(self.run)
            parts = [pairs[at : at + size] for at in range(0, len(pairs), size)]
            self._chunks[images] = [Units(part, self.run.batch) for part in parts]
        return self._chunks[images]

    def _evaluate(
        self,
        step: Step,
        branches: tuple[Branch, ...],
        latents: Tensor,
        rules: Sequence[AttentionRule],
        images: tuple[int, ...] | None,
    ) -> Predictions:
        if not branches:
            return Predictions()
        chunks = self.chunks(images)
        self._meet(branches)
        groups = self._by_length(branches, tiled=not rules)
        if len(chunks) == 1 and len(groups) == 1 and not self.run.views:
            output = self._forward(step, branches, chunks[0], latents, rules)
            return Predictions(zip(branches, output.chunk(len(branches)), strict=True))
        parts: dict[Branch, list[Tensor]] = {branch: [] for branch in branches}
        for units in chunks:
            for group in groups:
                output = self._forward(step, group, units, latents, rules)
                for branch, part in zip(group, output.chunk(len(group)), strict=True):
                    parts[branch].append(part)
        if self.run.views:
            return Predictions((branch, self.run.merged(torch.cat(pieces))) for branch, pieces in parts.items())
        return Predictions({b: pieces[0] if len(pieces) == 1 else torch.cat(pieces) for b, pieces in parts.items()})

    def _by_length(self, branches: tuple[Branch, ...], tiled: bool) -> list[tuple[Branch, ...]]:
        """Prompts that differ in length, filled up, cannot share a tensor; each length gets a forward of its own.

        tiled: a length that divides the longest shares its forward: attention to states that stand there n times over
        is attention to them once. Not with rules, which look at each key.
        """
        lengths = {self._length(branch.conditioning) for branch in branches}
        if len(lengths) == 1 or (tiled and all(max(lengths) % length == 0 for length in lengths)):
            return [branches]
        groups: dict[int, list[Branch]] = {}
        for branch in branches:
            groups.setdefault(self._length(branch.conditioning), []).append(branch)
        return [tuple(group) for group in groups.values()]

    def _forward(
        self,
        step: Step,
        branches: tuple[Branch, ...],
        units: Units,
        latents: Tensor,
        rules: Sequence[AttentionRule],
    ) -> Tensor:
        run, active = self.run, step.active
        sample = self._sample(step, branches, units, latents)
        text, added, guidance = self._states(branches, units)
        rows = Rows(branches, units, sample, run.schedule.on_device[step.index], text, added, guidance)
        step.rows = rows
        options: dict[str, Any] = self._residuals(step, rows) if active.residuals else {}
        if active.channels:
            sample = torch.cat([sample, self._channels(step, rows)], dim=1)
        if sample.shape[1] != self._in_channels:
            raise ValueError(channel_message(self._in_channels, sample.shape[1]))
        if rules and self.processors is not None:
            self.processors.begin(rules, rows)
        self.calls += 1
        self.rows += len(branches) * len(units)
        try:
            output = run.unet(
                sample,
                rows.timestep,
                encoder_hidden_states=text,
                timestep_cond=guidance,
                added_cond_kwargs=added,
                return_dict=False,
                **options,
            )[0]
        finally:
            if rules and self.processors is not None:
                self.processors.end()
        return output if output.dtype == torch.float32 else output.float()

    def _sample(self, step: Step, branches: tuple[Branch, ...], units: Units, latents: Tensor) -> Tensor:
        """The scaled latents of every row, (R, C, h, w)."""
        schedule, dtype = self.run.schedule, self.run.dtype
        common = units.take(schedule.scale(latents, step.index)).to(dtype)
        owned = [branch.latents if branch.latents is not None else step.moved.get(branch) for branch in branches]
        if all(own is None for own in owned):
            return common if len(branches) == 1 else torch.cat([common] * len(branches))
        return torch.cat(
            [common if own is None else units.take(schedule.scale(own, step.index)).to(dtype) for own in owned]
        )

    def _states(
        self, branches: tuple[Branch, ...], units: Units
    ) -> tuple[Tensor, dict[str, Tensor] | None, Tensor | None]:
        """Text states and added conditions of every row; remembered as long as the same set of branches returns."""
        conditionings = tuple(branch.conditioning for branch in branches)
        scales = tuple(branch.guidance_scale for branch in branches)
        key = (conditionings, scales, units, self._longest, self._sized)
        if key not in self._prepared:
            self._prepared[key] = self._join(conditionings, scales, units)
        return self._prepared[key]

    def _join(
        self,
        conditionings: Sequence[Conditioning],
        scales: Sequence[float | None],
        units: Units,
    ) -> tuple[Tensor, dict[str, Tensor] | None, Tensor | None]:
        run, images = self.run, units.images

        text, added, guidance = self._spread("text", conditionings, images), None, None
        if run.time_ids is not None:
            time_ids = torch.cat([size_ids(c, self._sized, run, images) for c in conditionings])
            added = {
                "text_embeds": self._spread("pooled", conditionings, images),
                "time_ids": time_ids.to(run.device, run.dtype),
            }
        elif any(conditioning.sizes for conditioning in conditionings):
            raise ValueError("a prompt comes with sizes, which SDXL alone reads: leave size_conditioning away")
        if run.scale_embedding:
            values = [1.0 if scale is None else scale for scale in scales for _ in images]
            guidance = embed_scale(torch.tensor(values), run.scale_embedding).to(run.device, run.dtype)
        return text, added, guidance

    def _spread(self, name: str, conditionings: Sequence[Conditioning], images: list[int]) -> Tensor:
        """One state of all prompts, (R, ...), a row per row of the forward."""
        run, states = self.run, []
        for conditioning in conditionings:
            state = getattr(conditioning, name)
            if state is None:
                raise ValueError("this model needs pooled text states: was the prompt encoded by another model?")
            if name == "text" and self._text_width not in (None, state.shape[-1]):
                raise ValueError(
                    f"the prompt's states are {state.shape[-1]} wide and this model reads {self._text_width}: "
                    "was the prompt encoded by another model?"
                )
            if state.shape[0] not in (1, run.batch):
                raise ValueError(
                    f"there are prompts for {state.shape[0]} images and denoise makes {run.batch}: set `batch` to "
                    f"{state.shape[0]}, or give as many prompts"
                )
            filling = self._filling(conditioning) if name == "text" else None
            if filling is not None:
                state = filled_up(state, *filling)
            state = state.to(run.device, run.dtype)
            states.append(state.expand(len(images), *state.shape[1:]) if state.shape[0] == 1 else state[images])
        if name == "text":
            longest = max(state.shape[1] for state in states)
            states = [s if s.shape[1] == longest else s.repeat(1, longest // s.shape[1], 1) for s in states]
        return torch.cat(states)

    def _channels(self, step: Step, rows: Rows) -> Tensor:
        """All techniques' extra channels side by side, (R, c, h, w)."""
        sides = []
        for technique in step.active.channels:
            found = [technique.channels(step, branch) for branch in rows.branches]
            # In a forward of nothing but such branches (the second one of SAG) the first one tells how many.
            present = next((extra for extra in found if extra is not None), self._blank.get(technique))
            if present is None:
                continue
            self._blank[technique] = present
            # A branch that is given nothing still needs the channels: zeros.
            filled = [torch.zeros_like(present) if extra is None else extra for extra in found]
            side = torch.cat([rows.units.take(extra) for extra in filled])
            sides.append(side.to(rows.sample.device, rows.sample.dtype))
        return torch.cat(sides, dim=1) if sides else rows.sample[:, :0]

    def _residuals(self, step: Step, rows: Rows) -> dict[str, Any]:
        """The summed residuals of all techniques, as the UNet takes them."""
        shared = [self._shared.get((branch.like, rows.units)) if branch.like else None for branch in rows.branches]
        if all(part is not None for part in shared):
            total = _stack([part for part in shared if part is not None])
        else:
            total = _sum([t.residuals(step, rows) for t in step.active.residuals])
            for branch in rows.branches:
                self._shared[branch, rows.units] = _slice(total, rows.span(branch))
        options: dict[str, Any] = {}
        if total.down or total.mid is not None:
            options["down_block_additional_residuals"] = tuple(total.down)
            options["mid_block_additional_residual"] = total.mid
        if total.intra:
            # A list of its own for each call: the UNet takes them out of it one by one.
            options["down_intrablock_additional_residuals"] = list(total.intra)
        return options


def filled_up(states: Tensor, padding: Tensor, times: int) -> Tensor:
    """Text states (1 or B, L, D) with padding (1 or B, l, D) after them, so many times over."""
    rows = max(len(states), len(padding))
    padding = padding.to(states).expand(rows, -1, -1).repeat(1, times, 1)
    return torch.cat([states.expand(rows, -1, -1), padding], dim=1)


def size_ids(conditioning: Conditioning, shared: Conditioning | None, run: Run, images: Sequence[int]) -> Tensor:
    """SDXL's size conditioning of a prompt's rows, (n, 6), one for each of some images.

    shared: whose sizes it takes where it has none. What is 0 is the run's own.
    """
    own = run.time_ids
    assert own is not None
    sizes = conditioning.sizes or (shared.sizes if shared is not None else ())
    if not sizes:
        return own.expand(len(images), -1)
    given = torch.tensor(sizes, dtype=own.dtype)
    given = torch.where(given == 0, own, given)
    return given.expand(len(images), -1) if len(given) == 1 else given[list(images)]


def _units_that_fit(run: Run) -> int:
    """How many images or views fit `BUDGET`. From sizes alone, so that equal runs are split, and round, equally."""
    height, width = (run.views[0].height, run.views[0].width) if run.views else run.shape[-2:]
    # About 24 feature maps of the first level are alive at once, and four branches are a usual number.
    row = 24 * height * width * int(run.unet.config.block_out_channels[0]) * run.dtype.itemsize
    return max(1, BUDGET // (4 * row))


def _sum(found: Sequence[Residuals | None]) -> Residuals:
    """Residuals of several techniques added up, term by term."""
    present = [item for item in found if item is not None]

    def add(lists: list[Sequence[Tensor]]) -> tuple[Tensor, ...]:
        filled = [tensors for tensors in lists if tensors]
        if len({len(tensors) for tensors in filled}) > 1:
            raise ValueError("two techniques give different numbers of residuals: is one for another model family?")
        return tuple(sum(terms[1:], start=terms[0]) for terms in zip(*filled, strict=True))

    mids = [item.mid for item in present if item.mid is not None]
    return Residuals(
        add([item.down for item in present]),
        sum(mids[1:], start=mids[0]) if mids else None,
        add([item.intra for item in present]),
    )


def _slice(total: Residuals, span: slice) -> Residuals:
    mid = None if total.mid is None else total.mid[span]
    return Residuals(tuple(t[span] for t in total.down), mid, tuple(t[span] for t in total.intra))


def _stack(parts: Sequence[Residuals]) -> Residuals:
    mids = [part.mid for part in parts if part.mid is not None]
    return Residuals(
        tuple(torch.cat(terms) for terms in zip(*(part.down for part in parts), strict=True)),
        torch.cat(mids) if mids else None,
        tuple(torch.cat(terms) for terms in zip(*(part.intra for part in parts), strict=True)),
    )


def embed_scale(scale: Tensor, width: int) -> Tensor:
    """Sinusoidal embedding (n, width) of guidance scales (n,), for models distilled with it (arXiv 2310.04378)."""
    half = width // 2
    positions = (scale - 1.0).float() * 1000.0
    frequencies = torch.exp(torch.arange(half) * -(torch.log(torch.tensor(10000.0)) / (half - 1)))
    angles = positions[:, None] * frequencies[None, :]
    embedding = torch.cat([torch.sin(angles), torch.cos(angles)], dim=1)
    return torch.nn.functional.pad(embedding, (0, width - 2 * half))
