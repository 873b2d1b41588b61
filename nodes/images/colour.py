"""Colours written as text."""

from __future__ import annotations

from collections.abc import Iterator

from weft.engine import NodeView, Problem

_NAMED = {"black": "#000000", "white": "#ffffff", "gray": "#808080", "grey": "#808080"}

LUMINANCE = (0.299, 0.587, 0.114)
"""Shares of red, green and blue in brightness, as Pillow and JPEG have them (Rec. 601)."""


def parse_colour(text: str) -> tuple[float, float, float]:
    """`"#rrggbb"`, `"#rgb"`, `"black"`, `"white"` or `"gray"` as red, green, blue in [0,1]. Raises ValueError."""
    digits = _NAMED.get(text.lower(), text).removeprefix("#")
    if len(digits) == 3:
        digits = "".join(2 * digit for digit in digits)
    if len(digits) != 6 or not all(digit in "0123456789abcdefABCDEF" for digit in digits):
        raise ValueError(f"{text[:40]!r} is no colour: write it as #rrggbb, such as #ff8000, or black, white or gray")
    red, green, blue = (int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4))
    return red, green, blue


def colour_problems(view: NodeView, name: str) -> Iterator[Problem]:
    """For a node's static check: the input `name` has to be a colour."""
    text = view.literals.get(name)
    if isinstance(text, str):
        try:
            parse_colour(text)
        except ValueError as error:
            yield Problem(
                code="bad_value", node=view.id, input=name, message=str(error), given=text, expected="#rrggbb"
            )
