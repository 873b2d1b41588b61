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
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from weft.engine.sizes import LOOKED_AT, own_bytes

C = TypeVar("C", bound=type)

Outputs = tuple[Any, ...]
"""A node's result: its outputs in order."""


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
        from weft.engine.filehash import content_hash, forget

        texts = tuple(str(path) for path in paths)
        for text in texts:
            forget(text)  # just written, perhaps within the clock tick of the version before
        return cls(texts, tuple(content_hash(text) for text in texts))


def nbytes(item: Any) -> int:
    """Bytes a value takes: tensors once when shared, and a rough figure for the Python objects around them.

    Objects of other classes are asked (see `engine.sizes`); one that knows better has an attribute `nbytes`.
    """
    small, blocks = measure(item)
    return small + sum(block.nbytes for block in blocks.values())


def measure(item: Any) -> tuple[int, Mapping[int, Storage]]:
    """A value as (rough bytes of its Python objects, the memory blocks under its tensors and arrays by address)."""
    tensor_kinds = _tensor_kinds()
    blocks: dict[int, Storage] = {}
    total = 0
    seen: set[int] = set()
    kept_alive: list[Any] = []
    """What was made only to be asked: an object that comes after it must not have its `id`."""
    looked_at = 0
    stack = [item]
    while stack:
        item = stack.pop()
        cls = type(item)
        total += 64
        if cls in _ATOMS:
            if cls is str or cls is bytes:
                total += len(item)
            continue
        if id(item) in seen:
            continue
        seen.add(id(item))
        if tensor_kinds and isinstance(item, tensor_kinds):
            block = _storage(item)
            if block is not None:
                blocks[block.id] = block
        elif cls is dict:
            stack.extend(item)
            stack.extend(item.values())
        elif cls is tuple or cls is list:
            stack.extend(item)
        elif cls in _by_class:
            stack.extend(getattr(item, name, None) for name in _by_class[cls].fields)
        else:
            looked_at += 1
            if looked_at > LOOKED_AT:
                total += (total // looked_at + 1) * (len(stack) + 1)
                break
            own, parts = own_bytes(item)
            total += own
            kept_alive.append(parts)
            stack.extend(parts)
    return total, blocks


_ATOMS = frozenset({int, float, bool, str, bytes, type(None)})


@dataclass(frozen=True, slots=True)
class Storage:
    """Memory that tensors stand on: shared by views, so told apart by address."""

    id: int
    nbytes: int
    device: str


def _tensor_kinds() -> tuple[type, ...]:
    """Classes of tensors that can exist in this process: a value holds none of a library that nobody has imported."""
    kinds = (getattr(sys.modules.get("torch"), "Tensor", None), getattr(sys.modules.get("numpy"), "ndarray", None))
    return tuple(kind for kind in kinds if kind is not None)


def _storage(tensor: Any) -> Storage | None:
    if hasattr(tensor, "untyped_storage"):
        if tensor.device.type == "meta":
            return None
        try:
            storage = tensor.untyped_storage()
        except (NotImplementedError, RuntimeError):  # a sparse or nested tensor: it stands on several
            return Storage(id(tensor), _rough_bytes(tensor), tensor.device.type)
        return Storage(storage.data_ptr(), storage.nbytes(), tensor.device.type)
    while getattr(tensor.base, "__array_interface__", None) is not None:
        tensor = tensor.base
    return Storage(tensor.__array_interface__["data"][0], tensor.nbytes, "cpu")


def _rough_bytes(tensor: Any) -> int:
    """Bytes of a tensor that has no memory of its own but that of its parts, as far as it shows them."""
    total = 0
    for name in ("_indices", "_values", "crow_indices", "col_indices", "ccol_indices", "row_indices", "values"):
        try:
            part = getattr(tensor, name)()
            total += part.numel() * part.element_size()
        except (AttributeError, NotImplementedError, RuntimeError, TypeError):
            continue
        if name == "_values":
            break
    return total or 64
