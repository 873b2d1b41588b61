"""Bars on a terminal, by rich: below everything else that is written there, and gone in the end."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from weft.engine.progress.board import Board, ShownRun


class Terminal:
    """The terminal that stderr is (see `board.Screen`)."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False, force_jupyter=False)
        self._runs: Sequence[ShownRun] = ()
        # What nodes print goes above the bars, as long as that is where it would have gone anyway.
        self._live = Live(
            get_renderable=self._all,
            console=self._console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=_is_terminal(sys.stdout),
        )

    def show(self, runs: Sequence[ShownRun]) -> None:
        """See `board.Screen`."""
        self._runs = runs
        if runs and not self._live.is_started:
            self._live.start()
        if self._live.is_started:
            self._live.refresh()

    def end(self, run: ShownRun) -> None:
        """See `board.Screen`."""
        if run.last:
            self.say(run.last, "")

    def say(self, text: str, colour: str) -> None:
        """See `board.Screen`."""
        self._console.print(Text(text, colour), soft_wrap=True)

    def close(self) -> None:
        """See `board.Screen`."""
        self._runs = ()
        if self._live.is_started:
            self._live.stop()

    def _all(self) -> Group:
        return Group(*(run.progress.get_renderable() for run in self._runs))


def _is_terminal(stream: object) -> bool:
    try:
        return bool(stream.isatty())  # type: ignore[attr-defined]
    except (AttributeError, ValueError, OSError):
        return False


BOARD = Board(Terminal)
"""There is one terminal, and so one board for all runs of the process."""
