"""A failure ends what depends on it and no more, where a run keeps going; and nodes may skip what is not to be made."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.engine.flow import document, go, link
from weft.engine import (
    Cache,
    Lazy,
    NodeError,
    RunFailed,
    Skip,
    Workers,
    WorkflowError,
    node,
)
from weft.engine.events import Event

seen: list[Any] = []


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    found = Workers()
    yield found
    found.close()


@pytest.fixture(autouse=True)
def nothing_seen() -> None:
    seen.clear()


@node("picky")
def picky(a: int, bad: int = 3) -> int:
    """Fails for one number."""
    seen.append(a)
    if a == bad:
        raise ValueError(f"{a} is not to my taste")
    return a * 10


@node("odd_only")
def odd_only(a: int) -> int | Skip:
    """Skips even numbers."""
    return a if a % 2 else Skip(f"{a} is even")


@node("double")
def double(a: int) -> int:
    seen.append(("double", a))
    return a * 2


@node("seen", output=True)
def shown(a: int) -> int:
    return a


class Halves(NamedTuple):
    low: int
    high: int


@node("split")
def split(a: int, keep: str = "both") -> Halves | Skip:
    """Skips one of its outputs, or both."""
    low: Any = a if keep in ("low", "both") else Skip("only the high one")
    high: Any = a + 100 if keep in ("high", "both") else Skip("only the low one")
    return Skip("neither") if keep == "none" else Halves(low, high)


@node("first_that_works")
def first_that_works(options: list[Lazy[int]]) -> int:
    """Goes on without an option that failed."""
    for option in options:
        try:
            return option()
        except Exception:
            continue
    raise ValueError("none worked")


@node("either")
def either(option: Lazy[int]) -> int:
    return option() + 1


NODES = (picky, odd_only, double, shown, split, first_that_works, either)


def start(doc: dict[str, Any], targets: list[str] | None = None, **options: Any) -> Any:
    return go(doc, targets, *NODES, **options)


def sweep(items: list[int], type: str = "picky") -> dict[str, Any]:
    return document(m=("map_over", {"items": items}), p=(type, {"a": link("m")}), s=("seen", {"a": link("p")}))


def test_other_items_are_made_and_the_failure_names_its_item() -> None:
    events: list[Event] = []
    result = start(sweep(list(range(50))), keep_going=True, on_event=events.append)
    values = result["s"]
    assert [value for value in values if not isinstance(value, NodeError)] == [n * 10 for n in range(50) if n != 3]
    assert isinstance(values[3], NodeError), "it keeps its place"
    [failure] = result.failures
    assert (failure.node, failure.item) == ("p", (3,))
    assert "item 4" in failure.error.message
    assert "not to my taste" in failure.error.message
    assert len(result.outputs) == 49
    assert events[-1].event == "job_failed"
    assert [event.node for event in events if event.event == "node_failed"] == ["p"]
    assert [(event.node, event.item, event.failed) for event in events if event.event == "node_skipped"] == [
        ("s", [3], True)
    ]


def test_an_item_that_several_targets_need_fails_once() -> None:
    doc = sweep([1, 3, 5])
    doc["nodes"] |= document(a=("double", {"a": link("p")}), b=("double", {"a": link("s")}))["nodes"]
    events: list[Event] = []
    result = start(doc, ["s", "p", "a", "b"], keep_going=True, on_event=events.append)
    assert [(failure.node, failure.item) for failure in result.failures] == [("p", (1,))]
    assert [event.node for event in events if event.event == "node_failed"] == ["p"]
    assert seen.count(3) == 1
    for name in ("s", "p", "a", "b"):
        assert isinstance(result[name][1], NodeError)


def test_without_it_the_first_failure_ends_the_run() -> None:
    with pytest.raises(RunFailed, match="not to my taste"):
        start(sweep(list(range(50))))


def test_what_needs_all_items_is_not_made_of_some() -> None:
    doc = sweep([1, 2, 3])
    doc["nodes"] |= document(
        c=("collect", {"item": link("p")}), t=("total", {"items": link("c")}), other=("seen", {"a": 7})
    )["nodes"]
    result = start(doc, ["t", "other", "c"], keep_going=True)
    assert result["other"] == 7
    for name in ("t", "c"):
        with pytest.raises(NodeError, match="not to my taste"):
            result[name]
    assert len(result.failures) == 1, "each failure once, however much needed it"


def test_what_does_not_need_it_still_runs_and_all_of_it_is_kept() -> None:
    cache = Cache()
    doc = document(
        bad=("picky", {"a": 3}),
        after=("double", {"a": link("bad")}),
        x=("seen", {"a": link("after")}),
        good=("picky", {"a": 4}),
        y=("seen", {"a": link("good")}),
    )
    result = start(doc, keep_going=True, cache=cache)
    assert result["y"] == 40
    with pytest.raises(NodeError):
        result["x"]
    assert not any(item == ("double", 30) for item in seen)
    seen.clear()
    again = start(doc, keep_going=True, cache=cache)
    assert seen == [3], "the failure is no result, the rest is"
    assert again["y"] == 40


def test_a_failure_in_a_returned_graph_or_a_lazy_input_goes_as_far_as_it_is_needed() -> None:
    doc = document(
        bad=("picky", {"a": 3}),
        e=("either", {"option": link("bad")}),
        x=("seen", {"a": link("e")}),
        r=("repeat_picky", {"values": [1, 3]}),
        z=("total", {"items": link("r")}),
        y=("seen", {"a": 1}),
    )

    @node("repeat_picky")
    def repeat_picky(values: list[int]) -> list[int]:
        from weft.graphs import Graph
        from weft.nodes.basic.items import collect, map_over

        with Graph() as g:
            g.returns(collect(picky(map_over(g.given(values)))))
        return g  # type: ignore[return-value]

    result = go(doc, ["x", "z", "y"], *NODES, repeat_picky, keep_going=True)
    assert result["y"] == 1
    for name in ("x", "z"):
        with pytest.raises(NodeError, match="not to my taste"):
            result[name]
    assert sorted(failure.node for failure in result.failures) == ["bad", "r"]


def test_a_node_may_go_on_without_a_lazy_input_and_nothing_is_kept_of_that() -> None:
    cache = Cache()
    doc = document(
        bad=("picky", {"a": 3}),
        good=("picky", {"a": 4}),
        f=("first_that_works", {"options": [link("bad"), link("good")]}),
        d=("double", {"a": link("f")}),
    )
    assert start(doc, ["d"], keep_going=True, cache=cache)["d"] == 80
    seen.clear()
    start(doc, ["d"], keep_going=True, cache=cache)
    assert ("double", 40) in seen, "its key says the first option, not the second"


@pytest.mark.parametrize("keep_going", [False, True])
def test_a_broken_part_does_not_refuse_a_target_that_does_not_need_it(keep_going: bool) -> None:
    doc = document(
        a=("seen", {"a": 1}),
        b=("seen", {"a": link("nobody")}),
        c=("no_such_type", {}),
        d=("seen", {"a": "text"}),
    )
    assert start(doc, ["a"], keep_going=keep_going)["a"] == 1
    with pytest.raises(WorkflowError) as raised:
        start(doc, ["b"], keep_going=keep_going)
    assert {problem.node for problem in raised.value.problems} >= {"b", "c", "d"}, "all problems at once"


def test_targets_that_are_wrong_are_left_out_of_a_run_that_keeps_going() -> None:
    doc = document(a=("seen", {"a": 1}), b=("seen", {"a": link("w")}), w=("double", {"b": 3}))
    with pytest.raises(WorkflowError):
        start(doc)
    with pytest.raises(WorkflowError):
        start(doc, ["a", "b"])
    events: list[Event] = []
    result = start(doc, keep_going=True, on_event=events.append)
    assert result["a"] == 1
    with pytest.raises(NodeError, match="b"):
        result["b"]
    assert [failure.node for failure in result.failures] == ["w"]
    assert events[-1].event == "job_failed"


def test_skipped_items_have_no_place_in_what_is_gathered() -> None:
    doc = sweep([1, 2, 3, 4, 5], "odd_only")
    doc["nodes"] |= document(
        d=("double", {"a": link("p")}), c=("collect", {"item": link("d")}), t=("total", {"items": link("c")})
    )["nodes"]
    events: list[Event] = []
    result = start(doc, ["t", "s", "c"], on_event=events.append)
    assert (result["t"], result["s"], result["c"]) == (18, [1, 3, 5], [2, 6, 10])
    assert not result.failures
    assert events[-1].event == "job_finished"
    assert {(event.node, tuple(event.item or ())) for event in events if event.event == "node_skipped"} >= {
        ("d", (1,)),
        ("d", (3,)),
    }


def test_a_skipped_value_is_kept_and_found_again(tmp_path: Path) -> None:
    doc = document(p=("odd_only", {"a": 2}), d=("double", {"a": link("p")}), s=("seen", {"a": link("d")}))
    for attempt in range(2):
        result = start(doc, ["s"], cache=Cache(tmp_path / "cache"))
        assert result["s"] == Skip("2 is even")
        assert result.ran == (1 if attempt == 0 else 0)
    assert not seen


@pytest.mark.parametrize(("keep", "made"), [("low", ["l"]), ("high", ["h"]), ("both", ["l", "h"]), ("none", [])])
def test_single_outputs_are_skipped(keep: str, made: list[str]) -> None:
    doc = document(
        w=("split", {"a": 1, "keep": keep}),
        l=("seen", {"a": link("w.low")}),
        h=("seen", {"a": link("w.high")}),
    )
    result = start(doc)
    assert [name for name in ("l", "h") if not isinstance(result[name], Skip)] == made
    assert [item.node for item in result.outputs] == made


def test_an_item_of_a_list_is_skipped() -> None:
    @node("some")
    def some() -> list[int]:
        return [1, Skip("not this one"), 3]  # type: ignore[list-item]

    doc = document(
        n=("some", {}),
        m=("map_over", {"items": link("n")}),
        d=("double", {"a": link("m")}),
        c=("collect", {"item": link("d")}),
        o=("odd_only", {"a": 2}),
        k=("map_over", {"items": [link("o"), 5]}),
        e=("double", {"a": link("k")}),
        f=("collect", {"item": link("e")}),
    )
    result = go(doc, ["c", "f"], *NODES, some)
    assert (result["c"], result["f"]) == ([2, 6], [10])


def test_in_workers_too(workers: Workers) -> None:
    doc = sweep([1, 3, 5])
    doc["nodes"] |= document(
        bad=("picky", {"a": 3}),
        e=("either", {"option": link("bad")}),
        o=("odd_only", {"a": 2}),
        p2=("seen", {"a": link("o")}),
        x=("seen", {"a": link("e")}),
    )["nodes"]
    result = start(doc, ["s", "x", "p2"], keep_going=True, on=workers)
    assert [value for value in result["s"] if not isinstance(value, NodeError)] == [10, 50]
    assert result["p2"] == Skip("2 is even")
    with pytest.raises(NodeError, match="not to my taste"):
        result["x"]
    assert {(failure.node, failure.item) for failure in result.failures} == {("p", (1,)), ("bad", ())}
