"""Arithmetic on numbers, and on whole numbers apart from them, since a seed or a step count takes whole ones only.

Every result is finite, and whole numbers stay within 64 bits: what does not fit is an error that names the operands.
"""

from __future__ import annotations

import math
from typing import Literal

from weft.engine import node

_LOW, _HIGH = -(2**63), 2**63 - 1


def _finite(result: float, what: str) -> float:
    if not math.isfinite(result):
        raise ValueError(f"{what} is not a finite number")
    return result


def _whole(result: int, what: str) -> int:
    if not _LOW <= result <= _HIGH:
        raise ValueError(f"{what} does not fit 64 bits")
    return result


@node("add", category="math")
def add(a: float, b: float = 0.0) -> float:
    """a + b.

    Args:
        a: a number.
        b: what is added to it.
    """
    return _finite(a + b, f"{a} + {b}")


@node("subtract", category="math")
def subtract(a: float, b: float = 0.0) -> float:
    """a - b.

    Args:
        a: a number.
        b: what is taken from it.
    """
    return _finite(a - b, f"{a} - {b}")


@node("multiply", category="math")
def multiply(a: float, b: float = 1.0) -> float:
    """a x b.

    Args:
        a: a number.
        b: what it is multiplied by.
    """
    return _finite(a * b, f"{a} x {b}")


@node("divide", category="math")
def divide(a: float, b: float = 1.0) -> float:
    """a / b. Dividing by 0 is an error.

    Args:
        a: a number.
        b: what it is divided by.
    """
    if b == 0:
        raise ValueError(f"cannot divide {a} by 0")
    return _finite(a / b, f"{a} / {b}")


@node("round_number", category="math")
def round_number(value: float, mode: Literal["nearest", "down", "up"] = "nearest") -> int:
    """A number as a whole number.

    Args:
        value: the number.
        mode: nearest (halves go to the even neighbour), down (towards minus infinity) or up.
    """
    _finite(value, str(value))
    whole = round(value) if mode == "nearest" else math.floor(value) if mode == "down" else math.ceil(value)
    return _whole(whole, str(value))


@node("limit_number", category="math")
def limit_number(value: float, low: float = 0.0, high: float = 1.0) -> float:
    """A number, held between two ends.

    Args:
        value: the number.
        low: the least result.
        high: the greatest result; not below low.
    """
    if low > high:
        raise ValueError(f"low ({low}) is above high ({high})")
    return min(max(_finite(value, str(value)), low), high)


@node("add_integers", category="math")
def add_integers(a: int, b: int = 0) -> int:
    """a + b for whole numbers, such as a seed and an offset.

    Args:
        a: a whole number.
        b: what is added to it; may be negative.
    """
    return _whole(a + b, f"{a} + {b}")


@node("multiply_integers", category="math")
def multiply_integers(a: int, b: int = 1) -> int:
    """a x b for whole numbers.

    Args:
        a: a whole number.
        b: what it is multiplied by.
    """
    return _whole(a * b, f"{a} x {b}")


@node("divide_integers", category="math")
def divide_integers(a: int, b: int = 1) -> int:
    """a / b for whole numbers, rounded down. Dividing by 0 is an error.

    Args:
        a: a whole number.
        b: what it is divided by.
    """
    if b == 0:
        raise ValueError(f"cannot divide {a} by 0")
    return _whole(a // b, f"{a} / {b}")


@node("remainder", category="math")
def remainder(a: int, b: int) -> int:
    """What is left of a when it is divided by b; has the sign of b.

    Args:
        a: a whole number.
        b: what it is divided by, not 0.
    """
    if b == 0:
        raise ValueError(f"cannot divide {a} by 0")
    return a % b
