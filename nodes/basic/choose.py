"""Which of several branches is computed. What is not chosen does not run."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar

from weft.engine import Lazy, Range, node

T = TypeVar("T")
_RELATIONS = {
    "<": operator.lt, "<=": operator.le, "==": operator.eq, "!=": operator.ne, ">=": operator.ge, ">": operator.gt,
}  # fmt: skip


def _branch(inputs: Mapping[str, Any]) -> list[str]:
    return ["then" if inputs["condition"] else "otherwise"]


@node("if", category="flow", flow="pass", needs=_branch)
def if_(condition: bool, then: Lazy[T], otherwise: Lazy[T]) -> T:
    """One of two values; only the one that is chosen is computed.

    Args:
        condition: which one.
        then: the value when the condition is true.
        otherwise: the value when it is false.
    """
    return then() if condition else otherwise()


def _option(inputs: Mapping[str, Any]) -> list[tuple[str, int]]:
    which, count = inputs["which"], len(inputs.get("options", ()))
    return [("options", which)] if which < count else []


@node("switch", category="flow", flow="pass", needs=_option)
def switch(which: Annotated[int, Range(0)], options: list[Lazy[T]]) -> T:
    """One of many values; only the one that is chosen is computed.

    Args:
        which: its place in the list; the first is 0.
        options: the values.
    """
    if which >= len(options):
        raise ValueError(f"there is no option {which}: there are {len(options)}, and the first is 0")
    return options[which]()


@node("compare", category="flow")
def compare(a: float, b: float = 0.0, relation: Literal["<", "<=", "==", "!=", ">=", ">"] = "<") -> bool:
    """Whether two numbers stand in a relation.

    Args:
        a: the number on the left.
        b: the number on the right.
        relation: "<" asks whether a is below b.
    """
    return bool(_RELATIONS[relation](a, b))
