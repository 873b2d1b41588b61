"""The nodes there are: ours, those of packs (entry points `weft.nodes`) and those of folders (`--nodes DIR`)."""

from __future__ import annotations

import contextlib
import functools
import importlib
import importlib.util
import os
import sys
import traceback
import types
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from weft.engine.catalogue.code import code_fingerprint, folder_package
from weft.engine.declaring.model_list import ModelEntry, ModelLister
from weft.engine.declaring.node import Node
from weft.engine.declaring.node_type import NodeType
from weft.engine.surroundings import contained
from weft.graphs.problems import near

GROUP = "weft.nodes"


class CatalogueError(Exception):
    """The installed nodes contradict each other, or a folder of nodes is not there."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A pack or file that could not be loaded and was left out."""

    origin: str
    message: str
    traceback: str

    def __str__(self) -> str:
        return f"{self.origin}: {self.message}"


class Catalogue:
    """Node types by name.

    Args:
        nodes: declared functions to begin with; `Catalogue.load()` finds those that are installed.
    """

    def __init__(self, nodes: Iterable[Node[..., Any] | NodeType] = ()) -> None:
        self._types: dict[str, NodeType] = {}
        self._code: dict[str, str | None] = {}
        self.failures: list[Failure] = []
        self._listers: list[ModelLister] = []
        for node in nodes:
            self.add(node)

    @classmethod
    def load(cls, folders: Iterable[str | os.PathLike[str]] = ()) -> Catalogue:
        """Our nodes, those of installed packs, and those of the `.py` files in `folders`.

        What fails to import is left out and listed in `failures`.

        Raises:
            CatalogueError: two nodes of one name, or a folder that is not there.
        """
        from importlib.metadata import entry_points

        catalogue = cls()
        found = {point.value: point.name for point in entry_points(group=GROUP)}
        # In a source tree that was not installed there is no entry point; its nodes are there all the same.
        for module in dict.fromkeys(["weft.nodes", *sorted(found)]):
            if module in found or importlib.util.find_spec(module) is not None:
                catalogue._add_import(module, f"pack {found[module]!r}" if module in found else module)
        for folder in folders:
            catalogue.add_folder(folder)
        return catalogue

    def add(self, node: Node[..., Any] | NodeType) -> None:
        """Add one node.

        Raises:
            CatalogueError: another node has its name; names both.
            TypeError: its annotations cannot be read.
        """
        node_type = node.node_type if isinstance(node, Node) else node
        known = self._types.get(node_type.name)
        if known is not None and known.fn is not node_type.fn:
            raise CatalogueError(f"two nodes are called {node_type.name!r}: {_place(known)} and {_place(node_type)}")
        _ = node_type.inputs, node_type.outputs  # read now, so that a bad annotation is its pack's failure
        self._types[node_type.name] = node_type

    def add_module(self, module: types.ModuleType) -> None:
        """Add every attribute of a module that is a node, or lists models."""
        for item in list(vars(module).values()):
            if issubclass(type(item), Node):  # not isinstance, which would wake modules that load lazily
                self.add(item)
            elif type(item) is ModelLister and item not in self._listers:
                self._listers.append(item)

    def add_folder(self, folder: str | os.PathLike[str]) -> None:
        """Add the nodes of every `.py` file in a folder; names that start with `_` are taken for helpers.

        The files form a package, so they may import each other: `from .helpers import f`.

        Raises:
            CatalogueError: no such folder, or two nodes of one name.
        """
        path = Path(folder).resolve()
        if not path.is_dir():
            raise CatalogueError(f"there is no folder of nodes {folder}")
        package = folder_package(path)
        for file in sorted(path.glob("*.py")):
            if not file.name.startswith("_"):
                self._add_import(f"{package}.{file.stem}", str(file))

    def _add_import(self, module: str, origin: str) -> None:
        try:
            # stdout belongs to results, and some packs greet.
            with contextlib.redirect_stdout(sys.stderr), contained(f"importing {origin}"):
                self.add_module(importlib.import_module(module))
        except CatalogueError:
            raise
        except (Exception, SystemExit) as error:
            message = f"{error.__class__.__name__}: {error}"
            self.failures.append(Failure(origin, message, traceback.format_exc()))

    def extended(self, types: Iterable[NodeType]) -> Catalogue:
        """This catalogue with some types more, for one graph; what is known of the others is shared."""
        more = Catalogue()
        more._types = {**self._types, **{node_type.name: node_type for node_type in types}}
        more._code = self._code
        more._listers = self._listers
        return more

    def models(self, folders: Iterable[Path]) -> list[ModelEntry]:
        """The models that nodes can load: those that came with packs, then those in the folders, which are absolute."""
        places = tuple(folders)
        found = [entry for lister in self._listers for entry in lister(places)]
        return sorted(found, key=lambda entry: not entry.bundled)

    def __contains__(self, name: object) -> bool:
        return name in self._types

    def __iter__(self) -> Iterator[NodeType]:
        """The types by category and name."""
        return iter(sorted(self._types.values(), key=lambda node_type: (node_type.category, node_type.name)))

    def __len__(self) -> int:
        return len(self._types)

    def get(self, name: str) -> NodeType | None:
        """The type of that name, or None."""
        return self._types.get(name)

    def nearest(self, name: str) -> str | None:
        """The name most like `name`, or None."""
        return near(name, self._types)

    def code(self, node_type: NodeType) -> str | None:
        """A fingerprint of a node's code, or None for our own nodes, whose version says when their meaning changes.

        It covers every source file of the package the node came in, since a node may call any of them.
        """
        if node_type.name not in self._code:
            self._code[node_type.name] = code_fingerprint(node_type.fn)
        return self._code[node_type.name]


@functools.cache
def installed() -> Catalogue:
    """The catalogue of installed nodes, loaded once a process."""
    return Catalogue.load()


def _place(node_type: NodeType) -> str:
    code = node_type.fn.__code__
    return f"{node_type.origin} ({code.co_filename}:{code.co_firstlineno})"
