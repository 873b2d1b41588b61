"""Live networks: loaded when a run first needs them, shared, and held by the residency manager while runs use them."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from weft.nodes.lazy import IMPORTING
from weft.nodes.models import build
from weft.nodes.models.description import Description
from weft.nodes.models.errors import ModelError
from weft.nodes.models.residency import Lease, default_residency
from weft.nodes.models.sources import Kind, existing
from weft.nodes.nets.files import fingerprint
from weft.nodes.nets.wired import describe_wired, net_tensors
from weft.nodes.values.training import Adapter


class LoadedNet:
    """A module on its device, in eval mode and without gradients, as long as this object lives."""

    def __init__(self, lease: Lease) -> None:
        self.item: Any = lease.item
        weakref.finalize(self, lease.release)


def load_net(
    source: str,
    location: str,
    expected: str,
    describe: Callable[[Path], Description],
    device: torch.device,
    dtype: torch.dtype,
    make: Callable[..., Any] | None = None,
    kind: Kind | None = None,
    adapter: Adapter | None = None,
) -> LoadedNet:
    """The network that `describe` finds at `location`.

    source: as the user named it, for messages. expected: its fingerprint when it was named.
    make: builds and fills the module on the CPU in float32 where `shell` cannot. kind: with it, a network that is no
    longer at `location` is looked for again by its source. adapter: holds the network, in place of files.
    Raises ModelError when its files are gone or changed.
    """
    if adapter is not None:
        return _load_wired(adapter, device, dtype, make)
    path = Path(location) if kind is None else existing(location, source, kind)
    if not path.exists():
        raise ModelError(f"{source!r} is no longer in {location}: run its loader again")
    description = describe(path)
    if fingerprint(description) != expected:
        raise ModelError(f"the files of {source!r} in {location} changed since it was loaded: run again")
    (name,) = description.weights
    size = sum(info.elements for info in description.weights[name].tensors.values()) * dtype.itemsize

    def load() -> Any:
        if make is not None:
            return make(description).eval().requires_grad_(False).to(device, dtype)
        return build.load(description, name, dtype, device, shell(description))

    return LoadedNet(default_residency().acquire((expected, name, str(dtype), str(device)), str(device), size, load))


def _load_wired(
    adapter: Adapter, device: torch.device, dtype: torch.dtype, make: Callable[..., Any] | None
) -> LoadedNet:
    """The network that a training gave."""
    description, tensors = describe_wired(adapter, adapter.kind), net_tensors(adapter)
    (name,) = description.weights
    size = sum(item.numel() for item in tensors.values()) * dtype.itemsize

    def load() -> Any:
        if make is not None:
            return make(description, tensors).eval().requires_grad_(False).to(device, dtype)
        module = shell(description)
        build.match(description, name, module)
        # Copies: the adapter's own tensors are a value that others read.
        own = {key: tensors[key].to(device=device, dtype=dtype, copy=True) for key in module.state_dict()}
        module.load_state_dict(own, assign=True, strict=True)
        return module.eval().requires_grad_(False)

    return LoadedNet(
        default_residency().acquire((adapter.digest, name, str(dtype), str(device)), str(device), size, load)
    )


def shell(description: Description) -> torch.nn.Module:
    """The network's module without memory behind its parameters. Raises ModelError where its configuration is wrong."""
    with IMPORTING:
        from diffusers import ControlNetModel, T2IAdapter
        from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    ((name, weights),) = description.weights.items()
    try:
        with torch.device("meta"):
            if name == "controlnet":
                return ControlNetModel.from_config(weights.config)
            if name == "t2i_adapter":
                return T2IAdapter.from_config(weights.config)
            config = CLIPVisionConfig.from_dict(
                {key: item for key, item in weights.config.items() if key not in build.NOT_OURS}
            )
            return CLIPVisionModelWithProjection(config)
    except (ValueError, TypeError, KeyError, IndexError, RuntimeError, AssertionError) as error:
        raise ModelError(f"the configuration of the {name} of {description.location} is wrong: {error}") from error


def verify(description: Description) -> None:
    """Compare a network with its files, reading headers only. Raises ModelError where they do not fit."""
    (name,) = description.weights
    build.match(description, name, shell(description))
