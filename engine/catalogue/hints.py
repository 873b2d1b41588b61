"""A word to whoever writes a node in a script or a notebook that is run again each time without need."""

from __future__ import annotations

import logging
import weakref
from collections.abc import Callable
from typing import Any

from weft.engine.catalogue.references import globals_of

log = logging.getLogger("weft.node")

TIMES = 2
"""So often in a row a global has to be another one: cells that are run again change what they set as well."""


class _Changes:
    """Which globals of one function changed, and how often in a row."""

    def __init__(self) -> None:
        self.digests: dict[str, str] = {}
        self.times: dict[str, int] = {}


_changes: weakref.WeakKeyDictionary[Any, _Changes] = weakref.WeakKeyDictionary()
_told: set[str] = set()


def note_change(fn: Any, own: Callable[[str], bool]) -> None:
    """What a function refers to is another than at the last run; the same object of a function, so nobody edited it."""
    known = _changes.setdefault(fn, _Changes())
    digests = globals_of(fn, own)
    changed = {name for name, digest in digests.items() if known.digests.get(name, digest) != digest}
    known.times = {name: known.times.get(name, 0) + 1 for name in changed}
    known.digests = digests
    often = sorted(name for name, times in known.times.items() if times >= TIMES)
    where = f"{fn.__module__}.{fn.__qualname__}"
    if often and where not in _told:
        _told.add(where)
        log.warning(
            "the node %s runs again each time, since %s, which its code refers to, is another at each run. Put it into "
            "a module that is imported, where it counts as it was at first, or give what matters as an input",
            where,
            " and ".join(often),
        )
