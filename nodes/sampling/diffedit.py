"""Where the predictions for two prompts differ, by one forward of the loop's machinery."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext

import torch
from torch import Tensor

from weft.engine import Context
from weft.nodes.models.parts import place_of
from weft.nodes.prompts.batch import batched
from weft.nodes.sampling.attention import processors_in
from weft.nodes.sampling.begin import begin, scheduler_config
from weft.nodes.sampling.forward import Forward
from weft.nodes.sampling.noise import generators
from weft.nodes.sampling.run import Run, Step, activity, expand, overrides
from weft.nodes.sampling.schedule import Schedule, build_scheduler
from weft.nodes.technique import Branch, Technique
from weft.nodes.values import Conditioning, Model


def difference_mask(
    model: Model,
    clean: Tensor,
    prompts: tuple[Conditioning, Conditioning],
    negatives: tuple[Conditioning | None, Conditioning] | None,
    *,
    scale: float,
    controls: Sequence[Technique],
    maps: int,
    strength: float,
    ratio: float,
    threshold: float,
    steps: int,
    seed: int,
    ctx: Context,
) -> Tensor:
    """A mask (B, H, W) of 0 and 1, float32 on the CPU, from clean latents (B, C, H, W). See `diffedit_mask`.

    negatives: of both prompts where they differ. With equal ones both predictions have the same unconditional part,
    which their difference does not.
    Raises ValueError where `strength` leaves no step.
    """
    parts = model.parts()
    unet = parts.unet
    device, _ = place_of(unet)
    images, (height, width) = clean.shape[0], clean.shape[-2:]
    shape = (images * maps, clean.shape[1], height, width)
    schedule = Schedule(build_scheduler("ddim", scheduler_config(model)), steps, strength=strength, device=device)
    if schedule.calls == 0:
        raise ValueError(f"strength {strength:g} of {steps} steps is less than one step: there is no noise to look at")
    # Each image has `maps` rows in a row, whose noises come one after the other from its generator.
    sources = [source for source in generators(seed, images) for _ in range(maps)]
    repeated = clean.repeat_interleave(maps, dim=0)
    run = begin(model, unet, schedule, shape, sources, expand(controls), ctx, clean=repeated)
    prompts = (_repeated(prompts[0], maps), _repeated(prompts[1], maps))
    if negatives is not None:
        first = negatives[0] if negatives[0] is not None else run.empty_conditioning()
        negatives = (_repeated(first, maps), _repeated(negatives[1], maps))
    (source, target), (without_source, without_target) = _branches(run, prompts, negatives, scale)
    assert run.clean is not None
    attention = any(overrides(technique, "attention") for technique in run.techniques)
    with torch.no_grad(), processors_in(unet, height, width) if attention else nullcontext() as processors:
        forward = Forward(run, processors)
        latents = schedule.renoise(run.clean, run.noise, 0)
        step = Step(run, 0, latents, activity(run.techniques, schedule.calls)[0], forward)
        for technique in run.techniques:
            technique.setup(run)
        branches = [branch for branch in (without_source, source, without_target, target) if branch is not None]
        step.branches = tuple(branches)
        rules = [rule for technique in step.active.attention for rule in technique.attention(step)]
        predictions = forward(step, branches, latents, rules)
    difference = predictions[target] - predictions[source]
    if without_source is not None and without_target is not None:
        uncond = predictions[without_target] - predictions[without_source]
        difference = uncond + scale * (difference - uncond)
    size = difference.abs().reshape(images, maps, *shape[1:]).mean(dim=(1, 2)).cpu()
    # The limit is each image's own, so that a batch gives what single images give.
    limit = size.mean(dim=(1, 2), keepdim=True) * ratio
    return (size.minimum(limit) > threshold * limit).float()


def _repeated(prompt: Conditioning, maps: int) -> Conditioning:
    """Prompts of single images for `maps` rows each."""
    singles = prompt.singles()
    return prompt if len(singles) == 1 else batched([single for single in singles for _ in range(maps)])


def _branches(
    run: Run,
    prompts: tuple[Conditioning, Conditioning],
    negatives: tuple[Conditioning, Conditioning] | None,
    scale: float,
) -> tuple[tuple[Branch, Branch], tuple[Branch | None, Branch | None]]:
    source, target = (
        Branch(name, "cond", prompt, guidance_scale=scale)
        for name, prompt in zip(("source", "target"), prompts, strict=True)
    )
    if negatives is None or run.scale_embedding:
        return (source, target), (None, None)
    return (source, target), (
        Branch("without source", "uncond", negatives[0]),
        Branch("without target", "uncond", negatives[1]),
    )
