"""Weights that ship with Weft: their names, where they lie, and whether they are as they were made. Light: no torch."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path

from weft.nodes.models.errors import ModelError

MODEL = "shapes/model"
VARIANTS = {"shapes-depth": "shapes/variants/depth", "shapes-edit": "shapes/variants/edit"}
"""Models that are the bundled one with another denoiser: folders that hold `unet` alone."""
MODELS = {"shapes": MODEL, **VARIANTS}
CONTROLNETS = {"shapes-edges": "shapes/variants/edges"}
ADAPTERS = {"shapes-regions": "shapes/variants/regions"}
LORAS = {
    "shapes-heart": "shapes/variants/heart/pytorch_lora_weights.safetensors",
    "shapes-frame": "shapes/variants/frame/pytorch_lora_weights.safetensors",
}
WORDS = {
    "shapes-dome": "shapes/variants/dome/learned_embeds.safetensors",
    "shapes-house-word": "shapes/variants/house/house.safetensors",
}
CUSTOM = {"shapes-house": "shapes/variants/house/pytorch_custom_diffusion_weights.safetensors"}
IMAGE_PROMPTS = {"shapes-image": "shapes/variants/image/ip-adapter.safetensors"}
IMAGE_ENCODERS = {"shapes-clip": "shapes/variants/clip/image_encoder"}
FILES = {**LORAS, **WORDS, **CUSTOM}
MANIFEST = "shapes/variants/manifest.json"
"""By file below `shapes`: its content hash, and the command that makes it."""


def home() -> Path:
    """The folder that all places are relative to."""
    return Path(str(resources.files("weft.nodes")))


def checked(name: str, place: str, what: str) -> Path:
    """Where a bundled folder or file lies, once all files of it are compared with their checksums.

    what: for messages, such as "model".

    Raises:
        ModelError: one is missing or altered.
    """
    from weft.engine.filehash import content_hash

    wanted = place.removeprefix("shapes/")
    own = {file: told for file, told in _manifest().items() if file == wanted or file.startswith(f"{wanted}/")}
    for file, told in own.items():
        path = home() / "shapes" / file
        try:
            found = content_hash(path)
        except OSError:
            raise ModelError(
                f"the bundled {what} {name!r} is missing from this installation: {path} is not there. "
                f"{_again(file, told)}"
            ) from None
        if found != told["blake2b"]:
            raise ModelError(
                f"the bundled {what} {name!r} was altered: {path} has the checksum {found}, and {told['blake2b']} is "
                f"that of the file that ships with Weft. {_again(file, told)}"
            )
    path = home() / place
    if not own and not path.exists():
        raise ModelError(
            f"the bundled {what} {name!r} is missing from this installation: {path} is not there. {_again(wanted, {})}"
        )
    return path


def shipped(name: str, place: str, what: str) -> Path:
    """Where a bundled model, network or file lies, checked, with what it takes from the bundled model.

    Raises:
        ModelError: this installation lacks a file of it, or has another.
    """
    if place in VARIANTS.values():
        checked(name, MODEL, what)
    elif what == "model" and not (home() / place / "model_index.json").is_file():
        place += "/model_index.json"
    return checked(name, place, what)


def _again(file: str, told: dict[str, str]) -> str:
    recipe = f", or make it again with `{told['recipe']}`" if told.get("recipe") else ""
    return f"Install the package again; in a clone, `git checkout -- nodes/shapes/{file}`{recipe}"


def _manifest() -> dict[str, dict[str, str]]:
    """Nothing where there is none, as while the files are being made."""
    path = home() / MANIFEST
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return {str(file): {key: str(item) for key, item in told.items()} for file, told in content.items()}
    except (ValueError, AttributeError, OSError) as error:
        raise ModelError(f"{path} cannot be read: {error}. In a clone, `git checkout -- nodes/{MANIFEST}`") from error


def shared_with(folder: Path) -> Path | None:
    """The folder that has what a bundled variant's folder lacks; None for any other folder."""
    root = home()
    if any(folder == root / place for place in VARIANTS.values()):
        return root / MODEL
    return None


def net_named(text: str) -> Path | None:
    """The folder or file of a bundled network; None where the text is no such name. Not checked."""
    place = {**CONTROLNETS, **ADAPTERS, **IMAGE_PROMPTS}.get(text)
    return home() / place if place is not None else None
