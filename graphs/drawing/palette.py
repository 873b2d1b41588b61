"""The colours of a picture. A type has one colour in every picture, so that a reader learns it."""

from __future__ import annotations

import zlib

PAPER = "#f6f7f9"
CARD = "#ffffff"
EDGE = "#d3d8e0"
RULE = "#eceff3"
INK = "#1b2330"
FAINT = "#6b7686"
ACCENT = "#2459d3"
"""A value that a caller may set."""
WRONG = "#d02b2b"
"""A link that leads nowhere, an input that is missing, a way back."""
PLAIN = "#8e99a8"
"""Numbers, text and other literals."""

_HUES = (
    "#7c4dff",
    "#e4572e",
    "#0f9d8a",
    "#d9a006",
    "#2f7de1",
    "#c2379b",
    "#5a9e2f",
    "#8a5a44",
    "#00a3c4",
    "#e0608a",
    "#6b6fd6",
    "#a3a000",
)
# The types that most workflows show get colours as far apart as there are; any other type takes one by its name.
_KNOWN = {
    "model": 0,
    "guidance": 1,
    "latents": 5,
    "conditioning": 3,
    "image": 4,
    "mask": 6,
    "control": 2,
    "trajectory": 7,
    "files": 8,
}
_LITERALS = {"str", "int", "float", "bool", "text", "number", "any", ""}
_TINTS = ("#eef1fb", "#fdf0ea", "#e8f6f3", "#fbf4df", "#f7ecf5", "#eef5e8", "#f3eeea", "#e9f4f8")


def type_colour(name: str) -> str:
    """The colour of a type's ports and links."""
    key = _bare(name)
    if key in _LITERALS:
        return PLAIN
    return _HUES[_KNOWN.get(key, zlib.crc32(key.encode(errors="replace")) % len(_HUES))]


def category_tint(name: str) -> str:
    """The colour behind the title of a node of this category."""
    return _TINTS[zlib.crc32(name.encode(errors="replace")) % len(_TINTS)]


def _bare(name: str) -> str:
    """`list[Latents]`, `Latents | None` and `Latents` are one colour."""
    name = name.removeprefix("list[").split("|")[0].strip().rstrip("]")
    return name.lower()
