"""What is known of a model before a tensor of it is read."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from weft.nodes.models.errors import ModelError
from weft.nodes.models.families import Family, Prediction
from weft.nodes.models.headers import TensorInfo

REQUIRED = {
    "sd1": ("unet", "vae", "text_encoder", "tokenizer"),
    "sd2": ("unet", "vae", "text_encoder", "tokenizer"),
    "sdxl": ("unet", "vae", "text_encoder", "tokenizer", "text_encoder_2", "tokenizer_2"),
}
SUPPORTED = "Stable Diffusion 1.x, Stable Diffusion 2.x and SDXL base models (epsilon or v prediction) are supported."
CLASSES = {
    "unet": "UNet2DConditionModel",
    "vae": "AutoencoderKL",
    "text_encoder": "CLIPTextModel",
    "text_encoder_2": "CLIPTextModelWithProjection",
}

TINY = "AutoencoderTiny"
"""The other class that a VAE may have (TAESD); a model's own never has it."""


@dataclass(frozen=True)
class Weights:
    """A component with weights: its configuration, and all tensors of the files that hold it.

    layout: ``diffusers``, or ``ldm`` for the names of original checkpoints.
    """

    config: dict[str, Any]
    tensors: dict[str, TensorInfo]
    layout: Literal["diffusers", "ldm"] = "diffusers"

    @property
    def files(self) -> list[Path]:
        return sorted({info.file for info in self.tensors.values()})


@dataclass(frozen=True)
class Description:
    """A located model, understood: see ``Model`` for the fields that have the same name there.

    weights, tokenizers: by component. A tokenizer is a folder, or the padding token of CLIP's own vocabulary.
    files: all that is read, for the fingerprint. notes: what was assumed and may be wrong.
    """

    location: Path
    family: Family
    prediction: Prediction
    weights: dict[str, Weights]
    tokenizers: dict[str, Path | str]
    scheduler: dict[str, Any]
    size: int
    files: list[Path] = field(default_factory=list)
    zero_empty: bool = False
    notes: tuple[str, ...] = ()

    @property
    def unet_channels(self) -> int:
        return int(self.weights["unet"].config.get("in_channels", 4))

    @property
    def latent_channels(self) -> int:
        return int(self.weights["vae"].config.get("latent_channels", 4))

    @property
    def scale_factor(self) -> int:
        return 2 ** (len(self.weights["vae"].config.get("block_out_channels", (1,) * 4)) - 1)

    @property
    def scaling_factor(self) -> float:
        return float(self.weights["vae"].config.get("scaling_factor", 0.18215))


def channel_message(wanted: int, given: int) -> str:
    """Why a denoiser's input, of so many channels, does not fit, and what to wire."""
    hints = {
        9: "an inpainting model: link `mask` and `masked` (from `encode_masked_image`)",
        8: "an image-editing model: use `instruct_pix2pix` with an image",
        5: "a depth model: use `depth_control`",
        4: "a plain model, and something adds channels that it was not trained for",
    }
    hint = hints.get(wanted, "techniques that give its other channels are missing")
    return f"the denoiser takes {wanted} channels and is given {given}: it is {hint}"


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file.

    Raises:
        ModelError: it is missing, unreadable or something else.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ModelError(f"{path} is missing") from None
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {os.strerror(error.errno or 0)}") from error
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path} is no JSON: {error}") from error
    if not isinstance(content, dict):
        raise ModelError(f"{path} holds no JSON object")
    return content


def prediction_of(text: object, where: object) -> Prediction:
    """A scheduler's ``prediction_type``, refused by name when it is another."""
    if text == "epsilon" or text == "v_prediction":
        return text
    raise ModelError(f"{where} predicts {text!r}; epsilon and v_prediction are supported")
