"""LoRAs and their kin in the layouts of diffusers, PEFT and kohya, with the names of a model's layers."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from weft.nodes.models import ldm
from weft.nodes.models.errors import ModelError
from weft.nodes.models.headers import Header, TensorInfo
from weft.nodes.values.model import Model
from weft.nodes.values.training import Adapter
from weft.nodes.weights import lora, peft_layers
from weft.nodes.weights.adapters import called, origin

TEXT = "text_model."
"""What published files have before the names of a text encoder's layers, whatever the installed transformers does."""
_BASES = {"sd1": "sd_v1", "sd2": "sd_v2", "sdxl": "sdxl_base_v1-0"}
_ARCHITECTURES = {"sd1": "stable-diffusion-v1", "sd2": "stable-diffusion-v2", "sdxl": "stable-diffusion-xl-v1-base"}


@dataclass(frozen=True)
class Piece:
    """What an adapter does to one layer. kind: ``lora`` or one of `peft_layers.Kind`.

    tensors: by PEFT's endings (``lora_A.weight``, ``lokr_w1``...). rank, alpha: alpha is that of a factor alpha / rank.
    settings: PEFT's, of other kinds than LoRA.
    """

    kind: str
    tensors: dict[str, Tensor]
    rank: int
    alpha: float
    settings: dict[str, Any]


@dataclass(frozen=True)
class Pieces:
    """An adapter by component and by layer, as the model calls it but without ``text_model.``."""

    by_component: dict[str, dict[str, Piece]]
    targets: dict[str, list[str]]

    @property
    def kind(self) -> str:
        """The kind that is no plain LoRA, where there is one."""
        kinds = {piece.kind for own in self.by_component.values() for piece in own.values()} - {"lora"}
        return next(iter(sorted(kinds)), "lora")


def pieces_of(adapter: Adapter, model: Model) -> Pieces:
    """The adapter, whatever names it has, by the layers of a model.

    Raises:
        ModelError: it does not fit the model.
    """
    place = origin(adapter)
    peft = adapter.settings.get("peft")
    return pieces_in(place.where, place.header, adapter.tensors, model, peft if isinstance(peft, dict) else {})


def pieces_in(
    where: Path | str,
    header: Header,
    tensors: Mapping[str, Tensor],
    model: Model,
    peft: Mapping[str, Any] | None = None,
) -> Pieces:
    """The same of a file. peft: by component, PEFT's configuration, whose target_modules stay where they are right.

    Raises:
        ModelError: it does not fit the model.
    """
    names = lora.layers_of(model.parts())
    infos = {name: TensorInfo("F32", tuple(item.shape), Path(str(where))) for name, item in tensors.items()}
    layers, _ = lora.match(where, Header(infos, header.metadata), names)
    by_component: dict[str, dict[str, Piece]] = {}
    for (component, module), layer in layers.items():
        shape = names[component].shapes[module]
        piece = _lora_piece(layer, tensors, shape) if isinstance(layer, lora.Layer) else _peft_piece(layer, tensors)
        by_component.setdefault(component, {})[module.removeprefix(TEXT)] = piece
    targets = {name: _targets(peft or {}, name, own, names[name]) for name, own in by_component.items()}
    return Pieces(by_component, targets)


def _lora_piece(layer: lora.Layer, tensors: Mapping[str, Tensor], shape: tuple[int, ...]) -> Piece:
    down, up = tensors[layer.down].float(), tensors[layer.up].float()
    if layer.mid is not None:  # LoCon's third factor goes into the first, which then carries the kernel
        inner = tensors[layer.mid].float()
        down = torch.einsum("abhw,bc->achw", inner, down.flatten(1))
    rank = down.shape[0]
    if len(shape) == 4:
        down, up = down.reshape(rank, shape[1], *shape[2:]), up.reshape(shape[0], rank, 1, 1)
    else:
        down, up = down.reshape(rank, -1), up.reshape(-1, rank)
    alpha = lora.factor(layer, tensors) * rank
    return Piece("lora", {"lora_A.weight": down, "lora_B.weight": up}, rank, alpha, {})


def _peft_piece(layer: peft_layers.PeftLayer, tensors: Mapping[str, Tensor]) -> Piece:
    own = {role: tensors[name].float() for role, name in layer.tensors.items()}
    settings = dict(layer.settings)
    if layer.kind == "dora":
        rank = own["lora_A"].shape[0]
        alpha = float(settings.get("alpha", rank)) * (math.sqrt(rank) if settings.get("use_rslora") else 1)
        named = {f"{role}.weight" if role in ("lora_A", "lora_B") else role: item for role, item in own.items()}
        return Piece("dora", named, rank, alpha, {})
    named = {f"{role}.weight" if layer.kind == "oft" else role: item for role, item in own.items()}
    return Piece(layer.kind, named, int(settings.get("r", 0)), float(settings.get("alpha", 1)), settings)


def _targets(peft: Mapping[str, Any], component: str, own: Mapping[str, Piece], names: lora.Names) -> list[str]:
    """The endings that the training named where they mean these very layers, else all the layers."""
    ends = peft.get(component, {}).get("target_modules")
    if isinstance(ends, list) and ends and all(isinstance(item, str) for item in ends):
        bare = {name.removeprefix(TEXT) for name in names.shapes}
        meant = {name for name in bare if any(name == end or name.endswith(f".{end}") for end in ends)}
        if meant == own.keys():
            return sorted(ends)
    return sorted(own)


def peft_config(pieces: Pieces, component: str) -> dict[str, Any]:
    """PEFT's configuration of one component, as plain data."""
    own = pieces.by_component[component]
    kinds = {piece.kind for piece in own.values()}
    if len(kinds) > 1:
        named = " and ".join(sorted(kinds))
        raise ModelError(f"the adapter has {named} in its {component}: PEFT's layouts hold one kind")
    (kind,) = kinds
    rank = Counter(piece.rank for piece in own.values()).most_common(1)[0][0]
    alpha = Counter(piece.alpha for piece in own.values()).most_common(1)[0][0]
    config: dict[str, Any] = {"target_modules": pieces.targets[component]}
    if kind == "oft":
        first = next(iter(own.values()))
        side = peft_layers.side(first.tensors["oft_R.weight"].shape[1])
        own_settings = peft_layers.plain_settings("oft", first.settings)
        return config | own_settings | {"peft_type": "OFT", "r": 0, "oft_block_size": side}
    config |= {
        "rank_pattern": {name: piece.rank for name, piece in own.items() if piece.rank != rank},
        "alpha_pattern": {name: piece.alpha for name, piece in own.items() if piece.alpha != alpha},
        "r": rank,
    }
    if kind in ("lora", "dora"):
        return config | {"peft_type": "LORA", "lora_alpha": alpha, "use_dora": kind == "dora", "use_rslora": False}
    first = next(iter(own.values()))
    return config | peft_layers.plain_settings(first.kind, first.settings) | {"peft_type": kind.upper(), "alpha": alpha}


def named(pieces: Pieces, component: str, start: str, text: str = TEXT) -> dict[str, Tensor]:
    """The tensors of one component in PEFT's names, with something before them."""
    middle = text if component != "unet" else ""
    return {
        f"{start}{middle}{module}.{ending}": item
        for module, piece in pieces.by_component[component].items()
        for ending, item in piece.tensors.items()
    }


def diffusers_file(adapter: Adapter, pieces: Pieces) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and metadata as ``save_lora_weights`` writes them.

    Raises:
        ModelError: it is of a kind that diffusers does not load.
    """
    if pieces.kind not in ("lora", "dora"):
        raise ModelError(f"{called(adapter)} is of the kind {pieces.kind}, which diffusers does not load: use 'peft'")
    tensors: dict[str, Tensor] = {}
    settings: dict[str, Any] = {}
    for component in pieces.by_component:
        tensors |= named(pieces, component, f"{component}.")
        config = peft_config(pieces, component)
        del config["peft_type"]
        settings |= {f"{component}.{name}": item for name, item in config.items()}
    return tensors, {"format": "pt", "lora_adapter_metadata": json.dumps(settings, sort_keys=True)}


def kohya_file(adapter: Adapter, pieces: Pieces, model: Model, title: str) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and metadata as kohya's sd-scripts write them. Alpha is always there: without it, they take it as 1.

    Raises:
        ModelError: it is no plain LoRA.
    """
    if pieces.kind != "lora":
        raise ModelError(f"{called(adapter)} is no plain LoRA, which is what kohya's layout is for: use layout 'peft'")
    xl = model.family == "sdxl"
    prefixes = {"unet": "lora_unet_", "text_encoder": "lora_te1_" if xl else "lora_te_", "text_encoder_2": "lora_te2_"}
    config = model.parts().description.weights["unet"].config
    plain_up = frozenset(i for i, kind in enumerate(config.get("up_block_types", ())) if kind == "UpBlock2D")
    tensors: dict[str, Tensor] = {}
    for component, own in pieces.by_component.items():
        for module, piece in own.items():
            name = module if component == "unet" else f"{TEXT}{module}"
            if xl and component == "unet":  # sd-scripts name SDXL's layers as the original checkpoint does
                layers = int(config.get("layers_per_block", 2))
                name = ldm.unet_name(f"{name}.weight", layers, plain_up).removesuffix(".weight")
            base = prefixes[component] + name.replace(".", "_")
            tensors[f"{base}.lora_down.weight"] = piece.tensors["lora_A.weight"]
            tensors[f"{base}.lora_up.weight"] = piece.tensors["lora_B.weight"]
            tensors[f"{base}.alpha"] = torch.tensor(float(piece.alpha))
    whole = [piece for own in pieces.by_component.values() for piece in own.values()]
    rank = Counter(piece.rank for piece in whole).most_common(1)[0][0]
    alpha = Counter(piece.alpha for piece in whole).most_common(1)[0][0]
    metadata = {
        "format": "pt",
        "ss_network_module": "networks.lora",
        "ss_network_dim": str(rank),
        "ss_network_alpha": str(float(alpha)),
        "ss_base_model_version": _BASES[model.family],
        "ss_v2": str(model.family == "sd2"),
        "modelspec.sai_model_spec": "1.0.0",
        "modelspec.architecture": f"{_ARCHITECTURES[model.family]}/lora",
        "modelspec.implementation": "diffusers",
        "modelspec.title": title,
        "modelspec.resolution": f"{model.size}x{model.size}",
        "modelspec.prediction_type": "v" if model.prediction == "v_prediction" else "epsilon",
    }
    if isinstance(trigger := adapter.settings.get("trigger"), str) and trigger:
        metadata["modelspec.trigger_phrase"] = trigger
    return tensors, metadata
