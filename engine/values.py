"""Values that travel along links and can be written to the cache.

A value class is a frozen dataclass, registered under a name of its own:

    @value("latents")
    @dataclass(frozen=True, eq=False)
    class Latents:
        samples: torch.Tensor

The name, the version and the fields' names are the stored format. Fields hold literals, tensors, numpy arrays, tuples,
lists, dicts, bytes, other values or None. A class whose fields changed raises its version: entries of the old one are
then misses.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

C = TypeVar("C", bound=type)


@dataclass(frozen=True, slots=True)
class ValueType:
    """How instances of one class are stored."""

    name: str
    version: int
    cls: type
    fields: tuple[str, ...]


_by_name: dict[str, ValueType] = {}
_by_class: dict[type, ValueType] = {}


def value(name: str, version: int = 1) -> Callable[[C], C]:
    """Register a frozen dataclass as a value that the cache can store.

    Raises:
        TypeError: the class is no frozen dataclass.
        ValueError: another class has that name.
    """

    def register(cls: C) -> C:
        if not dataclasses.is_dataclass(cls) or not cls.__dataclass_params__.frozen:  # type: ignore[attr-defined]
            raise TypeError(f"@value({name!r}) needs a frozen dataclass: put @dataclass(frozen=True) below it")
        known = _by_name.get(name)
        # A module imported again (reload, a notebook cell run twice) replaces its own class.
        if known and (known.cls.__module__, known.cls.__qualname__) != (cls.__module__, cls.__qualname__):
            raise ValueError(f"two values are called {name!r}: {_path(known.cls)} and {_path(cls)}")
        entry = ValueType(name, version, cls, tuple(field.name for field in dataclasses.fields(cls)))
        _by_name[name] = _by_class[cls] = entry
        return cls

    return register


def type_of(cls: type) -> ValueType | None:
    """How instances of `cls` (exactly, not of its bases) are stored, or None."""
    return _by_class.get(cls)


def type_named(name: str) -> ValueType | None:
    """The value registered under `name`, or None."""
    return _by_name.get(name)


def _path(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"


@value("files")
@dataclass(frozen=True)
class Files:
    """Files that a node wrote: its side effect, kept apart from its result.

    A cached Files holds only while every file is there with its digest; else the node runs again.

    Args:
        paths: absolute paths.
        digests: content hash of each (`engine.filehash.content_hash`).
    """

    paths: tuple[str, ...]
    digests: tuple[str, ...]

    @classmethod
    def of(cls, *paths: Any) -> Files:
        """The Files for what lies at `paths` now."""
        from engine.filehash import content_hash, forget

        texts = tuple(str(path) for path in paths)
        for text in texts:
            forget(text)  # just written, perhaps within the clock tick of the version before
        return cls(texts, tuple(content_hash(text) for text in texts))


def tensors(item: Any) -> Iterator[Any]:
    """Every torch tensor and numpy array inside a value, shared ones as often as they occur."""
    torch, numpy = sys.modules.get("torch"), sys.modules.get("numpy")
    kinds = tuple(kind for kind in (getattr(torch, "Tensor", None), getattr(numpy, "ndarray", None)) if kind)
    seen: set[int] = set()
    stack = [item]
    while stack:
        item = stack.pop()
        cls = type(item)
        if cls in _ATOMS:
            continue
        if kinds and isinstance(item, kinds):
            yield item
        elif id(item) not in seen:
            seen.add(id(item))
            if cls is dict:
                stack.extend(item.values())
            elif isinstance(item, (tuple, list)):
                stack.extend(item)
            elif cls in _by_class:
                stack.extend(getattr(item, name) for name in _by_class[cls].fields)


_ATOMS = frozenset({int, float, bool, str, bytes, type(None)})


@dataclass(frozen=True, slots=True)
class Storage:
    """Memory that tensors stand on: shared by views, so counted by identity."""

    id: int
    nbytes: int
    device: str


def storages(item: Any) -> dict[int, Storage]:
    """The distinct memory blocks under a value's tensors and arrays, by address."""
    torch = sys.modules.get("torch")
    found: dict[int, Storage] = {}
    for tensor in tensors(item):
        if torch is not None and isinstance(tensor, torch.Tensor):
            if tensor.device.type == "meta":
                continue
            storage = tensor.untyped_storage()
            block = Storage(storage.data_ptr(), storage.nbytes(), tensor.device.type)
        else:
            base = tensor
            while getattr(base, "base", None) is not None and hasattr(base.base, "__array_interface__"):
                base = base.base
            block = Storage(base.__array_interface__["data"][0], base.nbytes, "cpu")
        if block.nbytes:
            found[block.id] = block
    return found


def nbytes(item: Any) -> int:
    """Bytes a value takes: tensors once when shared, and a rough figure for the Python objects around them."""
    return sum(block.nbytes for block in storages(item).values()) + overhead(item)


def overhead(item: Any) -> int:
    """Rough bytes of the Python objects of a value, without tensors' memory."""
    cls = type(item)
    if cls in _ATOMS:
        return sys.getsizeof(item)
    total = 0
    seen: set[int] = set()
    stack = [item]
    while stack:
        item = stack.pop()
        cls = type(item)
        if cls is str or cls is bytes:
            total += len(item) + 56
            continue
        total += 64
        if cls in _ATOMS or id(item) in seen:
            continue
        seen.add(id(item))
        if cls is dict:
            stack.extend(item)
            stack.extend(item.values())
        elif cls is tuple or cls is list:
            stack.extend(item)
        elif cls in _by_class:
            stack.extend(getattr(item, name) for name in _by_class[cls].fields)
    return total
