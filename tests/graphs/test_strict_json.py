"""Text that is not strict JSON, or too large, is refused before it costs anything, with its line and column."""

from __future__ import annotations

import contextlib
import json
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.graphs.documents import literals, problem_of
from weft.graphs import Limits, Workflow, WorkflowError
from weft.graphs.jsontext import read_json

START = '{"weft": 1, "nodes": {}, "x": '


@pytest.mark.parametrize(
    ("text", "place", "says"),
    [
        ('{"weft": 1,\n  "nodes" {}}', "Line 2, column 11", "':' delimiter"),
        ('{"weft": 1,\n', "Line 2, column 1", "not JSON"),
        ("{} x", "Line 1, column 4", "extra data"),
        ('{"a": "\t"}', "Line 1, column 8", "control character"),
        ('{"a": 1,\n "b": {"c": NaN}}', "Line 2, column 13", "NaN"),
        ("[1,\n-Infinity]", "Line 2, column 1", "-Infinity"),
        ('{"a": "NaN, 1e999",\n "b": [1.5, 1e999]}', "Line 2, column 13", "1e999"),
        ('{"a": {"b": 1}, "b": 2,\n\n "a": 3}', "Line 3, column 2", '"a" appears twice'),
        ('{"a": 1, "\\u0061": 3}', "Line 1, column 10", '"a" appears twice'),
        # The inner one ends first, the outer one is first in the text: the place and the message are of one fault.
        ('{"a": 1, "a": {"b": 1, "b": 2}}', "Line 1, column 10", '"a" appears twice'),
        ('{"a": [{"a": 1}, "a", "a"], "n": 18446744073709551616}', "Line 1, column 34", "64 bits"),
        ("[" + "9" * 5000 + "]", "Line 1, column 2", "5,000 digits"),
    ],
)
def test_the_place_of_a_fault_is_told(text: str, place: str, says: str) -> None:
    problem = problem_of(text)
    assert problem.code == "bad_document"
    assert problem.message.startswith(f"{place}: ")
    assert says in problem.message


def test_bytes_are_utf_8() -> None:
    problem = problem_of(b'{"weft": 1,\n "meta": "\xff"}')
    assert problem.message.startswith("Line 2, column 11: not UTF-8 (byte 0xff)")
    assert problem_of('{"weft": 1}'.encode("utf-16")).message.startswith("Line 1, column 1: not UTF-8")
    assert problem_of('"\ud800"').message.startswith("Line 1, column 2")
    with_mark = b"\xef\xbb\xbf" + Workflow().to_json().encode()
    assert Workflow.parse(with_mark) == Workflow()
    assert problem_of(b"\xef\xbb\xbf\n\xff").message.startswith("Line 2, column 1")


@pytest.mark.parametrize("text", ["", " \n"])
def test_nothing_is_no_document(text: str) -> None:
    assert problem_of(text).message == "The document is empty."


def test_size_is_counted_in_bytes_and_the_limit_itself_is_allowed() -> None:
    limits = Limits(max_bytes=100)
    text = START + '"' + "é" * 34 + '"}'
    assert len(text) < 100 < len(text.encode())
    with pytest.raises(WorkflowError, match="too_large"):
        Workflow.parse(text, limits)
    empty = '{"weft": 1, "nodes": {}}'
    assert Workflow.parse(empty + " " * (100 - len(empty)), limits) == Workflow()
    assert problem_of(b" " * (8 * 2**20 + 1)).code == "too_large"


def test_10_001_nodes_are_too_many() -> None:
    def sized(count: int) -> dict[str, object]:
        return {"weft": 1, "nodes": {f"n{i}": {"type": "t"} for i in range(count)}}

    assert len(Workflow.parse(json.dumps(sized(10_000))).nodes) == 10_000
    problem = problem_of(json.dumps(sized(10_001)))
    assert (problem.code, problem.given, problem.expected) == ("too_large", 10_001, 10_000)


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, "[" * 100_000 + "]" * 100_000, '["", ' * 100_000])
def test_deep_nesting_is_refused_without_recursion(text: str) -> None:
    # With the interpreter's own limit out of the way, a reader that recursed would end the process.
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(1_000_000)
    try:
        assert problem_of(text).code == "too_large"
    finally:
        sys.setrecursionlimit(before)


def test_brackets_count_from_the_outermost_and_not_in_strings() -> None:
    def nested(depth: int) -> str:
        return START + "[" * depth + "]" * depth + "}"

    assert Workflow.parse(nested(63)).unknown.keys() == {"x"}
    assert problem_of(nested(64)).code == "too_large"
    assert Workflow.parse(START + json.dumps('\\"' + "[" * 1000) + "}").unknown.keys() == {"x"}
    assert problem_of('"' + "[" * 1000).code == "bad_document"


@given(literals)
def test_it_reads_what_json_writes(value: object) -> None:
    assert repr(read_json(json.dumps(value))) == repr(value)
    assert repr(read_json(json.dumps(value, ensure_ascii=False, indent=1).encode())) == repr(value)


@given(st.text(alphabet='{}[]",:\\ 1eN\n\ud800é', max_size=40) | st.binary(max_size=40))
def test_any_text_is_read_or_refused_with_problems(source: str | bytes) -> None:
    with contextlib.suppress(WorkflowError):
        json.dumps(read_json(source), allow_nan=False)


def test_problems_are_counted_out() -> None:
    nodes = ",".join(f'"{i}": {i}' for i in range(5000))
    with pytest.raises(WorkflowError) as caught:
        Workflow.parse('{"weft": 1, "nodes": {' + nodes + "}}")
    assert len(caught.value.problems) == 1000


@pytest.mark.parametrize(
    ("text", "values"),
    [("[1, 2, 3]", 3), ('{"a": [], "b": {"c": 1}}', 4), ('["a,b,[[{,", "\\",,,"]', 2), ("[[], [], []]", 6), ("1", 0)],
)
def test_values_are_bounded(text: str, values: int) -> None:
    padded = text + " " * 100  # a text shorter than the bound cannot have more
    assert read_json(padded, Limits(max_values=values)) == json.loads(text)
    if values:
        with pytest.raises(WorkflowError, match=f"more than {values - 1} values"):
            read_json(padded, Limits(max_values=values - 1))


@pytest.mark.parametrize("text", ["]" * 50, '""' * 50, "{" * 50, "," * 50, '"' * 50])
def test_values_are_counted_in_what_is_no_json(text: str) -> None:
    with pytest.raises(WorkflowError, match="more than 5 values"):
        read_json(text, Limits(max_values=5))
