"""Nodes that draw from the generators of the process, slowly, in a module that a worker process can import."""

from __future__ import annotations

import random
import time

import numpy as np
import torch

from weft.engine import node


@node("sample_python")
def sample_python(seed: int) -> float:
    """As a sampler with a global seed does."""
    random.seed(seed)
    total = 0.0
    for _ in range(20):
        time.sleep(0.001)
        total += random.random()
    return total


@node("sample_numpy")
def sample_numpy(seed: int) -> float:
    """As a sampler with a global seed does."""
    np.random.seed(seed)
    total = 0.0
    for _ in range(20):
        time.sleep(0.001)
        total += float(np.random.rand())
    return total


@node("sample_torch")
def sample_torch(seed: int) -> float:
    """As a sampler with a global seed does."""
    torch.manual_seed(seed)
    total = 0.0
    for _ in range(20):
        time.sleep(0.001)
        total += float(torch.randn(1))
    return total


@node("spend")
def spend(n: int) -> int:
    """Some milliseconds, and no random number."""
    time.sleep(0.002)
    return n


NODES = (sample_python, sample_numpy, sample_torch, spend)
