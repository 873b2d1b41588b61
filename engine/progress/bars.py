"""What the bars of one run say, kept up to date from its events."""

from __future__ import annotations

from typing import TYPE_CHECKING

from weft.engine.events import (
    Event,
    JobStarted,
    NodeCached,
    NodeFailed,
    NodeFinished,
    NodeProgress,
    NodeResumed,
    NodeRetried,
    NodeSkipped,
    NodeStarted,
)
from weft.engine.progress.pace import Pace

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


def new_progress() -> Progress:
    """Bars that nobody draws yet."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[message]}", markup=False),
    )
    # Never started: with a console of its own that writes nowhere, a listener can never be held up by a terminal.
    return Progress(*columns, console=Console(quiet=True, force_jupyter=False), auto_refresh=False)


class Bars:
    """A listener that keeps a bar for the whole, and one for each node that reports steps.

    Args:
        progress: holds the bars.
    """

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self.whole = progress.add_task("starting", total=None, message="")
        self.total = 0
        self.ended: set[str] = set()
        self.nodes: dict[str, tuple[TaskID, Pace]] = {}

    def __call__(self, event: Event) -> None:
        """Take in one event."""
        node = event.node or ""
        if isinstance(event, JobStarted):
            self.total = event.nodes
            self.progress.update(self.whole, total=event.nodes)
        elif isinstance(event, NodeStarted):
            self.progress.update(self.whole, description=node)
        elif isinstance(event, (NodeProgress, NodeResumed)):
            self._show(node, event)
        elif isinstance(event, NodeRetried):
            if node in self.nodes:
                task, pace = self.nodes[node]
                pace.again(f"called again ({event.attempt} of {event.of})")
                self.progress.update(task, completed=pace.fraction, message=on_one_line(pace.words))
        elif isinstance(event, NodeFailed):
            if node not in self.nodes or not self.nodes[node][1].items:  # one item of many is not the end of its node
                self._end(node)
        elif isinstance(event, (NodeCached, NodeFinished)) or (isinstance(event, NodeSkipped) and event.item is None):
            self._end(node)

    def _show(self, node: str, event: NodeProgress | NodeResumed) -> None:
        if node not in self.nodes:
            self.nodes[node] = self.progress.add_task(f"  {node}", total=1.0, message=""), Pace()
        task, pace = self.nodes[node]
        pace.take(event)
        self.progress.update(task, completed=pace.fraction, message=on_one_line(pace.words))

    def _end(self, node: str) -> None:
        self.ended.add(node)
        done = min(len(self.ended), self.total)  # a node may be told of more often than once
        self.progress.update(self.whole, completed=done, message=f"{done} of {self.total} nodes")
        if node in self.nodes:
            self.progress.remove_task(self.nodes.pop(node)[0])


def on_one_line(text: str) -> str:
    """What a node says, without what would move a terminal's cursor."""
    return "".join(character if character.isprintable() else " " for character in text[:200])
