"""VAEs by themselves: what their files are, and whether one fits a model. Light: no torch."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from weft.nodes.models import ldm
from weft.nodes.models.bundled import shared_with
from weft.nodes.models.description import CLASSES, TINY, Description, Weights, read_json
from weft.nodes.models.errors import ModelError
from weft.nodes.models.folder import component_tensors, weight_files
from weft.nodes.models.headers import TensorInfo, read_header
from weft.nodes.models.single import vae_config
from weft.nodes.models.sources import VAE, weights_in

SETTINGS = ("scaling_factor", "shift_factor", "latents_mean", "latents_std")
"""How a denoiser's latents are made of a VAE's. A file without a configuration does not say it."""
_SCALING = 0.18215
"""What a configuration that does not say means, in diffusers."""
_KINDS = (CLASSES["vae"], TINY)
_DIFFUSERS = "encoder.down_blocks.0.resnets.0.conv1.weight"
"""A tensor by which diffusers' names are told."""


def describe_vae(path: Path, settings: Mapping[str, Any]) -> Description:
    """What a VAE is: a diffusers folder, a model's folder that holds one, or a single file.

    A single file has the original names, by themselves or within a checkpoint, or those of diffusers.

    Args:
        settings: those of `SETTINGS` that hold where there is no configuration: of the model that it is for.

    Raises:
        ModelError: it is none, unsound, or of a kind that is not supported.
    """
    if path.is_dir():
        folder = _folder(path)
        if folder is not None:
            return _described(folder, *_of_folder(folder))
        path = weights_in(path, VAE)
    tensors = read_header(path).tensors
    config = {**_of_names(path, tensors), **settings}
    weights = Weights(config, tensors, "diffusers" if _DIFFUSERS in tensors else "ldm")
    return _described(path, weights, [path])


def says_settings(path: Path) -> bool:
    """Whether a VAE's files have a configuration, which settings of a model are not for."""
    return path.is_dir() and _folder(path) is not None


def vae_misfit(source: str, vae: Description, channels: int, scale: int) -> str | None:
    """Why a VAE does not fit a model whose latents have so many channels, each for so many pixels; None if it does."""
    if vae.latent_channels != channels:
        return (
            f"the VAE {source!r} makes latents of {vae.latent_channels} channels and the model's have {channels}: "
            "it is for another model"
        )
    if vae.scale_factor != scale:
        return (
            f"the VAE {source!r} makes one latent pixel of {vae.scale_factor} x {vae.scale_factor} pixels and the "
            f"model's stands for {scale} x {scale}: it is for another model"
        )
    return None


def _described(path: Path, weights: Weights, files: list[Path]) -> Description:
    return Description(path, "sd1", "epsilon", {"vae": weights}, {}, {}, 0, files)


def _folder(path: Path) -> Path | None:
    """The VAE's own folder: the one given, or the one of a model's folder; None where neither has a configuration."""
    homes = [path, path / "vae"]
    if (base := shared_with(path)) is not None:
        homes.append(base / "vae")
    return next((home for home in homes if (home / "config.json").is_file()), None)


def _of_folder(folder: Path) -> tuple[Weights, list[Path]]:
    config = read_json(folder / "config.json")
    kind = str(config.get("_class_name", _KINDS[0]))
    if kind not in _KINDS:
        raise ModelError(
            f"{folder} is no VAE that is supported: its config.json describes a {kind}, not an {_KINDS[0]}"
        )
    for name in ("in_channels", "out_channels"):
        if config.get(name, 3) != 3:
            raise ModelError(f"the VAE in {folder} is none for pictures: {name} is {config[name]!r}, not 3")
    if kind == TINY:
        # Diffusers' default, which the file may leave away; the other class has another one.
        config = {"scaling_factor": 1.0, "force_upcast": False, **config}
        config.setdefault("block_out_channels", config.get("encoder_block_out_channels", [64] * 4))
    else:
        config.setdefault("scaling_factor", _SCALING)
    types: dict[str, Any] = {"block_out_channels": list, "latent_channels": int, "scaling_factor": (int, float)}
    for name, wanted in types.items():
        if name in config and not (isinstance(config[name], wanted) and config[name]):
            raise ModelError(f"the configuration in {folder} is wrong: {name} is {str(config[name])[:100]!r}")
    files = [folder / "config.json", *weight_files(folder, "diffusion_pytorch_model")]
    return Weights(config, component_tensors(folder, "vae")), files


def _of_names(path: Path, tensors: dict[str, TensorInfo]) -> dict[str, Any]:
    """A configuration read off the names and shapes of a single file."""
    if any(re.search(r"(en|de)coder\.(down|up)\.\d+\.attn\.", name) for name in tensors):
        raise ModelError(f"{path} holds a VAE with attention outside its middle, which is not supported")
    if any(name.startswith(ldm.VAE) for name in tensors):
        return vae_config(path, tensors, _SCALING)
    if "encoder.conv_in.weight" not in tensors or "decoder.conv_in.weight" not in tensors:
        first = ", ".join(list(tensors)[:3]) or "nothing"
        raise ModelError(
            f"{path} is no VAE: encoder.conv_in.weight and decoder.conv_in.weight are not in it, by themselves or "
            f"behind {ldm.VAE}; it holds {first}"
        )
    if "post_quant_conv.weight" not in tensors:
        channels = (*tensors["decoder.conv_in.weight"].shape, 0, 0)[1]
        raise ModelError(
            f"{path} is a VAE of another kind: it has latents of {channels} channels and no post_quant_conv.weight"
        )
    if _DIFFUSERS not in tensors:
        return vae_config(path, tensors, _SCALING, "")
    # With diffusers' names, the rest is read as from the original ones.
    places = {}
    for name, info in tensors.items():
        if found := re.match(r"encoder\.down_blocks\.(\d+)\.resnets\.(\d+)\.conv2\.weight", name):
            places[f"encoder.down.{found[1]}.block.{found[2]}.conv2.weight"] = info
    return vae_config(path, {**places, "post_quant_conv.weight": tensors["post_quant_conv.weight"]}, _SCALING, "")
