"""What a document tells, before a run, of what comes to an input: the model's files, the size of a picture. No torch.

Only what is written out is known, and what the nodes on the way say of themselves (`weft.nodes.checks.tags`). Behind a
node that does not say what it does, nothing is.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from weft.engine import NodeView
from weft.nodes.checks.tags import (
    LATENTS_OF,
    MODEL_NAMED,
    MODEL_OF,
    MODEL_UNKNOWN,
    SIZE_GIVEN,
    SIZE_OF,
    SIZE_OF_FILE,
    SIZE_OF_RUN,
    SIZE_UNKNOWN,
    START,
    argument,
    arguments,
    run_input,
    says,
)
from weft.nodes.checks.techniques import techniques_of

if TYPE_CHECKING:
    from weft.nodes.models.description import Description

Sizes = tuple[tuple[int, int], ...]
"""Widths and heights in pixels, of which one is right; none where nothing is known."""


def described_model(view: NodeView, input: str = "model") -> Description | None:
    """What the files say of the model that comes to an input; None where they are not known, not here or not sound."""
    from weft.nodes.models.errors import ModelError
    from weft.nodes.models.locate import describe, locate

    loader = _loader(view, input)
    source = loader.literals.get(argument(loader.type, MODEL_NAMED) or "") if loader is not None else None
    if loader is None or not isinstance(source, str):
        return None
    maker = loader

    def allowed(name: str) -> Path:
        found = maker.path(name)
        if found is None:
            raise ModelError(f"{name} is not here")
        return found

    try:
        located = locate(source, access="local", allowed=allowed)
        return describe(located, str(loader.literals.get("prediction", "auto"))) if located.path.exists() else None
    except ModelError:
        return None


def _loader(view: NodeView, input: str) -> NodeView | None:
    """The node that names the model, behind those that change one."""
    seen = {view.id}
    while (maker := _source(view, input)) is not None and maker.id not in seen:
        seen.add(maker.id)
        if _linked(maker, MODEL_UNKNOWN) is not None:
            return None
        base = _linked(maker, MODEL_OF)
        if base is None:
            return maker if says(maker.type, MODEL_NAMED) else None
        view, input = maker, base
    return None


def _source(view: NodeView, input: str) -> NodeView | None:
    sources = view.sources(input)
    return view.other(sources[0][0]) if sources else None


def _linked(view: NodeView, word: str) -> str | None:
    """The first linked input among those that a node's tags name."""
    return next((input for given in arguments(view.type, word) for input in given if view.sources(input)), None)


def latents_from(view: NodeView, input: str) -> tuple[NodeView | None, bool]:
    """The node that says of which model the latents at an input are, and whether others changed them since.

    None where no node says it. Those that only say that they keep the size keep the channels, too.
    """
    seen: set[str] = {view.id}
    maker, mixed = _source(view, input), False
    while maker is not None and maker.id not in seen and not arguments(maker.type, LATENTS_OF):
        seen.add(maker.id)
        through = _linked(maker, SIZE_OF)
        maker, mixed = (_source(maker, through), True) if through is not None else (None, mixed)
    return (None if maker is not None and maker.id in seen else maker), mixed


def sizes_at(view: NodeView, input: str) -> list[Sizes]:
    """The sizes of the pictures that come to an input, in the order of its links."""
    makers = [view.other(id) for id, _ in view.sources(input)]
    return [sizes_of(maker) if maker is not None else () for maker in makers]


def sizes_of(view: NodeView | None) -> Sizes:
    """The size of the picture or the latents that a node makes."""
    seen: set[str] = set()
    while view is not None and view.id not in seen:
        seen.add(view.id)
        kind = view.type
        if any(_may_be(view, *given) for given in arguments(kind, SIZE_UNKNOWN)):
            return ()
        if (path := argument(kind, SIZE_OF_FILE)) is not None:
            return _of_file(view, path)
        for given in arguments(kind, SIZE_GIVEN):
            return _written_size(view, *given)
        if says(kind, SIZE_OF_RUN):
            width, height = (run_input(kind, side) for side in ("width", "height"))
            given_size = _written_size(view, width, height)
            if given_size or any(side not in view.literals for side in (width, height)):
                return given_size
            start = run_input(kind, "start")
            begun = next((technique for technique in techniques_of(view) if says(technique.type, START)), None)
            noise = run_input(kind, "noise")
            if view.sources(start):
                view = _source(view, start)
            elif begun is not None:
                view = _source(begun, argument(begun.type, START) or "")
            elif view.sources(noise):
                view = _source(view, noise)
            else:
                return _native(view, width, height)
        else:
            input = _linked(view, SIZE_OF)
            view = _source(view, input) if input is not None else None
    return ()


def _may_be(view: NodeView, input: str, *settings: str) -> bool:
    return input not in view.literals or view.literals[input] in settings


def _written_size(view: NodeView, *sides: str) -> Sizes:
    """Width and height, where both are written out."""
    sizes = [_side(view.literals.get(side)) for side in sides]
    return ((sizes[0], sizes[1]),) if len(sizes) == 2 and all(sizes) else ()


def _side(pixels: object) -> int:
    """0 where it is no size: what is upstream may be wrong itself."""
    return pixels if isinstance(pixels, int) and not isinstance(pixels, bool) and pixels > 0 else 0


def _native(view: NodeView, width: str, height: str) -> Sizes:
    """What a run makes that is given no start: its own width and height, and the model's for those that are 0."""
    model = described_model(view, run_input(view.type, "model"))
    if model is None:
        return ()
    return ((_side(view.literals.get(width)) or model.size, _side(view.literals.get(height)) or model.size),)


def _of_file(view: NodeView, input: str) -> Sizes:
    from weft.nodes.images.headers import ImageFileError, read_header

    source = view.literals.get(input)
    path = view.path(source) if isinstance(source, str) and source else None
    if path is None or not path.is_file():
        return ()
    try:
        with path.open("rb") as file:
            header = read_header(file.read(1 << 20))
    except (ImageFileError, OSError):
        return ()
    # Its orientation stands in metadata, which only reading it would tell.
    return tuple(dict.fromkeys([(header.width, header.height), (header.height, header.width)]))
