"""Tiny models that train in milliseconds, each of its own folder, once a session."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
import torch

from tests.nodes.techniques.conftest import _calm
from tests.tiny import tiny_sd1, tiny_sd2, tiny_sdxl
from weft.nodes import load_model
from weft.nodes.values import Model

# Their attention is calm: sharp attention makes much of rounding, and what is compared here is rounded differently.
BUILDERS: dict[str, Callable[[Path], Path]] = {
    "sd1": lambda folder: _calm_text(_calm(tiny_sd1(folder, sample_size=8))),
    "sd2_v": lambda folder: _calm_text(_calm(tiny_sd2(folder, sample_size=8))),
    "sdxl": lambda folder: _calm_text(_calm(tiny_sdxl(folder, sample_size=8), by=0.1)),
}


def _calm_text(folder: Path) -> Path:
    """Text encoders whose attention is less sharp, too."""
    from safetensors.torch import load_file, save_file

    for path in folder.glob("text_encoder*/model.safetensors"):
        weights = load_file(path)
        for name in weights:
            if name.endswith(("q_proj.weight", "k_proj.weight")):
                weights[name] *= 0.1
            elif name.endswith(("v_proj.weight", "out_proj.weight", "fc1.weight", "fc2.weight")):
                weights[name] *= 0.3
        save_file(weights, path, metadata={"format": "pt"})
    return folder


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder of a tiny model by name: sd1 predicts noise, sd2_v a velocity, sdxl has two text encoders."""
    root = tmp_path_factory.mktemp("training")
    return cache(lambda name: BUILDERS[name](root / name))


@pytest.fixture(scope="session")
def model(folder: Callable[[str], Path]) -> Callable[[str], Model]:
    """A tiny model by name, float32 on the CPU, 64 x 64 pixels."""
    return cache(lambda name: load_model(str(folder(name)), dtype="float32", device="cpu"))
