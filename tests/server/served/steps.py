"""Nodes for tests with a real server: none takes time but the one that waits for the test."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Annotated

from weft.engine import Context, Files, Widget, node


@node("served_add")
def served_add(a: int, b: int = 1) -> int:
    """Add two numbers."""
    return a + b


@node("served_show", output=True)
def served_show(value: int) -> int:
    """Show a number."""
    return value


@node("served_fail", output=True)
def served_fail(value: int = 0) -> int:
    """Fail."""
    raise ValueError(f"{value} is not to my taste")


@node("served_gate")
def served_gate(value: int, path: str, ctx: Context | None = None) -> int:
    """Give the number back once there is a file; say meanwhile that it goes on.

    Args:
        path: the file. The one beside it that ends in ".reached" tells that the node runs.
    """
    Path(f"{path}.reached").touch()
    for turn in range(12_000):  # nobody's process goes on for ever
        if Path(path).exists():
            return value
        threading.Event().wait(0.01)
        if ctx is not None:
            ctx.check_cancelled()
            ctx.progress(turn % 100, 100)
    raise TimeoutError(f"nobody made {path}")


@node("served_note", output=True, side_files=True)
def served_note(text: str, name: str = "note", ctx: Context | None = None) -> Files:
    """Write a text into a file."""
    assert ctx is not None
    path = ctx.output_path(name, ".txt")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    return Files.of(path)


@node("served_size", output=True)
def served_size(path: Annotated[str, Widget("file")], ctx: Context | None = None) -> int:
    """The width of a PNG, in pixels."""
    assert ctx is not None
    data = ctx.resolve_input_path(path).read_bytes()
    return int.from_bytes(data[16:20], "big")
