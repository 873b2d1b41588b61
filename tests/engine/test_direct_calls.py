"""Nodes called outside of a graph: what `check` would say of the call is said, and what is valid goes through."""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, NewType, Protocol, TypedDict, TypeVar

import numpy as np
import pytest

from weft.engine import Context, Lazy, Range, check, node
from weft.graphs import Graph


class Picture:
    pass


class Large(Picture):
    pass


class Sized(Protocol):
    size: int


class Options(TypedDict):
    depth: int


Name = NewType("Name", str)
T = TypeVar("T")


@node("draw")
def draw(
    picture: Picture,
    layers: list[Picture],
    steps: Annotated[int, Range(1, 1000)] = 30,
    strength: Annotated[float, Range(0.0, 1.0)] = 1.0,
    mode: Literal["fast", "fine"] = "fast",
    under: Picture | None = None,
    path: str = "",
    ctx: Context | None = None,
) -> tuple[Any, ...]:
    """Says what it was called with."""
    return picture, layers, steps, strength, mode, under, path


@node("number_of")
def number_of(value: float, weights: list[Annotated[float, Range(0.0, 1.0)]] = []) -> float:  # noqa: B006
    return value + sum(weights)


@node("later")
def later(steps: Lazy[Annotated[int, Range(1, 9)]], parts: list[Lazy[int]] = []) -> list[int]:  # noqa: B006
    return [steps(), *(part() for part in parts)]


@node("loose")
def loose(
    sized: Sized | None = None,
    options: Options | None = None,
    name: Name | None = None,
    make: Callable[[], int] | None = None,
    names: Sequence[str] | None = None,
    table: dict[str, Annotated[float, Range(0.0, 1.0)]] | None = None,
    anything: Any = None,
) -> Any:
    return sized, options, name, make, names, table, anything


@node("same")
def same(first: T, second: T) -> T:
    return first


P = Picture()

WRONG: list[tuple[dict[str, Any], type[Exception], list[str]]] = [
    ({"steps": 0}, ValueError, ["draw(): steps must be 1 to 1000, not 0."]),
    ({"strength": 5}, ValueError, ["draw(): strength must be 0 to 1, not 5."]),
    ({"strength": float("nan")}, TypeError, ["draw(): strength must be a number, not NaN."]),
    ({"mode": "fien"}, ValueError, ["draw(): mode must be one of", "Did you mean 'fine'?"]),
    ({"steps": "3"}, TypeError, ['draw(): steps must be a whole number, not "3".', "Did you mean '3'?"]),
    ({"steps": True}, TypeError, ["steps must be a whole number, not true."]),
    ({"steps": [3]}, TypeError, ["steps must be a whole number, not [3]."]),
    ({"steps": None}, TypeError, ["draw(): steps must be", "not None."]),
    ({"picture": [P]}, TypeError, ["draw(): picture takes one Picture, not a list of 1."]),
    ({"picture": 3}, TypeError, ["draw(): picture must be Picture, not int."]),
    ({"picture": None}, TypeError, ["draw(): picture must be Picture, not None."]),
    ({"under": "x"}, TypeError, ["draw(): under must be Picture, not str."]),
    ({"layers": 3}, TypeError, ["draw(): layers must be list[Picture], not int."]),
    ({"layers": [P, 3]}, TypeError, ["draw(): layers[1] must be Picture, not int."]),
    ({"layers": [None]}, TypeError, ["draw(): layers[0] must be Picture, not None."]),
    ({"step": 3}, TypeError, ["draw() has no input 'step'; did you mean 'steps'?"]),
    ({"steps": 0, "strength": 2, "mode": "x"}, ValueError, ["steps must", "strength must", "mode must"]),
    ({"steps": 0, "picture": 1, "stepz": 3}, TypeError, ["steps must", "picture must", "no input 'stepz'"]),
]


@pytest.mark.parametrize(("inputs", "error", "messages"), WRONG, ids=range(len(WRONG)))
def test_a_wrong_call_says_all_that_is_wrong(
    inputs: dict[str, Any], error: type[Exception], messages: list[str]
) -> None:
    with pytest.raises(error) as caught:
        draw(**({"picture": P, "layers": [P]} | inputs))
    assert type(caught.value) is error
    for message in messages:
        assert message in str(caught.value)


def test_names_are_looked_at_first_to_last() -> None:
    with pytest.raises(TypeError, match=r"draw\(\) needs 'picture', 'layers'"):
        draw()  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="takes 8 inputs, 9 were given"):
        draw(P, [P], 3, 0.5, "fast", None, "", None, 1)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="got input 'picture' twice"):
        draw(P, [P], picture=P)  # type: ignore[misc]


@pytest.mark.parametrize("inputs", [{"steps": 0}, {"strength": 5}, {"mode": "fien"}, {"steps": "3"}, {"under": "x"}])
def test_a_plain_call_says_what_check_says(inputs: dict[str, Any]) -> None:
    @node("source")
    def source() -> Picture:
        return P

    with Graph() as graph:
        picture = source()
        drawn: Any = draw(picture, [picture], **inputs)
    (problem,) = check(graph, targets=[str(drawn.link)])
    with pytest.raises((TypeError, ValueError)) as caught:
        draw(P, [P], **inputs)
    said = problem.message.partition("linked to a node that makes ")[0]  # a call has no links
    assert said in str(caught.value)
    assert (problem.suggestion or "") in str(caught.value)


def test_what_is_valid_goes_through() -> None:
    large = Large()
    assert draw(large, [P, large], 1, 0.0, "fine", large, "a") == (large, [P, large], 1, 0.0, "fine", large, "a")
    assert draw(P, (P, P), strength=1)[3] == 1  # type: ignore[arg-type]
    assert draw(P, [], under=None)[5] is None
    assert draw(P, [], 30, 1.0, "fast", None, "", Context())[2] == 30
    assert draw(P, [], ctx=Context())[2] == 30


def test_a_lone_value_is_a_list_of_one_and_a_lone_literal_is_not() -> None:
    large: Any = Large()
    assert draw(P, large)[1] == [large]
    with pytest.raises(TypeError, match=r"weights takes a list, not 0\.5\. Put it in brackets\."):
        number_of(0.0, 0.5)  # type: ignore[arg-type]


def test_numbers_of_numpy_enums_and_paths_count_as_in_a_document() -> None:
    class Mode(enum.Enum):
        FINE = "fine"

    called: Any = draw(P, [], np.int64(5), np.float32(0.5), Mode.FINE, path=Path("a"))  # type: ignore[arg-type]
    assert called[2:5] == (5, 0.5, Mode.FINE)
    assert number_of(np.float64(1.0), [np.float32(0.5), 1]) == 2.5
    with pytest.raises(ValueError, match="steps must be 1 to 1000, not 0"):
        draw(P, [], np.int64(0))  # type: ignore[arg-type]


def test_numbers_that_nodes_may_compute() -> None:
    assert number_of(float("inf")) == float("inf")
    with pytest.raises(TypeError, match=r"weights\[1\] must be a number, not Infinity"):
        number_of(0.0, [0.5, float("inf")])


def test_items_are_named_by_their_place_and_not_all_of_them() -> None:
    with pytest.raises(ValueError, match=r"weights\[1\] must be 0 to 1, not 2"):
        number_of(0.0, [0.5, 2])
    with pytest.raises(ValueError, match="weights has more that is wrong than these 5") as caught:
        number_of(0.0, [2.0] * 10_000)
    assert len(str(caught.value)) < 1000


def test_lazy_inputs_are_not_computed_for_a_look() -> None:
    computed: list[int] = []

    def compute() -> int:
        computed.append(1)
        return 100

    with pytest.raises(ValueError, match="steps must be 1 to 9, not 10"):
        later(10, [Lazy(compute)])  # type: ignore[arg-type, list-item]
    assert computed == []
    assert later(Lazy(compute), [Lazy(compute), 3]) == [100, 100, 3]  # type: ignore[arg-type, list-item]
    assert len(computed) == 2
    assert later(3, [4, 5]) == [3, 4, 5]  # type: ignore[arg-type, list-item]


def test_what_a_type_cannot_tell_is_let_through() -> None:
    sized: Any = P
    result = loose(sized, {"depth": 3}, Name("a"), lambda: 3, ["a"], {"a": 0.5}, P)
    assert result[0] is P
    assert result[1] == {"depth": 3}
    assert same(P, Large()) is P
    with pytest.raises(TypeError, match="make must be Callable"):
        loose(make=3)  # type: ignore[arg-type]


def test_handles_outside_of_their_graph() -> None:
    with Graph():
        handle = number_of(1.0)
    with pytest.raises(TypeError, match=r"value is <Handle number_of>, which belongs to a graph"):
        number_of(handle)


def test_defaults_are_as_they_are() -> None:
    @node("odd")
    def odd(steps: Annotated[int, Range(1, 9)] = 0, names: list[str] = None) -> Any:  # type: ignore[assignment]  # noqa: RUF013
        return steps, names

    assert odd() == (0, None)
    assert odd(0, None) == (0, None)  # type: ignore[arg-type]
