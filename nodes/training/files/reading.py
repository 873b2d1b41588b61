"""Adapters from files, in every layout that they are saved in. Nothing but safetensors and JSON is read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast, get_args

from torch import Tensor

from weft.nodes.models.description import read_json
from weft.nodes.models.errors import ModelError
from weft.nodes.models.folder import PICKLE_REASON, PICKLES, component_tensors
from weft.nodes.models.headers import Header
from weft.nodes.training.files import loras
from weft.nodes.training.files.layouts import CUSTOM, OWN
from weft.nodes.values.model import Model
from weft.nodes.values.training import Adapter, AdapterKind
from weft.nodes.weights import embeddings
from weft.nodes.weights.files import content, header_of, read_tensors

_CLASSES: Mapping[str, AdapterKind] = {"ControlNetModel": "controlnet", "T2IAdapter": "t2i_adapter"}


def read_adapter(path: Path, model: Model, kind: str = "auto") -> Adapter:
    """The adapter in a file or folder.

    Args:
        model: one that it fits: names of a LoRA's layers become this model's, as many layouts do not say them.
        kind: what it has to be; ``auto`` takes what it is.

    Raises:
        ModelError: it is none, of another kind, or does not fit.
    """
    actual = kind_of(path)
    if kind not in ("auto", actual):
        raise ModelError(f"{path} is of the kind {actual}, and {kind} is asked for")
    if actual == "lora":
        return _lora(path, model)
    if actual == "embedding":
        return _words(path, model)
    if actual == "custom_diffusion":
        return _custom(path, model)
    if actual in ("weights", "unet_delta"):
        return _components(path, actual, model)
    if actual == "ip_adapter":
        tensors = _tensors(path)
        return Adapter.of("ip_adapter", tensors, {"config": {}}, *_origin(header_of(path), model))
    config = read_json(path / "config.json")
    # Of several variants in a folder one is read, as diffusers does; their files are named as a denoiser's are.
    files = sorted({info.file for info in component_tensors(path, "unet").values()})
    tensors = {f"net.{name}": item for file in files for name, item in _tensors(file).items()}
    return Adapter.of(actual, tensors, {"config": config}, *_origin(header_of(files[0]), model))


def kind_of(path: Path) -> AdapterKind:
    """What lies in a file or folder, by names alone.

    Raises:
        ModelError: nothing that is known.
    """
    if path.is_dir():
        if (path / "config.json").is_file():
            name = str(read_json(path / "config.json").get("_class_name", ""))
            if name in _CLASSES:
                return _CLASSES[name]
        if any((folder / "adapter_config.json").is_file() for folder in (path, *_subfolders(path))):
            return "lora"
        if (path / "unet" / "config.json").is_file():
            return "unet_delta" if read_json(path / "unet" / "config.json").get("in_channels") == 8 else "weights"
        if any((folder / "config.json").is_file() for folder in _subfolders(path)):
            return "weights"
        if (path / CUSTOM).is_file():
            return "custom_diffusion"
        files = sorted(path.glob("*.safetensors"))
        if not files:
            pickles = sorted(file.name for file in path.iterdir() if file.name.lower().endswith(PICKLES))
            why = "no .safetensors file and no known configuration is in it"
            raise ModelError(f"{path} holds no adapter: {f'{pickles[0]}: {PICKLE_REASON}' if pickles else why}")
        return kind_of(files[0])
    header = header_of(path)
    kind = _saved_settings(header).get("kind")
    if kind in get_args(AdapterKind):
        return cast(AdapterKind, kind)
    names = list(header.tensors)
    if any(name.startswith("ip_adapter.") for name in names):
        return "ip_adapter"
    if any("_custom_diffusion." in name for name in names):
        return "custom_diffusion"
    if any(piece in name for name in names for piece in (".lora", "_lora", "hada_", "lokr_", "oft_")):
        return "lora"
    return "embedding"


def _subfolders(path: Path) -> list[Path]:
    return [path / name for name in ("unet", "text_encoder", "text_encoder_2")]


def _saved_settings(header: Header) -> dict[str, Any]:
    """What save_adapter wrote of the adapter."""
    try:
        settings = json.loads(header.metadata.get(OWN, "{}"))
    except (ValueError, RecursionError):
        return {}
    return settings if isinstance(settings, dict) else {}


def _origin(header: Header, model: Model) -> tuple[str, str]:
    """Base and family, from the file or of the model that it is read for."""
    settings = _saved_settings(header)
    base, family = settings.get("base"), settings.get("family")
    return (base if isinstance(base, str) else "", family if isinstance(family, str) else model.family)


def _tensors(file: Path) -> dict[str, Tensor]:
    header_of(file)
    stored = read_tensors(str(file), content(file))
    return {name: item.float() if item.is_floating_point() else item for name, item in stored.items()}


def _lora(path: Path, model: Model) -> Adapter:
    """By the model's own layers, with PEFT's configuration for what it is."""
    places = (
        [path] if path.is_file() else [f for f in (path, *_subfolders(path)) if (f / "adapter_config.json").is_file()]
    )
    if not places:
        places = sorted(path.glob("*.safetensors"))
    tensors: dict[str, Tensor] = {}
    peft: dict[str, Any] = {}
    origin: tuple[str, str] = ("", model.family)
    for place in places:
        file = place if place.is_file() else place / "adapter_model.safetensors"
        header = header_of(file)
        origin = _origin(header, model)
        stored, metadata = _tensors(file), header.metadata.get("lora_adapter_metadata", "{}")
        component = place.name if place in _subfolders(path) else ""
        if place.is_dir():
            settings = read_json(place / "adapter_config.json")
            metadata = json.dumps(settings)
            if component.startswith("text_encoder"):
                stored = {f"{component}.{n.removeprefix('base_model.model.')}": t for n, t in stored.items()}
        pieces = loras.pieces_in(file, Header(header.tensors, {"lora_adapter_metadata": metadata}), stored, model)
        for name in pieces.by_component:
            tensors |= loras.named(pieces, name, f"{name}.")
            peft[name] = loras.peft_config(pieces, name)
    whole: dict[str, Any] = next(iter(peft.values()), {})
    settings = {"peft": peft, "rank": whole.get("r", 0), "alpha": whole.get("lora_alpha", whole.get("alpha", 0))}
    return Adapter.of("lora", tensors, settings, *origin)


def _words(path: Path, model: Model) -> Adapter:
    files = [path] if path.is_file() else sorted(path.glob("*.safetensors"))
    tensors: dict[str, Tensor] = {}
    origin: tuple[str, str] = ("", model.family)
    parts = model.parts()
    encoders = [name for name in parts.components if name.startswith("text_encoder")]
    widths = {name: int(cast(Any, parts.shell(name)).config.hidden_size) for name in encoders}
    for file in files:
        header = header_of(file)
        origin, stored = _origin(header, model), _tensors(file)
        for word in embeddings.words(file, header):
            token = word.token or header.metadata.get("token") or file.stem
            for component, name in embeddings.place(file, word, widths).items():
                rows = stored[name]
                tensors[f"word.{token}.{component}"] = rows if rows.ndim == 2 else rows.reshape(1, -1)
    counts = {name.removeprefix("word.").rpartition(".")[0]: len(item) for name, item in tensors.items()}
    return Adapter.of("embedding", tensors, {"tokens": counts}, *origin)


def _custom(path: Path, model: Model) -> Adapter:
    from weft.nodes.techniques.load_custom_diffusion import target

    file = path if path.is_file() else path / CUSTOM
    tensors = {f"unet.{target(name)}": item for name, item in _tensors(file).items()}
    others = [] if path.is_file() else [other for other in sorted(path.glob("*.safetensors")) if other != file]
    counts: dict[str, int] = {}
    for other in others:
        words = _words(other, model)
        tensors |= words.tensors
        counts |= words.settings["tokens"]
    return Adapter.of("custom_diffusion", tensors, {"tokens": counts}, *_origin(header_of(file), model))


def _components(path: Path, kind: AdapterKind, model: Model) -> Adapter:
    tensors: dict[str, Tensor] = {}
    origin: tuple[str, str] = ("", model.family)
    for folder in _subfolders(path):
        if not folder.is_dir():
            continue
        for file in sorted({info.file for info in component_tensors(folder, folder.name).values()}):
            origin = _origin(header_of(file), model)
            tensors |= {f"{folder.name}.{name}": item for name, item in _tensors(file).items()}
    if not tensors:
        raise ModelError(f"{path} holds no weights: no folder unet, text_encoder or text_encoder_2 with them is in it")
    settings = {"unet_channels": 8} if kind == "unet_delta" else {}
    return Adapter.of(kind, tensors, settings, *origin)
