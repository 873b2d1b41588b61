"""Older documents: inputs of an older version of a node become those of the installed one, by the node's own rules."""

from __future__ import annotations

from collections.abc import Mapping

from weft.engine.catalogue.catalogue import Catalogue
from weft.engine.checking.functions import HERE, Functions
from weft.engine.declaring.node_type import NodeType
from weft.engine.errors import named
from weft.graphs.document import Link, NodeSpec, Parameter, Workflow
from weft.graphs.problems import Problem


def migrate(workflow: Workflow, catalogue: Catalogue, functions: Functions = HERE) -> tuple[Workflow, list[Problem]]:
    """The workflow with every node at its installed version, and what could not be brought there (`unknown_version`).

    Returns the same object when there is nothing to do, as in most documents.
    """
    changed: dict[str, NodeSpec] = {}
    problems: list[Problem] = []
    for id, spec in workflow.nodes.items():
        if spec.version is None:
            continue
        node_type = catalogue.get(spec.type)
        if node_type is None or spec.version == node_type.version:
            continue
        inputs, why = _inputs(spec, spec.version, node_type, functions)
        if why:
            problems.append(
                Problem(
                    code="unknown_version",
                    node=id,
                    message=f"{spec.type} version {spec.version} {why}.",
                    given=spec.version,
                    expected=node_type.version,
                )
            )
        else:
            changed[id] = spec.model_copy(update={"version": node_type.version, "inputs": dict(inputs)})
    if not changed:
        return workflow, problems
    parameters = {
        name: _parameter(parameter, workflow, catalogue, set(changed), functions)
        for name, parameter in workflow.parameters.items()
    }
    updates = {"nodes": {**workflow.nodes, **changed}, "parameters": parameters}
    return workflow.model_copy(update=updates), problems


def _parameter(
    parameter: Parameter, workflow: Workflow, catalogue: Catalogue, changed: set[str], functions: Functions
) -> Parameter:
    """A parameter of an input that got another name, with that name. Where the input became several, as it was."""
    id, _, name = parameter.input.partition(".")
    node_type = catalogue.get(workflow.nodes[id].type) if id in changed else None
    if node_type is None or name in node_type.inputs:
        return parameter
    spec = workflow.nodes[id]
    # Where the migration puts a value that nothing else is equal to, there it puts the parameter's.
    mark = Link(node=id, output=f"{name} of version {spec.version}")
    marked = spec.model_copy(update={"inputs": {**spec.inputs, name: mark}})
    inputs, _ = _inputs(marked, spec.version or 1, node_type, functions)
    places = [new for new, item in inputs.items() if item == mark]
    return parameter.model_copy(update={"input": f"{id}.{places[0]}"}) if len(places) == 1 else parameter


def older_version(spec: NodeSpec, node_type: NodeType, functions: Functions = HERE) -> int | None:
    """The newest older version that a node's inputs may be written for; None when none of them fits."""
    for version in sorted(node_type.migrations, reverse=True):
        inputs, why = _inputs(spec, version, node_type, functions)
        if not why and inputs.keys() <= node_type.inputs.keys():
            return version
    return None


def _inputs(
    spec: NodeSpec, version: int, node_type: NodeType, functions: Functions
) -> tuple[Mapping[str, object], str]:
    if version > node_type.version:
        return {}, f"is newer than the installed version {node_type.version}: install the pack that made this document"
    inputs = dict(spec.inputs)
    for step in range(version, node_type.version):
        if step not in node_type.migrations:
            return {}, f"cannot be brought to version {node_type.version}: there is no migration from {step}"
        try:
            inputs = dict(functions.migrate(node_type, step, inputs))
        except Exception as error:
            return {}, f"cannot be brought to version {step + 1}: {named(error)}"
    return inputs, ""
