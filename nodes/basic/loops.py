"""A node again and again on its own result. Both return a graph, so each round is cached like any node."""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

from weft.engine import NodeView, Problem, Range, node
from weft.graphs import Graph

T = TypeVar("T")
_PLAIN = (str, int, float, bool, type(None))
_Rounds = Annotated[int, Range(0, 5_000)]


def _pairs(view: NodeView) -> list[Problem]:
    literals = view.literals
    problems = []
    for names, values in (("names", "values"), ("test_names", "test_values")):
        if names in literals and values in literals and len(literals[names]) != len(literals[values]):
            message = f"There are {len(literals[names])} {names} for {len(literals[values])} {values}."
            problems.append(Problem(code="bad_value", node=view.id, input=names, message=message))
    return problems


def _others(names: list[str], values: list[Any], graph: Graph) -> dict[str, Any]:
    if len(names) != len(values):
        raise ValueError(f"there are {len(names)} names for {len(values)} values")
    return dict(zip(names, _literals(values, graph), strict=True))


def _literals(values: list[Any], graph: Graph) -> list[Any]:
    """Plain values as they would stand in a document, so that rounds are found whoever computed them."""
    return [value if isinstance(value, _PLAIN) else graph.given(value) for value in values]


@node("repeat", category="flow", flow="loop", check=_pairs)
def repeat(
    value: T,
    body: str,
    feed: str,
    times: _Rounds = 2,
    names: list[str] = [],  # noqa: B006 (a default of a port; nobody changes it)
    values: list[Any] = [],  # noqa: B006
) -> T | Graph:
    """Apply a node to a value, then to its own result, and so on.

    Args:
        value: what the first round takes.
        body: the type of the node; its first output is the result.
        feed: its input that takes the value.
        times: how many rounds; 0 gives the value as it is.
        names: its other inputs that are to be set.
        values: what they are set to, in every round.
    """
    if not times:
        return value
    with Graph() as graph:
        others = _others(names, values, graph)
        state: Any = graph.given(value)
        for _ in range(times):
            state = graph.add(body, {feed: state, **others})
        graph.returns(state)
    return graph


@node("while", category="flow", flow="loop", check=_pairs)
def while_(
    value: T,
    body: str,
    feed: str,
    test: str,
    test_feed: str,
    limit: _Rounds = 100,
    names: list[str] = [],  # noqa: B006
    values: list[Any] = [],  # noqa: B006
    test_names: list[str] = [],  # noqa: B006
    test_values: list[Any] = [],  # noqa: B006
    going: bool | None = None,
    done: int = 0,
) -> T | Graph:
    """Apply a node to a value, then to its own result, as long as a test of the value says so.

    Args:
        value: what the first round takes.
        body: the type of the node; its first output is the result.
        feed: its input that takes the value.
        test: the type of the node that tests the value before each round; its first output is true or false.
        test_feed: its input that takes the value.
        limit: how many rounds there may be; more are an error.
        names: other inputs of the body that are to be set.
        values: what they are set to, in every round.
        test_names: other inputs of the test that are to be set.
        test_values: what they are set to.
        going: what the test said; the loop sets it itself.
        done: how many rounds there were; the loop sets it itself.
    """
    if going is False:
        return value
    if going and done >= limit:
        raise RuntimeError(f"{test} still says so after {limit} rounds, which is the limit")
    with Graph() as graph:
        state: Any = graph.given(value)
        if going:
            state = graph.add(body, {feed: state, **_others(names, values, graph)})
        said = graph.add(test, {test_feed: state, **_others(test_names, test_values, graph)})
        rest: dict[str, Any] = {
            "body": body, "feed": feed, "test": test, "test_feed": test_feed, "limit": limit,
            "done": done + bool(going),
        }  # fmt: skip
        # What is not there has its default, in the key too; every round would carry it along.
        if names:
            rest |= {"names": names, "values": _literals(values, graph)}
        if test_names:
            rest |= {"test_names": test_names, "test_values": _literals(test_values, graph)}
        graph.returns(graph.add("while", {"value": state, "going": said, **rest}, ("value",)))
    return graph
