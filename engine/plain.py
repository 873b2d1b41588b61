"""Plain data in one form: what is equal packs to equal bytes."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from enum import Enum
from pathlib import PurePath
from typing import Any

import msgpack

# Names of files that are no UTF-8 come as half a pair of surrogates.
_pack: Callable[[Any], bytes] = msgpack.Packer(use_bin_type=True, unicode_errors="surrogatepass").pack


def pack(item: Any) -> bytes:
    """msgpack of plain data; an int beyond 64 bits as text under a type of its own."""
    try:
        return _pack(item)
    except OverflowError:
        return _pack(_boxed(item))


def pack_array_header(count: int) -> bytes:
    """How an array of so many items begins when it is packed."""
    if count < 16:
        return bytes((0x90 | count,))
    return b"\xdc" + count.to_bytes(2, "big") if count < 1 << 16 else b"\xdd" + count.to_bytes(4, "big")


def canonical(item: Any) -> Any:
    """Data that packs the same whenever a node cannot tell it apart: tuples as lists, paths and enums as their value.

    The keys of a table stay in their order, which a node that goes over it sees.

    Nests as deep as a document may, so recursion is bounded.
    """
    kind = type(item)
    if kind in _PLAIN:
        return item
    if isinstance(item, (list, tuple)):
        return [canonical(part) for part in item]
    if isinstance(item, Mapping):
        return {key: canonical(item[key]) for key in item}
    if isinstance(item, Enum):
        return canonical(item.value)
    if isinstance(item, PurePath):
        return os.fspath(item)
    # The default of a port that no document can fill, such as an object: its text has to do.
    return msgpack.ExtType(2, repr(item).encode())


def int_text(number: int) -> str:
    """An int as text that `int(text, 0)` reads: in decimals where Python is willing to write them."""
    return str(number) if number.bit_length() < _DECIMAL_BITS else hex(number)


_DECIMAL_BITS = 14_000
"""Python refuses numbers of more than 4,300 digits, which have 14,284 bits."""
_PLAIN = frozenset({str, int, float, bool, bytes, type(None)})


def _boxed(item: Any) -> Any:
    if isinstance(item, int) and not isinstance(item, bool) and item.bit_length() > 63:
        return msgpack.ExtType(1, int_text(item).encode())
    if isinstance(item, list):
        return [_boxed(part) for part in item]
    if isinstance(item, dict):
        return {key: _boxed(part) for key, part in item.items()}
    return item
