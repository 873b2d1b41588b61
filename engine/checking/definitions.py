"""What definitions say of their inputs and outputs, held against what goes in and what is inside."""

from __future__ import annotations

from collections.abc import Iterator
from functools import reduce
from operator import or_
from typing import Any

from weft.engine.catalogue.catalogue import Catalogue
from weft.engine.declaring.ports import Port, input_port, validate
from weft.engine.declaring.types import accepts, describe
from weft.graphs.definitions import ABSENT, Inlined, Use
from weft.graphs.document import Workflow
from weft.graphs.inputs import Link
from weft.graphs.problems import Problem, near, shown

_BASIC: dict[str, Any] = {
    "int": int, "float": float, "str": str, "bool": bool, "any": Any, "None": None, "list": list, "dict": dict,
}  # fmt: skip


def relocated(problem: Problem, inlined: Inlined) -> Problem:
    """A problem of an input inside a definition, told at the node around it whose input says the value."""
    if problem.node is None or problem.input is None:
        return problem
    place = inlined.places.get((problem.node, problem.input))
    if place is None:
        return problem
    node, input = place
    message = f"{problem.message} (Inside {inlined.uses[node].definition}: {problem.node}.{problem.input}.)"
    return problem.model_copy(update={"node": node, "input": input, "message": message})


def conflicts(workflow: Workflow, catalogue: Catalogue) -> Iterator[Problem]:
    """Warnings of definitions that have the name of an installed node: the document's own wins."""
    for name in workflow.definitions:
        if name in catalogue:
            message = f"The definition {shown(name)} has the name of an installed node, whose place it takes here."
            yield Problem(severity="warning", code="conflict", message=message, given=name)


def shadowed(installed: Catalogue, catalogue: Catalogue, workflow: Workflow) -> Iterator[Problem]:
    """Warnings of nodes that the graph called and that have the name of another, installed one: what it called wins.

    Args:
        catalogue: the installed nodes with those that the graph called.
    """
    if catalogue is installed:
        return
    for name in workflow.declarations:
        other, own = installed.get(name), catalogue.get(name)
        if other is not None and own is not None and other is not own:
            message = f"The graph calls {own.place} as {shown(name)}, in the place of the installed {other.place}."
            yield Problem(severity="warning", code="conflict", message=message, given=name)


def interface_problems(workflow: Workflow, inlined: Inlined, catalogue: Catalogue) -> Iterator[Problem]:
    """Where the types that definitions declare are unknown, or do not fit.

    Args:
        workflow: with its definitions.
        inlined: the same without.
    """
    types = _Types(catalogue)
    for name, definition in workflow.definitions.items():
        ports = {"input": definition.inputs, "output": definition.outputs}
        for kind, items in ports.items():
            for key, item in items.items():  # type: ignore[attr-defined]
                if item.type is not None and types.read(item.type) is _UNKNOWN:
                    message = f"The {kind} {shown(key)} of {name} has the type {shown(item.type)}, which no node has."
                    hint = near(item.type, types.known)
                    yield Problem(code="bad_value", message=message, given=item.type, suggestion=hint)
    nodes = inlined.workflow.nodes

    def made(item: Any) -> Any:
        """The type of the output that a link leads to; `_UNKNOWN` for anything else."""
        node_type = catalogue.get(nodes[item.node].type) if isinstance(item, Link) and item.node in nodes else None
        if node_type is None or (item.output is not None and item.output not in node_type.outputs):
            return _UNKNOWN
        output = item.output or next(iter(node_type.outputs), None)
        return _UNKNOWN if output is None else node_type.outputs[output].type

    told: set[tuple[str, str]] = set()
    for path, use in inlined.uses.items():
        definition = workflow.definitions[use.definition]
        for name, declared in definition.inputs.items():
            wanted = types.read(declared.type) if declared.type is not None else _UNKNOWN
            if wanted is _UNKNOWN:
                continue
            yield from _given(path, name, wanted, use.given[name], made)
            if (use.definition, name) not in told:
                told.add((use.definition, name))
                yield from _inside(use, name, wanted, inlined, catalogue)
        for name, output in definition.outputs.items():
            wanted = types.read(output.type) if output.type is not None else _UNKNOWN
            given = made(use.outputs[name])
            if (
                wanted is _UNKNOWN
                or given is _UNKNOWN
                or accepts(wanted, given)
                or (use.definition, f">{name}") in told
            ):
                continue
            told.add((use.definition, f">{name}"))
            message = f"The output {name} of {use.definition} should be {describe(wanted)}, but is {describe(given)}."
            yield Problem(
                code="type_mismatch", node=path, message=message, given=describe(given), expected=describe(wanted)
            )


def _given(path: str, name: str, wanted: Any, item: Any, made: Any) -> Iterator[Problem]:
    port = input_port(name, wanted)
    parts = item if isinstance(item, list) and port.many else [item]
    literals = [part for part in parts if not isinstance(part, Link)]
    if item is ABSENT:
        return
    if literals:
        for flaw in validate(port, literals if parts is item else item):
            yield Problem(
                code=flaw.code, node=path, input=name, message=flaw.message, given=item if literals == parts else None,
                expected=flaw.expected, suggestion=flaw.suggestion,
            )  # fmt: skip
    for part in parts:
        given = made(part) if isinstance(part, Link) else _UNKNOWN
        tp = port.item if parts is item else wanted
        if given is not _UNKNOWN and not accepts(tp, given) and not (port.optional and given is type(None)):
            message = f"{name} takes {describe(tp)}, but {part} makes {describe(given)}."
            yield Problem(
                code="type_mismatch", node=path, input=name, message=message, given=describe(given),
                expected=describe(tp),
            )  # fmt: skip


def _inside(use: Use, name: str, declared: Any, inlined: Inlined, catalogue: Catalogue) -> Iterator[Problem]:
    for id, input in use.feeds.get(name, ()):
        spec = inlined.workflow.nodes.get(id)
        node_type = catalogue.get(spec.type) if spec is not None else None
        port = node_type.inputs.get(input) if node_type is not None else None
        if port is not None and not accepts(_full(port), declared):
            message = (
                f"The input {name} of {use.definition} is {describe(declared)}, but goes to {id}.{input}, which takes "
                f"{describe(port.type)}."
            )
            yield Problem(
                code="type_mismatch", node=use.path, input=name, message=message, given=describe(declared),
                expected=describe(port.type),
            )  # fmt: skip


def use_port(workflow: Workflow, node: str, input: str, catalogue: Catalogue) -> Port | None:
    """The port that an input of a node is, also where the node's type is a definition; None when nobody knows."""
    spec = workflow.nodes[node]
    definitions = workflow.definitions
    # As deep as definitions are inside each other; a circle of them ends it, and is told by the check.
    for _ in range(len(definitions) + 1):
        definition = definitions.get(spec.type)
        if definition is None:
            node_type = catalogue.get(spec.type)
            return node_type.inputs.get(input) if node_type is not None else None
        link = Link("inputs", input)
        found = [
            (inner, name) for inner in definition.nodes.values() for name, item in inner.inputs.items() if item == link
        ]
        if not found:
            return None
        spec, input = found[0]
    return None


def _full(port: Port) -> Any:
    return port.type | None if port.optional and port.type is not Any and port.type is not object else port.type


class _Unknown:
    pass


_UNKNOWN: Any = _Unknown()


class _Types:
    """Types by the names that people write, gathered from the ports of installed nodes."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.known = dict(_BASIC)
        for node_type in catalogue:
            for port in node_type.inputs.values():
                self.known.setdefault(describe(port.item), port.item)
            for output in node_type.outputs.values():
                self.known.setdefault(describe(output.type), output.type)

    def read(self, text: str) -> Any:
        """The type that `text` names, such as `Model`, `list[Guidance]` or `int | None`; else `_UNKNOWN`."""
        text = text.strip()
        if text in self.known:
            return self.known[text]
        if text.count("list[") > 8:
            return _UNKNOWN
        if text.startswith("list[") and text.endswith("]"):
            item = self.read(text[5:-1])
            return _UNKNOWN if item is _UNKNOWN else list[item]  # type: ignore[valid-type]
        arms = [self.known.get(arm.strip(), _UNKNOWN) for arm in text.split("|")]
        if len(arms) < 2 or any(arm is _UNKNOWN for arm in arms):
            return _UNKNOWN
        try:
            return reduce(or_, arms)
        except TypeError:
            return _UNKNOWN
