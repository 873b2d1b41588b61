"""Content keys: equal keys mean that two values are made of equal things, down to the last bit of their tensors."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import inspect
import os
import platform
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from weft.engine.catalogue.code import code_fingerprint
from weft.engine.filehash import folder_hash
from weft.nodes.lazy import IMPORTING
from weft.nodes.values import Patch

_FLOAT = struct.Struct("<d")


class NoContent(Exception):  # noqa: N818
    """A value whose content cannot be told, such as a function."""


class Contents:
    """Makes content keys, remembering those of objects that it has met: they must not change meanwhile."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[Any, bytes]] = {}

    def key(self, item: Any) -> bytes:
        """The key of a value, 20 bytes.

        Plain data, tensors, and frozen dataclasses of these have one, without fields that say `compare=False`: where
        something is looked for, say, while another field says what it is. Of a `Patch` it is its own `key`.
        Raises NoContent for anything else.
        """
        return hashlib.blake2b(self._bytes(item), digest_size=20).digest()

    def _bytes(self, item: Any) -> bytes:
        """The item with its type, so that no two different items give the same bytes."""
        kind = type(item)
        if item is None or kind is bool or kind is int:
            return f"{item};".encode()
        if kind is float:
            return b"f" + _FLOAT.pack(item)
        if kind is str or kind is bytes:
            data = item.encode("utf-8", "surrogatepass") if kind is str else item
            return f"{kind.__name__[0]}{len(data)}:".encode() + data
        if kind is tuple or kind is list:
            return b"(" + b"".join(map(self._bytes, item)) + b")"
        if isinstance(item, Mapping):
            entries = sorted((self._bytes(key), self._bytes(part)) for key, part in item.items())
            return b"{" + b"".join(part for entry in entries for part in entry) + b"}"
        known = self._known.get(id(item))
        if known is None:
            # The object is kept with its key, so that no other one gets its place in memory.
            known = self._known[id(item)] = item, b"k" + hashlib.blake2b(self._large(item), digest_size=20).digest()
        return known[1]

    def _large(self, item: Any) -> bytes:
        if isinstance(item, Tensor):
            flat = item.detach().cpu().contiguous().reshape(-1)
            data = flat.view(torch.uint8).numpy().tobytes() if flat.numel() else b""
            return f"tensor {item.dtype} {tuple(item.shape)}:".encode() + data
        if isinstance(item, frozenset):
            return b"set" + b"".join(sorted(map(self._bytes, item)))
        if isinstance(item, Patch):
            return b"patch" + self._bytes((class_name(type(item)), item.key))
        if dataclasses.is_dataclass(item) and not isinstance(item, type):
            if not item.__dataclass_params__.frozen:  # type: ignore[attr-defined]
                raise NoContent(f"{class_name(type(item))} can change")
            names = [field.name for field in dataclasses.fields(item) if field.compare]
            return b"data" + self._bytes((class_name(type(item)), *((name, getattr(item, name)) for name in names)))
        raise NoContent(f"the content of a {class_name(type(item))} cannot be told")


_names: dict[type, str] = {}


def class_name(cls: type) -> str:
    """A class and those that it is made from by name, and by their code where they are not ours.

    Raises NoContent where their code cannot be read, as of one typed at a prompt.
    """
    if cls not in _names:
        _names[cls] = " ".join(f"{one.__module__}.{one.__qualname__}{_code_of(one)}" for one in cls.__mro__[:-1])
    return _names[cls]


def _code_of(cls: type) -> str:
    for item in vars(cls).values():
        if not inspect.isfunction(item) or item.__code__.co_filename == "<string>":  # a dataclass has some made for it
            continue
        if not os.path.isfile(item.__code__.co_filename):
            raise NoContent(f"the code of {cls.__qualname__} is in no file")
        try:
            return f":{code_fingerprint(item) or ''}"
        except Exception as error:
            raise NoContent(f"the code of {cls.__qualname__} cannot be read") from error
    return ""


@functools.cache
def code() -> str:
    """Identifies the code of all our nodes, so that no change of it goes unnoticed, and of the libraries below."""
    with IMPORTING:
        import diffusers
        import transformers

    own = folder_hash(Path(__file__).parent.parent, (".py",))
    return f"{own} torch {torch.__version__} diffusers {diffusers.__version__} transformers {transformers.__version__}"


def machine(device: torch.device) -> tuple[Any, ...]:
    """What decides, beside the code, how sums are rounded: the processor's instructions, and threads."""
    if device.type == "cuda":
        return device.type, torch.cuda.get_device_name(device), torch.get_float32_matmul_precision()
    return (
        device.type,
        platform.machine(),
        torch.backends.cpu.get_cpu_capability(),
        torch.get_num_threads(),
        torch.get_float32_matmul_precision(),
    )
