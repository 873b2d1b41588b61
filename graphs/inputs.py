"""What an input of a node may hold: a literal, a link to another node's output, or a list of these.

In memory a literal is plain JSON data and a link is a `Link`, so nothing has to be told apart by its keys. In a
document a link is `{"link": "node.output"}`, and a literal that would be taken for something else stands under
`{"value": ...}`.
"""

from __future__ import annotations

import enum
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from weft.graphs.jsontext import INT_MAX, INT_MIN
from weft.graphs.limits import LIMITS
from weft.graphs.problems import shown

ROOM = LIMITS.max_depth - 5
"""How deep a literal may nest: what stands around an input in a document takes the other five brackets."""


@dataclass(frozen=True, slots=True)
class Link:
    """The output of another node. `output` None is that node's first output."""

    node: str
    output: str | None = None

    def __str__(self) -> str:
        return self.node if self.output is None else f"{self.node}.{self.output}"

    @classmethod
    def parse(cls, text: str) -> Link:
        """The link that `"node"` or `"node.output"` names. Raises ValueError when a part is missing."""
        node, dot, output = text.partition(".")
        if not node or (dot and not output):
            raise ValueError(f'{shown(text)} names no output; write "node" or "node.output"')
        return cls(node, output if dot else None)


class TooDeepError(ValueError):
    """A literal nests deeper than a document may."""


def links_in(value: Any) -> Iterator[Link]:
    """The links of one input as it is in memory, in order."""
    if isinstance(value, Link):
        yield value
    elif isinstance(value, list):
        yield from (item for item in value if isinstance(item, Link))


def literal(value: Any, room: int = ROOM) -> Any:
    """A copy of `value` as plain JSON data: tuples become lists, paths text, enums and numpy scalars their value.

    Raises:
        TypeError: something in it is not JSON.
        ValueError: a number that is not finite or not of 64 bits, or text that has no UTF-8 form.
        TooDeepError: more than `room` brackets inside each other.
    """
    kind = type(value)
    if kind is str:
        if not value.isascii():
            _check_text(value)
        return value
    if value is None or kind is bool:
        return value
    if kind is int:
        if not INT_MIN <= value <= INT_MAX:
            raise ValueError("an integer that does not fit 64 bits")
        return value
    if kind is float:
        if not math.isfinite(value):
            raise ValueError(f"{value} is not a finite number")
        return value
    if kind is list or kind is tuple or kind is dict:
        if room <= 0:
            raise TooDeepError("nested too deep, or inside itself")
        if kind is dict:
            return {_key(key): literal(item, room - 1) for key, item in value.items()}
        return [literal(item, room - 1) for item in value]
    return literal(_plain(value), room)


def read_input(value: Any) -> Any:
    """An input as the document has it, turned into what it is in memory.

    Raises ValueError or TypeError, with a message that can stand in a problem.
    """
    if isinstance(value, list | tuple):
        return [_read_one(item) for item in value]
    return _read_one(value)


def write_input(value: Any) -> Any:
    """An input as it is in memory, turned into what the document has. Raises as `literal` does."""
    if isinstance(value, list | tuple):
        return [_write_one(item) for item in value]
    return _write_one(value)


def _read_one(value: Any) -> Any:
    if isinstance(value, dict):
        if "link" in value:
            return _read_link(value)
        if value.keys() == {"value"}:
            return literal(value["value"])
    result = literal(value)
    if isinstance(result, list | dict) and _holds_link(result):
        raise ValueError('a link stands alone or directly in a list; a literal that looks like one is {"value": ...}')
    return result


def _read_link(value: dict[str, Any]) -> Link:
    if len(value) > 1:
        other = next(key for key in value if key != "link")
        raise ValueError(f'a link has no key {shown(other)}; a literal that looks like one is {{"value": ...}}')
    if not isinstance(value["link"], str):
        raise ValueError(f'a link is the text "node" or "node.output", not {shown(value["link"])}')
    return Link.parse(value["link"])


def _write_one(value: Any) -> Any:
    if isinstance(value, Link):
        return {"link": str(value)}
    result = literal(value)
    if isinstance(result, dict) and result.keys() == {"value"}:
        return {"value": result}
    return {"value": result} if _holds_link(result) else result


def _holds_link(value: Any) -> bool:
    """Whether a literal has, at any depth, an object that a reader would take for a link."""
    if isinstance(value, dict):
        return "link" in value or any(map(_holds_link, value.values()))
    return isinstance(value, list) and any(map(_holds_link, value))


def _check_text(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("text with half of a surrogate pair, which has no UTF-8 form") from None


def _key(key: Any) -> str:
    if not isinstance(key, str):
        raise TypeError(f"the key of an object is text, not {type(key).__name__}")
    _check_text(key)
    return str(key)


def _plain(value: Any) -> Any:
    """One step from a value that means a JSON value towards it."""
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, PurePath):
        return os.fspath(value)
    if type(value).__module__ == "numpy" and getattr(value, "shape", None) == ():
        return value.item()
    if isinstance(value, str):
        return str.__str__(value)
    kinds: tuple[type[Any], ...] = (int, float, list, tuple, dict)
    for kind in kinds:
        if isinstance(value, kind):
            return kind(value)
    if isinstance(value, Link):
        raise TypeError("a link stands alone or directly in a list, not deeper")
    raise TypeError(f"{type(value).__name__} is not JSON")
