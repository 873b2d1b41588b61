"""The example hires: twice the model's size, with the objects that were there, and sharper than what was enlarged."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from weft.engine import run, with_settings
from weft.engine.catalogue.catalogue import installed
from weft.graphs import examples
from weft.nodes.shapes.judge import judge
from weft.nodes.shapes.measure import as_pixels


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def steepness(picture: Any) -> float:
    """Mean slope of the steepest 500 pixels, in levels a pixel."""
    slope = np.hypot(*np.gradient(picture.astype(float).mean(-1)))
    return float(np.sort(slope.ravel())[-500:].mean())


def test_objects_stay_and_edges_are_sharper() -> None:
    """The seed is none of those that the settings were picked on."""
    changes = ["draw.steps=10", "redraw.steps=10", "seed=40", "redraw.seed=140", "windows.stride=64"]
    workflow = with_settings(examples.load("hires"), changes, installed())
    result = run(workflow, ["larger", "second"])
    (before,), (after,) = as_pixels(result["larger"]), as_pixels(result["second"])
    assert after.shape == before.shape == (256, 256, 3)
    assert judge(before).shows([("green", "triangle")])
    assert judge(after).shows([("green", "triangle")])
    assert steepness(after) > 1.2 * steepness(before)
