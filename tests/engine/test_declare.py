from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Annotated, Any

import pytest

from tests.engine import toys
from tests.engine.toys import Parts, Shape, Square, add, divide, number, show, steps, total
from weft.engine import Context, Files, Output, node
from weft.engine.declaring.docstrings import parse_docstring
from weft.engine.declaring.node_type import default_output_name
from weft.graphs import Graph


def test_signature_is_the_schema() -> None:
    inputs = divide.node_type.inputs
    assert list(inputs) == ["a", "by"]
    assert inputs["a"].required
    assert (inputs["by"].default, str(inputs["by"].range)) == (2, "1 to 100")
    assert {name: port.type for name, port in divide.node_type.outputs.items()} == {"whole": int, "rest": int}
    assert divide.node_type.outputs["rest"].help == "what is left."


def test_the_context_is_no_input() -> None:
    assert list(steps.node_type.inputs) == ["count"]
    assert steps.node_type.context_parameter == "ctx"
    assert add.node_type.context_parameter is None


def test_docstring_becomes_help() -> None:
    assert add.node_type.help == "Add two numbers."
    assert add.node_type.inputs["b"].help == "the second, on two lines."


def test_docstring_sections_end_where_the_next_begins() -> None:
    help, fields = parse_docstring(
        "Do it.\n\nIn detail.\n\nArgs:\n    a: one: two.\n    b (int): three\n\nRaises:\n    ValueError: never."
    )
    assert help == "Do it.\n\nIn detail."
    assert fields == {"a": "one: two.", "b": "three"}
    assert parse_docstring("Do it.\n\nRaises:\n    ValueError: never.") == ("Do it.", {})


def test_outside_a_graph_a_call_computes() -> None:
    assert add(2) == 3
    assert divide(7, by=2) == Parts(3, 1)
    assert steps(2) == 2, "a plain call gets a context that reports to nobody"


def test_inside_a_graph_a_call_records() -> None:
    with Graph("t") as g:
        whole, rest = divide(number(7), by=2)
        total([whole, rest, 5], mode="max")
    nodes = g.workflow().to_dict()["nodes"]
    assert nodes == {
        "number": {"type": "number", "inputs": {"value": 7}},
        "divide": {"type": "divide", "inputs": {"a": {"link": "number"}, "by": 2}},
        "total": {
            "type": "total",
            "inputs": {"items": [{"link": "divide.whole"}, {"link": "divide.rest"}, 5], "mode": "max"},
        },
    }


def test_recording_leaves_out_the_context_and_empty_options() -> None:
    with Graph() as g:
        steps(2, ctx=Context())
        toys.side(toys.square(), scale=None)
    nodes = g.workflow().nodes
    assert nodes["steps"].inputs == {"count": 2}
    assert list(nodes["side"].inputs) == ["square"]


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: add(1, c=2), "no input 'c'"),
        (lambda: total([1], mod="sum"), "did you mean 'mode'"),
        (lambda: add(), "needs 'a'"),
        (lambda: add(1, 2, 3), "takes 2 inputs, 3 were given"),
        (lambda: add(1, a=2), "'a' twice"),
        (lambda: show(object()), "value"),
    ],
)
def test_a_wrong_call_is_refused_where_it_stands(call: Any, words: str) -> None:
    with Graph(), pytest.raises(TypeError, match=words):
        call()


def test_outputs_get_names() -> None:
    assert list(toys.square.node_type.outputs) == ["square"]
    assert list(add.node_type.outputs) == ["value"]
    assert list(toys.write.node_type.outputs) == ["path"]
    assert default_output_name(list[Shape]) == "shapes"
    assert default_output_name(list[int]) == "items"
    assert default_output_name(Files) == "path"
    assert default_output_name(Square | None) == "square"

    @node("named")
    def named() -> Annotated[Shape, Output("picture")]:
        return Shape()

    @node("nothing")
    def nothing() -> None: ...

    assert list(named.node_type.outputs) == ["picture"]
    assert named.node_type.outputs["picture"].type is Shape
    assert nothing.node_type.outputs == {}


def test_types_of_the_function_around_it_are_found() -> None:
    @dataclass(frozen=True)
    class Local:
        x: int

    @node("local")
    def local(item: Local) -> list[Local]:
        return [item]

    assert local.node_type.inputs["item"].type is Local


def test_an_annotation_that_cannot_be_read_is_named() -> None:
    @node("lost")
    def lost(x: Nowhere) -> int:  # type: ignore[name-defined]  # noqa: F821
        return 1

    with pytest.raises(TypeError, match=r"'lost'.*Nowhere"):
        _ = lost.node_type.inputs


def test_a_node_stays_the_function_it_was() -> None:
    assert add.__name__ == "add"
    assert (add.__doc__ or "").startswith("Add two")
    assert add.__wrapped__(1, 2) == 3  # type: ignore[attr-defined]


def test_an_async_node_called_plainly_is_a_coroutine() -> None:
    @node("waits")
    async def waits(x: int) -> int:
        return x + 1

    assert asyncio.run(waits(1)) == 2


@pytest.mark.parametrize(("name", "version"), [("", 1), ("a b", 1), ("1a", 1), ("ok", 0)])
def test_bad_declarations_are_refused(name: str, version: int) -> None:
    with pytest.raises(ValueError, match=r"node|version"):
        node(name, version)


def test_star_arguments_cannot_be_ports() -> None:
    @node("stars")
    def stars(*items: int) -> int:
        return 0

    with pytest.raises(TypeError, match=r"\*args"):
        _ = stars.node_type.inputs
