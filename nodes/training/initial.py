"""Weights to begin with, of a seed alone: what other nodes draw at the same time changes nothing."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from weft.nodes.training.draws import Draws


def begin(module: torch.nn.Module, draws: Draws, prefix: str = "") -> None:
    """Draw the weights of all linear layers and convolutions, as torch begins them: uniform, by how many they read."""
    with torch.no_grad():
        for name, layer in module.named_modules():
            if not isinstance(layer, (torch.nn.Linear, torch.nn.Conv2d)):
                continue
            most = 1 / math.sqrt(layer.weight[0].numel())
            for part, tensor in layer.named_parameters(recurse=False):
                drawn = draws.generator(f"init {prefix}{name}.{part}", 0).uniform(-most, most, tuple(tensor.shape))
                tensor.copy_(torch.from_numpy(drawn))


@contextmanager
def own_random() -> Iterator[None]:
    """While modules are made that draw weights of the global generator, which stays as it was."""
    with torch.random.fork_rng(devices=[]):
        yield
