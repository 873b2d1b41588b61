"""The denoise loop. It knows no technique: it calls hooks in order, and the scheduler once per call."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor

from weft.nodes.sampling.attention import processors_in
from weft.nodes.sampling.forward import Forward
from weft.nodes.sampling.resume import recording
from weft.nodes.sampling.run import Active, Run, Step, activity, expand, overrides
from weft.nodes.technique import AttentionRule, Branch, Technique, View


@dataclass(frozen=True)
class Denoised:
    """What a run made. path: the start latents, then those after each call; its last are the result.

    calls, rows: forwards of the denoiser and rows in them. reused: steps that were taken from an earlier run.
    """

    path: list[Tensor]
    calls: int
    rows: int
    reused: int = 0


class NotFiniteError(ArithmeticError):
    """The latents turned into NaN or infinity."""


CHECK_EVERY = 8

Watch = Callable[[Step, Tensor], None]
"""Called after each call with the step and the final prediction; may raise to stop."""


def denoise_loop(run: Run, *, watch: Watch | None = None, max_units: int | None = None) -> Denoised:
    """Run the schedule from its first level to its last.

    run.techniques: as wired; exactly one of them is a base.
    watch: progress, previews and cancelling. max_units: images (or views) in one forward, None
    for what memory allows.
    Raises ValueError for techniques that exclude each other, NotFiniteError with the step's number.
    """
    run.techniques = expand(run.techniques)
    _one_base(run.techniques)
    run.views = _views(run)
    if run.schedule.calls == 0:
        return Denoised([_start(run)], 0, 0)
    run.schedule.bind(run.generators)
    timeline = activity(run.techniques, run.schedule.calls)
    size = (run.views[0].height, run.views[0].width) if run.views else (run.shape[2], run.shape[3])
    captures = any(overrides(t, "attention") or overrides(t, "guide") for t in run.techniques)
    # no_grad, not inference mode: techniques may take gradients through tensors made in here.
    with torch.no_grad(), processors_in(run.unet, *size) if captures else nullcontext() as processors:
        forward = Forward(run, processors, max_units)
        latents = _start(run)
        for technique in run.techniques:
            technique.setup(run)
        path = [latents]
        recorder = recording(run, timeline, latents, max_units)
        if recorder is not None:
            path = recorder.path
            latents = recorder.begin(timeline, forward)
        reused = len(path) - 1
        try:
            for index in range(reused, run.schedule.calls):
                active = timeline[index]
                step = Step(run, index, latents, active, forward)
                forward.new_step(step.base_branches())
                prediction = _predict(step)
                latents = run.schedule.step(prediction, index, step.latents)
                for technique in active.after_step:
                    latents = technique.after_step(step, latents)
                path.append(latents)
                if recorder is not None:
                    recorder.after_step()
                # Reading a result makes an accelerator wait, so not after every step. NaN stays NaN until it is seen.
                if (index + 1) % CHECK_EVERY == 0:
                    _check_finite(path, max(0, index + 2 - CHECK_EVERY))
                if watch is not None:
                    watch(step, prediction)
            _check_finite(path, 0)
        except NotFiniteError:
            recorder = None
            raise
        finally:
            # Also when it was cancelled: the next run goes on from here.
            if recorder is not None:
                recorder.save()
    return Denoised(path, forward.calls, forward.rows, reused)


def _predict(step: Step) -> Tensor:
    """The prediction of one step, after every technique's term."""
    active = step.active
    for technique in active.guide:
        moved = technique.guide(step)
        if moved is not None:
            step.latents = moved.detach()
    branches: tuple[Branch, ...] = tuple(branch for technique in active.branches for branch in technique.branches(step))
    step.branches = branches
    rules = _rules(step, active)
    predictions = step.forward(step, branches, step.latents, rules)
    if active.second:
        more = [branch for technique in active.second for branch in technique.second(step, predictions)]
        if more:
            # Asked again, for these branches: what conditions every row has to reach them too.
            step.branches = tuple(more)
            predictions.update(step.forward(step, more, step.latents, _rules(step, active)))
            step.branches = branches
    prediction = predictions.role("cond")
    for combine in active.combine:
        prediction = combine(step, predictions, prediction)
    return prediction


def _rules(step: Step, active: Active) -> Sequence[AttentionRule]:
    if not active.attention:
        return ()
    return [rule for technique in active.attention for rule in technique.attention(step)]


def _start(run: Run) -> Tensor:
    """The first latents: a technique's, pure noise, or the given latents with noise at the first level."""
    owners = [technique for technique in run.techniques if overrides(technique, "start")]
    given = [latents for latents in (owner.start(run) for owner in owners) if latents is not None]
    if len(given) > 1:
        raise ValueError(f"{len(given)} techniques give the latents to start from; there can be one")
    if given:
        return given[0]
    if run.clean is None or run.pure_noise:
        return run.noise * run.schedule.init_noise_sigma
    return run.schedule.renoise(run.clean, run.noise, 0)


def _one_base(techniques: Sequence[Technique]) -> None:
    bases = [type(technique).__name__ for technique in techniques if technique.base]
    if len(bases) != 1:
        found = f"not {len(bases)} ({', '.join(bases)})" if bases else "and there is none"
        raise ValueError(f"guidance needs exactly one base term, such as cfg, {found}")


def _views(run: Run) -> Sequence[View]:
    owners = [technique for technique in run.techniques if overrides(technique, "views")]
    given = [views for views in (owner.views(run) for owner in owners) if views]
    if len(given) > 1:
        raise ValueError("two techniques divide the canvas into views; there can be one")
    if not given:
        return ()
    views, (height, width) = given[0], run.shape[2:]
    seen = torch.zeros(height, width, dtype=torch.bool)
    for view in views:
        if (view.height, view.width) != (views[0].height, views[0].width):
            raise ValueError("views must be of one size")
        if view.height > height or view.width > width:
            raise ValueError(f"a view of {view.height} x {view.width} is larger than the canvas, {height} x {width}")
        rows = torch.arange(view.top, view.top + view.height) % height
        seen[rows[:, None], torch.arange(view.left, view.left + view.width) % width] = True
    if not bool(seen.all()):
        raise ValueError(f"the views leave {int((~seen).sum())} of {seen.numel()} latent pixels uncovered")
    return views


def _check_finite(path: Sequence[Tensor], since: int) -> None:
    """Raise NotFiniteError naming the first step from `since` on whose latents are not finite."""
    # One sum is NaN or infinite when any element is.
    if math.isfinite(path[-1].sum().item()):
        return
    calls = len(path) - 1
    first = next(index for index in range(since, calls + 1) if not bool(torch.isfinite(path[index]).all()))
    raise NotFiniteError(f"the latents are not finite (NaN or infinity) after step {first}")
