"""A parameter of an input that got another name: a caller sets it as before."""

from __future__ import annotations

from typing import Any

from weft.engine import Catalogue, node, run
from weft.engine.checking.migrate import migrate
from weft.graphs.document import Workflow


def _migrated(inputs: dict[str, Any]) -> dict[str, Any]:
    """`path` is `source`, and `first` and `second` are one list."""
    new = {"source" if name == "path" else name: item for name, item in inputs.items()}
    pair = [new.pop(name) for name in ("first", "second") if name in new]
    return new | ({"both": pair} if pair else {})


@node("renamed", version=2, output=True, migrations={1: _migrated})
def renamed(source: str = "", both: list[int] = [], other: int = 0) -> str:  # noqa: B006
    return f"{source} {both} {other}"


CATALOGUE = Catalogue([renamed])


def document(**inputs: Any) -> Workflow:
    parameters = {name: {"input": f"a.{name}"} for name in ("path", "other", "first")}
    nodes = {"a": {"type": "renamed", "version": 1, "inputs": inputs}}
    return Workflow.parse({"weft": 1, "nodes": nodes, "parameters": parameters})


def test_it_follows_its_value() -> None:
    for inputs in ({"path": "x", "other": 1}, {"other": 1}):
        workflow, problems = migrate(document(**inputs), CATALOGUE)
        assert problems == []
        assert workflow.parameters["path"].input == "a.source"
        assert workflow.parameters["other"].input == "a.other"
        assert run(workflow.with_values({"path": "y"}), catalogue=CATALOGUE)["a"] == "y [] 1"


def test_one_that_became_a_part_of_a_list_stays_and_is_refused_by_name() -> None:
    workflow, _ = migrate(document(first=1, second=2), CATALOGUE)
    assert workflow.parameters["first"].input == "a.first"
    assert run(workflow, catalogue=CATALOGUE)["a"] == " [1, 2] 0"
