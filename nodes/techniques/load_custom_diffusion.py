"""Custom Diffusion (arXiv 2212.04488): new keys and values of the cross-attention, and a token. No cost per step."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from weft.engine import Context, NodeView, Problem, Widget, node, value
from weft.nodes.checks import described_model, model_of
from weft.nodes.models.bundled import CUSTOM, WORDS
from weft.nodes.models.sources import CUSTOM_DIFFUSION, existing, find, problems, renamed
from weft.nodes.techniques.load_textual_inversion import (
    wired_words,
    word_patches,
    word_problems,
    words_fingerprint,
)
from weft.nodes.values import Model, Patch
from weft.nodes.values.training import Adapter
from weft.nodes.weights.adapters import called, infos, one_problem, require, require_one

if TYPE_CHECKING:
    from torch import Tensor

    from weft.nodes.models.headers import Header
    from weft.nodes.models.parts import Parts

EXPECTED = "down_blocks.0...attn2.processor.to_k_custom_diffusion.weight, as diffusers writes them"


@value("patch.custom_diffusion", version=3)
@dataclass(frozen=True, eq=False, kw_only=True)
class CustomDiffusionPatch(Patch):
    """Projections of the denoiser's attention, replaced by a file's.

    source: as given, for a file that was moved since. tensors: the projections themselves, where a training gave them
    and there is no file. strength: 1 replaces them, 0.5 is the mean of both.
    """

    path: str
    digest: str
    source: str = ""
    tensors: dict[str, Tensor] = field(default_factory=dict)
    strength: float = 1.0

    @property
    def key(self) -> str:
        """By content and strength."""
        from weft.nodes.weights.files import digest_of

        if self.strength == 1:
            return digest_of("custom_diffusion", self.digest)
        return digest_of("custom_diffusion", self.digest, self.strength)

    def touches(self, component: str) -> bool:
        """The denoiser alone."""
        return component == "unet" and self.strength != 0

    def apply(self, component: str, module: Any, parts: Parts) -> None:
        """Write over the weights. The processors that diffusers makes of them compute the same."""
        import torch

        from weft.nodes.weights.files import read_tensors, write

        tensors = self.tensors
        if not tensors:
            path = existing(self.path, self.source, CUSTOM_DIFFUSION)
            tensors = read_tensors(str(path), self.digest)
        with torch.no_grad():
            for name, tensor in tensors.items():
                write(module.get_parameter(target(name)), tensor, self.strength)


def target(name: str) -> str:
    """The denoiser's own name of a projection."""
    name = name.removeprefix("unet.").replace(".processor.", ".")
    return name.replace("_custom_diffusion", "")


def _look(path: Path, header: Header) -> None:
    from weft.nodes.models.errors import ModelError

    strange = [name for name in header.tensors if "_custom_diffusion." not in name]
    if strange or not header.tensors:
        first = ", ".join(strange[:3]) or "nothing"
        raise ModelError(f"{path} holds {first}, and is not Custom Diffusion's weights; expected {EXPECTED}")


def _fit(where: Path | str, header: Header, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Raises ModelError for tensors that are none of the denoiser's, whose shapes are given, or of another shape."""
    from weft.nodes.models.errors import ModelError

    unknown = [name for name in header.tensors if target(name) not in shapes]
    if unknown:
        raise ModelError(
            f"{where}: {len(unknown)} of {len(header.tensors)} tensors match nothing in this model, first "
            f"{', '.join(unknown[:3])}; expected {EXPECTED}. Is it for another model family?"
        )
    for name, info in header.tensors.items():
        if info.shape != shapes[target(name)]:
            raise ModelError(
                f"{where}: {name} is {list(info.shape)} where this model has {list(shapes[target(name)])}. "
                "Is it for another model family?"
            )


def _fingerprint(source: str, embeddings: Sequence[str], ctx: Context) -> str:
    from weft.nodes.weights.files import content

    if not source:
        return words_fingerprint(embeddings, ctx)
    return f"{content(find(source, CUSTOM_DIFFUSION, ctx.resolve_input_path))} {words_fingerprint(embeddings, ctx)}"


def _check(view: NodeView) -> Iterator[Problem]:
    from weft.nodes.weights.files import header_of

    model = described_model(view)
    unet = model.weights["unet"] if model is not None else None

    def look(source: str) -> None:
        if not source:
            return  # an adapter may come by wire
        path = find(source, CUSTOM_DIFFUSION, view.resolve)
        header = header_of(path)
        _look(path, header)
        if unet is not None and unet.layout == "diffusers":
            _fit(path, header, {name: info.shape for name, info in unet.tensors.items()})

    yield from one_problem(view)
    yield from problems(view, "source", look, EXPECTED)
    yield from word_problems(view, "embeddings")


@node(
    "load_custom_diffusion",
    version=2,
    category="model",
    resource="io",
    fingerprint=_fingerprint,
    tags=(model_of("model"),),
    check=_check,
    migrations={1: renamed("path", "source")},
)
def load_custom_diffusion(
    model: Model,
    source: Annotated[str, Widget("model", names=tuple(CUSTOM))] = "",
    embeddings: Annotated[list[str], Widget("model", names=tuple(WORDS))] = [],  # noqa: B006 - the signature is the schema
    tokens: list[str] = [],  # noqa: B006
    adapter: Adapter | None = None,
    ctx: Context | None = None,
) -> Model:
    """Add what Custom Diffusion learned to a model: keys and values of the cross-attention, and new words.

    Args:
        model: the model that it was trained on.
        source: "shapes-house" (ships with Weft, for the model "shapes"; its word is "shapes-house-word"), a file of
            weights, a folder with pytorch_custom_diffusion_weights.safetensors, a name in a model folder, or a hub id
            such as owner/name that is in the hub's local cache; nothing is downloaded. Empty where `adapter` is wired.
        embeddings: sources of the new words, such as a file <new1>.safetensors, in textual inversion's layouts.
        tokens: what to call the words in prompts; without them, as their files do.
        adapter: what a training gave, its words included, in place of a source.
    """
    from weft.nodes.weights.files import content, header_of

    ctx = ctx or Context()
    require_one(source, adapter)
    if adapter is not None:
        return with_custom_diffusion(ctx, model, adapter, embeddings, tokens)
    file = find(source, CUSTOM_DIFFUSION, ctx.resolve_input_path)
    header = header_of(file)
    _look(file, header)
    _fit(file, header, _shapes(model))
    added = word_patches(ctx, model, embeddings, tokens)
    patch = CustomDiffusionPatch(path=str(file), digest=content(file), source=source)
    return dataclasses.replace(model, patches=(*model.patches, patch, *added))


def with_custom_diffusion(
    ctx: Context,
    model: Model,
    adapter: Adapter,
    embeddings: Sequence[str] = (),
    tokens: Sequence[str] = (),
    strength: float = 1.0,
) -> Model:
    """The model with projections and words that a training gave, and with words of files.

    tokens: of the words of files; without any files, of the adapter's words.

    Raises:
        ModelError: they do not fit the model.
    """
    from weft.nodes.models.headers import Header

    require(adapter, ("custom_diffusion",), model)
    tensors = {name: item for name, item in adapter.tensors.items() if name.startswith("unet.")}
    _fit(called(adapter), Header(infos(adapter, tensors), {}), _shapes(model))
    patch = CustomDiffusionPatch(path="", digest=adapter.digest, tensors=tensors, strength=strength)
    words = wired_words(ctx, model, adapter, () if embeddings else tokens)
    changed = dataclasses.replace(model, patches=(*model.patches, patch, *words))
    added = word_patches(ctx, changed, embeddings, tokens) if embeddings else ()
    return dataclasses.replace(changed, patches=(*changed.patches, *added))


def _shapes(model: Model) -> dict[str, tuple[int, ...]]:
    shell = model.parts().shell("unet")
    return {name: tuple(tensor.shape) for name, tensor in shell.state_dict().items()}
