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
from weft.nodes.training.pictures import Pixels, View, colour_of, digest_of, views_of
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
        reader = _Reader(ctx, {part.digest for item in dataset.items if item.size == (0, 0) for part in _parts(item)})
        with model.parts() as parts, ctx.shared_workspace(key) as folder:

            def make(name: str) -> dict[str, Tensor] | None:
                part, view = missing[name]
                pixels = reader.view(part, view)
                return None if pixels is None else _posterior(parts, pixels, part.name)

            for name, found in each(folder, missing, make, ctx, "encode pictures"):
                entries[name] = (found["mean"], found["std"])
        reader.tell()
        skipped.extend(reader.bad.values())
    kept = {view.key(part): entries[view.key(part)] for part, view in wanted if view.key(part) in entries}
    return LatentCache(key, kept, tuple(skipped))


class _Reader:
    """Pictures as pixels, one after the other; those that cannot be read are told and passed over.

    unsized: digests of pictures that train at the model's own size: nobody compared theirs with it before.
    """

    def __init__(self, ctx: Context, unsized: set[str]) -> None:
        self._ctx, self._unsized = ctx, unsized
        self._last: tuple[str, Pixels] | None = None
        self._little: dict[str, str] = {}
        self.bad: dict[str, str] = {}

    def view(self, picture: Picture, view: View) -> Pixels | None:
        """A view of a picture, or None where it cannot be read."""
        if picture.digest in self.bad:
            return None
        if self._last is None or self._last[0] != picture.digest:
            try:
                self._last = picture.digest, colour_of(picture)
            except TrainingError as error:
                self.bad[picture.digest] = str(error)
                self._ctx.log.warning("%s: it is passed over", error)
                return None
        pixels = self._last[1]
        high, wide = pixels.shape[:2]
        if picture.digest in self._unsized and (wide < view.size[0] or high < view.size[1]):
            told = f"{picture.name}: {wide} x {high} pixels for {view.size[0]} x {view.size[1]}"
            self._little[picture.digest] = told
        return view.of(pixels)

    def tell(self) -> None:
        """Say which pictures have fewer pixels than they are trained at."""
        names = list(self._little.values())
        if names:
            more = f" and {len(names) - TOLD} more" if len(names) > TOLD else ""
            text = ", ".join(names[:TOLD]) + more
            self._ctx.log.warning("%d pictures are enlarged, which blurs them: %s", len(names), text)


TOLD = 8
"""Pictures that one warning names."""


def unreadable(pictures: Iterable[Picture], ctx: Context) -> dict[str, str]:
    """Which of some pictures cannot be read, and why, by digest. One that could be is not read a second time."""
    wanted = {picture.digest: picture for picture in pictures}
    bad: dict[str, str] = {}
    if not wanted:
        return bad
    with ctx.shared_workspace(digest_of(f"sound pictures {VERSION}".encode())) as folder:

        def make(name: str) -> dict[str, Tensor] | None:
            try:
                colour_of(wanted[name])
            except TrainingError as error:
                bad[name] = str(error)
                return None
            return {"sound": torch.ones(1)}

        for _ in each(folder, wanted, make, ctx, "read masks and hints"):
            pass
    return bad


def _parts(item: Item, conditions: bool = True) -> list[Picture]:
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
        found = read_tensors(folder, name)
        if found is None:
            found = make(name)
            if found is not None:
                write_tensors(folder, name, found)
        ctx.progress(number + 1, len(names), phase)
        if found is not None:
            yield name, found


def read_tensors(folder: Path, name: str) -> dict[str, Tensor] | None:
    """What `write_tensors` wrote; None where it is not there, or not whole."""
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        return load((folder / name[:2] / f"{name}.safetensors").read_bytes())
    except (OSError, SafetensorError, ValueError):
        return None


def write_tensors(folder: Path, name: str, tensors: Mapping[str, Tensor]) -> None:
    """Keep tensors in a folder, under a name of their own first. What cannot be kept is made again the next time."""
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
