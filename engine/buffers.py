"""Tensors, arrays, images and generators of random numbers: copies of them, and whether others can reach their memory.

The libraries are looked up, never imported: what nobody has imported, no value is of.
"""

from __future__ import annotations

import copy
import functools
import sys
from collections.abc import Callable
from typing import Any, Literal

Kind = Literal["tensor", "array", "image", "generator"]

_MOST = 2
"""A view's memory is copied as a whole, so that views keep sharing it, when it is at most so many times the view."""


def kind_of(item: Any) -> Kind | None:
    """Which of these an object is."""
    for library, name, kind in _KINDS:
        module = sys.modules.get(library)
        cls = getattr(module, name, None) if module is not None else None
        if cls is not None and isinstance(item, cls):
            return kind
    return None


_KINDS: tuple[tuple[str, str, Kind], ...] = (
    ("torch", "Tensor", "tensor"),
    ("numpy", "ndarray", "array"),
    ("PIL.Image", "Image", "image"),
    ("torch", "Generator", "generator"),
    ("numpy.random", "Generator", "generator"),
    ("numpy.random", "RandomState", "generator"),
)


def copied(item: Any, kind: Kind, blocks: dict[int, Any], copy_for: Callable[[Any], Any]) -> Any:
    """A copy with memory of its own.

    Args:
        blocks: copies of memory by address, to which this adds: with one such dict, what shared memory still does.
        copy_for: copies what an array of objects holds.
    """
    if kind == "tensor":
        return _copied_tensor(item, blocks)
    if kind == "array":
        return _copied_array(item, copy_for)
    if kind == "image":
        try:
            made = item.copy()
        except Exception:  # its file was closed before it was read
            return item
        if made.format != item.format:  # the format of a file is its class's, which the copy has not
            made.format = item.format
        return made
    if not hasattr(item, "get_state") or not hasattr(item, "device"):
        return copy.deepcopy(item)
    return sys.modules["torch"].Generator(device=item.device).set_state(item.get_state())


def is_private(item: Any, kind: Kind) -> bool:
    """Whether nothing but this object stands on its memory; whether others have the object is for the caller to see."""
    if kind == "array":
        flags = item.flags
        return type(item) is sys.modules["numpy"].ndarray and bool(flags.owndata) and not item.dtype.hasobject
    if kind == "image":
        return type(item) is sys.modules["PIL.Image"].Image and not item.readonly  # else it reads its file later
    if kind == "generator":
        return True
    torch = sys.modules["torch"]
    if type(item) is not torch.Tensor or item.layout is not torch.strided or item.is_nested or item._is_view():
        return False
    if item.device.type == "meta":
        return True
    # Memory that torch did not take itself (an array's, another process's) cannot be resized.
    limits = _storage_alone()
    if limits is None or not item.untyped_storage().resizable():
        return False
    return all(count <= limit for count, limit in zip(_storage_users(item, torch), limits, strict=True))


@functools.cache
def _storage_alone() -> tuple[int, int] | None:
    """What `_storage_users` gives for a new tensor; None where this torch does not tell."""
    torch = sys.modules["torch"]
    try:
        return _storage_users(torch.empty(1), torch)
    except (AttributeError, TypeError, RuntimeError):
        return None


def _storage_users(tensor: Any, torch: Any) -> tuple[int, int]:
    """How many tensors stand on the memory, and how many Python objects refer to it; either with some of our own."""
    storage = tensor.untyped_storage()
    return torch._C._storage_Use_Count(storage._cdata), sys.getrefcount(storage)


def _copied_tensor(tensor: Any, blocks: dict[int, Any]) -> Any:
    torch = sys.modules["torch"]
    cls = type(tensor)
    if cls not in (torch.Tensor, torch.nn.Parameter) or tensor.layout is not torch.strided or tensor.is_nested:
        try:
            made = tensor.clone()
        except Exception:  # a class that has no copies, such as a parameter that was never filled
            return tensor
        return made if type(made) is cls else tensor
    if tensor.grad_fn is not None:
        return tensor.clone()  # gradients flow through the copy as they would have through the original
    with torch.no_grad():
        made = _copied_numbers(tensor, blocks, torch)
    if cls is not torch.Tensor:
        return torch.nn.Parameter(made, requires_grad=tensor.requires_grad)
    return made.requires_grad_() if tensor.requires_grad else made


def _copied_numbers(tensor: Any, blocks: dict[int, Any], torch: Any) -> Any:
    tensor = tensor.detach()
    if tensor.device.type == "meta" or tensor.is_quantized or tensor.is_conj() or tensor.is_neg():
        return tensor.clone()
    storage = tensor.untyped_storage()
    address, size = storage.data_ptr(), storage.nbytes()
    if not address or size > _MOST * tensor.numel() * tensor.element_size():
        return tensor.clone()
    block = blocks.get(address)
    if block is None:
        block = blocks[address] = storage.clone()
    made = torch.empty(0, dtype=tensor.dtype, device=tensor.device)
    return made.set_(block, tensor.storage_offset(), tensor.size(), tensor.stride())


def _copied_array(array: Any, copy_for: Callable[[Any], Any]) -> Any:
    numpy = sys.modules["numpy"]
    if array.dtype.hasobject:
        if array.dtype.kind != "O":
            try:
                return copy.deepcopy(array)
            except Exception:  # a record with something alive in it
                return array
        made = array.copy(order="K")
        for place, part in enumerate(array.flat):
            made.flat[place] = copy_for(part)
        return made
    if type(array) is numpy.ndarray and not array.flags.writeable and 0 in array.strides and array.size:
        # Numbers that stand for many, as `broadcast_to` makes them: their copy takes no more memory.
        few = array[tuple(slice(1) if not stride else slice(None) for stride in array.strides)]
        return numpy.broadcast_to(few.copy(), array.shape)
    made = array.copy(order="K")
    made.flags.writeable = array.flags.writeable
    return made


def seen_bytes(item: Any, kind: Kind) -> tuple[str, Any] | None:
    """What can be seen of one: its form in words, and its numbers as a buffer, or the objects of an array as a list.

    None where it does not show its numbers, as sparse tensors do not.
    """
    try:
        if kind == "array":
            form = f"{item.dtype.str}{item.shape}"
            if item.dtype.kind == "O":
                return form, item.reshape(-1).tolist()
            return form, item.tobytes()
        if kind == "image":
            return f"{item.mode}{item.size}", item.tobytes()
        if kind == "generator":
            state = item.get_state() if hasattr(item, "get_state") else item.bit_generator.state
            return "", state.numpy().tobytes() if hasattr(state, "numpy") else repr(state).encode()
        form = f"{item.dtype}{tuple(item.shape)}{item.device}"
        if item.device.type == "meta":
            return form, b""
        flat = item.detach().resolve_conj().resolve_neg().cpu().contiguous().reshape(-1)
        return form, flat.view(sys.modules["torch"].uint8).numpy()
    except Exception:
        return None
