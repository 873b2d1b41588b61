"""The node around the denoise loop: sizes, seeds, the start, and what the run reports."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

from weft.engine import Context, NodeView, Problem, Range, Widget, node
from weft.nodes.checks import SIZE_OF_RUN, check_fit, check_techniques, denoises, same_size
from weft.nodes.values import Control, Guidance, Latents, Mask, Model, Trajectory

if TYPE_CHECKING:
    from torch import Tensor

    from weft.nodes.models.parts import Parts
    from weft.nodes.sampling.resume import Resume
    from weft.nodes.sampling.run import Step
    from weft.nodes.technique import Technique

SchedulerName = Literal[
    "default",
    "ddim",
    "pndm",
    "euler",
    "euler_ancestral",
    "dpmpp_2m",
    "dpmpp_2m_karras",
    "dpmpp_sde",
    "unipc",
    "heun",
    "lcm",
]
SCALE = 8
"""Pixels per latent pixel in every supported family; the run itself asks the model."""
MAX_SIDE = 8192
MAX_PIXELS = 2**26


class Denoised(NamedTuple):
    """What denoising gives.

    Args:
        latents: the result, for `decode`.
        trajectory: the latents after every step.
    """

    latents: Latents
    trajectory: Trajectory


def _check(view: NodeView) -> Iterable[Problem]:
    """Techniques that go together and fit the model, and sizes that it can have."""
    yield from check_techniques(view)
    yield from check_fit(view)
    for side in ("width", "height"):
        size = view.literals.get(side)
        if isinstance(size, int) and size % SCALE:
            yield Problem(
                code="bad_value",
                node=view.id,
                input=side,
                message=f"{side} has to be a multiple of {SCALE}: {_nearest(size, SCALE)}",
                given=size,
            )
    width, height, batch = (view.literals.get(name) for name in ("width", "height", "batch"))
    if all(isinstance(number, int) for number in (width, height, batch)):
        pixels = int(width or 0) * int(height or 0) * int(batch or 1)
        if pixels > MAX_PIXELS:
            yield Problem(code="too_large", node=view.id, message=_too_large(pixels), given=pixels, expected=MAX_PIXELS)


@node(
    "denoise",
    category="sampling",
    resource="device",
    tags=(denoises(), SIZE_OF_RUN, same_size("mask", or_latents=True)),
    check=_check,
)
def denoise(
    model: Model,
    guidance: list[Guidance],
    controls: list[Control] = [],  # noqa: B006 - the signature is the schema; it is never changed
    start: Latents | None = None,
    strength: Annotated[float, Range(0.0, 1.0)] = 1.0,
    mask: Mask | None = None,
    steps: Annotated[int, Range(1, 1000)] = 30,
    scheduler: SchedulerName = "default",
    eta: Annotated[float, Range(0.0, 1.0)] = 0.0,
    seed: Annotated[int, Range(0, 2**63 - 1), Widget("seed")] = 0,
    batch: Annotated[int, Range(1, 64)] = 1,
    width: Annotated[int, Range(0, MAX_SIDE)] = 0,
    height: Annotated[int, Range(0, MAX_SIDE)] = 0,
    masked: Latents | None = None,
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
        steps: number of steps. Schedulers in two stages (heun) evaluate the denoiser twice a step.
        scheduler: how to step; default is the model's own. dpmpp_sde is the multistep form, one evaluation a step.
        eta: noise added in each step by ddim, 0 for none; other schedulers ignore it.
        seed: image k of the batch is drawn with seed + k, and equals that seed alone.
        batch: number of images; `start` is repeated as needed.
        width: in pixels; 0 is the size of `start`, or the model's own.
        height: in pixels; 0 likewise.
        masked: for inpainting models with 9 channels: latents of the image with the masked part blanked
            (`encode_masked_image`).
    """
    import torch

    from weft.nodes.models.parts import place_of
    from weft.nodes.models.text import unconditional
    from weft.nodes.sampling.loop import denoise_loop
    from weft.nodes.sampling.noise import draw, generators
    from weft.nodes.sampling.run import Run
    from weft.nodes.sampling.schedule import Schedule, build_scheduler

    ctx = ctx or Context()
    guidance = [guidance] if isinstance(guidance, Guidance) else list(guidance)
    controls = [controls] if isinstance(controls, Control) else list(controls)
    # A technique may bring what the run begins with; it then gives the size as `start` does, and strength acts.
    begun = start or next((origin for item in (*guidance, *controls) if (origin := item.origin())), None)
    shape = _shape(model, begun, batch, width, height)
    parts = model.parts()
    unet = parts.unet
    device, dtype = place_of(unet)
    sampler = build_scheduler(scheduler, {**model.scheduler, "prediction_type": model.prediction})
    distilled = int(unet.config.get("time_cond_proj_dim") or 0)
    part = strength if begun is not None else 1.0
    schedule = Schedule(sampler, steps, strength=part, eta=eta, spread=distilled > 0, device=device)
    sources = generators(seed, shape[0])
    run = Run(
        unet=unet,
        schedule=schedule,
        shape=shape,
        generators=sources,
        noise=draw(shape, sources, device),
        device=device,
        dtype=dtype,
        clean=_repeat(start.samples, shape).to(device, torch.float32) if start is not None else None,
        pure_noise=start is None or (mask is not None and strength == 1.0),
        time_ids=size_conditioning(model, *shape[2:]),
        scale_factor=model.scale_factor,
        scale_embedding=distilled,
        empty=lambda: unconditional(model, ctx.log),
        techniques=[*guidance, *controls, *_inpainting(model, mask, masked, start, shape, device)],
        resume=resuming(model, ctx),
    )
    if schedule.calls == 0:
        ctx.log.warning(
            "strength %g of %d steps is less than one step: the start is returned as it is", strength, steps
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


def _shape(model: Model, start: Latents | None, batch: int, width: int, height: int) -> tuple[int, int, int, int]:
    """(B, C, H, W) of the latents. Raises ValueError for sizes that do not fit, before memory is taken."""
    scale, channels = model.scale_factor, model.latent_channels
    for name, size in (("width", width), ("height", height)):
        if size % scale:
            raise ValueError(f"{name} {size} has to be a multiple of {scale} for this model: {_nearest(size, scale)}")
    native = model.size // scale
    rows, columns = height // scale or native, width // scale or native
    if start is not None:
        count, depth, rows, columns = start.samples.shape
        if depth != channels:
            raise ValueError(f"`start` has {depth} channels and this model's latents {channels}: is it from another?")
        if (width and width != columns * scale) or (height and height != rows * scale):
            raise ValueError(
                f"`start` is of an image of {columns * scale} x {rows * scale}, but {width or 'any'} x "
                f"{height or 'any'} is asked for: leave width and height at 0, or resize the image"
            )
        if batch == 1:
            batch = count
        if batch % count:
            raise ValueError(f"a batch of {batch} cannot be made from {count} start images: use a multiple of {count}")
    pixels = batch * rows * columns * scale**2
    if pixels > MAX_PIXELS:
        raise ValueError(_too_large(pixels))
    return batch, channels, rows, columns


def _too_large(pixels: int) -> str:
    return f"{pixels:,} pixels in one batch are too many, {MAX_PIXELS:,} is the limit: make width, height or batch less"


def _nearest(size: int, scale: int) -> str:
    below = size // scale * scale
    return f"{below} or {below + scale}" if below else str(scale)


def _repeat(samples: Tensor, shape: tuple[int, int, int, int]) -> Tensor:
    return samples.repeat(shape[0] // samples.shape[0], 1, 1, 1)


def size_conditioning(model: Model, rows: int, columns: int) -> Tensor | None:
    """SDXL's size conditioning, (1, 6): original size, crop offset and target size, all of this image; else None.

    rows, columns: of the latents.
    """
    import torch

    if model.family != "sdxl":
        return None
    height, width = rows * model.scale_factor, columns * model.scale_factor
    return torch.tensor([[height, width, 0, 0, height, width]], dtype=torch.float32)


def resuming(model: Model, ctx: Context) -> Resume | None:
    """How a run of this model goes on from earlier ones; None where nothing is kept between runs."""
    from weft.nodes.sampling.resume import Resume

    if ctx.trails is None:
        return None
    recipe = (model.fingerprint, model.family, model.prediction, model.dtype, model.zero_empty, model.patches)
    return Resume(ctx.trails, recipe, ctx.reused)


def _inpainting(
    model: Model,
    mask: Mask | None,
    masked: Latents | None,
    start: Latents | None,
    shape: tuple[int, int, int, int],
    device: Any,
) -> list[Technique]:
    """The technique that the mask asks for on this model."""
    from weft.nodes.sampling.inpaint import KeepUnmasked, MaskChannels, latent_mask

    channels = model.unet_channels == 2 * model.latent_channels + 1
    if masked is not None and not channels:
        raise ValueError(f"`masked` is for inpainting models with 9 channels; this one has {model.unet_channels}")
    if mask is None:
        if masked is not None:
            raise ValueError("`masked` needs `mask`")
        return []
    small = latent_mask(mask, shape[2], shape[3], model.scale_factor, binary=channels).to(device)
    if shape[0] % small.shape[0]:
        raise ValueError(f"{small.shape[0]} masks do not fit a batch of {shape[0]}")
    if small.shape[0] > 1:
        small = _repeat(small, shape)
    if not channels:
        if start is None:
            raise ValueError("`mask` keeps a part of an image: link `start` to that image's latents")
        return [KeepUnmasked(mask=small)]
    if masked is None:
        raise ValueError("this inpainting model needs `masked`: link it to `encode_masked_image`")
    if masked.samples.shape[-2:] != small.shape[-2:] or shape[0] % masked.samples.shape[0]:
        raise ValueError("`masked` has another size than the image, or its count does not fit the batch")
    return [MaskChannels(mask=small, masked=_repeat(masked.samples, shape).to(device))]
