"""A document as Python: the calls of the builder that make the same document.

    from weft import Graph
    from weft.nodes import load_model, ...

    with Graph("Text to image") as graph:
        model = graph.name(load_model(source="shapes"), "model")
        ...
    workflow = graph.workflow()

What the builder has no call for, such as a node's mode and what an editor remembers, is set in the document at the end.
"""

from __future__ import annotations

import keyword
import pprint
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from weft.graphs.builder import Graph, Handle
from weft.graphs.document import Definition, NodeSpec, Workflow, dependencies
from weft.graphs.form import check_form
from weft.graphs.inputs import Link
from weft.graphs.order import topological
from weft.graphs.problems import WorkflowError

WIDTH = 100
"""Longer calls have a line for each input."""
_OWN = frozenset({"Graph", "Workflow", "graph", "inside", "given", "definitions", "document", "workflow"})
_HANDLE = frozenset(dir(Handle))


@dataclass(frozen=True, slots=True)
class Call:
    """How a node type is called in Python.

    Attributes:
        module, name: where its function is.
        inputs, required: names of its parameters, and of those that have to be given.
        outputs: names of its outputs.
    """

    module: str
    name: str
    inputs: frozenset[str] = frozenset()
    required: frozenset[str] = frozenset()
    outputs: frozenset[str] = frozenset()


Calls = Callable[[str], Call | None]
"""The call of a node type by its name; None where there is none to import."""


def python_source(workflow: Workflow, calls: Calls = lambda type: None) -> str:
    """Python that makes the document again, as `workflow`.

    Args:
        calls: which functions nodes are; other nodes are added by the name of their type.

    Raises:
        WorkflowError: the document links to nothing, or in circles.
    """
    errors = [problem for problem in check_form(workflow) if problem.severity == "error"]
    if errors:
        raise WorkflowError(errors)
    return "\n".join(_Writer(workflow, calls).lines()) + "\n"


class _Writer:
    def __init__(self, workflow: Workflow, calls: Calls) -> None:
        self._workflow = workflow
        every = [workflow.nodes, *(definition.nodes for definition in workflow.definitions.values())]
        types = {spec.type for nodes in every for spec in nodes.values()} - set(workflow.definitions)
        known = {type: call for type in sorted(types) if (call := calls(type)) is not None}
        self._calls: dict[str, Call] = {}
        names: dict[str, Call] = {}
        for type, call in known.items():  # two functions of one name cannot both be imported
            if call.name.isidentifier() and call.name not in _OWN and names.setdefault(call.name, call) == call:
                self._calls[type] = call
        self._used: set[Call] = set()

    def lines(self) -> Iterator[str]:
        """The whole text."""
        workflow = self._workflow
        title, description = (_text(workflow.meta.get(name)) for name in ("title", "description"))
        arguments = [_python(title)] if title else []
        arguments += [f"description={_python(description)}"] if description else []
        body: list[str] = []
        if workflow.definitions:
            body += [*_wrapped("graph = Graph(", arguments, ")"), "definitions = {}"]
            for name, definition in workflow.definitions.items():
                body += ["", *self._definition(name, definition)]
            body += ["", "with graph:"]
        else:
            body += _wrapped("with Graph(", arguments, ") as graph:")
        inner = self._nodes("graph", workflow.nodes)
        for name, parameter in workflow.parameters.items():
            node, _, input = parameter.input.partition(".")
            inner.append(f"graph.parameter({_python(name)}, {_python(node)}, {_python(input)})")
        body += [f"    {line}" for line in inner or ["pass"]]
        rest = list(self._rest({"title": title, "description": description}))
        ours = "Graph, Workflow" if rest else "Graph"
        by_module: dict[str, set[str]] = {}
        for call in self._used:
            by_module.setdefault(call.module, set()).add(call.name)
        yield f"from weft import {ours}"
        for module in sorted(by_module):
            yield from _wrapped(f"from {module} import (", sorted(by_module[module]), ")", plain=True)
        yield ""
        yield from body
        yield ""
        if not rest:
            yield "workflow = graph.workflow()"
            return
        yield "document = graph.workflow().to_dict()"
        yield from rest
        yield "workflow = Workflow.parse(document)"

    def _rest(self, said: Mapping[str, str]) -> Iterator[str]:
        """What the builder has no calls for."""
        workflow = self._workflow
        if workflow.definitions:
            yield 'document["definitions"] = definitions'
        yield from _set_nodes("document", workflow.nodes)
        for name, parameter in workflow.parameters.items():
            for key, value in parameter.unknown.items():
                yield from _set(f'document["parameters"][{_python(name)}][{_python(key)}]', value)
        if dict(workflow.meta) != {name: text for name, text in said.items() if text}:
            yield from _set('document["meta"]', workflow.meta)
        for key, value in (({"ui": workflow.ui} if workflow.ui else {}) | workflow.unknown).items():
            yield from _set(f"document[{_python(key)}]", value)

    def _definition(self, name: str, definition: Definition) -> Iterator[str]:
        yield f"inside, given = graph.body({_python(list(definition.inputs))})"
        yield "with inside:"
        for line in self._nodes("inside", definition.nodes) or ["pass"]:
            yield f"    {line}"
        data = definition.to_dict()
        del data["nodes"]
        yield from _set(f"definitions[{_python(name)}]", data)
        yield f'definitions[{_python(name)}]["nodes"] = inside.workflow().to_dict()["nodes"]'
        yield from _set_nodes(f"definitions[{_python(name)}]", definition.nodes)

    def _nodes(self, graph: str, nodes: Mapping[str, NodeSpec]) -> list[str]:
        """A call for each node, those that others need first."""
        wanted: dict[str, dict[str, None]] = {}
        for spec in nodes.values():
            for _, link in spec.links():
                if link.output is not None:
                    wanted.setdefault(link.node, {})[link.output] = None
        needed = {id: [node for node in of if node in nodes] for id, of in dependencies(nodes).items()}
        taken = {call.name for call in self._calls.values()} | _OWN
        linked = {link.node for spec in nodes.values() for _, link in spec.links()}
        names: dict[str, str] = {}
        shadow, lines = Graph(), []
        for id in topological(needed):
            spec = nodes[id]
            recorded = shadow.add(spec.type, {})
            own = recorded.node != id  # it would be called otherwise by itself
            recorded.named(id)
            keeps = spec.retry is not None or spec.timeout is not None
            inputs = {name: self._value(item, names) for name, item in spec.inputs.items()}
            begin = ""
            if id in linked or keeps:
                names[id] = _variable(id, taken)
                taken.add(names[id])
                begin = f"{names[id]} = "
            lines += self._recorded(begin, graph, spec, inputs, tuple(wanted.get(id, ())), id if own else None)
            if keeps:
                said = [f"{name}={item}" for name in ("retry", "timeout") if (item := getattr(spec, name)) is not None]
                lines.append(f"{graph}.allow({', '.join([names[id], *said])})")
        return lines

    def _recorded(
        self,
        begin: str,
        graph: str,
        spec: NodeSpec,
        inputs: Mapping[str, str],
        outputs: tuple[str, ...],
        id: str | None,
    ) -> list[str]:
        """One node, by its function or by the name of its type."""
        if (call := self._call_of(spec, outputs)) is not None:
            begin, end = (f"{begin}{call.name}(", ")") if id is None else (
                f"{begin}{graph}.name({call.name}(", f"), {_python(id)})"
            )  # fmt: skip
            return _wrapped(begin, [f"{name}={item}" for name, item in inputs.items()], end)
        items = [f"{_python(name)}: {item}" for name, item in inputs.items()]
        more = [repr(outputs)] if outputs else []
        more += [f"version={spec.version}"] if spec.version is not None else []
        more += [f"id={_python(id)}"] if id is not None else []
        return _wrapped(f"{begin}{graph}.add({_python(spec.type)}, {{", items, ", ".join(["}", *more]) + ")")

    def _call_of(self, spec: NodeSpec, outputs: tuple[str, ...]) -> Call | None:
        """The function that a node is recorded by; None where a call would not record the same."""
        call = self._calls.get(spec.type)
        if call is None or spec.version is not None or not set(outputs) <= call.outputs:
            return None
        given = spec.inputs.keys()
        if not call.required <= given <= call.inputs or not all(map(str.isidentifier, given)):
            return None
        if any(map(keyword.iskeyword, given)) or any(item is None for item in spec.inputs.values()):
            return None  # a None that is a default is not written down
        self._used.add(call)
        return call

    def _value(self, item: Any, names: Mapping[str, str]) -> str:
        if isinstance(item, list):
            return (
                f"[{', '.join(self._value(part, names) if isinstance(part, Link) else _python(part) for part in item)}]"
            )
        if not isinstance(item, Link):
            return _python(item)
        if item.node not in names:  # what a definition is given
            return f"given[{_python(item.output)}]"
        name, output = names[item.node], item.output
        if output is None:
            return name
        attribute = output.isidentifier() and not keyword.iskeyword(output) and output not in _HANDLE
        return f"{name}.{output}" if attribute and output[0] != "_" else f"{name}[{_python(output)}]"


def _python(item: Any) -> str:
    """JSON data as Python writes it."""
    if isinstance(item, str):
        text = repr(item)
        return f'"{text[1:-1]}"' if text[0] == "'" and '"' not in text else text
    if isinstance(item, list):
        return f"[{', '.join(map(_python, item))}]"
    if isinstance(item, dict):
        return f"{{{', '.join(f'{_python(name)}: {_python(part)}' for name, part in item.items())}}}"
    return repr(item)


def _wrapped(begin: str, items: list[str], end: str, *, plain: bool = False) -> list[str]:
    """A call on one line, or on one for each item; with `plain`, its brackets stand on several lines alone."""
    one = f"{begin}{', '.join(items)}{end}"
    if plain and len(one) <= WIDTH:
        return [f"{begin.removesuffix('(')}{', '.join(items)}"]
    if len(one) <= WIDTH or not items:
        return [one]
    return [begin, *(f"    {item}," for item in items), end]


def _set_nodes(place: str, nodes: Mapping[str, NodeSpec]) -> Iterator[str]:
    for id, spec in nodes.items():
        more = {} if spec.mode is None else {"mode": spec.mode}
        for key, value in (more | spec.unknown).items():
            yield from _set(f'{place}["nodes"][{_python(id)}][{_python(key)}]', value)


def _set(place: str, value: Any) -> list[str]:
    text = f"{place} = {_python(value)}"
    if len(text) <= WIDTH:
        return [text]
    lines = pprint.pformat(value, width=WIDTH, sort_dicts=False).split("\n")
    return [f"{place} = (", *(f"    {line}" for line in lines), ")"]


def _text(item: Any) -> str:
    return item if isinstance(item, str) else ""


def _variable(id: str, taken: set[str]) -> str:
    name = re.sub(r"\W", "_", id)
    while name in taken or keyword.iskeyword(name):
        name += "_"
    return name
