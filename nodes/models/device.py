"""What ``auto`` means on this machine. Imports torch only where a choice is open."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from weft.engine import NodeView, Problem
from weft.nodes.lazy import lazy
from weft.nodes.models.errors import ModelError

if TYPE_CHECKING:
    import torch
else:
    torch = lazy("torch")

DTYPES = ("float32", "float16", "bfloat16")


def resolve_device(choice: str) -> str:
    """A device that is there, for ``auto`` | ``cpu`` | ``cuda`` | ``cuda:1`` | ``mps``.

    ``auto`` and ``cuda`` are the own device of each process that a launcher such as torchrun started.

    Raises:
        ModelError: it is not there.
    """
    if choice == "cpu":
        return choice
    cuda = torch.cuda.device_count() if torch.cuda.is_available() else 0
    mps = torch.backends.mps.is_available()
    own = os.environ.get("LOCAL_RANK", "") if os.environ.get("WORLD_SIZE", "1") != "1" else ""
    if cuda and own.isdecimal() and choice in ("auto", "cuda"):
        # Where a launcher shows each process its own device alone, that is the first one of each.
        return f"cuda:{int(own) % cuda}"
    if choice == "auto":
        return "cuda" if cuda else "mps" if mps else "cpu"
    there = [*(["cuda"] if cuda else []), *(f"cuda:{i}" for i in range(cuda)), *(["mps"] if mps else []), "cpu"]
    if choice not in there:
        raise ModelError(f"device {choice!r} is not there; this machine has {', '.join(there)}")
    return choice


def resolve_dtype(choice: str, device: str) -> str:
    """A number format: ``auto`` is float32 on the CPU and float16 on accelerators."""
    if choice == "auto":
        return "float32" if device == "cpu" else "float16"
    if choice not in DTYPES:
        raise ModelError(f"dtype {choice!r} is none of auto, {', '.join(DTYPES)}")
    return choice


def component_dtype(component: str, family: str, config: dict[str, Any], dtype: str) -> str:
    """The format of one component: SDXL's VAE overflows in float16 unless its configuration says otherwise."""
    if component == "vae" and dtype == "float16" and family == "sdxl" and config.get("force_upcast", True):
        return "float32"
    return dtype


def machine_hint(choice: str) -> str:
    """What ``auto`` will probably pick, told without importing torch.

    It enters cache keys: results of a float16 accelerator are not those of a float32 CPU that shares the cache.
    """
    if choice != "auto":
        return choice
    if sys.platform == "darwin":
        return "mps"
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES", "all").strip() in ("", "-1")
    return "cuda" if not hidden and (Path("/dev/nvidiactl").exists() or Path("/dev/kfd").exists()) else "cpu"


def device_problems(view: NodeView) -> Iterator[Problem]:
    """A literal in the input `device` that names none anywhere. Whether it is here is not asked."""
    device = view.literals.get("device")
    if not isinstance(device, str):
        return
    kind, _, number = device.partition(":")
    if device in ("auto", "cpu", "mps", "cuda") or (kind == "cuda" and number.isdecimal()):
        return
    yield Problem(
        code="bad_value",
        node=view.id,
        input="device",
        message=f"{device!r} is no device.",
        given=device,
        expected="auto, cpu, cuda, cuda:N or mps",
    )
