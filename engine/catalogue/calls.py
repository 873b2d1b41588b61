"""Which function a node type is, for a document as Python (`graphs.pythontext`)."""

from __future__ import annotations

import importlib
from collections.abc import Callable

from weft.engine.catalogue.catalogue import Catalogue
from weft.engine.declaring.node import Node
from weft.graphs.pythontext import Call

OURS = "weft.nodes"
"""The package that has the names of all its nodes itself."""


def python_calls(catalogue: Catalogue) -> Callable[[str], Call | None]:
    """The call of each node type of a catalogue that is an attribute of the module it is declared in."""

    def of(type: str) -> Call | None:
        node_type = catalogue.get(type)
        if node_type is None:
            return None
        name, module = node_type.fn.__qualname__, node_type.fn.__module__
        for place in (OURS, module) if module.startswith(f"{OURS}.") else (module,):
            try:
                found = getattr(importlib.import_module(place), name, None)
            except ImportError:  # a file that was given with --nodes, say
                return None
            if isinstance(found, Node) and found.node_type.name == type:
                inputs = node_type.inputs
                required = frozenset(name for name, port in inputs.items() if port.required)
                return Call(place, name, frozenset(inputs), required, frozenset(node_type.outputs))
        return None

    return of
