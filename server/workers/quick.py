"""What is known of how long jobs take, by the types of their nodes: quick ones are done several at a time."""

from __future__ import annotations

import functools
import json
from collections import Counter, OrderedDict, deque

from weft.server.store.protocol import Also

TOGETHER_SECONDS = 0.05
"""What jobs that are done together are expected to take in all: a job that comes meanwhile waits for so long."""
MOST_TOGETHER = 16
_LATEST = 3
"""So many of the last jobs of a kind are remembered, and the slowest of them counts."""
_LEAST = 2
"""Of fewer jobs nothing is concluded: the first one of a kind loads and imports."""
_MOST_KINDS = 1000
_MOST_TEXT = 16 * 1024
"""Characters of a document that is looked at: a longer one is of no kind."""

Kind = tuple[tuple[str, int], ...]
"""The types of a job's nodes, each with how many there are."""


class Quick:
    """Remembers how long the last jobs of each kind took."""

    def __init__(self) -> None:
        self._seconds: OrderedDict[Kind, deque[float]] = OrderedDict()

    def note(self, document: str, seconds: float | None) -> None:
        """Note how long a job took; None where its worker ended with it, of whose kind nothing is known then."""
        kind = _kind(document)
        if seconds is None or not kind:
            self._seconds.pop(kind, None)
            return
        if kind not in self._seconds:
            self._seconds[kind] = deque(maxlen=_LATEST)
            if len(self._seconds) > _MOST_KINDS:
                self._seconds.popitem(last=False)
        self._seconds[kind].append(seconds)

    def expected(self, document: str) -> float | None:
        """How long a job may take by what is known; None where that is too little."""
        seconds = self._seconds.get(_kind(document))
        return None if seconds is None or len(seconds) < _LEAST else max([*seconds])

    def together(self, most: int = MOST_TOGETHER) -> Also:
        """What says of one job after another whether it may be done with those before it.

        Args:
            most: jobs.
        """
        count, total = 0, 0.0

        def also(document: str) -> bool:
            nonlocal count, total
            seconds = self.expected(document)
            if seconds is None or count >= most or total + seconds > TOGETHER_SECONDS:
                return False
            count, total = count + 1, total + seconds
            return True

        return also


def _kind(document: str) -> Kind:
    """The kind of a job, by its document as JSON text."""
    return _read(document) if len(document) <= _MOST_TEXT else ()


@functools.lru_cache(256)
def _read(document: str) -> Kind:
    try:
        nodes = json.loads(document)["nodes"]
        return tuple(sorted(Counter(str(node["type"]) for node in nodes.values()).items()))
    except (ValueError, KeyError, TypeError, AttributeError):  # another version of Weft took it for sound
        return ()
