"""Nodes that cost next to nothing, for `benchmarks/server.py`: what is measured is the server."""

from __future__ import annotations

import struct
import time

from weft.engine import Context, node


@node("bench.number")
def number(value: int = 0) -> int:
    """A number."""
    return value


@node("bench.add")
def add(a: int, b: int = 1) -> int:
    """Two numbers."""
    return a + b


@node("bench.total", output=True)
def total(items: list[int]) -> int:
    """Many numbers."""
    return sum(items)


@node("bench.previews", output=True, cache="never")
def previews(ctx: Context, count: int = 10, size: int = 32768, seconds: float = 0.1) -> int:
    """Show pictures at a rate; each begins with the moment at which it was shown."""
    for _ in range(count):
        picture = struct.pack("<d", time.monotonic()) + bytes(size - 8)
        ctx.preview(picture, "image/jpeg", 256, 256)
        time.sleep(seconds)
    return count


class Model:
    """Something that stays in the process that loaded it."""

    def __init__(self, name: str) -> None:
        self.name = name


@node("bench.load")
def load(name: str) -> Model:
    """A model, as it were."""
    return Model(name)


@node("bench.use", output=True)
def use(model: Model, seed: int = 0) -> str:
    """What is done with one."""
    return f"{model.name} {seed}"
