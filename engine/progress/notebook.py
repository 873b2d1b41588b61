"""Bars in the cell that runs something: HTML that is updated in place, by IPython's own display protocol."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from weft.engine.progress.board import Board, ShownRun
from weft.graphs.showing import safe

if TYPE_CHECKING:
    from rich.progress import Task


class Notebook:
    """The notebook of this kernel (see `board.Screen`). Each run has its own place in its own cell."""

    def __init__(self) -> None:
        self._display = importlib.import_module("IPython.display")
        self._places: dict[ShownRun, tuple[Any, str]] = {}

    def show(self, runs: Sequence[ShownRun]) -> None:
        """See `board.Screen`."""
        for run in runs:
            self._put(run, html(run))

    def end(self, run: ShownRun) -> None:
        """See `board.Screen`."""
        self._put(run, f'<div class="tex2jax_ignore">{safe(run.last)}</div>')
        del self._places[run]

    def say(self, text: str, colour: str) -> None:
        """See `board.Screen`: in a cell, what is worth a line is in the log and in the result."""

    def close(self) -> None:
        """See `board.Screen`."""

    def _put(self, run: ShownRun, text: str) -> None:
        handle, before = self._places.get(run, (None, ""))
        if handle is None:
            handle = run.context.run(self._display.display, self._display.HTML(text), display_id=True)
        elif text != before:
            run.context.run(handle.update, self._display.HTML(text))
        self._places[run] = handle, text


def html(run: ShownRun) -> str:
    """The bars of a run. What nodes say is text in it."""
    rows = "".join(map("".join, map(_cells, run.progress.tasks)))
    return f'<table class="tex2jax_ignore" style="text-align:left">{rows}</table>'


def _cells(task: Task) -> Iterator[str]:
    full = task.completed / task.total if task.total else 0.0
    yield f'<tr><td style="text-align:left;white-space:pre">{safe(task.description)}</td>'
    yield f'<td><progress value="{min(max(full, 0.0), 1.0):.3f}" max="1" style="width:16em"></progress></td>'
    yield f'<td style="text-align:left">{safe(str(task.fields["message"]))}</td></tr>'


BOARD = Board(Notebook)
"""One for all runs of the process."""
