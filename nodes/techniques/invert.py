"""DDIM inversion (arXiv 2105.05233, appendix F): from an image to the noise that gives it again.

Cost: a forward a step, with the rows of the guidance: 2 with classifier-free guidance above 1, else 1.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, NamedTuple

from weft.engine import Context, NodeView, Problem, Range, Widget, node, value
from weft.nodes.checks import check_fit, check_picture, check_techniques, denoises, size_of, starts_from
from weft.nodes.values import Control, Guidance, Image, Latents, Model, Trajectory

if TYPE_CHECKING:
    from torch import Tensor

    from weft.nodes.sampling.run import Run


class Inverted(NamedTuple):
    """What an inversion gives.

    Args:
        latents: the noise that the image becomes, at the level that `strength` reaches.
        trajectory: the latents after every step, from the image to the noise; for `from_inversion` and `diffedit`.
    """

    latents: Latents
    trajectory: Trajectory


@value("control.from_inversion")
@dataclass(frozen=True, eq=False, kw_only=True)
class FromInversion(Control):
    """Begin with the latents that an inversion had at the run's first level, in place of noise."""

    trajectory: Trajectory

    def origin(self) -> Latents | None:
        """The inverted latents: their size is the run's. None where its window is empty."""
        return Latents(self.trajectory.latents[-1]) if self.window[0] < self.window[1] else None

    def start(self, run: Run) -> Tensor | None:
        """The inversion at level 0, whatever part of the run the window is."""
        return self.at(run, 0) if self.window[0] < self.window[1] else None

    def at(self, run: Run, level: int) -> Tensor:
        """The inversion's latents (B, C, H, W) at a level of the run's schedule."""
        from weft.nodes.sampling.invert import along

        found = along(self.trajectory, run.schedule.alphas[level], run.schedule.sigmas[level])
        if found.shape[1:] != run.shape[1:] or run.batch % found.shape[0]:
            raise ValueError(
                f"the inversion is of {found.shape[0]} image(s) of {_pixels(found.shape, run)} pixels and the run "
                f"makes {run.batch} of {_pixels(run.shape, run)}: leave `start`, width, height and batch out, or make "
                "them fit"
            )
        return found.repeat(run.batch // found.shape[0], 1, 1, 1).to(run.device)


def _pixels(shape: Iterable[int], run: Run) -> str:
    _, _, height, width = shape
    return f"{width * run.scale_factor} x {height * run.scale_factor}"


@node("from_inversion", category="control", tags=(starts_from("trajectory"),))
def from_inversion(trajectory: Trajectory) -> Control:
    """Begin a run with an inverted image in place of noise, to draw the image again under other guidance.

    With the guidance, steps and strength of the inversion and the ddim scheduler the image comes back, nearly. The run
    has the image's size; `denoise.strength` starts that far up the inversion.

    Args:
        trajectory: of `invert`, which has to reach as far up as the run begins.
    """
    return FromInversion(trajectory=trajectory)


def _check(view: NodeView) -> Iterable[Problem]:
    """One base term, one of image and latents, and what fits the model."""
    yield from check_techniques(view)
    yield from check_picture(view)
    yield from check_fit(view)


@node(
    "invert",
    version=2,  # old folders' schedulers, prompts of two lengths: equal inputs, other results
    category="sampling",
    resource="device",
    migrations={1: dict},
    tags=(denoises(), size_of("image", "latents")),
    check=_check,
)
def invert(
    model: Model,
    guidance: list[Guidance],
    image: Image | None = None,
    latents: Latents | None = None,
    controls: list[Control] = [],  # noqa: B006 - the signature is the schema; it is never changed
    steps: Annotated[int, Range(1, 999, usual=(10, 100))] = 50,
    strength: Annotated[float, Range(0.0, 1.0)] = 1.0,
    regularize: Annotated[int, Range(0, 100)] = 0,
    autocorrelation: Annotated[float, Range(0.0, 1000.0)] = 20.0,
    divergence: Annotated[float, Range(0.0, 1000.0)] = 20.0,
    rolls: Annotated[int, Range(1, 100)] = 5,
    seed: Annotated[int, Range(0, 2**63 - 1), Widget("seed")] = 0,
    ctx: Context | None = None,
) -> Inverted:
    """Turn an image into the noise that gives it again (DDIM inversion, arXiv 2105.05233), for editing real images.

    It is the denoise loop run backwards, under the same guidance and controls. A high guidance scale makes it
    inexact: 1 inverts best.

    Args:
        model: the denoiser.
        guidance: exactly one base term, such as `cfg` with a prompt that describes the image, and any number of others.
        image: what to invert; its sides have to be multiples of 8 pixels.
        latents: in place of `image`, from `encode_image` or `denoise`.
        controls: what adds to the denoiser's input or inner states.
        steps: number of steps of the whole way; use the same for the denoising that follows.
        strength: how much of the way to go up: 1 to pure noise. Below, fewer steps are made.
        regularize: rounds in each step that make the predicted noise more like noise (Pix2Pix Zero, arXiv 2302.03027:
            5); 0 is plain inversion.
        autocorrelation: how strongly these remove likeness between neighbouring pixels.
        divergence: how strongly these hold mean and variance.
        rolls: how many shifts the autocorrelation is taken at in each round.
        seed: of these shifts; image k of a batch has seed + k. Nothing else in an inversion is random.
    """
    from weft.nodes.sampling.begin import clean_latents
    from weft.nodes.sampling.invert import Regularize, invert_latents

    ctx = ctx or Context()
    guidance = [guidance] if isinstance(guidance, Guidance) else list(guidance)
    controls = [controls] if isinstance(controls, Control) else list(controls)
    clean = clean_latents(model, image, latents, ctx)
    extra = []
    if regularize and (autocorrelation or divergence):
        extra.append(
            Regularize(times=regularize, autocorrelation=autocorrelation, divergence=divergence, rolls=rolls, seed=seed)
        )
    parts = model.parts()
    techniques = [*guidance, *controls, *extra]
    result = invert_latents(model, parts.unet, clean, techniques, ctx, steps=steps, strength=strength, seed=seed)
    if result.done.calls == 0:
        ctx.log.warning("strength %g of %d steps is less than one step: nothing is inverted", strength, steps)
    return Inverted(Latents(result.noise), result.trajectory)
