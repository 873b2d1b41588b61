"""What a training learned, as files for other programs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from weft.engine import Context, Files, NodeView, Problem, node
from weft.nodes.values import Model
from weft.nodes.values.training import Adapter


def _check(view: NodeView) -> Iterator[Problem]:
    from weft.nodes.images.saving import name_problem

    name = view.literals.get("name")
    message = name_problem(name.removesuffix(".safetensors")) if isinstance(name, str) else None
    if message:
        yield Problem(code="bad_value", node=view.id, input="name", message=f"{message}.", given=name)


@node("save_adapter", category="training", resource="device", output=True, side_files=True, check=_check)
def save_adapter(
    model: Model,
    adapter: Adapter,
    name: str,
    layout: Literal["auto", "diffusers", "peft", "kohya", "a1111", "sdxl"] = "auto",
    dtype: Literal["float32", "float16", "bfloat16"] = "float32",
    ctx: Context | None = None,
) -> Files:
    """Save what a training learned in the output folder, in a layout that other programs read, and verify it.

    What was written is loaded by diffusers', PEFT's or transformers' own loader onto the model, and what it computes is
    compared with the adapter. Where that differs beyond rounding the node fails, and nothing is left behind. A file or
    folder that exists is never overwritten: the first free one of name, name_2, name_3 ... is taken, and one that holds
    the very same is used again. They appear whole or not at all.

    Args:
        model: a model that the adapter fits, such as the one that it was trained on.
        adapter: what a training node gave, or `load_adapter`.
        name: of the file or folder; may hold folders, as in dogs/corgi.
        layout: of a LoRA, diffusers (one file), peft (a folder, for every kind of LoRA), or kohya (one file, for plain
            LoRAs); of words, diffusers, a1111 (emb_params), or sdxl (clip_l and clip_g, for words of two text
            encoders). Everything else has one layout, that of diffusers. auto takes the first that holds the adapter.
        dtype: number format of the weights in the file.
    """
    from weft.nodes.training.files.layouts import DTYPES, chosen, parts_of
    from weft.nodes.training.files.verify import verifier
    from weft.nodes.training.files.writing import save_parts
    from weft.nodes.weights.adapters import KINDS, require

    ctx = ctx or Context()
    require(adapter, tuple(KINDS), model)
    layout_chosen = chosen(adapter, layout)
    parts = parts_of(adapter, model, layout_chosen, dtype, name.removesuffix(".safetensors"))
    ctx.check_cancelled()
    paths = save_parts(parts, ctx.out, name, verifier(adapter, model, layout_chosen, DTYPES[dtype]))
    return Files.of(*paths)
