"""Random graphs against a plain recursive evaluator, with random caching, failures and cancels."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.engine import toys
from weft.engine import Cache, Cancelled, CancelToken, RunFailed, check, run
from weft.engine.events import Event

CATALOGUE = toys.catalogue()


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Any]:
    """A document whose nodes link to any that were drawn before, then shuffled."""
    nodes: dict[str, Any] = {}
    ints: list[str] = []

    def source() -> Any:
        if ints and draw(st.booleans()):
            return {"link": draw(st.sampled_from(ints))}
        return draw(st.integers(-20, 20))

    for i in range(draw(st.integers(1, 12))):
        id = f"n{i}"
        kind = draw(st.sampled_from(["number", "add", "divide", "total", "same"]))
        if kind == "number":
            inputs = {"value": draw(st.integers(-3, 3))}
        elif kind == "add":
            inputs = {"a": source(), "b": source()}
        elif kind == "divide":
            inputs = {"a": source(), "by": draw(st.integers(1, 5))}
        elif kind == "same":
            inputs = {"value": source()}
        else:
            items = draw(st.integers(1, 4))
            inputs = {"items": [source() for _ in range(items)], "mode": draw(st.sampled_from(["sum", "max"]))}
        nodes[id] = {"type": kind, "inputs": inputs}
        ints.extend([id, f"{id}.whole", f"{id}.rest"] if kind == "divide" else [id])
    order = draw(st.permutations(list(nodes)))
    return {"weft": 1, "nodes": {id: nodes[id] for id in order}}


def evaluate(document: dict[str, Any], text: str) -> int:
    """What an output is worth, the slow and obvious way."""
    id, _, output = text.partition(".")
    node = document["nodes"][id]

    def of(item: Any) -> Any:
        if isinstance(item, list):
            return [of(part) for part in item]
        return evaluate(document, item["link"]) if isinstance(item, dict) else item

    inputs = {name: of(item) for name, item in node["inputs"].items()}
    function = getattr(toys, node["type"]).node_type.fn
    result = function(**inputs)
    return int(getattr(result, output or "whole") if node["type"] == "divide" else result)


SETTINGS = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])


@given(documents(), st.data())
@SETTINGS
def test_results_are_those_of_plain_evaluation(document: dict[str, Any], data: st.DataObject) -> None:
    targets = data.draw(st.lists(st.sampled_from(sorted(document["nodes"])), min_size=1, unique=True))
    caches = [Cache(), Cache.none(), Cache(memory_bytes=700)]
    assert check(document, CATALOGUE, targets=targets) == []
    for _ in range(3):
        cache = data.draw(st.sampled_from(caches))
        result = run(document, targets, catalogue=CATALOGUE, cache=cache)
        assert {target: result[target] for target in targets} == {
            target: evaluate(document, target) for target in targets
        }


@given(documents(), st.data())
@SETTINGS
def test_failures_and_cancels_leave_a_cache_that_is_right(document: dict[str, Any], data: st.DataObject) -> None:
    cache = Cache()
    ids = sorted(document["nodes"])
    stop_after = data.draw(st.integers(0, len(ids)))
    if data.draw(st.booleans()):
        broken = {"weft": 1, "nodes": dict(document["nodes"])}
        last = data.draw(st.sampled_from(ids))
        broken["nodes"]["bad"] = {"type": "boom", "inputs": {"value": {"link": last}}}
        with pytest.raises(RunFailed):
            run(broken, [*ids, "bad"], catalogue=CATALOGUE, cache=cache)
    else:
        token, seen = CancelToken(), 0

        def count(event: Event) -> None:
            nonlocal seen
            seen += event.event == "node_started"
            if seen > stop_after:
                token.cancel()

        try:
            run(document, ids, catalogue=CATALOGUE, cache=cache, cancel=token, on_event=count)
        except Cancelled:
            assert seen > stop_after
    result = run(document, ids, catalogue=CATALOGUE, cache=cache)
    assert {id: result[id] for id in ids} == {id: evaluate(document, id) for id in ids}
    again = run(document, ids, catalogue=CATALOGUE, cache=cache)
    assert again.ran == 0
