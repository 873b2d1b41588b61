"""A document from before `feather_mask` had a `sigma`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from weft.engine import Cache, Catalogue, check, run
from weft.nodes import feather_mask, rectangle_mask

CATALOGUE = Catalogue.load()


def document(version: int | None, **inputs: Any) -> dict[str, Any]:
    soft: dict[str, Any] = {"type": "feather_mask", "inputs": {"mask": {"link": "mask"}, **inputs}}
    if version is not None:
        soft["version"] = version
    return {
        "weft": 1,
        "nodes": {
            "mask": {"type": "rectangle_mask", "inputs": {"width": 16, "height": 8}},
            "soft": soft,
        },
        "parameters": {"edge": {"input": "soft.radius" if version == 1 else "soft.sigma"}},
    }


def test_an_old_document_is_checked_and_gives_what_it_gave() -> None:
    old = document(1, radius=2.5)
    assert check(old, CATALOGUE, targets=["soft"]) == []
    expected = feather_mask(rectangle_mask(16, 8), 2.5).pixels
    cache = Cache()
    assert torch.equal(run(old, ["soft"], cache=cache)["soft"].pixels, expected)
    again = run(document(None, sigma=2.5), ["soft"], cache=cache)
    assert again.ran == 0, "brought up to date, it is the same node with the same key"


def test_without_its_version_the_check_says_which_it_is() -> None:
    (problem,) = check(document(None, radius=2.5), CATALOGUE, targets=["soft"])
    assert (problem.code, problem.where) == ("unknown_input", "soft.radius")
    assert '"version": 1' in problem.message
    (problem,) = check(document(None, raduis=2.5), CATALOGUE, targets=["soft"])
    assert "version" not in problem.message


def test_old_values_are_still_looked_at(tmp_path: Path) -> None:
    (problem,) = check(document(1, radius=-1), CATALOGUE, targets=["soft"])
    assert (problem.code, problem.where) == ("out_of_range", "soft.sigma")
    path = tmp_path / "old.json"
    path.write_text(json.dumps(document(1, radius=1)))
    assert check(path, CATALOGUE, targets=["soft"]) == []
