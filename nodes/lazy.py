"""Heavy modules that load on first use, so that declaring a node costs nothing.

Use it so that type checkers still see the real module::

    if TYPE_CHECKING:
        import torch
    else:
        torch = lazy("torch")
"""

from __future__ import annotations

import importlib
import threading
from types import ModuleType
from typing import Any

IMPORTING = threading.RLock()
"""Held while anything is taken from diffusers or transformers inside a function, as nodes run in several threads.

Both packages put another object in their own place at the end of their import. A thread that meets them before that
is handed the first one, in which nothing is found.
"""


class _LazyModule:
    """Stands for a module until an attribute is asked for. Never enters ``sys.modules``."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._module: ModuleType | None = None

    def __getattr__(self, attribute: str) -> Any:
        # Special names are probed by inspection tools (catalogue, doctest, pickle); these must not load torch.
        if attribute.startswith("__"):
            raise AttributeError(attribute)
        if self._module is None:
            self._module = importlib.import_module(self._name)
        return getattr(self._module, attribute)

    def __repr__(self) -> str:
        return f"<lazy module {self._name}>"


def lazy(name: str) -> Any:
    """A stand-in for the module ``name`` that imports it at the first attribute access."""
    return _LazyModule(name)
