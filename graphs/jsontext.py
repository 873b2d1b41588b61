"""Strict JSON: what may stand in a workflow's text, and where exactly it is wrong.

Python's reader is lenient (it takes NaN, infinities, repeated keys, numbers of any size) and recurses. Here all of
that is refused with a line and a column, and nesting is measured before anything recurses.
"""

from __future__ import annotations

import json
import math
import re
from itertools import accumulate
from typing import Any, NoReturn

from weft.graphs.limits import LIMITS, Limits
from weft.graphs.problems import Code, Problem, WorkflowError, shown

INT_MIN, INT_MAX = -(2**63), 2**64 - 1
"""Integers are those of 64 bits: what other languages and the cache's key format can hold."""

_STRING_BYTES = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
_START = 64 * 1024
_STEP = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}
_NOT_BRACKETS = bytes(set(range(256)) - set(_STEP))
_STRING = r'"(?:[^"\\]++|\\.)*+"'
_TOKEN = re.compile(rf'(?P<key>{_STRING})\s*:|{_STRING}|[\[\]{{}}]|[^\s\[\]{{}}:,"]+', re.DOTALL)


class _RefusedError(Exception):
    """Raised by a hook of the JSON reader, which knows what is wrong but not where."""


def refuse(message: str, code: Code = "bad_document", given: Any = None, expected: Any = None) -> NoReturn:
    """Raise a WorkflowError with one problem that concerns the whole document."""
    raise WorkflowError([Problem(code=code, message=message, given=given, expected=expected)]) from None


def read_json(source: bytes | str, limits: Limits = LIMITS) -> Any:
    """Parse UTF-8 JSON (a byte order mark is skipped).

    Raises:
        WorkflowError: `too_large` for too many bytes or values or too deep a nesting; `bad_document`, with line and
            column, for anything that is not strict JSON.
    """
    data = _encoded(source, limits)
    if len(data) > limits.max_bytes:
        _too_many_bytes(len(data), limits)
    deep = _is_deep(data[:_START], limits.max_depth)
    if not deep and limits.max_values is not None and _has_more_values(data, limits.max_values):
        message = f"The document has more than {limits.max_values:,} values; no more are read."
        refuse(message, "too_large", expected=limits.max_values)
    if deep or _is_deep(data, limits.max_depth):
        refuse(
            f"The document nests brackets more than {limits.max_depth} deep.", "too_large", expected=limits.max_depth
        )
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        good = error.object[: error.start].decode()
        byte = error.object[error.start]
        refuse(f"{_place(good, len(good))}: not UTF-8 (byte 0x{byte:02x}); save the file as UTF-8.")
    if not text.strip():
        refuse("The document is empty.")
    try:
        return json.loads(text, object_pairs_hook=_object, parse_constant=_constant, parse_float=_float, parse_int=_int)
    except json.JSONDecodeError as error:
        refuse(f"Line {error.lineno}, column {error.colno}: not JSON: {error.msg[:1].lower()}{error.msg[1:]}.")
    except _RefusedError as error:
        first = _first_refused(text)
        refuse(f"{_place(text, first[0])}: {first[1]}" if first else f"{error}")


def _encoded(source: bytes | str, limits: Limits) -> bytes:
    if isinstance(source, bytes):
        return source
    if len(source) > limits.max_bytes:
        _too_many_bytes(len(source), limits)
    try:
        return source.encode()
    except UnicodeEncodeError as error:
        refuse(f"{_place(source, error.start)}: half of a surrogate pair stands alone; it is not text.")


def _too_many_bytes(size: int, limits: Limits) -> NoReturn:
    message = f"The document has {size:,} bytes; at most {limits.max_bytes:,} are read."
    refuse(message, "too_large", given=size, expected=limits.max_bytes)


def _has_more_values(data: bytes, most: int) -> bool:
    """Whether a text has more values than so many, each of which opens a bracket or follows a comma; for any text."""
    if len(data) <= most:
        return False
    # Strings are looked for one by one below: were there more of them, that alone would take long.
    if data.count(b'"') - data.count(b'\\"') > 4 * most:
        return True
    bare = _STRING_BYTES.sub(b"", data)
    return max(sum(map(bare.count, (b",", b"[", b"{"))), bare.count(b"]") + bare.count(b"}")) > most


def _is_deep(data: bytes, depth: int) -> bool:
    """Whether brackets outside strings nest more than `depth` deep; without recursion, and for any text."""
    brackets = _STRING_BYTES.sub(b"", data).translate(None, _NOT_BRACKETS)
    return any(map(depth.__lt__, accumulate(map(_STEP.__getitem__, brackets))))


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise _RefusedError(_twice(key))
            seen.add(key)
    return result


def _twice(key: str) -> str:
    return f"the key {shown(key)} appears twice in one object."


def _constant(name: str) -> NoReturn:
    raise _RefusedError(f"{name} is not JSON; numbers are finite.")


def _float(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise _RefusedError(f"the number {_cut(digits)} is too large for a 64-bit float.")
    return number


def _int(digits: str) -> int:
    # The length is looked at first: turning a million digits into an int takes quadratic time.
    number = int(digits) if len(digits) <= 20 else INT_MAX + 1
    if not INT_MIN <= number <= INT_MAX:
        raise _RefusedError(f"the integer {_cut(digits)} does not fit 64 bits.")
    return number


def _cut(digits: str) -> str:
    return digits if len(digits) <= 40 else f"{digits[:20]}... ({len(digits):,} digits)"


def _first_refused(text: str) -> tuple[int, str] | None:
    """The first repeated key or refused number and its offset, in a text that is otherwise JSON."""
    keys: list[set[str] | None] = []  # the keys so far of each open object, None for an array
    for match in _TOKEN.finditer(text):
        token = match[0]
        if token == "{":
            keys.append(set())
        elif token == "[":
            keys.append(None)
        elif token in "}]":
            keys.pop()
        elif token[0] == '"':
            known = keys[-1] if match["key"] and keys else None
            if known is not None:
                key = json.loads(match["key"])
                if key in known:
                    return match.start(), _twice(key)
                known.add(key)
        elif token[0] not in "tfn":  # true, false, null
            try:
                _number(token)
            except _RefusedError as error:
                return match.start(), str(error)
    return None


def _number(token: str) -> float:
    if token[-1] in "Ny":  # NaN, Infinity, -Infinity
        _constant(token)
    return _float(token) if any(mark in token for mark in ".eE") else _int(token)


def _place(text: str, offset: int) -> str:
    line = text.count("\n", 0, offset) + 1
    return f"Line {line}, column {offset - text.rfind(chr(10), 0, offset)}"
