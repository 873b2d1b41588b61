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
    NodeFinished,
    NodeProgress,
    NodeResumed,
    NodeStarted,
    OnEvent,
)
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
    elif isinstance(event, JobFinished):
        say(summary(event))


def summary(event: JobFinished) -> str:
    """How a run went, in a line."""
    reused = f", {event.reused} steps reused" if event.reused else ""
    return f"done in {event.seconds:.1f} s: {event.ran} ran, {event.cached} cached{reused}"


@contextlib.contextmanager
def bars() -> Iterator[Callable[[Event], None]]:
    """A bar for the whole, and one for each node that reports steps."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
    from rich.text import Text

    console = Console(stderr=True, highlight=False)
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
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
        self.nodes: dict[str, TaskID] = {}

    def __call__(self, event: Event) -> None:
        progress, node = self.progress, event.node or ""
        if isinstance(event, JobStarted):
            progress.update(self.whole, total=event.nodes)
        elif isinstance(event, NodeStarted):
            progress.update(self.whole, description=node)
        elif isinstance(event, NodeCached):
            progress.advance(self.whole)
        elif isinstance(event, NodeResumed):
            self._show(node, event.steps, event.total, f"{event.steps} steps reused")
        elif isinstance(event, NodeProgress):
            self._show(node, event.step, event.total, event.message)
        elif isinstance(event, NodeFinished):
            progress.advance(self.whole)
            if node in self.nodes:
                progress.remove_task(self.nodes.pop(node))

    def _show(self, node: str, step: int, total: int, message: str) -> None:
        if node not in self.nodes:
            self.nodes[node] = self.progress.add_task(f"  {node}", total=total, message="")
        self.progress.update(self.nodes[node], completed=step)
        if message:  # what a node said last stays until it says something else
            self.progress.update(self.nodes[node], message=message)


class _ConsoleLog(logging.Handler):
    """Log lines above the bars instead of through them."""

    def __init__(self, write: Callable[[str], None]) -> None:
        super().__init__(logging.WARNING)
        self.write = write

    def emit(self, record: logging.LogRecord) -> None:
        self.write(record.getMessage())
