"""First weights: none are drawn from the process's generator, which other threads use at the same time."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from weft.nodes.models.first_weights import RandomNumbersOf, own_random


def layers() -> nn.Sequential:
    return nn.Sequential(nn.Linear(3, 4), nn.Conv2d(2, 3, 3), nn.Embedding(5, 2), nn.MultiheadAttention(4, 2))


def test_modules_are_made_without_the_generator_of_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not even set back: what another thread drew meanwhile would come a second time."""

    def refused(*arguments: object) -> None:
        raise AssertionError("the state of the process's generator is set")

    before = torch.get_rng_state()
    monkeypatch.setattr(torch, "set_rng_state", refused)
    monkeypatch.setattr(torch.random, "set_rng_state", refused)
    with own_random():
        layers()
    assert torch.get_rng_state().equal(before)


def test_equal_generators_draw_equal_weights() -> None:
    made = []
    for seed in (3, 3, 4):
        with RandomNumbersOf(torch.Generator().manual_seed(seed)):
            made.append(layers().state_dict())
    assert all(made[0][name].equal(made[1][name]) for name in made[0])
    assert not made[0]["0.weight"].equal(made[2]["0.weight"])
