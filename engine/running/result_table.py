"""A run's result as the value of a notebook's cell: how it went, what failed, and what the targets made."""

from __future__ import annotations

import base64
import contextlib
import mimetypes
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from weft.engine.errors import NodeError
from weft.engine.ownership import copy_for
from weft.engine.values import Files
from weft.graphs.showing import safe

MOST_ROWS = 50
"""Of failures, and of outputs."""
MOST_ITEMS = 12
"""Of a list."""
MOST_CHARACTERS = 300
"""Of a text, or of what any other value prints."""
MOST_BYTES = 8 << 20
"""Of all pictures together: a notebook keeps them in its file."""
PICTURES = ("image/png", "image/jpeg", "image/webp", "image/gif")
"""Files that a browser shows and that run no scripts."""


@dataclass(frozen=True, slots=True)
class Row:
    """An output of a target, or what failed.

    Attributes:
        name: of the node or the output.
        words: what is said of it; "" for a value.
        value: what it is.
    """

    name: str
    words: str = ""
    value: Any = None
    failed: bool = False


def plural(count: int, noun: str) -> str:
    """`1 step`, `2 steps`."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def result_table(summary: str, failures: Sequence[Row], outputs: Sequence[Row]) -> str:
    """HTML without scripts, links or outside files. Names and texts are shown as they are, also not as formulas."""
    room = _Room()
    parts = [f'<div class="tex2jax_ignore"><b>Result</b> after {safe(summary)}']
    for rows, title in ((failures, "failed"), (outputs, "")):
        if rows:
            parts.append(f'<table style="text-align:left">{f"<caption>{title}</caption>" if title else ""}')
            parts += [_row(row, room) for row in rows[:MOST_ROWS]]
            parts.append("</table>")
        if len(rows) > MOST_ROWS:
            parts.append(f"<div>and {len(rows) - MOST_ROWS:,} more</div>")
    return "\n".join([*parts, "</div>"])


def _row(row: Row, room: _Room) -> str:
    if row.failed:
        content = f'<span style="color:#d02b2b">{_text(row.words)}</span>'
    else:
        content = _text(row.words) if row.words else _content(row.value, room)
    style = "text-align:left;vertical-align:top"
    return f'<tr><th style="{style}">{safe(row.name)}</th><td style="{style}">{content}</td></tr>'


def _content(value: Any, room: _Room) -> str:
    if isinstance(value, Files):
        return " ".join(_cut([_file(path, room) for path in value.paths[:MOST_ITEMS]], len(value.paths)))
    if isinstance(value, (list, tuple)):
        return " ".join(_cut([_content_of_item(item, room) for item in value[:MOST_ITEMS]], len(value))) or _text("[]")
    return _content_of_item(value, room)


def _content_of_item(value: Any, room: _Room) -> str:
    if isinstance(value, NodeError):
        return f'<span style="color:#d02b2b">{_text(value.message)}</span>'
    if isinstance(value, Files):
        return _content(value, room)
    if hasattr(type(value), "_repr_png_"):
        with contextlib.suppress(Exception):  # what it says of itself is no reason to show nothing of the rest
            data = copy_for(value)._repr_png_()
            if isinstance(data, bytes) and room.takes(len(data)):
                return _image(data, "image/png")
    return _text(short(value))


def _cut(shown: list[str], count: int) -> list[str]:
    return shown if len(shown) == count else [*shown, f"and {count - len(shown):,} more"]


def _file(path: str, room: _Room) -> str:
    """The picture in a file, or its path."""
    mime = mimetypes.guess_type(path)[0]
    if mime in PICTURES:
        with contextlib.suppress(OSError):
            size = Path(path).stat().st_size
            if Path(path).is_file() and room.takes(size):
                with open(path, "rb") as file:
                    return _image(file.read(size), mime, path)
    return f"<code>{_text(path)}</code>"


def _image(data: bytes, mime: str, title: str = "") -> str:
    text = base64.b64encode(data).decode()
    about = f' title="{safe(title)}"' if title else ""
    return f'<img src="data:{mime};base64,{text}" style="max-width:512px"{about}>'


class _Room:
    """How many bytes of pictures may still be shown."""

    def __init__(self) -> None:
        self._left = MOST_BYTES

    def takes(self, count: int) -> bool:
        """Whether a picture of so many bytes goes in; then it does."""
        if count > self._left:
            return False
        self._left -= count
        return True


def _text(text: str) -> str:
    return safe(text if len(text) <= MOST_CHARACTERS else f"{text[:MOST_CHARACTERS]}\u2026")


def short(value: Any) -> str:
    """What a value prints, or its type where it cannot."""
    if isinstance(value, str):
        value = value[:MOST_CHARACTERS]
    try:
        return repr(value)
    except Exception:
        return f"<{type(value).__name__}>"
