"""Nodes that return graphs, loops made of these, and their bounds."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import pytest

from tests.engine import toys
from tests.engine.flow import catalogue, document, go, graph_of, link, no_thread_left, tale
from weft.engine import (
    Cache,
    Cancelled,
    CancelToken,
    Context,
    NodeView,
    Problem,
    Range,
    RunFailed,
    Settings,
    Widget,
    check,
    node,
    run,
)
from weft.engine.events import Event
from weft.graphs import LIMITS, Graph, Workflow, WorkflowError


@node("thrice")
def thrice(value: int, by: int = 1) -> int | Graph:
    """Adds three times."""
    with Graph() as graph:
        graph.returns(toys.add(toys.add(toys.add(graph.given(value), by), by), by))
    return graph


@node("nested")
def nested(value: int, depth: int) -> int | Graph:
    """A graph in a graph in a graph, with something after each."""
    if not depth:
        return value
    return graph_of(("nested", {"value": value, "depth": depth - 1}), ("add", {"a": "<"}))


@node("again")
def again(value: int = 0) -> int | Graph:
    """Its graph is the same call."""
    return graph_of(("again", {"value": value}))


def test_a_graph_runs_in_the_place_of_its_node(calls: Counter[str]) -> None:
    events: list[Event] = []
    doc = document(n=("number", {"value": 5}), t=("thrice", {"value": link("n"), "by": 2}), a=("add", {"a": link("t")}))
    result = go(doc, ["a"], thrice, on_event=events.append)
    assert (result["a"], result.ran) == (12, 3)
    assert calls == {"number": 1, "add": 4}
    assert tale(events, "t") == ["node_started", "1/3", "2/3", "3/3", "node_finished"]
    assert {event.node for event in events} == {None, "n", "t", "a"}, "what is inside is nobody's business"


def test_its_result_is_cached_and_so_is_what_is_inside(calls: Counter[str]) -> None:
    cache = Cache()
    doc = document(n=("number", {"value": 5}), t=("thrice", {"value": link("n"), "by": 2}))
    go(doc, ["t"], thrice, cache=cache)
    assert go(doc, ["t"], thrice, cache=cache).ran == 0
    calls.clear()
    outside = document(
        n=("number", {"value": 5}), a=("add", {"a": link("n"), "b": 2}), b=("add", {"a": link("a"), "b": 2})
    )
    result = go(outside, ["b"], thrice, cache=cache)
    assert (result["b"], result.ran, calls) == (9, 0, {})


def test_values_that_no_document_can_hold() -> None:
    @node("both_sides")
    def both_sides(shape: toys.Square, live: toys.Live) -> toys.Parts | Graph:
        with Graph() as graph:
            number = toys.count_corners(graph.given(shape))
            graph.returns(number, toys.use_live(graph.given(live)))
        return graph

    doc = document(
        s=("square", {}), l=("live", {"number": 3}), b=("both_sides", {"shape": link("s"), "live": link("l")})
    )
    result = go(doc, ["b"], both_sides)
    assert (result["b.whole"], result["b.rest"]) == (4, 3)


@node("picture_of")
def picture_of(number: int) -> dict[str, int]:
    """Something that is no number, a text or a truth value."""
    return {"picture": number}


@node("square_of")
def square_of(corners: int) -> toys.Square:
    """A value of a class, which has no key by content."""
    return toys.Square(corners)


@node("label")
def label(what: Any, with_: Any = None) -> str:
    """What it is, in words."""
    return f"{type(what).__name__} {what!r} {with_!r}"


@node("sheet")
def sheet(items: list[Any], k: Any = None) -> list[str] | Graph:
    """A label for each item, each by a node of its own."""
    with Graph() as graph:
        graph.returns(joined([label(graph.given(item), graph.given(k)) for item in items]))
    return graph


@node("joined")
def joined(labels: list[str]) -> list[str]:
    """The labels as they are."""
    return list(labels)


@pytest.mark.parametrize("maker", ["number", "picture_of", "square_of"])
def test_each_item_of_a_list_that_came_whole_is_itself(maker: str) -> None:
    nodes = (picture_of, square_of, label, sheet, joined)
    feed = {"number": "value", "picture_of": "number", "square_of": "corners"}[maker]
    doc = document(
        n=("map_over", {"items": [1, 2, 3]}),
        made=(maker, {feed: link("n")}),
        all=("collect", {"item": link("made")}),
        sheet=("sheet", {"items": link("all")}),
    )
    cache = Cache()
    first = go(doc, ["sheet"], *nodes, cache=cache)["sheet"]
    assert len(set(first)) == 3, first
    assert [text for number, text in enumerate(first, 1) if str(number) in text] == first
    # The list by another way, and shorter: what was found for an item is that item's.
    doc["nodes"]["n"]["inputs"]["items"] = [3, 1]
    assert go(doc, ["sheet"], *nodes, cache=cache)["sheet"] == [first[2], first[0]]


def test_equal_looking_items_and_settings_are_told_apart() -> None:
    """1, true and a literal 1 are one object each in Python, wherever they came from."""
    nodes = (label, sheet, joined)
    doc = document(
        n=("map_over", {"items": [1, True, 2, 1.0]}),
        all=("collect", {"item": link("n")}),
        sheet=("sheet", {"items": link("all"), "k": 1}),
    )
    expected = ["int 1 1", "bool True 1", "int 2 1", "float 1.0 1"]
    assert go(doc, ["sheet"], *nodes)["sheet"] == expected


def test_the_shipped_loop_takes_linked_values() -> None:
    @node("mixed")
    def mixed(value: str, a: Any = None, b: Any = None) -> str:
        return f"{value}{a.corners}{b.corners}"

    doc = document(
        n=("map_over", {"items": [4, 5]}),
        made=("square_of", {"corners": link("n")}),
        all=("collect", {"item": link("made")}),
        loop=("repeat", {"value": "", "body": "mixed", "feed": "value", "names": ["a", "b"], "values": link("all")}),
    )
    assert go(doc, ["loop"], square_of, mixed)["loop"] == "4545"


def test_a_graph_with_values_is_no_document() -> None:
    with Graph() as graph:
        toys.add(graph.given(1))
    with pytest.raises(TypeError, match=r"given values \(int\)"):
        graph.workflow()


def test_the_last_node_is_the_result_unless_something_else_is_named(calls: Counter[str]) -> None:
    @node("last_one")
    def last_one() -> int | Graph:
        with Graph() as graph:
            toys.add(1, 1)
            toys.add(2, 2)
        return graph

    @node("names_none")
    def names_none() -> toys.Parts | Graph:
        return graph_of(("add", {"a": 1}))

    assert go(document(x=("last_one", {})), ["x"], last_one)["x"] == 4
    assert calls == {"add": 1}
    with pytest.raises(RunFailed, match=r"1 values instead of 2 \(whole, rest\)"):
        go(document(x=("names_none", {})), ["x"], names_none)


def test_outputs_in_a_graph_are_made(calls: Counter[str]) -> None:
    @node("also_shows")
    def also_shows() -> int | Graph:
        with Graph() as graph:
            graph.returns(toys.add(1, 1))
            toys.show(7)
        return graph

    assert go(document(x=("also_shows", {})), ["x"], also_shows)["x"] == 2
    assert calls == {"add": 1, "show": 1}


def test_an_error_inside_is_the_visible_nodes() -> None:
    @node("breaks_inside")
    def breaks_inside(value: int = 0) -> int | Graph:
        return graph_of(("number", {"value": value}), ("boom", {"value": "<"}))

    events: list[Event] = []
    with pytest.raises(RunFailed) as raised:
        go(document(x=("breaks_inside", {})), ["x"], breaks_inside, on_event=events.append)
    error = raised.value.error
    assert (error.node, error.message) == ("x", "in boom (boom): it broke")
    assert "raise ValueError(message)" in error.traceback
    assert tale(events, "x")[-1] == "node_failed"


def test_progress_inside_is_the_visible_nodes() -> None:
    @node("steps_inside")
    def steps_inside() -> int | Graph:
        return graph_of(("steps", {"count": 2}))

    events: list[Event] = []
    go(document(x=("steps_inside", {})), ["x"], steps_inside, on_event=events.append)
    assert tale(events, "x") == ["node_started", "node_preview", "1/2", "2/2", "node_finished", "output"]


@pytest.mark.parametrize(
    ("calls_", "message"),
    [
        ([("nmber", {})], 'no node type "nmber"'),
        ([("number", {"valu": 1})], 'no input "valu"'),
        ([("square", {}), ("add", {"a": "<"})], "a takes int, but square makes Square"),
        ([("square", {}), ("number", {}), ("count_corners", {"shape": "<"})], "shape takes Shape"),
        ([], "0 values instead of 1"),
    ],
)
def test_a_graph_that_is_wrong_fails_on_the_visible_node(calls_: list[Any], message: str) -> None:
    @node("wrong")
    def wrong() -> int | Graph:
        return graph_of(*calls_)

    with pytest.raises(RunFailed, match="wrong") as raised:
        go(document(x=("wrong", {})), ["x"], wrong)
    assert raised.value.error.node == "x"
    assert message in raised.value.error.message


def test_a_graph_with_a_cycle_or_an_id_twice_fails_on_the_visible_node() -> None:
    @node("goes_round")
    def goes_round() -> int | Graph:
        with Graph() as graph:
            first = toys.add(1)
            second = toys.add(first)
        graph._nodes[0].inputs["a"] = second
        return graph

    @node("uses_twice")
    def uses_twice() -> int | Graph:
        with Graph() as graph:
            graph.add("number", {}, id="n")
            graph.add("number", {}, id="n")
        return graph

    with pytest.raises(RunFailed, match=r"x \(goes_round\): .*circle: add"):
        go(document(x=("goes_round", {})), ["x"], goes_round)
    with pytest.raises(RunFailed, match=r"x \(uses_twice\): .*already"):
        go(document(x=("uses_twice", {})), ["x"], uses_twice)


def test_the_same_ids_in_two_graphs_do_not_meet(calls: Counter[str]) -> None:
    doc = document(
        a=("thrice", {"value": 1}), b=("thrice", {"value": 100}), add=("add", {"a": link("a"), "b": link("b")})
    )
    assert go(doc, ["add"], thrice)["add"] == 107


def test_two_graphs_share_what_is_equal_in_them(calls: Counter[str]) -> None:
    doc = document(
        n=("number", {"value": 1}),
        t=("thrice", {"value": link("n")}),
        r=("repeat", {"value": link("n"), "body": "add", "feed": "a", "times": 5, "names": ["b"], "values": [1]}),
    )
    result = go(doc, ["t", "r"], thrice)
    assert (result["t"], result["r"]) == (4, 6)
    assert calls["add"] == 5


def test_a_call_that_comes_to_itself_does_not_hang() -> None:
    with pytest.raises(RunFailed, match=r"x \(again\): .*never end"):
        go(document(x=("again", {"value": 3})), ["x"], again)


def test_calls_that_come_to_each_other_do_not_hang() -> None:
    @node("ping")
    def ping() -> int | Graph:
        return graph_of(("pong", {}), ("add", {"a": "<"}))

    @node("pong")
    def pong() -> int | Graph:
        return graph_of(("ping", {}), ("add", {"a": "<"}))

    for doc in (document(x=("ping", {})), document(x=("ping", {}), y=("pong", {}))):
        with pytest.raises(RunFailed, match="never end"):
            go(doc, list(doc["nodes"]), ping, pong)


def test_depth_is_bounded() -> None:
    settings = Settings(max_depth=5)
    doc = document(x=("nested", {"value": 0, "depth": 5}))
    assert go(doc, ["x"], nested, settings=settings)["x"] == 5
    doc["nodes"]["x"]["inputs"]["depth"] = 6
    with pytest.raises(RunFailed, match=r"x \(nested\): .*6 deep; at most 5"):
        go(doc, ["x"], nested, settings=settings)


def test_the_number_of_steps_is_bounded() -> None:
    doc = document(r=("repeat", {"value": 0, "body": "add", "feed": "a", "times": 101}))
    with pytest.raises(RunFailed, match=r"101 steps.* at most 100"):
        go(doc, ["r"], settings=Settings(max_steps=100))

    @node("grows")
    def grows(value: int) -> int | Graph:
        return graph_of(("number", {"value": value}), ("grows", {"value": value + 1}))

    with pytest.raises(RunFailed, match="at most 300"):
        go(document(g=("grows", {"value": 0})), ["g"], grows, settings=Settings(max_steps=300))


# -- loops


def test_repeat(calls: Counter[str]) -> None:
    cache = Cache()
    doc = document(r=("repeat", {"value": 1, "body": "add", "feed": "a", "times": 3, "names": ["b"], "values": [10]}))
    assert go(doc, ["r"], cache=cache)["r"] == 31
    doc["nodes"]["r"]["inputs"]["times"] = 5
    assert go(doc, ["r"], cache=cache)["r"] == 51
    assert calls == {"add": 5}, "the first three rounds were there"
    doc["nodes"]["r"]["inputs"]["times"] = 0
    assert go(doc, ["r"], cache=cache)["r"] == 1
    doc["nodes"]["r"]["inputs"]["values"] = []
    with pytest.raises(Exception, match="1 names for 0 values"):
        go(doc, ["r"])


def test_while(calls: Counter[str]) -> None:
    loop = {
        "value": link("n"), "body": "add", "feed": "a", "names": ["b"], "values": [link("n")], "test": "compare",
        "test_feed": "a", "test_names": ["b"], "test_values": [20],
    }  # fmt: skip
    doc = document(n=("number", {"value": 3}), w=("while", loop))
    events: list[Event] = []
    assert go(doc, ["w"], on_event=events.append)["w"] == 21
    assert calls["add"] == 6
    assert {event.node for event in events} == {None, "n", "w"}
    loop["limit"] = 5
    with pytest.raises(RunFailed, match=r"w \(while\): .*after 5 rounds, which is the limit"):
        go(doc, ["w"])


def test_a_loop_may_be_long() -> None:
    """Rounds are no depth: a graph whose only end is another graph goes no deeper."""
    loop = {"body": "add", "feed": "a", "test": "compare", "test_feed": "a", "test_names": ["b"], "test_values": [2000]}
    doc = document(
        w=("while", {"value": 0, "limit": 5000, **loop}),
        r=("repeat", {"value": 0, "body": "add", "feed": "a", "times": 5000}),
    )
    result = go(doc, ["w", "r"], settings=Settings(max_depth=2), cache=Cache.none())
    assert (result["w"], result["r"]) == (2000, 5000)


def test_async_nodes_return_graphs_too() -> None:
    @node("later")
    async def later(value: int) -> int | Graph:
        await asyncio.sleep(0)
        with Graph() as graph:
            graph.returns(toys.add(graph.given(value), 5))
        return graph

    assert go(document(x=("later", {"value": 1})), ["x"], later)["x"] == 6


def test_cancel_inside_a_graph() -> None:
    cancel = CancelToken()

    @node("endless_inside")
    def endless_inside(ctx: Context | None = None) -> int:
        assert ctx is not None
        cancel.cancel()
        while True:
            ctx.check_cancelled()

    @node("outside")
    def outside() -> int | Graph:
        return graph_of(("endless_inside", {}))

    with no_thread_left(), pytest.raises(Cancelled):
        go(document(x=("outside", {})), ["x"], outside, endless_inside, cancel=cancel)


def test_limits_that_a_document_was_read_with_hold_for_its_check_and_run() -> None:
    count = 10_001
    calls = {f"n{i}": ("number", {"value": 1}) for i in range(count - 1)}
    doc = document(**calls, end=("total", {"items": [link("n0"), link(f"n{count - 2}")]}))
    large = Workflow.parse(doc, replace(LIMITS, max_nodes=count))
    assert check(large, catalogue(), targets=["end"]) == []
    assert run(large, ["end"], catalogue=catalogue(), cache=Cache())["end"] == 2
    with pytest.raises(WorkflowError):
        run(large.with_limits(LIMITS), ["end"], catalogue=catalogue(), cache=Cache())


def test_a_returned_graph_may_have_as_many_nodes_as_steps_may_be_added() -> None:
    @node("broad")
    def broad(count: int) -> int | Graph:
        return graph_of(*[("number", {"value": 1}) for _ in range(count - 1)], ("number", {"value": 7}))

    doc = document(b=("broad", {"count": 10_050}))
    assert go(doc, ["b"], broad)["b"] == 7
    with pytest.raises(RunFailed, match="at most 10,049"):
        go(doc, ["b"], broad, settings=Settings(max_steps=10_049))


def test_definitions_in_a_returned_graph_are_bounded_by_the_steps_too() -> None:
    @node("swells")
    def swells() -> int | Graph:
        return graph_of(("d5", {}))

    def level(inner: str) -> dict[str, Any]:
        return {"nodes": {f"n{i}": {"type": inner} for i in range(10)}, "outputs": {"value": {"link": "n0"}}}

    doc = document(s=("swells", {}))
    doc["definitions"] = {"d0": level("number")} | {f"d{i}": level(f"d{i - 1}") for i in range(1, 6)}
    with pytest.raises(RunFailed, match="With those inside of definitions"):
        go(doc, ["s"], swells)


@node("picks")
def picks(value: int, rounds: list[Any], at: int = 0) -> int | Graph:
    """One graph of one form in each round, with the next value in it."""
    if at == len(rounds):
        return value
    with Graph() as graph:
        state = graph.add("bounded", {"value": graph.given(value), "by": rounds[at]})
        graph.returns(graph.add("picks", {"value": state, "rounds": rounds, "at": at + 1}))
    return graph


@node("bounded")
def bounded(value: int, by: Annotated[int, Range(0, 9)] = 1) -> int:
    return value + by


@pytest.mark.parametrize(
    ("rounds", "said"),
    [([1, 2, 3, 10, 4], "by must be 0 to 9, not 10"), ([1, 2, 3, True], "not true"), ([1, 2, 3, "a"], 'not "a"')],
)
def test_values_of_later_rounds_are_looked_at_as_those_of_the_first(rounds: list[Any], said: str) -> None:
    doc = document(p=("picks", {"value": 0, "rounds": [1, 2, 3, 4, 5, 6]}))
    assert go(doc, ["p"], picks, bounded)["p"] == 21
    with pytest.raises(RunFailed, match=said):
        go(document(p=("picks", {"value": 0, "rounds": rounds})), ["p"], picks, bounded)


def test_the_own_check_of_a_node_in_a_returned_graph_is_asked_each_round() -> None:
    seen: list[int] = []

    def odd_is_wrong(view: NodeView) -> list[Problem]:
        seen.append(view.literals["by"])
        wrong = view.literals["by"] == 7
        return [Problem(code="bad_value", node=view.id, message="seven is wrong")] if wrong else []

    @node("bounded", check=odd_is_wrong)
    def checked(value: int, by: int = 1) -> int:
        return value + by

    assert go(document(p=("picks", {"value": 0, "rounds": [1, 1, 2, 1]})), ["p"], picks, checked)["p"] == 5
    assert seen == [1, 1, 2, 1]
    with pytest.raises(RunFailed, match="seven is wrong"):
        go(document(p=("picks", {"value": 0, "rounds": [1, 1, 2, 7]})), ["p"], picks, checked)


def test_a_file_that_is_gone_is_noticed_in_a_later_round(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("a")

    @node("reads")
    def reads(value: int, path: Annotated[str, Widget("file")]) -> int:
        if value == 2:
            Path(path).unlink()
        return value + 1

    @node("rereads")
    def rereads(value: int, path: str) -> int | Graph:
        with Graph() as graph:
            state = graph.add("reads", {"value": graph.given(value), "path": path})
            graph.returns(graph.add("rereads", {"value": state, "path": path}))
        return graph

    with pytest.raises(RunFailed, match=r"There is no file .*a\.txt"):
        go(document(r=("rereads", {"value": 0, "path": str(path)})), ["r"], reads, rereads)


def test_rounds_with_values_of_other_kinds_or_other_nodes_are_checked_anew() -> None:
    @node("turns")
    def turns(value: Any, kinds: list[str], at: int = 0) -> Any | Graph:
        if at == len(kinds):
            return value
        made = {"int": 1, "text": "one"}[kinds[at]]
        with Graph() as graph:
            counted = graph.add("bounded", {"value": graph.given(made)})
            graph.returns(graph.add("turns", {"value": counted, "kinds": kinds, "at": at + 1}))
        return graph

    def rounds(*kinds: str) -> Any:
        return go(document(t=("turns", {"value": 0, "kinds": list(kinds)})), ["t"], turns, bounded)["t"]

    assert rounds("int", "int", "int") == 2
    with pytest.raises(RunFailed, match="value takes int, but given makes str"):
        rounds("int", "int", "int", "text")


def test_values_of_two_classes_of_one_name_are_told_apart() -> None:
    def shape(sides: int) -> Any:
        class Shape:
            count = sides

        return Shape

    Three, Four = shape(3), shape(4)

    @node("sides")
    def sides(one: Three, other: Four) -> int:  # type: ignore[valid-type]
        return one.count * 10 + other.count  # type: ignore[attr-defined, no-any-return]

    @node("two_shapes")
    def two_shapes() -> int | Graph:
        with Graph() as graph:
            graph.returns(graph.add("sides", {"one": graph.given(Three()), "other": graph.given(Four())}))
        return graph

    assert go(document(t=("two_shapes", {})), ["t"], sides, two_shapes)["t"] == 34


def test_rounds_with_other_links_or_types_are_planned_anew() -> None:
    ran: list[int] = []

    @node("counted")
    def counted(value: int) -> int:
        ran.append(value)
        return value + 1

    @node("texted")
    def texted(value: int) -> str:
        return str(value)

    @node("forms")
    def forms(value: int, which: list[str], at: int = 0) -> int | Graph:
        if at == len(which):
            return value
        with Graph() as graph:
            start: Any = graph.given(value)
            one = graph.add("texted" if which[at] == "type" else "counted", {"value": start}, id="one")
            words = graph.add("texted", {"value": start}, id="words")
            source = {"link": start, "wrong": words}.get(which[at], one)
            other = graph.add("counted", {"value": source}, id="other")
            graph.returns(graph.add("forms", {"value": other, "which": which, "at": at + 1}, id="rest"))
        return graph

    def rounds(*which: str) -> Any:
        ran.clear()
        doc = document(f=("forms", {"value": 0, "which": list(which)}))
        return go(doc, ["f"], forms, counted, texted, cache=Cache.none())["f"]

    assert (rounds("", "", ""), ran) == (6, [0, 1, 2, 3, 4, 5])
    assert (rounds("", "", "", "link"), ran) == (7, [0, 1, 2, 3, 4, 5, 6]), "nobody needs the other one"
    with pytest.raises(RunFailed, match="value takes int, but one makes str"):
        rounds("", "", "", "type")
    with pytest.raises(RunFailed, match="value takes int, but words makes str"):
        rounds("", "", "", "wrong")
