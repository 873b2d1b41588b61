"""`@node(content_key=True)`: where a node runs again and gives the same, nothing behind it runs."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.engine.flow import document, go, link
from weft.engine import Cache, Catalogue, forecast, node, run
from weft.graphs import Graph, Workflow
from weft.nodes.basic.items import collect, map_over

calls: Counter[str] = Counter()
given: dict[str, Any] = {}


@pytest.fixture(autouse=True)
def fresh() -> None:
    calls.clear()
    given.clear()


@node("rounded", content_key=True)
def rounded(a: float) -> int:
    calls["rounded"] += 1
    return given.get("rounded", round(a))


@node("evens", content_key=True)
def evens(up_to: int) -> list[int]:
    calls["evens"] += 1
    return [n for n in range(up_to) if n % 2 == 0]


@node("costly")
def costly(a: int, b: int = 0) -> int:
    calls["costly"] += 1
    return a + b


@node("behind")
def behind(a: int) -> int:
    calls["behind"] += 1
    return a * 10


class Alive:
    """No cache can write it."""


@node("alive", content_key=True)
def alive(a: int) -> Any:
    calls["alive"] += 1
    return Alive()


@node("uses_alive")
def uses_alive(a: Any) -> int:
    calls["uses_alive"] += 1
    return 1


@node("twice_costly")
def twice_costly(a: int) -> int:
    with Graph() as g:
        g.returns(behind(costly(g.given(a))))
    return g  # type: ignore[return-value]


NODES = (rounded, evens, costly, behind, alive, uses_alive, twice_costly)


def chain(a: float) -> dict[str, Any]:
    return document(
        r=("rounded", {"a": a}), c=("costly", {"a": link("r")}), d=("behind", {"a": link("c")}), e=("number", {})
    )


def test_equal_content_ends_the_work(tmp_path: Path) -> None:
    assert go(chain(2.9), ["d"], *NODES, cache=Cache(tmp_path / "c"))["d"] == 30
    result = go(chain(3.1), ["d"], *NODES, cache=Cache(tmp_path / "c"))
    assert (result["d"], result.ran) == (30, 1)
    assert calls == {"rounded": 2, "costly": 1, "behind": 1}
    assert go(chain(4.2), ["d"], *NODES, cache=Cache(tmp_path / "c"))["d"] == 40, "other content, other results"
    calls.clear()
    for a in (2.9, 3.1, 4.2):
        assert go(chain(a), ["d"], *NODES, cache=Cache(tmp_path / "c")).ran == 0
    assert not calls, "the content of each is known: nothing has to run to find out"


def test_one_workflow_object_again_and_again() -> None:
    cache, catalogue = Cache(), Catalogue(NODES)
    doc = chain(2.9)
    del doc["nodes"]["e"]
    workflow = Workflow.parse(doc)
    assert [run(workflow, ["d"], catalogue=catalogue, cache=cache).ran for _ in range(4)] == [3, 0, 0, 0]


def test_items_and_returned_graphs() -> None:
    cache = Cache()

    def doc(up_to: int) -> dict[str, Any]:
        return document(
            n=("evens", {"up_to": up_to}),
            m=("map_over", {"items": link("n")}),
            c=("costly", {"a": link("m"), "b": 1}),
            all=("collect", {"item": link("c")}),
            r=("rounded", {"a": up_to / 10}),
            t=("twice_costly", {"a": link("r")}),
        )

    assert go(doc(5), ["all", "t"], *NODES, cache=cache)["all"] == [1, 3, 5]
    calls.clear()
    result = go(doc(6), ["all"], *NODES, cache=cache)
    assert result["all"] == [1, 3, 5]
    assert calls == {"evens": 1}
    assert go(doc(4), ["t"], *NODES, cache=cache)["t"] == 0
    assert calls == {"evens": 1, "rounded": 1}, "the graph that it returns is found by the content too"


def test_every_output_counts_for_itself_and_what_is_alive_counts_as_before() -> None:
    cache = Cache()
    doc = document(a=("alive", {"a": 1}), u=("uses_alive", {"a": link("a")}))
    assert go(doc, ["u"], *NODES, cache=cache)["u"] == 1
    assert go(doc, ["u"], *NODES, cache=cache).ran == 0
    doc["nodes"]["a"]["inputs"]["a"] = 2
    assert go(doc, ["u"], *NODES, cache=cache).ran == 2


def test_what_gives_something_else_than_before_is_kept_by_nobody(caplog: pytest.LogCaptureFixture) -> None:
    cache = Cache()
    go(chain(2.9), ["d"], *NODES, cache=cache)
    for key in list(cache.memory._entries):  # all but what the contents were
        if not isinstance(cache.memory._entries[key].outputs[0], list):
            cache.drop(key)
    given["rounded"] = 7
    assert go(chain(2.9), ["d"], *NODES, cache=cache)["d"] == 70
    assert "something else than before" in caplog.text
    given.clear()
    result = go(chain(2.9), ["d", "r"], *NODES, cache=cache)
    assert result["d"] == 10 * result["r"], "whichever it is, all of it goes together"


def test_forecasts_know_the_contents() -> None:
    cache = Cache()
    go(chain(2.9), ["d"], *NODES, cache=cache)
    go(chain(3.1), ["r"], *NODES, cache=cache)
    doc = {"weft": 1, "nodes": {id: spec for id, spec in chain(3.1)["nodes"].items() if id != "e"}}
    said = forecast(doc, ["d"], catalogue=Catalogue(NODES), cache=cache)
    assert {id: said.nodes[id].will for id in ("r", "c", "d")} == {"r": "skip", "c": "skip", "d": "cached"}


def test_mapped_targets_find_their_items() -> None:
    cache = Cache()

    def doc(a: float) -> Any:
        with Graph() as g:
            items = map_over([1, 2, 3])
            total = costly(items, rounded(a))
            collect(behind(total))
        return g

    with_two = run(doc(1.9), ["collect"], catalogue=Catalogue([*NODES, map_over, collect]), cache=cache)
    calls.clear()
    again = run(doc(2.1), ["collect"], catalogue=Catalogue([*NODES, map_over, collect]), cache=cache)
    assert with_two["collect"] == again["collect"] == [30, 40, 50]
    assert calls == {"rounded": 1}
