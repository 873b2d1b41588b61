"""What a training learned, by wire: read as a file of the same tensors would be, and checked against a model."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from weft.engine import NodeView, Problem
from weft.nodes.models.errors import ModelError
from weft.nodes.models.headers import Header, TensorInfo
from weft.nodes.values import Model
from weft.nodes.values.training import Adapter

if TYPE_CHECKING:
    from torch import Tensor

FAMILIES = {"sd1": "Stable Diffusion 1.x", "sd2": "Stable Diffusion 2.x", "sdxl": "SDXL"}
KINDS: Mapping[str, tuple[str, str]] = {
    "lora": ("a LoRA", "apply_lora"),
    "embedding": ("learned words", "load_textual_inversion"),
    "custom_diffusion": ("Custom Diffusion", "load_custom_diffusion"),
    "weights": ("trained weights", "load_dreambooth"),
    "unet_delta": ("a denoiser with more channels", "apply_adapter"),
    "controlnet": ("a ControlNet", "load_controlnet"),
    "t2i_adapter": ("a T2I-Adapter", "load_t2i_adapter"),
    "ip_adapter": ("an IP-Adapter", "load_ip_adapter"),
}
"""What each kind is called, and the node that takes it."""


@dataclass(frozen=True)
class Origin:
    """Where tensors that change a model come from: a file, or a training.

    where: for messages, and the file itself where it is one. read: all tensors by name, on the CPU.
    """

    where: Path | str
    header: Header
    read: Callable[[], Mapping[str, Tensor]]


def called(adapter: Adapter) -> str:
    """What messages call an adapter."""
    return f"the adapter {adapter.digest[:8]} ({KINDS[adapter.kind][0] if adapter.kind in KINDS else adapter.kind})"


def header(adapter: Adapter) -> Header:
    """What a safetensors file of the adapter would begin with, PEFT's settings as diffusers keeps them included."""
    return Header(infos(adapter, adapter.tensors), {"lora_adapter_metadata": json.dumps(peft_settings(adapter))})


def infos(adapter: Adapter, tensors: Mapping[str, Tensor]) -> dict[str, TensorInfo]:
    """What a file's header would say of tensors. The file's name is what messages call the adapter."""
    nowhere = Path(called(adapter))
    return {name: TensorInfo("F32", tuple(item.shape), nowhere) for name, item in tensors.items()}


def of_component(adapter: Adapter, component: str) -> dict[str, Tensor]:
    """The tensors of one component, without its name before theirs."""
    start = f"{component}."
    return {name.removeprefix(start): item for name, item in adapter.tensors.items() if name.startswith(start)}


def learned_words(adapter: Adapter) -> dict[str, dict[str, Tensor]]:
    """The learned words of an adapter: vectors (n, d) by text encoder, by token."""
    words: dict[str, dict[str, Tensor]] = {}
    for name, item in adapter.tensors.items():
        if name.startswith("word."):
            token, _, component = name.removeprefix("word.").rpartition(".")
            words.setdefault(token, {})[component] = item if item.ndim == 2 else item.reshape(1, -1)
    return words


def peft_settings(adapter: Adapter) -> dict[str, object]:
    """PEFT's configuration with each name after its component's, as in diffusers' metadata: ``unet.r``, ..."""
    peft = adapter.settings.get("peft")
    parts = peft if isinstance(peft, dict) else {}
    return {f"{component}.{name}": item for component, own in parts.items() for name, item in own.items()}


def origin(adapter: Adapter) -> Origin:
    """An adapter where a file might be."""
    return Origin(called(adapter), header(adapter), lambda: adapter.tensors)


def require(adapter: Adapter, kinds: tuple[str, ...], model: Model | None = None) -> None:
    """Refuse an adapter of another kind, or of another model family.

    Raises:
        ModelError: it is; says what it is, and which node takes it.
    """
    if adapter.kind not in kinds:
        wanted = " or ".join(KINDS[kind][0] for kind in kinds)
        taker = KINDS[adapter.kind][1] if adapter.kind in KINDS else "apply_adapter"
        raise ModelError(f"{called(adapter)} is given where {wanted} is expected: wire it to {taker}")
    if model is not None and adapter.family and adapter.family != model.family:
        trained, given = (FAMILIES.get(family, family) for family in (adapter.family, model.family))
        raise ModelError(
            f"{called(adapter)} was trained on {trained} and the model {model.source!r} is {given}: "
            f"use a model of {trained}"
        )


def require_one(source: object, adapter: object, name: str = "source") -> None:
    """Refuse both a source and an adapter, or none. Raises ValueError."""
    if (message := _not_one(bool(source), adapter is not None, name)) is not None:
        raise ValueError(message)


def one_problem(view: NodeView, name: str = "source", adapter: str = "adapter") -> Iterator[Problem]:
    """What is wrong with a document that gives both a source and an adapter, or none."""
    written = view.literals.get(name)
    named = bool(view.sources(name)) or (name not in view.literals) or written not in ("", [], None)
    message = _not_one(named, bool(view.sources(adapter)), name)
    if message is not None:
        yield Problem(
            code="conflict" if named else "missing_input",
            node=view.id,
            input=name,
            message=f"{message}.",
            given=written,
        )


def _not_one(source: bool, adapter: bool, name: str) -> str | None:
    if source and adapter:
        return f"both {name} and an adapter are given: give one of the two"
    if not source and not adapter:
        return f"neither {name} nor an adapter is given: name a file in {name}, or wire what a training gave"
    return None
