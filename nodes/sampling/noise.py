"""Noise, one CPU generator per image."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def generators(seed: int, count: int) -> list[torch.Generator]:
    """One CPU generator per image: image k is seeded seed + k, so that it equals that seed alone."""
    return [torch.Generator("cpu").manual_seed((seed + number) % 2**64) for number in range(count)]


def draw(shape: Sequence[int], sources: Sequence[torch.Generator], device: torch.device | str) -> Tensor:
    """Standard normal noise of `shape`, row k from generator k, on `device`, as diffusers draws with a list."""
    rows = [torch.randn((1, *shape[1:]), generator=source) for source in sources]
    return torch.cat(rows).to(device)
