"""What a notebook shows of graphs and workflows, and what they print."""

from __future__ import annotations

import subprocess
import sys
from xml.etree import ElementTree

import pytest

from weft.graphs import Graph, Workflow
from weft.graphs.draw import draw
from weft.graphs.notebook import MOST_NODES, SVG

HOSTILE = "<script>alert(1)</script>\"'&\ud800\x1b[2J"


def elements(svg: str) -> set[str]:
    return {item.tag.rpartition("}")[2] for item in ElementTree.fromstring(svg).iter()}


def hostile_workflow() -> Workflow:
    return Workflow(
        meta={"title": HOSTILE, "description": HOSTILE},
        nodes={
            "a": {"type": HOSTILE, "inputs": {HOSTILE: HOSTILE}},
            HOSTILE: {"type": "t", "inputs": {"x": {"link": "gone"}}},
        },
    )


def test_a_workflow_is_shown_as_a_picture() -> None:
    workflow = Workflow.parse({"weft": 1, "meta": {"title": "Red"}, "nodes": {"a": {"type": "t", "inputs": {"n": 1}}}})
    shown = workflow._repr_mimebundle_(include=None, exclude=None)
    assert shown["text/plain"] == repr(workflow) == str(workflow) == "Workflow('Red', nodes=1)"
    assert ">a</text>" in shown[SVG]
    assert ">Red</text>" in shown[SVG]


def test_a_graph_is_shown_as_far_as_it_is_recorded() -> None:
    graph = Graph("mine")
    first = graph.add("t", {"n": 1}, ("value",))
    assert ">t_2</text>" not in graph._repr_mimebundle_()[SVG]
    graph.add("t", {"n": first, "m": graph.given([1, 2])}, ("value",))
    svg = graph._repr_mimebundle_()[SVG]
    assert ">t_2</text>" in svg
    assert "given: list" in svg, "values that no document can hold are drawn too"
    assert "\u2026" not in svg


def test_nothing_of_a_document_becomes_markup() -> None:
    svg = hostile_workflow()._repr_mimebundle_()[SVG]
    assert "script" not in elements(svg)
    assert {"svg", "text", "rect"} <= elements(svg)
    svg.encode("utf-8")
    assert "\x1b" not in svg
    graph = Graph(HOSTILE)
    graph.add("t", {"n": HOSTILE[:20]})
    assert "script" not in elements(graph._repr_mimebundle_()[SVG])


@pytest.mark.parametrize(
    "nodes",
    [
        {f"n{number}": {"type": "t"} for number in range(MOST_NODES + 1)},
        {"a": {"type": "t"}, "b": {"type": "t", "inputs": {"many": [{"link": "a"}] * 4000}}},
        {"a": {"type": "t", "inputs": {f"i{number}": 1 for number in range(10_001)}}},
    ],
    ids=["nodes", "links", "inputs"],
)
def test_what_is_too_big_says_how_to_see_it(nodes: dict[str, object]) -> None:
    workflow = Workflow.parse({"weft": 1, "meta": {"title": HOSTILE[:25]}, "nodes": nodes})
    shown = workflow._repr_mimebundle_()
    assert SVG not in shown
    assert "<script" not in shown["text/html"]
    assert "write_text(draw(workflow)" in shown["text/html"]
    assert draw(workflow).startswith("<svg"), "which is what it says"
    assert len(repr(workflow)) < 100
    assert len(str(workflow)) < 100


def test_a_long_title_does_not_make_a_long_line() -> None:
    assert len(repr(Graph("x" * 10_000))) < 120
    assert len(repr(Workflow(meta={"title": "x" * 10_000}))) < 120


def test_the_engine_says_what_nodes_look_like() -> None:
    """In a process that did nothing but read a file. Nothing that draws or shows progress loads before it is needed."""
    code = """
import sys
from weft import Workflow
import weft.engine.runner
print(*[name for name in ("rich", "torch", "weft.graphs.draw", "weft.engine.progress.terminal") if name in sys.modules])
workflow = Workflow.parse({"weft": 1, "nodes": {"d": {"type": "decode"}}})
print(">latents</text>" in workflow._repr_mimebundle_()["image/svg+xml"], "torch" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "\nTrue False\n"
