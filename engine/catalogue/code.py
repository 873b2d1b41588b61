"""Where a node's code is, and a fingerprint of it."""

from __future__ import annotations

import hashlib
import os
import sys
import threading
import types
import weakref
from typing import Any

from weft.engine.catalogue.hints import note_change
from weft.engine.catalogue.late import note_code, other_files
from weft.engine.catalogue.references import References, references, shows_id
from weft.engine.declaring.node_type import NodeType
from weft.engine.filehash import content_hash, folder_hash, taken_down

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
        with _lock:  # of two threads that see it first, one looks: a table may change between their looks
            known = _fingerprints.get(fn)
            if known is None or _is_script(fn):
                known = _look(fn, known)
    return known.digest


def _look(fn: Any, known: References | None) -> References:
    with taken_down() as states:
        found = references(fn, _is_own)
    _files[fn] = note_code(states)
    digest = hashlib.blake2b(f"{found.digest}\0{source_fingerprint(fn)}".encode(), digest_size=20).hexdigest()
    if known is not None and known.digest != digest:
        note_change(fn, _is_own)
    _fingerprints[fn] = found._replace(digest=digest)
    return _fingerprints[fn]


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
    return _fingerprints[fn].draws


def reads_id(node_type: NodeType) -> bool:
    """Whether what a node gives may depend on its id: what its code shows, or what it was seen to do."""
    fn = node_type.fn
    if node_type.context_parameter is None or not hasattr(fn, "__code__"):
        return False
    if _is_own(fn.__module__):
        return shows_id(fn)
    if fn not in _fingerprints:
        code_fingerprint(fn)
    return _fingerprints[fn].reads_id or fn in _seen_reading


def note_reads_id(node_type: NodeType) -> None:
    """It was seen to: from now on its id is in its key."""
    _seen_reading.add(node_type.fn)


def ran_other_code(node_type: NodeType) -> bool:
    """Whether a part of a node's code was edited before it was imported, so that its key does not have it in it."""
    fn, others = node_type.fn, other_files()
    if not others or _is_own(fn.__module__):
        return False
    owners = (sys.modules.get(name) for name in (fn.__module__, fn.__module__.partition(".")[0]))
    files = _files.get(fn, frozenset()).union(*(_source_files.get(owner, ()) for owner in owners if owner is not None))
    return not others.isdisjoint(files)


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
        with taken_down() as states:
            try:
                known = folder_hash(folders[0], (".py",)) if len(folders) == 1 else content_hash(file) if file else ""
            except OSError:  # its file is gone, or it never had one
                known = ""
        _sources[owner] = known
        _source_files[owner] = note_code(states)
    return known


_lock = threading.RLock()
_fingerprints: weakref.WeakKeyDictionary[Any, References] = weakref.WeakKeyDictionary()
_seen_reading: weakref.WeakSet[Any] = weakref.WeakSet()
_sources: weakref.WeakKeyDictionary[types.ModuleType, str] = weakref.WeakKeyDictionary()
_files: weakref.WeakKeyDictionary[Any, frozenset[str]] = weakref.WeakKeyDictionary()
_source_files: weakref.WeakKeyDictionary[types.ModuleType, frozenset[str]] = weakref.WeakKeyDictionary()


def _is_own(module: str) -> bool:
    """Our own nodes have versions that say when their meaning changes."""
    return module.startswith(OWN) or module == OWN.rstrip(".")


def _is_script(fn: Any) -> bool:
    """Whether it stands in the script that was started, or was typed at a prompt or in a cell."""
    file = fn.__code__.co_filename
    return fn.__module__ == "__main__" or file.startswith("<") or "ipykernel" in file
