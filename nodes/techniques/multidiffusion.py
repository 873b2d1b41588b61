"""MultiDiffusion (arXiv 2302.08113): canvases larger than what the model was made for, through overlapping views.

Cost: V views give V times the rows, in one forward a step; only a memory limit splits it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from weft.engine import NodeView, Problem, Range, node, value
from weft.nodes.checks import VIEWS, runs_with, sizes_of
from weft.nodes.checks.tags import run_input
from weft.nodes.technique import View
from weft.nodes.values import Guidance

if TYPE_CHECKING:
    from weft.nodes.sampling.run import Run

MAX_VIEWS = 4096


@value("guidance.multidiffusion")
@dataclass(frozen=True, eq=False, kw_only=True)
class MultiDiffusion(Guidance):
    """Windows of the canvas, each evaluated as an image of its own; their predictions are averaged per pixel.

    It is the predictions that are averaged, and the scheduler steps once: for schedulers without noise this equals
    averaging the windows' steps; with noise, averaging steps would shrink it.

    view_width, view_height: in pixels; 0 is the model's own size, or the canvas's where that is smaller.
    stride: in pixels. circular: windows go on over the right edge to the left.
    """

    view_width: int = 0
    view_height: int = 0
    stride: int = 64
    circular: bool = False

    def views(self, run: Run) -> Sequence[View]:
        """Windows at every stride; the last of a row or column is moved back to the edge where the stride misses it.

        Raises ValueError for a window larger than the canvas, sizes that latents cannot have, gaps between windows, and
        a part of the run only.
        """
        acts = {self.inside(index, run.schedule.calls) for index in range(run.schedule.calls)}
        if True not in acts:
            return ()
        if False in acts:
            raise ValueError("multidiffusion divides the canvas for the whole run: it cannot act in a part of it only")
        scale, native = run.scale_factor, _native(run.unet.config.sample_size)
        canvas_height, canvas_width = run.shape[2:]
        height = _side("view_height", self.view_height, native[0], canvas_height, scale)
        width = _side("view_width", self.view_width, native[1], canvas_width, scale)
        stride = _latent("stride", self.stride, scale)
        # Around a circle every stride starts a window, also when one window is as wide as the canvas.
        lefts = list(range(0, canvas_width, stride)) if self.circular else _starts(canvas_width, width, stride)
        tops = _starts(canvas_height, height, stride)
        _no_gaps("view_width", width, canvas_width, stride, scale)
        _no_gaps("view_height", height, canvas_height, stride, scale)
        if len(lefts) * len(tops) > MAX_VIEWS:
            raise ValueError(
                f"{len(lefts) * len(tops):,} views are too many, {MAX_VIEWS:,} is the limit: make `stride` larger"
            )
        return [View(top, left, height, width) for top in tops for left in lefts]


def _native(size: int | Sequence[int]) -> tuple[int, int]:
    """Height and width in latent pixels that the denoiser was made for."""
    if isinstance(size, int):
        return size, size
    height, width = size
    return height, width


def _latent(name: str, pixels: int, scale: int) -> int:
    if pixels < scale or pixels % scale:
        near = max(1, round(pixels / scale)) * scale
        raise ValueError(f"{name} {pixels} has to be a multiple of {scale} for this model: {near} is near")
    return pixels // scale


def _side(name: str, pixels: int, native: int, canvas: int, scale: int) -> int:
    if not pixels:
        return min(native, canvas)
    side = _latent(name, pixels, scale)
    if side > canvas:
        raise ValueError(
            f"{name} {pixels} is larger than the canvas, which is {canvas * scale}: make the canvas larger or the view "
            "smaller (0 fits it by itself)"
        )
    return side


def _starts(canvas: int, side: int, stride: int) -> list[int]:
    starts = list(range(0, canvas - side + 1, stride))
    return starts if starts[-1] == canvas - side else [*starts, canvas - side]


def _no_gaps(name: str, side: int, canvas: int, stride: int, scale: int) -> None:
    if side < min(stride, canvas):
        raise ValueError(
            f"a stride of {stride * scale} leaves gaps between views of {side * scale} ({name}): "
            "it can be as large as a view at most"
        )


def _check(view: NodeView) -> Iterable[Problem]:
    """Sizes that fit each other, and the canvas of every node that this goes to."""
    sides = {"view_width": "width", "view_height": "height"}
    stride = view.literals.get("stride")
    for name, side in sides.items():
        size = view.literals.get(name)
        if not isinstance(size, int) or not size:
            continue
        if isinstance(stride, int) and stride > size:
            message = f"a stride of {stride} leaves gaps between views of {size}"
            yield Problem(code="bad_value", node=view.id, input="stride", message=message, given=stride, expected=size)
        yield from _too_large(view, name, size, side)
    for name in (*sides, "stride"):
        size = view.literals.get(name)
        if isinstance(size, int) and size % 8:
            message = f"{name} {size} has to be a multiple of 8: {max(1, round(size / 8)) * 8} is near"
            yield Problem(code="bad_value", node=view.id, input=name, message=message, given=size)


def _too_large(view: NodeView, name: str, size: int, side: str) -> Iterator[Problem]:
    for run in runs_with(view):
        canvas = run.literals.get(run_input(run.type, side))
        if not canvas:  # that of its start, or of the model
            canvas = max((made[("width", "height").index(side)] for made in sizes_of(run)), default=0)
        if isinstance(canvas, int) and 0 < canvas < size:
            message = f"a view with {name} {size} is larger than the canvas, {side} {canvas} of {run.id}"
            yield Problem(code="bad_value", node=view.id, input=name, message=message, given=size, expected=canvas)


@node("multidiffusion", category="guidance", tags=(VIEWS,), check=_check)
def multidiffusion(
    view_width: Annotated[int, Range(0, 8192)] = 0,
    view_height: Annotated[int, Range(0, 8192)] = 0,
    stride: Annotated[int, Range(8, 8192)] = 64,
    circular: bool = False,
) -> Guidance:
    """Panoramas, and other canvases larger than the model's own size (MultiDiffusion, arXiv 2302.08113).

    The canvas, `denoise.width` and `denoise.height`, is covered by overlapping views, which are denoised together in
    one batch and averaged where they overlap. Every other technique works on it as on a plain image: what belongs to
    the canvas, such as hints and masks, is cropped with the views. A smaller stride gives fewer seams and takes longer.

    Args:
        view_width: of one view in pixels; 0 is the model's own size, or the canvas's where that is smaller.
        view_height: of one view in pixels; 0 likewise.
        stride: from one view to the next in pixels, at most a view. Where it does not come out even, the last view is
            moved back to the edge.
        circular: the right edge goes on at the left one, for panoramas of 360 degrees. Set `decode.circular` too.
    """
    return MultiDiffusion(view_width=view_width, view_height=view_height, stride=stride, circular=circular)
