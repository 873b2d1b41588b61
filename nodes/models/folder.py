"""Understanding a diffusers model folder from its JSON files and the headers of its weights."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

from weft.nodes.models.description import CLASSES, REQUIRED, SUPPORTED, Description, Weights, prediction_of, read_json
from weft.nodes.models.errors import ModelError
from weft.nodes.models.families import Family
from weft.nodes.models.headers import TensorInfo, read_header

PICKLES = (".bin", ".ckpt", ".pt", ".pth", ".pkl")
PICKLE_REASON = (
    "such files are pickles, which can run any code when they are opened, so they are not read. "
    "Get the .safetensors version, or convert it on a machine that you do not mind losing."
)
# Pipeline classes of models that look near but are not, by how their names begin.
_OTHERS = {
    "StableDiffusion3": "Stable Diffusion 3",
    "Flux": "Flux",
    "StableCascade": "Stable Cascade",
    "Wuerstchen": "Wuerstchen",
    "PixArt": "PixArt",
    "Kandinsky": "Kandinsky",
    "HunyuanDiT": "HunyuanDiT",
    "AuraFlow": "AuraFlow",
    "Lumina": "Lumina",
    "QwenImage": "Qwen-Image",
    "Sana": "Sana",
    "IF": "DeepFloyd IF",
    "StableVideo": "Stable Video Diffusion",
    "StableUnCLIP": "Stable unCLIP",
    "StableDiffusionUpscale": "the Stable Diffusion upscaler",
    "StableDiffusionLatentUpscale": "the Stable Diffusion latent upscaler",
    "AltDiffusion": "AltDiffusion",
    "LDMTextToImage": "latent diffusion with a BERT encoder",
    "AudioLDM": "AudioLDM",
}


def describe_folder(folder: Path, prediction: str = "auto", base: Path | None = None) -> Description:
    """What a model folder is.

    Args:
        folder: holds model_index.json and a folder per component.
        prediction: ``epsilon`` or ``v_prediction`` where the scheduler's configuration is wrong.
        base: another model's folder, which has what this one lacks.

    Raises:
        ModelError: it is no model, incomplete, unsound, or something other than a supported model.
    """

    def at(name: str) -> Path:
        return folder / name if base is None or (folder / name).exists() else base / name

    index = read_json(at("model_index.json")) if at("model_index.json").exists() else {}
    _refuse_other(folder, index)
    unet_config = read_json(at("unet") / "config.json")
    family = _family(folder, index, unet_config)
    missing = [name for name in (*REQUIRED[family], "scheduler") if not at(name).is_dir()]
    if missing:
        raise ModelError(f"{folder} is an incomplete {family} model: it lacks the folder {', '.join(missing)}")
    configs = {"unet": unet_config}
    for name in REQUIRED[family]:
        if name in CLASSES and name != "unet":
            configs[name] = read_json(at(name) / "config.json")
    for name, config in configs.items():
        _check_class(folder, name, config)
    scheduler = read_json(at("scheduler") / "scheduler_config.json")
    said = scheduler.get("prediction_type", "epsilon") if prediction == "auto" else prediction
    predicts = prediction_of(said, folder)
    weights = {name: Weights(config, _tensors(at(name), _base(name))) for name, config in configs.items()}
    tokenizers = {name: at(name) for name in REQUIRED[family] if name.startswith("tokenizer")}
    files = [at("model_index.json")] if index else []
    files += [at(name) / "config.json" for name in configs]
    files += [at("scheduler") / "scheduler_config.json"]
    for name in weights:
        files += weight_files(at(name), _base(name))
    for path in tokenizers.values():
        files += _tokenizer_files(path)
    sample = unet_config.get("sample_size") or 64
    side = int(sample[0] if isinstance(sample, list) else sample)
    levels = len(configs["vae"].get("block_out_channels", (1,) * 4))
    return Description(
        location=folder,
        family=family,
        prediction=predicts,
        weights=weights,
        tokenizers=dict(tokenizers),
        scheduler={**scheduler, "prediction_type": predicts},
        size=side * 2 ** (levels - 1),
        files=files,
        zero_empty=family == "sdxl" and bool(index.get("force_zeros_for_empty_prompt", True)),
    )


def _refuse_other(folder: Path, index: dict[str, Any]) -> None:
    name = str(index.get("_class_name", ""))
    for start, what in _OTHERS.items():
        if name.startswith(start):
            raise ModelError(f"{folder} is a model of another kind: {what} ({name}). {SUPPORTED}")
    if (folder / "unet" / "config.json").exists():
        return
    if (folder / "transformer").is_dir() or "transformer" in index:
        raise ModelError(
            f"{folder} is a model of another kind: a transformer ({name or 'no class named'}). {SUPPORTED}"
        )
    if index:
        what = "the folder unet" if not (folder / "unet").is_dir() else "unet/config.json"
        raise ModelError(f"{folder} is an incomplete {name or 'model'}: it lacks {what}")
    single = sorted(folder.glob("*.safetensors"))
    hint = f" It holds {single[0].name}: give that file itself." if single else ""
    raise ModelError(f"{folder} is no model folder: model_index.json and unet/config.json are missing.{hint}")


def _family(folder: Path, index: dict[str, Any], unet: dict[str, Any]) -> Family:
    kind = unet.get("_class_name", CLASSES["unet"])
    if kind != CLASSES["unet"]:
        raise ModelError(f"the denoiser of {folder} is a {kind}. {SUPPORTED}")
    added = unet.get("addition_embed_type")
    if added == "text_time":
        if not (folder / "text_encoder").is_dir() and (folder / "text_encoder_2").is_dir():
            raise ModelError(f"{folder} is an SDXL refiner. {SUPPORTED}")
        if index.get("requires_aesthetics_score"):
            raise ModelError(f"{folder} is an SDXL refiner (it wants an aesthetics score). {SUPPORTED}")
        return "sdxl"
    odd = [key for key in ("addition_embed_type", "class_embed_type", "num_class_embeds") if unet.get(key) is not None]
    if odd:
        raise ModelError(f"the denoiser of {folder} wants more than text ({odd[0]} = {unet[odd[0]]!r}). {SUPPORTED}")
    return "sd2" if unet.get("use_linear_projection") else "sd1"


def _check_class(folder: Path, component: str, config: dict[str, Any]) -> None:
    if component.startswith("text_encoder"):
        kind = str(config.get("model_type", "clip_text_model"))
        if not kind.startswith("clip"):
            raise ModelError(f"the {component} of {folder} is a {kind} model, not CLIP. {SUPPORTED}")
        return
    kind = str(config.get("_class_name", CLASSES[component]))
    if kind != CLASSES[component]:
        raise ModelError(f"the {component} of {folder} is a {kind}, not a {CLASSES[component]}. {SUPPORTED}")


def _base(component: str) -> str:
    return "model" if component.startswith("text_encoder") else "diffusion_pytorch_model"


def weight_choice(names: Collection[str], base: str) -> str | None:
    """The file to read among a component folder's ``names``: the plain one, in one or many; float16 if it is alone."""
    order = (
        f"{base}.safetensors",
        f"{base}.safetensors.index.json",
        f"{base}.fp16.safetensors",
        f"{base}.safetensors.index.fp16.json",
    )
    return next((name for name in order if name in names), None)


def weight_files(folder: Path, base: str) -> list[Path]:
    """The files to read of a component's folder, an index before the parts that it names.

    Raises:
        ModelError: there is no safetensors file, or a part is missing.
    """
    names = {path.name for path in folder.iterdir()}
    chosen = weight_choice(names, base)
    if chosen is None:
        pickles = sorted(name for name in names if name.endswith(PICKLES))
        if pickles:
            raise ModelError(f"{folder} holds {pickles[0]} and no safetensors file: {PICKLE_REASON}")
        raise ModelError(f"{folder / (base + '.safetensors')} is missing")
    if chosen.endswith(".safetensors"):
        return [folder / chosen]
    table = read_json(folder / chosen).get("weight_map")
    shards = sorted(set(table.values())) if isinstance(table, dict) and all(map(_plain, table.values())) else []
    if not shards:
        raise ModelError(f"{folder / chosen} names no files in its weight_map")
    lost = [name for name in shards if name not in names]
    if lost:
        raise ModelError(f"{folder} lacks {', '.join(lost[:3])}, which {chosen} names")
    return [folder / chosen, *(folder / name for name in shards)]


def _plain(name: object) -> bool:
    """An index must not lead out of its folder."""
    return isinstance(name, str) and name.endswith(".safetensors") and "/" not in name and "\\" not in name


def _tensors(folder: Path, base: str) -> dict[str, TensorInfo]:
    found: dict[str, TensorInfo] = {}
    for path in weight_files(folder, base):
        if path.suffix == ".safetensors":
            found |= read_header(path).tensors
    return found


def component_tensors(folder: Path, component: str) -> dict[str, TensorInfo]:
    """All tensors of one component's folder, read from headers.

    Raises:
        ModelError: it holds none that are read, or they are unsound.
    """
    if not folder.is_dir():
        raise ModelError(f"{folder} is not there")
    return _tensors(folder, _base(component))


def _tokenizer_files(folder: Path) -> list[Path]:
    """Files that make a tokenizer: tokenizer.json, or vocab.json and merges.txt; and its settings where there are."""
    names = ("tokenizer.json", "vocab.json", "merges.txt")
    there = [folder / name for name in names if (folder / name).exists()]
    if folder / "tokenizer.json" not in there and len(there) < 2:
        raise ModelError(f"{folder} is no tokenizer: it needs tokenizer.json, or vocab.json and merges.txt")
    extra = ("tokenizer_config.json", "special_tokens_map.json", "added_tokens.json")
    return there + [folder / name for name in extra if (folder / name).exists()]
