"""Values that change hands: copies for whoever gets one, and results as the engine's alone.

A result belongs to the engine: the cache holds it, and other nodes are given the same one. So a node or a caller gets a
copy (`copy_for`), and of what a node returned only that is taken as it is which nobody else refers to (`take_over`).

- Numbers, text, bytes, None, enums and other values that nobody can change are passed on.
- Lists, dicts, sets, tuples and value classes are copied as deep as there is something in them that can be changed.
  Keys of dicts and items of sets, which must not change while they are in there, are passed on.
- Tensors, arrays and images are copied. A read-only view of an array would not do: `torch.from_numpy` makes a tensor of
  it that writes to the same memory. Tensors and images have no such views at all.
- What is alive, such as a loaded model, an open file or an object of a class that is no `@value`, is passed on: who
  changes it changes it for all.

What is in a value twice is in its copy once and referred to twice, a list may hold itself, and nothing nests too deep.
"""

from __future__ import annotations

import copy
import io
import random
import sys
import weakref
from array import array
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from weft.engine.buffers import copied, is_private, kind_of
from weft.engine.values import type_of

UNCHANGING: set[type] = {int, float, str, bool, bytes, complex, type(None)}
"""Classes whose instances are passed on without a look."""

_copiers: dict[type, Callable[[Any], Any]] = dict.fromkeys(
    (set, bytearray, array, random.Random, io.BytesIO, io.StringIO), copy.copy
)


def copied_by(cls: type, copier: Callable[[Any], Any]) -> None:
    """Have `copier` make the copies of what is of exactly this class."""
    _copiers[cls] = copier


def copy_for(value: Any) -> Any:
    """A value as somebody else may have it: what they do to it does not change ours."""
    cls = type(value)
    if cls in UNCHANGING:
        return value
    if cls is list and UNCHANGING.issuperset(map(type, value)):
        return value.copy()
    return _Copies().of(value)


def copies_for(inputs: dict[str, Any]) -> dict[str, Any]:
    """Values by name as a node may have them, each on its own; the same dict where there is nothing to copy."""
    for value in inputs.values():
        if type(value) not in UNCHANGING:
            return {name: copy_for(value) for name, value in inputs.items()}
    return inputs


def take_over(box: list[Any]) -> Any:
    """A value as the engine's alone: whoever made it cannot change it any more.

    What nobody else refers to is taken as it is. What its maker may have kept, such as a list of its module or a buffer
    that it fills again at its next call, is copied.

    Args:
        box: a list with the value, and the only thing that refers to it; empty afterwards.
    """
    if type(box[0]) in UNCHANGING:
        return box.pop()
    private, is_all = _private(box)
    return box.pop() if is_all else _Copies(private).of(box.pop())


class _Copies:
    """Makes the copy of one value.

    Args:
        private: ids of tensors, arrays and the like in it that need no copy.
    """

    def __init__(self, private: Iterable[int] = ()) -> None:
        self._private = private
        self._made: dict[int, Any] = {}
        """By the id of what they are copies of."""
        self._seen: list[Any] = []  # else such an id might be given anew
        self._empty: list[tuple[Any, Any]] = []
        """Lists and dicts, each with its copy that is not filled yet: so they may hold themselves."""
        self._blocks: dict[int, Any] = {}

    def of(self, value: Any) -> Any:
        """The copy."""
        made = self._copy(value)
        while self._empty:
            item, empty = self._empty.pop()
            if isinstance(item, dict):
                _fill_dict(empty, [(key, self._copy(part)) for key, part in item.items()])
            else:
                empty.extend([part if type(part) in UNCHANGING else self._copy(part) for part in item])
        return made

    def _copy(self, value: Any) -> Any:
        """The copy of one thing; tuples and value classes come after their parts, lists and dicts are empty as yet."""
        if type(value) in UNCHANGING:
            return value
        made = self._made
        begun: set[int] = set()
        stack = [value]
        while stack:
            item = stack[-1]
            name = id(item)
            if name not in made and (parts := _parts(item)) is None:
                made[name] = self._leaf(item)
            elif name not in made and name not in begun:
                assert parts is not None
                begun.add(name)
                # What has begun is further down in the stack: of a tuple in itself, the inner one stays as it is.
                stack += [
                    part
                    for part in parts
                    if type(part) not in UNCHANGING and id(part) not in made and id(part) not in begun
                ]
                continue
            elif name not in made:
                assert parts is not None
                made[name] = _rebuilt(item, [made.get(id(part), part) for part in parts])
            self._seen.append(stack.pop())
        return made[id(value)]

    def _leaf(self, item: Any) -> Any:
        cls = type(item)
        if id(item) in self._private:
            return item
        if cls is list or cls is dict:
            return self._later(item, cls())
        if (copier := _copiers.get(cls)) is not None:
            return copier(item)
        if (kind := kind_of(item)) is not None:
            return copied(item, kind, self._blocks, copy_for)
        if isinstance(item, _CONTAINERS):  # of a class of its own, with attributes perhaps
            try:
                made = copy.copy(item)
                if isinstance(item, (list, deque)):
                    made.clear()
            except Exception:
                return item
            return made if isinstance(item, set) else self._later(item, made)
        return item

    def _later(self, item: Any, empty: Any) -> Any:
        self._empty.append((item, empty))
        return empty


_CONTAINERS = (list, dict, set, deque)


def _parts(item: Any) -> list[Any] | None:
    """What is in a tuple or in a value class; None for all else."""
    if isinstance(item, tuple):
        return list(item)
    entry = type_of(type(item))
    return None if entry is None else [getattr(item, name, None) for name in entry.fields]


def _rebuilt(item: Any, parts: list[Any]) -> Any:
    """A tuple or value class with other parts; itself where they are the same."""
    old = _parts(item)
    assert old is not None
    if all(new is part for new, part in zip(parts, old, strict=True)):
        return item
    entry = type_of(type(item))
    if entry is None:
        try:
            return tuple.__new__(type(item), parts)
        except TypeError:  # one of C's own, such as os.stat_result
            return item
    # Not through __init__, which may count or look at what was made once.
    value: Any = object.__new__(entry.cls)
    for name, part in zip(entry.fields, parts, strict=True):
        if hasattr(item, name):
            object.__setattr__(value, name, part)
    return value


def _fill_dict(empty: dict[Any, Any], items: list[tuple[Any, Any]]) -> None:
    for key, part in items:
        try:
            empty[key] = part
        except Exception:  # a class that is not to be changed in this way
            dict.__setitem__(empty, key, part)


def _private(box: list[Any]) -> tuple[set[int], bool]:
    """Which tensors, arrays and the like in a value nobody else can reach, and whether that goes for all of it."""
    private: set[int] = set()
    is_all = True
    pending: list[Any] = [box]
    while pending:
        parts = _inside(pending.pop())
        for part, count in zip(parts, _references(parts), strict=True):
            if type(part) in UNCHANGING:
                continue
            kind = kind_of(part)
            holds = kind is None and (isinstance(part, (tuple, *_CONTAINERS)) or type_of(type(part)) is not None)
            if kind is None and not holds and type(part) not in _copiers:
                continue
            alone = count <= _ALONE and not weakref.getweakrefcount(part)
            if kind is not None and alone and is_private(part, kind):
                private.add(id(part))
            elif kind is None and alone:
                pending.append(part)
            else:
                is_all = False
    return private, is_all


def _inside(item: Any) -> list[Any]:
    if isinstance(item, dict):
        return list(item.values())
    if isinstance(item, (list, deque)):
        return list(item)
    return _parts(item) or []


def _references(parts: list[Any]) -> list[int]:
    return [sys.getrefcount(part) for part in parts]


def _fewest() -> int:
    """What `_references` says of what only a list refers to; 0, which nothing has, where Python cannot tell."""
    if not hasattr(sys, "getrefcount") or not getattr(sys, "_is_gil_enabled", lambda: True)():
        return 0
    holder = [object()]
    fewest = _references(_inside(holder))[0]
    kept = holder[0]
    return fewest if _references(_inside([kept]))[0] > fewest else 0


_ALONE = _fewest()
