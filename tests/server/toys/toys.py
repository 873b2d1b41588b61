"""Nodes for the tests of the command line, used with `--nodes`."""

from __future__ import annotations

import errno
import time
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from weft.engine import Context, Files, Range, Widget, node, value


@node("toy_text")
def toy_text(
    text: str = "a",
    times: Annotated[int, Range(1, 1000)] = 2,
    upper: bool = False,
    scale: float = 1.0,
    mode: Literal["plain", "fancy"] = "plain",
    many: list[int] = [],  # noqa: B006 (never changed)
    either: int | str = 0,
    maybe: float | None = None,
    whatever: Any = None,
) -> str:
    """Text of all kinds of inputs."""
    print("this is no result")
    parts = [text * times, upper, scale, mode, many, repr(either), maybe, whatever]
    return " ".join(map(str, parts))


@node("toy_read")
def toy_read(path: Annotated[str, Widget("file")], ctx: Context | None = None) -> str:
    """Read a file."""
    assert ctx is not None
    return ctx.resolve_input_path(path).read_text()


@node("toy_save", output=True, side_files=True)
def toy_save(text: str, name: str = "x", ctx: Context | None = None) -> Files:
    """Save text."""
    assert ctx is not None
    path = ctx.output_path(name, ".txt")
    path.write_text(text)
    return Files.of(path)


@node("toy_picture", output=True, side_files=True)
def toy_picture(name: str = "p", ctx: Context | None = None) -> Files:
    """A picture that carries its workflow."""
    import struct
    import zlib

    from weft.graphs.png import embed

    assert ctx is not None

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)
    png = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0\0")) + chunk(b"IEND", b"")
    path = ctx.output_path(name, ".png")
    path.write_bytes(embed(png, ctx.provenance()))
    return Files.of(path)


@node("toy_fail", output=True)
def toy_fail(value: Any = None) -> int:
    """Fail."""
    raise ValueError("[it] broke")


@node("toy_full", output=True, side_files=True)
def toy_full(name: str = "x", ctx: Context | None = None) -> Files:
    """Fill the disk."""
    assert ctx is not None
    raise OSError(errno.ENOSPC, "No space left on device", str(ctx.out / name))


@node("toy_slow", output=True)
def toy_slow(seed: int = 7, ctx: Context | None = None) -> int:
    """Take a minute, saying so."""
    assert ctx is not None
    (ctx.out).mkdir(exist_ok=True)
    (ctx.out / "started").touch()
    for step in range(6000):
        ctx.progress(step, 6000)
        time.sleep(0.01)
    return seed


@node("toy_picky", output=True)
def toy_picky(value: int, bad: int = 2) -> int:
    """Take all numbers but one."""
    if value == bad:
        raise ValueError("not to my taste")
    return value


@node("toy_inner")
def toy_inner(value: int, bad: int = 2) -> int:
    """Take all numbers but one, for others."""
    return toy_picky(value, bad)


@node("toy_steps")
def toy_steps(value: int, steps: int = 4, ctx: Context | None = None) -> int:
    """Go in steps."""
    assert ctx is not None
    for step in range(steps):
        ctx.progress(step + 1, steps)
    return value


@node("toy_seeded", output=True)
def toy_seeded(seed: int = 1, count: int = 1, words: str = "") -> int:
    """Give back the seed."""
    return seed


@value("toy_sound")
@dataclass(frozen=True)
class Sound:
    """What no node saves by itself."""

    text: str


@node("toy_sing")
def toy_sing(text: str = "la") -> Sound:
    """Make a sound."""
    return Sound(text)


@node("toy_save_sound", output=True, side_files=True)
def toy_save_sound(sound: Sound, name: str, ctx: Context | None = None) -> Files:
    """Save a sound."""
    assert ctx is not None
    path = ctx.output_path(name, ".txt")
    path.write_text(sound.text)
    return Files.of(path)
