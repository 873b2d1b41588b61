"""Tiny models and data sets to train on."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from tests import tiny_hints, tiny_nets
from tests.nodes.training.train_case import tiny_model
from weft.nodes.values import Model


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    """A Stable Diffusion 1.x of a few hundred kilobytes."""
    return tiny_model(tmp_path_factory.mktemp("tiny") / "sd1")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Model]:
    """Models of `tiny_hints` by name, to train nets on."""
    torch.set_num_threads(1)
    root = tmp_path_factory.mktemp("models")
    return functools.cache(lambda name: tiny_hints.tiny_model(root, name))


@pytest.fixture(scope="module")
def image_encoder(models: Callable[[str], Model], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny image encoder."""
    folder = tmp_path_factory.mktemp("encoder") / "own"
    tiny_nets.tiny_image_adapter(folder, Path(models("sd1").location))
    return folder / "image_encoder"


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the training that others are compared with is found again."""
    return tmp_path_factory.mktemp("places")


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
