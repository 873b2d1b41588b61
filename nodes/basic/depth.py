"""A hint of depth."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from weft.engine import Context, NodeView, Problem, Widget, node
from weft.nodes.checks import size_of, size_unknown_if
from weft.nodes.models.sources import problems
from weft.nodes.values import Image

RULE = "shapes"
EXAMPLE = "depth-anything/Depth-Anything-V2-Small-hf"
SCALE = 8
"""Pixels per latent pixel in every supported family."""


def _fingerprint(model: str, device: str, ctx: Context) -> str:
    from weft.nodes.hints.models import find, fingerprint
    from weft.nodes.models.device import machine_hint

    if model == RULE:
        return RULE
    return f"{fingerprint(find(model, EXAMPLE, ctx.resolve_input_path))}:{machine_hint(device)}"


def _check(view: NodeView) -> Iterator[Problem]:
    from weft.nodes.hints.models import find

    if view.literals.get("model") != RULE:
        expected = f"{RULE!r}, a folder, a name in a model folder, or a hub id in the local cache"
        yield from problems(view, "model", lambda model: find(model, EXAMPLE, view.resolve), expected)


@node(
    "depth",
    category="hint",
    resource="device",
    fingerprint=_fingerprint,
    tags=(size_of("image"), size_unknown_if("size", "latents")),
    check=_check,
)
def depth(
    image: Image,
    model: Annotated[str, Widget("model")],
    larger: Literal["auto", "near", "far"] = "auto",
    device: str = "auto",
    size: Literal["picture", "latents"] = "picture",
    ctx: Context | None = None,
) -> Image:
    """Depth as brightness, near is bright: the hint of ControlNets called depth and of 5-channel depth models.

    A depth model of transformers (Depth Anything, DPT, ZoeDepth, GLPN ...) estimates it, stretched for each image so
    that its nearest pixel is 1 and its farthest 0. Or, with model "shapes", a rule that needs no weights and makes
    sense for pictures of the bundled model alone: what differs from the backdrop's colour is an object, the backdrop is
    0, and objects are 0.5 to 1, the larger the nearer.

    Args:
        image: one image or a batch.
        model: "shapes" for the rule, a folder with config.json, preprocessor_config.json and model.safetensors, a
            name in a model folder, or a hub id that is in the hub's local cache; nothing is downloaded.
        larger: what a larger number of the model means; auto goes by its configuration.
        device: auto, cpu, cuda, cuda:N or mps.
        size: picture makes the map of the image's size, as ControlNets read it. latents makes it an eighth of that,
            for `depth_control`: the estimate is then resized once, as in diffusers' pipeline, and not twice.
    """
    import torch

    from weft.nodes.hints import arrays, flat, models
    from weft.nodes.hints.depth import nearness
    from weft.nodes.images.scaling import resize_pixels
    from weft.nodes.models.device import resolve_device

    factor = SCALE if size == "latents" else 1
    height, width = image.pixels.shape[1] // factor, image.pixels.shape[2] // factor
    if not (height and width):
        raise ValueError(
            f"an image of {image.pixels.shape[2]} x {image.pixels.shape[1]} is smaller than a latent pixel"
        )
    if model == RULE:
        found = arrays.each(image, flat.backdrop_depth)
        return found if factor == 1 else Image(resize_pixels(found.pixels, width, height, "bicubic"))
    ctx = ctx or Context()
    folder = models.find(model, EXAMPLE, allowed=ctx.resolve_input_path)
    where = resolve_device(device)
    made = []
    for index, picture in enumerate(image.pixels):
        made.append(nearness(picture, folder, where, larger, factor))
        ctx.progress(index + 1, len(image.pixels))
    return Image(torch.stack(made)[..., None].repeat(1, 1, 1, 3))
