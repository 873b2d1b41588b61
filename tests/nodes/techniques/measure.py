"""What parity and cost tests measure."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor


def relative(ours: Tensor, theirs: Tensor) -> float:
    """Relative L2 distance. Most cases give 0."""
    assert ours.shape == theirs.shape, f"{tuple(ours.shape)} is not {tuple(theirs.shape)}"
    assert bool(torch.isfinite(theirs).all()), "the oracle's result is not finite"
    return float((ours - theirs).norm() / theirs.norm())


@contextmanager
def counted(unet: Any) -> Iterator[list[int]]:
    """The rows of each forward of a denoiser within the block."""
    rows: list[int] = []

    def note(module: Any, args: tuple[Any, ...], options: dict[str, Any]) -> None:
        rows.append((args[0] if args else options["sample"]).shape[0])

    handle = unet.register_forward_pre_hook(note, with_kwargs=True)
    try:
        yield rows
    finally:
        handle.remove()
