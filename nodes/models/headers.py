"""Reading what a safetensors file promises, without its tensors and without torch.

Format: 8 bytes little-endian header length, a JSON header, then one buffer that the tensors fill without gaps.
"""

from __future__ import annotations

import json
import math
import os
from dataclasses import dataclass
from pathlib import Path

from weft.nodes.models.errors import ModelError

_BITS = {
    **dict.fromkeys(("F64", "I64", "U64", "C64"), 64),
    **dict.fromkeys(("F32", "I32", "U32"), 32),
    **dict.fromkeys(("F16", "BF16", "I16", "U16"), 16),
    **dict.fromkeys(("F8_E4M3", "F8_E5M2", "F8_E8M0", "I8", "U8", "BOOL"), 8),
}
_MAX_HEADER = 100 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """One tensor of a file: ``dtype`` as safetensors names it, and the file that holds it."""

    dtype: str
    shape: tuple[int, ...]
    file: Path

    @property
    def elements(self) -> int:
        return math.prod(self.shape)


@dataclass(frozen=True, slots=True)
class Header:
    """The tensors of a file by name, and the file's own metadata."""

    tensors: dict[str, TensorInfo]
    metadata: dict[str, str]


def read_header(path: Path) -> Header:
    """The header of a safetensors file, checked against the size of the file.

    Raises:
        ModelError: the file is no safetensors file, garbled, or shorter than its header promises.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            start = file.read(8)
            length = int.from_bytes(start, "little")
            if len(start) < 8 or length < 2 or length > _MAX_HEADER:
                raise _garbled(path, "it does not begin with a header length")
            if 8 + length > size:
                raise ModelError(
                    f"{path} is truncated: its header alone takes {8 + length} bytes, the file has {size}. "
                    "Download or copy it again."
                )
            text = file.read(length)
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {os.strerror(error.errno or 0)}") from error
    try:
        table = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _garbled(path, "its header is no JSON") from error
    if not isinstance(table, dict):
        raise _garbled(path, "its header is no JSON object")
    return _checked(path, table, size - 8 - length)


def _checked(path: Path, table: dict[str, object], room: int) -> Header:
    metadata = table.pop("__metadata__", {})
    tensors: dict[str, TensorInfo] = {}
    spans: list[tuple[int, int]] = []
    for name, entry in table.items():
        if not isinstance(entry, dict):
            raise _garbled(path, f"tensor {name!r} is not described")
        dtype, shape, offsets = entry.get("dtype"), _sizes(entry.get("shape")), _sizes(entry.get("data_offsets"))
        if not isinstance(dtype, str) or shape is None or offsets is None or len(offsets) != 2:
            raise _garbled(path, f"tensor {name!r} is not described as it has to be")
        if dtype in _BITS and math.prod(shape) * _BITS[dtype] != (offsets[1] - offsets[0]) * 8:
            raise _garbled(path, f"the size of tensor {name!r} does not fit its shape")
        tensors[name] = TensorInfo(dtype, tuple(shape), path)
        spans.append((offsets[0], offsets[1]))
    end = 0
    for begin, finish in sorted(spans):
        if begin != end or finish < begin:
            raise _garbled(path, "its tensors overlap or leave gaps")
        end = finish
    if end > room:
        raise ModelError(
            f"{path} is truncated: its tensors take {end} bytes, {room} are there. Download or copy it again."
        )
    if end < room:
        raise _garbled(path, f"{room - end} bytes follow its last tensor")
    known = {k: v for k, v in metadata.items() if isinstance(v, str)} if isinstance(metadata, dict) else {}
    return Header(tensors, known)


def _sizes(item: object) -> list[int] | None:
    return item if isinstance(item, list) and all(type(size) is int and size >= 0 for size in item) else None


def _garbled(path: Path, why: str) -> ModelError:
    return ModelError(f"{path} is no sound safetensors file: {why}. Download or copy it again.")
