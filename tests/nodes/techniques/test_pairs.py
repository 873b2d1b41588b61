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
    ALWAYS,
    BASES,
    BY_NAME,
    CHANNELS,
    CONFLICTS,
    NOTES,
    ONE_INPUT,
    OTHER_MODEL,
    PAGE,
    SAME,
    SOURCES,
    STARTS,
    TECHNIQUES,
    VIEWS,
    WHOLE,
    model_of,
    page,
    pairs,
    verdict,
)
from tests.nodes.techniques.wiring import EARLY, LATE, Files, Kit, document, wire
from weft.engine import check
from weft.graphs import Problem

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
    for table in (CONFLICTS, OTHER_MODEL, SAME, ONE_INPUT, NOTES):
        assert all(order[first] <= order[second] for first, second in table)
    # Where the table of techniques says that two of a kind exclude each other, there is a reason.
    twice = {(technique.name,) * 2 for technique in TECHNIQUES if technique.twice == "conflict"}
    assert twice == {pair for pair in CONFLICTS if pair[0] == pair[1]}


def test_the_page_is_not_stale() -> None:
    assert PAGE.read_text("utf-8") == page(), "run `python -m tests.nodes.techniques.pairs`"


def problems(files: Files, one: str, second: str) -> list[Problem]:
    """What `check` has against the pair's document."""
    parts: Any = [(one, "on"), (second, "other" if one == second else "on")]
    return check(document(files, model_of(one, second), parts), targets=["denoise"])


WHY = {
    BASES: "both a base term, which makes the first prediction; denoise takes exactly one",
    VIEWS: "both divide the canvas into views; there can be one",
    STARTS: "both give the latents to start from; there can be one",
    SOURCES: "both take the prompt's attention from another prompt; there can be one",
    CHANNELS: "both give the denoiser channels of their own, and no model reads both",
    WHOLE: "divides the canvas for the whole run",
    ALWAYS: "gives the denoiser a part of its input, which it needs in every step",
}
BY_INPUT = {"inpaint_channels": "encode_masked_image", "image_to_image": "encode_image", "own_noise": "noise"}
"""Not nodes themselves: the node at the input that they use."""


@pytest.mark.parametrize("pair", CONFLICTS, ids=" + ".join)
def test_conflicts_are_refused(pair: tuple[str, str], files: Files) -> None:
    """Before anything runs, with both nodes and the reason."""
    first = next(problem for problem in problems(files, *pair) if problem.severity == "error")
    assert first.code == "conflict"
    assert WHY[CONFLICTS[pair]] in first.message
    kinds = [BY_INPUT.get(name, name) for name in pair]
    ids = [kinds[0], f"{kinds[1]}_2" if kinds[0] == kinds[1] else kinds[1]]
    for id, kind in zip(ids, kinds, strict=True):
        assert f"{id} ({kind})" in first.message


def test_what_combines_is_not_refused(files: Files) -> None:
    wrong = {pair: found for pair in pairs() if verdict(*pair) == "combines" and (found := problems(files, *pair))}
    assert wrong == {}


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
