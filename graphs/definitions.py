"""Definitions: graphs that stand in a document under a name and are used as the type of a node.

    "definitions": {
      "styled": {
        "inputs":  {"model": {"type": "Model"}, "text": {"default": "a circle"}},
        "nodes":   {"prompt": {"type": "encode_prompt", "inputs": {"model": {"link": "inputs.model"},
                                                                   "text": {"link": "inputs.text"}}}},
        "outputs": {"prompt": {"link": "prompt"}}
      }
    },
    "nodes": {"red": {"type": "styled", "inputs": {"model": {"link": "model"}, "text": "a red circle"}}}

Nothing runs a definition: before anything else looks at a workflow, each node of such a type is replaced by the nodes
inside (`inline`), here by `red/prompt`. So what is inside has the keys, events and errors that it would have outside.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from weft.graphs.document import Definition, NodeSpec, Workflow, dependencies
from weft.graphs.inputs import Link
from weft.graphs.limits import LIMITS, Limits
from weft.graphs.order import cycles, topological
from weft.graphs.problems import Problem, near, shown

INPUTS = "inputs"
"""Inside a definition, links to this "node" lead to what the definition is given."""


class _Absent:
    """What an input is that nobody gives and that has no default."""

    def __repr__(self) -> str:
        return "ABSENT"


ABSENT = _Absent()


@dataclass(slots=True)
class Use:
    """A node whose type is a definition.

    Attributes:
        path: its id; within other definitions with the ids of the nodes around it, as in `red/inner`.
        given: its inputs as the nodes inside get them; links lead to nodes that are no uses.
        outputs: its outputs, likewise.
        feeds: input -> the (node, input) inside that it goes to as a whole.
    """

    path: str
    definition: str
    spec: NodeSpec
    given: dict[str, Any] = field(default_factory=dict)
    outputs: dict[str, Any] = field(default_factory=dict)
    feeds: dict[str, list[tuple[str, str]]] = field(default_factory=dict)


@dataclass(slots=True)
class Inlined:
    """A workflow without definitions, and how it came about.

    Attributes:
        workflow: its nodes; those from inside definitions have ids like `red/prompt`.
        problems: inputs and outputs that definitions do not have.
        places: (node, input) inside -> the (node, input) around it that says its value.
        uses: nodes whose type was a definition, by path.
    """

    workflow: Workflow
    problems: list[Problem] = field(default_factory=list)
    places: dict[tuple[str, str], tuple[str, str]] = field(default_factory=dict)
    uses: dict[str, Use] = field(default_factory=dict)

    def target(self, text: str) -> list[str]:
        """What the target `node` or `node.output` is without definitions.

        A use alone stands for all its outputs; one without outputs for its nodes that nobody takes anything from.
        """
        node, dot, output = text.partition(".")
        use = self.uses.get(node)
        if use is None or (dot and output not in use.outputs):
            return [text]
        if use.outputs:
            items = [use.outputs[output]] if dot else list(use.outputs.values())
            return [str(item) for item in items if isinstance(item, Link)] or [text]
        inside = [id for id in self.workflow.nodes if id.startswith(f"{node}/")]
        taken = {link.node for _, _, link in self.workflow.links()}
        return [id for id in inside if id not in taken] or [text]

    @property
    def aliases(self) -> dict[str, str]:
        """`red` and `red.prompt` -> the output inside that they stand for."""
        found: dict[str, str] = {}
        for path, use in self.uses.items():
            for name, item in use.outputs.items():
                if isinstance(item, Link):
                    found.setdefault(path, str(item))
                    found[f"{path}.{name}"] = str(item)
        return found


# -- form


def definition_problems(workflow: Workflow, limits: Limits = LIMITS) -> Iterator[Problem]:
    """What is wrong with the definitions themselves, and with how much they would be. Linear in what is written."""
    definitions = workflow.definitions
    for name, definition in definitions.items():
        for problem in _body(name, definition):
            where = f"Definition {shown(name)}" + (f", node {shown(problem.node)}" if problem.node else "")
            where += f", input {shown(problem.input)}" if problem.input else ""
            yield problem.model_copy(update={"node": None, "input": None, "message": f"{where}: {problem.message}"})
    uses = {
        name: [spec.type for spec in definition.nodes.values() if spec.type in definitions]
        for name, definition in definitions.items()
    }
    circles = cycles(uses)
    for circle in circles:
        message = f"Definitions contain themselves: {' -> '.join([*circle, circle[0]])}."
        yield Problem(code="cycle", message=message, given=circle)
    if circles:
        return
    sizes: dict[str, int] = {}
    depths: dict[str, int] = {}
    for name in topological(uses):
        # Numbers of any size are no trouble to add up, unlike the nodes that they count.
        sizes[name] = sum(1 + sizes.get(spec.type, 0) for spec in definitions[name].nodes.values())
        depths[name] = 1 + max((depths[inner] for inner in uses[name]), default=0)
    if deep := [name for name in definitions if depths[name] > limits.max_inside]:
        message = f"The definition {shown(deep[0])} has {depths[deep[0]]} definitions inside each other;"
        yield Problem(code="too_large", message=f"{message} at most {limits.max_inside} may be.", given=deep[0])
    count = sum(1 + sizes.get(spec.type, 0) for spec in workflow.nodes.values())
    if count > limits.max_nodes:
        message = f"With those inside of definitions there are {count:,} nodes; at most {limits.max_nodes:,} may be."
        yield Problem(code="too_large", message=message, given=count, expected=limits.max_nodes)


def _body(name: str, definition: Definition) -> Iterator[Problem]:
    nodes = definition.nodes
    if INPUTS in nodes:
        message = 'The id "inputs" stands for what the definition is given, so no node inside can have it.'
        yield Problem(code="bad_document", node=INPUTS, message=message, given=INPUTS)
    links = chain(
        ((id, input, link) for id, spec in nodes.items() for input, link in spec.links()),
        ((None, None, output.link) for output in definition.outputs.values()),
    )
    for id, input, link in links:
        where: dict[str, Any] = {"node": id, "input": input, "given": str(link)}
        if link.node == INPUTS:
            if link.output not in definition.inputs:
                has = ", ".join(definition.inputs) or "none"
                match = near(link.output or "", definition.inputs)
                message = f"There is no input {shown(link.output or '')} of the definition; it has {has}."
                hint = f"{INPUTS}.{match}" if match else None
                yield Problem(code="unknown_link", message=message, suggestion=hint, **where)
        elif link.node not in nodes:
            match = near(link.node, nodes)
            message = f"The link {shown(str(link))} leads to a node that is not inside the definition."
            hint = str(Link(match, link.output)) if match else None
            yield Problem(code="unknown_link", message=message, suggestion=hint, **where)
    for cycle in cycles(dependencies(nodes)):
        names = " <- ".join([*cycle[:12], cycle[0]])
        message = f"Nodes depend on each other in a circle: {names}. Remove one of these links."
        yield Problem(code="cycle", node=cycle[0], message=message, given=cycle)


# -- inlining


def inline(workflow: Workflow) -> Inlined:
    """The workflow with every node whose type is a definition replaced by the nodes inside.

    The workflow's form has to be right (`graphs.form`). Returns the same workflow when nothing is to be replaced.
    A use that is muted stays as it is, since nothing inside will run; `engine.modes` sees to bypassed ones.
    """
    if not any(spec.type in workflow.definitions for spec in workflow.nodes.values()):
        return Inlined(workflow)
    return _Inliner(workflow).inlined()


@dataclass(slots=True, eq=False)
class _Scope:
    """A body that is being laid out: the document's own, or that of one use."""

    prefix: str
    nodes: Mapping[str, NodeSpec]
    parent: _Scope | None = None
    use: Use | None = None
    inner: dict[str, _Scope] = field(default_factory=dict)


class _Inliner:
    def __init__(self, workflow: Workflow) -> None:
        self.workflow = workflow
        self.definitions = workflow.definitions
        self.result = Inlined(workflow)
        self.found: dict[tuple[int, Link], Any] = {}
        """Where links lead, by scope: a long way through uses is walked once."""
        self.scopes: list[_Scope] = []

    def inlined(self) -> Inlined:
        result = self.result
        self._lay_out(_Scope("", self.workflow.nodes))
        nodes: dict[str, NodeSpec] = {}
        for scope in self.scopes:
            for id, spec in scope.nodes.items():
                path = scope.prefix + id
                if id in scope.inner:
                    self._finish(scope.inner[id], scope)
                else:
                    nodes[path] = self._node(scope, path, spec)
        result.workflow = self.workflow.model_copy(update={"nodes": nodes, "definitions": {}})
        return result

    def _lay_out(self, scope: _Scope) -> None:
        """Scopes in order, each before those inside it. As deep as definitions are, which is bounded."""
        self.scopes.append(scope)
        for id, spec in scope.nodes.items():
            definition = self.definitions.get(spec.type)
            if definition is None:
                continue
            path = scope.prefix + id
            self._check_use(path, spec, definition)
            if spec.mode != "mute":
                use = self.result.uses[path] = Use(path, spec.type, spec)
                scope.inner[id] = _Scope(f"{path}/", definition.nodes, scope, use)
                self._lay_out(scope.inner[id])

    def _check_use(self, path: str, spec: NodeSpec, definition: Definition) -> None:
        names = list(definition.inputs)
        for name in spec.inputs:
            if name not in definition.inputs:
                message = f"The definition {spec.type} has no input {shown(name)}; it has {', '.join(names) or 'none'}."
                self._problem("unknown_input", path, name, message, name, names, near(name, names))
        if spec.version is not None:
            message = f"{spec.type} is a definition of the document, which has no versions."
            self._problem("unknown_version", path, None, message, spec.version, None, None)

    def _node(self, scope: _Scope, path: str, spec: NodeSpec) -> NodeSpec:
        if scope.parent is None and not any(link.node in scope.inner for _, link in spec.links()):
            return spec
        inputs = {}
        for name, item in spec.inputs.items():
            if isinstance(item, Link) and item.node == INPUTS and scope.use is not None:
                self._feed(scope, item.output or "", path, name)
            value = self._value(scope, item, path, name)
            if value is not ABSENT:
                inputs[name] = value
        return spec.model_copy(update={"inputs": inputs})

    def _feed(self, scope: _Scope, name: str, path: str, input: str) -> None:
        """Note that an input inside is said by the use around it, and by which one in the end."""
        while scope.use is not None and scope.parent is not None:
            scope.use.feeds.setdefault(name, []).append((path, input))
            self.result.places[path, input] = (scope.use.path, name)
            item = scope.use.spec.inputs.get(name)
            if not (isinstance(item, Link) and item.node == INPUTS and item.output):
                return
            scope, name = scope.parent, item.output

    def _finish(self, inner: _Scope, outer: _Scope) -> None:
        """What a use is given and gives, in terms of nodes that are no uses."""
        use = inner.use
        assert use is not None
        definition = self.definitions[use.definition]
        for name in definition.inputs:
            use.given[name] = self._follow(inner, Link(INPUTS, name), use.path, name)
        for name, output in definition.outputs.items():
            use.outputs[name] = self._follow(inner, output.link, use.path, name)

    def _value(self, scope: _Scope, item: Any, path: str, input: str) -> Any:
        if isinstance(item, Link):
            return self._follow(scope, item, path, input)
        if not isinstance(item, list) or not any(isinstance(part, Link) for part in item):
            return item
        parts = [self._follow(scope, part, path, input, True) if isinstance(part, Link) else part for part in item]
        if any(map(_has_links, parts)):
            message = "A list of links cannot stand in another list: link to it without brackets."
            self._problem("type_mismatch", path, input, message, None, None, None)
            return [part for part in parts if not isinstance(part, list)]
        return [part for part in parts if part is not ABSENT]

    def _follow(self, scope: _Scope, link: Link, path: str, input: str, in_list: bool = False) -> Any:
        """What a link comes to: a link to a node that is no use, a literal, a list, or ABSENT."""
        way: list[tuple[int, Link]] = []
        item: Any = link
        at: _Scope = scope
        while isinstance(item, Link):
            step = (id(at), item)
            if step in self.found:
                item = self.found[step]
                break
            way.append(step)
            if item.node == INPUTS and at.use is not None and at.parent is not None:
                name = item.output or ""
                port = self.definitions[at.use.definition].inputs[name]
                default = port.default if port.has_default else ABSENT
                item, at = at.use.spec.inputs.get(name, default), at.parent
                if _has_links(item):
                    if in_list:
                        return item  # refused by who asked; following it would recurse as deep as the graph is long
                    item = self._value(at, item, path, input)
            elif item.node in at.inner:
                at, item = self._output(at, item, path, input)
                if item is ABSENT:
                    break
            else:
                item = Link(at.prefix + item.node, item.output)
                break
        for step in way:
            self.found[step] = item
        return item

    def _output(self, scope: _Scope, link: Link, path: str, input: str) -> tuple[_Scope, Any]:
        inner = scope.inner[link.node]
        assert inner.use is not None
        outputs = self.definitions[inner.use.definition].outputs
        name = link.output if link.output is not None else next(iter(outputs), None)
        if name in outputs:
            return inner, outputs[name].link
        has = ", ".join(outputs) or "none"
        message = f"The definition {inner.use.definition} has no output {shown(link.output or '')}; it has {has}."
        match = near(link.output or "", outputs)
        hint = f"{link.node}.{match}" if match else None
        self._problem("unknown_output", path, input, message, str(link), list(outputs), hint)
        return inner, ABSENT

    def _problem(
        self, code: Any, node: str, input: str | None, message: str, given: Any, expected: Any, hint: str | None
    ) -> None:
        problem = Problem(
            code=code, node=node, input=input, message=message, given=given, expected=expected, suggestion=hint
        )
        self.result.problems.append(problem)


def _has_links(item: Any) -> bool:
    return isinstance(item, list) and any(isinstance(part, Link) for part in item)
