"""Where a node's code is, and a fingerprint of it."""

from __future__ import annotations

import hashlib
import os
import sys
import types
import weakref
from typing import Any

from weft.engine.catalogue.references import references
from weft.engine.declaring.node_type import NodeType
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
    """See `Catalogue.code`. As the code was when it was first seen: what is edited later was not what ran.

    In a script or a notebook as it is now, since what a function refers to may be set anew between two runs. In
    imported modules such values count as they were at first: many keep tables of what they loaded.
    """
    if _is_own(fn.__module__):
        return None
    known = _fingerprints.get(fn)
    if known is None or _is_script(fn):
        code, draws = references(fn, _is_own)
        digest = hashlib.blake2b(f"{code}\0{source_fingerprint(fn)}".encode(), digest_size=20).hexdigest()
        known = _fingerprints[fn] = digest, draws
    return known[0]


def draws(node_type: NodeType) -> bool:
    """Whether a node draws from generators of the process: what it declares, else what its code shows.

    Our own nodes have generators of their own.
    """
    fn = node_type.fn
    said = node_type.global_random
    if said is not None or node_type.is_async or not hasattr(fn, "__code__") or _is_own(fn.__module__):
        return bool(said)
    if fn not in _fingerprints:
        code_fingerprint(fn)
    return _fingerprints[fn][1]


def is_ours(node_type: NodeType) -> bool:
    """Whether a node came with the engine: then it is trusted as the engine is."""
    return _is_own(node_type.fn.__module__)


def source_fingerprint(fn: Any) -> str:
    """A hash of every source file of the package that a function came in, or of its one file; "" without one.

    A node may call anything of its package, also by ways that its code does not show. The files are read when a module
    is first seen; the same module object later has the same hash, whatever is written into its files meanwhile.
    """
    module = sys.modules.get(fn.__module__)
    package = sys.modules.get(fn.__module__.partition(".")[0])
    folders = list(getattr(package, "__path__", ())) if package is not None and package is not module else []
    owner = package if len(folders) == 1 else module
    if owner is None or (owner is module and _is_script(fn)):
        return ""
    known = _sources.get(owner)
    if known is None:
        file = getattr(owner, "__file__", None)
        try:
            known = folder_hash(folders[0], (".py",)) if len(folders) == 1 else content_hash(file) if file else ""
        except OSError:  # its file is gone, or it never had one
            known = ""
        _sources[owner] = known
    return known


_fingerprints: weakref.WeakKeyDictionary[Any, tuple[str, bool]] = weakref.WeakKeyDictionary()
_sources: weakref.WeakKeyDictionary[types.ModuleType, str] = weakref.WeakKeyDictionary()


def _is_own(module: str) -> bool:
    """Our own nodes have versions that say when their meaning changes."""
    return module.startswith(OWN) or module == OWN.rstrip(".")


def _is_script(fn: Any) -> bool:
    """Whether it stands in the script that was started, or was typed at a prompt or in a cell."""
    file = fn.__code__.co_filename
    return fn.__module__ == "__main__" or file.startswith("<") or "ipykernel" in file
