"""Trainings in graphs with a cache: steps are shared, `why` and forecasts are true, and a checkpoint may be gone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.nodes.training.train_case import picture
from weft.engine import Cache, RunFailed, forecast, run, why
from weft.engine.events import Event, NodeResumed, NodeStarted
from weft.nodes.values import Model
from weft.nodes.values.training import Adapter


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two of them."""
    folder = tmp_path_factory.mktemp("pictures")
    for number in range(2):
        (folder / f"{number}.png").write_bytes(picture(number).data)
    return folder


def document(model: Model, pictures: Path, first: dict[str, Any], second: dict[str, Any] | None = None) -> Any:
    """A training, and one that goes on from its checkpoint."""
    shared = {"model": {"link": "model"}, "dataset": {"link": "pictures"}, "rank": 2, "learning_rate": 1e-2}
    nodes: dict[str, Any] = {
        "model": {"type": "load_model", "inputs": {"source": model.location, "dtype": "float32", "device": "cpu"}},
        "pictures": {"type": "dataset_folder", "inputs": {"folder": str(pictures), "caption": "a cat"}},
        "first": {"type": "train_lora", "inputs": {**shared, **first}},
    }
    if second is not None:
        inputs = {**shared, "start": {"link": "first.checkpoint"}, **second}
        nodes["second"] = {"type": "train_lora", "inputs": inputs}
    return {"weft": 1, "nodes": nodes}


def go(source: Any, target: str, cache: Cache) -> tuple[Adapter, list[Event]]:
    """What a training learned, and the events."""
    events: list[Event] = []
    found = run(source, [f"{target}.adapter"], cache=cache, on_event=events.append)[f"{target}.adapter"]
    assert isinstance(found, Adapter)
    return found, events


def test_more_steps_go_on_from_fewer_and_it_is_said_why(model: Model, pictures: Path, tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache")
    go(document(model, pictures, {"steps": 2}), "first", cache)
    assert why(document(model, pictures, {"steps": 2}), "first", cache=cache).state == "cached"
    longer = document(model, pictures, {"steps": 3})
    found = why(longer, "first", cache=cache)
    assert found.state == "changed"
    assert [f"{cause.node}: {cause.change}" for cause in found.causes] == ["first: steps was 2 and is 3"]
    will = forecast(longer, ["first.adapter"], cache=cache).nodes
    assert (will["first"].will, will["pictures"].will) == ("run", "cached")
    adapter, events = go(longer, "first", cache)
    assert [(event.steps, event.total) for event in events if isinstance(event, NodeResumed)] == [(2, 3)]
    whole, events = go(longer, "first", Cache(tmp_path / "other"))
    assert [event for event in events if isinstance(event, NodeResumed)] == []
    assert all(torch.equal(tensor, adapter.tensors[name]) for name, tensor in whole.tensors.items())


def test_a_checkpoint_that_is_gone_is_had_again_as_the_message_says(
    model: Model, pictures: Path, tmp_path: Path
) -> None:
    cache = Cache(tmp_path / "cache")
    go(document(model, pictures, {"steps": 2}), "first", cache)
    assert cache.workspaces is not None
    assert cache.workspaces.clear() > 0
    # What needs no checkpoint is in the cache as before.
    _, events = go(document(model, pictures, {"steps": 2}), "first", cache)
    assert [event for event in events if isinstance(event, NodeStarted)] == []
    with pytest.raises(RunFailed, match=r"second \(train_lora\): .*the checkpoint of step 2 is gone: .* one step more"):
        go(document(model, pictures, {"steps": 2}, {"steps": 4}), "second", cache)
    onward, _ = go(document(model, pictures, {"steps": 3}, {"steps": 4}), "second", cache)
    straight, _ = go(document(model, pictures, {"steps": 4}), "first", Cache(tmp_path / "other"))
    assert all(torch.equal(tensor, onward.tensors[name]) for name, tensor in straight.tensors.items())
