"""The bars of all runs that go on in this process, drawn by one thread, so that no run ever waits for a terminal.

A terminal has one last line, and several runs may want it: from threads, or one that a node started. What fails while
drawing ends the drawing and nothing else.
"""

from __future__ import annotations

import contextlib
import contextvars
import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from rich.progress import Progress

log = logging.getLogger("weft.progress")

QUICK_SECONDS = 0.5
"""Runs that take no longer are not shown."""
TICK_SECONDS = 0.125
PATIENCE_SECONDS = 2.0
"""How long the end of a run waits until its bars are gone; a terminal that was stopped takes nothing any more."""


Line = tuple[str, str]
"""A text and its colour, "" for that of all text."""


class ShownRun:
    """One run as it is shown.

    Args:
        progress: its bars.
        delay: seconds before it appears.

    Attributes:
        last: stands in place of the bars when it has ended.
        since: when it appears, by the monotonic clock.
        gone: set when nothing of it is to be drawn any more.
        context: of the thread that runs it: a notebook finds the cell by that.
    """

    def __init__(self, progress: Progress, delay: float) -> None:
        self.progress = progress
        self.since = time.monotonic() + delay
        self.last = ""
        self.visible = False
        self.gone = threading.Event()
        self.context = contextvars.copy_context()


class Screen(Protocol):
    """What bars are drawn on. Called by one thread."""

    def show(self, runs: Sequence[ShownRun]) -> None:
        """Draw the bars of these runs as they are now."""

    def end(self, run: ShownRun) -> None:
        """Replace the bars of a run by its last words."""

    def say(self, text: str, colour: str) -> None:
        """A line beside the bars; `colour` is "" for that of all text."""

    def close(self) -> None:
        """Leave nothing behind that moves."""


class Board:
    """Runs that are shown on one screen.

    Args:
        open_screen: called, by the thread that draws, when there is something to draw.
    """

    def __init__(self, open_screen: Callable[[], Screen]) -> None:
        self._open = open_screen
        self._wake = threading.Condition()
        self._runs: list[ShownRun] = []
        self._ended: list[ShownRun] = []
        self._lines: list[Line] = []
        self._draws = False
        self._thread: threading.Thread | None = None

    def add(self, run: ShownRun) -> None:
        """Show a run from now on, or when it has gone on for a while."""
        with self._wake:
            self._runs.append(run)
            self._begin()

    def say(self, text: str, colour: str = "") -> None:
        """A line above the bars."""
        with self._wake:
            self._lines.append((text, colour))
            self._begin()

    def remove(self, run: ShownRun) -> None:
        """A run has ended. Returns when its bars are gone, or when that takes too long."""
        with self._wake:
            if run in self._runs:
                self._runs.remove(run)
                self._ended.append(run)
            if self._thread is None or not (run.visible or self._lines or self._draws):
                return
            self._wake.notify()
        run.gone.wait(PATIENCE_SECONDS)

    def _begin(self) -> None:
        if self._thread is None or not self._thread.is_alive():
            # A context of its own: the thread serves other runs too.
            self._thread = threading.Thread(
                target=contextvars.Context().run, args=(self._serve,), name="weft-progress", daemon=True
            )
            try:
                self._thread.start()
            except RuntimeError as error:  # there are too many threads: then nothing is shown
                self._thread = None
                log.debug("progress is not shown: %s", error)
        else:
            self._wake.notify()

    # -- on a thread of its own

    def _serve(self) -> None:
        screen: Screen | None = None
        try:
            while True:
                runs, ended, lines = self._due()
                if screen is None and (runs or lines):
                    screen = self._open()
                try:
                    if screen is not None:
                        _draw(screen, runs, ended, lines)
                        if self._is_over():
                            screen.close()
                            screen = None
                finally:
                    for run in ended:
                        run.gone.set()
                if not self._wait(screen is not None):
                    return
        except Exception as error:  # a terminal that is gone, say
            log.debug("progress is not shown any more: %s", error)
            self._give_up(screen)

    def _due(self) -> tuple[list[ShownRun], list[ShownRun], list[Line]]:
        """Which runs are to be drawn, which have ended since, and what is to be said."""
        with self._wake:
            now = time.monotonic()
            runs = [run for run in self._runs if run.since <= now]
            for run in runs:
                run.visible = True
            ended, self._ended = self._ended, []
            lines, self._lines = self._lines, []
            self._draws = bool(runs or lines)
        return runs, ended, lines

    def _is_over(self) -> bool:
        with self._wake:
            return not (self._runs or self._ended or self._lines)

    def _wait(self, draws: bool) -> bool:
        """Until it is time to draw again; False when there is nothing left to wait for."""
        with self._wake:
            self._draws = False
            if self._ended or self._lines:
                return True
            if not self._runs:
                self._thread = None  # whoever comes now starts another
                return False
            until = min(run.since for run in self._runs) - time.monotonic()
            self._wake.wait(TICK_SECONDS if draws else max(until, 0.0))
            return True

    def _give_up(self, screen: Screen | None) -> None:
        with contextlib.suppress(Exception):
            if screen is not None:
                screen.close()
        with self._wake:
            self._draws = False
            if self._thread is threading.current_thread():
                self._thread = None
            for run in (*self._runs, *self._ended):
                run.gone.set()
            self._lines.clear()
            self._ended.clear()


def _draw(screen: Screen, runs: Sequence[ShownRun], ended: Sequence[ShownRun], lines: Sequence[Line]) -> None:
    for text, colour in lines:
        screen.say(text, colour)
    screen.show(runs)
    for run in ended:
        if run.visible:
            screen.end(run)
