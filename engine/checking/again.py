"""A graph that was found right, looked at again: what cannot have changed since is not asked a second time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from weft.engine.catalogue.catalogue import Catalogue
from weft.engine.checking.checker import Checker
from weft.engine.checking.functions import Functions
from weft.engine.declaring.node_type import NodeType
from weft.engine.declaring.ports import Port
from weft.graphs.document import NodeSpec
from weft.graphs.inputs import Link

_SCALARS = frozenset({str, int, float, bool, type(None)})


@dataclass(frozen=True, slots=True)
class CheckedForm:
    """What stays true of a graph without errors while its nodes, their types and its links stay.

    Attributes:
        types: of its nodes, by id.
        literals: node, port and value of each input that is given as a value, or as a list with values in it.
        paths: those among them that name files or folders, which come and go.
        checked: the nodes whose type has a check of its own. It may look at files, and at everything around the node.
    """

    types: Mapping[str, NodeType]
    literals: Sequence[tuple[str, Port, Any]]
    paths: Sequence[tuple[str, Port, Any]]
    checked: Sequence[str]

    @classmethod
    def of(cls, specs: Mapping[str, NodeSpec], catalogue: Catalogue) -> CheckedForm:
        """Of a graph that was checked and has no errors."""
        types: dict[str, NodeType] = {}
        literals: list[tuple[str, Port, Any]] = []
        for id, spec in specs.items():
            node_type = catalogue.get(spec.type)
            if node_type is None:
                raise LookupError(f"node {id!r} has the unknown type {spec.type!r}")
            types[id] = node_type
            for name, item in spec.inputs.items():
                kind = type(item)
                if kind is not Link and (kind is not list or any(type(part) is not Link for part in item)):
                    literals.append((id, node_type.inputs[name], _fixed(item)))
        paths = [place for place in literals if place[1].widget is not None and place[1].is_path]
        return cls(types, literals, paths, [id for id, node_type in types.items() if node_type.check is not None])

    def holds(
        self, specs: Mapping[str, NodeSpec], catalogue: Catalogue, roots: Sequence[Path] | None, functions: Functions
    ) -> bool:
        """Whether a graph is right that differs from the one this was made of in the values of literals alone.

        Args:
            specs: its nodes. Where they are wrong, a whole check says why.
        """
        others: list[tuple[str, Port, Any]] = []
        for place in self.literals:
            id, port, was = place
            item = specs[id].inputs[port.name]
            if not _same(item, was):
                others.append(place)
        return self._holds([*others, *self.paths], specs, catalogue, roots, functions)

    def still_holds(
        self, specs: Mapping[str, NodeSpec], catalogue: Catalogue, roots: Sequence[Path] | None, functions: Functions
    ) -> bool:
        """Whether the graph that this was made of is right now: what it is about may have changed."""
        return self._holds(self.paths, specs, catalogue, roots, functions)

    def _holds(
        self,
        places: Sequence[tuple[str, Port, Any]],
        specs: Mapping[str, NodeSpec],
        catalogue: Catalogue,
        roots: Sequence[Path] | None,
        functions: Functions,
    ) -> bool:
        if not places and not self.checked:
            return True
        checker = Checker(specs, catalogue, None if roots is None else list(roots), functions)
        for id, port, _ in places:
            checker.literal(id, port, specs[id].inputs[port.name])
        if checker.problems:
            return False
        if self.checked:
            checker.types = dict(self.types)
            for id in self.checked:
                checker.own_check(id)
        return not any(problem.severity == "error" for problem in checker.problems)


def _fixed(item: Any) -> Any:
    """A value in a form that nobody can change in place, for `_same`."""
    kind = type(item)
    if kind in _SCALARS:
        return item
    if kind is list and all(type(part) in _SCALARS for part in item):
        return tuple(item)
    return _Changing


def _same(item: Any, was: Any) -> bool:
    """Whether a value is known to be the one that `was` was made of: of one type too, as `1 == True`."""
    kind = type(item)
    if kind in _SCALARS:
        return item is was or (type(was) is kind and bool(item == was))
    if kind is not list or type(was) is not tuple or len(item) != len(was):
        return False
    return all(
        one is other or (type(one) is type(other) and one == other) for one, other in zip(item, was, strict=True)
    )


class _Changing:
    """In the place of what is looked at each time."""
