"""Tiny models and data sets to train on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from tests.nodes.training.train_case import tiny_model
from weft.nodes.values import Model


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    """A Stable Diffusion 1.x of a few hundred kilobytes."""
    return tiny_model(tmp_path_factory.mktemp("tiny") / "sd1")


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Sums in one order."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """Where checkpoints lie."""
    return tmp_path / "workspaces"
