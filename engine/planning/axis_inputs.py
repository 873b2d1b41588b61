"""Inputs that say over which axes a list was made: filled in while planning (`AxesOf`), so that they enter the key.

What the document says itself stays. Nothing here knows what a node does with it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args, get_origin

from weft.engine.checking.axes import Maps
from weft.engine.declaring.node_type import NodeType
from weft.engine.declaring.types import is_list, is_union, item_type
from weft.graphs.document import Link, NodeSpec

_PLAIN = (str, int, float, bool, Any)


def with_axes(
    specs: Mapping[str, NodeSpec], types: Mapping[str, NodeType], maps: Maps, order: Sequence[str]
) -> dict[str, NodeSpec]:
    """Those of the nodes in `order` that get such inputs, with them."""
    changed = {}
    for id in order:
        spec = specs[id]
        more = {
            name: _axes(specs, types, maps, id, spec.inputs.get(port.axes_of))
            for name, port in types[id].inputs.items()
            if port.axes_of and name not in spec.inputs
        }
        if more := {name: axes for name, axes in more.items() if axes}:
            changed[id] = spec.model_copy(update={"inputs": {**spec.inputs, **more}})
    return changed


def _axes(specs: Mapping[str, NodeSpec], types: Mapping[str, NodeType], maps: Maps, id: str, item: Any) -> list[Any]:
    """Names and items in turn, the outermost axis first, of what a chain of `collect` nodes gathered."""
    axes: list[Any] = []
    while isinstance(item, Link) and item.node in maps.axis and types[item.node].flow == "collect":
        axis = maps.axis[item.node]
        axes += ["" if axis.startswith("#") else axis, _items(specs, types, maps, id, axis)]
        item = specs[item.node].inputs.get("item")
    return axes


def _items(specs: Mapping[str, NodeSpec], types: Mapping[str, NodeType], maps: Maps, id: str, axis: str) -> Any:
    """The items of an axis, as a document says them: a list, or a link to one; None where they are no plain data.

    Of several lists that go together the first counts whose items are plain. An item that is made by a node stands as
    that node's id.
    """
    spreads = [spread for spread in maps.spreads if maps.axis[spread] == axis]
    for spread in sorted(spreads, key=maps.position.__getitem__):
        items = specs[spread].inputs.get("items")
        if isinstance(items, list):
            return [part.node if isinstance(part, Link) else part for part in items]
        if isinstance(items, Link):
            there = set(maps.makes.get(items.node, ())) <= set(maps.runs.get(id, ()))
            if there and _is_plain(_type_of(types[items.node], items.output)):
                return items
    return None


def _type_of(node_type: NodeType, output: str | None) -> Any:
    found = node_type.outputs.get(output or node_type.first_output)
    return None if found is None else found.type


def _is_plain(tp: Any) -> bool:
    """Whether a list of this type holds texts, numbers and truth values alone, as far as that can be told."""
    if not is_list(tp):
        return tp is Any
    item = item_type(tp)
    arms = get_args(item) if is_union(item) else (item,)
    return all(arm in _PLAIN or get_origin(arm) is Literal for arm in arms)
