"""The part of a document that makes one picture of many: one item of its lists, and nothing that it does not need."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from weft.engine.planning.plan import Plan, reachable
from weft.engine.planning.steps import Item, Step
from weft.graphs.document import Link, NodeSpec, Workflow, dependencies
from weft.graphs.inputs import links_in
from weft.graphs.order import needed_by

_MAX_TEXT = 10_000
"""Characters of an item's value that a document or a report repeats."""

Values = Mapping[str, Mapping[str, Any]]
"""Inputs to set, by node."""


def alone(document: Workflow, plan: Plan, step: Step, inputs: Mapping[str, Any]) -> tuple[Workflow, list[Item]]:
    """The document that makes what one step makes, and the items that no document can be narrowed to.

    Lists are narrowed to the step's items; nodes that it does not need are left out. A step inside a definition, or
    one that runs for a list there, gets a document in which the definitions are written out as plain nodes.

    Args:
        inputs: to set on the node itself, as for one image of a batch.
    """
    node = node_of(step)
    needed = reachable(plan.root.specs, [node])[0]
    rest: list[Item] = []
    values: dict[str, dict[str, Any]] = {}
    for item in step.items:
        lists = _narrowed(plan, item, needed)
        if lists is None:
            rest.append(item)
        else:
            values |= {spread: {"items": items} for spread, items in lists.items()}
    if inputs and step.scope.visible is None:
        values[node] = {**values.get(node, {}), **inputs}
    if "/" in node or any("/" in id for id in values):
        unfilled = plan.root.maps.unfilled if plan.root.maps is not None else {}
        return _flat(document, {**plan.root.specs, **unfilled}, needed, values), rest
    return _part(document, node, values), rest


def node_of(step: Step) -> str:
    """The node of the document, or inside its definitions, that a step belongs to."""
    return step.scope.visible or step.id


def plain_value(item: Item, spread: str) -> Any:
    """What the item is, where JSON can say it in a few words; None otherwise."""
    value = item.values.get(spread)
    if isinstance(value, str) and len(value) > _MAX_TEXT:
        return None
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        return None
    return value


def _narrowed(plan: Plan, item: Item, needed: Iterable[str]) -> dict[str, list[Any]] | None:
    """The lists of one item by `map_over` node; None where they cannot be written, or something needs all of them."""
    if item.shown is not None:
        return None
    specs, maps = plan.root.specs, plan.root.maps
    needed = list(needed)
    spreads = [spread for spread in item.spreads if spread in needed]
    if maps is not None:
        for id in needed:
            # Where the picture also takes what was gathered of all items, a shorter list makes another picture.
            if (
                id not in maps.spreads
                and maps.axis.get(id) == item.axis
                and not set(spreads).isdisjoint(reachable(specs, [id])[0])
            ):
                return None
    lists: dict[str, list[Any]] = {}
    for spread in spreads:
        items, value = specs[spread].inputs.get("items"), plain_value(item, spread)
        if isinstance(items, list) and item.index < len(items):
            lists[spread] = [items[item.index]]
        elif value is not None:
            lists[spread] = [value]
        else:
            return None
    return lists


def _part(document: Workflow, node: str, values: Values) -> Workflow:
    """What a node of the document needs, with inputs set."""
    specs = {id: _with(spec, values.get(id, {})) for id, spec in document.nodes.items()}
    used_nodes = needed_by(dependencies(specs), node)
    nodes = {id: spec for id, spec in specs.items() if id in used_nodes}
    used: dict[str, None] = {}
    types = [spec.type for spec in nodes.values()]
    while types:
        name = types.pop()
        if name in document.definitions and name not in used:
            used[name] = None
            types += [spec.type for spec in document.definitions[name].nodes.values()]
    definitions = {name: item for name, item in document.definitions.items() if name in used}
    return document.with_nodes(nodes, definitions)


def _flat(document: Workflow, specs: Mapping[str, NodeSpec], needed: Iterable[str], values: Values) -> Workflow:
    """The same with definitions written out, under ids that a document may have."""
    names: dict[str, str] = {}
    taken = {id for id in needed if "/" not in id}
    for id in needed:
        name = id.replace("/", "-")
        while len(name) > 64 or (name != id and name in taken):
            name = f"inside-{len(taken)}"
        taken.add(name)
        names[id] = name

    def renamed(item: Any) -> Any:
        if isinstance(item, Link):
            return Link(names.get(item.node, item.node), item.output)
        return [renamed(part) for part in item] if isinstance(item, list) and any(links_in(item)) else item

    nodes = {}
    for id in needed:
        spec = _with(specs[id], values.get(id, {}))
        inputs = {name: renamed(item) for name, item in spec.inputs.items()}
        nodes[names[id]] = spec.model_copy(update={"inputs": inputs})
    return document.with_nodes(nodes, {})


def _with(spec: NodeSpec, inputs: Mapping[str, Any]) -> NodeSpec:
    return spec.model_copy(update={"inputs": {**spec.inputs, **inputs}}) if inputs else spec
