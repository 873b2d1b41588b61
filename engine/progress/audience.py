"""Whether anybody looks at how far a run is, and where."""

from __future__ import annotations

import os
import sys
from typing import Literal

Place = Literal["terminal", "notebook", "lines"]

SILENT = ("CI", "PYTEST_CURRENT_TEST", "PYTEST_VERSION")
"""Set in the environment where a program runs for itself, terminal or not."""


def audience(progress: bool | None) -> Place | None:
    """Where a run shows how far it is; None for nowhere.

    Args:
        progress: True for in any case: where there is neither terminal nor notebook, as lines; None for where a person
            sees it.
    """
    if progress is False or (progress is None and any(os.environ.get(name) for name in SILENT)):
        return None
    if in_notebook():
        return "notebook"
    if on_terminal():
        return "terminal"
    return "lines" if progress else None


def on_terminal() -> bool:
    """Whether stderr is a terminal that bars can be drawn on."""
    try:
        return sys.stderr.isatty() and os.environ.get("TERM", "") not in ("dumb", "unknown")
    except (AttributeError, ValueError, OSError):  # there is none, or it was closed
        return False


def in_notebook() -> bool:
    """Whether this process is the kernel of a notebook. Imports nothing: in a kernel IPython is there."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return getattr(shell, "kernel", None) is not None
