"""Everything that is wrong with a workflow, before anything runs."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from weft.engine.catalogue.catalogue import Catalogue
from weft.engine.checking.axes import find_axes, has_maps
from weft.engine.checking.functions import HERE, Functions
from weft.engine.checking.migrate import older_version
from weft.engine.declaring.input_paths import resolve_input_path
from weft.engine.declaring.node_type import NodeType, NodeView
from weft.engine.declaring.ports import OutputPort, Port, validate
from weft.engine.declaring.types import accepts, bind, describe, substitute
from weft.engine.errors import InputPathError, named
from weft.graphs.document import Link, NodeSpec, dependencies
from weft.graphs.order import topological
from weft.graphs.problems import Problem, near, shown


class _View:
    """What a node's own check sees (`NodeView`)."""

    def __init__(self, id: str, spec: NodeSpec, node_type: NodeType, checker: Checker) -> None:
        self.id = id
        self.type = node_type
        self._spec = spec
        self._checker = checker

    @property
    def literals(self) -> Mapping[str, Any]:
        found = {**self.type.defaults, **self._spec.inputs}
        return {name: item for name, item in found.items() if not _has_link(item)}

    def sources(self, input: str) -> list[tuple[str, NodeType]]:
        item = self._spec.inputs.get(input)
        links = [item] if isinstance(item, Link) else item if isinstance(item, list) else []
        found = []
        for link in links:
            if isinstance(link, Link) and (node_type := self._checker.types.get(link.node)) is not None:
                found.append((link.node, node_type))
        return found

    def users(self) -> list[NodeView]:
        return [self._checker.view(id) for id in self._checker.users.get(self.id, ()) if id in self._checker.types]

    def other(self, id: str) -> NodeView | None:
        return self._checker.view(id) if id in self._checker.types else None

    def path(self, text: str) -> Path | None:
        try:
            path = self.resolve(text)
        except InputPathError:
            return None
        return path if path.exists() else None

    def resolve(self, text: str) -> Path:
        return resolve_input_path(text, self._checker.roots)


def _has_link(item: Any) -> bool:
    kind = type(item)
    return kind is Link or (kind is list and any(type(part) is Link for part in item))


class Checker:
    """Looks at the nodes of a workflow without definitions.

    Args:
        specs: the nodes by id.
    """

    def __init__(
        self,
        specs: Mapping[str, NodeSpec],
        catalogue: Catalogue,
        roots: list[Path] | None,
        functions: Functions = HERE,
    ) -> None:
        self.functions = functions
        self.specs = specs
        self.catalogue = catalogue
        self.roots = roots
        self.types: dict[str, NodeType] = {}
        self.bound: dict[str, dict[Any, Any]] = {}
        """What the TypeVars of generic nodes stand for."""
        self.unknown: dict[str, str | None] = {}
        """Names of types that are not installed, with the nearest that is."""
        self.problems: list[Problem] = []

    def nodes(self, skip: set[str | None]) -> list[Problem]:
        """The problems of every node. Those in `skip` are of a version whose inputs nobody here knows."""
        self.problems = []
        get = self.catalogue.get
        for id, spec in self.specs.items():
            node_type = get(spec.type)
            if node_type is not None:
                self.types[id] = node_type
            else:
                self._unknown_type(id, spec)
        order = self._order()
        for id in order:
            if id not in skip:
                before = len(self.problems)
                spec, node_type = self.specs[id], self.types[id]
                self._inputs(id, spec, node_type)
                # A node's own check may count on inputs that are right by themselves.
                if node_type.check is not None and len(self.problems) == before:
                    self.own_check(id)
        if not self.problems and len(order) == len(self.specs) and has_maps(set(self.types.values())):
            self.problems += find_axes(self.specs, self.types, order)[1]
        return self.problems

    def literal(self, id: str, port: Port, item: Any) -> None:
        """Look at the value of one input; of a list, at what is no link."""
        if type(item) is list:
            item = [part for part in item if type(part) is not Link]
        self._literal(id, port, item)

    def own_check(self, id: str) -> None:
        """Have a node's own check look at the graph around it."""
        node_type = self.types[id]
        try:
            self.problems.extend(self.functions.check(node_type, self.view(id), self))
        except Exception as error:
            message = f"The check of {node_type.name} itself failed: {named(error)}."
            self.problems.append(Problem(severity="warning", code="bad_value", node=id, message=message))

    def view(self, id: str) -> NodeView:
        """What the own check of a node of known type sees."""
        return _View(id, self.specs[id], self.types[id], self)

    @cached_property
    def users(self) -> dict[str, list[str]]:
        """Node -> the nodes that link to it, each once. Found when a check first asks."""
        found: dict[str, dict[str, None]] = {}
        for id, spec in self.specs.items():
            for _, link in spec.links():
                found.setdefault(link.node, {})[id] = None
        return {id: list(users) for id, users in found.items()}

    def _order(self) -> list[str]:
        """The nodes whose type is known; where types flow through generic nodes, after what they link to."""
        if not any(node_type.generic for node_type in set(self.types.values())):
            return list(self.types)
        links = dependencies(self.specs)
        order = [id for id in topological(links) if id in self.types]
        if len(order) < len(self.types):  # what stands in a circle
            placed = set(order)
            order += [id for id in self.types if id not in placed]
        return order

    def _unknown_type(self, id: str, spec: NodeSpec) -> None:
        name = spec.type
        if name not in self.unknown:
            # Looking for a near match takes longer than all other checks of a node, so not for each of 10,000.
            self.unknown[name] = self.catalogue.nearest(name) if len(self.unknown) < 20 else None
        self.problems.append(
            Problem(
                code="unknown_node_type",
                node=id,
                message=f"There is no node type {shown(name)} among the {len(self.catalogue)} that are installed.",
                given=name,
                suggestion=self.unknown[name],
            )
        )

    def _inputs(self, id: str, spec: NodeSpec, node_type: NodeType) -> None:
        ports = node_type.inputs
        given = spec.inputs
        bindings: dict[Any, Any] = {}
        for name, item in given.items():
            port = ports.get(name)
            if port is None:
                self._unknown_input(id, name, node_type, spec)
                continue
            kind = type(item)
            if kind is Link:
                self._link(id, port, port.type, item, bindings)
                if not port.many and port.generic:
                    continue
            elif kind is list and any(type(part) is Link for part in item):
                self._mixed(id, port, item, bindings)
            else:
                self._literal(id, port, item)
                if port.generic and item is not None:
                    kinds = {type(part) for part in item} if port.many and kind is list else {kind}
                    if len(kinds) == 1:
                        bind(port.item, kinds.pop(), bindings)
        for name in node_type.required:
            if name not in given:
                self._missing(id, ports[name])
        if bindings:
            self.bound[id] = bindings

    def _mixed(self, id: str, port: Port, items: list[Any], bindings: dict[Any, Any]) -> None:
        if not port.many:
            expected = describe(port.type)
            message = f"{port.name} takes one {expected}, not a list of {len(items)}."
            self._add("type_mismatch", id, port.name, message, expected=expected)
            return
        literals = []
        for item in items:
            if type(item) is Link:
                self._link(id, port, port.item, item, bindings)
            else:
                literals.append(item)
        if literals:
            self._literal(id, port, literals)

    def _literal(self, id: str, port: Port, item: Any) -> None:
        for flaw in validate(port, item):
            self._add(flaw.code, id, port.name, flaw.message, item, flaw.expected, flaw.suggestion)
        if port.widget is not None and port.is_path:
            for path in item if isinstance(item, list) else [item]:
                if isinstance(path, str) and path and path not in port.widget.names:
                    self._path(id, port, path)

    def _path(self, id: str, port: Port, text: str) -> None:
        try:
            path = resolve_input_path(text, self.roots)
        except InputPathError as error:
            self._add(error.code, id, port.name, f"{error}.", text)
            return
        kind = "folder" if port.widget is not None and port.widget.kind == "folder" else "file"
        if not (path.is_dir() if kind == "folder" else path.is_file()):
            what, hint = f"There is no {kind} {text}.", None
            if path.exists():
                what = f"{text} is a {'file' if kind == 'folder' else 'folder'}, not a {kind}."
            else:
                hint = _sibling(text, path)
            self._add("bad_value", id, port.name, what, text, f"an existing {kind}", hint)

    def _link(self, id: str, port: Port, wanted: Any, link: Link, bindings: dict[Any, Any]) -> None:
        source = self.types.get(link.node)
        if source is None:
            return  # a link to nothing, or to a node of an unknown type: said already
        outputs = source.outputs
        output = next(iter(outputs.values()), None) if link.output is None else outputs.get(link.output)
        if output is None:
            self._unknown_output(id, port, link, source)
            return
        given = self._output_type(link.node, output)
        if (bind(wanted, given, bindings) if port.generic else accepts(wanted, given)) or (
            port.optional and given is type(None)
        ):
            return
        hint = None
        message = f"{port.name} takes {describe(wanted)}, but {link} makes {describe(given)}."
        if port.many and wanted is port.type and accepts(port.item, given):
            message += " Put the link in brackets: a list of one."
        elif port.generic and accepts(wanted, given):
            others = ", ".join(describe(tp) for tp in bindings.values())
            message = f"{port.name} has to agree with the other inputs ({others}), but {link} makes {describe(given)}."
        else:
            fits = [name for name, other in outputs.items() if accepts(wanted, self._output_type(link.node, other))]
            hint = f"{link.node}.{fits[0]}" if len(fits) == 1 else None
        self._add("type_mismatch", id, port.name, message, describe(given), describe(wanted), hint)

    def _output_type(self, node: str, output: OutputPort) -> Any:
        return substitute(output.type, self.bound.get(node, {})) if output.generic else output.type

    # -- what is to be made

    def targets(self, targets: Sequence[str] | None) -> Iterator[Problem]:
        """Whether there is something to run."""
        if targets is None:
            if not self.unknown and not any(node_type.output for node_type in self.types.values()):
                outputs = [node_type.name for node_type in self.catalogue if node_type.output]
                message = "Nothing would be made: no node is an output. Add one, or name targets."
                yield Problem(code="no_output", message=message, expected=outputs)
            return
        if not targets:
            yield Problem(code="no_output", message="Nothing would be made: the list of targets is empty.")
        for target in targets:
            node, dot, output = target.partition(".")
            node_type = self.types.get(node)
            if node not in self.specs:
                message = f"The target {shown(target)} is no node of the workflow."
                yield Problem(code="unknown_link", message=message, given=target, suggestion=near(node, self.specs))
            elif dot and node_type is not None and output not in node_type.outputs:
                names = list(node_type.outputs)
                message = f"The target {shown(target)} is no output of {node_type.name}; it has {', '.join(names)}."
                hint = near(output, names)
                yield Problem(
                    code="unknown_output",
                    node=node,
                    message=message,
                    given=target,
                    expected=names,
                    suggestion=f"{node}.{hint}" if hint else None,
                )

    # -- wording

    def _unknown_input(self, id: str, name: str, node_type: NodeType, spec: NodeSpec) -> None:
        names = list(node_type.inputs)
        message = f"{node_type.name} has no input {shown(name)}; it has {', '.join(names) or 'none'}."
        if (version := older_version(spec, node_type, self.functions)) is not None:
            message += f' Version {version} had: with "version": {version} the node is brought up to date.'
        self._add("unknown_input", id, name, message, name, names, near(name, names))

    def _missing(self, id: str, port: Port) -> None:
        message = f"{port.name} is needed: {describe(port.type)}."
        self._add("missing_input", id, port.name, message, expected=describe(port.type))

    def _unknown_output(self, id: str, port: Port, link: Link, source: NodeType) -> None:
        names = list(source.outputs)
        if link.output is None:
            message = f"{source.name} has no output to link to."
        else:
            message = f"{source.name} has no output {shown(link.output)}; it has {', '.join(names) or 'none'}."
        hint = near(link.output or "", names)
        suggestion = f"{link.node}.{hint}" if hint else None
        self._add("unknown_output", id, port.name, message, str(link), names, suggestion)

    def _add(
        self,
        code: Any,
        node: str,
        input: str,
        message: str,
        given: Any = None,
        expected: Any = None,
        suggestion: str | None = None,
    ) -> None:
        problem = Problem(
            code=code, node=node, input=input, message=message, given=given, expected=expected, suggestion=suggestion
        )
        self.problems.append(problem)


def _sibling(text: str, path: Path) -> str | None:
    try:
        name = near(path.name, os.listdir(path.parent))
    except OSError:
        return None
    return str(Path(text).with_name(name)) if name else None
