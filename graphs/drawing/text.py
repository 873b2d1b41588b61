"""How wide text is, without a font: near enough to lay out boxes, and never too narrow for the usual ones."""

from __future__ import annotations

import unicodedata

_WIDTHS = (
    ("ijlI|.,:;'`!", 0.29),
    ('frt()[]{}/\\-"* ', 0.38),
    ("ABCDEFGHKLNOPQRSTUVXYZ&#%+=<>~", 0.69),
    ("mwMW@", 0.93),
)
_EM = {character: width for characters, width in _WIDTHS for character in characters}
ELLIPSIS = "\u2026"


def width(text: str, size: float, bold: bool = False) -> float:
    """Width in pixels at a font size in pixels, for a common sans-serif font."""
    ems = sum(_EM.get(character) or _other(character) for character in text)
    return ems * size * (1.06 if bold else 1.0)


def _other(character: str) -> float:
    return 1.0 if unicodedata.east_asian_width(character) in "WF" else 0.59


def cut(text: str, room: float, size: float, bold: bool = False) -> str:
    """`text`, its end replaced by an ellipsis where it is wider than `room` pixels."""
    text = text[:400]
    if width(text, size, bold) <= room:
        return text
    while text and width(text + ELLIPSIS, size, bold) > room:
        text = text[:-1]
    return text.rstrip() + ELLIPSIS


def wrap(text: str, room: float, size: float, lines: int) -> list[str]:
    """`text` in at most `lines` lines of `room` pixels, broken at spaces where that is possible."""
    wrapped: list[str] = []
    words = text[:1000].split()
    while words and len(wrapped) < lines:
        if len(wrapped) == lines - 1:
            wrapped.append(cut(" ".join(words), room, size))
            break
        line = words.pop(0)
        while words and width(f"{line} {words[0]}", size) <= room:
            line += f" {words.pop(0)}"
        wrapped.append(cut(line, room, size))
    return wrapped
