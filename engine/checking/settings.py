"""What a caller sets of a workflow: parameters and inputs by name, as typed values or as text of a command line."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from weft.engine.catalogue.catalogue import Catalogue, installed
from weft.engine.checking.definitions import use_port
from weft.engine.checking.migrate import migrate
from weft.engine.declaring.ports import Port, validate
from weft.graphs.document import NodeSpec, Workflow
from weft.graphs.inputs import literal
from weft.graphs.problems import Problem, WorkflowError, near, shown


def with_settings(
    workflow: Workflow, values: Mapping[str, Any] | Sequence[str], catalogue: Catalogue | None = None
) -> Workflow:
    """A copy of a workflow with inputs set; a link that was there is replaced.

    Names are those of the installed versions of nodes, to which older nodes are brought first.

    Args:
        values: by name, which is a parameter of the workflow or `node.input`: JSON values of the type that the input
            takes, which are not converted. Or texts `NAME=VALUE` as a command line has them, whose value is read as
            what the input takes: `3` is a number for a number's input and text for a text's.
        catalogue: the nodes there are; by default those that are installed.

    Raises:
        WorkflowError: all that is wrong with names and values, together.
    """
    catalogue = catalogue or installed()
    if not values:
        return workflow
    texts: frozenset[str] = frozenset()
    problems: list[Problem] = []
    if not isinstance(values, Mapping):
        values, problems = _split(values)
        texts = frozenset(values)
    workflow, _ = migrate(workflow, catalogue)  # what cannot be brought there is told by the check
    nodes: dict[str, NodeSpec] = dict(workflow.nodes)
    for name, item in values.items():
        try:
            node, input = workflow.resolve_parameter(name)
        except WorkflowError as error:
            problems += error.problems
            continue
        port = use_port(workflow, node, input, catalogue)
        if port is None and (problem := _unknown(workflow, node, input, catalogue)) is not None:
            problems.append(problem)
            continue
        if name in texts and port is not None:
            item = parse_value(port, item)
        try:
            item = literal(item)
        except (TypeError, ValueError) as error:
            message = f"The value of {shown(name)} cannot stand in a document: {error}."
            problems.append(Problem(code="bad_value", node=node, input=input, message=message))
            continue
        if port is not None:
            problems += _flaws(node, input, port, item)
        nodes[node] = nodes[node].model_copy(update={"inputs": {**nodes[node].inputs, input: item}})
    if problems:
        raise WorkflowError(problems)
    return workflow.model_copy(update={"nodes": nodes})


def parse_value(port: Port, text: str) -> Any:
    """The literal that `text` means for `port`: itself where the port takes text, else what it is as JSON.

    Text that means nothing to the port stays text; whoever looks at the value then says what the port takes.
    """
    takes_text = not validate(port, text)
    # Where both readings fit (`int | str`, Any), 3 is a number: a person would have to quote it to mean the text.
    if takes_text and port.item is str:
        return text
    try:
        value = json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return text
    return text if takes_text and validate(port, value) else value


def _split(settings: Sequence[str]) -> tuple[dict[str, str], list[Problem]]:
    values: dict[str, str] = {}
    problems = []
    for setting in [settings] if isinstance(settings, str) else settings:
        name, equals, text = setting.partition("=")
        if equals and name:
            values[name] = text
        else:
            message = f"{shown(setting)} sets nothing: write NAME=VALUE."
            problems.append(Problem(code="bad_value", message=message, given=setting, expected="NAME=VALUE"))
    return values, problems


def _unknown(workflow: Workflow, node: str, input: str, catalogue: Catalogue) -> Problem | None:
    """That an input is none of the node's, where its type is known."""
    kind = workflow.nodes[node].type
    if kind in workflow.definitions:
        names, what = list(workflow.definitions[kind].inputs), f"The definition {kind}"
    elif (node_type := catalogue.get(kind)) is not None:
        names, what = list(node_type.inputs), kind
    else:
        return None
    if input in names:
        return None
    message = f"{what} has no input {shown(input)}; it has {', '.join(names) or 'none'}."
    return Problem(
        code="unknown_input", node=node, input=input, message=message, given=input, expected=names,
        suggestion=near(input, names),
    )  # fmt: skip


def _flaws(node: str, input: str, port: Port, item: Any) -> Iterator[Problem]:
    for flaw in validate(port, item):
        yield Problem(
            code=flaw.code, node=node, input=input, message=flaw.message, given=item, expected=flaw.expected,
            suggestion=flaw.suggestion,
        )  # fmt: skip


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")
