"""Folders of pictures, written by the tests themselves, and a tiny model."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch

from tests.nodes.training.train_case import tiny_model
from weft.engine.filehash import forget
from weft.nodes.values import Model


class Pictures:
    """A folder of small pictures. Equal numbers are equal pictures."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def add(self, name: str, number: int = 0, size: tuple[int, int] = (24, 16), **options: object) -> Path:
        """Write a picture; the suffix says in which format."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        rng = np.random.default_rng(number)
        pixels = rng.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
        PIL.Image.fromarray(pixels).save(path, **options)  # type: ignore[arg-type]
        forget(path)
        return path

    def text(self, name: str, text: str) -> Path:
        """Write a text file."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
        forget(path)
        return path


@pytest.fixture
def pictures(tmp_path: Path) -> Pictures:
    folder = tmp_path / "pictures"
    folder.mkdir()
    return Pictures(folder)


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    """A Stable Diffusion 1.x of a few hundred kilobytes, for pictures of 64 x 64."""
    return tiny_model(tmp_path_factory.mktemp("tiny") / "sd1")


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Sums in one order."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
