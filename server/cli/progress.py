"""A run's progress as bars on a terminal, or as lines where stderr is none."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator

from weft.engine.events import Event, JobFinished, NodeFinished, NodeResumed, OnEvent
from weft.engine.progress.audience import on_terminal
from weft.engine.progress.words import aside, line, summary
from weft.server.cli.report import say


@contextlib.contextmanager
def showing_progress(wanted: bool) -> Iterator[OnEvent | None]:
    """A listener for a run; None when no progress is wanted."""
    if not wanted:
        yield None
    elif not on_terminal():
        yield lines
    else:
        with bars() as listener:
            yield listener


def lines(event: Event) -> None:
    """One line on stderr for each slow node, and one at the end."""
    if isinstance(event, (NodeFinished, NodeResumed, JobFinished)) and (text := line(event)):
        say(text)
    elif text := aside(event):
        say(text, "yellow")


@contextlib.contextmanager
def bars() -> Iterator[OnEvent]:
    """A bar for the whole, and one for each node that reports steps."""
    from weft.engine.progress.terminal import BOARD
    from weft.engine.progress.watching import bars_on

    handler = _BoardLog(lambda text: BOARD.say(text, "yellow"))
    root = logging.getLogger("weft")
    root.addHandler(handler)
    finished: list[JobFinished] = []
    try:
        with bars_on(BOARD) as (show, _):

            def listen(event: Event) -> None:
                show(event)
                if text := aside(event):
                    BOARD.say(text, "yellow")
                if isinstance(event, JobFinished):
                    finished.append(event)

            yield listen
    finally:
        root.removeHandler(handler)
    for event in finished:
        say(summary(event), "green")


class _BoardLog(logging.Handler):
    """Log lines above the bars instead of through them."""

    def __init__(self, write: Callable[[str], None]) -> None:
        super().__init__(logging.WARNING)
        self.write = write

    def emit(self, record: logging.LogRecord) -> None:
        self.write(record.getMessage())
