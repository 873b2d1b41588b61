"""Weights to begin with, of a seed alone: what other nodes draw at the same time changes nothing."""

from __future__ import annotations

import math

import torch
from torch import nn

from weft.nodes.training.draws import Draws


def begin(module: nn.Module, draws: Draws, prefix: str = "") -> None:
    """Draw the weights of all linear layers and convolutions, as torch begins them: uniform, by how many they read."""
    with torch.no_grad():
        for name, layer in module.named_modules():
            if not isinstance(layer, nn.Linear | nn.Conv2d):
                continue
            most = 1 / math.sqrt(layer.weight[0].numel())
            for part, tensor in layer.named_parameters(recurse=False):
                drawn = draws.generator(f"init {prefix}{name}.{part}", 0).uniform(-most, most, tuple(tensor.shape))
                tensor.copy_(torch.from_numpy(drawn))
