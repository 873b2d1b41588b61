"""What objects remember of the steps so far, as data that can be kept, and put back."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import torch
from torch import Tensor

_PLAIN = frozenset({type(None), bool, int, float, str})
_ON_DEVICE = "on the device"


class NoHistory(Exception):  # noqa: N818
    """Something that a run remembers cannot be kept."""


class Marks:
    """An object's attributes as they are now, to tell later which have changed.

    besides: names of attributes that count as changed in any case.
    """

    def __init__(self, item: object, besides: Collection[str] = ()) -> None:
        self._before = {name: (value, _parts(value)) for name, value in vars(item).items() if name not in besides}

    def changed(self, item: object) -> dict[str, Any]:
        """The attributes that are others now, or hold other things."""
        return {name: value for name, value in vars(item).items() if not self._same(name, value)}

    def _same(self, name: str, value: Any) -> bool:
        if name not in self._before:
            return False
        before, held = self._before[name]
        if value is not before:
            return type(value) in _PLAIN and type(value) is type(before) and bool(value == before)
        now = _parts(value)
        return len(now) == len(held) and all(one is other for one, other in zip(now, held, strict=True))


def _parts(value: Any) -> tuple[Any, ...]:
    """What a container holds: it may be changed in place."""
    if isinstance(value, dict):
        return (*value.keys(), *value.values())
    return tuple(value) if isinstance(value, (list, set)) else ()


class Freezer:
    """Copies of nested data with tensors, so that nothing done in place later reaches them.

    What several states hold in common is copied once.
    """

    def __init__(self) -> None:
        self._copies: dict[int, tuple[Tensor, int, Tensor]] = {}
        self._stored: dict[int, tuple[Tensor, Tensor]] = {}

    def freeze(self, item: Any) -> Any:
        """A copy of plain data, lists, tuples, dicts and tensors. Raises NoHistory for anything else."""
        copies: dict[int, tuple[Tensor, int, Tensor]] = {}
        frozen = self._freeze(item, copies)
        # What the latest state does not hold is not held here either.
        self._copies = copies
        return frozen

    def _freeze(self, item: Any, copies: dict[int, tuple[Tensor, int, Tensor]]) -> Any:
        if type(item) in _PLAIN:
            return item
        if isinstance(item, Tensor):
            # A tensor counts how often it was changed in place.
            known = copies.get(id(item)) or self._copies.get(id(item))
            if known is None or known[1] != item._version:
                known = item, item._version, item.detach().clone()
            copies[id(item)] = known
            return known[2]
        if type(item) in (list, tuple):
            return type(item)(self._freeze(part, copies) for part in item)
        if type(item) is dict:
            return {name: self._freeze(part, copies) for name, part in item.items()}
        raise NoHistory(f"a {type(item).__qualname__}")

    def store(self, item: Any) -> Any:
        """Frozen data with every tensor on the CPU; `thaw` knows which were not."""
        if isinstance(item, Tensor):
            if item.device.type == "cpu":
                return item
            known = self._stored.get(id(item))
            if known is None:
                known = self._stored[id(item)] = item, item.cpu()
            return (_ON_DEVICE, known[1])
        if type(item) in (list, tuple):
            return type(item)(map(self.store, item))
        if type(item) is dict:
            return {name: self.store(part) for name, part in item.items()}
        return item

    def thaw(self, item: Any, device: torch.device) -> Any:
        """A copy of stored data that may be changed, with tensors back where they were; frozen anew, it is shared."""
        if isinstance(item, Tensor):
            copy = item.clone()
            self._copies[id(copy)] = copy, copy._version, item
            return copy
        if type(item) is tuple and len(item) == 2 and item[0] == _ON_DEVICE:
            return item[1].to(device)
        if type(item) in (list, tuple):
            return type(item)(self.thaw(part, device) for part in item)
        if type(item) is dict:
            return {name: self.thaw(part, device) for name, part in item.items()}
        return item
