"""Checks that need no catalogue: is this document a graph at all?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain, islice

from weft.graphs.definitions import definition_problems
from weft.graphs.document import (
    Definition,
    DefinitionInput,
    DefinitionOutput,
    NodeSpec,
    Parameter,
    Workflow,
    dependencies,
)
from weft.graphs.inputs import Link, write_input
from weft.graphs.limits import Limits
from weft.graphs.names import node_id_fault
from weft.graphs.order import cycles
from weft.graphs.problems import Problem, near, shown

_MOST_SUGGESTIONS = 20  # looking for a near match costs time per node there is, so not for each of 10,000 links


def check_form(workflow: Workflow, limits: Limits | None = None) -> list[Problem]:
    """Every problem of a workflow's form, errors first; at most `limits.max_problems` of them.

    Looks for too many nodes, ids that are not allowed, inputs that are not JSON, links and parameters to nodes that
    are not there, cycles, faults of definitions, and (as warnings) keys that this version does not know. Linear in
    nodes and links.

    Args:
        limits: by default those of the workflow.
    """
    limits = workflow.limits if limits is None else limits
    if len(workflow.nodes) > limits.max_nodes:
        count = len(workflow.nodes)
        message = f"The workflow has {count:,} nodes; at most {limits.max_nodes:,} are allowed."
        return [Problem(code="too_large", message=message, given=count, expected=limits.max_nodes)]
    nearest = _Nearest(workflow.nodes)
    found = chain(
        _nodes(workflow),
        _links(workflow, nearest),
        _cycles(workflow),
        definition_problems(workflow, limits) if workflow.definitions else (),
        _parameters(workflow, nearest),
        _unknown_keys(workflow),
    )
    return list(islice(found, limits.max_problems))


class _Nearest:
    """Near matches among the node ids, each name looked up once and only so many of them."""

    def __init__(self, nodes: Iterable[str]) -> None:
        self._nodes = nodes
        self._found: dict[str, str | None] = {}

    def __call__(self, name: str) -> str | None:
        if name not in self._found and len(self._found) < _MOST_SUGGESTIONS:
            self._found[name] = near(name, self._nodes)
        return self._found.get(name)


def _nodes(workflow: Workflow) -> Iterator[Problem]:
    """A parsed document has passed this already; one put together in Python has not."""
    for id, node in workflow.nodes.items():
        if fault := node_id_fault(id):
            yield Problem(code="bad_document", node=id, message=fault, given=id)
        for name, value in node.inputs.items():
            try:
                write_input(value)
            except (TypeError, ValueError) as error:
                message = f"The input cannot be written: {error}."
                yield Problem(code="bad_document", node=id, input=name, message=message)


def _links(workflow: Workflow, nearest: _Nearest) -> Iterator[Problem]:
    for id, input, link in workflow.links():
        if link.node not in workflow.nodes:
            match = nearest(link.node)
            yield Problem(
                code="unknown_link",
                node=id,
                input=input,
                message=f"The link {shown(str(link))} leads to a node that is not there.",
                given=str(link),
                suggestion=str(Link(match, link.output)) if match else None,
            )


def _cycles(workflow: Workflow) -> Iterator[Problem]:
    for cycle in cycles(dependencies(workflow.nodes)):
        first, following = cycle[0], cycle[1 % len(cycle)]
        name = next(name for name, link in workflow.nodes[first].links() if link.node == following)
        yield Problem(
            code="cycle",
            node=first,
            input=name,
            message=f"The nodes depend on each other in a circle: {_circle(cycle)}. Remove one of these links.",
            given=cycle,
        )


def _circle(cycle: list[str]) -> str:
    names = cycle if len(cycle) <= 12 else [*cycle[:6], f"... {len(cycle) - 9:,} more ...", *cycle[-3:]]
    return " <- ".join([*names, cycle[0]])


def _parameters(workflow: Workflow, nearest: _Nearest) -> Iterator[Problem]:
    for name, parameter in workflow.parameters.items():
        node, _, input = parameter.input.partition(".")
        if not node or not input:
            yield Problem(
                code="bad_document",
                message=f'The parameter {shown(name)} sets {shown(parameter.input)}, which is not "node.input".',
                given=parameter.input,
            )
        elif node not in workflow.nodes:
            match = nearest(node)
            yield Problem(
                code="unknown_link",
                message=f"The parameter {shown(name)} sets {shown(parameter.input)}, but there is no such node.",
                given=parameter.input,
                suggestion=f"{match}.{input}" if match else None,
            )


def _unknown_keys(workflow: Workflow) -> Iterator[Problem]:
    yield from _warnings(workflow.unknown, Workflow.model_fields, None, "The document")
    for name, parameter in workflow.parameters.items():
        yield from _warnings(parameter.unknown, Parameter.model_fields, None, f"The parameter {shown(name)}")
    for id, node in workflow.nodes.items():
        yield from _warnings(node.unknown, NodeSpec.model_fields, id, "The node")
    for name, item in workflow.definitions.items():
        owner = f"The definition {shown(name)}"
        yield from _warnings(item.unknown, Definition.model_fields, None, owner)
        for key, port in item.inputs.items():
            yield from _warnings(port.unknown, DefinitionInput.model_fields, None, f"{owner}, input {shown(key)},")
        for key, output in item.outputs.items():
            yield from _warnings(output.unknown, DefinitionOutput.model_fields, None, f"{owner}, output {shown(key)},")
        for id, node in item.nodes.items():
            yield from _warnings(node.unknown, NodeSpec.model_fields, None, f"{owner}, node {shown(id)},")


def _warnings(unknown: Iterable[str], known: Iterable[str], node: str | None, owner: str) -> Iterator[Problem]:
    for key in unknown:
        yield Problem(
            severity="warning",
            code="bad_document",
            node=node,
            message=f"{owner} has the key {shown(key)}, unknown to this version; it is kept and has no effect.",
            given=key,
            suggestion=near(key, known),
        )
