"""Which models the loaders can load: bundled ones, and those in model folders. Reads headers and JSON; no torch."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from weft.engine.declaring.model_list import ModelEntry
from weft.nodes.models import bundled, ldm, sources
from weft.nodes.models.description import CLASSES, TINY, Description, read_json
from weft.nodes.models.errors import ModelError
from weft.nodes.models.folder import PICKLE_REASON, PICKLES, component_tensors, weight_files
from weft.nodes.models.headers import Header, TensorInfo, read_header
from weft.nodes.models.locate import Located, describe
from weft.nodes.models.single import describe_file
from weft.nodes.models.vae import describe_vae
from weft.nodes.nets.files import describe_adapter, describe_controlnet, family_of
from weft.nodes.nets.image_prompt import WIDTHS, describe_image_adapter, describe_image_encoder
from weft.nodes.nets.upscalers import describe_upscaler, is_upscaler
from weft.nodes.weights import embeddings, lora

Identity = tuple[str, str, int]
"""Kind, family and bytes."""

KINDS = {
    "model": bundled.MODELS,
    "controlnet": bundled.CONTROLNETS,
    "t2i_adapter": bundled.ADAPTERS,
    "ip_adapter": bundled.IMAGE_PROMPTS,
    "image_encoder": bundled.IMAGE_ENCODERS,
    "lora": bundled.LORAS,
    "embedding": bundled.WORDS,
    "custom_diffusion": bundled.CUSTOM,
}
_TEXT_KEYS = re.compile(r".*attn2[._].*to_[kv][._].*(?:down|lora_A)\b.*")


def entries(folders: Sequence[Path]) -> Iterator[ModelEntry]:
    """The bundled models, then what lies in the model folders; what cannot be loaded is listed with its fault."""
    for kind, places in KINDS.items():
        for name, place in places.items():
            yield _entry(name, bundled.home() / place, kind, shipped=True)
    hidden: dict[str, Path] = {}
    for name, path in sources.names_in(folders):
        entry = _entry(name, path, "")
        if name in hidden:
            fault = f"its name is that of {hidden[name]}, which is found first"
            entry = _with_fault(entry, fault)
        hidden.setdefault(name, path)
        root = next(folder for folder in folders if folder in path.parents)
        if not _within(path, root):
            entry = _with_fault(entry, f"it is a link that leads out of the model folder {root}: it is not read")
        yield entry


def _entry(name: str, path: Path, kind: str, shipped: bool = False) -> ModelEntry:
    try:
        if shipped:
            bundled.shipped(name, path.relative_to(bundled.home()).as_posix(), kind.replace("_", " "))
        told, family, size = look(path)
        return ModelEntry(name, kind or told, path, family, size, shipped)
    except (ModelError, OSError, RecursionError) as error:
        return ModelEntry(name, kind or _likely(path), path, "", _size([path]), shipped, _line(error))
    except Exception as error:  # a header or a configuration may hold anything, and must not end the list
        fault = f"it is not what it seems to be: {type(error).__name__}: {_line(error)}"
        return ModelEntry(name, kind or _likely(path), path, "", _size([path]), shipped, fault)


def _with_fault(entry: ModelEntry, fault: str) -> ModelEntry:
    return ModelEntry(entry.name, entry.kind, entry.path, entry.family, entry.bytes, entry.bundled, fault)


def _within(path: Path, root: Path) -> bool:
    try:
        return root.resolve() in path.resolve().parents
    except (OSError, RuntimeError):
        return False


def look(path: Path) -> Identity:
    """Kind, family and bytes of a file or folder.

    Raises:
        ModelError: it is nothing that a loader loads.
    """
    if path.is_dir():
        return _folder(path)
    if path.name.lower().endswith(PICKLES):
        raise ModelError(f"it is not read: {PICKLE_REASON}")
    return _file(path)


def _file(path: Path) -> Identity:
    header = read_header(path)
    names = header.tensors

    def has(*pieces: str) -> bool:
        return any(piece in name for name in names for piece in pieces)

    size = _size([path])
    if has(ldm.UNET + "input_blocks."):
        return "model", describe_file(path).family, size
    if has("controlnet_cond_embedding.", "input_hint_block."):
        return "controlnet", describe_controlnet(path).family, size
    if has("image_proj.", "ip_adapter."):
        return "ip_adapter", _adapter_family(describe_image_adapter(path)), size
    if has("_custom_diffusion."):
        return "custom_diffusion", _by_width(item.shape for item in names.values()), size
    if has("lora"):
        lora.roles(path, header)
        return "lora", _lora_family(names), size
    if is_upscaler(names):
        describe_upscaler(path)
        return "upscaler", "", size
    if _is_embedding(path, header):
        return "embedding", _embedding_family(path, header), size
    if "down_blocks.0.resnets.0.conv1.weight" in names and "conv_in.weight" in names:
        return "unet", "", size
    if {"encoder.conv_in.weight", "decoder.conv_in.weight"} <= names.keys():
        describe_vae(path, {})
        return "vae", "", size
    describe_file(path)  # it knows many other kinds by name, and raises
    raise ModelError(f"{path} is of no kind that is known")


def _is_embedding(path: Path, header: Header) -> bool:
    try:
        return bool(embeddings.words(path, header))
    except ModelError:
        return False


def _embedding_family(path: Path, header: Header) -> str:
    (word, *_) = embeddings.words(path, header)
    if "any" not in word.tensors:
        return "sdxl"
    return WIDTHS.get(word.shapes["any"][1], "")


def _adapter_family(description: Description) -> str:
    return WIDTHS.get(description.weights["ip_adapter"].config["width"], "")


def _lora_family(tensors: Mapping[str, TensorInfo]) -> str:
    """By the width of the text states that the adapter's cross-attention reads."""
    if any(name.startswith(("lora_te2_", "text_encoder_2.")) for name in tensors):
        return "sdxl"
    return _by_width(info.shape for name, info in tensors.items() if _TEXT_KEYS.fullmatch(name))


def _by_width(shapes: Iterator[tuple[int, ...]]) -> str:
    """The family whose text states have the width that keys and values of these shapes read."""
    return next((WIDTHS[shape[1]] for shape in shapes if len(shape) == 2 and shape[1] in WIDTHS), "")


def _folder(path: Path) -> Identity:
    if (path / "model_index.json").is_file() or (path / "unet" / "config.json").is_file():
        if not (path / "model_index.json").is_file() and bundled.shared_with(path) is None:
            return _trained(path)
        return _told("model", describe(Located(path)))
    for kind in (sources.LORA, sources.EMBEDDING, sources.CUSTOM_DIFFUSION):
        if any((path / name).is_file() for name in kind.inside):
            return _file(sources.weights_in(path, kind))
    if (path / "adapter_config.json").is_file():
        return _file(sources.weights_in(path, sources.LORA))
    config = read_json(path / "config.json")
    told = _FOLDERS.get(str(config.get("_class_name", "")))
    if told is not None:
        return _told(told[0], told[1](path))
    if config.get("_class_name") in (CLASSES["vae"], TINY):
        return "vae", "", _size(describe_vae(path, {}).files)
    if config.get("_class_name") == "UNet2DConditionModel":
        tensors = component_tensors(path, "unet")
        return "unet", family_of(config), _size(sorted({info.file for info in tensors.values()}))
    if str(config.get("model_type", "")).startswith("clip_vision"):
        return _told("image_encoder", describe_image_encoder(path))
    if (path / "preprocessor_config.json").is_file():
        return "hint", "", _size(weight_files(path, "model"))
    what = config.get("_class_name") or config.get("model_type") or "nothing that is known"
    raise ModelError(f"{path} holds no model of a kind that is known: its config.json describes {what}")


_FOLDERS: dict[str, tuple[str, Callable[[Path], Description]]] = {
    "ControlNetModel": ("controlnet", describe_controlnet),
    "T2IAdapter": ("t2i_adapter", describe_adapter),
}


def _trained(path: Path) -> Identity:
    """A folder of trained parts, which goes over a base."""
    names = [name for name in ("unet", "text_encoder", "text_encoder_2") if (path / name).is_dir()]
    files = {info.file for name in names for info in component_tensors(path / name, name).values()}
    return "unet", family_of(read_json(path / "unet" / "config.json")), _size(sorted(files))


def _told(kind: str, description: Description) -> Identity:
    return kind, description.family if kind != "image_encoder" else "", _size(description.files)


def _likely(path: Path) -> str:
    """The kind that something unsound was probably meant to be, by how a folder is laid out; "" for files."""
    if (path / "model_index.json").is_file():
        return "model"
    for kind, source in (("lora", sources.LORA), ("embedding", sources.EMBEDDING)):
        if any((path / name).is_file() for name in source.inside):
            return kind
    return ""


def _size(files: Sequence[Path]) -> int:
    """Bytes of some files; of a folder nothing."""
    total = 0
    for path in files:
        try:
            total += path.stat().st_size if path.is_file() else 0
        except OSError:
            continue
    return total


def _line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:400]
