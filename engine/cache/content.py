"""The checksum of a value in memory: whether two are equal in all that a node could see, or one was changed."""

from __future__ import annotations

from collections import deque
from enum import Enum
from typing import Any

import xxhash

from weft.engine.buffers import Kind, kind_of, seen_bytes
from weft.engine.plain import int_text
from weft.engine.values import type_of


def content_checksum(value: Any) -> bytes:
    """Sixteen bytes that are the same for equal content: plain data, value classes, tensors, arrays and images.

    What is alive, such as a loaded model, counts as itself, whatever becomes of it. No value nests too deep for this.
    """
    content = xxhash.xxh3_128()
    numbers: dict[int, int] = {}
    seen: list[Any] = []  # so that no id is given anew
    stack = [value]
    while stack:
        item = stack.pop()
        text = _plain(item)
        if text is not None:
            _add(content, type(item).__name__, text)
            continue
        if id(item) in numbers:
            _add(content, "again", b"%d" % numbers[id(item)])
            continue
        numbers[id(item)] = len(numbers)
        seen.append(item)
        cls = type(item)
        name = f"{cls.__module__}.{cls.__qualname__}"
        parts = _parts(item)
        if parts is not None:
            _add(content, name, b"%d" % len(parts))
            stack.extend(reversed(parts))
        elif isinstance(item, (set, frozenset)):
            _add(content, name, b"".join(sorted(map(content_checksum, item))))
        elif isinstance(item, (bytearray, Enum)):
            _add(content, name, bytes(item) if isinstance(item, bytearray) else repr(item).encode(errors="replace"))
        elif (kind := kind_of(item)) is not None:
            _add_numbers(content, name, item, kind)
        else:
            _add(content, name, b"%d" % id(item))
    return content.digest()


def _parts(item: Any) -> list[Any] | None:
    """What a container holds, in order; None for all else."""
    if isinstance(item, dict):
        return [part for pair in item.items() for part in pair]
    if isinstance(item, (list, tuple, deque)):
        return list(item)
    entry = type_of(type(item))
    return None if entry is None else [getattr(item, name, None) for name in entry.fields]


def _plain(item: Any) -> bytes | None:
    cls = type(item)
    if cls is str:
        return str(item).encode("utf-8", "surrogatepass")
    if cls is int:
        return int_text(item).encode()
    if cls in (float, bool, complex, type(None)):
        return repr(item).encode()
    return bytes(item) if cls is bytes else None


def _add_numbers(content: Any, name: str, item: Any, kind: Kind) -> None:
    found = seen_bytes(item, kind)
    if found is None:
        _add(content, name, b"%d" % id(item))
        return
    form, numbers = found
    if isinstance(numbers, list):  # what an array of objects holds
        _add(content, name + form, b"".join(map(content_checksum, numbers)))
    else:
        _add(content, name + form, numbers)


def _add(content: Any, name: str, data: Any) -> None:
    """One thing, with the lengths of its parts, so that no two rows of things look the same."""
    size = memoryview(data).nbytes
    content.update(f"{len(name)}:{name}{size}:".encode("utf-8", "surrogatepass"))
    content.update(data)
