"""What forecasts say of random graphs against what runs then do: cold, warm, changed, with entries gone."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.engine import toys
from tests.engine.test_random_runs import CATALOGUE, documents, expected
from weft.engine import Cache, forecast, run
from weft.engine.events import Event, NodeCached, NodeFinished
from weft.engine.forecaster import Forecast
from weft.engine.planning.plan import make_plan
from weft.graphs import Workflow

SETTINGS = settings(
    deadline=None, max_examples=200, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much]
)


def happened(document: dict[str, Any], targets: list[str], cache: Cache) -> tuple[int, set[str], dict[str, str]]:
    """How many nodes ran, those that were begun, and of the others where their results were."""
    events: list[Event] = []
    result = run(document, targets, catalogue=CATALOGUE, cache=cache, on_event=events.append)
    ran = {event.node for event in events if isinstance(event, NodeFinished) and event.node is not None}
    cached = {event.node: event.tier for event in events if isinstance(event, NodeCached) and event.node is not None}
    return result.ran, ran, {node: tier for node, tier in cached.items() if node not in ran}


def compare(document: dict[str, Any], targets: list[str], cache: Cache) -> Forecast:
    """Forecast, run, and see that all that the forecast knew came true."""
    said = forecast(document, targets, cache=cache, catalogue=CATALOGUE)
    assert said == forecast(document, targets, cache=cache, catalogue=CATALOGUE), "saying it changes nothing"
    count, ran, cached = happened(document, targets, cache)
    for id, node in said.nodes.items():
        if node.will in ("run", "resume"):
            assert id in ran, (id, node)
        elif node.will == "cached":
            assert id not in ran, (id, node)
            assert cached.get(id) == ("memory" if node.items is not None else node.tier), (id, node)
        elif node.will == "skip":
            assert id not in ran, (id, node)
            assert cached.get(id) in (None, "unneeded"), (id, node)
    assert said.nodes.keys() == document["nodes"].keys()
    if not said.counts["unknown"]:
        assert said.counts["run"] == count
    return said


@given(documents(), st.data())
@SETTINGS
def test_forecasts_come_true(document: dict[str, Any], data: st.DataObject) -> None:
    ids = sorted(document["nodes"])
    if not ids:
        return
    targets = data.draw(st.lists(st.sampled_from(ids), min_size=1, max_size=3, unique=True))
    if expected(document, targets) is None:
        return
    kept = data.draw(st.sampled_from([Cache, Cache.none]))
    cache = kept()
    compare(document, targets, cache)
    compare(document, targets, cache)
    if not cache.memory.ram_bytes:
        return
    # Some entries vanish, as if they had been evicted.
    plan = make_plan(Workflow.parse(document), CATALOGUE, targets, "out")
    for step in plan.steps:
        if data.draw(st.booleans()):
            cache.memory.drop(step.key)
    compare(document, targets, cache)
    # A leaf is another.
    leaves = [id for id, spec in document["nodes"].items() if isinstance(spec["inputs"].get("a"), int)]
    if leaves:
        document["nodes"][data.draw(st.sampled_from(leaves))]["inputs"]["a"] += 1
        if expected(document, targets) is not None:
            compare(document, targets, cache)


def test_forecasts_of_plain_graphs_know_everything() -> None:
    nodes: dict[str, Any] = {"n": {"type": "number", "inputs": {"value": 1}}}
    for i in range(20):
        nodes[f"a{i}"] = {"type": "add", "inputs": {"a": {"link": f"a{i - 1}" if i else "n"}, "b": i}}
    document = {"weft": 1, "nodes": nodes}
    cache = Cache()
    toys.calls.clear()
    assert compare(document, ["a19"], cache).counts == {"run": 21, "resume": 0, "cached": 0, "skip": 0, "unknown": 0}
    assert toys.calls["add"] == 20, "the forecast itself ran nothing"
    assert compare(document, ["a19"], cache).counts == {"run": 0, "resume": 0, "cached": 1, "skip": 20, "unknown": 0}
