"""Tiny models with calm attention, and files that change models, for the tests of weight patches.

The tiny models' attention is so sharp that a rounding of 1e-7 becomes 1e-1; merged and unmerged weights round
differently, so these tests compare on models whose queries and keys are scaled down.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from weft.nodes.values import Model


def calm(folder: Path) -> Path:
    """Scale down the queries and keys of a tiny model's files."""
    for weights in sorted(folder.glob("*/*.safetensors")):
        state = load_file(weights)
        for name, tensor in state.items():
            if name.endswith(("to_q.weight", "to_k.weight", "q_proj.weight", "k_proj.weight")):
                tensor.mul_(0.15)
            if name.endswith(("v_proj.weight", "out_proj.weight", "fc1.weight", "fc2.weight")):
                tensor.mul_(0.3)
        save_file(state, weights, metadata={"format": "pt"})
    return folder


def relative(ours: Tensor, theirs: Tensor) -> float:
    """Relative L2 distance."""
    assert ours.shape == theirs.shape
    assert bool(torch.isfinite(theirs).all())
    return float((ours.double() - theirs.double()).norm() / theirs.double().norm())


def checksum(model: Model) -> str:
    """One hash over every byte of a model's weights and its tokenizers' vocabularies."""
    whole = hashlib.sha256()
    with model.parts() as parts:
        for name in parts.components:
            for key, tensor in sorted(parts.component(name).state_dict().items()):
                whole.update(key.encode() + tensor.contiguous().numpy().tobytes())
        for tokenizer in parts.tokenizers:
            whole.update(repr(sorted(tokenizer.get_vocab().items())).encode())
    return whole.hexdigest()


def lora_pairs(
    module: Any, names: list[str], rank: int, seed: int, size: float = 0.3
) -> dict[str, tuple[Tensor, Tensor]]:
    """Random (down, up) for layers of a module, about ``size`` of the weight's own norm."""
    source = torch.Generator().manual_seed(seed)
    pairs = {}
    for name in names:
        weight = module.get_submodule(name).weight
        kernel = weight.shape[2:]
        down = torch.randn(rank, *weight.shape[1:], generator=source)
        up = torch.randn(weight.shape[0], rank, *(1,) * len(kernel), generator=source)
        product = (up.flatten(1) @ down.flatten(1)).norm()
        up *= size * weight.norm() / product
        pairs[name] = (down, up)
    return pairs
