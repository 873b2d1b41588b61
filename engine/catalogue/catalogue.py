"""The nodes there are: ours, those of packs (entry points `weft.nodes`) and those of folders (`--nodes DIR`)."""

from __future__ import annotations

import contextlib
import functools
import importlib
import importlib.util
import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType
from typing import Any

from weft.engine.catalogue.code import OWN, code_fingerprint, folder_package
from weft.engine.catalogue.modules import listers_in, modules, nodes_in
from weft.engine.catalogue.packs import OURS, Failure, installed_packs, title
from weft.engine.declaring.model_list import ModelEntry, ModelLister
from weft.engine.declaring.node import Node
from weft.engine.declaring.node_type import NodeType
from weft.engine.surroundings import contained
from weft.graphs.problems import near

__all__ = ["Catalogue", "CatalogueError", "Failure", "installed"]

_LOADING = threading.RLock()
"""One thread at a time imports nodes: a module that another one is in the middle of has only some of its nodes."""


class CatalogueError(Exception):
    """Two nodes of one name were added, or a folder of nodes is not there."""


class Catalogue:
    """Node types by name.

    Args:
        nodes: declared functions to begin with; `Catalogue.load()` finds those that are installed.
    """

    def __init__(self, nodes: Iterable[Node[..., Any] | NodeType] = ()) -> None:
        self._types: dict[str, NodeType] = {}
        self._left_out: set[NodeType] = set()
        self.failures: list[Failure] = []
        """What `load` and `add_folder` left out, and packs that bring no node, in the order of their finding."""
        self._listers: list[ModelLister] = []
        for node in nodes:
            self.add(node)

    @classmethod
    def load(cls, folders: Iterable[str | os.PathLike[str]] = (), *, packs: bool = True) -> Catalogue:
        """Our nodes, those of installed packs, and those of the `.py` files in `folders`.

        What fails to import is left out and listed in `failures`. So is a node whose name another one has: ours come
        first, then those of packs in the order of their names, then those of the folders as they are given.

        Args:
            packs: whether installed packs are wanted.

        Raises:
            CatalogueError: a folder that is not there.
        """
        catalogue = cls()
        with _LOADING:
            # By its name and not by its entry point: a source tree that was not installed has none.
            if importlib.util.find_spec(OURS) is not None:
                catalogue._add_entry(OURS, "", OURS)
            if packs:
                found, unreadable = installed_packs()
                catalogue.failures += unreadable
                for pack in found:
                    catalogue._add_pack(pack)
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
        if known is node_type:
            return
        if known is not None:
            raise CatalogueError(f"two nodes are called {node_type.name!r}: {known.place} and {node_type.place}")
        _ = node_type.inputs, node_type.outputs  # read now, so that a bad annotation is its pack's failure
        self._types[node_type.name] = node_type

    def add_module(self, module: ModuleType) -> None:
        """Add every attribute of a module that is a node, or lists models. Raises as `add`."""
        for _, node in nodes_in(module):
            self.add(node)
        self._add_listers(module)

    def add_folder(self, folder: str | os.PathLike[str]) -> None:
        """Add the nodes of every `.py` file in a folder; names that start with `_` are taken for helpers.

        The files form a package, so they may import each other: `from .helpers import f`. What fails, and a node whose
        name another one has, is left out and listed in `failures`.

        Raises:
            CatalogueError: no such folder.
        """
        path = Path(folder).resolve()
        if not path.is_dir():
            raise CatalogueError(f"there is no folder of nodes {folder}")
        package = folder_package(path)
        before, brought, looked = len(self.failures), 0, []
        for file in sorted(path.glob("*.py")):
            if not file.name.startswith("_"):
                looked.append(file.name)
                with _LOADING:
                    module = self._import(f"{package}.{file.stem}", str(file))
                if module is not None:
                    with self._failing(str(file)):
                        brought += self._add_nodes(module, str(file), lambda fn: not fn.__module__.startswith(OWN))
        if not brought and len(self.failures) == before:
            self._say_none(f"the folder {path}", looked)

    def _add_pack(self, pack: EntryPoint) -> None:
        try:
            module, attribute = pack.module, pack.attr
        except AttributeError:  # what the library makes of a value that it cannot take apart
            message = f"its entry point is {pack.value!r}, which names no module"
            self.failures.append(Failure(title(pack), message, ""))
            return
        self._add_entry(module, attribute or "", title(pack))

    def _add_entry(self, name: str, attribute: str, origin: str) -> None:
        """The nodes of the package that an entry point names, of a module, or of a list in it."""
        before = len(self.failures)
        start: Any = self._import(name, origin)
        if start is None:
            return
        looked: list[str] = []
        brought = 0
        with self._failing(origin):
            for part in attribute.split(".") if attribute else ():
                start = getattr(start, part)
            if isinstance(start, ModuleType):
                top = start.__name__.partition(".")[0]
                for module in modules(start, lambda name: self._import(name, f"{origin}, module {name}")):
                    looked.append(module.__name__)
                    where = f"{origin}, module {module.__name__}"
                    brought += self._add_nodes(module, where, lambda fn: fn.__module__.partition(".")[0] == top)
            else:
                looked.append(f"{name}:{attribute}")
                for node in start if isinstance(start, (list, tuple, set, frozenset)) else [start]:
                    if not isinstance(node, (Node, NodeType)):
                        raise TypeError(f"{looked[0]} should be a node, a list of nodes or a module; it holds {node!r}")
                    self._try(node, origin)
                    brought += 1
        if not brought and len(self.failures) == before:
            self._say_none(origin, looked)

    def _add_nodes(self, module: ModuleType, origin: str, belongs: Callable[[Any], bool]) -> int:
        """How many nodes of a module belong to the pack; those that can be are added."""
        nodes = [node for _, node in nodes_in(module) if belongs(node.node_type.fn)]
        for node in nodes:
            self._try(node, origin)
        return len(nodes) + self._add_listers(module)

    def _add_listers(self, module: ModuleType) -> int:
        """How many functions of a module list models; each counts once."""
        new = [lister for lister in listers_in(module) if lister not in self._listers]
        self._listers += new
        return len(new)

    def _try(self, node: Node[..., Any] | NodeType, origin: str) -> None:
        node_type = node.node_type if isinstance(node, Node) else node
        if node_type in self._left_out:  # said when it was found in another module
            return
        origin = f"node {node_type.name!r} of {origin}"
        try:
            with self._failing(origin):
                self.add(node_type)
        except CatalogueError as error:
            self.failures.append(Failure(origin, f"{error}; the first one is used", ""))
        if self._types.get(node_type.name) is not node_type:
            self._left_out.add(node_type)

    def _import(self, module: str, origin: str) -> ModuleType | None:
        known = sys.modules.get(module)
        if known is not None and not _unfinished(known):
            return known
        with self._failing(origin), contained(f"importing {origin}"):
            found = importlib.import_module(module)  # waits for another thread that imports it
            if _unfinished(found):
                raise ImportError(f"{module} is asked for its nodes while it is being imported")
            return found
        return None

    @contextlib.contextmanager
    def _failing(self, origin: str) -> Iterator[None]:
        """Run code of a pack: what it raises is a failure of that pack, and what it prints does not reach stdout."""
        try:
            with contextlib.redirect_stdout(sys.stderr):  # stdout belongs to results, and some packs greet
                yield
        except (CatalogueError, KeyboardInterrupt):
            raise
        except BaseException as error:  # SystemExit, and what test libraries raise to skip a module
            self.failures.append(Failure.of(origin, error))

    def _say_none(self, origin: str, looked: list[str]) -> None:
        names = ", ".join(looked[:5]) + (f" and {len(looked) - 5} more" if len(looked) > 5 else "")
        message = f"it brings no node of its own; looked at {names or 'no file, since there is none'}"
        self.failures.append(Failure(origin, message, ""))

    def extended(self, types: Iterable[NodeType]) -> Catalogue:
        """This catalogue with some types more, for one graph; what is known of the others is shared."""
        more = Catalogue()
        more.failures = self.failures
        more._types = {**self._types, **{node_type.name: node_type for node_type in types}}
        more._listers = self._listers
        return more

    def models(self, folders: Iterable[Path]) -> list[ModelEntry]:
        """The models that nodes can load: those that came with packs, then those in the folders, which are absolute.

        A pack whose list fails is left out and noted in `failures`.
        """
        places = tuple(folders)
        found: list[ModelEntry] = []
        for lister in self._listers:
            with self._failing(f"the list of models of {lister.place}"):
                found += lister(places)
        return sorted(found, key=lambda entry: not entry.bundled)

    def knowing(self, declarations: Mapping[str, object]) -> Catalogue:
        """This catalogue with the node types among what a graph called (`Graph.declarations`), in the place of others
        of their names; itself where it has them all."""
        called = {name: item for name, item in declarations.items() if isinstance(item, NodeType)}
        more = [node_type for name, node_type in called.items() if self._types.get(name) is not node_type]
        return self.extended(more) if more else self

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
        return code_fingerprint(node_type.fn)


def installed() -> Catalogue:
    """The catalogue of installed nodes, loaded once a process."""
    with _LOADING:
        return _installed()


@functools.cache
def _installed() -> Catalogue:
    return Catalogue.load()


def _unfinished(module: ModuleType) -> bool:
    """Whether a module is still being imported, so that it may not have all its nodes yet."""
    return bool(getattr(getattr(module, "__spec__", None), "_initializing", False))
