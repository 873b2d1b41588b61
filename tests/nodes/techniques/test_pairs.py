"""All pairs of techniques: what combines does so on a tiny model, what does not is refused before it runs."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.nodes.techniques.measure import relative
from tests.nodes.techniques.pairs import (
    BY_NAME,
    CONFLICTS,
    OTHER_MODEL,
    SAME,
    TECHNIQUES,
    model_of,
    pairs,
    verdict,
)
from tests.nodes.techniques.wiring import EARLY, LATE, Files, Kit, wire

Alone = Callable[..., Tensor]
NAMES = [technique.name for technique in TECHNIQUES]


@pytest.fixture(scope="module")
def files(folder: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Files:
    return Files(tmp_path_factory.mktemp("pairs"), folder)


@pytest.fixture(scope="module")
def kit(files: Files) -> Kit:
    return Kit(files)


@pytest.fixture(scope="module")
def made(kit: Kit) -> Alone:
    """Latents of a run on a model with some techniques, computed once for the same ones."""
    held = {}

    @cache
    def run(kind: str, parts: tuple[tuple[str, Any], ...], steps: int = 2) -> Tensor:
        held[kind] = kit.model(kind).parts()
        return wire(kit, kind, parts, steps).latents.samples

    return run


def alone(made: Alone, name: str, cfg: str = "on", steps: int = 2, kind: str | None = None) -> Tensor:
    """A run with one technique beside cfg. A window around nothing is none."""
    parts = () if name in ("cfg", "during") else ((name, "on"),)
    return made(kind or model_of(name), parts if cfg == "on" else (*parts, ("cfg", cfg)), steps)


def test_the_table_is_about_what_is_wired() -> None:
    assert set(NAMES) == {*EARLY, *LATE}
    order = {name: number for number, name in enumerate(NAMES)}
    for table in (CONFLICTS, OTHER_MODEL, SAME):
        assert all(order[first] <= order[second] for first, second in table)


@pytest.mark.parametrize("first", NAMES)
def test_pairs_act_together(first: str, made: Alone) -> None:
    wrong = []
    for pair in pairs():
        one, second = pair
        if one != first or verdict(*pair) != "combines":
            continue
        kind = model_of(one, second)
        other = "other" if one == second else "on"
        both = made(kind, ((one, "on"), (second, other)))
        if not bool(torch.isfinite(both).all()):
            wrong.append(f"{one} + {second}: not finite")
        alones = [alone(made, one), alone(made, second, "off" if one == "cfg" else "on")]
        near = [relative(both, found) for found in alones]
        if pair in SAME:
            if near[1] > 1e-6:
                wrong.append(f"{one} changes {second} after all: {near}")
        elif min(near) < 1e-4:
            wrong.append(f"{one} + {second}: {near}")
    assert wrong == []


@pytest.mark.parametrize("first", NAMES)
def test_one_switched_off_is_the_other_alone(first: str, made: Alone) -> None:
    """Bit for bit, in a run of one step."""
    if not BY_NAME[first].off:
        return
    wrong = []
    for pair in pairs():
        if first not in pair or pair[0] == pair[1] or verdict(*pair) != "combines":
            continue
        (second,) = set(pair) - {first}
        if pair == ("cfg", "latent_consistency"):
            continue  # it reads the scale, with a window or without
        kind = model_of(*pair)
        both = made(kind, ((first, "off"), (second, "on")), 1)
        if second == "during" and not BY_NAME[first].wire:
            # There is nothing but the base to be around.
            expected = made(kind, ((second, "on"),), 1)
        else:
            expected = alone(made, second, "never" if first == "cfg" else "on", 1, kind)
        if not torch.equal(both, expected):
            wrong.append(f"{first} off, {second}: {relative(both, expected)}")
    assert wrong == []
