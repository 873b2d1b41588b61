"""A listener for a run that shows how far it is, there where somebody looks."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Callable, Iterator

from weft.engine.events import Event, OnEvent
from weft.engine.progress.audience import Place
from weft.engine.progress.bars import Bars, new_progress
from weft.engine.progress.board import QUICK_SECONDS, Board, ShownRun
from weft.engine.progress.words import line, summary

log = logging.getLogger("weft.progress")


@contextlib.contextmanager
def watching(place: Place, on_event: OnEvent | None = None) -> Iterator[OnEvent]:
    """Show a run while the block runs. Nothing that fails in doing so reaches the run.

    Args:
        place: where, as `audience` says.
        on_event: is told of everything too.
    """
    if place == "lines":
        yield _both(on_event, _say_line)
        return
    with bars_on(board_of(place)) as (show, shown):

        def listen(event: Event) -> None:
            show(event)
            shown.last = summary(event) or shown.last

        yield _both(on_event, listen)


@contextlib.contextmanager
def bars_on(board: Board) -> Iterator[tuple[OnEvent, ShownRun]]:
    """The listener that keeps a run's bars on a board, and what of it is shown."""
    progress = new_progress()
    show, shown = Bars(progress), ShownRun(progress, QUICK_SECONDS)
    board.add(shown)
    try:
        yield show, shown
    finally:
        board.remove(shown)


def board_of(place: Place) -> Board:
    """Where bars are drawn."""
    if place == "notebook":
        from weft.engine.progress.notebook import BOARD

        return BOARD
    from weft.engine.progress.terminal import BOARD as TERMINAL

    return TERMINAL


def _both(first: OnEvent | None, second: Callable[[Event], None]) -> OnEvent:
    def listen(event: Event) -> None:
        try:
            second(event)
        except Exception as error:  # the bars are no reason to lose an event
            log.debug("progress: %s", error)
        if first is not None:
            first(event)

    return listen


def _say_line(event: Event) -> None:
    if text := line(event):
        print(text, file=sys.stderr)
