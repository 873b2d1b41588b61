"""The layouts that adapters are saved in, by kind, and what lies in each."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from weft.nodes.models.errors import ModelError
from weft.nodes.training.files import loras
from weft.nodes.values.model import Model
from weft.nodes.values.training import Adapter
from weft.nodes.weights.adapters import called, learned_words, of_component

LAYOUTS: Mapping[str, tuple[str, ...]] = {
    "lora": ("diffusers", "peft", "kohya"),
    "embedding": ("diffusers", "a1111", "sdxl"),
    **dict.fromkeys(
        ("custom_diffusion", "weights", "unet_delta", "controlnet", "t2i_adapter", "ip_adapter"), ("diffusers",)
    ),
}
"""By kind; the first is what "auto" means, where the adapter allows it."""
DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
CUSTOM = "pytorch_custom_diffusion_weights.safetensors"
NET = "diffusion_pytorch_model.safetensors"
OWN = "weft_adapter"
"""The metadata that says what a file was: kind, family and base."""


@dataclass(frozen=True)
class Part:
    """One file of a layout: tensors with metadata, or a text. path: below the saved name, "" where it is that file."""

    path: str
    tensors: dict[str, Tensor] = field(default_factory=dict)
    metadata: dict[str, str] = field(default_factory=dict)
    text: str = ""


def chosen(adapter: Adapter, layout: str) -> str:
    """The layout that is meant.

    Raises:
        ModelError: adapters of this kind have no such layout.
    """
    known = LAYOUTS[adapter.kind]
    if layout == "auto":
        if adapter.kind == "embedding" and any(name.endswith(".text_encoder_2") for name in adapter.tensors):
            return "sdxl"
        others = ("hada_", "lokr_", "oft_")
        return "peft" if adapter.kind == "lora" and any(o in n for n in adapter.tensors for o in others) else known[0]
    if layout not in known:
        raise ModelError(f"{called(adapter)} has no layout {layout!r}: its layouts are {', '.join(known)}")
    return layout


def parts_of(adapter: Adapter, model: Model, layout: str, dtype: str, title: str) -> list[Part]:
    """The files of an adapter in a layout.

    Args:
        title: the saved name, which some layouts carry.

    Raises:
        ModelError: it does not fit the model or the layout.
    """
    if adapter.kind == "lora":
        parts = _lora(adapter, model, layout, title)
    elif adapter.kind == "embedding":
        parts = _words(adapter, layout)
    elif adapter.kind == "custom_diffusion":
        tensors = {custom_name(name): item for name, item in of_component(adapter, "unet").items()}
        parts = [Part(CUSTOM, tensors), *_token_files(adapter)]
    elif adapter.kind in ("weights", "unet_delta"):
        parts = _components(adapter, model)
    elif adapter.kind == "ip_adapter":
        parts = [Part("", {name.removeprefix("net."): item for name, item in adapter.tensors.items()})]
    else:
        config = adapter.settings.get("config")
        if not isinstance(config, dict):
            raise ModelError(f"{called(adapter)} lacks its configuration: settings['config']")
        kind = {"controlnet": "ControlNetModel", "t2i_adapter": "T2IAdapter"}[adapter.kind]
        text = _json({"_class_name": kind, **config})
        parts = [
            Part("config.json", text=text),
            Part(NET, {name.removeprefix("net."): item for name, item in adapter.tensors.items()}),
        ]
    own = json.dumps({"kind": adapter.kind, "family": adapter.family or model.family, "base": adapter.base})
    return [_finished(part, DTYPES[dtype], own) for part in parts]


def _finished(part: Part, dtype: torch.dtype, own: str) -> Part:
    if part.text:
        return part
    tensors = {
        # Alphas stay what they are: they are numbers, not weights.
        name: (item if name.endswith(".alpha") or not item.is_floating_point() else item.to(dtype)).contiguous()
        for name, item in part.tensors.items()
    }
    return Part(part.path, tensors, {"format": "pt", **part.metadata, OWN: own})


def _lora(adapter: Adapter, model: Model, layout: str, title: str) -> list[Part]:
    pieces = loras.pieces_of(adapter, model)
    if layout == "diffusers":
        return [Part("", *loras.diffusers_file(adapter, pieces))]
    if layout == "kohya":
        return [Part("", *loras.kohya_file(adapter, pieces, model, title))]
    several = len(pieces.by_component) > 1
    parts = []
    for component in pieces.by_component:
        folder = f"{component}/" if several else ""
        # PEFT reads these onto the module itself, whose names have no text_model. in the transformers of today.
        tensors = loras.named(pieces, component, "base_model.model.", text=_own_text(model, component))
        parts += [
            Part(f"{folder}adapter_model.safetensors", tensors),
            Part(f"{folder}adapter_config.json", text=_json(loras.peft_config(pieces, component))),
        ]
    return parts


def _own_text(model: Model, component: str) -> str:
    """What the installed transformers has before the names of a text encoder's layers."""
    shell = model.parts().shell(component)
    return loras.TEXT if any(name.startswith(loras.TEXT) for name, _ in shell.named_parameters()) else ""


def _words(adapter: Adapter, layout: str) -> list[Part]:
    words = learned_words(adapter)
    for token, rows in words.items():
        if layout == "sdxl" and set(rows) != {"text_encoder", "text_encoder_2"}:
            raise ModelError(f"{called(adapter)}: layout 'sdxl' is for words of two text encoders; {token} has one")
        if layout != "sdxl" and len(rows) != 1:
            raise ModelError(f"{called(adapter)}: {token} has vectors for two text encoders: use layout 'sdxl'")
    return _token_files(adapter, layout, alone=True)


def words_layout(rows: Mapping[str, Tensor]) -> str:
    """The layout of a word with vectors for these text encoders, where none is asked for."""
    return "sdxl" if len(rows) > 1 else "diffusers"


def _token_files(adapter: Adapter, layout: str = "", alone: bool = False) -> list[Part]:
    """A file for each word; the first is the saved name itself where there is only one and nothing beside it."""
    words = learned_words(adapter)
    parts, taken = [], {CUSTOM.removesuffix(".safetensors")}
    for token, rows in words.items():
        form = layout or words_layout(rows)
        # A token is anybody's text: what is left of it in the file's name is no path, and short enough.
        stem = re.sub(r"[^\w.-]", "", token).strip(".")[:50] or "word"
        while stem.lower() in taken:
            stem += "_"
        taken.add(stem.lower())
        path = "" if alone and len(words) == 1 else f"{stem}.safetensors"
        metadata = {"token": token}
        if form == "sdxl":
            tensors = {"clip_l": rows["text_encoder"], "clip_g": rows["text_encoder_2"]}
        else:
            (vectors,) = rows.values()
            tensors = {"emb_params" if form == "a1111" else token: vectors}
        parts.append(Part(path, tensors, metadata))
    return parts


def custom_name(name: str) -> str:
    """diffusers' name of a projection in a file of Custom Diffusion."""
    head, _, rest = name.rpartition(".attn2.")
    projection, _, ending = rest.partition(".")
    return f"{head}.attn2.processor.{projection}_custom_diffusion.{ending}"


def _components(adapter: Adapter, model: Model) -> list[Part]:
    parts: list[Part] = []
    weights = model.parts().description.weights
    for component in dict.fromkeys(name.partition(".")[0] for name in adapter.tensors):
        tensors = of_component(adapter, component)
        if component not in weights:
            raise ModelError(f"{called(adapter)} has a {component}, which this model lacks")
        config: dict[str, Any] = dict(weights[component].config)
        if component == "unet":
            config["_class_name"] = "UNet2DConditionModel"
            if "conv_in.weight" in tensors:
                config["in_channels"] = int(tensors["conv_in.weight"].shape[1])
        elif not any(name.startswith(loras.TEXT) for name in tensors):
            tensors = {n if n.startswith("text_projection") else f"{loras.TEXT}{n}": t for n, t in tensors.items()}
        file = NET if component == "unet" else "model.safetensors"
        parts += [Part(f"{component}/config.json", text=_json(config)), Part(f"{component}/{file}", tensors)]
    return parts


def _json(content: Mapping[str, Any]) -> str:
    return json.dumps(content, indent=2, sort_keys=True) + "\n"
