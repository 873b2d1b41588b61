"""Adapters of PEFT around a module's layers: LoRA (arXiv 2106.09685), DoRA (2402.09353), LoKr and LoHa (2309.14859),
and OFT (2306.07280).

PEFT draws their first numbers from the process's generator, which other threads use too: here they come from the seed.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from weft.nodes.models.first_weights import RandomNumbersOf
from weft.nodes.training.draws import Draws
from weft.nodes.training.errors import TrainingError
from weft.nodes.training.lora_settings import LoraSettings, expanded, matched, misfits

log = logging.getLogger("weft.training")

NAME = "default"
"""PEFT's name of the adapter, which is a part of its parameters' names and of no file."""


def inject(module: Any, component: str, own: LoraSettings) -> dict[str, Any]:
    """Put an adapter around layers of a module; returns PEFT's configuration as plain data.

    The module is changed, its weights are not. At first the adapter has no effect.

    Args:
        module: with weights that do not learn.
        component: its name, which the first numbers depend on.
        own: kind, rank and layers, of this module.

    Raises:
        TrainingError: a target is no layer, or the rank does not fit.
    """
    from peft import inject_adapter_in_model

    parts = [(name, part) for name, part in module.named_modules() if isinstance(part, nn.Linear | nn.Conv2d)]
    layers = {name: tuple(part.weight.shape) for name, part in parts}
    wrong = [message for _, message in misfits(own, layers, component.replace("unet", "denoiser"))]
    if wrong:
        raise TrainingError("; ".join(wrong))
    most = max(min(shape[0], math.prod(shape[1:])) for shape in map(layers.__getitem__, matched(own.targets, layers)))
    if own.kind in ("lora", "dora") and own.rank > most:
        log.warning("a rank of %d learns no more than one of %d, which is all that these layers have", own.rank, most)
    config = _config(own, sorted(expanded(own.targets)))
    draws = Draws(own.seed)
    seed = int(draws.generator(f"first numbers of the {component}").integers(2**62))
    with RandomNumbersOf(torch.Generator().manual_seed(seed)):
        inject_adapter_in_model(config, module, adapter_name=NAME)
    with torch.no_grad():
        for name, parameter in adapter_parameters(module).items():
            parameter.data = parameter.data.float()
            if ".lora_A." in name:
                # Drawn by name, so that they do not depend on what other layers there are.
                parameter.copy_(_first(own, draws, name, parameter.shape).to(parameter.device))
    return _plain(config)


def _first(own: LoraSettings, draws: Draws, name: str, shape: torch.Size) -> torch.Tensor:
    """The numbers that a matrix A begins with: normal ones over the rank, or even ones by how many it sums."""
    if own.init == "gaussian":
        return draws.normal(f"init {name}", [0], shape)[0] / own.rank
    most = math.prod(shape[1:]) ** -0.5
    return torch.from_numpy(draws.generator(f"init {name}", 0).uniform(-most, most, tuple(shape)).astype("float32"))


def adapter_parameters(module: Any) -> dict[str, nn.Parameter]:
    """What an adapter put into a module, by PEFT's names."""
    return {name: p for name, p in module.named_parameters() if name.endswith(f".{NAME}") or f".{NAME}." in name}


def lora_group(module: Any) -> dict[str, nn.Parameter]:
    """What an adapter put into a denoiser, by the names that files have."""
    return {f"unet.{file_name(name)}": parameter for name, parameter in adapter_parameters(module).items()}


def lora_settings(configs: Mapping[str, Any], own: LoraSettings) -> dict[str, Any]:
    """What an `Adapter` of kind lora says beside its tensors. configs: what `inject` gave, by component."""
    return {"peft": dict(configs), "kind": own.kind, "rank": own.rank, "alpha": own.alpha or own.rank}


def file_name(name: str) -> str:
    """The name of an adapter's tensor in files, where no adapter has a name of its own."""
    return name.replace(f".{NAME}", "").replace(".lora_magnitude_vector.weight", ".lora_magnitude_vector")


def _config(own: LoraSettings, targets: list[str]) -> Any:
    import peft

    alpha: Any = own.alpha or own.rank
    if own.kind in ("lora", "dora"):
        dora = own.kind == "dora"
        return peft.LoraConfig(r=own.rank, lora_alpha=alpha, target_modules=targets, use_dora=dora)
    if own.kind == "lokr":
        return peft.LoKrConfig(r=own.rank, alpha=alpha, target_modules=targets)
    if own.kind == "loha":
        return peft.LoHaConfig(r=own.rank, alpha=alpha, target_modules=targets)
    return peft.OFTConfig(r=0, oft_block_size=own.rank, target_modules=targets)


def _plain(config: Any) -> dict[str, Any]:
    """What of a configuration is not as it always is, and all that says how large the change is."""
    default = type(config)()
    always = ("r", "lora_alpha", "alpha", "use_dora", "oft_block_size")
    found: dict[str, Any] = {"peft_type": config.peft_type.value, "target_modules": sorted(config.target_modules)}
    for name, item in vars(config).items():
        plain = item is None or isinstance(item, (bool, int, float, str))
        if plain and (name in always or item != getattr(default, name)):
            found.setdefault(name, getattr(item, "value", item))
    return found
