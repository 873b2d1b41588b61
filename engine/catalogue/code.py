"""Where a node's code is, and a fingerprint of it."""

from __future__ import annotations

import hashlib
import inspect
import os
import sys
import types
from typing import Any

from weft.engine.filehash import content_hash, folder_hash

FOLDER_PREFIX = "weft_nodes_"
OWN = "weft."
"""How the names of our own modules begin."""


def folder_package(path: str | os.PathLike[str]) -> str:
    """The name of the package that a folder of nodes is imported as; makes the package."""
    package = f"{FOLDER_PREFIX}{hashlib.blake2b(os.fspath(path).encode(), digest_size=6).hexdigest()}"
    if package not in sys.modules:
        module = types.ModuleType(package)
        module.__path__ = [os.fspath(path)]
        sys.modules[package] = module
    return package


def code_fingerprint(fn: Any) -> str | None:
    """See `Catalogue.code`."""
    module = sys.modules.get(fn.__module__)
    top = fn.__module__.partition(".")[0]
    file = getattr(module, "__file__", None)
    if fn.__module__.startswith(OWN):
        return None
    try:
        package = sys.modules.get(top)
        folders = list(getattr(package, "__path__", ())) if package is not module else []
        if len(folders) == 1:
            return folder_hash(folders[0], (".py",))
        if file and not _is_interactive(fn):
            return content_hash(file)
        return hashlib.blake2b(inspect.getsource(fn).encode(), digest_size=20).hexdigest()
    except (OSError, TypeError):  # no file: typed at a prompt
        code = fn.__code__
        return hashlib.blake2b(repr((code.co_code, code.co_consts, code.co_names)).encode(), digest_size=20).hexdigest()


def _is_interactive(fn: Any) -> bool:
    """Cells of a notebook share one module, and each change of a cell would change every node of it."""
    return bool(fn.__code__.co_filename.startswith("<")) or "ipykernel" in fn.__code__.co_filename
