"""IP-Adapters: their files, and the module that they are."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from weft.nodes.lazy import IMPORTING
from weft.nodes.models.description import Description, Weights, read_json
from weft.nodes.models.errors import ModelError
from weft.nodes.models.folder import weight_files
from weft.nodes.models.headers import TensorInfo, read_header

if TYPE_CHECKING:
    from torch import Tensor

_KEYS = re.compile(r"ip_adapter\.(\d+)\.to_k_ip\.weight")
WIDTHS = {768: "sd1", 1024: "sd2", 2048: "sdxl"}


def describe_image_adapter(path: Path) -> Description:
    """What an IP-Adapter's file is: `image_proj.` and `ip_adapter.` tensors, as published.

    Its configuration tells kind (`plain`, `plus` or `full`), sites, width, and reads, the width of the image states.
    Raises ModelError for any other file.
    """
    if path.is_dir():
        single = sorted(file.name for file in path.glob("*.safetensors"))
        raise ModelError(
            f"{path} is a folder: give the IP-Adapter's file" + (f", such as {single[0]}" if single else "")
        )
    return image_adapter_of(path, read_header(path).tensors)


def image_adapter_of(path: Path, tensors: dict[str, TensorInfo]) -> Description:
    """The same of a file's tensors, or of those that a training gave; path: what messages call them."""
    numbers = sorted(int(match[1]) for name in tensors if (match := _KEYS.fullmatch(name)))
    kind, reads = _projection(path, tensors)
    if not numbers:
        raise ModelError(f"{path} is no IP-Adapter: ip_adapter.1.to_k_ip.weight is not in it; {_holds(tensors)}")
    # Odd: diffusers' processors are counted, of which every second one is self-attention.
    wanted = list(range(1, 2 * len(numbers), 2))
    lost = [
        name
        for number in wanted
        for name in (f"ip_adapter.{number}.to_k_ip.weight", f"ip_adapter.{number}.to_v_ip.weight")
        if name not in tensors
    ]
    if lost:
        raise ModelError(f"{path} lacks {len(lost)} tensors, first {', '.join(lost[:3])}")
    width = tensors["ip_adapter.1.to_k_ip.weight"].shape[1]
    config = {"kind": kind, "sites": len(numbers), "width": width, "reads": reads}
    return Description(path, "sd1", "epsilon", {"ip_adapter": Weights(config, tensors)}, {}, {}, 0, [path])


def _projection(path: Path, tensors: dict[str, TensorInfo]) -> tuple[str, int]:
    def side(name: str, number: int) -> int:
        shape = tensors[f"image_proj.{name}"].shape
        return shape[number] if len(shape) == 2 else 0

    names = {name.removeprefix("image_proj.") for name in tensors if name.startswith("image_proj.")}
    if any(name.startswith("perceiver_resampler.") for name in names) or {"norm.weight", "proj.0.weight"} <= names:
        raise ModelError(f"{path} is an IP-Adapter of the FaceID kind, which reads face embeddings: not supported")
    if "proj.weight" in names:
        return "plain", side("proj.weight", 1)
    if {"proj.0.weight", "proj.3.weight"} <= names:
        return "full", side("proj.0.weight", 0)
    if {"latents", "proj_in.weight", "proj_out.weight"} <= names:
        return "plus", side("proj_in.weight", 1)
    raise ModelError(f"{path} is no IP-Adapter: no image_proj. tensors of a known kind are in it; {_holds(tensors)}")


def _holds(tensors: dict[str, TensorInfo]) -> str:
    return f"it holds {', '.join(list(tensors)[:3]) or 'nothing'}"


def describe_image_encoder(path: Path) -> Description:
    """What an image encoder's folder is: CLIP's vision model with its projection, as transformers writes it.

    Raises ModelError for any other.
    """
    if not (path / "config.json").is_file():
        raise ModelError(
            f"{path / 'config.json'} is missing: an IP-Adapter needs its image encoder (config.json and "
            "model.safetensors), for instance models/image_encoder of h94/IP-Adapter"
        )
    config = read_json(path / "config.json")
    if not str(config.get("model_type", "clip_vision_model")).startswith("clip"):
        raise ModelError(f"{path} is no CLIP vision model but a {config['model_type']}")
    files = weight_files(path, "model")
    tensors: dict[str, TensorInfo] = {}
    for file in files:
        if file.suffix == ".safetensors":
            tensors |= read_header(file).tensors
    weights = {"image_encoder": Weights(config, tensors)}
    return Description(path, "sd1", "epsilon", weights, {}, {}, 0, [path / "config.json", *files])


def make_image_adapter(description: Description, tensors: Mapping[str, Tensor] | None = None) -> Any:
    """The module of an IP-Adapter, float32 on the CPU: `projection`, and `to_k` and `to_v` by site.

    tensors: in place of those of the file.

    Raises ModelError where its tensors do not make one.
    """
    import torch

    from weft.nodes.models.first_weights import own_random

    with IMPORTING:
        from diffusers.loaders.unet import UNet2DConditionLoadersMixin

    config = description.weights["ip_adapter"].config
    stored = _read(description.location) if tensors is None else tensors
    state = {name: item.to(torch.float32, copy=True) for name, item in stored.items()}
    image = {name.removeprefix("image_proj."): item for name, item in state.items() if name.startswith("image_proj.")}
    module = torch.nn.Module()
    try:
        # The conversion first makes a module with random weights, which are then replaced.
        with own_random():
            module.projection = UNet2DConditionLoadersMixin()._convert_ip_adapter_image_proj_to_diffusers(
                image, low_cpu_mem_usage=False
            )
    except (RuntimeError, KeyError, IndexError, ValueError) as error:
        text = str(error).strip().splitlines()[0][:300]
        raise ModelError(f"the image projection of {description.location} is not what it seems: {text}") from error
    for name in ("to_k", "to_v"):
        weights = [state[f"ip_adapter.{2 * i + 1}.{name}_ip.weight"] for i in range(config["sites"])]
        setattr(module, name, torch.nn.ParameterList(torch.nn.Parameter(w, requires_grad=False) for w in weights))
    return module


def _read(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            names = list(file.keys())
            return {name: file.get_tensor(name) for name in names if name.startswith(("image_proj.", "ip_adapter."))}
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{path} cannot be read: {error}") from error


def encode_pictures(encoder: Any, pixels: Any, kind: str) -> tuple[Any, Any]:
    """States of pictures (n, h, w, 3) in [0, 1] for a projection of this kind, and those that stand for none."""
    import torch

    with IMPORTING:
        import transformers

        # Without torchvision the first name gives the second class too, and warns in each process.
        pil = find_spec("torchvision") is None and hasattr(transformers, "CLIPImageProcessorPil")
        CLIPImageProcessor = transformers.CLIPImageProcessorPil if pil else transformers.CLIPImageProcessor

    size = int(encoder.config.image_size)
    processor = CLIPImageProcessor(size={"shortest_edge": size}, crop_size={"height": size, "width": size})
    whole = (pixels.clamp(0, 1) * 255).round().to(torch.uint8)
    parts = [processor(picture.numpy(), return_tensors="pt").pixel_values for picture in whole]
    values = torch.cat(parts).to(encoder.device, encoder.dtype)
    with torch.no_grad():
        if kind == "plain":
            states = encoder(values).image_embeds
            return states, torch.zeros_like(states)
        states = encoder(values, output_hidden_states=True).hidden_states[-2]
        return states, encoder(torch.zeros_like(values), output_hidden_states=True).hidden_states[-2]
