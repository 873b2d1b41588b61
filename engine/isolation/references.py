"""How a worker finds the node type that its parent means: by its module, or by the folder it was loaded from."""

from __future__ import annotations

import importlib
import sys
import weakref
from typing import Any

from weft.engine.catalogue.code import FOLDER_PREFIX, folder_package, source_fingerprint
from weft.engine.catalogue.modules import loaded
from weft.engine.declaring.node_type import NodeType
from weft.engine.isolation.parcels import next_serial

_references: weakref.WeakKeyDictionary[NodeType, dict[str, Any]] = weakref.WeakKeyDictionary()


def reference(node_type: NodeType) -> dict[str, Any]:
    """How a worker finds a node type.

    Raises:
        ValueError: it cannot, because no module has it at its head.
    """
    known = _references.get(node_type)
    if known is not None:
        return known
    fn = node_type.fn
    if fn.__module__ == "__main__" or "<locals>" in fn.__qualname__:
        place = "the script that was started" if fn.__module__ == "__main__" else "a function"
        raise ValueError(
            f"it is declared in {place}, where a worker process cannot find it: for isolated runs, put it into a file "
            "of a pack or of a folder of nodes"
        )
    if loaded(node_type.name, fn.__module__, fn.__qualname__) is not node_type:
        raise ValueError(
            f"it is not at the head of its module {fn.__module__}, where a worker process would look for it"
        )
    package = fn.__module__.partition(".")[0]
    folder = sys.modules[package].__path__[0] if package.startswith(FOLDER_PREFIX) else None
    known = {
        "id": next_serial(),
        "name": node_type.name,
        "module": fn.__module__,
        "function": fn.__qualname__,
        "folder": folder,
        "code": source_fingerprint(fn),
    }
    _references[node_type] = known
    return known


def find_type(reference: dict[str, Any]) -> NodeType:
    """The node type that the parent means.

    Raises:
        RuntimeError: it is not to be found here, or its code is not what the parent has.
    """
    name, module = reference["name"], reference["module"]
    if reference["folder"] is not None:
        folder_package(reference["folder"])
    importlib.import_module(module)
    found = loaded(name, module, reference["function"])
    if found is None:
        raise RuntimeError(
            f"the node {name!r} is not at the head of the module {module}, so no worker can find it there"
        )
    if source_fingerprint(found.fn) != reference["code"]:
        raise RuntimeError(f"the code of {name!r} in {module} changed since this process loaded it: start it anew")
    return found
