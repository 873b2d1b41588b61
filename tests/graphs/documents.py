"""Documents for tests: shorthand for small ones, hypothesis strategies for all that a document may hold."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import strategies as st

from weft.graphs import Definition, Link, NodeSpec, Parameter, Problem, Workflow, WorkflowError
from weft.graphs.document import DefinitionInput, DefinitionOutput


def document(**inputs: Any) -> dict[str, Any]:
    """A document of one node "a" with these inputs, as JSON data."""
    return {"weft": 1, "nodes": {"a": {"type": "t", "inputs": inputs}}}


def problems_of(source: Any) -> list[Problem]:
    """The problems that parsing raises; fails when it raises none."""
    with pytest.raises(WorkflowError) as caught:
        Workflow.parse(source)
    return caught.value.problems


def problem_of(source: Any) -> Problem:
    (problem,) = problems_of(source)
    return problem


def chain(length: int) -> Workflow:
    """n0 <- n1 <- n2 ..."""
    return Workflow(
        nodes={f"n{i}": NodeSpec(type="t", inputs={"x": Link(f"n{i - 1}")} if i else {}) for i in range(length)}
    )


ids = st.from_regex(r"[A-Za-z_][A-Za-z0-9_-]{0,10}", fullmatch=True)
names = st.text(min_size=1, max_size=8)
integers = st.integers(min_value=-(2**63), max_value=2**64 - 1)
floats = st.floats(allow_nan=False, allow_infinity=False)
scalars = st.none() | st.booleans() | integers | floats | st.text(max_size=12)
keys = st.sampled_from(["link", "value", "input", "a"]) | names
literals = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3), max_leaves=8
)
links = st.builds(Link, ids, st.none() | ids)
inputs = links | literals | st.lists(links | literals, max_size=4)
extras = st.dictionaries(st.text(min_size=1, max_size=6).map("x-{}".format), literals, max_size=2)


@st.composite
def nodes(draw: st.DrawFn) -> NodeSpec:
    fields = draw(extras)
    fields["type"] = draw(names)
    fields["version"] = draw(st.none() | st.integers(1, 9))
    fields["mode"] = draw(st.sampled_from([None, None, "mute", "bypass"]))
    fields["inputs"] = draw(st.dictionaries(names, inputs, max_size=4))
    return NodeSpec.model_validate(fields)


@st.composite
def definitions(draw: st.DrawFn) -> Definition:
    fields = draw(extras)
    texts = {"type": st.none() | st.text(max_size=9), "description": st.text(max_size=9)}
    ports = st.fixed_dictionaries(texts, optional={"default": literals}).map(DefinitionInput.model_validate)
    ends = st.fixed_dictionaries({"link": links, **texts}).map(DefinitionOutput.model_validate)
    fields["inputs"] = draw(st.dictionaries(names, ports, max_size=3))
    fields["nodes"] = draw(st.dictionaries(ids.filter(lambda id: id != "inputs"), nodes(), max_size=3))
    fields["outputs"] = draw(st.dictionaries(names, ends, max_size=2))
    fields["ui"] = draw(st.dictionaries(ids, literals, max_size=1))
    return Definition.model_validate(fields)


@st.composite
def workflows(draw: st.DrawFn) -> Workflow:
    fields = draw(extras)
    fields["meta"] = draw(st.dictionaries(names, literals, max_size=2))
    fields["nodes"] = draw(st.dictionaries(ids, nodes(), max_size=5))
    fields["definitions"] = draw(st.dictionaries(ids, definitions(), max_size=2))
    targets = st.builds(lambda node, name: Parameter(input=f"{node}.{name}"), ids, names)
    fields["parameters"] = draw(st.dictionaries(names, targets, max_size=2))
    fields["ui"] = draw(st.dictionaries(ids, literals, max_size=2))
    return Workflow.model_validate(fields)
