"""Whether a network fits a model, from configurations alone: said by `check` where it can be, else by the run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from weft.nodes.nets.files import family_of
from weft.nodes.nets.handles import FAMILIES, other_family

Config = Mapping[str, Any]
_DEFAULTS: dict[str, Any] = {"cross_attention_dim": 1280, "block_out_channels": (320, 640, 1280, 1280)}
"""What a configuration that does not say means."""


def controlnet_misfit(source: str, family: str, own: Config, unet: Config) -> str | None:
    """Why a ControlNet, of a family and with its own configuration, does not fit a denoiser; None where it does."""
    given = family_of(unet)
    if family != given:
        return other_family("ControlNet", source, family, given)
    for name, what in (("cross_attention_dim", "text states"), ("block_out_channels", "levels")):
        if (mine := _plain(own, name)) != (wanted := _plain(unet, name)):
            return f"the ControlNet {source!r} has {what} of {mine} and the model {wanted}: it is for another model"
    return None


def adapter_misfit(source: str, family: str, channels: Sequence[int], unet: Config) -> str | None:
    """Why a T2I-Adapter does not fit a denoiser. channels: of its features; empty where they are not known yet."""
    given = family_of(unet)
    if (family == "sdxl") != (given == "sdxl"):
        return other_family("T2I-Adapter", source, family, given)
    wanted, features = _plain(unet, "block_out_channels"), list(channels)
    # Those for SDXL, and light ones, may have one more than the model has levels: it is for the middle.
    count = len(wanted)
    if channels and (features[:count] != wanted or len(features) > count + 1):
        return (
            f"the T2I-Adapter {source!r} has features of {features} channels and the model levels of {wanted}: "
            "it is for another model"
        )
    return None


def adapter_channels(own: Config) -> list[int]:
    """The channels of the features of a T2I-Adapter with this configuration."""
    channels = list(own.get("channels") or _DEFAULTS["block_out_channels"])
    # Light ones make their last feature twice as coarse once more.
    return [*channels, channels[-1]] if own.get("adapter_type") == "light_adapter" else channels


def image_adapter_misfit(source: str, sites: int, width: int, count: int, unet: Config) -> str | None:
    """Why an IP-Adapter, with keys for so many layers of such a width, does not fit a denoiser of `count` layers."""
    wanted = _plain(unet, "cross_attention_dim")
    if (sites, width) == (count, wanted):
        return None
    return other_layers(source, sites, width, count, unet)


def other_layers(source: str, sites: int, width: int, count: int, unet: Config) -> str:
    """The message for an IP-Adapter at another model."""
    from weft.nodes.nets.image_prompt import WIDTHS

    name = FAMILIES.get(WIDTHS.get(width, ""), "another model")
    return (
        f"the IP-Adapter {source!r} is for {name} ({sites} cross-attention layers, tokens {width} wide) and the model "
        f"is {FAMILIES[family_of(unet)]} ({count} layers, {_plain(unet, 'cross_attention_dim')} wide): use one for that"
    )


def _plain(config: Config, name: str) -> Any:
    item = config.get(name)
    item = _DEFAULTS[name] if item is None else item
    return list(item) if isinstance(item, (list, tuple)) else item
