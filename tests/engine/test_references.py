"""What is seen of a function's way to the generators that a process shares."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from random import random as drawn
from typing import Any

import numpy as np
import pytest
import scipy.stats
import torch
from PIL import Image as Pillow

from weft.engine.catalogue.references import references


def helper() -> float:
    return random.random()


class Sampler:
    def go(self) -> Any:
        return torch.randn(3)


def by_helper() -> float:
    return helper() + 1


def by_class() -> Any:
    return Sampler().go()


def by_name() -> float:
    return drawn()


def by_numpy() -> float:
    return float(np.random.rand())


def by_library() -> Any:
    return scipy.stats.norm


def by_late_import() -> int:
    from random import randint

    return randint(1, 2)


def by_layer() -> Any:
    return torch.nn.Dropout(0.5)


def plain(x: float) -> float:
    return math.sqrt(x) + len(str(x))


def arrays(x: Any) -> Any:
    return np.clip(np.asarray(x), 0, 1).mean() + torch.tensor(x).float().sum().sqrt()


def pictures(x: Any) -> Any:
    return Pillow.fromarray(np.asarray(x))


def ours() -> Any:
    from weft.nodes.values import Image

    return Image


@pytest.mark.parametrize("function", [by_helper, by_class, by_name, by_numpy, by_library, by_late_import, by_layer])
def test_what_may_draw(function: Callable[..., Any]) -> None:
    assert references(function, lambda name: name.startswith("weft."))[1]


@pytest.mark.parametrize("function", [plain, arrays, pictures, ours])
def test_what_does_not_draw(function: Callable[..., Any]) -> None:
    assert not references(function, lambda name: name.startswith("weft."))[1]
