"""What stands in place of a value that is not there: since a node said so, or since one failed and the run goes on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from weft.engine.declaring.skip import Skip
from weft.engine.errors import NodeError


@dataclass(frozen=True, slots=True, eq=False)
class Failed:
    """In place of a value that was to come from a node which failed, or which needed such a value."""

    error: NodeError


Absent = Skip | Failed
ABSENT: frozenset[type] = frozenset({Skip, Failed})


class MissingInput(Exception):  # noqa: N818 (it says what is the case)
    """A node asked for a lazy input that is absent. It may go on without it, or let this pass.

    Args:
        what: stands in its place; in another process what the message was there.
    """

    def __init__(self, what: Absent | str) -> None:
        self.absent = None if isinstance(what, str) else what
        if not isinstance(what, str):
            reason = what.reason or "a node that it needs gave nothing" if isinstance(what, Skip) else str(what.error)
            what = f"the lazy input is not there: {reason}"
        super().__init__(what)


def first_absent(values: Iterable[Any]) -> Absent | None:
    """The first of these that is absent; a failure before what was skipped."""
    found: Absent | None = None
    for value in values:
        if type(value) is Failed:
            return value
        if found is None and type(value) is Skip:
            found = value
    return found
