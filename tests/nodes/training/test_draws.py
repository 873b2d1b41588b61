"""Random numbers depend on the seed, the purpose and the counter, and on nothing else."""

from __future__ import annotations

import numpy as np
import torch

from weft.nodes.training.draws import Draws


def test_equal_questions_have_equal_answers_in_any_order() -> None:
    draws = Draws(7)
    together = draws.normal("noise", [0, 1, 2], (4, 3))
    torch.manual_seed(5)
    np.random.seed(5)
    assert torch.equal(Draws(7).normal("noise", [2, 0], (4, 3)), together[[2, 0]])
    assert torch.equal(draws.uniform("t", [9])[0], Draws(7).uniform("t", [3, 9])[1])
    assert (draws.order("order", 3, 20) == Draws(7).order("order", 3, 20)).all()


def test_seed_purpose_and_counter_each_change_them() -> None:
    drawn = [
        Draws(seed).normal(purpose, [number], (8,))
        for seed in (0, 1, 2**63 - 1, -1)
        for purpose in ("noise", "posterior", "class noise")
        for number in (0, 1, 10**6)
    ]
    assert all(not torch.equal(drawn[k], drawn[n]) for k in range(len(drawn)) for n in range(k))


def test_they_are_spread_as_they_should_be() -> None:
    draws, numbers = Draws(3), range(4000)
    normal = draws.normal("noise", numbers, (4,))
    assert (normal.dtype, normal.shape) == (torch.float32, (4000, 4))
    assert abs(float(normal.mean())) < 4 / 16000**0.5
    assert abs(float(normal.var()) - 1) < 4 * (2 / 16000) ** 0.5
    uniform = draws.uniform("t", numbers)
    assert 0 <= float(uniform.min()) < 0.01 < 0.99 < float(uniform.max()) < 1
    assert abs(float(uniform.mean()) - 0.5) < 4 / (12 * 4000) ** 0.5
    whole = draws.integers("k", numbers, 9, 2)
    assert set(whole.tolist()) == set(range(2, 9))


def test_the_numbers_are_those_of_before() -> None:
    """A training that was begun by an earlier version goes on with them."""
    drawn = Draws(0).normal("noise", [0], (3,))[0].tolist()
    assert [round(number, 6) for number in drawn] == [-1.155233, -0.725557, -1.413496]
    assert Draws(0).order("order", 0, 6).tolist() == [4, 2, 5, 1, 0, 3]
