"""Nodes that do what nodes must not do, for tests of the server's workers."""

from __future__ import annotations

import ctypes
import os
import random
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from weft.engine import Context, Files, Widget, node, value


def _note(log: str, text: str) -> None:
    """Append a line; whole, whoever writes beside."""
    if log:
        file = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        os.write(file, f"{text}\n".encode())
        os.close(file)


@node("fault_count")
def fault_count(number: int, log: str, seconds: float = 0.0, ctx: Context | None = None) -> int:
    """Add one, and note in a file that it was done.

    Args:
        log: takes a line for each call that came to its end.
    """
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(0.005)
        if ctx is not None:
            ctx.check_cancelled()
    _note(log, str(number))
    return number + 1


@node("fault_show", output=True)
def fault_show(value: Any = None) -> Any:
    """Show a value."""
    return value


@node("fault_exit", output=True)
def fault_exit(value: int = 0) -> int:
    """End the process."""
    os._exit(value)


@node("fault_exit_once", output=True)
def fault_exit_once(path: str, value: int = 0) -> int:
    """End the process the first time."""
    if not Path(path).exists():
        Path(path).touch()
        os._exit(7)
    return value


@node("fault_crash", output=True)
def fault_crash(value: int = 0) -> int:
    """Read where nothing is."""
    return ctypes.string_at(value)[0]


@node("fault_hang", output=True)
def fault_hang(value: int = 0) -> int:
    """Keep Python's lock in a loop of C."""
    return sum(range(value + (1 << 62)))


@node("fault_memory", output=True)
def fault_memory(value: int = 0) -> int:
    """Take more memory than a worker may."""
    taken = [bytearray(64 << 20) for _ in range(value)]
    for piece in taken:
        piece[::4096] = b"x" * len(piece[::4096])
    time.sleep(60)
    return len(taken)


@node("fault_print", output=True)
def fault_print(count: int = 1) -> int:
    """Print bytes that are no text, on both ways out, and close neither."""
    for number in range(count):
        os.write(1, bytes(range(256)) * 64)
        sys.stderr.buffer.write(b"\xff\xfe\x00" * 1000 + str(number).encode())
    sys.stdout.write("no end of line")
    return count


@node("fault_change", output=True, cache="never")
def fault_change(folder: str) -> str:
    """Change what the process has for all."""
    before = surroundings()
    os.chdir(folder)
    random.seed(1)
    os.environ["FAULT"] = "left"
    sys.setrecursionlimit(777)
    time.tzset()
    return before


@node("fault_look", output=True, cache="never")
def fault_look(value: int = 0) -> str:
    """Tell what the process has for all."""
    return surroundings()


def surroundings() -> str:
    """What nodes may rely on."""
    return repr((os.getcwd(), os.environ.get("FAULT"), sys.getrecursionlimit()))


@node("fault_raise", output=True)
def fault_raise(message: str = "broken") -> int:
    """Fail."""
    raise ValueError(message)


@node("fault_deaf", output=True)
def fault_deaf(path: str, seconds: float = 60.0) -> int:
    """Hear no cancel.

    Args:
        path: a file that tells that it runs.
    """
    Path(path).touch()
    time.sleep(seconds)
    return 0


@node("fault_nan", output=True)
def fault_nan(value: int = 0) -> float:
    """Give no number."""
    return float("nan") + value


@node("fault_steps", output=True, cache="never")
def fault_steps(path: str, steps: int = 2000, ctx: Context | None = None) -> int:
    """Go in steps, and hear a cancel between them."""
    assert ctx is not None
    Path(path).touch()
    for step in range(steps):
        ctx.progress(step + 1, steps)
        ctx.check_cancelled()
        time.sleep(0.01)
    return steps


@node("fault_save", output=True, side_files=True, cache="never")
def fault_save(path: str, name: str = "text", seconds: float = 0.0, ctx: Context | None = None) -> Files:
    """Write a file slowly."""
    assert ctx is not None
    target = ctx.output_path(name, ".txt")
    target.write_text(path)
    Path(path).touch()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(0.01)
        ctx.check_cancelled()
    return Files.of(target)


@value("fault_loaded")
@dataclass(frozen=True)
class Loaded:
    """A model, as it were: it cannot leave its process."""

    name: str
    about: Mapping[str, Any]


@node("fault_load")
def fault_load(model: Annotated[str, Widget("model")], log: str) -> Loaded:
    """Load a model, and note it."""
    _note(log, model)
    return Loaded(model, {"thread": object()})


@node("fault_use", output=True)
def fault_use(model: Loaded, number: int = 0, seconds: float = 0.0) -> str:
    """Work with a model."""
    time.sleep(seconds)
    return f"{model.name} {number}"


@node("fault_previews", output=True, cache="never")
def fault_previews(count: int = 10, size: int = 32768, seconds: float = 0.1, ctx: Context | None = None) -> int:
    """Show pictures, as it were, one after the other."""
    assert ctx is not None
    for _ in range(count):
        ctx.preview(bytes(size), "image/jpeg", 256, 256)
        time.sleep(seconds)
    return count
