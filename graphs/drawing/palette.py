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
RAN = "#1f7a46"
"""The time of a node that ran."""
PLAIN = "#8e99a8"
"""Numbers, text and other literals."""

_KNOWN = {
    "model": "#7c4dff",
    "conditioning": "#d9a006",
    "guidance": "#e4572e",
    "control": "#0f9d8a",
    "latent": "#c2379b",
    "image": "#00a3c4",
    "mask": "#5a9e2f",
    "trajectory": "#8a5a44",
    "file": "#2f7de1",
}
"""The types that most workflows show, as far apart as colours can be. Any other type takes one of `_OTHERS`."""
_OTHERS = ("#a3264a", "#3d4fa8", "#8d9a00", "#b06fd8", "#1f6f50", "#ef8f6b", "#4f7f9e", "#d14f8f", "#6a5b00", "#7f8cff")
_LITERALS = {"str", "int", "float", "bool", "text", "number", "any", ""}


def type_colour(name: str) -> str:
    """The colour of a type's ports and links."""
    key = _bare(name)
    if key in _LITERALS:
        return PLAIN
    return _KNOWN.get(key) or _OTHERS[zlib.crc32(key.encode(errors="replace")) % len(_OTHERS)]


def tint(colour: str) -> str:
    """A colour so light that text can stand on it."""
    mixed = (round(255 - (255 - int(colour[at : at + 2], 16)) * 0.13) for at in (1, 3, 5))
    return "#" + "".join(f"{part:02x}" for part in mixed)


def _bare(name: str) -> str:
    """What `list[Latents]`, `Latents | None` and an input named "latents" have in common."""
    name = name.removeprefix("list[").split("|")[0].strip().rstrip("]")
    return name.lower().removesuffix("s")
