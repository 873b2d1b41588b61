"""Nodes that hold one literal, so that several inputs can share it or a caller can set it."""

from __future__ import annotations

from typing import Annotated

from weft.engine import Widget, node


@node("integer", category="values")
def integer(value: int = 0) -> int:
    """A whole number.

    Args:
        value: the number.
    """
    return value


@node("number", category="values")
def number(value: float = 0.0) -> float:
    """A number.

    Args:
        value: the number.
    """
    return value


@node("text", category="values")
def text(value: Annotated[str, Widget("textarea")] = "") -> str:
    """A text.

    Args:
        value: the text.
    """
    return value


@node("boolean", category="values")
def boolean(value: bool = False) -> bool:
    """True or false.

    Args:
        value: true or false.
    """
    return value
