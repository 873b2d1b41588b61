"""Values to bytes and back: structure as msgpack, tensors and arrays as safetensors. Nothing in them can run code.

The head says what a value is made of and can be read alone; the body holds the numbers. An entry whose value classes
are not there, or changed, does not decode.
"""

from __future__ import annotations

import json
import math
import mmap
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgpack

from weft.engine.errors import explain
from weft.engine.plain import int_text
from weft.engine.values import ValueType, type_named, type_of

Buffer = bytes | memoryview
Body = bytearray | mmap.mmap
"""Tensors as one safetensors file in memory that is the value's own from now on."""

_LIST, _TUPLE, _DICT, _VALUE, _TENSOR, _ARRAY, _INT = range(7)

_PLAIN = frozenset({str, bytes, bool, float, type(None)})
"""Classes whose values are written as they are."""
_TORCH_NAMES = {
    "float64": "F64", "float32": "F32", "float16": "F16", "bfloat16": "BF16", "int64": "I64", "int32": "I32",
    "int16": "I16", "int8": "I8", "uint8": "U8", "uint16": "U16", "uint32": "U32", "uint64": "U64", "bool": "BOOL",
    "float8_e4m3fn": "F8_E4M3", "float8_e5m2": "F8_E5M2",
}  # fmt: skip
_NAMES_TORCH = {code: name for name, code in _TORCH_NAMES.items()}
_ARRAY_NAMES = _TORCH_NAMES.keys() - {"bfloat16", "float8_e4m3fn", "float8_e5m2"}


class NotStorable(Exception):  # noqa: N818 (no failure: the value is made again from its recipe)
    """A value that cannot be written, such as a live model."""


class Undecodable(Exception):  # noqa: N818
    """Bytes that are no value, or one of a class that is not there."""


@dataclass(slots=True)
class Encoded:
    """A value ready to be written: plain data for msgpack, the value classes in it, and the parts of the body."""

    structure: Any
    classes: list[tuple[str, int, tuple[str, ...]]]
    body: list[Buffer]

    @property
    def body_bytes(self) -> int:
        return sum(memoryview(part).nbytes for part in self.body)


def encode(value: Any) -> Encoded:
    """Take a value apart.

    Raises:
        NotStorable: something in it is no literal, tensor, array, tuple, list, dict or registered value.
    """
    if type(value) is tuple and all(type(item) in _PLAIN for item in value):
        return Encoded([_TUPLE, *value], [], [])
    encoder = _Encoder()
    try:
        structure = encoder.take(value)
    except RecursionError as error:
        raise NotStorable("it nests too deep, or contains itself") from error
    except NotStorable:
        raise
    except Exception as error:  # a value with a field that was never set, a tensor that does not show its memory
        kind = type(value)
        reason = f"{error.__class__.__name__}: {explain(error)}"
        raise NotStorable(f"{kind.__module__}.{kind.__qualname__} ({reason}) cannot be written to disk") from error
    return Encoded(structure, list(encoder.classes), encoder.body())


def decode(structure: Any, body: Body) -> Any:
    """Put a value together again. Tensors share the memory of `body`.

    Raises:
        Undecodable: these are not bytes of a value that this installation knows.
    """
    try:
        return _Decoder(body).make(structure)
    except Undecodable:
        raise
    except Exception as error:
        raise Undecodable(f"{error.__class__.__name__}: {error}") from error


def known(classes: Any) -> bool:
    """Whether the value classes that an entry was written with are here, unchanged."""
    for name, version, fields in classes:
        entry = type_named(name)
        if entry is None or entry.version != version or list(entry.fields) != list(fields):
            return False
    return True


class _Encoder:
    def __init__(self) -> None:
        self.classes: dict[tuple[str, int, tuple[str, ...]], None] = {}
        self.tensors: list[tuple[str, tuple[int, ...], Any]] = []
        self.numbers: dict[int, int] = {}

    def take(self, item: Any) -> Any:
        cls = type(item)
        if cls in _PLAIN:
            return item
        if cls is int:
            return item if -(1 << 63) <= item < 1 << 63 else [_INT, int_text(item)]
        if cls is tuple or cls is list:
            return [_TUPLE if cls is tuple else _LIST, *map(self.take, item)]
        if cls is dict:
            return [_DICT, *([self.take(key), self.take(part)] for key, part in item.items())]
        entry = type_of(cls)
        if entry is not None:
            self.classes[entry.name, entry.version, entry.fields] = None
            return [_VALUE, entry.name, *(self.take(getattr(item, name)) for name in entry.fields)]
        module = cls.__module__.partition(".")[0]
        if module == "torch" and hasattr(item, "untyped_storage"):
            return [_TENSOR, self._number(item, self._tensor)]
        if module == "numpy" and hasattr(item, "__array_interface__") and hasattr(item, "flags"):
            return [_ARRAY, self._number(item, self._array)]
        raise NotStorable(f"{cls.__module__}.{cls.__qualname__} cannot be written to disk")

    def _number(self, item: Any, take: Any) -> int:
        if id(item) not in self.numbers:
            self.numbers[id(item)] = len(self.tensors)
            self.tensors.append(take(item))
        return self.numbers[id(item)]

    @staticmethod
    def _tensor(tensor: Any) -> tuple[str, tuple[int, ...], Any]:
        import torch

        name = str(tensor.dtype).removeprefix("torch.")
        if name not in _TORCH_NAMES or tensor.layout is not torch.strided or tensor.device.type == "meta":
            raise NotStorable(f"a tensor of {name}, {tensor.layout} on {tensor.device} cannot be written to disk")
        if type(tensor) is not torch.Tensor or tensor.requires_grad:
            # It would come back as plain numbers, and whoever takes gradients through it would get none.
            kind = type(tensor).__name__
            raise NotStorable(f"a {kind} with gradients, or of a class of its own, cannot be written to disk")
        shape = tuple(tensor.shape)
        flat = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
        return _TORCH_NAMES[name], shape, flat.numpy().data if flat.numel() else b""

    @staticmethod
    def _array(array: Any) -> tuple[str, tuple[int, ...], Any]:
        import numpy

        name = array.dtype.name
        if type(array) is not numpy.ndarray or name not in _ARRAY_NAMES:
            raise NotStorable(f"{type(array).__name__} of {name} cannot be written to disk")
        if not array.dtype.isnative:
            raise NotStorable(f"an array of {array.dtype.str}, another byte order, cannot be written to disk")
        shape = tuple(array.shape)
        little = numpy.ascontiguousarray(array, array.dtype.newbyteorder("<"))
        return _TORCH_NAMES[name], shape, little.reshape(-1).view(numpy.uint8).data if little.size else b""

    def body(self) -> list[Buffer]:
        """The tensors as one safetensors file in parts, so that none of them is copied."""
        if not self.tensors:
            return []
        header: dict[str, Any] = {}
        offset = 0
        parts: list[Buffer] = []
        # Wide numbers first: then each tensor starts at a multiple of its own width.
        order = sorted(range(len(self.tensors)), key=lambda number: -_width(self.tensors[number][0]))
        for number in order:
            dtype, shape, data = self.tensors[number]
            end = offset + memoryview(data).nbytes
            header[str(number)] = {"dtype": dtype, "shape": list(shape), "data_offsets": [offset, end]}
            offset = end
            parts.append(data)
        text = json.dumps(header, separators=(",", ":")).encode()
        text += b" " * (-len(text) % 8)
        return [len(text).to_bytes(8, "little") + text, *parts]


class _Decoder:
    def __init__(self, body: Body) -> None:
        self.body = body
        self.tensors = dict(_slices(body)) if body else {}
        self.made: dict[tuple[int, int], Any] = {}

    def make(self, item: Any) -> Any:
        if type(item) is not list:
            return item
        kind, *rest = item
        if kind == _LIST:
            return [self.make(part) for part in rest]
        if kind == _TUPLE:
            return tuple(self.make(part) for part in rest)
        if kind == _DICT:
            return {self.make(key): self.make(part) for key, part in rest}
        if kind == _VALUE:
            return self._value(rest[0], rest[1:])
        if kind == _INT:
            return int(rest[0], 0)
        if kind in (_TENSOR, _ARRAY):
            number = rest[0]
            if (kind, number) not in self.made:
                self.made[kind, number] = (self._tensor if kind == _TENSOR else self._array)(number)
            return self.made[kind, number]
        raise Undecodable(f"no kind {kind!r}")

    def _value(self, name: str, parts: list[Any]) -> Any:
        entry: ValueType | None = type_named(name)
        if entry is None or len(parts) != len(entry.fields):
            raise Undecodable(f"no value {name!r} with {len(parts)} fields")
        # Not through __init__: what was frozen once is put back as it was.
        value: Any = object.__new__(entry.cls)
        for field, part in zip(entry.fields, parts, strict=True):
            object.__setattr__(value, field, self.make(part))
        return value

    def _tensor(self, number: int) -> Any:
        import torch

        dtype, shape, start, end = self.tensors[str(number)]
        kind = getattr(torch, _NAMES_TORCH[dtype])
        if start == end:
            return torch.empty(shape, dtype=kind)
        return torch.frombuffer(memoryview(self.body)[start:end], dtype=kind).reshape(shape)

    def _array(self, number: int) -> Any:
        import numpy

        dtype, shape, start, end = self.tensors[str(number)]
        kind = numpy.dtype(_NAMES_TORCH[dtype]).newbyteorder("<")
        return numpy.frombuffer(memoryview(self.body)[start:end], dtype=kind).reshape(shape)


def _slices(body: Body) -> Iterator[tuple[str, tuple[str, tuple[int, ...], int, int]]]:
    size = int.from_bytes(body[:8], "little")
    header = json.loads(bytes(body[8 : 8 + size]))
    base = 8 + size
    for name, entry in header.items():
        start, end = entry["data_offsets"]
        dtype, shape = entry["dtype"], tuple(entry["shape"])
        if not 0 <= start <= end <= len(body) - base or math.prod(shape) * _width(dtype) != end - start:
            raise Undecodable(f"tensor {name} does not fit its bytes")
        yield name, (dtype, shape, base + start, base + end)


def _width(dtype: str) -> int:
    digits = "".join(filter(str.isdigit, dtype.partition("_")[0]))
    return int(digits) // 8 if digits else 1


def pack_head(head: Any) -> bytes:
    """Plain data as msgpack."""
    return bytes(msgpack.packb(head, use_bin_type=True))


def unpack_head(data: bytes) -> Any:
    """msgpack as plain data. Raises Undecodable."""
    try:
        return msgpack.unpackb(data, raw=False, strict_map_key=False, use_list=True)
    except Exception as error:
        raise Undecodable(str(error)) from error
