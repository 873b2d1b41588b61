"""Why a node runs again: in what it differs from an earlier result of its own."""

from __future__ import annotations

from weft.engine.cache.history import History, Record
from weft.engine.planning.parts import CHANGES, Change, Parts, changes, read_parts
from weft.engine.planning.steps import Step


class Reasons:
    """What one run says about its nodes; used by the scheduler's thread alone."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._before: dict[str, dict[str, list[Record]]] = {}
        """Per type what was known of nodes when the run came to the first one of that type."""

    def of(self, step: Step) -> list[dict[str, str]] | None:
        """The changes since the node ran last, as JSON data, a few at most; None where nothing is known."""
        return [change.to_dict() for change in self.changes(step)] or None

    def changes(self, step: Step) -> list[Change]:
        """The same as they are; none where nothing is known."""
        if not step.parts:
            return []
        known = self._before.get(step.type.name)
        if known is None:
            known = self._before[step.type.name] = self._look(step.type.name)
        records = known.get(step.shown)
        if not records or any(record.key == step.key for record in records):
            return []  # it never ran, or its result is gone
        after, before = read_parts(step.parts), read_parts(records[-1].parts)
        return [] if after is None or before is None else changes(before, after, step)[:CHANGES]

    def _look(self, type: str) -> dict[str, list[Record]]:
        self._history.refresh(type)
        known: dict[str, list[Record]] = {}
        for record in self._history.of_type(type):
            known.setdefault(record.node, []).append(record)
        return known


def nearest(step: Step, after: Parts, records: list[Record]) -> tuple[Record, Parts, list[Change]] | None:
    """The earlier result that differs least, the newest of these; None when no record can be read."""
    best: tuple[Record, Parts, list[Change]] | None = None
    for record in reversed(records):
        before = read_parts(record.parts) if record.key != step.key else None
        if before is None:
            continue
        found = changes(before, after, step)
        if best is None or len(found) < len(best[2]):
            best = record, before, found
    return best
