"""Three techniques at once: each named set acts, each part of it shows, and without one part it is the other two."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.nodes.techniques.measure import relative
from tests.nodes.techniques.pairs import BY_NAME, TRIPLES, model_of
from tests.nodes.techniques.wiring import Files, Kit, document, wire
from weft.engine import check

Names = tuple[str, ...]


@pytest.fixture(scope="module")
def kit(folder: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Kit:
    return Kit(Files(tmp_path_factory.mktemp("triples"), folder))


def made(kit: Kit, names: Names, off: str = "", without: str = "", steps: int = 2) -> Tensor:
    """Latents under these techniques, on the model that all of them need."""
    kind = model_of(*names)
    held = kit.model(kind).parts()
    parts: Any = [(name, "off" if name == off else "on") for name in names if name != without]
    result: Tensor = wire(kit, kind, parts, steps).latents.samples
    assert held is not None
    return result


def removable(names: Names) -> list[str]:
    """All but the base that the model asks for."""
    return [name for name in names if name != "instruct_pix2pix"]


@pytest.mark.parametrize("names", TRIPLES, ids=" + ".join)
def test_each_part_shows(kit: Kit, names: Names) -> None:
    assert check(document(kit.files, model_of(*names), [(name, "on") for name in names]), targets=["denoise"]) == []
    together = made(kit, names)
    assert bool(torch.isfinite(together).all())
    near = {name: relative(together, made(kit, names, without=name)) for name in removable(names)}
    assert min(near.values()) > 1e-4, near


@pytest.mark.parametrize("names", TRIPLES, ids=" + ".join)
def test_one_switched_off_is_the_other_two(kit: Kit, names: Names) -> None:
    """Bit for bit."""
    wrong = []
    for name in removable(names):
        assert BY_NAME[name].off
        with_it_off, without = made(kit, names, off=name), made(kit, names, without=name)
        if not torch.equal(with_it_off, without):
            wrong.append(f"{name}: {relative(with_it_off, without)}")
    assert wrong == []
