"""From a description to live modules.

A module is built on torch's meta device, which allocates and initialises nothing, compared with the headers of its
files, and only then filled.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

import torch

from weft.nodes.lazy import IMPORTING
from weft.nodes.models import ldm
from weft.nodes.models.description import CLASSES, TINY, Description, Weights
from weft.nodes.models.errors import ModelError
from weft.nodes.models.headers import TensorInfo
from weft.nodes.models.ldm import Stored

# Names that diffusers' VAEs had before 2023; published SD 1.x folders still have them.
_OLD_VAE_ATTENTION = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
# Settings of how a configuration was saved, not of the module; "dtype" would change torch's global default.
NOT_OURS = ("dtype", "torch_dtype", "architectures", "transformers_version", "_name_or_path")


def build_shell(description: Description, component: str) -> torch.nn.Module:
    """The component's module without memory behind its parameters.

    Raises:
        ModelError: its configuration makes no sense.
    """
    with IMPORTING:
        import transformers
        from diffusers import AutoencoderKL, AutoencoderTiny, UNet2DConditionModel
        from transformers import CLIPTextConfig

        kind: Any = getattr(transformers, CLASSES[component], None)
    config = description.weights[component].config
    try:
        with torch.device("meta"):
            if component == "unet":
                return UNet2DConditionModel.from_config(config)
            if component == "vae":
                if config.get("_class_name") == TINY:
                    # It writes this into its configuration, and warns of it when it reads that.
                    own = {name: item for name, item in config.items() if name != "block_out_channels"}
                    return AutoencoderTiny.from_config(own)
                return AutoencoderKL.from_config(config)
            settings = {name: item for name, item in config.items() if name not in NOT_OURS}
            return kind(CLIPTextConfig.from_dict(settings))
    except (ValueError, TypeError, KeyError, IndexError, RuntimeError, AssertionError) as error:
        raise ModelError(f"the configuration of the {component} of {description.location} is wrong: {error}") from error


def match(description: Description, component: str, shell: torch.nn.Module) -> dict[str, tuple[Stored, TensorInfo]]:
    """Where each parameter of ``shell`` lies.

    Raises:
        ModelError: some are missing, or have another shape than the configuration says; the first are named.
    """
    weights = description.weights[component]
    found: dict[str, tuple[Stored, TensorInfo]] = {}
    missing: list[str] = []
    wrong: list[str] = []
    for name, parameter in shell.state_dict().items():
        places = _places(description, component, name)
        stored = next((place for place in places if place.name in weights.tensors), None)
        if stored is None:
            missing.append(places[0].name)
            continue
        info = weights.tensors[stored.name]
        if not _fits(info.shape, tuple(parameter.shape), stored):
            wrong.append(f"{stored.name} is {list(info.shape)} where {list(parameter.shape)} is right")
        found[name] = (stored, info)
    where = _where(description, weights)
    if missing:
        total = len(missing) + len(found)
        raise ModelError(
            f"{where} does not hold the {component} that is described: {len(missing)} of {total} tensors are missing, "
            f"first {', '.join(missing[:3])}"
        )
    if wrong:
        raise ModelError(f"{where} does not fit the configuration of the {component}: {'; '.join(wrong[:3])}")
    return found


def elements(shell: torch.nn.Module) -> int:
    """Numbers that the module holds."""
    return sum(tensor.numel() for tensor in shell.state_dict().values())


def verify(description: Description) -> None:
    """Compare every component with its files, reading headers only.

    Raises:
        ModelError: see ``build_shell`` and ``match``.
    """
    for component in description.weights:
        match(description, component, build_shell(description, component))


def load(
    description: Description,
    component: str,
    dtype: torch.dtype,
    device: torch.device,
    shell: torch.nn.Module | None = None,
) -> torch.nn.Module:
    """A component with its weights, in eval mode, without gradients.

    Args:
        shell: what ``build_shell`` gave, to be filled; None builds one.

    Raises:
        ModelError: the files do not hold it.
    """
    shell = build_shell(description, component) if shell is None else shell
    places = match(description, component, shell)
    by_file: dict[Path, list[str]] = defaultdict(list)
    for name, (_, info) in places.items():
        by_file[info.file].append(name)
    shapes = {name: parameter.shape for name, parameter in shell.state_dict().items()}
    state: dict[str, torch.Tensor] = {}
    for file, names in by_file.items():
        state |= _read(file, {name: places[name][0] for name in names}, shapes, dtype, device)
    shell.load_state_dict(state, assign=True, strict=True)
    _fill_buffers(shell, device)
    return shell.eval().requires_grad_(False)


def _read(
    file: Path,
    names: dict[str, Stored],
    shapes: dict[str, torch.Size],
    dtype: torch.dtype,
    device: torch.device,
) -> dict[str, torch.Tensor]:
    from safetensors import SafetensorError, safe_open

    state: dict[str, torch.Tensor] = {}
    try:
        with safe_open(file, framework="pt", device="cpu") as stored:
            for name, place in names.items():
                tensor = _tensor(stored, place)
                tensor = (tensor.T if place.transposed else tensor).reshape(shapes[name])
                # A copy also where nothing changes: the file's memory map must not live on in the module.
                state[name] = tensor.to(device=device, dtype=dtype, copy=True, memory_format=torch.contiguous_format)
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{file} cannot be read: {error}") from error
    return state


def _tensor(file: Any, place: Stored) -> torch.Tensor:
    if place.third is None:
        return file.get_tensor(place.name)
    rows = file.get_slice(place.name)
    size = rows.get_shape()[0] // 3
    return rows[place.third * size : (place.third + 1) * size]


def _places(description: Description, component: str, name: str) -> list[Stored]:
    weights = description.weights[component]
    if weights.layout == "ldm":
        return ldm.stored_names(component, description.family, name, weights.config)
    if component.startswith("text_encoder"):
        bare = name.removeprefix("text_model.")
        return [Stored(name), Stored(bare if bare != name else f"text_model.{name}")]
    if component == "vae" and ".attentions." in name:
        head, _, kind = name.rpartition(".")
        for new, old in _OLD_VAE_ATTENTION.items():
            if head.endswith(new):
                return [Stored(name), Stored(f"{head.removesuffix(new)}{old}.{kind}")]
    return [Stored(name)]


def _fits(stored: tuple[int, ...], wanted: tuple[int, ...], place: Stored) -> bool:
    if place.third is not None:
        stored = (stored[0] // 3, *stored[1:]) if stored and stored[0] % 3 == 0 else stored
    if place.transposed:
        stored = stored[::-1]
    # A linear projection may be stored as a 1 x 1 convolution, and the other way round.
    return _trim(stored) == _trim(wanted)


def _trim(shape: tuple[int, ...]) -> tuple[int, ...]:
    return shape[:2] if len(shape) == 4 and shape[2:] == (1, 1) else shape


def _where(description: Description, weights: Weights) -> str:
    files = weights.files
    return str(files[0] if files else description.location)


def _fill_buffers(module: torch.nn.Module, device: torch.device) -> None:
    """Buffers that no file holds. CLIP's position ids are the only ones in these models."""
    for name, buffer in list(module.named_buffers()):
        if not buffer.is_meta:
            continue
        if not name.endswith("position_ids"):
            raise ModelError(f"{type(module).__name__} has the buffer {name}, which is not known here")
        owner = module.get_submodule(name.rpartition(".")[0])
        ids = torch.arange(buffer.shape[-1], device=device).expand(buffer.shape)
        owner.register_buffer("position_ids", ids, persistent=False)
