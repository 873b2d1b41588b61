"""Depth by a model of transformers: nearness in [0, 1], near is bright."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from weft.nodes.hints import models
from weft.nodes.lazy import IMPORTING
from weft.nodes.models.errors import ModelError

# Models whose number is a distance. The others, MiDaS and its children, give its inverse up to scale and shift.
_METRIC = ("glpn", "zoedepth", "depth_pro", "prompt_depth_anything")


def nearness(
    picture: Tensor, folder: Path, device: str, larger: Literal["auto", "near", "far"], factor: int = 1
) -> Tensor:
    """(H, W, 3) in [0, 1] to (H // factor, W // factor): 1 at the nearest pixel, 0 at the farthest.

    larger: what a larger number of the model means; auto goes by its configuration.
    """
    config = models.read_config(folder)
    far = larger == "far" or (larger == "auto" and _is_metric(config))
    with models.loaded(folder, "AutoModelForDepthEstimation", device) as model:
        depth = _predict(model, _processor(folder), picture, str(config.get("model_type")), device, factor)
    if not bool(depth.isfinite().all()):
        raise ModelError(f"the depth model in {folder} gave numbers that are not finite")
    if far:
        depth = 1 / depth.clamp(min=1e-3)
    low, high = depth.amin(), depth.amax()
    return (depth - low) / (high - low) if high > low else torch.zeros_like(depth)


def _is_metric(config: dict[str, Any]) -> bool:
    return config.get("model_type") in _METRIC or config.get("depth_estimation_type") == "metric"


def _processor(folder: Path) -> Any:
    with IMPORTING:
        from transformers import AutoImageProcessor

    if not (folder / "preprocessor_config.json").is_file():
        raise ModelError(f"{folder / 'preprocessor_config.json'} is missing: it says how pictures are prepared")
    try:
        return AutoImageProcessor.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # many classes, as for models
        raise ModelError(f"{folder / 'preprocessor_config.json'} cannot be used: {error}") from error


@torch.no_grad()
def _predict(model: Any, processor: Any, picture: Tensor, kind: str, device: str, factor: int) -> Tensor:
    size = (int(picture.shape[0]), int(picture.shape[1]))
    # Brought to its size at once: resizing a resized map gives other numbers.
    wanted = (size[0] // factor, size[1] // factor)
    pixels = (picture * 255).round().to(torch.uint8).numpy()
    inputs = processor(images=pixels, return_tensors="pt").to(device)
    outputs = model(**inputs)
    extra: dict[str, Any] = {"source_sizes": [size]} if kind == "zoedepth" else {}  # it pads, and cuts that off again
    done = processor.post_process_depth_estimation(outputs, target_sizes=[wanted], **extra)
    depth: Tensor = done[0]["predicted_depth"]
    return depth.float().cpu().reshape(wanted)
