"""Latents of pictures and states of captions, encoded once.

Each is a file of its own in a folder that outlives the run, so that one picture more costs one.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor

from weft.engine import Context
from weft.nodes.models.parts import Parts
from weft.nodes.prompts.encode import encode
from weft.nodes.sampling.content import Contents, machine
from weft.nodes.sampling.vae import posterior
from weft.nodes.training.errors import TrainingError
from weft.nodes.training.pictures import Pixels, colour_of, digest_of, views_of
from weft.nodes.values.model import Model
from weft.nodes.values.training import Dataset, Item, LatentCache, Picture, TextCache

VERSION = 2
"""Raise it when equal pictures or captions give other tensors."""
T = TypeVar("T")


def latents_key(model: Model) -> str:
    """Identifies a model's VAE, and how it computes here."""
    own = (model.vae.fingerprint, model.vae.settings) if model.vae is not None else model.fingerprint
    patches = [patch for patch in model.patches if patch.touches("vae")]
    return _key("latents", own, patches, model)


def texts_key(model: Model) -> str:
    """Identifies a model's text encoders and tokenizers, and how they compute here."""
    names = ("text_encoder", "text_encoder_2", "tokenizer", "tokenizer_2")
    patches = [patch for patch in model.patches if any(patch.touches(name) for name in names)]
    return _key("texts", model.fingerprint, patches, model)


def _key(what: str, *own: object) -> str:
    *rest, model = own
    assert isinstance(model, Model)
    parts = (what, VERSION, str(torch.__version__), *rest, model.dtype, machine(torch.device(model.device)))
    return Contents().key(parts).hex()


def encode_latents(
    model: Model, dataset: Dataset, ctx: Context, known: LatentCache | None = None, conditions: bool = False
) -> LatentCache:
    """The distributions that a model's VAE gives of all views of a data set.

    A picture that cannot be read is named in `skipped` and passed over, with a warning.

    Args:
        known: entries that are taken from it where it is of the same VAE.
        conditions: the pictures that belong to the items too, for recipes that learn from a picture before an edit.

    Raises:
        TrainingError: the VAE gives no distribution, as tiny ones do not, or a picture gives no finite latents.
    """
    key = latents_key(model)
    entries = dict(known.entries) if known is not None and known.vae == key else {}
    wanted = [
        (part, view)
        for item in dataset.items
        for part in _parts(item, conditions)
        for view in views_of(item, model.size)
    ]
    missing = {view.key(part): (part, view) for part, view in wanted if view.key(part) not in entries}
    skipped: list[str] = list(dataset.skipped)
    if missing:
        bad: dict[str, str] = {}
        pixels: dict[str, Pixels] = {}
        with model.parts() as parts, ctx.shared_workspace(key) as folder:

            def make(name: str) -> dict[str, Tensor] | None:
                part, view = missing[name]
                if part.digest in bad:
                    return None
                try:
                    if part.digest not in pixels:
                        pixels.clear()
                        pixels[part.digest] = colour_of(part)
                    return _posterior(parts, view.of(pixels[part.digest]), part.name)
                except TrainingError as error:
                    bad[part.digest] = str(error)
                    ctx.log.warning("%s: it is passed over", error)
                    return None

            for name, found in each(folder, missing, make, ctx, "encode pictures"):
                entries[name] = (found["mean"], found["std"])
        skipped.extend(bad.values())
    kept = {view.key(part): entries[view.key(part)] for part, view in wanted if view.key(part) in entries}
    return LatentCache(key, kept, tuple(skipped))


def _parts(item: Item, conditions: bool) -> list[Picture]:
    return [item.picture, *([item.condition] if conditions and item.condition is not None else [])]


def _posterior(parts: Parts, pixels: Pixels, name: str) -> dict[str, Tensor]:
    found = posterior(parts.vae, torch.from_numpy(pixels)[None])
    if found is None:
        raise TrainingError("this VAE gives latents without a distribution: train with the model's own VAE")
    mean, std = (tensor[0].float().cpu() for tensor in found)
    if not (torch.isfinite(mean).all() and torch.isfinite(std).all()):
        raise TrainingError(f"the VAE makes of {name} what is no number: load the VAE in float32")
    return {"mean": mean, "std": std}


def encode_texts(model: Model, captions: Iterable[str], ctx: Context, known: TextCache | None = None) -> TextCache:
    """The states of some captions, each different one once.

    known: entries that are taken from it where it is of the same text encoders.
    """
    key = texts_key(model)
    entries = dict(known.entries) if known is not None and known.encoder == key else {}
    wanted = list(dict.fromkeys(captions))
    missing = {digest_of(text.encode("utf-8", "surrogatepass")): text for text in wanted if text not in entries}
    if missing:
        with model.parts() as parts, ctx.shared_workspace(key) as folder:

            def make(name: str) -> dict[str, Tensor]:
                found = encode(parts, missing[name], log=ctx.log)
                states = {"text": found.text[0].float()}
                return states if found.pooled is None else states | {"pooled": found.pooled[0].float()}

            for name, found in each(folder, missing, make, ctx, "encode captions"):
                entries[missing[name]] = (found["text"], found.get("pooled"))
    return TextCache(key, {text: entries[text] for text in wanted})


def each(
    folder: Path, names: Mapping[str, object], make: Callable[[str], dict[str, Tensor] | None], ctx: Context, phase: str
) -> Iterable[tuple[str, dict[str, Tensor]]]:
    """The tensors of each name: those that the folder has, and others made and put there."""
    for number, name in enumerate(names):
        found = _read(folder, name)
        if found is None:
            found = make(name)
            if found is not None:
                _write(folder, name, found)
        ctx.progress(number + 1, len(names), phase)
        if found is not None:
            yield name, found


def _read(folder: Path, name: str) -> dict[str, Tensor] | None:
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        return load((folder / name[:2] / f"{name}.safetensors").read_bytes())
    except (OSError, SafetensorError, ValueError):
        return None


def _write(folder: Path, name: str, tensors: Mapping[str, Tensor]) -> None:
    """Under a name of its own first. What cannot be kept is made again the next time."""
    from safetensors.torch import save

    target = folder / name[:2] / f"{name}.safetensors"
    aside = target.with_suffix(f".{os.getpid()}")
    with contextlib.suppress(OSError):
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            aside.write_bytes(save({key: tensor.contiguous() for key, tensor in tensors.items()}))
            os.replace(aside, target)
        except OSError:
            aside.unlink(missing_ok=True)
            raise
