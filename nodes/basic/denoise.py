"""The node around the denoise loop: sizes, seeds, the start, and what the run reports."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple, get_args

from weft.engine import Context, NodeView, Problem, Range, Widget, node
from weft.nodes.checks import SIZE_OF_RUN, check_fit, check_techniques, denoises, described_model, same_size
from weft.nodes.models.schedulers import scheduler_misfit
from weft.nodes.sampling.levels import MAX_SIGMA, MAX_TIMESTEP, Levels, SpacingName, TimestepSpacing, level_misfits
from weft.nodes.sampling.sizes import MAX_PIXELS, latent_shape, nearest_sizes, too_large
from weft.nodes.values import Control, Guidance, Latents, Mask, Model, Trajectory

if TYPE_CHECKING:
    from torch import Tensor

    from weft.nodes.models.parts import Parts
    from weft.nodes.sampling.run import Step

SchedulerName = Literal[
    "default",
    "ddim",
    "pndm",
    "euler",
    "euler_ancestral",
    "dpmpp_2m",
    "dpmpp_2m_karras",
    "dpmpp_sde",
    "dpmpp_3m_sde",
    "dpmpp_2s",
    "dpmpp_2s_sde",
    "unipc",
    "deis",
    "heun",
    "kdpm2",
    "kdpm2_ancestral",
    "lms",
    "lcm",
]
SCALE = 8
"""Pixels per latent pixel in every supported family; the run itself asks the model."""
MAX_SIDE = 8192


class Denoised(NamedTuple):
    """What denoising gives.

    Args:
        latents: the result, for `decode`.
        trajectory: the latents after every step.
    """

    latents: Latents
    trajectory: Trajectory


def _check(view: NodeView) -> Iterable[Problem]:
    """Techniques that go together and fit the model, its own scheduler, and sizes that it can have."""
    yield from check_techniques(view)
    yield from check_fit(view)
    yield from _scheduler(view)
    for side in ("width", "height"):
        size = view.literals.get(side)
        if isinstance(size, int) and size % SCALE:
            yield Problem(
                code="bad_value",
                node=view.id,
                input=side,
                message=f"{side} {size} has to be a multiple of {SCALE}: {nearest_sizes(size, SCALE)}",
                given=size,
            )
    width, height, batch = (view.literals.get(name) for name in ("width", "height", "batch"))
    if all(isinstance(number, int) for number in (width, height, batch)):
        pixels = int(width or 0) * int(height or 0) * int(batch or 1)
        if pixels > MAX_PIXELS:
            yield Problem(code="too_large", node=view.id, message=too_large(pixels), given=pixels, expected=MAX_PIXELS)


def _scheduler(view: NodeView) -> Iterable[Problem]:
    """A model's own scheduler that cannot step it, and noise levels that the scheduler cannot have."""
    name, timesteps = view.literals.get("scheduler"), view.literals.get("timesteps")
    model = described_model(view) if name == "default" or timesteps else None
    config = model.scheduler if model is not None else None
    own = str(config.get("_class_name", "DDIMScheduler")) if config is not None and name == "default" else None
    message = scheduler_misfit(own) if own is not None else None
    if message is not None:
        others = [choice for choice in get_args(SchedulerName) if choice != "default"]
        message = f"{message}: choose one of {', '.join(others)}"
        yield Problem(code="bad_value", node=view.id, input="scheduler", message=message, given=own, expected=others)
        return
    levels = _levels(view)
    # What is not there to choose, or out of its range, is another problem, said already.
    if levels is None or not isinstance(name, str) or name not in get_args(SchedulerName):
        return
    for found in level_misfits(name, config, levels):
        yield Problem(code="bad_value", node=view.id, **vars(found))


def _levels(view: NodeView) -> Levels | None:
    """The levels that a node asks for, as far as they are written out; None where they break the rules of an input."""
    spacing, timestep_spacing = (view.literals.get(input, "default") for input in ("spacing", "timestep_spacing"))
    sigmas, timesteps = (view.literals.get(input, ()) for input in ("sigmas", "timesteps"))
    sound = spacing in get_args(SpacingName) and timestep_spacing in get_args(TimestepSpacing)
    for numbers, kinds, high in ((sigmas, (int, float), MAX_SIGMA), (timesteps, (int,), MAX_TIMESTEP)):
        sound = sound and isinstance(numbers, (list, tuple))
        sound = sound and all(type(number) in kinds and 0 <= number <= high for number in numbers)
    return Levels(spacing, timestep_spacing, tuple(sigmas), tuple(timesteps)) if sound else None


@node(
    "denoise",
    version=2,  # rows that see pictures, old folders' schedulers, prompts of two lengths: equal inputs, other results
    category="sampling",
    migrations={1: dict},
    resource="device",
    tags=(denoises(), SIZE_OF_RUN, same_size("mask", or_latents=True), same_size("noise")),
    check=_check,
    resumes=("guidance", "controls", "sigmas"),
)
def denoise(
    model: Model,
    guidance: list[Guidance],
    controls: list[Control] = [],  # noqa: B006 - the signature is the schema; it is never changed
    start: Latents | None = None,
    strength: Annotated[float, Range(0.0, 1.0)] = 1.0,
    mask: Mask | None = None,
    steps: Annotated[int, Range(1, 1000, usual=(10, 100))] = 30,
    scheduler: SchedulerName = "default",
    eta: Annotated[float, Range(0.0, 1.0)] = 0.0,
    seed: Annotated[int, Range(0, 2**63 - 1), Widget("seed")] = 0,
    batch: Annotated[int, Range(1, 64)] = 1,
    width: Annotated[int, Range(0, MAX_SIDE)] = 0,
    height: Annotated[int, Range(0, MAX_SIDE)] = 0,
    masked: Latents | None = None,
    noise: Latents | None = None,
    spacing: SpacingName = "default",
    timestep_spacing: TimestepSpacing = "default",
    sigmas: Annotated[list[float], Range(0.0, MAX_SIGMA)] = [],  # noqa: B006 - likewise
    timesteps: Annotated[list[int], Range(0, MAX_TIMESTEP)] = [],  # noqa: B006 - likewise
    ctx: Context | None = None,
) -> Denoised:
    """Denoise latents step by step, under any number of techniques at once.

    All techniques share one loop: their rows join one forward of the denoiser, and their terms add up in a fixed
    order, whatever the order of the wires.

    Args:
        model: the denoiser, and the scheduler configuration.
        guidance: exactly one base term, such as `cfg`, and any number of others.
        controls: what adds to the denoiser's input or inner states.
        start: latents to begin from (image to image, inpainting); without it, noise.
        strength: how much of the way to denoise from `start`, or from the latents that a technique starts with
            (`diffedit`): 1 is all of it, 0 returns `start` as it is.
        mask: where to change, 1, and where to keep `start`, 0; of the image's size.
        steps: number of steps; where there are `sigmas` or `timesteps`, it is theirs instead. Schedulers in two stages
            (heun, kdpm2) evaluate the denoiser twice a step.
        scheduler: how to step; default is the model's own. dpmpp_sde is the multistep form, one evaluation a step. lms
            needs scipy.
        eta: noise added in each step by ddim, 0 for none; other schedulers ignore it.
        seed: image k of the batch is drawn with seed + k, and equals that seed alone.
        batch: number of images; `start` is repeated as needed.
        width: in pixels; 0 is the size of `start` or of `noise`, or the model's own.
        height: in pixels; 0 likewise.
        masked: for inpainting models with 9 channels: latents of the image with the masked part blanked
            (`encode_masked_image`).
        noise: noise of your own (`noise`, `blend`), mean 0 and variance 1, in place of what `seed` draws first: what
            the run begins with, or what is added to `start`. One for each image of the batch; it gives the size where
            nothing else does. What a scheduler adds in its steps is still drawn with `seed`, and is the same as
            without.
        spacing: how the noise levels lie between the most and the least noise; default is as the model's configuration
            says, uniform is that of the training steps. Not every scheduler can have every one. beta needs scipy.
        timestep_spacing: which of the training steps are taken; trailing begins at the very last one.
        sigmas: noise levels by hand, a step for each, from the most noise down. The 0 at the end may be left out.
        timesteps: training steps by hand in place of `sigmas`, from at most 999 down, a step for each.
    """
    import torch

    from weft.nodes.models.parts import place_of
    from weft.nodes.sampling.begin import begin, repeated, scale_embedding, scheduler_config
    from weft.nodes.sampling.inpaint import inpainting
    from weft.nodes.sampling.loop import denoise_loop
    from weft.nodes.sampling.noise import generators
    from weft.nodes.sampling.schedule import Schedule, build_scheduler

    ctx = ctx or Context()
    guidance = [guidance] if isinstance(guidance, Guidance) else list(guidance)
    controls = [controls] if isinstance(controls, Control) else list(controls)
    # A technique may bring what the run begins with; it then gives the size as `start` does, and strength acts.
    origin = start or next((latents for item in (*guidance, *controls) if (latents := item.origin())), None)
    if noise is not None and start is None and origin is not None:
        raise ValueError("`noise` and a technique both give the latents to start from; there can be one")
    shape = latent_shape(model, origin, batch, width, height, noise)
    if noise is not None and not bool(torch.isfinite(noise.samples).all()):
        raise ValueError("`noise` holds NaN or infinity")
    parts = model.parts()
    device, _ = place_of(parts.unet)
    levels = Levels(spacing, timestep_spacing, tuple(sigmas), tuple(timesteps))
    sampler = build_scheduler(scheduler, scheduler_config(model), levels)
    part = strength if origin is not None else 1.0
    distilled = scale_embedding(parts.unet) > 0
    schedule = Schedule(sampler, steps, levels=levels, strength=part, eta=eta, spread=distilled, device=device)
    run = begin(
        model,
        parts.unet,
        schedule,
        shape,
        generators(seed, shape[0]),
        [*guidance, *controls, *inpainting(model, mask, masked, start, shape, device)],
        ctx,
        clean=repeated(start.samples, shape[0]) if start is not None else None,
        pure_noise=start is None or (mask is not None and strength == 1.0),
        noise=noise.samples if noise is not None else None,
    )
    if schedule.calls == 0:
        ctx.log.warning(
            "strength %g of %d steps is less than one step: the start is returned as it is",
            strength,
            len(levels.noisy or levels.timesteps) or steps,
        )
    result = denoise_loop(run, watch=_Watch(ctx, parts))
    path = list(torch.stack(result.path).cpu()) if device.type != "cpu" else result.path
    trajectory = Trajectory(
        scheduler=type(sampler).__name__ if scheduler == "default" else scheduler,
        seeds=tuple(seed + number for number in range(shape[0])),
        timesteps=tuple(float(timestep) for timestep in schedule.timesteps),
        sigmas=tuple(float(s / a) for s, a in zip(schedule.sigmas, schedule.alphas, strict=True)),
        latents=tuple(path),
    )
    return Denoised(Latents(path[-1]), trajectory)


class _Watch:
    """Progress, previews and cancelling, after each call of the denoiser."""

    def __init__(self, ctx: Context, parts: Parts) -> None:
        self._ctx = ctx
        self._parts = parts
        self._previewer: Any = None

    def __call__(self, step: Step, prediction: Tensor) -> None:
        self._ctx.progress(step.index + 1, step.calls)
        if self._ctx.wants_preview():
            if self._previewer is None:
                from weft.nodes.sampling.preview import Previewer

                self._previewer = Previewer(self._parts.vae)
            self._ctx.preview(*self._previewer(step.x0(prediction)))
