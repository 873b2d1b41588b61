"""What `map_over` and `collect` mean for the nodes between them: over which lists each node runs, once per item.

Every list has an axis. A node that takes items of several axes runs for every combination of them; lists of one axis
are taken item by item together. `map_over` without a name of its own takes the axis of its depth, so two of them side
by side go together, and one on the items of another is nested in it.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from weft.engine.declaring.node_type import NodeType
from weft.graphs.document import Link, NodeSpec
from weft.graphs.inputs import links_in
from weft.graphs.problems import Problem, near

Axes = tuple[str, ...]
"""Axes, the outermost first."""

_GATHER = ">"
"""Stands in the ids of the steps that gather the results of a target that runs once per item."""


def is_gathering(id: str) -> bool:
    """Whether an id is that of a step which gathers a target's items."""
    return _GATHER in id


def target_of(id: str) -> str:
    """The target whose items a step gathers; the id itself for all other steps."""
    return id.partition(_GATHER)[0]


def own_name(type_name: str) -> str:
    """The name of a node type as the document has it, also for the steps that gather its items."""
    return type_name.lstrip(_GATHER)


@dataclass(frozen=True, slots=True)
class Region:
    """What one `collect` repeats per item.

    Attributes:
        axis: the axis that it goes along.
        spreads: the `map_over` nodes whose lists have that axis.
        members: the nodes that run for each item, each after what it needs.
        outside: the nodes that they take something from and that run once.
    """

    axis: str
    spreads: tuple[str, ...]
    members: tuple[str, ...]
    outside: tuple[str, ...]


@dataclass(slots=True)
class Maps:
    """The axes of one graph.

    Attributes:
        runs: over which axes a node runs, by id; the nodes that run once are left out.
        axis: the axis of each `map_over`, and the one that each `collect` gathers.
        inside: per axis, the axes on whose items its lists depend.
        unfilled: as the document has them, the nodes of which planning filled in inputs (`AxesOf`).
    """

    specs: Mapping[str, NodeSpec]
    position: Mapping[str, int]
    runs: dict[str, Axes] = field(default_factory=dict)
    makes: dict[str, Axes] = field(default_factory=dict)
    axis: dict[str, str] = field(default_factory=dict)
    spreads: set[str] = field(default_factory=set)
    inside: dict[str, set[str]] = field(default_factory=dict)
    unfilled: Mapping[str, NodeSpec] = field(default_factory=dict)
    _regions: dict[tuple[str, frozenset[str]], Region] = field(default_factory=dict)

    def repeated(self, id: str, bound: frozenset[str]) -> bool:
        """Whether a node still runs more than once when there is one item of each axis in `bound`."""
        return any(axis not in bound for axis in self.runs.get(id, ()))

    def region(self, collect: str, bound: frozenset[str]) -> Region:
        """What a `collect` repeats where there is one item of each axis in `bound`."""
        known = self._regions.get((collect, bound))
        if known is not None:
            return known
        axis = self.axis[collect]
        spreads: list[str] = []
        members: list[str] = []
        outside: list[str] = []
        seen: set[str] = set()
        stack = [link.node for item in self.specs[collect].inputs.values() for link in links_in(item)]
        while stack:
            id = stack.pop()
            if id in seen:
                continue
            seen.add(id)
            if id in self.spreads and self.axis[id] == axis and not self.repeated(id, bound):
                spreads.append(id)
            elif self.repeated(id, bound):
                members.append(id)
                stack.extend(link.node for item in self.specs[id].inputs.values() for link in links_in(item))
            else:
                outside.append(id)
        place = self.position.__getitem__
        found = Region(
            axis,
            tuple(sorted(spreads, key=place)),
            tuple(sorted(members, key=place)),
            tuple(sorted(outside, key=place)),
        )
        self._regions[collect, bound] = found
        return found


def has_maps(types: Iterable[NodeType]) -> bool:
    """Whether there is anything to find out."""
    return any(node_type.flow in ("map", "collect") for node_type in types)


def find_axes(
    specs: Mapping[str, NodeSpec], types: Mapping[str, NodeType], order: Sequence[str]
) -> tuple[Maps, list[Problem]]:
    """The axes of each node, and what is wrong with them.

    Args:
        order: the nodes to look at, each after what it links to.
    """
    maps = Maps(specs, {id: place for place, id in enumerate(order)})
    problems: list[Problem] = []
    for id in order:
        inputs = specs[id].inputs
        axes: Axes = ()
        # In the order of the node's own inputs: how a file lists them must not decide which axis is the inner one.
        for name in types[id].inputs:
            for link in links_in(inputs.get(name)):
                made = maps.makes.get(link.node)
                if made and made != axes:
                    axes += tuple(axis for axis in made if axis not in axes)
        flow = types[id].flow
        makes = axes
        if flow == "map":
            makes = _map(maps, id, axes, inputs, problems)
        elif flow == "collect":
            axes = makes = _collect(maps, id, axes, inputs, problems)
        if axes:
            maps.runs[id] = axes
        if makes:
            maps.makes[id] = makes
    return maps, problems


def _map(maps: Maps, id: str, axes: Axes, inputs: Mapping[str, Any], problems: list[Problem]) -> Axes:
    name = inputs.get("axis", "")
    if not isinstance(name, str):
        problems.append(_unknown(id, name))
        return axes
    axis = name or f"#{len(axes)}"
    if axis in axes:
        message = f"The axis {name!r} is in use above: a list on items of another has an axis of its own."
        problems.append(Problem(code="conflict", node=id, input="axis", message=message, given=name))
        return axes
    maps.spreads.add(id)
    maps.axis[id] = axis
    maps.inside.setdefault(axis, set()).update(axes)
    return (*axes, axis)


def _collect(maps: Maps, id: str, axes: Axes, inputs: Mapping[str, Any], problems: list[Problem]) -> Axes:
    name = inputs.get("axis", "")
    if not isinstance(name, str):
        problems.append(_unknown(id, name))
        return axes
    names = [_shown(axis) for axis in axes]
    if not axes:
        message = "Nothing above runs once per item: put a map_over before it."
        problems.append(Problem(code="conflict", node=id, input="item", message=message))
        return axes
    axis = name or axes[-1]
    if axis not in axes:
        message = f"There is no axis {name!r} above; there are {', '.join(names)}."
        problems.append(
            Problem(
                code="not_a_choice", node=id, input="axis", message=message, given=name, expected=names,
                suggestion=near(name, names),
            )
        )  # fmt: skip
        return axes
    rest = tuple(other for other in axes if other != axis)
    if stuck := [other for other in rest if axis in maps.inside.get(other, ())]:
        message = f"The lists of {_shown(stuck[0])} differ from item to item of {_shown(axis)}: gather them first."
        problems.append(Problem(code="conflict", node=id, input="axis", message=message, given=name))
        return rest
    maps.axis[id] = axis
    return rest


def _unknown(id: str, given: Any) -> Problem:
    message = "The axis has to be known before anything runs, so it cannot be linked."
    return Problem(code="bad_value", node=id, input="axis", message=message, given=str(given), expected="a text")


def _shown(axis: str) -> str:
    return "the one without a name" if axis == "#0" else axis


def gathered(
    specs: Mapping[str, NodeSpec], types: Mapping[str, NodeType], maps: Maps, target: str
) -> tuple[dict[str, NodeSpec], dict[str, NodeType]]:
    """The nodes that gather a target which runs once per item, one for each of its axes; the last is the result."""
    more: dict[str, NodeSpec] = {}
    more_types: dict[str, NodeType] = {}
    source = target
    for place in range(len(maps.makes.get(target, ()))):
        id = f"{target}{_GATHER}{place}"
        more[id] = NodeSpec(type=f"{_GATHER}{types[target].name}", inputs={"item": Link(source)})
        more_types[id] = _gather_type(types[target])
        source = id
    return more, more_types


@functools.lru_cache(maxsize=256)
def _gather_type(node_type: NodeType) -> NodeType:
    """A `collect` of all outputs of a type at once."""

    def gather(item: Any) -> Any:
        return item

    made = NodeType(
        gather, f"{_GATHER}{node_type.name}", node_type.version, "", cache="pure", fingerprint=None, resource="cpu",
        output=False, side_files=False, tags=(), check=None, migrations={}, flow="collect",
    )  # fmt: skip
    made.__dict__["outputs"] = node_type.outputs
    return made
