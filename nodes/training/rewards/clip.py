"""CLIP (arXiv 2103.00020) as rewards use it: embeddings of pictures, with gradients, and of texts."""

from __future__ import annotations

import json
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from weft.engine.filehash import folder_hash
from weft.nodes.lazy import IMPORTING
from weft.nodes.models import bundled
from weft.nodes.models.device import resolve_device
from weft.nodes.models.errors import ModelError
from weft.nodes.models.residency import Lease, default_residency
from weft.nodes.models.sources import Kind, PathRule, find
from weft.nodes.models.tokenizers import load_tokenizer
from weft.nodes.training.errors import TrainingError
from weft.nodes.values.rewards import ClipPlace

MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
"""Of CLIP's pixels."""
SUFFIXES = (".json", ".safetensors", ".txt")
CHUNK = 32
"""Pictures in one forward where no gradients are wanted."""
TEXT_OF_BUNDLED = "shapes/variants/clip/text_encoder"


CLIP = Kind("CLIP", bundled.IMAGE_ENCODERS)


def find_clip(source: str, needs_text: bool, allowed: PathRule | None = None) -> ClipPlace:
    """Look for a CLIP: the bundled one, a folder as transformers writes it, or one with image_encoder and text_encoder.

    Args:
        source: a bundled name, a folder, a name in a model folder, or a hub id in the local cache.
        needs_text: whether texts are to be compared too.
        allowed: as of `Context.resolve_input_path`.

    Raises:
        ModelError: there is none, or it lacks its text encoder.
        InputPathError: it is a path outside the folders that may be read.
    """
    folder = find(source, CLIP, allowed)
    text: Path | None
    if source.strip() in bundled.IMAGE_ENCODERS:
        vision, text = folder, bundled.checked(source.strip(), TEXT_OF_BUNDLED, "text encoder")
        tokenizer = bundled.checked("shapes", f"{bundled.MODEL}/tokenizer", "tokenizer")
    else:
        vision, text, tokenizer = _places(folder)
    if not needs_text:
        return ClipPlace(str(vision), "", "", folder_hash(vision, SUFFIXES))
    if text is None:
        raise ModelError(f"{source!r} has no text encoder, which tells how well a picture fits its prompt")
    parts = dict.fromkeys((vision, text, tokenizer))
    return ClipPlace(str(vision), str(text), str(tokenizer), ":".join(folder_hash(part, SUFFIXES) for part in parts))


def _places(folder: Path) -> tuple[Path, Path | None, Path]:
    """Where image encoder, text encoder and tokenizer lie."""
    if not folder.is_dir():
        raise ModelError(f"{folder} is a file: give the folder of a CLIP, or {', '.join(bundled.IMAGE_ENCODERS)}")
    tokenizer = folder / "tokenizer" if (folder / "tokenizer").is_dir() else folder
    if (folder / "image_encoder" / "config.json").is_file():
        text = folder / "text_encoder"
        return folder / "image_encoder", text if (text / "config.json").is_file() else None, tokenizer
    if not (folder / "config.json").is_file():
        raise ModelError(f"{folder} is no CLIP: neither config.json nor image_encoder/config.json is in it")
    kind = _config(folder).get("model_type")
    if kind not in ("clip", "clip_vision_model"):
        raise ModelError(f"{folder} is no CLIP: its config.json is of the kind {kind!r}")
    return folder, folder if kind == "clip" else None, tokenizer


def _config(folder: Path) -> dict[str, Any]:
    try:
        content = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{folder / 'config.json'} cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise ModelError(f"{folder / 'config.json'} is no configuration: it holds no JSON object")
    return content


class Clip:
    """A live CLIP, resident as long as this object lives."""

    def __init__(self, place: ClipPlace, device: torch.device) -> None:
        self.device = device
        residency = default_residency()
        self._leases: list[Lease] = []
        weakref.finalize(self, _release, self._leases)

        def load(part: str, folder: str) -> Any:
            key = (place.fingerprint, f"clip {part}", "float32", str(device))
            size = sum(file.stat().st_size for file in Path(folder).glob("*.safetensors"))
            lease = residency.acquire(key, str(device), 2 * size, lambda: _load(part, Path(folder), device))
            self._leases.append(lease)
            return lease.item

        self._vision = load("vision", place.vision)
        self._text = load("text", place.text) if place.text else None
        self._tokenizer: Any = None
        if self._text is not None:
            self._tokenizer = load_tokenizer(Path(place.tokenizer), {"max_position_embeddings": self._positions})

    @property
    def _positions(self) -> int:
        assert self._text is not None
        return int(self._text.config.max_position_embeddings)

    @torch.no_grad()
    def seen(self, images: Tensor) -> Tensor:
        """As `of_images`, on the CPU, in pieces and without gradients."""
        return torch.cat([self.of_images(piece.to(self.device)).cpu() for piece in images.split(CHUNK)])

    def of_images(self, images: Tensor) -> Tensor:
        """Normalised embeddings (n, D) of pictures (n, H, W, 3) in [0, 1] on its device, with gradients."""
        values = pixel_values(images, int(self._vision.config.image_size))
        return F.normalize(self._vision(values).image_embeds.float(), dim=-1)

    @torch.no_grad()
    def of_texts(self, texts: Sequence[str]) -> Tensor:
        """Normalised embeddings (n, D) of texts; longer ones are cut, as CLIP has so many positions."""
        assert self._text is not None
        different = list(dict.fromkeys(texts))
        tokens = self._tokenizer(different, padding="max_length", truncation=True, max_length=self._positions)
        ids = torch.tensor(tokens.input_ids, device=self.device)
        embeddings = F.normalize(self._text(ids).text_embeds.float(), dim=-1)
        return embeddings[[different.index(text) for text in texts]]


def clip_for(images: Tensor, place: ClipPlace, gradients: bool = False) -> Clip:
    """A live CLIP to see pictures with: on their device where gradients lead back to them.

    Without gradients, pictures on the CPU are seen on the best device there is.
    """
    device = str(images.device)
    return Clip(place, torch.device(device if gradients or device != "cpu" else resolve_device("auto")))


def pixel_values(images: Tensor, size: int) -> Tensor:
    """Pictures (n, H, W, 3) in [0, 1] as CLIP reads them, differentiable: (n, 3, size, size).

    As CLIPImageProcessor makes them, without the rounding to 8 bits: the short side scaled, the middle, normalised.
    """
    planes = images.permute(0, 3, 1, 2).float()
    high, wide = planes.shape[-2:]
    if min(high, wide) != size:
        short = min(high, wide)
        target = (size * high // short, size * wide // short)
        planes = F.interpolate(planes, target, mode="bicubic", antialias=True, align_corners=False).clamp(0, 1)
        high, wide = target
    top, left = (high - size) // 2, (wide - size) // 2
    planes = planes[..., top : top + size, left : left + size]
    mean, std = (planes.new_tensor(numbers).view(1, 3, 1, 1) for numbers in (MEAN, STD))
    return (planes - mean) / std


def _load(part: str, folder: Path, device: torch.device) -> Any:
    with IMPORTING:
        from transformers import CLIPTextModelWithProjection, CLIPVisionModelWithProjection
        from transformers.utils import logging as hf

    kind: Any = {"vision": CLIPVisionModelWithProjection, "text": CLIPTextModelWithProjection}[part]
    bars = hf.is_progress_bar_enabled()
    hf.disable_progress_bar()
    try:
        module = kind.from_pretrained(str(folder), local_files_only=True, use_safetensors=True, dtype=torch.float32)
    except Exception as error:  # transformers raises many kinds for files that do not fit
        raise TrainingError(f"the CLIP in {folder} cannot be read: {str(error).strip().splitlines()[0]}") from error
    finally:
        if bars:
            hf.enable_progress_bar()
    return module.eval().requires_grad_(False).to(device)


def _release(leases: list[Lease]) -> None:
    for lease in leases:
        lease.release()
    leases.clear()


class AestheticHead(torch.nn.Module):
    """The predictor over CLIP embeddings, as `sac+logos+ava1-l14-linearMSE` has it: linear layers and nothing between.

    tensors: `layers.<n>.weight` (out, in) and `layers.<n>.bias`, each as wide as the one before; the last gives one.

    Raises:
        TrainingError: they are none.
    """

    def __init__(self, tensors: dict[str, Tensor], source: str) -> None:
        super().__init__()
        numbers = sorted(
            {int(parts[1]) for name in tensors if len(parts := name.split(".")) == 3 and parts[1].isdigit()}
        )
        wanted = {f"layers.{n}.{kind}" for n in numbers for kind in ("weight", "bias")}
        if not numbers or wanted != set(tensors):
            odd = sorted(wanted ^ set(tensors))[:3] or ["layers.0.weight"]
            raise TrainingError(
                f"{source} is no aesthetic predictor: it should hold layers.<n>.weight and layers.<n>.bias, and "
                f"differs in {', '.join(odd)}"
            )
        self.layers = [(tensors[f"layers.{n}.weight"].float(), tensors[f"layers.{n}.bias"].float()) for n in numbers]
        width = self.layers[0][0].shape[-1]
        self.width = width
        for number, (weight, bias) in zip(numbers, self.layers, strict=True):
            if weight.ndim != 2 or weight.shape[1] != width or bias.shape != weight.shape[:1]:
                raise TrainingError(
                    f"layers.{number} of {source} is {list(weight.shape)}: it does not fit the one before"
                )
            width = weight.shape[0]
        if width != 1:
            raise TrainingError(f"the last layer of {source} gives {width} numbers: a predictor gives one")

    def forward(self, embeddings: Tensor) -> Tensor:
        """(n,) from normalised embeddings (n, D)."""
        values = embeddings
        for weight, bias in self.layers:
            values = F.linear(values, weight.to(values.device), bias.to(values.device))
        return values[:, 0]


def read_head(path: str, source: str) -> AestheticHead:
    """The predictor in a safetensors file.

    Raises:
        TrainingError: the file is none of it.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return AestheticHead(load_file(path), source)
    except (OSError, SafetensorError, ValueError) as error:
        raise TrainingError(
            f"{source} cannot be read as safetensors: {error}. A .pth file is a pickle, which is not opened: convert it"
        ) from error


def embedding_width(place: ClipPlace) -> int:
    """How many numbers an embedding of a picture has."""
    return int(_config(Path(place.vision)).get("projection_dim", 512))
