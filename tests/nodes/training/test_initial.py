"""First weights of networks that are trained from nothing: of the seed and the layers' names alone."""

from __future__ import annotations

from torch import nn

from weft.nodes.training.draws import Draws
from weft.nodes.training.initial import begin


def layers() -> nn.Sequential:
    return nn.Sequential(nn.Linear(3, 4), nn.Conv2d(2, 3, 3), nn.Embedding(5, 2), nn.MultiheadAttention(4, 2))


def test_weights_begin_by_seed_and_name_within_the_bounds_of_torch() -> None:
    first, second, other = layers(), layers(), layers()
    begin(first, Draws(1))
    begin(second, Draws(1))
    begin(other, Draws(2))
    assert first[1].weight.equal(second[1].weight)
    assert not first[1].weight.equal(other[1].weight)
    assert not first[0].weight.flatten()[:4].equal(first[0].bias)
    assert float(first[1].weight.detach().abs().max()) <= 18**-0.5
    assert float(first[1].weight.detach().abs().max()) > 0.8 * 18**-0.5
