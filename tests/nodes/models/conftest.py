"""Tiny models, built once a session. Tests that change a model copy it first."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from tests.tiny import tiny_sd1, tiny_sd2, tiny_sdxl
from weft.nodes.models.residency import Residency, set_default_residency


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with sd1, sd1_old, sd2, sdxl, sdxl_old."""
    root = tmp_path_factory.mktemp("models")
    tiny_sd1(root / "sd1")
    tiny_sd1(root / "sd1_old", layout="old", length=40)
    tiny_sd2(root / "sd2")
    tiny_sdxl(root / "sdxl")
    tiny_sdxl(root / "sdxl_old", layout="old")
    return root


@pytest.fixture
def residency() -> Iterator[Residency]:
    """An empty residency manager in place of the process-wide one."""
    fresh = Residency(host_bytes=1 << 30)
    before = set_default_residency(fresh)
    yield fresh
    set_default_residency(before)
