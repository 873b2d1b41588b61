"""How long nodes import modules: whoever needs a library first waits for it, which says nothing of the node.

A finder before all others times what a node imports, be it torch or a module of its own. It finds nothing by itself,
and does nothing where no node runs, nor for what is imported meanwhile: of imports within others the outer ones count.
"""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

_here = threading.local()
"""`_here.importing`: whether this thread is in the middle of an import that is timed."""
_lock = threading.Lock()


class Imports:
    """What one call of a node imported.

    Attributes:
        seconds: how long that took, without what was imported before.
    """

    seconds = 0.0  # of the class: there is one of these for each call, and making one must cost next to nothing

    @contextlib.contextmanager
    def timed(self) -> Iterator[None]:
        """Book the block."""
        if getattr(_here, "importing", False):
            yield
            return
        _here.importing = True
        start = time.perf_counter()
        try:
            yield
        finally:
            _here.importing = False
            self.seconds += time.perf_counter() - start


INSIDE: ContextVar[Imports | None] = ContextVar("weft_inside", default=None)
"""The imports of the node that runs here; None where none does."""


def watch_imports() -> None:
    """Time from now on what nodes of this process import. Once is enough, and it stays."""
    with _lock:
        if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
            sys.meta_path.insert(0, _Finder())


class _Finder:
    """Has the others find a module, and times its loading (see `importlib.abc.MetaPathFinder`)."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        imports = INSIDE.get()
        if imports is None or getattr(_here, "importing", False):
            return None
        for finder in list(sys.meta_path):
            find = getattr(finder, "find_spec", None)
            if find is None or isinstance(finder, _Finder):
                continue
            spec: ModuleSpec | None = find(name, path, target)
            if spec is not None:
                if hasattr(spec.loader, "exec_module") and not isinstance(
                    spec.loader, type
                ):  # what is built in is quick
                    spec.loader = _Timed(spec.loader, imports)  # type: ignore[assignment]
                return spec
        return None


class _Timed:
    """A loader whose work is booked; as `importlib.util.LazyLoader` does, it leaves before the module's code runs."""

    def __init__(self, loader: Any, imports: Imports) -> None:
        self._loader = loader
        self._imports = imports

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        with self._imports.timed():
            made: ModuleType | None = self._loader.create_module(spec)
            return made

    def exec_module(self, module: ModuleType) -> None:
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        module.__loader__ = self._loader
        with self._imports.timed():
            self._loader.exec_module(module)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)
