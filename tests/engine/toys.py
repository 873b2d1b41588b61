"""Nodes without weight, for the tests of the engine. `calls` counts what ran."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NamedTuple, TypeVar

from weft.engine import Catalogue, Context, Files, Lazy, Node, NodeView, Problem, Range, Widget, node, value

calls: Counter[str] = Counter()
T = TypeVar("T")


@value("toy.shape")
@dataclass(frozen=True)
class Shape:
    corners: int = 0


@value("toy.square")
@dataclass(frozen=True)
class Square(Shape):
    side: float = 1.0


@dataclass(frozen=True)
class Live:
    """Cannot be written to disk."""

    number: int


class Parts(NamedTuple):
    """The two halves of a division.

    Args:
        whole: without the rest.
        rest: what is left.
    """

    whole: int
    rest: int


@node("number", category="values")
def number(value: int = 0) -> int:
    """A number."""
    calls["number"] += 1
    return value


@node("real", category="values")
def real(value: float = 0.0) -> float:
    """A real number."""
    return value


@node("text", category="values")
def text(value: str = "") -> str:
    """Some text."""
    return value


@node("any", category="values")
def anything(value: Any = None) -> Any:
    """Whatever."""
    return value


@node("add", category="math")
def add(a: int, b: int = 1) -> int:
    """Add two numbers.

    Args:
        a: the first.
        b: the second,
            on two lines.
    """
    calls["add"] += 1
    return a + b


@node("divide", category="math")
def divide(a: int, by: Annotated[int, Range(1, 100)] = 2) -> Parts:
    """Divide with a rest."""
    calls["divide"] += 1
    return Parts(a // by, a % by)


@node("total", category="math", output=True)
def total(items: list[int], mode: Literal["sum", "max"] = "sum") -> int:
    """Many into one."""
    calls["total"] += 1
    return sum(items) if mode == "sum" else max(items)


@node("show", output=True)
def show(value: Any) -> Any:
    """An output."""
    calls["show"] += 1
    return value


@node("square", category="shapes")
def square(side: float = 1.0) -> Square:
    """A square."""
    calls["square"] += 1
    return Square(4, side)


@node("shape", category="shapes")
def shape() -> Shape:
    """A shape that need not be a square."""
    return Shape(3)


@node("count_corners", category="shapes")
def count_corners(shape: Shape) -> int:
    """Corners of any shape."""
    return shape.corners


@node("side", category="shapes")
def side(square: Square, scale: float | None = None) -> float:
    """Only squares have one side."""
    return square.side * (scale or 1)


@node("same", category="generic")
def same(value: T) -> T:
    """Same type in and out."""
    return value


@node("pick", category="generic")
def pick(first: T, second: T, which: bool = False) -> T:
    """Two of one type."""
    return second if which else first


@node("live")
def live(number: int = 0) -> Live:
    """A value that only lives in memory."""
    calls["live"] += 1
    return Live(number)


@node("use_live", output=True)
def use_live(live: Live) -> int:
    """Its number."""
    calls["use_live"] += 1
    return live.number


@node("boom", output=True)
def boom(value: Any = None, message: str = "it broke") -> int:
    """Fails."""
    calls["boom"] += 1
    raise ValueError(message)


@node("clock", cache="never")
def clock() -> int:
    """Runs each time."""
    calls["clock"] += 1
    return calls["clock"]


def _stamp(path: str) -> str:
    from pathlib import Path

    return Path(path).read_text()


@node("read", fingerprint=_stamp)
def read(path: Annotated[str, Widget("file")], ctx: Context | None = None) -> str:
    """Read a file."""
    assert ctx is not None
    calls["read"] += 1
    return ctx.resolve_input_path(path).read_text()


@node("length")
def length(path: Annotated[str, Widget("file")], ctx: Context | None = None) -> int:
    """Reads a file and declares no fingerprint."""
    assert ctx is not None
    calls["length"] += 1
    return len(ctx.resolve_input_path(path).read_text())


@node("write", output=True, side_files=True)
def write(text: str, name: str, ctx: Context | None = None) -> Files:
    """Write a file."""
    assert ctx is not None
    calls["write"] += 1
    path = ctx.output_path(name, ".txt")
    path.write_text(text)
    return Files.of(path)


@node("steps")
def steps(count: int = 3, ctx: Context | None = None) -> int:
    """Reports its steps."""
    assert ctx is not None
    calls["steps"] += 1
    for step in range(count):
        if ctx.wants_preview():
            ctx.preview(b"picture", "image/png", 8, 4)
        ctx.progress(step + 1, count, "going")
    return count


@node("lazily")
def lazily(value: Lazy[int], wanted: bool = True) -> int:
    """Asks for its input, or not."""
    return value() if wanted else 0


def _one_base(view: NodeView) -> list[Problem]:
    bases = [id for id, node_type in view.sources("terms") if "base" in node_type.tags]
    if len(bases) > 1:
        return [Problem(code="conflict", node=view.id, input="terms", message=f"{' and '.join(bases)} are both bases.")]
    return []


@node("base_term", tags=("base",))
def base_term(scale: float = 1.0) -> Shape:
    """There may be one of these."""
    return Shape(1)


@node("terms", output=True, check=_one_base)
def terms(terms: list[Shape]) -> int:
    """Takes terms."""
    return len(terms)


def _renamed(inputs: dict[str, Any]) -> dict[str, Any]:
    return {"amount": inputs.pop("quantity"), **inputs} if "quantity" in inputs else inputs


def _doubled(inputs: dict[str, Any]) -> dict[str, Any]:
    return inputs | {"amount": inputs["amount"] * 2}


@node("grown", version=3, output=True, migrations={1: _renamed, 2: _doubled})
def grown(amount: int) -> int:
    """Has had other inputs."""
    return amount


NODES: list[Node[..., Any]] = [item for item in list(globals().values()) if isinstance(item, Node)]


def catalogue() -> Catalogue:
    """The toys alone."""
    return Catalogue(NODES)
