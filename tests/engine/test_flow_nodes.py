"""The nodes that steer, called in plain Python, and what their checks say."""

from __future__ import annotations

import pytest

from tests.engine.flow import catalogue, document, go, link
from weft.engine import RunFailed, check
from weft.graphs import Graph
from weft.nodes.basic.choose import compare
from weft.nodes.basic.items import collect, integers, map_over
from weft.nodes.basic.loops import repeat, while_


@pytest.mark.parametrize(
    ("relation", "said"),
    [("<", "100"), ("<=", "110"), ("==", "010"), ("!=", "101"), (">=", "011"), (">", "001")],
)
def test_compare(relation: str, said: str) -> None:
    assert [compare(a, 2.0, relation) for a in (1.0, 2.0, 3.0)] == [sign == "1" for sign in said]  # type: ignore[arg-type]


def test_integers() -> None:
    assert integers() == [0, 1, 2, 3]
    assert integers(5, 3, -2) == [5, 3, 1]
    assert integers(2**63 - 1, 1) == [2**63 - 1]
    assert integers(2**63 - 1, 0) == []
    with pytest.raises(ValueError, match="9223372036854775808 does not fit 64 bits"):
        integers(2**63 - 1, 2)


def test_outside_a_graph_lists_stay_lists() -> None:
    assert map_over([1, 2]) == [1, 2]  # type: ignore[comparison-overlap]
    assert collect(3) == [3]


def test_loops_that_do_nothing_give_their_value() -> None:
    assert repeat(7, "add", "a", times=0) == 7
    assert while_(7, "add", "a", "compare", "a", going=False) == 7
    assert isinstance(repeat(7, "add", "a"), Graph)  # a graph to run, where nothing runs it


@pytest.mark.parametrize("names", [("names", "values"), ("test_names", "test_values")])
def test_names_and_values_have_to_match(names: tuple[str, str]) -> None:
    loop = {"value": 1, "body": "add", "feed": "a", "test": "compare", "test_feed": "a", names[0]: ["b"]}
    (problem,) = check(document(w=("while", loop)), catalogue(), targets=["w"])
    assert (problem.code, problem.node, problem.input) == ("bad_value", "w", names[0])
    assert "1 " in problem.message
    linked = document(n=("integers", {"count": 2}), w=("while", loop | {names[1]: link("n"), "limit": 3}))
    with pytest.raises(RunFailed, match="1 names for 2 values"):
        go(linked, ["w"])
