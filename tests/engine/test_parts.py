"""What keys are made of, read back, shortened and compared."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.engine import toys
from weft.engine.planning.parts import WHOLE_BYTES, bounded, changes, read_parts, without
from weft.engine.planning.plan import make_plan
from weft.engine.planning.steps import Step
from weft.graphs import Workflow

CATALOGUE = toys.catalogue()
Nodes = dict[str, tuple[str, dict[str, Any]]]


def step(target: str, nodes: Nodes, out: str = "/out") -> Step:
    specs = {id: {"type": type, "inputs": inputs} for id, (type, inputs) in nodes.items()}
    plan = make_plan(Workflow.parse({"weft": 1, "nodes": specs}), CATALOGUE, [target], out)
    return plan.steps[plan.numbers[target]]


def differ(before: Step, after: Step) -> list[str]:
    one, other = read_parts(bounded(before.parts)), read_parts(after.parts)
    assert one is not None
    assert other is not None
    return [str(change) for change in changes(one, other, after)]


def test_a_literal_and_one_that_became_a_default() -> None:
    before = step("a", {"a": ("add", {"a": 1, "b": 7})})
    assert differ(before, step("a", {"a": ("add", {"a": 2})})) == ["a was 1 and is 2", "b was 7 and is 1"]
    assert differ(before, before) == []


def test_an_upstream_node_and_its_output() -> None:
    def of(value: int, output: str = "d") -> Step:
        return step(
            "t",
            {
                "n": ("number", {"value": value}),
                "d": ("divide", {"a": {"link": "n"}}),
                "t": ("total", {"items": [4, {"link": output}]}),
            },
        )

    assert differ(of(1), of(2)) == ["items[1] comes from d, which gives another result"]
    assert differ(of(1), of(1, "d.rest")) == ["items[1] was a link to an output whole and is linked to d.rest"]


def test_a_link_in_place_of_a_literal() -> None:
    linked = step("a", {"n": ("number", {}), "a": ("add", {"a": {"link": "n"}})})
    assert differ(step("a", {"a": ("add", {"a": 3})}), linked) == ["a was 3 and is linked to n"]


def test_the_output_folder() -> None:
    node: Nodes = {"w": ("write", {"text": "x", "name": "n"})}
    assert differ(step("w", node, "/one"), step("w", node, "/two")) == ["the output folder was /one and is /two"]


def test_a_file_by_name(tmp_path: Any) -> None:
    path = tmp_path / "f.txt"
    path.write_text("one")
    before = step("l", {"l": ("length", {"path": str(path)})})
    path.write_text("three")
    after = step("l", {"l": ("length", {"path": str(path)})})
    assert differ(before, after) == [f"the file {path} has changed"]


def test_a_long_fingerprint_is_kept_short(tmp_path: Any) -> None:
    path = tmp_path / "f.txt"
    path.write_text("one" * 10_000)
    before = step("r", {"r": ("read", {"path": str(path)})})
    path.write_text("two" * 10_000)
    after = step("r", {"r": ("read", {"path": str(path)})})
    assert len(bounded(before.parts)) < 1000
    assert differ(before, after) == [f"the file {path} has changed"]


def test_long_literals_are_told_apart_and_kept_short() -> None:
    one, other = "a" * 100_000 + "x", "a" * 100_000 + "y"
    before, after = step("t", {"t": ("text", {"value": one})}), step("t", {"t": ("text", {"value": other})})
    assert len(bounded(before.parts)) < 500
    (told,) = differ(before, after)
    assert told.startswith("value was aaa")
    assert len(told) < 300


def test_a_list_of_many_links_is_kept_short() -> None:
    nodes: Nodes = {f"n{i}": ("number", {"value": i}) for i in range(300)}
    links = [{"link": id} for id in nodes]
    before = step("t", nodes | {"t": ("total", {"items": links})})
    after = step("t", nodes | {"t": ("total", {"items": links[1:]})})
    assert len(bounded(before.parts)) < WHOLE_BYTES
    assert differ(before, after) == ["items was a list of 300 and is a list of 299"]


def test_a_digest_without_some_inputs() -> None:
    one, other = step("a", {"a": ("add", {"a": 1, "b": 2})}), step("a", {"a": ("add", {"a": 1, "b": 3})})
    assert without(one.parts, ["b"]) == without(other.parts, ["b"])
    assert without(one.parts, ["a"]) != without(other.parts, ["a"])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8"), max_size=80),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text("ab", max_size=3), inner, max_size=3),
)  # fmt: skip


@given(JSON, JSON)
@example([False], [0])  # equal in Python
def test_whatever_differs_is_said(one: Any, other: Any) -> None:
    before = step("n", {"n": ("any", {"value": {"value": one}})})
    after = step("n", {"n": ("any", {"value": {"value": other}})})
    assert bool(differ(before, after)) == (before.key != after.key)
    assert read_parts(bounded(before.parts)) == read_parts(before.parts)


@pytest.mark.parametrize("data", [b"", b"\xc1", b"\x01\x02", b"\x94\x01\x02\x03", b"\xdd\xff\xff\xff\xff"])
def test_what_are_no_parts(data: bytes) -> None:
    assert read_parts(data) is None
