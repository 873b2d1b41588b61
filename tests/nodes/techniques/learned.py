"""Adapters as trainings give them, with random numbers, for the models of `tests.tiny`."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor

from weft.nodes.values import Model
from weft.nodes.values.training import Adapter

TARGETS = ["to_q", "to_v", "to_out.0", "conv1"]
TEXT_TARGETS = ["q_proj", "out_proj"]


def source(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def peft_config(kind: str, rank: int = 4, alpha: float = 6) -> Any:
    """PEFT's configuration of a kind of adapter; alpha differs from the rank on purpose."""
    import peft

    if kind == "loha":
        return peft.LoHaConfig(r=rank, alpha=alpha, target_modules=TARGETS)
    if kind == "lokr":
        return peft.LoKrConfig(r=2, alpha=alpha, target_modules=TARGETS)
    if kind == "oft":
        return peft.OFTConfig(r=0, oft_block_size=4, target_modules=["to_q", "to_v"])
    return peft.LoraConfig(r=rank, lora_alpha=alpha, use_dora=kind == "dora", target_modules=TARGETS)


def injected(module: Any, config: Any, seed: int, size: float = 0.1) -> tuple[Any, dict[str, Tensor]]:
    """A copy of a module with PEFT's layers of random numbers in it, and these in PEFT's names."""
    from peft import inject_adapter_in_model

    module = copy.deepcopy(module).float()
    with torch.random.fork_rng(devices=[]):
        inject_adapter_in_model(config, module, adapter_name="default")
    own = source(seed)
    tensors = {}
    for name, parameter in module.named_parameters():
        if ".default" not in name:
            continue
        drawn = torch.randn(parameter.shape, generator=own)
        with torch.no_grad():
            if "magnitude" in name:
                parameter.mul_(1 + 0.2 * drawn)
            else:
                parameter.copy_(size * drawn)
        tensors[name.replace(".default", "")] = parameter.detach().clone()
    return module, tensors


def plain_config(config: Any) -> dict[str, Any]:
    """A configuration as plain data, as trainings keep it."""
    own = {key: item for key, item in config.to_dict().items() if isinstance(item, (int, float, str, bool, dict))}
    return {**own, "peft_type": config.peft_type.value, "target_modules": sorted(config.target_modules)}


def lora_adapter(model: Model, kind: str = "lora", seed: int = 0, text: bool = False, alpha: float = 6) -> Adapter:
    """An adapter of the denoiser, and perhaps of the text encoders, in PEFT's names."""
    parts = model.parts()
    config = peft_config(kind, alpha=alpha)
    _, own = injected(parts.unet, config, seed)
    tensors, peft = {f"unet.{name}": item for name, item in own.items()}, {"unet": plain_config(config)}
    for number, encoder in enumerate(parts.text_encoders if text else ()):
        component = f"text_encoder{'_2' if number else ''}"
        settings = peft_config("lora", rank=2, alpha=3)
        settings.target_modules = set(TEXT_TARGETS)
        _, own = injected(encoder, settings, seed + 1 + number)
        tensors |= {f"{component}.{name}": item for name, item in own.items()}
        peft[component] = plain_config(settings)
    return Adapter.of("lora", tensors, {"peft": peft, "alpha": alpha, "rank": 4}, model.fingerprint, model.family)


def word_tensors(model: Model, words: dict[str, int], seed: int = 0) -> dict[str, Tensor]:
    own = source(seed)
    names = ["text_encoder", "text_encoder_2"] if model.family == "sdxl" else ["text_encoder"]
    return {
        f"word.{token}.{name}": 0.5 * torch.randn(count, 32, generator=own)
        for token, count in words.items()
        for name in names
    }


def word_adapter(model: Model, words: dict[str, int], seed: int = 0) -> Adapter:
    tensors = word_tensors(model, words, seed)
    return Adapter.of("embedding", tensors, {"tokens": words}, model.fingerprint, model.family)


def custom_adapter(model: Model, seed: int = 0) -> Adapter:
    """Keys and values of the cross-attention, and a word."""
    own = source(seed)
    tensors = {
        f"unet.{name}": item.float() * (1 + 0.3 * torch.randn(item.shape, generator=own))
        for name, item in model.parts().unet.state_dict().items()
        if name.endswith(("attn2.to_k.weight", "attn2.to_v.weight"))
    }
    tensors |= word_tensors(model, {"<new1>": 1}, seed)
    return Adapter.of("custom_diffusion", tensors, {"tokens": {"<new1>": 1}}, model.fingerprint, model.family)


def weights_adapter(model: Model, seed: int = 0, text: bool = True) -> Adapter:
    """A whole denoiser and text encoder."""
    own = source(seed)
    parts = model.parts()
    modules = {"unet": parts.unet} | ({"text_encoder": parts.text_encoders[0]} if text else {})
    tensors = {
        f"{component}.{name}": item.float() * (1 + 0.05 * torch.randn(item.shape, generator=own))
        for component, module in modules.items()
        for name, item in module.named_parameters()
    }
    return Adapter.of("weights", tensors, {}, model.fingerprint, model.family)


def edit_adapter(model: Model, seed: int = 0) -> Adapter:
    """A denoiser of eight channels, for edits."""
    own = source(seed)
    tensors = {f"unet.{name}": item.float().clone() for name, item in model.parts().unet.named_parameters()}
    entry = tensors["unet.conv_in.weight"]
    more = 0.1 * torch.randn(entry.shape, generator=own)
    tensors["unet.conv_in.weight"] = torch.cat([entry, more], dim=1)
    return Adapter.of("unet_delta", tensors, {"unet_channels": 8}, model.fingerprint, model.family)


def forward(unet: Any, seed: int = 5, text: Tensor | None = None) -> Tensor:
    """What a denoiser predicts for fixed random latents and text, (2, 4, h, w)."""
    own, config = source(seed), unet.config
    latents = torch.randn(2, config.in_channels, 8, 8, generator=own)
    states = torch.randn(2, 7, config.cross_attention_dim, generator=own) if text is None else text
    added = None
    if config.addition_embed_type == "text_time":
        width = config.projection_class_embeddings_input_dim - 6 * config.addition_time_embed_dim
        added = {"text_embeds": torch.randn(2, width, generator=own), "time_ids": torch.full((2, 6), 64.0)}
    with torch.no_grad():
        return unet(latents, torch.tensor([400, 700]), encoder_hidden_states=states, added_cond_kwargs=added).sample
