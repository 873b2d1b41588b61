"""What stands between `map_over` and `collect` runs once per item."""

from __future__ import annotations

import gc
import weakref
from collections import Counter
from typing import Any

import pytest

from tests.engine import toys
from tests.engine.flow import catalogue, document, go, graph_of, link, tale
from weft.engine import Cache, Context, RunFailed, Settings, check, node
from weft.engine.events import Event
from weft.engine.running.lanes import LaneSizes
from weft.graphs import Graph
from weft.nodes.basic.items import collect, integers, map_over


def sums(items: Any = None, b: int = 10) -> dict[str, Any]:
    return document(
        m=("map_over", {"items": [1, 2, 3] if items is None else items}),
        p=("add", {"a": link("m"), "b": b}),
        c=("collect", {"item": link("p")}),
        t=("total", {"items": link("c")}),
    )


def test_once_per_item_in_order(calls: Counter[str]) -> None:
    result = go(sums(), ["c", "t"])
    assert (result["c"], result["t"]) == ([11, 12, 13], 36)
    assert calls == {"add": 3, "total": 1}


def test_written_in_python() -> None:
    with Graph() as g:
        each = map_over(integers(5, 3))
        back = collect(toys.add(each, 1))
    assert go(g.workflow().to_dict(), [str(back.link)])[back] == [6, 7, 8]  # type: ignore[attr-defined]


def test_lists_over_links_and_lists_of_links(calls: Counter[str]) -> None:
    doc = sums([link("n"), 5, link("d.rest")])
    doc["nodes"] |= document(n=("number", {"value": 3}), d=("divide", {"a": 9}))["nodes"]
    assert go(doc, ["c"])["c"] == [13, 15, 11]
    doc = sums(link("n"))
    doc["nodes"]["n"] = {"type": "integers", "inputs": {"count": 4}}
    assert go(doc, ["c"])["c"] == [10, 11, 12, 13]


def test_no_items_are_no_results(calls: Counter[str]) -> None:
    doc = sums([])
    doc["nodes"]["p"]["inputs"]["b"] = link("n")
    doc["nodes"]["n"] = {"type": "number"}
    assert go(doc, ["c"])["c"] == []
    assert not calls, "not even what the items would have taken"


def test_one_item_changed_runs_for_that_item(calls: Counter[str]) -> None:
    cache = Cache()
    go(sums([1, 2, 3]), None, cache=cache)
    calls.clear()
    assert go(sums([3, 7, 1, 2]), ["c"], cache=cache)["c"] == [13, 17, 11, 12]
    assert calls == {"add": 1}


def test_items_of_values_are_known_by_where_they_came_from(calls: Counter[str]) -> None:
    doc = document(
        s=("square", {"side": 2.0}),
        r=("square", {"side": 3.0}),
        m=("map_over", {"items": [link("s"), link("r")]}),
        p=("side", {"square": link("m")}),
    )
    cache = Cache()
    assert go(doc, ["p"], cache=cache)["p"] == [2.0, 3.0]
    direct = document(s=("square", {"side": 3.0}), p=("side", {"square": link("s")}))
    assert go(direct, ["p"], cache=cache).ran == 0


def test_a_second_run_does_nothing(calls: Counter[str]) -> None:
    cache = Cache()
    events: list[Event] = []
    go(sums(), None, cache=cache)
    result = go(sums(), None, cache=cache, on_event=events.append)
    assert (result.ran, result["t"]) == (0, 36)
    assert {event.node for event in events if event.event == "node_cached"} == {"m", "p", "c", "t"}
    assert calls == {"add": 3, "total": 1}


def test_a_target_that_runs_per_item_needs_no_collect() -> None:
    events: list[Event] = []
    doc = document(
        m=("map_over", {"items": [7, 8]}), d=("divide", {"a": link("m")}), s=("show", {"value": link("d.rest")})
    )
    result = go(doc, ["s", "d"], on_event=events.append)
    assert (result["s"], result["d"], result["d.rest"]) == ([1, 0], [3, 4], [1, 0])
    assert [(item.node, item.value) for item in result.outputs] == [
        ("s", 1), ("s", 0), ("d", 3), ("d", 1), ("d", 4), ("d", 0),
    ]  # fmt: skip
    assert tale(events, "s") == ["node_started", "1/2", "output", "2/2", "output", "node_finished"]
    assert tale(events, "d")[:2] == ["node_started", "1/2"]


def test_items_are_delivered_as_they_come_and_files_too(tmp_path: Any) -> None:
    doc = document(m=("map_over", {"items": ["a", "b", "c"]}), w=("write", {"text": link("m"), "name": link("m")}))
    cache = Cache(tmp_path / "c")
    events: list[Event] = []
    result = go(doc, None, cache=cache, out=tmp_path / "o", on_event=events.append)
    assert [item.path for item in result.outputs] == [str(tmp_path / f"o/{name}.txt") for name in "abc"]
    names = [event.event for event in events if event.node == "w"]
    assert names.index("output") < len(names) - 3, "the first one before the last was made"
    again = go(doc, None, cache=Cache(tmp_path / "c"), out=tmp_path / "o")
    assert (again.ran, [item.path for item in again.outputs]) == (0, [item.path for item in result.outputs])
    (tmp_path / "o/b.txt").unlink()
    again = go(doc, None, cache=Cache(tmp_path / "c"), out=tmp_path / "o")
    assert again.ran == 1
    assert (tmp_path / "o/b.txt").read_text() == "b"


# -- several lists


def test_lists_of_one_length_go_together() -> None:
    doc = document(
        a=("map_over", {"items": [1, 2]}),
        b=("map_over", {"items": [10, 20]}),
        p=("add", {"a": link("a"), "b": link("b")}),
    )
    assert go(doc, ["p"])["p"] == [11, 22]


@pytest.mark.parametrize("axis", ["", "x"])
def test_lists_of_different_length_are_an_error_that_names_both(axis: str) -> None:
    doc = document(
        a=("map_over", {"items": [1, 2], "axis": axis}),
        b=("map_over", {"items": [1, 2, 3], "axis": axis}),
        p=("add", {"a": link("a"), "b": link("b")}),
    )
    with pytest.raises(RunFailed, match="a has 2 items and b has 3") as raised:
        go(doc, ["p"])
    assert raised.value.error.node == "p"


def product() -> dict[str, Any]:
    return document(
        a=("map_over", {"items": [1, 2], "axis": "a"}),
        b=("map_over", {"items": [10, 20, 30], "axis": "b"}),
        x=("add", {"a": link("b"), "b": 100}),
        p=("add", {"a": link("a"), "b": link("x")}),
    )


def test_axes_of_different_names_are_combined(calls: Counter[str]) -> None:
    assert go(product(), ["p"])["p"] == [[111, 121, 131], [112, 122, 132]]
    assert calls == {"add": 9}, "what depends on one list alone runs once for each of its items"


def test_either_axis_can_be_gathered_first() -> None:
    doc = product()
    for axis, expected in (("a", [[111, 112], [121, 122], [131, 132]]), ("b", [[111, 121, 131], [112, 122, 132]])):
        doc["nodes"] |= document(c=("collect", {"item": link("p"), "axis": axis}), e=("collect", {"item": link("c")}))[
            "nodes"
        ]
        assert go(doc, ["e"])["e"] == expected


def nested() -> dict[str, Any]:
    return document(
        n=("integers", {"count": 4}),
        m=("map_over", {"items": link("n")}),
        k=("integers", {"count": link("m")}),
        i=("map_over", {"items": link("k")}),
        p=("add", {"a": link("i"), "b": link("m")}),
        c=("collect", {"item": link("p")}),
        t=("total", {"items": [link("s"), link("m")]}),
        s=("lengths", {"items": link("c")}),
        e=("collect", {"item": link("t")}),
    )


@node("lengths")
def lengths(items: list[int]) -> int:
    """How many."""
    return len(items)


def test_lists_of_items_of_lists_may_be_uneven() -> None:
    result = go(nested(), ["p", "c", "e"], lengths)
    assert result["p"] == result["c"] == [[], [1], [2, 3], [3, 4, 5]]
    assert result["e"] == [0, 2, 4, 6]


@node("pair")
def pair(a: int, b: int) -> str:
    return f"{a}{b}"


def test_the_order_of_inputs_in_the_file_decides_nothing() -> None:
    """Neither which axis is the inner one nor, over one cache, whose result is served."""

    def doc(*names: str) -> dict[str, Any]:
        inputs = {name: link({"a": "x", "b": "y"}[name]) for name in names}
        return document(
            x=("map_over", {"items": [1, 2, 3], "axis": "x"}),
            y=("map_over", {"items": [7, 8], "axis": "y"}),
            pair=("pair", inputs),
        )

    cache = Cache()
    expected = [["17", "18"], ["27", "28"], ["37", "38"]]
    for names in (("b", "a"), ("a", "b")):
        assert go(doc(*names), ["pair"], pair)["pair"] == expected
        assert go(doc(*names), ["pair"], pair, cache=cache)["pair"] == expected


def test_what_axes_cannot_do_is_found_before_anything_runs() -> None:
    def codes(doc: dict[str, Any]) -> list[tuple[str, str | None, str]]:
        found = check(doc, catalogue(lengths), targets=list(doc["nodes"])[-1:])
        return [(problem.code, problem.node, problem.message) for problem in found]

    (found,) = codes(document(n=("number", {}), c=("collect", {"item": link("n")})))
    assert found[:2] == ("conflict", "c")
    assert "put a map_over before it" in found[2]
    (found,) = codes(
        sums()
        | document(m=("map_over", {"items": [1], "axis": "seeds"}), c=("collect", {"item": link("m"), "axis": "seed"}))
    )
    assert found[:2] == ("not_a_choice", "c")
    doc = nested()
    doc["nodes"]["m"]["inputs"]["axis"] = "outer"
    doc["nodes"]["c"]["inputs"]["axis"] = "outer"
    assert ("conflict", "c") in [found[:2] for found in codes(doc)]
    doc = nested()
    doc["nodes"]["m"]["inputs"]["axis"] = doc["nodes"]["i"]["inputs"]["axis"] = "one"
    assert ("conflict", "i") in [found[:2] for found in codes(doc)]
    doc = sums()
    doc["nodes"]["m"]["inputs"]["axis"] = link("x")
    doc["nodes"]["x"] = {"type": "text"}
    assert ("bad_value", "m") in [found[:2] for found in codes(doc)]
    assert codes(sums()) == []


def test_types_go_through() -> None:
    doc = document(m=("map_over", {"items": [1, 2]}), p=("side", {"square": link("m")}))
    assert [problem.code for problem in check(doc, catalogue(), targets=["p"])] == ["type_mismatch"]


# -- with everything else


def test_a_value_for_one_item_and_a_graph_for_another() -> None:
    @node("sometimes")
    def sometimes(n: int) -> int | Graph:
        return graph_of(("number", {"value": n * 100}), ("add", {"a": "<"})) if n % 2 else n

    doc = document(
        m=("map_over", {"items": [0, 1, 2, 3]}), s=("sometimes", {"n": link("m")}), c=("collect", {"item": link("s")})
    )
    assert go(doc, ["c"], sometimes)["c"] == [0, 101, 2, 301]


def test_a_part_per_item_inside_a_graph() -> None:
    @node("inner_sweep")
    def inner_sweep(count: int) -> list[int] | Graph:
        return graph_of(
            ("integers", {"count": count}),
            ("map_over", {"items": "<"}),
            ("add", {"a": "<"}),
            ("collect", {"item": "<"}),
        )

    doc = document(
        m=("map_over", {"items": [1, 3]}), s=("inner_sweep", {"count": link("m")}), c=("collect", {"item": link("s")})
    )
    assert go(doc, ["c"], inner_sweep)["c"] == [[1], [1, 2, 3]]


def test_choices_per_item_run_only_what_each_needs(calls: Counter[str]) -> None:
    doc = document(
        m=("map_over", {"items": [1, -1, 2]}),
        b=("compare", {"a": link("m")}),
        n=("number", {"value": 5}),
        x=("add", {"a": link("m"), "b": link("n")}),
        i=("if", {"condition": link("b"), "then": link("x"), "otherwise": link("m")}),
        c=("collect", {"item": link("i")}),
    )
    assert go(doc, ["c"])["c"] == [1, 4, 2]
    assert calls == {"number": 1, "add": 1}


def test_a_lazy_input_that_a_whole_part_makes(calls: Counter[str]) -> None:
    doc = sums()
    doc["nodes"]["l"] = {"type": "if", "inputs": {"condition": False, "then": link("t"), "otherwise": 5}}
    assert go(doc, ["l"])["l"] == 5
    assert not calls


def test_equal_items_compute_once(calls: Counter[str]) -> None:
    assert go(sums([4, 4, 5, 4]), ["c"], cache=Cache.none())["c"] == [14, 14, 15, 14]
    assert calls == {"add": 2}


def test_impure_nodes_run_for_each_item(calls: Counter[str]) -> None:
    doc = document(
        m=("map_over", {"items": [0, 0, 0]}),
        k=("clock", {}),
        p=("add", {"a": link("m"), "b": link("k")}),
        c=("collect", {"item": link("p")}),
    )
    assert go(doc, ["c"])["c"] == [1, 1, 1], "it takes no item, so it is one node for all"

    @node("dice", cache="never")
    def dice(n: int) -> int:
        toys.calls["dice"] += 1
        return toys.calls["dice"]

    doc = document(m=("map_over", {"items": [0, 0, 0]}), d=("dice", {"n": link("m")}))
    assert go(doc, ["d"], dice)["d"] == [1, 2, 3]


def test_errors_name_the_node_and_the_item() -> None:
    doc = document(
        m=("map_over", {"items": [2, 0]}), d=("divide", {"a": 1, "by": link("m")}), c=("collect", {"item": link("d")})
    )
    with pytest.raises(RunFailed, match=r"d \(divide\): item 2: by must be 1 to 100"):
        go(doc, ["c"])
    doc = document(
        x=("any", {"value": {"no": "list"}}), m=("map_over", {"items": link("x")}), c=("collect", {"item": link("m")})
    )
    with pytest.raises(RunFailed, match="m goes over a list, not a value of type dict"):
        go(doc, ["c"])


def test_progress_counts_items_on_the_node() -> None:
    events: list[Event] = []
    go(sums(), None, on_event=events.append)
    assert tale(events, "p") == ["node_started", "1/3", "2/3", "3/3", "node_finished"]


def test_the_number_of_items_is_bounded() -> None:
    with pytest.raises(RunFailed, match="at most 1,000"):
        go(sums(list(range(600))), None, settings=Settings(max_steps=1000))


def test_the_first_item_is_done_before_the_third_begins() -> None:
    order: list[str] = []

    @node("note")
    def note(n: int, what: str) -> int:
        order.append(f"{what} {n}")
        return n

    doc = document(
        m=("map_over", {"items": list(range(100))}),
        a=("note", {"n": link("m"), "what": "a"}),
        b=("note", {"n": link("a"), "what": "b"}),
        s=("note", {"n": link("b"), "what": "save"}),
    )
    go(doc, ["s"], note, settings=Settings(lanes=LaneSizes(cpu=1)))
    assert order.index("save 0") == 2
    assert [item for item in order if item.startswith("save")] == [f"save {n}" for n in range(100)]


def peak(count: int) -> int:
    class Big:
        pass

    alive: list[weakref.ref[Big]] = []
    most = 0

    @node("make_big")
    def make_big(n: int, ctx: Context | None = None) -> Any:
        nonlocal most
        made = Big()
        alive.append(weakref.ref(made))
        most = max(most, sum(ref() is not None for ref in alive))
        return made

    @node("change_big")
    def change_big(big: Any) -> Any:
        return make_big.node_type.fn(0)

    @node("weigh")
    def weigh(big: Any) -> int:
        return 1

    doc = document(
        m=("map_over", {"items": list(range(count))}),
        b=("make_big", {"n": link("m")}),
        d=("change_big", {"big": link("b")}),
        w=("weigh", {"big": link("d")}),
        c=("collect", {"item": link("w")}),
        t=("total", {"items": link("c")}),
    )
    result = go(doc, ["t"], make_big, change_big, weigh, cache=Cache.none(), settings=Settings(lanes=LaneSizes(cpu=2)))
    assert result["t"] == count
    gc.collect()
    assert not any(ref() for ref in alive)
    return most


def test_the_memory_of_a_mapped_sweep_does_not_grow_with_its_length() -> None:
    assert peak(200) <= 8


def test_items_themselves_are_let_go_one_by_one() -> None:
    class Big:
        pass

    alive: list[weakref.ref[Big]] = []
    left: list[int] = []

    @node("bigs", cache="never")
    def bigs(count: int) -> list[Any]:
        made = [Big() for _ in range(count)]
        alive.extend(map(weakref.ref, made))
        return made

    @node("weigh")
    def weigh(big: Any) -> int:
        left.append(sum(ref() is not None for ref in alive))
        return 1

    doc = document(
        b=("bigs", {"count": 50}),
        m=("map_over", {"items": link("b")}),
        w=("weigh", {"big": link("m")}),
        c=("collect", {"item": link("w")}),
    )
    go(doc, ["c"], bigs, weigh, cache=Cache.none(), settings=Settings(lanes=LaneSizes(cpu=1)))
    assert left[-1] <= 3
