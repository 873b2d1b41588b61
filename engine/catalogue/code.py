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
    if fn.__module__.startswith(OWN):
        return None
    if fn.__module__ != "__main__" and "<locals>" not in fn.__qualname__:
        return _of_file(fn)
    # Several functions of one name may be written in one file, or one function be made several times.
    return _digest([_of_file(fn), function_code(fn)])


def _of_file(fn: Any) -> str:
    module = sys.modules.get(fn.__module__)
    top = fn.__module__.partition(".")[0]
    file = getattr(module, "__file__", None)
    try:
        package = sys.modules.get(top)
        folders = list(getattr(package, "__path__", ())) if package is not module else []
        if len(folders) == 1:
            return folder_hash(folders[0], (".py",))
        if file and not _is_interactive(fn):
            return content_hash(file)
        return hashlib.blake2b(inspect.getsource(fn).encode(), digest_size=20).hexdigest()
    except (OSError, TypeError):  # no file: typed at a prompt
        return _digest(function_code(fn))


def function_code(fn: Any, around: frozenset[Any] = frozenset()) -> Any:
    """What a function does, as plain data that is the same in every process of one Python.

    With the values and functions that it closes over. What can change in place is no part of the code, just as what a
    function finds in its module is none.

    Args:
        around: functions that this one is closed over by, which may go in circles.
    """
    if fn in around or not hasattr(fn, "__code__"):
        return getattr(fn, "__qualname__", type(fn).__qualname__)
    around |= {fn}
    cells = []
    for cell in fn.__closure__ or ():
        try:
            cells.append(_constant(cell.cell_contents, around))
        except ValueError:  # not set yet
            cells.append("unset")
    return [_code(fn.__code__, around), cells]


def _code(code: types.CodeType, around: frozenset[Any]) -> Any:
    constants = [_constant(item, around) for item in code.co_consts]
    return [code.co_code.hex(), constants, list(code.co_names), list(code.co_varnames)]


def _constant(item: Any, around: frozenset[Any]) -> Any:
    if isinstance(item, types.CodeType):
        return _code(item, around)
    if isinstance(item, types.FunctionType):
        return function_code(item, around)
    if isinstance(item, (tuple, frozenset)):
        parts = [_constant(part, around) for part in item]
        return [type(item).__name__, *(sorted(parts, key=repr) if isinstance(item, frozenset) else parts)]
    plain = item is None or item is ... or isinstance(item, (str, bytes, int, float, complex))
    return [type(item).__name__, repr(item)] if plain else type(item).__qualname__


def _digest(data: Any) -> str:
    return hashlib.blake2b(repr(data).encode(), digest_size=20).hexdigest()


def _is_interactive(fn: Any) -> bool:
    """Cells of a notebook share one module, and each change of a cell would change every node of it."""
    return bool(fn.__code__.co_filename.startswith("<")) or "ipykernel" in fn.__code__.co_filename
