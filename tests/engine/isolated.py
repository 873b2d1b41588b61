"""Nodes that misbehave, for the tests of isolation. A module of its own, since a worker imports it."""

from __future__ import annotations

import asyncio
import ctypes
import logging
import os
import re
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tests.engine.toys import Live, Square
from weft.engine import Catalogue, Context, Files, Lazy, Node, node
from weft.engine.declaring.model_folders import model_folders


class Pair(NamedTuple):
    """Two of a kind."""

    first: Live
    second: int


@node("pid")
def pid(value: Any = None) -> int:
    """The process that it runs in."""
    return os.getpid()


@node("settle")
def settle(ctx: Context | None = None) -> str:
    """Leaves a file in its workspace, and a trail."""
    assert ctx is not None
    assert ctx.trails is not None
    (ctx.workspace() / "here").write_text(str(os.getpid()))
    ctx.trails.put(b"base".ljust(20), [b"step".ljust(20)], 1, of=2)
    return f"{ctx.key} {ctx.workspace()}"


@node("segfault")
def segfault(value: Any = None) -> int:
    """Crash."""
    ctypes.string_at(0)
    return 0


@node("abort")
def abort(value: Any = None) -> int:
    """End in native code."""
    os.abort()


@node("killed")
def killed(value: Any = None) -> int:
    """What the system does when memory is short."""
    os.kill(os.getpid(), signal.SIGKILL)
    return 0


@node("leave")
def leave(code: int = 3, hard: bool = False) -> int:
    """Exit, by exception or at once."""
    os._exit(code) if hard else sys.exit(code)


@node("spin")
def spin(value: Any = None, seconds: float = 60.0) -> int:
    """Never look whether somebody wants it to end."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass
    return 0


@node("stuck")
def stuck(value: Any = None, ctx: Context | None = None) -> int:
    """A loop in C that keeps Python's lock."""
    if ctx is not None:
        ctx.progress(1, 2, "now")
    re.match(r"(a+)+$", "a" * 60 + "b")
    return 0


@node("eat")
def eat(megabytes: int = 600) -> int:
    """Take memory."""
    kept = [b"x" * (1 << 20) for _ in range(megabytes)]
    time.sleep(20)
    return len(kept)


@node("fail")
def fail(message: str = "it broke") -> int:
    """Fail in the ordinary way."""
    raise ValueError(message)


@node("array")
def array(count: int = 10, fill: float = 1.0) -> Any:
    """Many numbers."""
    return np.full(count, fill)


@node("scale")
def scale(array: Any, by: float = 2.0) -> Any:
    """Changes what it is given, as it should not."""
    array *= by
    return array


@node("live")
def live(number: int = 0, log: str = "") -> Live:
    """A value that cannot leave its process."""
    if log:
        with open(log, "a") as file:
            file.write(f"{os.getpid()}\n")
    return Live(number)


@node("live_pair")
def live_pair(number: int = 0) -> Pair:
    """One that cannot leave, and one that can."""
    return Pair(Live(number), number)


@node("use_live")
def use_live(live: Live, after: Any = None) -> int:
    """What is in it."""
    return live.number


@node("use_lives")
def use_lives(lives: list[Live]) -> int:
    """Several."""
    return sum(live.number for live in lives)


@node("gather")
def gather(values: list[Any]) -> int:
    """Needs them all."""
    return len(values)


@node("square")
def square(side: float = 1.0) -> Square:
    """A value."""
    return Square(4, side)


@node("side")
def side(square: Square) -> float:
    """Out of a value."""
    return square.side


@node("talk")
def talk(count: int = 3, ctx: Context | None = None) -> int:
    """Says all that a node may say."""
    assert ctx is not None
    print("printed")
    os.write(1, b"written\n")
    ctx.log.warning("logged")
    logging.getLogger("weft.other").warning("logged too")
    for step in range(count):
        ctx.preview(b"picture" * 20_000, "image/png", 8, 4)
        ctx.progress(step + 1, count, "going")
    return count


@node("where")
def where(ctx: Context | None = None) -> str:
    """Folders and provenance."""
    assert ctx is not None
    (ctx.scratch / "x").write_text("x")
    return "|".join([str(ctx.out), str(ctx.scratch), ctx.provenance()["weft_workflow"], ctx.node_id])


@node("of_batch")
def of_batch(ctx: Context | None = None) -> str:
    """What the second image of a batch of three says of its run."""
    assert ctx is not None
    return ctx.provenance(2, 3, only=2)["weft_run"]


@node("write", side_files=True)
def write(text: str, ctx: Context | None = None) -> Files:
    """A file."""
    assert ctx is not None
    path = ctx.output_path("a", ".txt")
    path.write_text(text)
    return Files.of(path)


@node("lazily")
def lazily(value: Lazy[int], wanted: bool = True) -> int:
    """Asks, or not."""
    return value() if wanted else -1


@node("nap")
async def nap(seconds: float = 0.2, mark: str = "") -> float:
    """Wait on the event loop."""
    await asyncio.sleep(seconds)
    if mark:
        Path(mark).touch()
    return seconds


@node("folders_of_models", cache="never")
def folders_of_models(ctx: Context | None = None) -> str:
    """The model folders there."""
    return os.pathsep.join(map(str, model_folders()))


@node("stored_text")
def stored_text(id: str, ctx: Context | None = None) -> str:
    """What a file of the file store holds, and the process that reads it."""
    assert ctx is not None
    return f"{ctx.resolve_input_path(id).read_text()} {os.getpid()}"


@node("meets")
def meets(mine: str, others: list[str]) -> int:
    """Ends when the others are there too, so all have to run at once."""
    Path(mine).touch()
    while not all(Path(other).exists() for other in others):
        time.sleep(0.001)
    return os.getpid()


@node("meets_async")
async def meets_async(mine: str, others: list[str]) -> int:
    """The same on the event loop."""
    Path(mine).touch()
    while not all(Path(other).exists() for other in others):
        await asyncio.sleep(0.001)
    return os.getpid()


@node("endless")
async def endless(begun: str, stopped: str) -> int:
    """Ends only when it is told to."""
    Path(begun).touch()
    try:
        await asyncio.sleep(3600)
    finally:
        Path(stopped).touch()
    return 1


@node("fail_after")
def fail_after(path: str) -> int:
    """Fails as soon as a file is there."""
    while not Path(path).exists():
        time.sleep(0.001)
    raise ValueError("it broke")


@node("stepping")
def stepping(count: int = 1000, ctx: Context | None = None) -> int:
    """Looks whether it is to end."""
    assert ctx is not None
    for step in range(count):
        ctx.progress(step, count)
        time.sleep(0.01)
    return count


@node("device_meets", resource="device")
def device_meets(mine: str, other: str, value: Any = None) -> str:
    """Ends when its twin is there too, so both have to be on a device at once."""
    Path(mine).touch()
    for _ in range(20_000):
        if Path(other).exists():
            return type(value).__name__
        time.sleep(0.001)
    raise TimeoutError(f"nobody else came: {other}")


@node("yields", resource="device")
def yields(mark: str, other: str, ctx: Context | None = None) -> str:
    """Lets others have its device until one of them was there."""
    assert ctx is not None
    Path(mark).touch()
    with ctx.yield_device():
        for _ in range(20_000):
            if Path(other).exists():
                break
            time.sleep(0.001)
        else:
            raise TimeoutError(f"nobody else came: {other}")
    return "went on"


@node("yields_async", resource="device")
async def yields_async(mark: str, other: str, ctx: Context | None = None) -> str:
    """The same on the event loop."""
    assert ctx is not None
    Path(mark).touch()
    async with ctx.yield_device():
        for _ in range(20_000):
            if Path(other).exists():
                break
            await asyncio.sleep(0.001)
        else:
            raise TimeoutError(f"nobody else came: {other}")
    return "went on"


@node("touch", resource="device")
def touch(mark: str, after: str = "") -> str:
    """Leaves a mark."""
    if after and not Path(after).exists():
        raise RuntimeError(f"{after} is not there yet")
    Path(mark).touch()
    return mark


@node("panics")
async def panics(kind: str = "GeneratorExit") -> int:
    """Raises what is no Exception."""
    raise {"GeneratorExit": GeneratorExit, "CancelledError": asyncio.CancelledError}[kind]()


@node("environment")
def environment(name: str, value: Any = None) -> str:
    """A variable."""
    return os.environ.get(name, "")


@node("reports")
def reports(count: int = 3, ctx: Context | None = None) -> int:
    """Says things of its own kind."""
    assert ctx is not None
    for step in range(count):
        ctx.report("tests.loss", {"step": step})
    ctx.reused(2, 5)
    return count


@node("background")
def background(value: Any = None) -> int:
    """Leaves a thread that crashes the process while another node runs."""
    threading.Timer(0.3, lambda: os._exit(7)).start()
    return 0


NODES: list[Node[..., Any]] = [item for item in list(globals().values()) if isinstance(item, Node)]


def catalogue() -> Catalogue:
    """The nodes above."""
    return Catalogue(NODES)
