"""Safetensors files that change a model: checked before a run, identified by content, read whole. Light at import."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from weft.nodes.models.errors import ModelError
from weft.nodes.models.folder import PICKLE_REASON, PICKLES
from weft.nodes.models.headers import Header, read_header

if TYPE_CHECKING:
    from torch import Tensor


def header_of(path: Path) -> Header:
    """The header of a file by path.

    Raises:
        ModelError: it is no file, a pickle, or no sound safetensors file.
    """
    if path.name.lower().endswith(PICKLES):
        raise ModelError(f"{path} is not read: {PICKLE_REASON}")
    if not path.is_file():
        raise ModelError(f"{path} is {'a folder, not a file' if path.is_dir() else 'not there'}")
    return read_header(path)


def digest_of(*things: object) -> str:
    """A short hash of plain data."""
    return hashlib.blake2b(json.dumps(things, sort_keys=True).encode(), digest_size=20).hexdigest()


def content(path: Path) -> str:
    """The content hash of a file.

    Raises:
        ModelError: it cannot be read.
    """
    from weft.engine.filehash import content_hash

    try:
        return content_hash(path)
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}") from error


def read_tensors(path: str, digest: str, names: Iterable[str] | None = None) -> dict[str, Tensor]:
    """Tensors of a file on the CPU, all or those named, as copies.

    Raises:
        ModelError: the file is not the one that was checked, or cannot be read.
    """
    from safetensors import SafetensorError, safe_open

    file = Path(path)
    if content(file) != digest:
        raise ModelError(f"{path} changed since it was checked: run again")
    try:
        with safe_open(file, framework="pt", device="cpu") as stored:
            found: dict[str, Any] = {name: stored.get_tensor(name).clone() for name in names or stored.keys()}
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{path} cannot be read: {error}") from error
    return found


def write(parameter: Tensor, tensor: Tensor, strength: float = 1.0) -> None:
    """Write over a parameter; with another strength than 1, so far from what it was towards the tensor."""
    if strength == 1:
        parameter.copy_(tensor)
    else:
        before = parameter.float()
        parameter.copy_(before + strength * (tensor.to(before.device).float() - before))
