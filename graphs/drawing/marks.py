"""What a picture of a finished run says of each node."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from weft.graphs.drawing import palette

State = Literal["ran", "cached", "failed", "skipped", "unfinished"]


@dataclass(frozen=True, slots=True)
class Mark:
    """How a node fared.

    Args:
        state: "unfinished" is one that had begun when the run ended, "skipped" one that was not called, since
            something that it needs was not there.
        seconds: how long it ran; None for one that did not.
    """

    state: State
    seconds: float | None = None

    @property
    def text(self) -> str:
        """In the fewest words."""
        if self.state == "ran" or (self.seconds is not None and self.state != "failed"):
            return duration(self.seconds or 0.0)
        return self.state

    @property
    def colour(self) -> str:
        """Of the words."""
        return {"ran": palette.RAN, "failed": palette.WRONG}.get(self.state, palette.FAINT)


Marks = Mapping[str, Mark]
"""By node id; nodes that the run did not reach have none."""


def duration(seconds: float) -> str:
    """Seconds in three digits or so: `3 ms`, `1.24 s`, `2 min 5 s`."""
    if seconds < 0.0995:
        return f"{seconds * 1000:.0f} ms" if seconds >= 0.0095 else f"{seconds * 1000:.1f} ms"
    if seconds < 99.5:
        return f"{seconds:.2f} s" if seconds < 9.995 else f"{seconds:.1f} s"
    return f"{seconds // 60:.0f} min {seconds % 60:.0f} s"
