"""Tiny models and diffusers' pipelines on them, once a session."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.nodes.sampling import oracle
from tests.tiny import tiny_sd1, tiny_sd2, tiny_sdxl
from weft.nodes import load_model
from weft.nodes.values import Model

BUILDERS: dict[str, Callable[[Path], Path]] = {
    "sd1": tiny_sd1,
    "sd1_four": lambda folder: tiny_sd1(folder, levels=4, sample_size=32),
    "sd1_inpaint": lambda folder: tiny_sd1(folder, unet_in=9),
    "sd2": tiny_sd2,
    "sdxl": tiny_sdxl,
    "sdxl_inpaint": lambda folder: tiny_sdxl(folder, unet_in=9),
}


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder of a tiny model by name, built when first asked for."""
    root = tmp_path_factory.mktemp("sampling")
    return cache(lambda name: BUILDERS[name](root / name))


@pytest.fixture(scope="session")
def model(folder: Callable[[str], Path]) -> Callable[[str], Model]:
    """A tiny model by name, float32 on the CPU."""
    return cache(lambda name: load_model(str(folder(name)), dtype="float32", device="cpu"))


@pytest.fixture(scope="session")
def pipe(folder: Callable[[str], Path], model: Callable[[str], Model]) -> Callable[[str, str], Any]:
    """diffusers' pipeline by model name and class, on our model's own modules.

    Loading is compared elsewhere. Here the same weights at other addresses would be multiplied in another order, and
    the sharp attention of the tiny models turns a difference of 1e-7 into one of 1e-1 within a few layers.
    """

    def build(name: str, kind: str) -> Any:
        made = oracle.pipeline(kind, folder(name))
        made.parts = model(name).parts()
        made.register_modules(unet=made.parts.unet, vae=made.parts.vae)
        for encoder, own in zip(("text_encoder", "text_encoder_2"), made.parts.text_encoders, strict=False):
            made.register_modules(**{encoder: own})
        return made

    return cache(build)
