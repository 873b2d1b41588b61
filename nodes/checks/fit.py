"""Whether what a run is given fits its model, as far as the document and the files that it names tell. No torch.

Nodes with the denoise loop share these checks. What they cannot see the run finds, with the same words.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from weft.engine import NodeView, Problem
from weft.engine.declaring.node_type import NodeType
from weft.nodes.checks.tags import (
    CHANNELS,
    LATENTS_OF,
    NET,
    SAME_SIZE,
    SAME_SIZE_OR_LATENT,
    added_channels,
    argument,
    arguments,
    run_input,
    says,
)
from weft.nodes.checks.techniques import runs_with, techniques_of
from weft.nodes.checks.upstream import described_model, latents_from, sizes_at, sizes_of
from weft.nodes.sampling.sizes import many_noises, other_channels

if TYPE_CHECKING:
    from weft.nodes.models.description import Description

SCALE = 8
"""Pixels per latent pixel."""
Misfit = Callable[[str, Path, "Description"], "str | None"]
"""Why a network, by its name and its files, does not fit a model; None where it does."""


def check_fit(view: NodeView) -> Iterable[Problem]:
    """For the check of a node with the denoise loop: channels that its model lacks or has too many of, pictures of
    another size, and noise for another model or for another number of images."""
    techniques = techniques_of(view)
    yield from _channels(view, techniques)
    yield from _pictures(view, techniques)
    yield from _noise(view)


def check_net(view: NodeView, kind: str, misfit: Misfit, input: str = "net") -> Iterator[Problem]:
    """For the check of a technique with a network: whether it fits the models of the runs that it is wired to.

    The network is known where the node at the input says that it `names_net` of this kind.
    """
    from weft.nodes.models.bundled import net_named
    from weft.nodes.models.errors import ModelError
    from weft.nodes.models.sources import in_model_folders

    loaders = view.sources(input)
    loader = view.other(loaders[0][0]) if loaders else None
    named = argument(loader.type, f"{NET}:{kind}") if loader is not None else None
    source = loader.literals.get(named) if loader is not None and named is not None else None
    if loader is None or not isinstance(source, str) or not source:
        return
    try:
        path = net_named(source) or loader.path(source) or in_model_folders(source)
    except ModelError:  # the loader's own check says so
        return
    told: set[str] = set()
    for run in runs_with(view) if path is not None else ():
        model = described_model(run, run_input(run.type, "model"))
        if model is None or path is None:
            continue
        try:
            message = misfit(source, path, model)
        except ModelError:  # the loader's own check says so
            return
        if message is not None and message not in told:
            told.add(message)
            yield Problem(
                code="bad_value", node=view.id, input=input, message=message, given=source, expected=model.family
            )


def _channels(view: NodeView, techniques: list[NodeView]) -> Iterator[Problem]:
    """The input that the denoiser was trained with, from the techniques that there are."""
    from weft.nodes.models.description import channel_message

    own = view.type
    mask, masked, start = (run_input(own, name) for name in ("mask", "masked", "start"))
    model = described_model(view, run_input(own, "model"))
    if model is None:
        return
    latent, wanted = model.latent_channels, model.unet_channels
    added = [added_channels(technique.type, latent) for technique in techniques]
    if None in added or any(technique.type.stands for technique in techniques):
        return
    given = latent + sum(count or 0 for count in added)
    inpaints = wanted == 2 * latent + 1
    if inpaints and view.sources(mask) and view.sources(masked):
        given += latent + 1
    if given != wanted:
        message = channel_message(wanted, given)
        adds = [technique.id for technique in techniques if says(technique.type, CHANNELS)]
        if adds:
            message += f" ({', '.join(adds)})"
        elif given < wanted and (silent := [t for t in techniques if _pack(t.type) != _pack(own)]):
            named = " and ".join(f"{technique.id} ({technique.type.name})" for technique in silent)
            message += f". Does {named} add channels? Its node has to say so, with the tag of `adds_channels`"
        where: str | None = run_input(own, "controls" if wanted == latent + 1 else "guidance")
        if inpaints:
            where = masked if masked in own.inputs else None
        yield Problem(
            code="conflict" if given > wanted else "missing_input",
            node=view.id,
            input=where,
            message=message,
            given=given,
            expected=wanted,
        )
    if not inpaints and view.sources(mask) and not view.sources(start):
        message = f"`{mask}` keeps a part of an image: link `{start}` to that image's latents"
        yield Problem(code="missing_input", node=view.id, input=start, message=message)


def _pack(node_type: NodeType) -> str:
    """The package that a node is of."""
    return str(getattr(node_type.fn, "__module__", "")).partition(".")[0]


def _pictures(view: NodeView, techniques: list[NodeView]) -> Iterator[Problem]:
    """Hints and masks of another size than the image."""
    needs = [
        (owner, given[0], small)
        for owner in (view, *techniques)
        for word, small in ((SAME_SIZE, False), (SAME_SIZE_OR_LATENT, True))
        for given in arguments(owner.type, word)
        if owner.sources(given[0])
    ]
    made = sizes_of(view) if needs else ()
    if not made:
        return
    for owner, input, small in needs:
        for found in sizes_at(owner, input):
            right = {*made, *((width // SCALE, height // SCALE) for width, height in made if small)}
            if found and right.isdisjoint(found):
                size, wanted = (f"{width} x {height}" for width, height in (found[0], made[0]))
                message = (
                    f"`{input}` of {owner.id} is {size} and the image of {view.id} {wanted}: make them equal, for "
                    "instance with resize_to or resize_mask, or with width and height of denoise"
                )
                yield Problem(
                    code="bad_value", node=owner.id, input=input, message=message, given=size, expected=wanted
                )


def _noise(view: NodeView) -> Iterator[Problem]:
    """Noise of other channels than the model's latents, or for another number of images."""
    input = run_input(view.type, "noise")
    maker, mixed = latents_from(view, input)
    if maker is None:
        return
    source, *rest = next(iter(arguments(maker.type, LATENTS_OF)))
    model, other = described_model(view, run_input(view.type, "model")), described_model(maker, source)
    if model is not None and other is not None and model.latent_channels != other.latent_channels:
        message = other_channels(other.latent_channels, model.latent_channels)
        yield Problem(
            code="bad_value",
            node=view.id,
            input=input,
            message=message,
            given=other.latent_channels,
            expected=model.latent_channels,
        )
    batch, count = view.literals.get("batch"), maker.literals.get(rest[0]) if rest and not mixed else None
    if isinstance(batch, int) and isinstance(count, int) and batch > 1 and count != batch:
        message = many_noises(count, batch)
        yield Problem(code="bad_value", node=view.id, input=input, message=message, given=count, expected=batch)
