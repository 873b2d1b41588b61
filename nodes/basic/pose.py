"""A hint of how people stand."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

from weft.engine import Context, NodeView, Problem, Range, Widget, node
from weft.nodes.checks import size_of
from weft.nodes.models.sources import problems
from weft.nodes.values import Image, Mask

if TYPE_CHECKING:
    from torch import Tensor

    from weft.nodes.hints.skeleton import Box

EXAMPLE = "usyd-community/vitpose-base-simple"


def _fingerprint(model: str, device: str, ctx: Context) -> str:
    from weft.nodes.hints.models import find, fingerprint
    from weft.nodes.models.device import machine_hint

    return f"{fingerprint(find(model, EXAMPLE, ctx.resolve_input_path))}:{machine_hint(device)}"


def _check(view: NodeView) -> Iterator[Problem]:
    from weft.nodes.hints.models import find

    expected = "a folder, a name in a model folder, or a hub id in the local cache"
    yield from problems(view, "model", lambda model: find(model, EXAMPLE, view.resolve), expected)


@node("pose", category="hint", resource="device", fingerprint=_fingerprint, tags=(size_of("image"),), check=_check)
def pose(
    image: Image,
    model: Annotated[str, Widget("model")],
    people: list[Mask] = [],  # noqa: B006
    threshold: Annotated[float, Range(0.0, 1.0)] = 0.3,
    device: str = "auto",
    ctx: Context | None = None,
) -> Image:
    """Skeletons of people on black, as OpenPose draws them: the hint of ControlNets called openpose.

    A ViTPose model of transformers finds 17 points of each person; hands and faces are not drawn. It looks at one
    person at a time and does not search for people: give a mask for each.

    Args:
        image: one image or a batch.
        model: a folder with config.json, preprocessor_config.json and model.safetensors of a ViTPose model, a name
            in a model folder, or a hub id that is in the hub's local cache; nothing is downloaded.
        people: a mask for each person, 1 where the person is; without any, each image shows one who fills it.
        threshold: points that the model is less sure of are left out.
        device: auto, cpu, cuda, cuda:N or mps.
    """
    import numpy as np
    import torch

    from weft.nodes.hints import models, skeleton
    from weft.nodes.models.device import resolve_device

    ctx = ctx or Context()
    folder = models.find(model, EXAMPLE, allowed=ctx.resolve_input_path)
    where = resolve_device(device)
    batch, height, width = image.pixels.shape[:3]
    made = []
    for index, picture in enumerate(image.pixels):
        boxes = [_box(_of(mask, index, image.pixels), which) for which, mask in enumerate(people)]
        found = skeleton.keypoints(
            np.ascontiguousarray(picture.numpy()), boxes or [(0.0, 0.0, float(width), float(height))], folder, where
        )
        made.append(skeleton.draw(found, height, width, threshold))
        ctx.progress(index + 1, batch)
    return Image(torch.from_numpy(np.stack(made)))


def _of(mask: Mask, index: int, pixels: Tensor) -> Tensor:
    planes = mask.pixels
    if planes.shape[1:] != pixels.shape[1:3]:
        sizes = f"{planes.shape[2]} x {planes.shape[1]} and {pixels.shape[2]} x {pixels.shape[1]}"
        raise ValueError(f"mask and image differ in size: {sizes}; use resize_mask")
    if len(planes) not in (1, len(pixels)):
        raise ValueError(f"there are {len(planes)} masks for {len(pixels)} images; give one, or one for each")
    return planes[index if len(planes) > 1 else 0]


def _box(plane: Tensor, which: int) -> Box:
    rows, columns = (plane >= 0.5).nonzero(as_tuple=True)
    if not len(rows):
        raise ValueError(f"mask {which + 1} of people is empty: no pixel of it is 0.5 or more")
    left, top = int(columns.min()), int(rows.min())
    return (float(left), float(top), float(columns.max() - left + 1), float(rows.max() - top + 1))
