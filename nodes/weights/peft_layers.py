"""Adapters that are no plain product of two factors: DoRA (arXiv 2402.09353), LoHa (arXiv 2108.06098), LoKr
(arXiv 2309.14859) and OFT (arXiv 2306.07280), in PEFT's names. Light at import.

PEFT itself computes what each does to a layer, on a copy of that layer alone.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from weft.nodes.models.errors import ModelError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

Kind = Literal["dora", "loha", "lokr", "oft"]
NAMES: Mapping[Kind, str] = {"dora": "DoRA", "loha": "LoHa", "lokr": "LoKr", "oft": "OFT"}
ROLES = r"lora_magnitude_vector|lokr_w[12](?:_[ab])?|lokr_t2|hada_w[12]_[ab]|hada_t[12]|oft_R"
"""The endings of their tensors' names, as a regular expression. A DoRA has the factors of a LoRA beside its own."""
_SETTINGS: Mapping[Kind, tuple[str, ...]] = {
    "dora": ("use_rslora",),
    "loha": ("use_effective_conv2d",),
    "lokr": ("decompose_both", "decompose_factor", "use_effective_conv2d"),
    "oft": ("coft", "eps", "block_share", "use_cayley_neumann", "num_cayley_neumann_terms"),
}
"""What of PEFT's configuration decides what a layer computes, beside rank and alpha."""

_STARTS: Mapping[Kind, str] = {"loha": "hada_", "lokr": "lokr_", "oft": "oft_"}
_MAX_TERMS = 100


@dataclass(frozen=True)
class PeftLayer:
    """What a file holds for one layer: its tensors' names by role, and PEFT's settings, alpha and rank resolved."""

    kind: Kind
    tensors: dict[str, str]
    settings: dict[str, Any] = field(default_factory=dict)


def kind_of(roles: Collection[str]) -> Kind | None:
    """The kind of a layer with tensors of these roles; None for a plain LoRA."""
    if "lora_magnitude_vector" in roles:
        return "dora"
    return next((kind for kind, start in _STARTS.items() if any(role.startswith(start) for role in roles)), None)


def missing(kind: Kind, roles: Collection[str]) -> list[str]:
    """Tensors that a layer of this kind lacks."""
    if kind == "dora":
        return [name for role, name in (("down", "lora_A"), ("up", "lora_B")) if role not in roles]
    if kind == "loha":
        return [name for name in ("hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b") if name not in roles]
    if kind == "lokr":
        pairs = [name for name in ("lokr_w1", "lokr_w2") if name not in roles]
        return [f"{name}_{half}" for name in pairs for half in "ab" if f"{name}_{half}" not in roles]
    return []


def plain_settings(kind: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """What of PEFT's settings decides what a layer of a kind computes, rank and alpha aside."""
    own = next(names for key, names in _SETTINGS.items() if key == kind)
    return {name: settings[name] for name in own if name in settings}


def misfit(kind: Kind, shapes: Mapping[str, tuple[int, ...]], weight: tuple[int, ...]) -> str | None:
    """Which tensor does not fit a layer's weight, with its shape; None where all do, as far as shapes tell.

    shapes: by role; of a DoRA without those of its two factors, which are checked as a LoRA's.
    """
    inner = math.prod(weight[1:])

    def told(role: str) -> str:
        return f"{role} {list(shapes[role])}"

    if kind == "dora":
        return None if math.prod(shapes["lora_magnitude_vector"]) == weight[0] else told("lora_magnitude_vector")
    if kind == "loha":
        for number in (1, 2):
            first, second = shapes[f"hada_w{number}_a"], shapes[f"hada_w{number}_b"]
            if f"hada_t{number}" in shapes:
                if sorted((first[-1], second[-1])) != sorted(weight[:2]):
                    return told(f"hada_w{number}_a")
            elif first[0] != weight[0] or math.prod(second[1:]) != inner or first[1] != second[0]:
                return f"{told(f'hada_w{number}_a')} and {told(f'hada_w{number}_b')}"
        return None
    if kind == "lokr":
        rows = [shapes[name][0] if name in shapes else shapes[f"{name}_a"][0] for name in ("lokr_w1", "lokr_w2")]
        if "lokr_t2" in shapes:
            return None
        return None if math.prod(rows) == weight[0] else " and ".join(told(role) for role in sorted(shapes))
    blocks, numbers = shapes["oft_R"]
    size = side(numbers)
    fits = size > 0 and (blocks * size == inner or (blocks == 1 and inner % size == 0))
    return None if fits else told("oft_R")


def side(numbers: int) -> int:
    """The side n of a block whose upper triangle has so many numbers, n (n - 1) / 2; 0 where there is none."""
    size = (1 + math.isqrt(1 + 8 * numbers)) // 2
    return size if size * (size - 1) // 2 == numbers and numbers > 0 else 0


def weight_change(where: str, name: str, layer: PeftLayer, tensors: Mapping[str, Tensor], base: Any) -> Tensor:
    """What an adapter changes of a layer's weight at full strength: float32, on the CPU. `base` stays as it is.

    where, name: of the file and the layer, for messages.

    Raises:
        ModelError: the tensors are not those of such a layer.
    """
    import torch

    from weft.nodes.lazy import IMPORTING
    from weft.nodes.models.first_weights import own_random

    with IMPORTING:
        from peft import inject_adapter_in_model

    own = {role: tensors[stored].float() for role, stored in layer.tensors.items()}
    holder: Any = torch.nn.Module()
    holder.layer = copy.deepcopy(base).to("cpu", torch.float32).requires_grad_(False)
    before: Tensor = holder.layer.weight.detach().clone()
    try:
        with own_random():
            inject_adapter_in_model(_config(layer, own), holder, adapter_name="default")
    except (ValueError, TypeError, RuntimeError, ZeroDivisionError) as error:
        raise ModelError(f"{where}: PEFT cannot make the {NAMES[layer.kind]} of {name}: {error}") from error
    wrapped: Any = holder.layer
    parameters = {
        key.replace(".default", "").removesuffix(".weight"): parameter
        for key, parameter in wrapped.named_parameters()
        if ".default" in key
    }
    with torch.no_grad():
        for role, parameter in parameters.items():
            given = own.get(role)
            if given is None or given.numel() != parameter.numel():
                shape = "nothing" if given is None else list(given.shape)
                raise ModelError(
                    f"{where}: {role} of {name} is {shape}, and PEFT's settings say {list(parameter.shape)}: do the "
                    "settings (adapter_config.json) belong to these weights?"
                )
            parameter.copy_(given.reshape(parameter.shape))
        wrapped.merge()
        merged: Tensor = wrapped.get_base_layer().weight.detach()
        return merged - before


def _config(layer: PeftLayer, own: Mapping[str, torch.Tensor]) -> Any:
    """PEFT's configuration for this layer alone. Ranks are those of the tensors, which bounds what is allocated."""
    import peft

    known = plain_settings(layer.kind, layer.settings)
    if known.get("num_cayley_neumann_terms", 0) > _MAX_TERMS:
        raise ModelError(
            f"num_cayley_neumann_terms is {known['num_cayley_neumann_terms']}; at most {_MAX_TERMS} will do"
        )
    known["target_modules"] = ["layer"]
    rank: Any = layer.settings.get("r")
    alpha: Any = layer.settings.get("alpha")
    if layer.kind == "dora":
        rank = own["lora_A"].shape[0]
        return peft.LoraConfig(r=rank, lora_alpha=rank if alpha is None else alpha, use_dora=True, **known)
    if layer.kind == "loha":
        return peft.LoHaConfig(r=own["hada_w1_b"].shape[0], alpha=alpha, **known)
    if layer.kind == "lokr":
        return peft.LoKrConfig(r=rank, alpha=alpha, **known)
    return peft.OFTConfig(r=0, oft_block_size=side(own["oft_R"].shape[1]), **known)
