"""A run's events as bars on a terminal, or as lines where stderr is none."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from weft.engine.events import (
    Event,
    JobFinished,
    JobStarted,
    NodeCached,
    NodeFailed,
    NodeFinished,
    NodeProgress,
    NodeResumed,
    NodeRetried,
    NodeSkipped,
    NodeStarted,
    OnEvent,
)
from weft.server.cli.pace import Pace
from weft.server.cli.report import say

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

SLOW = 0.5
"""Without a terminal, nodes that took fewer seconds are not worth a line."""


@contextlib.contextmanager
def showing_progress(wanted: bool) -> Iterator[OnEvent | None]:
    """A listener for a run; None when no progress is wanted."""
    if not wanted:
        yield None
    elif not sys.stderr.isatty():
        yield lines
    else:
        with bars() as listener:
            yield listener


def lines(event: Event) -> None:
    """One line on stderr for each slow node, and one at the end."""
    if isinstance(event, NodeFinished) and event.seconds >= SLOW:
        say(f"{event.node}: {event.seconds:.1f} s")
    elif isinstance(event, NodeResumed):
        say(f"{event.node}: {event.steps} of {event.total} steps reused")
    elif text := aside(event):
        say(text, "yellow")
    elif isinstance(event, JobFinished):
        say(summary(event))


def aside(event: Event) -> str:
    """What an event says that is worth a line of its own, beside what is shown of its node; "" for most."""
    # What is missing after a failure is told in the end, with the failure. That a node is called again, the log says.
    if isinstance(event, NodeSkipped) and not event.failed and event.item is None:
        return f"{event.node}: skipped, {event.reason}"
    return ""


def summary(event: JobFinished) -> str:
    """How a run went, in a line."""
    reused = f", {event.reused} steps reused" if event.reused else ""
    return f"done in {event.seconds:.1f} s: {event.ran} ran, {event.cached} cached{reused}"


@contextlib.contextmanager
def bars() -> Iterator[Callable[[Event], None]]:
    """A bar for the whole, and one for each node that reports steps."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
    from rich.text import Text

    console = Console(stderr=True, highlight=False)
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[message]}", markup=False),
    )
    progress = Progress(*columns, console=console, transient=True)
    handler = _ConsoleLog(lambda text: console.print(Text(text, "yellow")))
    root = logging.getLogger("weft")
    root.addHandler(handler)
    finished: list[JobFinished] = []
    try:
        with progress:
            view = _Bars(progress)

            def listen(event: Event) -> None:
                view(event)
                if text := aside(event):
                    console.print(Text(text, "yellow"))
                if isinstance(event, JobFinished):
                    finished.append(event)

            yield listen
    finally:
        root.removeHandler(handler)
    for event in finished:
        say(summary(event), "green")


class _Bars:
    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self.whole = progress.add_task("starting", total=None, message="")
        self.total = 0
        self.ended: set[str] = set()
        self.nodes: dict[str, tuple[TaskID, Pace]] = {}

    def __call__(self, event: Event) -> None:
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
                self.progress.update(task, completed=pace.fraction, message=pace.words)
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
        self.progress.update(task, completed=pace.fraction, message=pace.words)

    def _end(self, node: str) -> None:
        self.ended.add(node)
        done = min(len(self.ended), self.total)  # a node may be told of more often than once
        self.progress.update(self.whole, completed=done, message=f"{done} of {self.total} nodes")
        if node in self.nodes:
            self.progress.remove_task(self.nodes.pop(node)[0])


class _ConsoleLog(logging.Handler):
    """Log lines above the bars instead of through them."""

    def __init__(self, write: Callable[[str], None]) -> None:
        super().__init__(logging.WARNING)
        self.write = write

    def emit(self, record: logging.LogRecord) -> None:
        self.write(record.getMessage())
