"""Whether what a run is given fits its model, as far as the document and the files that it names tell. No torch.

Nodes with the denoise loop share these checks. What they cannot see the run finds, with the same words.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from weft.engine import NodeView, Problem
from weft.nodes.checks import techniques_wired
from weft.nodes.known import described_model, is_ours, sizes_at, sizes_of
from weft.nodes.models.description import channel_message

if TYPE_CHECKING:
    from weft.nodes.models.description import Description

PICTURES = {
    "controlnet": ("hint", False),
    "t2i_adapter": ("hint", False),
    "instruct_pix2pix": ("image", False),
    "ip_adapter": ("mask", True),
    "depth_control": ("depth", True),
    "regions": ("masks", True),
    "diffedit": ("mask", True),
}
"""Techniques whose pictures have the size of the made image: the input, and whether latent size will do."""
SCALE = 8
"""Pixels per latent pixel."""


def check_fit(view: NodeView) -> Iterable[Problem]:
    """Networks of another family, channels that a model lacks or has too many of, pictures of another size."""
    run = _Wired(view)
    for technique in run.techniques:
        fits = _NETS.get(technique.type.name)
        if fits is not None:
            yield from _net(technique, run, fits)
    yield from _channels(run)
    yield from _pictures(run)


class _Wired:
    """A node with the denoise loop, the techniques at it, and what is known of its model."""

    def __init__(self, view: NodeView) -> None:
        self.view = view
        pairs = [pair for input in ("guidance", "controls") for pair in techniques_wired(view, input)]
        self.techniques = [found for id, _ in pairs if (found := view.other(id)) is not None]

    @cached_property
    def model(self) -> Description | None:
        """Read when first asked for."""
        return described_model(self.view)


Fits = Callable[[str, Path, "Description"], "str | None"]


def _net(technique: NodeView, run: _Wired, misfit: Fits) -> Iterator[Problem]:
    """A network, named by its loader, beside the model."""
    from weft.nodes.models.bundled import net_named
    from weft.nodes.models.errors import ModelError

    loaders = technique.sources("net")
    loader = technique.other(loaders[0][0]) if loaders else None
    source = loader.literals.get("source") if loader is not None else None
    path = None
    if loader is not None and isinstance(source, str) and source:
        path = net_named(source) or loader.path(source)
    if path is None or run.model is None:
        return
    try:
        message = misfit(str(source), path, run.model)
    except ModelError:  # the loader's own check says so
        return
    if message is not None:
        yield Problem(
            code="bad_value", node=technique.id, input="net", message=message, given=source, expected=run.model.family
        )


def _controlnet(source: str, path: Path, model: Description) -> str | None:
    from weft.nodes.nets.files import describe_controlnet
    from weft.nodes.nets.fit import controlnet_misfit

    net = describe_controlnet(path)
    return controlnet_misfit(source, net.family, net.weights["controlnet"].config, model.weights["unet"].config)


def _adapter(source: str, path: Path, model: Description) -> str | None:
    from weft.nodes.nets.files import describe_adapter
    from weft.nodes.nets.fit import adapter_channels, adapter_misfit

    net = describe_adapter(path)
    channels = adapter_channels(net.weights["t2i_adapter"].config)
    return adapter_misfit(source, net.family, channels, model.weights["unet"].config)


def _image_adapter(source: str, path: Path, model: Description) -> str | None:
    from weft.nodes.nets.fit import image_adapter_misfit
    from weft.nodes.nets.image_prompt import describe_image_adapter

    own = describe_image_adapter(path).weights["ip_adapter"].config
    unet = model.weights["unet"]
    # The same in diffusers' and in the original names.
    count = sum(name.endswith(".attn2.to_k.weight") for name in unet.tensors)
    return image_adapter_misfit(source, own["sites"], own["width"], count, unet.config)


_NETS: dict[str, Fits] = {"controlnet": _controlnet, "t2i_adapter": _adapter, "ip_adapter": _image_adapter}


def _channels(run: _Wired) -> Iterator[Problem]:
    """The input that the denoiser was trained with, from the techniques that there are."""
    if run.model is None or not all(is_ours(technique.type.fn) for technique in run.techniques):
        return
    view, latent = run.view, run.model.latent_channels
    wanted = run.model.unet_channels
    given, names = latent, {technique.type.name for technique in run.techniques}
    given += latent if "instruct_pix2pix" in names else 0
    given += 1 if "depth_control" in names else 0
    masked = wanted == 2 * latent + 1
    if masked and view.sources("mask") and view.sources("masked"):
        given += latent + 1
    if given != wanted:
        message = channel_message(wanted, given)
        adds = [t.id for t in run.techniques if t.type.name in ("instruct_pix2pix", "depth_control")]
        if adds:
            message += f" ({', '.join(adds)})"
        where: str | None = "controls" if wanted == latent + 1 else "guidance"
        if masked:
            where = "masked" if "masked" in view.type.inputs else None
        yield Problem(
            code="conflict" if given > wanted else "missing_input",
            node=view.id,
            input=where,
            message=message,
            given=given,
            expected=wanted,
        )
    if not masked and view.sources("mask") and not view.sources("start"):
        message = "`mask` keeps a part of an image: link `start` to that image's latents"
        yield Problem(code="missing_input", node=view.id, input="start", message=message)


def _pictures(run: _Wired) -> Iterator[Problem]:
    """Hints and masks of another size than the image."""
    needs = [(run.view, "mask", True)]
    for technique in run.techniques:
        if technique.type.name in PICTURES:
            needs.append((technique, *PICTURES[technique.type.name]))
    needs = [need for need in needs if need[0].sources(need[1])]
    made = sizes_of(run.view) if needs else ()
    if not made:
        return
    for owner, input, small in needs:
        for found in sizes_at(owner, input):
            right = {*made, *((width // SCALE, height // SCALE) for width, height in made if small)}
            if found and right.isdisjoint(found):
                size, wanted = (f"{width} x {height}" for width, height in (found[0], made[0]))
                message = (
                    f"`{input}` of {owner.id} is {size} and the image of {run.view.id} {wanted}: make them equal, for "
                    "instance with resize_to or resize_mask, or with width and height of denoise"
                )
                yield Problem(
                    code="bad_value", node=owner.id, input=input, message=message, given=size, expected=wanted
                )
