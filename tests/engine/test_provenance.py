"""What a saved picture says of itself: the part of the document that makes it alone, its item, its seeds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import pytest

from tests.engine.flow import document, go, graph_of, link
from weft.engine import Context, Files, Widget, node
from weft.graphs import Graph, Workflow

DEFINITION = {
    "inputs": {"items": {}},
    "nodes": {
        "each": {"type": "map_over", "inputs": {"items": link("inputs.items")}},
        "drawn": {"type": "draw", "inputs": {"seed": link("each")}},
    },
    "outputs": {"value": {"link": "drawn"}},
}


@node("draw")
def draw(seed: Annotated[int, Widget("seed")] = 0, batch: int = 1, add: int = 0) -> list[int]:
    """A batch: image k is drawn with seed + k."""
    return [seed + k + add for k in range(batch)]


@node("keep", output=True, side_files=True)
def keep(images: list[int], name: str = "a", only: int = 0, ctx: Context | None = None) -> Files:
    """Saves each image of a batch with what it says of itself."""
    assert ctx is not None
    paths = []
    for number, image in enumerate(images, 1):
        if only in (0, number):
            path = ctx.output_path(f"{name}-{image}", ".json")
            path.write_text(json.dumps({"image": image, **ctx.provenance(number, len(images), only=number)}))
            paths.append(path)
    return Files.of(*paths)


@node("returning", output=True)
def returning(value: int) -> Files | Graph:
    """A graph that saves."""
    return graph_of(("draw", {"seed": value}), ("keep", {"images": "<"}))


@node("handles")
def handles() -> list[Any]:
    """Items that no document can hold."""
    return [{1, 2}, {3}]


@node("largest")
def largest(value: Any) -> int:
    """The largest of a set."""
    return max(value)


def saved(doc: Any, out: Path, target: str = "k") -> list[dict[str, Any]]:
    """What each file of a run says, in the order of the items."""
    result = go(doc, None, draw, keep, returning, handles, largest, out=out)
    texts = [json.loads(Path(item.path).read_text()) for item in result.outputs if item.node == target and item.path]
    return [text | {"run": json.loads(text["weft_run"])} for text in texts]


def assert_each_runs_alone(texts: list[dict[str, Any]], out: Path) -> None:
    for place, text in enumerate(texts):
        again = saved(
            Workflow.parse(text["weft_workflow"]), out / f"again{place}", text["run"]["node"].replace("/", "-")
        )
        assert [other["image"] for other in again] == [text["image"]]


def sweep(items: Any, **more: Any) -> dict[str, Any]:
    return document(
        m=("map_over", {"items": items}), d=("draw", {"seed": link("m")}), k=("keep", {"images": link("d")}), **more
    )


def test_each_picture_of_a_sweep_is_its_own(tmp_path: Path) -> None:
    doc = sweep([3, 5, 8], other=("keep", {"images": [1], "name": "other"}))
    doc["parameters"] = {"seeds": {"input": "m.items"}, "rest": {"input": "other.name"}}
    texts = saved(doc, tmp_path)
    assert [text["run"]["seeds"] for text in texts] == [{"d.seed": 3}, {"d.seed": 5}, {"d.seed": 8}]
    assert [text["run"]["items"] for text in texts] == [
        [{"axis": "", "number": n, "of": 3, "values": {"m": v}, "alone": True}] for n, v in ((1, 3), (2, 5), (3, 8))
    ]
    written = json.loads(texts[1]["weft_workflow"])
    assert written["nodes"]["m"]["inputs"]["items"] == [5]
    assert list(written["nodes"]) == ["m", "d", "k"]
    assert list(written["parameters"]) == ["seeds"]
    assert len({text["run"]["keys"]["d"] for text in texts}) == 3
    assert_each_runs_alone(texts, tmp_path)


def test_a_picture_of_no_list_carries_the_whole_document(tmp_path: Path) -> None:
    doc = document(k=("keep", {"images": [7]}), other=("keep", {"images": [1], "name": "other"}))
    (text,) = saved(doc, tmp_path)
    assert json.loads(text["weft_workflow"]) == doc
    assert not {"items", "image", "node"} & set(text["run"])


def test_lists_of_several_axes_and_lists_that_go_together(tmp_path: Path) -> None:
    doc = document(
        a=("map_over", {"items": [1, 2], "axis": "a"}),
        b=("map_over", {"items": [10, 20], "axis": "b"}),
        c=("map_over", {"items": [100, 200], "axis": "b"}),
        p=("add", {"a": link("a"), "b": link("b")}),
        d=("draw", {"seed": link("p"), "add": link("c")}),
        k=("keep", {"images": link("d")}),
    )
    texts = saved(doc, tmp_path)
    assert [text["image"] for text in texts] == [111, 221, 112, 222]
    assert [(item["axis"], item["number"], item["values"]) for item in texts[1]["run"]["items"]] == [
        ("a", 1, {"a": 1}),
        ("b", 2, {"b": 20, "c": 200}),
    ]
    assert_each_runs_alone(texts, tmp_path)


def test_a_collect_below_or_beside_keeps_its_whole_list(tmp_path: Path) -> None:
    doc = document(
        a=("map_over", {"items": [1, 2], "axis": "a"}),
        b=("map_over", {"items": [10, 20], "axis": "b"}),
        p=("add", {"a": link("a"), "b": link("b")}),
        row=("collect", {"item": link("p"), "axis": "b"}),
        sum=("total", {"items": link("row")}),
        d=("draw", {"seed": link("sum")}),
        k=("keep", {"images": link("d")}),
    )
    texts = saved(doc, tmp_path)
    assert [text["image"] for text in texts] == [32, 34]
    assert_each_runs_alone(texts, tmp_path)


def test_a_picture_that_also_needs_all_items_says_so(tmp_path: Path) -> None:
    """A shorter list would make another picture, so the document stays."""
    doc = document(
        m=("map_over", {"items": [1, 2]}),
        all=("collect", {"item": link("m")}),
        sum=("total", {"items": link("all")}),
        d=("draw", {"seed": link("m"), "add": link("sum")}),
        k=("keep", {"images": link("d")}),
    )
    texts = saved(doc, tmp_path)
    assert [text["run"]["items"][0]["alone"] for text in texts] == [False, False]
    assert [text["run"]["items"][0]["number"] for text in texts] == [1, 2]
    assert json.loads(texts[0]["weft_workflow"])["nodes"]["m"]["inputs"]["items"] == [1, 2]


def test_lists_that_came_by_a_link(tmp_path: Path) -> None:
    texts = saved(sweep(link("n"), n=("integers", {"start": 4, "count": 2})), tmp_path / "plain")
    assert [json.loads(text["weft_workflow"])["nodes"]["m"]["inputs"]["items"] for text in texts] == [[4], [5]]
    assert "n" not in json.loads(texts[0]["weft_workflow"])["nodes"]
    assert_each_runs_alone(texts, tmp_path)
    doc = document(
        h=("handles", {}),
        m=("map_over", {"items": link("h")}),
        l=("largest", {"value": link("m")}),
        d=("draw", {"seed": link("l")}),
        k=("keep", {"images": link("d")}),
    )
    texts = saved(doc, tmp_path / "sets")
    assert [text["run"]["items"][0] for text in texts] == [
        {"axis": "", "number": n, "of": 2, "values": {}, "alone": False} for n in (1, 2)
    ]
    assert json.loads(texts[0]["weft_workflow"])["nodes"]["m"]["inputs"]["items"] == link("h")


@pytest.mark.parametrize("value", [float("inf"), 2**70, "x" * 20_000])
def test_values_that_a_document_cannot_hold_are_left_out(value: Any) -> None:
    from weft.engine.planning.alone import plain_value
    from weft.engine.planning.steps import Item

    assert plain_value(Item("#0", 0, 1, ("m",), {"m": value}, None), "m") is None


def test_a_list_of_links_keeps_the_link(tmp_path: Path) -> None:
    texts = saved(sweep([link("x"), link("y")], x=("number", {"value": 2}), y=("number", {"value": 3})), tmp_path)
    assert set(json.loads(texts[1]["weft_workflow"])["nodes"]) == {"y", "m", "d", "k"}
    assert_each_runs_alone(texts, tmp_path)


def test_each_picture_of_a_batch_is_its_own(tmp_path: Path) -> None:
    doc = document(d=("draw", {"seed": 7, "batch": 3}), k=("keep", {"images": link("d")}))
    texts = saved(doc, tmp_path)
    assert [text["run"]["seeds"] for text in texts] == [{"d.seed": 7}, {"d.seed": 8}, {"d.seed": 9}]
    assert [text["run"]["image"] for text in texts] == [{"number": n, "of": 3, "alone": True} for n in (1, 2, 3)]
    assert_each_runs_alone(texts, tmp_path)


def test_a_batch_in_a_sweep(tmp_path: Path) -> None:
    doc = sweep([10, 20])
    doc["nodes"]["d"]["inputs"]["batch"] = 2
    texts = saved(doc, tmp_path)
    assert sorted(text["run"]["seeds"]["d.seed"] for text in texts) == [10, 11, 20, 21]
    assert_each_runs_alone(texts, tmp_path)


def test_inside_definitions(tmp_path: Path) -> None:
    doc = document(two=("swept", {"items": [1, 2]}), k=("keep", {"images": link("two")})) | {
        "definitions": {"swept": DEFINITION}
    }
    texts = saved(doc, tmp_path)
    assert [text["run"]["seeds"] for text in texts] == [{"two/drawn.seed": 1}, {"two/drawn.seed": 2}]
    assert set(json.loads(texts[0]["weft_workflow"])["nodes"]) == {"two-each", "two-drawn", "k"}
    assert_each_runs_alone(texts, tmp_path)


def test_inside_a_graph_that_a_node_returned(tmp_path: Path) -> None:
    doc = document(m=("map_over", {"items": [1, 2]}), r=("returning", {"value": link("m")}))
    texts = saved(doc, tmp_path, "r")
    assert [text["run"]["items"][0]["number"] for text in texts] == [1, 2]
    assert_each_runs_alone(texts, tmp_path)
