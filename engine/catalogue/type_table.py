"""Which output fits which input, as data for those who do not run Python: an editor asks at every wire that is drawn.

A port's type is a text such as `list[Mask]` or `Image | Latents`. What a text does not say is which names go together;
that is the table. docs/server.md has the rules that read both.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, TypeVar, get_args, get_origin

from weft.engine.catalogue.catalogue import Catalogue
from weft.engine.declaring.ports import is_literal_type
from weft.engine.declaring.types import accepts, describe, is_list, is_union, item_type, options_of

_ALWAYS: tuple[type, ...] = (int, float, str, bool)


def type_table(catalogue: Catalogue) -> dict[str, dict[str, Any]]:
    """By the name of each class that a port's type has `{"fits", "literal"}`.

    `fits` names the types of inputs that take it, itself among them. `literal`: a document can hold one. Two classes of
    one name, of two packs, are one here: the check of a workflow tells them apart.
    """
    classes: dict[Any, None] = dict.fromkeys(_ALWAYS)
    for node_type in catalogue:
        types = [port.type for port in node_type.inputs.values()]
        types += [port.type for port in node_type.outputs.values()]
        for tp in types:
            classes.update(dict.fromkeys(_classes(tp)))
    table: dict[str, dict[str, Any]] = {}
    for one in classes:
        fits = {describe(other) for other in classes if accepts(other, one)}
        known = table.get(describe(one), {"fits": []})
        table[describe(one)] = {"fits": sorted(fits.union(known["fits"])), "literal": is_literal_type(one)}
    return dict(sorted(table.items()))


def _classes(tp: Any) -> Iterator[Any]:
    """The classes that a type is made of, as far as it matters for what fits."""
    if isinstance(tp, TypeVar):
        for option in options_of(tp):
            yield from _classes(option)
    elif is_union(tp):
        for arm in get_args(tp):
            yield from _classes(arm)
    elif is_list(tp):
        yield from _classes(item_type(tp))
    elif get_origin(tp) is Literal:
        yield from (type(option) for option in get_args(tp))
    else:
        origin = get_origin(tp) or tp
        if isinstance(origin, type) and origin not in (Any, object, type(None)):
            yield origin
