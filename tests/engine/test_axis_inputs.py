"""`AxesOf`: an input that the engine fills in with the axes over which another one was gathered."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated, Any

from tests.engine import toys
from tests.engine.flow import catalogue, document, go, link
from weft.engine import AxesOf, Cache, Context, check, node
from weft.graphs import Graph, Workflow

seen: list[Any] = []


@node("labelled")
def labelled(items: list[Any], extra: int = 0, axes: Annotated[list[Any] | None, AxesOf("items")] = None) -> list[Any]:
    """What it was told of the axes of its items."""
    seen.append(axes)
    return [axes]


def sweep(outer: Any, inner: Any, **axes: Any) -> dict[str, Any]:
    return document(
        a=("map_over", {"items": outer, "axis": "scale"}),
        b=("map_over", {"items": inner, "axis": "seed"}),
        p=("add", {"a": link("a"), "b": link("b")}),
        rows=("collect", {"item": link("p"), "axis": "seed"}),
        all=("collect", {"item": link("rows"), "axis": "scale"}),
        t=("labelled", {"items": link("all"), **axes}),
    )


def told(doc: dict[str, Any], target: str = "t", **options: Any) -> Any:
    return go(doc, [target], labelled, **options)[target]


def test_names_and_items_outermost_first() -> None:
    assert told(sweep([1, 3], [5, 6, 7])) == [["scale", [1, 3], "seed", [5, 6, 7]]]


def test_a_list_over_a_link_arrives_as_the_list() -> None:
    doc = sweep([1, 3], link("n"))
    doc["nodes"]["n"] = {"type": "integers", "inputs": {"start": 4, "count": 2}}
    assert told(doc) == [["scale", [1, 3], "seed", [4, 5]]]


def test_what_the_document_says_stays() -> None:
    assert told(sweep([1], [2], axes=[])) == [[]]
    assert told(sweep([1], [2], axes=None)) == [None]
    assert told(document(t=("labelled", {"items": [1]}))) == [None]
    assert told(document(n=("integers", {}), t=("labelled", {"items": link("n")}))) == [None]


def test_an_axis_without_a_name_and_items_that_nodes_make() -> None:
    doc = document(
        one=("number", {"value": 1}),
        a=("map_over", {"items": [link("one"), 7]}),
        c=("collect", {"item": link("a")}),
        t=("labelled", {"items": link("c")}),
    )
    assert told(doc) == [["", ["one", 7]]]


def test_items_that_are_no_plain_data_are_not_sent() -> None:
    @node("shapes")
    def shapes(count: int = 2) -> list[toys.Shape]:
        """Shapes."""
        return [toys.Shape(number) for number in range(count)]

    doc = document(
        s=("shapes", {}),
        a=("map_over", {"items": link("s"), "axis": "shape"}),
        c=("collect", {"item": link("a")}),
        t=("labelled", {"items": link("c")}),
    )
    assert go(doc, ["t"], labelled, shapes)["t"] == [["shape", None]]


def test_lists_that_differ_from_item_to_item_are_not_told_outside_of_it() -> None:
    doc = document(
        a=("map_over", {"items": [1, 2], "axis": "scale"}),
        n=("integers", {"start": 0, "count": link("a")}),
        b=("map_over", {"items": link("n"), "axis": "seed"}),
        c=("collect", {"item": link("b"), "axis": "seed"}),
        inner=("labelled", {"items": link("c")}),
        inners=("collect", {"item": link("inner"), "axis": "scale"}),
        all=("collect", {"item": link("c"), "axis": "scale"}),
        t=("labelled", {"items": link("all")}),
    )
    assert told(doc) == [["scale", [1, 2], "seed", None]]
    assert told(doc, "inners") == [[["seed", [0]]], [["seed", [0, 1]]]], "inside it, each has its own"


def test_a_part_that_runs_per_item_of_the_axis_it_gathered_is_told_the_whole_list() -> None:
    doc = document(
        a=("map_over", {"items": [1, 2], "axis": "scale"}),
        c=("collect", {"item": link("a"), "axis": "scale"}),
        t=("labelled", {"items": link("c"), "extra": link("a")}),
        back=("collect", {"item": link("t"), "axis": "scale"}),
    )
    assert told(doc, "back") == [[["scale", [1, 2]]], [["scale", [1, 2]]]]


def test_lists_of_one_axis_the_first_one_counts() -> None:
    doc = document(
        a=("map_over", {"items": [1, 2], "axis": "x"}),
        b=("map_over", {"items": ["p", "q"], "axis": "x"}),
        p=("add", {"a": link("a"), "b": 1}),
        c=("collect", {"item": link("p")}),
        t=("labelled", {"items": link("c")}),
    )
    assert told(doc) == [["x", [1, 2]]]


def test_labels_are_part_of_the_key(calls: Counter[str]) -> None:
    """Items that make equal results, but have other labels, are other results; equal ones are found again."""
    cache = Cache()
    seen.clear()
    assert told(sweep([1, 3], [5, 6]), cache=cache) == told(sweep([1, 3], [5, 6]), cache=cache)
    assert len(seen) == 1
    renamed = sweep([1, 3], [5, 6])
    for id in ("a", "all"):
        renamed["nodes"][id]["inputs"]["axis"] = "cfg"
    assert told(renamed, cache=cache) == [["cfg", [1, 3], "seed", [5, 6]]]
    assert len(seen) == 2
    assert calls["add"] == 4, "the label is drawn again, and no item is computed again"


def test_they_do_not_stand_in_the_document_that_a_file_carries(tmp_path: Path) -> None:
    """A picture's own document asks for labels as its source did: with definitions written out, too."""

    @node("keeps", output=True, side_files=True, cache="never")
    def keeps(items: list[Any], ctx: Context | None = None) -> list[str]:
        """What a file would carry."""
        assert ctx is not None
        return [ctx.provenance()["weft_workflow"]]

    inner = document(
        b=("map_over", {"items": [5, 6], "axis": "seed"}),
        p=("add", {"a": {"link": "inputs.a"}, "b": link("b")}),
        c=("collect", {"item": link("p"), "axis": "seed"}),
        t=("labelled", {"items": link("c")}),
        k=("keeps", {"items": link("t")}),
    )["nodes"]
    doc = document(a=("map_over", {"items": [1, 3], "axis": "scale"}), d=("part", {"a": link("a")}))
    doc["definitions"] = {
        "part": {"inputs": {"a": {}}, "nodes": inner, "outputs": {"texts": {"link": "k"}}},
    }
    found = go(doc, ["d"], labelled, keeps)["d"]
    assert len(found) == 2
    for texts in found:
        carried = Workflow.parse(texts[0])
        spec = next(spec for spec in carried.nodes.values() if spec.type == "labelled")
        assert "axes" not in spec.inputs


def test_a_check_does_not_ask_for_them() -> None:
    assert check(sweep([1], [2]), targets=["t"], catalogue=catalogue(labelled)) == []


def test_in_a_graph_that_a_node_returned() -> None:
    @node("returning")
    def returning(count: int = 2) -> list[Any] | Graph:
        """A sweep of its own."""
        with Graph() as graph:
            each = graph.add("map_over", {"items": list(range(count)), "axis": "seed"})
            back = graph.add("collect", {"item": each})
            graph.returns(graph.add("labelled", {"items": back}))
        return graph

    assert go(document(r=("returning", {"count": 3})), ["r"], labelled, returning)["r"] == [["seed", [0, 1, 2]]]
