"""Code that is imported later than it was hashed, from a file that was edited meanwhile.

A process goes on with what it has loaded, but what a node imports only when it runs is loaded then: what the node
gives is neither the old code's nor the new code's, and its key, which has the hash of the old files in it, is wrong.
"""

from __future__ import annotations

import os
import sys
import threading
import types
import weakref
from collections.abc import Iterable

from weft.engine.filehash import FileState, FolderState

_lock = threading.Lock()
_hashed: dict[str, FileState] = {}
"""Files that were hashed as code, as they were."""
_seen: weakref.WeakSet[types.ModuleType] = weakref.WeakSet()
_count = 0
_other: set[str] = set()
"""Those that were imported as something else."""


def note_code(states: Iterable[FileState | FolderState]) -> frozenset[str]:
    """Files were hashed as code: what is imported from now on has to be the same. Returns their paths."""
    files = {state.path: state for state in states if isinstance(state, FileState)}
    if files:
        _look()
        with _lock:
            _hashed.update(files)
            _other.difference_update(files)
    return frozenset(files)


def other_files() -> set[str]:
    """The files that were imported when they were others than were hashed. Quick, as long as nothing is imported."""
    if len(sys.modules) != _count:
        _look()
    return _other


def _look() -> None:
    global _count
    with _lock:
        _count = len(sys.modules)
        for module in list(sys.modules.values()):
            if not isinstance(module, types.ModuleType) or module in _seen:
                continue
            _seen.add(module)
            file = getattr(module, "__file__", None)
            state = _hashed.get(os.path.abspath(file)) if isinstance(file, str) else None
            if state is not None and state.has_changed():
                _other.add(state.path)
