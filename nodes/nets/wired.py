"""Networks that a training gave: described as their files would be, from a configuration and tensors. No torch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from weft.nodes.models.description import Description, Weights
from weft.nodes.models.errors import ModelError
from weft.nodes.nets.files import adapter_family, family_of
from weft.nodes.nets.image_prompt import image_adapter_of
from weft.nodes.values.training import Adapter
from weft.nodes.weights.adapters import called, infos, require

if TYPE_CHECKING:
    from torch import Tensor


def net_tensors(adapter: Adapter) -> dict[str, Tensor]:
    """The network's tensors by the names of its module, or of its published file."""
    return {name.removeprefix("net."): item for name, item in adapter.tensors.items()}


def describe_wired(adapter: Adapter, kind: str) -> Description:
    """What the network is: a ControlNet, a T2I-Adapter (``t2i_adapter``) or an IP-Adapter (``ip_adapter``).

    Raises:
        ModelError: the adapter is of another kind, or lacks its configuration.
    """
    require(adapter, (kind,))
    where, tensors = Path(called(adapter)), infos(adapter, net_tensors(adapter))
    if kind == "ip_adapter":
        return image_adapter_of(where, tensors)
    config = adapter.settings.get("config")
    if not isinstance(config, dict):
        raise ModelError(f"{where} lacks its configuration: settings['config'] has to be that of the diffusers module")
    family = adapter_family(config) if kind == "t2i_adapter" else family_of(config)
    return Description(where, family, "epsilon", {kind: Weights(config, tensors)}, {}, {}, 0, [])
