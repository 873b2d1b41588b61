"""Whether a document still says what it said: by the objects that it is made of, which is a matter of nanoseconds.

Texts, numbers and links cannot change, and neither can the fields of a node: where the same objects stand in the same
places, the same is said. Lists and tables can be changed in place, so what is in them is looked at too, all the way
down. Of a document with anything else in it (a graph that was put together by hand may have it) nothing is said.

Whether two documents say the same, which have no object in common, takes some ten times as long, which is still a tenth
of checking and planning one of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain
from operator import attrgetter, is_
from typing import Any

from weft.graphs.document import Link, NodeSpec, Workflow


def _same(found: Iterable[Any], known: Iterable[Any]) -> bool:
    """Whether the same objects stand in both; `==` would take True for 1."""
    return all(map(is_, found, known))


@dataclass(frozen=True, slots=True)
class _Items:
    """What stood in a list, or in a table with these keys; `deep` are those of the items that can change themselves."""

    keys: tuple[Any, ...] | None
    items: tuple[Any, ...]
    deep: tuple[tuple[int, _Items], ...]

    @classmethod
    def of(cls, value: list[Any] | tuple[Any, ...] | dict[Any, Any]) -> _Items:
        items = tuple(value.values() if isinstance(value, dict) else value)
        return cls(tuple(value) if isinstance(value, dict) else None, items, _deep(items))

    def are_in(self, value: Any) -> bool:
        if self.keys is None:
            if len(value) != len(self.items) or not _same(value, self.items):
                return False
        elif len(value) != len(self.keys) or not (_same(value, self.keys) and _same(value.values(), self.items)):
            return False
        return all(known.are_in(self.items[place]) for place, known in self.deep)

    def say(self, value: Any) -> bool:
        """Whether a list or table says the same as the one that this was made of."""
        if (tuple(value) if isinstance(value, dict) else None) != self.keys:
            return False
        items = tuple(value.values() if isinstance(value, dict) else value)
        return _equal(items, self.items, self.deep)


def _equal(items: tuple[Any, ...], known: tuple[Any, ...], deep: tuple[tuple[int, _Items], ...]) -> bool:
    """Whether values say the same as those that were known: True is not 1, nor is 0.0 the same as -0.0.

    Args:
        deep: of those that were known.
    """
    if len(items) != len(known) or not all(map(is_, map(type, items), map(type, known))) or items != known:
        return False
    zeros = [place for place, item in enumerate(known) if item == 0 and type(item) is float]
    return all(str(items[place]) == str(known[place]) for place in zeros) and all(
        table.say(items[place]) for place, table in deep
    )


def _deep(items: Iterable[Any]) -> tuple[tuple[int, _Items], ...]:
    found = []
    for place, item in enumerate(items):
        kind = type(item)
        if kind in _CONTAINERS:
            found.append((place, _Items.of(item)))
        elif kind not in _FIXED:
            raise _OtherKind(kind.__name__)
    return tuple(found)


_FIXED = frozenset({str, int, float, bool, type(None), Link})
_CONTAINERS = frozenset({list, tuple, dict})


class _OtherKind(TypeError):  # noqa: N818
    """What may change in ways that cannot be seen from here."""


_ABOUT = attrgetter("type", "version", "mode", "retry", "timeout", "model_extra")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What the nodes of a document were.

    Attributes:
        ids: of the nodes, in their order. specs: the nodes.
        counts: how many inputs each has. names, items: those of all of them, in a row.
        deep: lists and tables among the inputs.
    """

    ids: tuple[str, ...]
    specs: tuple[NodeSpec, ...]
    counts: tuple[int, ...]
    names: tuple[str, ...]
    items: tuple[Any, ...]
    deep: tuple[tuple[int, _Items], ...]

    @classmethod
    def of(cls, workflow: Workflow) -> Snapshot | None:
        """Of a workflow as it is now; None where it would not be known when it changes."""
        specs = tuple(workflow.nodes.values())
        items = tuple(item for spec in specs for item in spec.inputs.values())
        names = tuple(chain.from_iterable(spec.inputs for spec in specs))
        counts = tuple(len(spec.inputs) for spec in specs)
        try:
            deep = _deep(items)
        except (_OtherKind, RecursionError):
            return None
        return cls(tuple(workflow.nodes), specs, counts, names, items, deep)

    def holds(self, workflow: Workflow) -> bool:
        """Whether a workflow has the same nodes, with the same inputs, in the same order."""
        nodes = workflow.nodes
        if len(nodes) != len(self.ids) or not _same(nodes.values(), self.specs) or tuple(nodes) != self.ids:
            return False
        inputs = [spec.inputs for spec in nodes.values()]
        return (
            tuple(map(len, inputs)) == self.counts
            and tuple(chain.from_iterable(inputs)) == self.names
            and _same(chain.from_iterable(map(dict.values, inputs)), self.items)
            and all(known.are_in(self.items[place]) for place, known in self.deep)
        )

    def says(self, workflow: Workflow) -> bool:
        """Whether a workflow has equal nodes, with equal inputs, in the same order."""
        nodes = workflow.nodes
        if tuple(nodes) != self.ids or list(map(_ABOUT, nodes.values())) != list(map(_ABOUT, self.specs)):
            return False
        inputs = [spec.inputs for spec in nodes.values()]
        return (
            tuple(map(len, inputs)) == self.counts
            and tuple(chain.from_iterable(inputs)) == self.names
            and _equal(tuple(chain.from_iterable(map(dict.values, inputs))), self.items, self.deep)
        )


def digest(workflow: Workflow) -> int:
    """A number that documents share whose nodes are equal. Others may have it too."""
    inputs = [spec.inputs for spec in workflow.nodes.values()]
    values = tuple(item for table in inputs for item in table.values() if type(item) in _HASHED)
    return hash((tuple(workflow.nodes), values))


_HASHED = frozenset({str, int, float, bool})
