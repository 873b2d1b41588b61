"""A node's own check, and the types of a definition, in calls outside of a graph: as in one, where values are known."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Annotated, Any, Literal

import pytest

from weft.engine import Context, InputPathError, Lazy, NodeView, Problem, Range, check, definition, node
from weft.engine.declaring.called import raised_by_node
from weft.graphs import Graph

seen: list[NodeView] = []


class Picture:
    pass


def _look(view: NodeView) -> Iterator[Problem]:
    seen.append(view)
    low, high = view.literals.get("low"), view.literals.get("high")
    if isinstance(low, int) and isinstance(high, int) and low > high:
        message = f"low is {low}, above high, which is {high}"
        yield Problem(code="bad_value", node=view.id, input="low", message=message, given=low, suggestion="high")
    if low == 13:
        yield Problem(severity="warning", code="bad_value", node=view.id, message="13 is said to be unlucky")
    if len(view.sources("pictures")) != len(view.sources("masks")):
        yield Problem(code="bad_value", node=view.id, message="every picture needs a mask")


@node("between", check=_look)
def between(
    low: int = 0,
    high: Annotated[int, Range(0, 100)] = 10,
    pictures: list[Picture] = [],  # noqa: B006
    masks: list[Picture] = [],  # noqa: B006
    later: Lazy[int] | None = None,
    path: str = "",
    ctx: Context | None = None,
) -> int:
    """How far it is."""
    return high - low


def test_what_the_check_of_a_graph_says_a_call_says() -> None:
    with Graph() as graph:
        far: Any = between(low=20)
    (problem,) = check(graph, targets=[str(far.link)])
    with pytest.raises(ValueError, match=r"^between\(\): ") as caught:
        between(low=20)
    assert type(caught.value) is ValueError
    assert problem.message in str(caught.value)
    assert "Did you mean 'high'?" in str(caught.value)
    assert between(low=3) == 7


def test_all_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(ValueError, match="above high") as caught:
        between(20, pictures=[Picture(), Picture()], masks=[Picture()])
    assert len(str(caught.value).splitlines()) == 2
    assert between(pictures=[Picture()], masks=[Picture()]) == 10


def test_an_own_check_counts_on_inputs_that_are_right() -> None:
    seen.clear()
    with pytest.raises(ValueError, match="high must be 0 to 100"):
        between(20, high=500)
    assert seen == []


def test_what_the_check_sees() -> None:
    import numpy as np

    seen.clear()
    one = Picture()
    between(np.int64(3), pictures=[one], masks=[one], later=Lazy(lambda: 1), ctx=Context(roots=["."]))  # type: ignore[arg-type]
    (view,) = seen
    assert dict(view.literals) == {"low": 3, "high": 10, "path": ""}
    ((id, kind),) = view.sources("pictures")
    assert (id, kind.stands, kind.tags) == ("pictures", True, ())
    assert len(view.sources("later")) == 1
    assert view.sources("low") == []
    assert view.users() == []
    assert view.other("pictures") is None
    assert view.path("/") is None, "outside of what the call may read"
    with pytest.raises(InputPathError):
        view.resolve("/")


def test_warnings_are_logged_and_stop_nothing(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "weft.node"):
        assert between(13, 20) == 7
    assert "between: 13 is said to be unlucky" in caplog.text


def test_a_check_that_fails_stops_nothing(caplog: pytest.LogCaptureFixture) -> None:
    @node("broken_check", check=lambda view: [][1])
    def broken(value: int = 1) -> int:
        return value

    assert broken(2) == 2
    assert "the check of the node itself failed: IndexError" in caplog.text


def test_what_the_node_raises_itself_is_left_to_it() -> None:
    class MineError(ValueError):
        pass

    def look(view: NodeView) -> Iterator[Problem]:
        yield raised_by_node(Problem(code="bad_value", node=view.id, message="there is no such file"))
        if view.literals["more"]:
            yield Problem(code="bad_value", node=view.id, message="and more is wrong")

    @node("finds", check=look)
    def finds(more: bool = False) -> int:
        raise MineError("there is no such file, and here is why")

    with pytest.raises(MineError, match="here is why"):
        finds()
    with pytest.raises(ValueError, match=r"no such file\nfinds\(\): and more is wrong"):
        finds(more=True)


def test_nothing_is_looked_at_inside_of_a_graph() -> None:
    seen.clear()
    with Graph():
        between(low=20)
    assert seen == []


# -- definitions


@definition
def widened(
    low: int,
    high: float = 10.0,
    mode: Literal["a", "b"] = "a",
    pictures: list[Picture] | None = None,
    /,
    *,
    more: Any = None,
) -> int:
    """A definition."""
    return between(low, pictures=pictures or [], masks=pictures or [])


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("3",), "widened(): low must be a whole number, not \"3\". Did you mean '3'?"),
        ((True,), "widened(): low must be a whole number, not true."),
        ((3, "x"), 'widened(): high must be a number, not "x".'),
        ((3, 1.0, "a", [3]), "widened(): pictures[0] must be Picture, not int."),
        ((None,), "widened(): low must be int, not None."),
    ],
)
def test_the_types_of_a_definition_hold_in_calls(args: tuple[Any, ...], said: str) -> None:
    with pytest.raises(TypeError) as caught:
        widened(*args)
    assert said in str(caught.value)


def test_valid_calls_of_a_definition_go_through() -> None:
    assert widened(3, 5) == 7
    one = Picture()
    assert widened(3, 1.5, "b", one, more=object()) == 7  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"between\(\): low is 20"):
        widened(20)
    with pytest.raises(TypeError, match="missing a required argument: 'low'"):
        widened()  # type: ignore[call-arg]


def test_a_call_of_a_definition_says_what_the_check_says() -> None:
    @definition
    def halved(value: int) -> int:
        return between(low=value)

    with Graph() as graph:
        made: Any = halved("3")  # type: ignore[arg-type]
    problems = check(graph, targets=[str(made.link)])
    with pytest.raises(TypeError) as caught:
        halved("3")  # type: ignore[arg-type]
    assert problems[0].message in str(caught.value)
