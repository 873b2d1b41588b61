"""A graph that a node returned, to be run in its place: `Graph` as the function made it, taken apart.

@node("twice")
def twice(image: Image) -> Image | Graph:
    with Graph() as g:
        g.returns(sharpen(sharpen(g.given(image))))
    return g
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from weft.engine.catalogue.modules import loaded
from weft.engine.declaring.node_type import NodeType
from weft.engine.plain import canonical, pack
from weft.graphs.builder import Graph
from weft.graphs.definitions import inline
from weft.graphs.document import Link, NodeSpec, Workflow
from weft.graphs.limits import LIMITS

Place = tuple[str, int | None]
"""An input, or one item of an input that is a list."""

_PLAIN = (str, int, float, bool, type(None))


@dataclass(slots=True)
class Expansion:
    """What is to run in a node's place.

    Attributes:
        nodes: by id.
        results: per output of the node, what it is; empty when nothing was said.
        values: what the graph was given, by the id that stands for it.
        places: those of them that came in by an input of the node, so that their keys are known.
        declarations: what the graph called, by type name.
    """

    nodes: dict[str, NodeSpec]
    results: tuple[Link, ...]
    values: dict[str, Any] = field(default_factory=dict)
    places: dict[str, Place] = field(default_factory=dict)
    declarations: Mapping[str, object] = field(default_factory=dict)

    @classmethod
    def of(cls, graph: Graph, inputs: Mapping[str, Any]) -> Expansion:
        """Take a recorded graph apart.

        Args:
            inputs: what the node was called with.
        """
        values = dict(graph.values)
        known: dict[int, Place] = {}
        for name, item in inputs.items():
            known.setdefault(id(item), (name, None))
        for name, item in inputs.items():
            if type(item) is list:
                for index, part in enumerate(item):
                    known.setdefault(id(part), (name, index))
        places = {id_: known[id(value)] for id_, value in values.items() if id(value) in known}
        if not graph.definitions:
            return cls(graph.specs(), graph.results, values, places, graph.declarations)
        workflow = graph.workflow(given=True)
        return cls(*_plain_nodes(workflow, graph.results), values, places, graph.declarations)

    # A graph that was made in another process: the values that are inputs stay here, the others travel.

    def to_message(self) -> dict[str, Any]:
        """Everything but the values, as plain data."""
        return {
            "nodes": {id: spec.to_dict() for id, spec in self.nodes.items()},
            "results": [str(link) for link in self.results],
            "values": list(self.values),
            "places": {id: list(place) for id, place in self.places.items()},
            "called": {
                name: [item.fn.__module__, item.fn.__qualname__]
                for name, item in self.declarations.items()
                if isinstance(item, NodeType)
            },
        }

    def carried(self) -> list[Any]:
        """The values that the other side does not have."""
        return [value for id, value in self.values.items() if id not in self.places]

    @classmethod
    def of_message(cls, message: Mapping[str, Any], carried: list[Any], inputs: Mapping[str, Any]) -> Expansion:
        """The graph again, where the node's inputs are at hand."""
        places: dict[str, Place] = {id: (name, index) for id, (name, index) in message["places"].items()}
        rest = iter(carried)
        values = {}
        for id in message["values"]:
            if id in places:
                name, index = places[id]
                values[id] = inputs[name] if index is None else inputs[name][index]
            else:
                values[id] = next(rest)
        workflow = Workflow.parse({"weft": 1, "nodes": message["nodes"]}, replace(LIMITS, max_nodes=1 << 60))
        results = tuple(map(Link.parse, message["results"]))
        # Only what is imported here anyway: the other process is not to say what this one imports.
        called = {name: found for name, where in message["called"].items() if (found := loaded(name, *where))}
        return cls(dict(workflow.nodes), results, values, places, called)


def _plain_nodes(workflow: Workflow, results: tuple[Link, ...]) -> tuple[dict[str, NodeSpec], tuple[Link, ...]]:
    """The nodes with those inside definitions, under ids that a document may have, and where the results are."""
    inlined = inline(workflow)
    short: dict[str, str] = {}
    for id in inlined.workflow.nodes:
        name = id.replace("/", "-")
        short[id] = name if len(name) <= 64 and (name == id or name not in workflow.nodes) else f"inside-{len(short)}"

    def renamed(item: Any) -> Any:
        if isinstance(item, Link):
            return Link(short.get(item.node, item.node), item.output)
        return [renamed(part) for part in item] if isinstance(item, list) else item

    nodes = {
        short[id]: spec.model_copy(update={"inputs": {name: renamed(item) for name, item in spec.inputs.items()}})
        for id, spec in inlined.workflow.nodes.items()
    }
    return nodes, tuple(renamed(Link.parse(inlined.target(str(link))[0])) for link in results)


def given_key(value: Any, otherwise: tuple[bytes | str | int, ...]) -> bytes:
    """The key of a value that no link leads to: by content where it is plain data, else by who gave it as which."""
    if _is_plain(value):
        # What is too deep, or has keys of kinds that cannot be told apart, is known by who gave it.
        with contextlib.suppress(TypeError, ValueError, RecursionError):
            return hashlib.blake2b(pack(["weft.given", canonical(value)]), digest_size=20).digest()
    return hashlib.blake2b(pack(["weft.given by", *otherwise]), digest_size=20).digest()


def _is_plain(value: Any) -> bool:
    stack = [value]
    while stack:
        item = stack.pop()
        if type(item) is list:
            stack.extend(item)
        elif type(item) is dict:
            stack.extend(item.values())
        elif type(item) not in _PLAIN:
            return False
    return True
