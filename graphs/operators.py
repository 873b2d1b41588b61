"""What cannot be done with a value that will exist only when the workflow runs: every operator, said in words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

_OPERATORS = {
    "==": "eq", "!=": "ne", "<": "lt", "<=": "le", ">": "gt", ">=": "ge",
    "+": "add radd iadd", "-": "sub rsub isub neg", "*": "mul rmul imul", "/": "truediv rtruediv itruediv",
    "//": "floordiv rfloordiv", "%": "mod rmod", "**": "pow rpow", "@": "matmul rmatmul", "abs()": "abs",
    "&": "and rand", "|": "or ror", "^": "xor rxor", "~": "invert",
    "bool() (as `if`, `and`, `or` and `not` do)": "bool", "int()": "int index", "float()": "float", "len()": "len",
    "`in`": "contains", "formatting it into text": "format", "calling it": "call",
}  # fmt: skip


def refuse_operators(cls: type, refuse: Callable[[Any, str], NoReturn]) -> None:
    """Let instances of a class refuse every operator.

    Args:
        refuse: called with the instance and with what was tried, in words; raises.
    """
    for what, names in _OPERATORS.items():
        for name in names.split():
            setattr(cls, f"__{name}__", _refusing(refuse, what))


def _refusing(refuse: Callable[[Any, str], NoReturn], what: str) -> Any:
    def method(self: Any, *_: Any) -> NoReturn:
        refuse(self, what)

    return method
