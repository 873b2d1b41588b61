"""What a document tells, before a run, of what comes to an input: the model's files, the size of a picture. No torch.

Only what is written out is known. Nodes that this page does not name may do anything, so behind them nothing is.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from weft.engine import NodeView
from weft.engine.declaring.node_type import NodeType
from weft.nodes.checks import START, techniques_wired

if TYPE_CHECKING:
    from weft.nodes.models.description import Description

Sizes = tuple[tuple[int, int], ...]
"""Widths and heights in pixels, of which one is right; none where nothing is known."""

MODELS = {
    "apply_lora": "model",
    "merge_loras": "model",
    "load_textual_inversion": "model",
    "load_custom_diffusion": "model",
    "edit_model": "model",
    "load_dreambooth": "base",
}
"""Nodes whose model has the layers of the one at this input."""
PICTURES = {
    "canny": "image",
    "soft_edge": "image",
    "scribble": "image",
    "depth": "image",
    "pose": "image",
    "segmentation_palette": "image",
    "zero_columns": "image",
    "composite": "base",
    "mask_to_image": "mask",
    "image_to_mask": "image",
    "invert_mask": "mask",
    "threshold_mask": "mask",
    "combine_masks": "masks",
    "grow_mask": "mask",
    "feather_mask": "mask",
    "resize_to": "like",
    "encode_image": "image",
    "encode_masked_image": "image",
    "decode": "latents",
    "blend": "a",
}
"""Nodes that make a picture, or latents, of the size of what comes to this input."""
DRAWN = ("rectangle_mask", "ellipse_mask", "columns_mask")


def described_model(view: NodeView, input: str = "model") -> Description | None:
    """What the files say of the model that comes to an input; None where they are not known, not here or not sound."""
    from weft.nodes.models.errors import ModelError
    from weft.nodes.models.locate import describe, locate

    loader = _loader(view, input)
    source = loader.literals.get("source") if loader is not None else None
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
    for maker in _chain(view, input):
        name = maker.type.name
        if name == "load_model" or (name == "load_dreambooth" and not maker.sources("base")):
            return maker
    return None


def _chain(view: NodeView, input: str) -> Iterable[NodeView]:
    """The node at an input, the one behind it, and so on, as far as `MODELS` goes."""
    seen = {view.id}
    while (maker := _source(view, input)) is not None and maker.id not in seen:
        seen.add(maker.id)
        yield maker
        if maker.type.name not in MODELS:
            return
        view, input = maker, MODELS[maker.type.name]


def _source(view: NodeView, input: str) -> NodeView | None:
    sources = view.sources(input)
    return view.other(sources[0][0]) if sources else None


def sizes_at(view: NodeView, input: str) -> list[Sizes]:
    """The sizes of the pictures that come to an input, in the order of its links."""
    makers = [view.other(id) for id, _ in view.sources(input)]
    return [sizes_of(maker) if maker is not None else () for maker in makers]


def sizes_of(view: NodeView | None) -> Sizes:
    """The size of the picture or the latents that a node makes."""
    seen: set[str] = set()
    while view is not None and view.id not in seen:
        seen.add(view.id)
        name = view.type.name
        if name in ("resize", "resize_mask", "resize_to") and view.literals.get("mode") == "fit":
            return ()
        if name in (*DRAWN, "resize", "resize_mask"):
            return _given(view)
        if name in ("load_image", "load_mask"):
            return _of_file(view)
        if name == "denoise":
            made = _given(view)
            if made or any(side not in view.literals for side in ("width", "height")):
                return made
            begun = next((view.other(id) for id, kind in _techniques(view) if START in kind.tags), None)
            if view.sources("start"):
                view = _source(view, "start")
            elif begun is not None:
                view = _source(begun, "trajectory") if is_ours(begun.type.fn) else None
            else:
                return _native(view)
        elif name == "invert":
            view = _source(view, "image" if view.sources("image") else "latents")
        elif name in PICTURES:
            view = _source(view, PICTURES[name])
        else:
            return ()
    return ()


def _given(view: NodeView) -> Sizes:
    """Width and height, where both are written out."""
    width, height = view.literals.get("width"), view.literals.get("height")
    return ((width, height),) if isinstance(width, int) and isinstance(height, int) and width and height else ()


def _techniques(view: NodeView) -> list[tuple[str, NodeType]]:
    """Those at a denoise, with what kind each is."""
    return [pair for input in ("guidance", "controls") for pair in techniques_wired(view, input)]


def _native(view: NodeView) -> Sizes:
    """What a denoise makes that is given no start: its own width and height, and the model's for those that are 0."""
    model = described_model(view)
    if model is None or not all(is_ours(kind.fn) for _, kind in _techniques(view)):
        return ()
    width, height = (view.literals.get(side) or model.size for side in ("width", "height"))
    return ((width, height),) if isinstance(width, int) and isinstance(height, int) else ()


def _of_file(view: NodeView) -> Sizes:
    from weft.nodes.images.headers import ImageFileError, read_header

    source = view.literals.get("path")
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


def is_ours(function: object) -> bool:
    """Whether a node's function is of this package, so that what is said here of techniques holds."""
    return str(getattr(function, "__module__", "")).startswith("weft.nodes.")
