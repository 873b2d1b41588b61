from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import pytest

from tests.engine.toys import Shape, Square
from weft.engine.catalogue.describe import describe_input
from weft.engine.declaring.ports import Choices, Help, Lazy, Port, Widget, input_port, normal, validate
from weft.engine.declaring.ranges import Range
from weft.engine.declaring.types import accepts, bind, describe, substitute

T = TypeVar("T")
Bounded = TypeVar("Bounded", bound=Shape)


def port(annotation: Any, default: Any = None) -> Port:
    return input_port("x", annotation, default) if default is not None else input_port("x", annotation)


GOOD = [
    (int, 5), (int, -(2**63)), (float, 0.5), (float, 5), (str, ""), (bool, False), (Any, {"a": [1]}), (Any, None),
    (int | None, None), (int | None, 3), (int | str, "a"), (list[int], [1, 2]), (list[int], []), (list[float], [1]),
    (Literal["a", "b"], "b"), (list[Literal["a", "b"]], ["a", "b"]), (dict[str, int], {"a": 1}),
    (tuple[int, ...], [1, 2]), (tuple[int, str], [1, "a"]), (Path, "a.png"), (T, 3), (list[list[int]], [[1], []]),
    (Annotated[int, Range(1, 3)], 3), (Annotated[float, Range(0, 1)], 1), (Annotated[int, Choices(8, 16)], 8),
    (Annotated[list[int], Range(0, 9)], [0, 9]), (Lazy[int], 3),
]  # fmt: skip

BAD = [
    (int, 5.7, "bad_value"), (int, 5.0, "bad_value"), (int, True, "bad_value"), (int, "5", "bad_value"),
    (float, True, "bad_value"), (float, "0.5", "bad_value"), (float, math.nan, "bad_value"),
    (float, math.inf, "bad_value"), (float, 10**400, "bad_value"), (bool, "false", "bad_value"), (bool, 0, "bad_value"),
    (str, 5, "bad_value"), (int, None, "bad_value"), (int | None, "x", "bad_value"), (int | str, 1.5, "bad_value"),
    (list[int], 3, "bad_value"), (list[int], [1, "2"], "bad_value"), (list[int], "12", "bad_value"),
    (dict[str, int], {"a": "b"}, "bad_value"), (dict[str, int], [1], "bad_value"),
    (tuple[int, str], [1], "bad_value"), (Shape, 4, "bad_value"), (Shape, {"corners": 4}, "bad_value"),
    (Path, 3, "bad_value"), (Bounded, 3, "bad_value"),
    (Literal["a", "b"], "c", "not_a_choice"), (Literal[1, 2], True, "not_a_choice"),
    (Literal[1, 2], 1.0, "not_a_choice"), (Annotated[int, Choices(8, 16)], 9, "not_a_choice"),
    (Annotated[int, Range(1, 3)], 0, "out_of_range"), (Annotated[int, Range(1, 3)], 4, "out_of_range"),
    (Annotated[float, Range(0)], -0.001, "out_of_range"), (Annotated[list[int], Range(0, 9)], [3, 10], "out_of_range"),
    (Annotated[int | None, Range(1)], 0, "out_of_range"),
]  # fmt: skip


@pytest.mark.parametrize(("annotation", "literal"), GOOD, ids=str)
def test_literal_that_fits(annotation: Any, literal: Any) -> None:
    assert validate(port(annotation), literal) == []


@pytest.mark.parametrize(("annotation", "literal", "code"), BAD, ids=str)
def test_literal_that_does_not(annotation: Any, literal: Any, code: str) -> None:
    flaws = validate(port(annotation), literal)
    assert [flaw.code for flaw in flaws] == [code]
    assert flaws[0].message.startswith("x ")


@pytest.mark.parametrize(
    ("annotation", "literal", "suggestion"),
    [
        (bool, "False", "false"),
        (int, "12", "12"),
        (int, 5.7, "6"),
        (float, "1.5", "1.5"),
        (int, "many", None),
        (Literal["euler", "heun"], "eular", "euler"),
    ],
)
def test_what_was_probably_meant(annotation: Any, literal: Any, suggestion: str | None) -> None:
    assert validate(port(annotation), literal)[0].suggestion == suggestion


def test_every_bad_item_of_a_list_is_named() -> None:
    assert len(validate(port(list[int]), [1, "a", 2, None])) == 2


def test_a_default_of_none_makes_an_input_optional() -> None:
    assert validate(input_port("x", int, None), None) == []


def test_equal_ranges_read_the_same() -> None:
    assert str(Range(0.0, 1.0)) == str(Range(0, 1)) == "0 to 1"
    assert str(Range(0.5)) == "at least 0.5"
    assert str(Range(high=float("inf"))) == "at most inf"


def test_annotation_becomes_port() -> None:
    found = input_port("n", Annotated[int | None, Range(1, 9), Help("How many."), Widget("slider", step=2)], 3, "doc")
    assert (found.type, found.optional, found.many, found.required) == (int, True, False, False)
    assert found.range == Range(1, 9)
    assert found.help == "How many."
    assert found.widget == Widget("slider", step=2)
    many = input_port("xs", list[Shape])
    assert (many.many, many.item, many.required) == (True, Shape, True)
    assert input_port("p", Path).is_path
    assert input_port("l", Lazy[int]).lazy


@pytest.mark.parametrize(
    ("annotation", "given", "expected"),
    [(float, 7, 7.0), (list[float], [1, 0.5], [1.0, 0.5]), (int, 7, 7), (Any, 7, 7), (Path, "a", Path("a"))],
)
def test_normal_form(annotation: Any, given: Any, expected: Any) -> None:
    found = normal(port(annotation), given)
    assert found == expected
    assert type(found) is type(expected)


FITS = [
    (Shape, Square), (float, int), (Any, Shape), (Shape, Any), (int | None, int), (list[Shape], list[Square]),
    (list[float], list[int]), (Shape | str, Square), (T, Shape), (Bounded, Square), (str, Literal["a", "b"]),
    (Literal["a", "b"], str), (list, list[int]), (object, int), (Path, str), (int | str, int | str),
]  # fmt: skip

FITS_NOT = [
    (Square, Shape), (int, float), (int, bool), (float, bool), (bool, int), (list[Shape], Shape), (Shape, list[Shape]),
    (list[Square], list[Shape]), (Bounded, int), (int, str), (int, int | None), (int | str, int | float),
    (Literal["a"], int), (int, Literal["a"]),
]  # fmt: skip


@pytest.mark.parametrize(("wanted", "given"), FITS, ids=str)
def test_link_that_fits(wanted: Any, given: Any) -> None:
    assert accepts(wanted, given)


@pytest.mark.parametrize(("wanted", "given"), FITS_NOT, ids=str)
def test_link_that_does_not(wanted: Any, given: Any) -> None:
    assert not accepts(wanted, given)


def test_a_typevar_stands_for_one_type() -> None:
    bindings: dict[Any, Any] = {}
    assert bind(T, Square, bindings)
    assert bind(T, Shape, bindings), "a base of what was seen widens it"
    assert bindings[T] is Shape
    assert not bind(T, str, bindings)
    assert substitute(list[T], bindings) == list[Shape]  # type: ignore[valid-type]
    assert substitute(T | None, bindings) == Shape | None
    assert substitute(T, {}) is Any


@pytest.mark.parametrize(
    ("tp", "text"),
    [
        (int, "int"),
        (Any, "any"),
        (list[Shape], "list[Shape]"),
        (int | None, "int | None"),
        (Literal["a", 2], '"a" | 2'),
        (dict[str, int], "dict[str, int]"),
    ],
)
def test_type_in_words(tp: Any, text: str) -> None:
    assert describe(tp) == text


def test_usual_values_lie_within_the_range() -> None:
    port = input_port("scale", Annotated[float, Range(0.0, 100.0, usual=(1.0, 12.0))], 7.5)
    assert port.range == Range(0, 100, usual=(1, 12))
    assert describe_input(port)["usual"] == [1, 12]
    assert "usual" not in describe_input(input_port("scale", Annotated[float, Range(0.0, 100.0)], 7.5))
    assert validate(port, 50.0) == []
    assert [flaw.code for flaw in validate(port, 101.0)] == ["out_of_range"]
    assert str(port.range) == "0 to 100"
    for usual in ((1.0, 200.0), (5.0, 5.0), (-1.0, 2.0)):
        with pytest.raises(ValueError, match="no part of 0 to 100"):
            Range(0.0, 100.0, usual=usual)
    assert Range(0, None, usual=(1, 2)).usual == (1, 2)
