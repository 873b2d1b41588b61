"""Functions that packs declare beside their nodes, called in the worker that runs the nodes.

Our own are called here: they are the engine's code as much as this is, and most documents have no others.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol

from weft.engine.catalogue.catalogue import Catalogue
from weft.engine.catalogue.code import OWN
from weft.engine.checking.checker import Checker
from weft.engine.checking.functions import HERE, LookedAt
from weft.engine.declaring.context import Context
from weft.engine.declaring.node_type import NodeType, NodeView
from weft.engine.declaring.ports import MISSING
from weft.engine.declaring.reading import reading_settings, set_reading
from weft.engine.filehash import read_state, take_down, taken_down, write_state
from weft.engine.isolation.references import reference
from weft.graphs.document import NodeSpec
from weft.graphs.inputs import read_input, write_input
from weft.graphs.problems import Problem

_numbers = itertools.count(1)

Message = dict[str, Any]


class Ask(Protocol):
    """Has a worker call a function of a node type, and waits for what it gives."""

    def __call__(
        self, node_type: NodeType, function: Message, inputs: Mapping[str, Any], before: Message | None = None
    ) -> Any:
        """Raises what the function raises, or why there is no answer.

        Args:
            function: which, and plain data about it.
            inputs: values for it.
            before: what the worker has to know first, once.
        """


class CalledThere:
    """Calls those of packs in a worker (`engine.checking.functions.Functions`)."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._graph: LookedAt | None = None
        self._message: Message = {}

    def migrate(self, node_type: NodeType, version: int, inputs: Mapping[str, Any]) -> Mapping[str, Any]:
        """See `Functions`."""
        if self._is_ours(node_type):
            return HERE.migrate(node_type, version, inputs)
        written = {name: write_input(item) for name, item in inputs.items()}
        found = self._ask(node_type, {"name": "migrate", "version": version, "inputs": written}, {})
        return {name: read_input(item) for name, item in found.items()}

    def check(self, node_type: NodeType, view: NodeView, graph: LookedAt) -> Iterable[Problem]:
        """See `Functions`."""
        if self._is_ours(node_type):
            return HERE.check(node_type, view, graph)
        if self._graph is not graph:
            self._graph, self._message = graph, graph_message(graph)
        function = {"name": "check", "graph": self._message["number"], "node": view.id}
        return [Problem.model_validate(item) for item in self._ask(node_type, function, {}, self._message)]

    def fingerprint(self, node_type: NodeType, literals: Mapping[str, Any], context: Context | None = None) -> str:
        """See `Functions`."""
        if self._is_ours(node_type):
            return HERE.fingerprint(node_type, literals, context)
        given, defaults = _without_defaults(node_type, literals)
        function: Message = {"name": "fingerprint", "defaults": defaults, "reading": reading_settings()}
        function["context"] = None
        if context is not None:
            function["context"] = {"roots": None if context.roots is None else [str(root) for root in context.roots]}
        stamp, states = self._ask(node_type, function, given)
        for state in states:
            take_down(read_state(state))
        return str(stamp)

    def needs(self, node_type: NodeType, inputs: Mapping[str, Any]) -> Iterable[Any]:
        """See `Functions`."""
        if self._is_ours(node_type):
            return HERE.needs(node_type, inputs)
        given, defaults = _without_defaults(node_type, inputs)
        counts = {name: len(item) for name, item in given.items() if type(item) is range}
        given = {name: item for name, item in given.items() if name not in counts}
        found: list[Any] = self._ask(node_type, {"name": "needs", "defaults": defaults, "counts": counts}, given)
        return found

    def _is_ours(self, node_type: NodeType) -> bool:
        return node_type.fn.__module__.startswith(OWN)


def _without_defaults(node_type: NodeType, inputs: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Inputs that have to travel, and the names of those that the other side has: a default may be any object."""
    ports = node_type.inputs
    defaults = [name for name, item in inputs.items() if name in ports and item is ports[name].default]
    return {name: item for name, item in inputs.items() if name not in defaults}, defaults


def graph_message(graph: LookedAt) -> Message:
    """A graph as plain data, for the checks in it."""
    types = {}
    for node_type in dict.fromkeys(graph.types.values()):
        try:
            types[node_type.name] = reference(node_type)
        except ValueError:
            continue  # no worker finds it: checks see it as they see one that is not installed
    return {
        "do": "graph",
        "number": next(_numbers),
        "nodes": [
            [id, spec.type, {name: write_input(item) for name, item in spec.inputs.items()}]
            for id, spec in graph.specs.items()
        ],
        "types": list(types.values()),
        "roots": None if graph.roots is None else [str(root) for root in graph.roots],
        "reading": reading_settings(),
    }


# -- in the worker


def read_graph(message: Message, types: Iterable[NodeType]) -> Checker:
    """The graph of such a message, where the types are at hand."""
    set_reading(message["reading"])
    nodes = {
        id: NodeSpec(type=type, inputs={name: read_input(item) for name, item in inputs.items()})
        for id, type, inputs in message["nodes"]
    }
    roots = None if message["roots"] is None else [Path(root) for root in message["roots"]]
    checker = Checker(nodes, Catalogue(types), roots)
    checker.types = {id: found for id, spec in nodes.items() if (found := checker.catalogue.get(spec.type)) is not None}
    return checker


def perform(node_type: NodeType, function: Message, inputs: dict[str, Any], graph: Checker | None) -> Any:
    """Call such a function; what it gives, as what can be sent."""
    ports = node_type.inputs
    inputs |= {name: ports[name].default for name in function.get("defaults", ()) if ports[name].default is not MISSING}
    match function["name"]:
        case "migrate":
            given = {name: read_input(item) for name, item in function["inputs"].items()}
            found = HERE.migrate(node_type, function["version"], given)
            return {name: write_input(item) for name, item in found.items()}
        case "fingerprint":
            set_reading(function["reading"])
            context = None if function["context"] is None else Context(**function["context"])
            with taken_down() as states:
                stamp = HERE.fingerprint(node_type, inputs, context)
            return [stamp, [write_state(state) for state in states]]
        case "needs":
            inputs |= {name: range(count) for name, count in function["counts"].items()}
            return [want if isinstance(want, str) else tuple(want) for want in HERE.needs(node_type, inputs)]
        case "check":
            assert graph is not None
            problems = HERE.check(node_type, graph.view(function["node"]), graph)
            return [json.loads(problem.model_dump_json()) for problem in problems]
        case name:
            raise RuntimeError(f"no node type has a function {name!r}")
