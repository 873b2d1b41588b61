"""What a workflow can do: every node of the package, each importable from here.

A file put into ``nodes/basic`` or ``nodes/techniques`` is found by itself. Nothing heavy is imported: node files
declare, and load torch when a node runs.
"""

from __future__ import annotations

import importlib
import pkgutil
from typing import TYPE_CHECKING, Any

from engine import Node

if TYPE_CHECKING:
    # The common ones by name, so that type checkers and editors see their signatures.
    from nodes.basic.encode_prompt import encode_prompt as encode_prompt
    from nodes.basic.load_model import load_model as load_model

_FOLDERS = ("nodes.basic", "nodes.techniques")


def _discover() -> dict[str, Any]:
    """Nodes by attribute name, from every module of the node folders."""
    found: dict[str, Any] = {}
    for folder in _FOLDERS:
        package = importlib.import_module(folder)
        for info in sorted(pkgutil.iter_modules(package.__path__), key=lambda info: info.name):
            module = importlib.import_module(f"{folder}.{info.name}")
            # A module may import another file's node to build on it; only its own are exported from it.
            found.update(
                (name, item)
                for name, item in vars(module).items()
                if isinstance(item, Node) and item.node_type.fn.__module__ == module.__name__
            )
    return found


globals().update(_discover())
