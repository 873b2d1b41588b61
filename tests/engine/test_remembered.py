"""Workflows that are run again: whatever is not as it was is noticed, whatever was remembered."""

from __future__ import annotations

import copy
import gc
import random
import subprocess
import sys
import threading
import weakref
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.engine import toys
from tests.engine.flow import catalogue, document, link
from weft.engine import Cache, Catalogue, NodeView, Problem, node, run
from weft.engine.checking import remembered as remembered_documents
from weft.engine.checking.unchanged import Snapshot
from weft.engine.events import Event
from weft.engine.planning import again
from weft.graphs import LIMITS, Graph, Link, NodeSpec, Workflow, WorkflowError

SUM = document(
    a=("number", {"value": 1}),
    b=("add", {"a": link("a"), "b": 2}),
    c=("any", {"value": {"value": {"x": [1, [2]], "y": 3}}}),
    end=("total", {"items": [link("a"), link("b"), link("b")]}),
    kept=("show", {"value": link("c")}),
)
TARGETS = ["end", "kept"]


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows by one with each plan that is made from the start."""
    found: list[int] = []
    original = again.make_plan

    def counted(*arguments: Any, **options: Any) -> Any:
        found.append(1)
        return original(*arguments, **options)

    monkeypatch.setattr(again, "make_plan", counted)
    return found


def remembered(source: dict[str, Any] = SUM, *more: Any, **options: Any) -> tuple[Workflow, Catalogue, Cache]:
    """A workflow that ran three times, and its cache."""
    workflow, nodes, cache = Workflow.parse(source), catalogue(*more), Cache()
    for _ in range(3):
        run(workflow, options.pop("targets", None), catalogue=nodes, cache=cache, **options)
    return workflow, nodes, cache


def fresh(workflow: Workflow, targets: Any = None, nodes: Catalogue | None = None) -> Any:
    """What a copy that nobody has seen gives, without a cache."""
    return values(run(Workflow.parse(workflow.to_dict()), targets, catalogue=nodes or catalogue(), cache=Cache.none()))


def values(result: Any) -> dict[str, Any]:
    return {name: outputs for name, (_, outputs) in sorted(result.values.items())}


def test_the_third_run_of_a_document_makes_no_plan_and_gives_the_same(made: list[int]) -> None:
    workflow, nodes, cache = remembered()
    count = len(made)
    result = run(workflow, catalogue=nodes, cache=cache)
    assert (result["end"], result["kept"], result.ran, result.cached) == (7, {"x": [1, [2]], "y": 3}, 0, 5)
    assert len(made) == count == 2
    cold = run(workflow, catalogue=nodes, cache=Cache())
    assert (cold["end"], cold.ran, cold.cached, len(made)) == (7, 5, 0, 2)


def test_events_are_those_of_a_plan_made_from_the_start() -> None:
    workflow, nodes, cache = remembered()

    def told(source: Workflow, kept: Cache) -> list[Any]:
        events: list[Event] = []
        run(source, catalogue=nodes, cache=kept, on_event=events.append)
        fields = [event.model_dump(exclude={"time", "job", "seconds"}) for event in events]
        return [item for item in fields if item["event"] != "node_progress"]

    other = Workflow.parse(SUM)
    assert told(workflow, cache) == told(other, cache)
    # What runs goes to threads at first, so that the order is not always the same.
    cold, fresh_one = told(workflow, Cache()), told(Workflow.parse(SUM), Cache())
    for item in cold + fresh_one:
        del item["seq"]
    assert sorted(map(repr, cold)) == sorted(map(repr, fresh_one))


CHANGES: dict[str, Callable[[Workflow], object]] = {
    "a value": lambda w: w.nodes["a"].inputs.update(value=5),
    "a value that is equal in Python": lambda w: w.nodes["b"].inputs.update(b=3),
    "a value deep inside": lambda w: w.nodes["c"].inputs["value"]["x"][1].append(4),
    "true for 1": lambda w: w.nodes["c"].inputs["value"]["x"].__setitem__(0, True),
    "the order of a table": lambda w: w.nodes["c"].inputs["value"].update(x=w.nodes["c"].inputs["value"].pop("x")),
    "a key of a table": lambda w: w.nodes["c"].inputs["value"].update(z=w.nodes["c"].inputs["value"].pop("y")),
    "an input that is gone": lambda w: w.nodes["b"].inputs.pop("b"),
    "an input that came": lambda w: w.nodes["end"].inputs.update(mode="max"),
    "a link": lambda w: w.nodes["b"].inputs.update(a=Link("b2")),
    "a link in a list": lambda w: w.nodes["end"].inputs["items"].append(Link("a")),
    "a literal in a list of links": lambda w: w.nodes["end"].inputs["items"].__setitem__(1, 100),
    "a node": lambda w: w.nodes.update(a=NodeSpec(type="number", inputs={"value": 9})),
    "a node's type": lambda w: w.nodes.update(b=NodeSpec(type="any", inputs={"value": 11})),
    "a new target": lambda w: w.nodes.update(more=NodeSpec(type="show", inputs={"value": Link("a")})),
    "a target that is gone": lambda w: w.nodes.pop("kept"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_document_that_was_changed_in_place_is_looked_at_from_the_start(name: str) -> None:
    source = copy.deepcopy(SUM)
    source["nodes"]["b2"] = {"type": "number", "inputs": {"value": 50}}
    workflow, nodes, cache = remembered(source)
    CHANGES[name](workflow)
    assert repr(values(run(workflow, catalogue=nodes, cache=cache))) == repr(fresh(workflow))


def read_three_times(source: dict[str, Any]) -> tuple[Catalogue, Cache]:
    """A document is known by what it says from the third time on that it is read; nobody holds what was read."""
    nodes, cache = catalogue(), Cache()
    for _ in range(3):
        run(copy.deepcopy(source), catalogue=nodes, cache=cache)
    return nodes, cache


def test_a_document_that_is_read_anew_makes_no_plan_from_its_third_time_on(made: list[int]) -> None:
    source = document(
        **{f"n{i}": ("number", {"value": i}) for i in range(3)}, end=("total", {"items": [link("n0"), link("n2")]})
    )
    nodes, cache = read_three_times(source)
    count = len(made)
    again = run(copy.deepcopy(source), catalogue=nodes, cache=cache)
    assert (again["end"], again.ran, len(made)) == (2, 0, count)
    assert count == 2
    cold = run(copy.deepcopy(source), catalogue=nodes, cache=Cache())
    assert (cold["end"], cold.ran, len(made)) == (2, 3, 2)


@pytest.mark.parametrize("name", CHANGES)
def test_a_document_that_is_read_anew_and_says_something_else_is_looked_at_from_the_start(name: str) -> None:
    source = copy.deepcopy(SUM)
    source["nodes"]["b2"] = {"type": "number", "inputs": {"value": 50}}
    nodes, cache = read_three_times(source)
    workflow = Workflow.parse(source)
    CHANGES[name](workflow)
    for _ in range(3):
        anew = Workflow.parse(workflow.to_dict())
        assert repr(values(run(anew, catalogue=nodes, cache=cache))) == repr(fresh(workflow))


@pytest.mark.parametrize(
    "others", [(0.0, -0.0), (1, True, 1.0), ([1], [True], [1.0], [[1]]), ({"a": 0.0}, {"a": -0.0})]
)
def test_values_that_are_equal_in_python_are_told_apart_in_what_is_read_anew(others: tuple[Any, ...]) -> None:
    nodes, cache = catalogue(), Cache()
    for value in others * 4:
        source = document(a=("any", {"value": {"value": value}}), s=("show", {"value": link("a")}))
        assert repr(run(source, ["a"], catalogue=nodes, cache=cache)["a"]) == repr(value)


def test_what_is_known_of_a_document_is_not_changed_with_an_object_that_said_it() -> None:
    source = document(c=("any", {"value": {"value": {"x": [1, 2]}}}), s=("show", {"value": link("c")}))
    nodes, cache = catalogue(), Cache()
    first = [Workflow.parse(source) for _ in range(4)]
    for workflow in first:
        assert run(workflow, ["c"], catalogue=nodes, cache=cache)["c"] == {"x": [1, 2]}
        workflow.nodes["c"].inputs["value"]["x"].append(3)
    for _ in range(3):
        assert run(Workflow.parse(source), ["c"], catalogue=nodes, cache=Cache())["c"] == {"x": [1, 2]}


def test_what_is_wrong_beside_the_nodes_is_told_of_a_document_that_is_read_anew() -> None:
    nodes, cache = read_three_times(SUM)
    with pytest.raises(WorkflowError, match="nowhere"):
        run({**copy.deepcopy(SUM), "parameters": {"p": {"input": "nowhere.value"}}}, catalogue=nodes, cache=cache)


def test_documents_that_nobody_holds_are_remembered_up_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remembered_documents, "MOST_NODES_ANEW", 20)
    monkeypatch.setattr(remembered_documents, "_contents", contents := remembered_documents.Contents())
    nodes, cache = catalogue(), Cache()
    for i in range(40):
        source = document(**{f"n{j}": ("number", {"value": i}) for j in range(i // 2)}, end=("total", {"items": [i]}))
        for _ in range(3):
            assert run(copy.deepcopy(source), ["end"], catalogue=nodes, cache=cache)["end"] == i
        assert contents.nodes <= 20


def test_a_change_that_makes_it_wrong_is_told() -> None:
    workflow, nodes, cache = remembered()
    workflow.nodes["b"].inputs["b"] = "two"
    with pytest.raises(WorkflowError, match="b must be a whole number"):
        run(workflow, catalogue=nodes, cache=cache)
    workflow.nodes["b"].inputs["b"] = 2
    assert run(workflow, catalogue=nodes, cache=cache)["end"] == 7
    workflow.nodes["b"].inputs["a"] = Link("nothing")
    with pytest.raises(WorkflowError, match="nothing"):
        run(workflow, catalogue=nodes, cache=cache)


def test_what_is_wrong_is_told_each_time() -> None:
    workflow = Workflow.parse(document(b=("add", {"a": "one"}), s=("show", {"value": link("b")})))
    nodes, cache = catalogue(), Cache()
    for _ in range(5):
        with pytest.raises(WorkflowError, match="a must be a whole number"):
            run(workflow, catalogue=nodes, cache=cache)


def test_what_is_left_out_stays_left_out() -> None:
    source = copy.deepcopy(SUM)
    source["nodes"]["kept"]["mode"] = "mute"
    workflow, nodes, cache = remembered(source)
    assert values(run(workflow, catalogue=nodes, cache=cache)) == {"end": (7,)}


def test_limits_that_were_lowered_hold() -> None:
    workflow, nodes, cache = remembered()
    with pytest.raises(WorkflowError, match="at most 3"):
        run(workflow.with_limits(replace(LIMITS, max_nodes=3)), catalogue=nodes, cache=cache)


def test_another_node_of_the_name_is_another_node() -> None:
    @node("number")
    def other(value: int = 0) -> int:
        return value + 1000

    workflow, _, cache = remembered()
    rest = [item for item in toys.NODES if item.node_type.name != "number"]
    assert run(workflow, catalogue=Catalogue([*rest, other]), cache=cache)["end"] > 1000


def test_targets_and_the_output_folder_are_those_of_each_run(tmp_path: Path) -> None:
    doc = document(t=("text", {"value": "hi"}), w=("write", {"text": link("t"), "name": "a"}), n=("number", {}))
    workflow, nodes, cache = remembered(doc, out=tmp_path / "one")
    assert run(workflow, ["n"], catalogue=nodes, cache=cache, out=tmp_path / "one")["n"] == 0
    for _ in range(3):
        run(workflow, catalogue=nodes, cache=cache, out=tmp_path / "two")
    assert [path.parent.name for path in sorted(tmp_path.rglob("a*"))] == ["one", "two"]


def test_a_file_is_read_again_when_it_changes_and_missed_when_it_is_gone(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("abc")
    doc = document(
        l=("length", {"path": str(path)}),
        r=("read", {"path": str(path)}),
        s=("show", {"value": link("l")}),
        t=("show", {"value": link("r")}),
    )
    workflow, nodes, cache = remembered(doc)
    path.write_text("abcdef")
    result = run(workflow, catalogue=nodes, cache=cache)
    assert (result["s"], result["t"]) == (6, "abcdef")
    path.unlink()
    with pytest.raises(WorkflowError, match="There is no file"):
        run(workflow, catalogue=nodes, cache=cache)


def test_folders_that_may_be_read_are_those_of_each_run(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.txt").write_text("abc")
    doc = document(l=("length", {"path": str(tmp_path / "in" / "a.txt")}), s=("show", {"value": link("l")}))
    workflow, nodes, cache = remembered(doc, roots=[tmp_path / "in"])
    with pytest.raises(WorkflowError):
        run(workflow, catalogue=nodes, cache=cache, roots=[tmp_path / "other"])


def test_what_a_node_checks_of_its_own_is_asked_each_time(made: list[int]) -> None:
    asked: list[int] = []
    wrong: list[Problem] = []

    def look(view: NodeView) -> list[Problem]:
        asked.append(len(view.sources("value")))
        return [problem.model_copy(update={"node": view.id}) for problem in wrong]

    @node("looks", output=True, check=look)
    def looks(value: int) -> int:
        return value

    workflow, nodes, cache = remembered(document(n=("number", {}), l=("looks", {"value": link("n")})), looks)
    count, plans = len(asked), len(made)
    assert run(workflow, catalogue=nodes, cache=cache)["l"] == 0
    assert (len(asked), asked[-1], len(made)) == (count + 1, 1, plans)
    wrong.append(Problem(code="bad_value", message="it came to be wrong"))
    with pytest.raises(WorkflowError, match="it came to be wrong"):
        run(workflow, catalogue=nodes, cache=cache)


def test_a_default_that_is_changed_in_place_is_another_default() -> None:
    shared = [1, 2]

    @node("listed", output=True)
    def listed(items: list[int] = shared) -> int:
        return sum(items)

    workflow, nodes, cache = remembered(document(l=("listed", {})), listed)
    shared.append(10)
    assert run(workflow, catalogue=nodes, cache=cache)["l"] == 13


def test_what_has_to_run_each_time_runs_each_time(calls: Counter[str]) -> None:
    workflow, nodes, cache = remembered(document(c=("clock", {}), s=("show", {"value": link("c")})))
    run(workflow, catalogue=nodes, cache=cache)
    assert calls["clock"] == 4


def test_what_the_cache_let_go_of_is_computed_again() -> None:
    workflow, nodes, cache = remembered()
    cache.clear()
    result = run(workflow, catalogue=nodes, cache=cache)
    assert (result["end"], result.ran) == (7, 5)


def test_code_of_a_script_that_changed_is_noticed() -> None:
    code = """
from weft.engine import Cache, Catalogue, node, run
from weft.graphs import Workflow
FACTOR = 2
@node("scaled", output=True)
def scaled(value: int) -> int:
    return value * FACTOR
workflow = Workflow.parse({"weft": 1, "nodes": {"s": {"type": "scaled", "inputs": {"value": 5}}}})
nodes, cache = Catalogue([scaled]), Cache()
for _ in range(4):
    assert run(workflow, catalogue=nodes, cache=cache)["s"] == 10
FACTOR = 3
print(run(workflow, catalogue=nodes, cache=cache)["s"])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "15", done.stderr


def test_two_runs_of_one_document_at_once_do_not_meet() -> None:
    workflow, nodes, _ = remembered()
    found: list[Any] = []
    gate = threading.Barrier(4)

    def go() -> None:
        gate.wait()
        for _ in range(20):
            result = run(workflow, catalogue=nodes, cache=Cache())
            found.append((result["end"], result.ran))

    threads = [threading.Thread(target=go) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [(7, 5)] * 80


def test_a_document_that_nobody_holds_is_forgotten() -> None:
    workflow, nodes, cache = remembered()
    gone = weakref.ref(workflow)
    del workflow
    gc.collect()
    assert gone() is None
    assert run(Workflow.parse(SUM), catalogue=nodes, cache=cache).ran == 0


def test_choices_and_graphs_that_nodes_return_are_planned_again_as_before(calls: Counter[str]) -> None:
    doc = document(
        n=("number", {"value": 3}),
        y=("lazily", {"value": link("n"), "wanted": False}),
        r=("repeat", {"value": link("n"), "body": "add", "feed": "a", "times": 3}),
        s=("show", {"value": link("y")}),
        t=("show", {"value": link("r")}),
    )
    workflow, nodes, _ = remembered(doc)
    for _ in range(2):
        assert values(run(workflow, catalogue=nodes, cache=Cache())) == fresh(workflow)


def test_what_unfolds_is_of_its_run() -> None:
    sizes = [5, 6, 7]

    @node("varies")
    def varies(value: int) -> int | Graph:
        with Graph() as graph:
            state = graph.given(value)
            for size in sizes:
                state = toys.add(state, size)
            graph.returns(state)
        return graph

    doc = document(n=("number", {"value": 1}), v=("varies", {"value": link("n")}), s=("show", {"value": link("v")}))
    workflow, nodes, _ = remembered(doc, varies)
    assert run(workflow, catalogue=nodes, cache=Cache())["s"] == 19
    sizes[:] = [7, 7]
    assert run(workflow, catalogue=nodes, cache=Cache())["s"] == 15
    sizes[:] = [6, 7]
    assert run(workflow, catalogue=nodes, cache=Cache())["s"] == 14


def test_parts_that_run_per_item_are_planned_anew() -> None:
    doc = document(
        m=("map_over", {"items": [1, 2, 3]}),
        a=("add", {"a": link("m"), "b": 10}),
        c=("collect", {"item": link("a")}),
        t=("total", {"items": link("c")}),
        s=("show", {"value": link("a")}),
    )
    workflow, nodes, cache = remembered(doc)
    for kept in (cache, Cache()):
        assert values(run(workflow, catalogue=nodes, cache=kept)) == {"t": (36,), "s": ([11, 12, 13],)}


@given(st.integers(0, 1 << 30))
def test_whatever_is_changed_between_runs_the_result_is_that_of_a_fresh_document(seed: int) -> None:
    rnd = random.Random(seed)
    nodes = catalogue()
    doc = {"n0": ("number", {"value": 1})} | {
        f"n{i}": ("add", {"a": link(f"n{rnd.randrange(i)}"), "b": rnd.randrange(4)}) for i in range(1, 8)
    }
    workflow = Workflow.parse(document(**doc, end=("total", {"items": [link("n3"), 1, link("n7")]})))
    cache = Cache()
    for _ in range(12):
        match rnd.randrange(6):
            case 0:
                workflow.nodes[f"n{rnd.randrange(1, 8)}"].inputs["b"] = rnd.randrange(4)
            case 1:
                place = rnd.randrange(1, 8)
                workflow.nodes[f"n{place}"].inputs["a"] = Link(f"n{rnd.randrange(place)}")
            case 2:
                workflow.nodes["end"].inputs["items"][rnd.randrange(3)] = rnd.choice([5, Link("n5"), Link("n1")])
            case 3:
                workflow = rnd.choice([workflow, workflow.model_copy(deep=True)])
        assert run(workflow, ["end"], catalogue=nodes, cache=cache)["end"] == fresh(workflow, ["end"], nodes)["end"][0]


JSON = st.recursive(
    st.sampled_from([None, True, False, 0, 1, 0.0, 1.0, -0.0, "", "a", "1"]) | st.integers(-9, 9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from("abc"), JSON, max_size=3), JSON, st.integers(0, 99))
def test_any_value_that_is_put_somewhere_is_seen(inputs: dict[str, Any], value: Any, place: int) -> None:
    workflow = Workflow(
        nodes={"m": NodeSpec(type="t", inputs={"z": [0, {"k": [1]}]}), "n": NodeSpec(type="t", inputs=inputs)}
    )
    snapshot = Snapshot.of(workflow)
    assert snapshot is not None
    assert snapshot.holds(workflow)
    assert snapshot.holds(workflow.model_copy()), "the same nodes in another document"
    holders: list[Any] = [spec.inputs for spec in workflow.nodes.values()]
    for holder in holders:
        items = holder.values() if isinstance(holder, dict) else holder
        holders += [item for item in items if isinstance(item, (list, dict))]
    holder = holders[place % len(holders)]
    before = repr(workflow.to_dict())
    if isinstance(holder, dict):
        holder["a" if place % 2 else "new"] = value
    elif holder and place % 2:
        holder[place % len(holder)] = value
    else:
        holder.append(value)
    if repr(workflow.to_dict()) != before:
        assert not snapshot.holds(workflow)


def test_the_same_objects_in_other_places_are_another_document() -> None:
    def taken(nodes: dict[str, dict[str, Any]]) -> tuple[Workflow, Snapshot]:
        workflow = Workflow(nodes={id: NodeSpec(type="t", inputs=inputs) for id, inputs in nodes.items()})
        snapshot = Snapshot.of(workflow)
        assert snapshot is not None
        return workflow, snapshot

    workflow, snapshot = taken({"m": {"a": 1, "b": 2}, "n": {"c": 3}})
    workflow.nodes["n"].inputs.clear()
    workflow.nodes["n"].inputs.update(b=workflow.nodes["m"].inputs.pop("b"), c=3)
    assert not snapshot.holds(workflow), "an input went over to the next node"
    workflow, snapshot = taken({"m": {"a": 1}})
    workflow.nodes["m"].inputs["b"] = workflow.nodes["m"].inputs.pop("a")
    assert not snapshot.holds(workflow), "an input has another name"
    workflow, snapshot = taken({"m": {"a": 1}, "n": {"a": 2}})
    workflow.nodes["o"] = workflow.nodes.pop("n")
    assert not snapshot.holds(workflow), "a node has another name"


def test_of_what_may_change_unseen_no_snapshot_is_taken() -> None:
    class Odd(list[int]):
        pass

    for item in (Odd([1]), [Odd([1])], {"a": Path("x")}, ([bytearray(b"a")],)):
        assert Snapshot.of(Workflow(nodes={"n": NodeSpec(type="t", inputs={"a": item})})) is None
    held = ([1],)
    workflow = Workflow(nodes={"n": NodeSpec(type="t", inputs={"a": held})})
    snapshot = Snapshot.of(workflow)
    assert snapshot is not None
    assert snapshot.holds(workflow)
    held[0].append(2)
    assert not snapshot.holds(workflow)
