"""Adapters from files."""

from __future__ import annotations

from typing import Annotated, Literal

from weft.engine import Context, Widget, node
from weft.nodes.models.sources import Kind, find
from weft.nodes.values import Model
from weft.nodes.values.training import Adapter

SAVED = Kind("adapter", advice="give what save_adapter wrote, or a file or folder of another program")


def _fingerprint(source: str, ctx: Context) -> str:
    from weft.engine.filehash import folder_hash
    from weft.nodes.weights.files import content

    path = find(source, SAVED, ctx.resolve_input_path)
    return folder_hash(path, (".safetensors", ".json")) if path.is_dir() else content(path)


@node("load_adapter", category="training", resource="io", fingerprint=_fingerprint)
def load_adapter(
    model: Model,
    source: Annotated[str, Widget("model")],
    kind: Literal[
        "auto",
        "lora",
        "embedding",
        "custom_diffusion",
        "weights",
        "controlnet",
        "t2i_adapter",
        "ip_adapter",
        "unet_delta",
    ] = "auto",
    ctx: Context | None = None,
) -> Adapter:
    """Load an adapter from files, as a training gives it: to apply it, compare it, or save it in another layout.

    Args:
        model: one that it fits, which says what the layers of a LoRA are called.
        source: a file or folder in one of the layouts of `save_adapter`, a name in a model folder, or a hub id that is
            in the hub's local cache; nothing is downloaded. .safetensors only.
        kind: what it has to be; auto takes what it is.
    """
    from weft.nodes.training.files.reading import read_adapter

    return read_adapter(find(source, SAVED, (ctx or Context()).resolve_input_path), model, kind)
