"""Nodes that do what their declarations do not say, in a module that a worker process can import."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from weft.engine import Context, Node, node
from weft.engine.filehash import content_hash, folder_hash


@node("writes_undeclared")
def writes_undeclared(name: str, ctx: Context | None = None) -> str:
    """Writes a file."""
    assert ctx is not None
    ctx.output_path(name, ".txt").write_text(name)
    return name


@node("asks_for_the_folder")
def asks_for_the_folder(name: str, ctx: Context | None = None) -> str:
    """Writes a file in its own way."""
    assert ctx is not None
    ctx.out.mkdir(exist_ok=True)
    (ctx.out / f"{name}.txt").write_text(name)
    return name


@node("secret_here")
def secret_here(ctx: Context | None = None) -> Any:
    """Its id, asked for in a way that no one sees."""
    return getattr(ctx, "_".join(("node", "id")))


@node("secret_there")
def secret_there(ctx: Context | None = None) -> Any:
    """The same, for the test in a worker: what was noticed of the other is remembered."""
    return getattr(ctx, "_".join(("node", "id")))


@node("meddles", fingerprint=content_hash)
def meddles(path: str) -> str:
    """Writes the file that it reads, and puts it back."""
    file = Path(path)
    before = file.read_text()
    file.write_text(before[::-1])
    text = file.read_text()
    file.write_text(before)
    return text


@node("meddles_folder", fingerprint=lambda path: folder_hash(path))
def meddles_folder(path: str) -> int:
    """Makes a file, counts them, and leaves it."""
    (Path(path) / "more").write_text("")
    return len(list(Path(path).iterdir()))


NODES: list[Node[..., Any]] = [
    writes_undeclared,
    asks_for_the_folder,
    secret_here,
    secret_there,
    meddles,
    meddles_folder,
]
