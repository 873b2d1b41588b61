"""The modules of a package of nodes, and the nodes that each declares: one way for ours and for those of packs."""

from __future__ import annotations

import importlib
import os
import pkgutil
import sys
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

from weft.engine.declaring.model_list import ModelLister
from weft.engine.declaring.node import Node
from weft.engine.declaring.node_type import NodeType

FOLDERS = "NODE_FOLDERS"
"""A package of nodes may have an attribute of this name: the subpackages that hold its nodes. Without it, all do."""

Load = Callable[[str], ModuleType | None]
"""Imports a module; None where that failed and was noted."""


def modules(package: ModuleType, load: Load = importlib.import_module) -> Iterator[ModuleType]:
    """The module itself and, when it is a package, every module inside, by name. A package comes before what it holds.

    Names that start with `_` and folders called `tests` are left alone. Of a package with `NODE_FOLDERS`, such as
    `NODE_FOLDERS = ("basic",)`, only these subpackages are looked at.
    """
    yield package
    folders = getattr(package, FOLDERS, None)
    if folders is None:
        yield from _inside(package, load, set())
        return
    for folder in [folders] if isinstance(folders, str) else folders:
        module = load(f"{package.__name__}.{folder}")
        if module is not None:
            yield module
            yield from _inside(module, load, set())


def _inside(package: ModuleType, load: Load, seen: set[str]) -> Iterator[ModuleType]:
    paths = list(getattr(package, "__path__", ()))
    seen.update(map(os.path.realpath, paths))
    for info in sorted(pkgutil.iter_modules(paths), key=lambda info: info.name):
        if info.name.startswith("_") or (info.ispkg and info.name == "tests"):
            continue
        folder = os.path.join(getattr(info.module_finder, "path", ""), info.name)
        if info.ispkg and os.path.realpath(folder) in seen:  # a link that leads up again would go on for ever
            continue
        module = load(f"{package.__name__}.{info.name}")
        if module is not None:
            yield module
            if info.ispkg:
                yield from _inside(module, load, seen)


def nodes_in(module: ModuleType) -> Iterator[tuple[str, Node[..., Any]]]:
    """The attributes of a module that are nodes, those that it imported included."""
    for name, item in list(vars(module).items()):
        if issubclass(type(item), Node):  # not isinstance, which would wake modules that load lazily
            yield name, item


def listers_in(module: ModuleType) -> Iterator[ModelLister]:
    """What a module declares to list models with."""
    for item in list(vars(module).values()):
        if type(item) is ModelLister and item.function.__module__ == module.__name__:
            yield item


def loaded(name: str, module: str, function: str) -> NodeType | None:
    """The node type of that name and function at the head of a module that is imported already."""
    found = sys.modules.get(module)
    for _, node in nodes_in(found) if found is not None else ():
        if node.node_type.name == name and node.node_type.fn.__qualname__ == function:
            return node.node_type
    return None


def declared_in(module: ModuleType) -> Iterator[tuple[str, Node[..., Any]]]:
    """The nodes that a module declares itself; it may import those of other files to build on them."""
    return ((name, node) for name, node in nodes_in(module) if node.node_type.fn.__module__ == module.__name__)
