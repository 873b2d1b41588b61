"""What is found out about a graph that a node returned: is it right, and in which order do its nodes come?

Most nodes return one graph again and again with other values in it, as a loop does in each round. So what depends on
its form alone (the nodes, their types, its links, the kinds of its values) is found out once; the values themselves,
files that it names, and what nodes check of their own are looked at each time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from weft.engine.checking.again import CheckedForm
from weft.engine.declaring.constant import Constant
from weft.engine.declaring.node_type import NodeType
from weft.engine.planning.expansion import Expansion
from weft.graphs.document import Link, NodeSpec

FORMS = 256
"""How many forms a run remembers."""


@dataclass(frozen=True, slots=True)
class ReturnedForm:
    """How a returned graph is planned.

    Attributes:
        given: the nodes that stand for given values.
        types: what their types are, where the catalogue does not say so by name.
        results: what the outputs of the node are that returned it.
        ends: the nodes that have to be done, each once. order: all that these need, each after what it needs.
        tail: the one node that the graph comes to; "" where there are several.
        mapped: whether something in it runs per item.
        checked: what of its check holds for other graphs of this form; None where there is no such thing.
    """

    given: Mapping[str, NodeSpec]
    types: Mapping[str, NodeType]
    results: tuple[Link, ...]
    ends: tuple[str, ...]
    order: tuple[str, ...]
    tail: str
    mapped: bool
    checked: CheckedForm | None


class ReturnedForms:
    """The forms of the graphs that nodes of one run returned, and the types of what these were given."""

    def __init__(self) -> None:
        self._known: dict[tuple[Any, ...], ReturnedForm] = {}
        self._returned: set[NodeType] = set()
        self._constants: dict[tuple[int, str], tuple[type, Constant]] = {}

    def constant(self, value: Any, output: str = "value") -> Constant:
        """The type of what stands for a value: one object for all values of a class."""
        kind = type(value)
        # By number, with the class beside it: what a class is equal to, its own class may decide.
        known = self._constants.get((id(kind), output))
        if known is None:
            # Of a value in another process only that process knows the class.
            tp = Any if getattr(kind, "stands_for_another", False) else kind
            known = self._constants[id(kind), output] = kind, Constant(tp, output, len(self._constants))
        return known[1]

    def key(self, node_type: NodeType, graph: Expansion) -> tuple[Any, ...] | None:
        """What graphs of one form share; None for the first one that nodes of a type return: many return one alone."""
        if node_type in self._returned:
            return (node_type, *self._row(graph))
        self._returned.add(node_type)
        return None

    def get(self, key: tuple[Any, ...]) -> ReturnedForm | None:
        """The form of that key, if it is known."""
        return self._known.get(key)

    def remember(self, key: tuple[Any, ...], form: ReturnedForm) -> None:
        """Know a form from now on."""
        if len(self._known) >= FORMS:
            self._known.clear()
        self._known[key] = form

    def _row(self, graph: Expansion) -> list[Any]:
        """All of a graph but the values of its literals, in a row that can be read in one way only."""
        row: list[Any] = [len(graph.nodes)]
        for id_, spec in graph.nodes.items():
            inputs = spec.inputs
            row += (id_, spec.type, spec.version, spec.mode, len(inputs))
            for name, item in inputs.items():
                kind = type(item)
                if kind is Link:
                    row += (name, Link, item.node, item.output)
                elif kind is list:
                    row += (name, list, len(item))
                    for part in item:
                        if type(part) is Link:
                            row += (Link, part.node, part.output)
                        else:
                            row.append(type(part))
                else:
                    row += (name, kind)
        row.append(len(graph.values))
        for id_, value in graph.values.items():
            row += (id_, self.constant(value))
        row.append(len(graph.results))
        for link in graph.results:
            row += (link.node, link.output)
        for name, item in graph.declarations.items():
            if isinstance(item, NodeType):
                row += (name, item)
        return row
