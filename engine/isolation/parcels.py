"""Values on their way to a worker and back, in the form that the cache writes to disk.

What has no such form, a live model say, stays in the worker that made it. Here it is a `Resident`: a name for it, and
the recipe to make it again where it is not.
"""

from __future__ import annotations

import importlib
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

from weft.engine.cache import codec
from weft.engine.declaring.ports import Lazy
from weft.engine.isolation.wire import Body
from weft.engine.running.executor import Task
from weft.engine.values import type_named

_VALUE, _RESIDENT, _LAZY, _LIST, _TUPLE = range(5)

Address = tuple[str, int, int]
"""A live value: the worker that made it first (`Transport.owner`), the serial number of the call that made it, and
which of its outputs it is. Another worker that makes it again knows it by the same address."""

_serials = itertools.count(1)


def next_serial() -> int:
    """A number for one call of a node, unique in this process."""
    return next(_serials)


@dataclass(frozen=True, eq=False, slots=True, weakref_slot=True)
class Resident:
    """A value that lives in worker processes only.

    Attributes:
        owner: the worker that made it.
        serial: of the call that made it. output: its place among the outputs.
        kind: name of its class.
        recipe: the call; it is repeated in a worker that does not have the value.
    """

    stands_for_another: ClassVar[bool] = True
    nbytes: ClassVar[int] = 256  # here, whatever the value takes in its worker
    owner: str
    serial: int
    output: int
    kind: str
    recipe: Task = field(repr=False)

    @property
    def address(self) -> Address:
        """What workers know it by."""
        return self.owner, self.serial, self.output


@dataclass(slots=True)
class Parcel:
    """Values ready to be sent.

    Attributes:
        message: plain data.
        body: their tensors.
        residents: live values that the receiver has to have.
        lazy: inputs that are sent when they are asked for.
    """

    message: Any
    body: list[codec.Buffer]
    residents: list[Resident]
    lazy: dict[int, Lazy[Any]]


def pack(items: list[Any]) -> Parcel:
    """Values for a worker.

    Raises:
        engine.cache.codec.NotStorable: one of them is alive in this process and cannot leave it.
    """
    plain: list[Any] = []
    residents: list[Resident] = []
    lazy: dict[int, Lazy[Any]] = {}

    def shape(item: Any) -> Any:
        kind = type(item)
        if kind is Resident:
            residents.append(item)
            return [_RESIDENT, *item.address]
        if kind is Lazy:
            lazy[len(lazy)] = item
            return [_LAZY, len(lazy) - 1]
        if kind in (list, tuple) and _holds(item, (Resident, Lazy)):
            return [_LIST if kind is list else _TUPLE, *map(shape, item)]
        plain.append(item)
        return [_VALUE, len(plain) - 1]

    shapes = [shape(item) for item in items]
    encoded = codec.encode(plain)
    return Parcel([shapes, encoded.structure, _classes(encoded)], encoded.body, residents, lazy)


def unpack(
    message: Any, body: Body, live: Callable[[Address], Any], lazy: Callable[[int], Any] | None = None
) -> list[Any]:
    """What was packed.

    Args:
        live: gives the live value with an address.
        lazy: gives what stands for the lazy input with a number.

    Raises:
        engine.cache.codec.Undecodable: its value classes are not here, or others.
    """
    shapes, structure, classes = message
    _import(classes)
    plain = codec.decode(structure, body)

    def make(shape: list[Any]) -> Any:
        kind, *rest = shape
        if kind == _VALUE:
            return plain[rest[0]]
        if kind == _RESIDENT:
            return live((rest[0], rest[1], rest[2]))
        if kind == _LAZY and lazy is not None:
            return lazy(rest[0])
        parts = [make(part) for part in rest]
        return parts if kind == _LIST else tuple(parts)

    return [make(shape) for shape in shapes]


def pack_outputs(items: list[Any], keep: Callable[[int, Any], Address]) -> tuple[Any, list[codec.Buffer]]:
    """What a node made, for the run: message and body. `keep` is given each value that cannot leave."""
    try:
        encoded = codec.encode(items)
        shapes: list[Any] = [[_VALUE, number] for number in range(len(items))]
    except codec.NotStorable:
        plain: list[Any] = []
        shapes = []
        for number, item in enumerate(items):
            if storable(item):
                shapes.append([_VALUE, len(plain)])
                plain.append(item)
            else:
                shapes.append([_RESIDENT, *keep(number, item), type(item).__name__])
        encoded = codec.encode(plain)
    return [shapes, encoded.structure, _classes(encoded)], encoded.body


def unpack_outputs(message: Any, body: Body, recipe: Task) -> list[Any]:
    """What `pack_outputs` packed; what stayed behind as Residents."""
    kinds = {(shape[1], shape[2], shape[3]): shape[4] for shape in message[0] if shape[0] == _RESIDENT}
    return unpack(message, body, lambda address: Resident(*address, kinds[address], recipe))


def storable(item: Any) -> bool:
    """Whether a value can leave its process."""
    try:
        codec.encode(item)
    except codec.NotStorable:
        return False
    return True


def holds_resident(outputs: tuple[Any, ...]) -> bool:
    """Whether a result has a value that lives in a worker."""
    return any(
        type(item) is Resident or (type(item) in (list, tuple) and _holds(item, (Resident,))) for item in outputs
    )


def _holds(items: list[Any] | tuple[Any, ...], kinds: tuple[type, ...]) -> bool:
    pending = list(items)
    while pending:
        item = pending.pop()
        if type(item) in kinds:
            return True
        if type(item) in (list, tuple):
            pending.extend(item)
    return False


def _classes(encoded: codec.Encoded) -> list[Any]:
    """Value classes with the module that declares each: the other side may not have needed it yet."""
    found = []
    for name, version, fields in encoded.classes:
        entry = type_named(name)
        found.append([name, version, fields, entry.cls.__module__ if entry is not None else ""])
    return found


def _import(classes: Any) -> None:
    for name, version, fields, module in classes:
        if type_named(name) is None:
            try:
                importlib.import_module(module)
            except Exception as error:
                raise codec.Undecodable(f"the value {name!r} comes from {module}: {error}") from error
        if not codec.known([(name, version, fields)]):
            raise codec.Undecodable(f"the value {name!r} has other fields there: its code changed meanwhile")
