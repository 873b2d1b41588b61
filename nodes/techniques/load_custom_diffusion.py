"""Custom Diffusion (arXiv 2212.04488): new keys and values of the cross-attention, and a token. No cost per step."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from weft.engine import Context, NodeView, Problem, Widget, node, value
from weft.nodes.checks import described_model, model_of
from weft.nodes.models.bundled import CUSTOM, WORDS
from weft.nodes.techniques.load_textual_inversion import files_fingerprint, word_patches
from weft.nodes.values import Model, Patch

if TYPE_CHECKING:
    from weft.nodes.models.headers import Header
    from weft.nodes.models.parts import Parts

EXPECTED = "down_blocks.0...attn2.processor.to_k_custom_diffusion.weight, as diffusers writes them"


@value("patch.custom_diffusion")
@dataclass(frozen=True, eq=False, kw_only=True)
class CustomDiffusionPatch(Patch):
    """Projections of the denoiser's attention, replaced by a file's."""

    path: str
    digest: str

    @property
    def key(self) -> str:
        """By content."""
        from weft.nodes.weights.files import digest_of

        return digest_of("custom_diffusion", self.digest)

    def touches(self, component: str) -> bool:
        """The denoiser alone."""
        return component == "unet"

    def apply(self, component: str, module: Any, parts: Parts) -> None:
        """Write over the weights. The processors that diffusers makes of them compute the same."""
        import torch

        from weft.nodes.weights.files import read_tensors

        with torch.no_grad():
            for name, tensor in read_tensors(self.path, self.digest).items():
                module.get_parameter(target(name)).copy_(tensor)


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


def _fit(path: Path, header: Header, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Raises ModelError for tensors that are none of the denoiser's, whose shapes are given, or of another shape."""
    from weft.nodes.models.errors import ModelError

    unknown = [name for name in header.tensors if target(name) not in shapes]
    if unknown:
        raise ModelError(
            f"{path}: {len(unknown)} of {len(header.tensors)} tensors match nothing in this model, first "
            f"{', '.join(unknown[:3])}; expected {EXPECTED}. Is it for another model family?"
        )
    for name, info in header.tensors.items():
        if info.shape != shapes[target(name)]:
            raise ModelError(
                f"{path}: {name} is {list(info.shape)} where this model has {list(shapes[target(name)])}. "
                "Is it for another model family?"
            )


def _fingerprint(path: str, embeddings: Sequence[str] = ()) -> str:
    return files_fingerprint([path, *embeddings])


def _check(view: NodeView) -> Iterator[Problem]:
    from weft.nodes.weights.embeddings import EXPECTED_FILE, words
    from weft.nodes.weights.files import file_problems

    model = described_model(view)
    unet = model.weights["unet"] if model is not None else None

    def look(path: Path, header: Header) -> None:
        _look(path, header)
        if unet is not None and unet.layout == "diffusers":
            _fit(path, header, {name: info.shape for name, info in unet.tensors.items()})

    yield from file_problems(view, "path", look, EXPECTED)
    yield from file_problems(view, "embeddings", words, EXPECTED_FILE)


@node(
    "load_custom_diffusion",
    category="model",
    resource="io",
    fingerprint=_fingerprint,
    tags=(model_of("model"),),
    check=_check,
)
def load_custom_diffusion(
    model: Model,
    path: Annotated[str, Widget("file", names=tuple(CUSTOM))],
    embeddings: Annotated[list[str], Widget("file", names=tuple(WORDS))] = [],  # noqa: B006 - the signature is the schema
    tokens: list[str] = [],  # noqa: B006
    ctx: Context | None = None,
) -> Model:
    """Add what Custom Diffusion learned to a model: keys and values of the cross-attention, and new words.

    Args:
        model: the model that it was trained on.
        path: the weights, such as pytorch_custom_diffusion_weights.safetensors, or "shapes-house" (ships with Weft, for
            the model "shapes"; its word is "shapes-house-word").
        embeddings: files of the new words, such as <new1>.safetensors, in textual inversion's layouts.
        tokens: what to call the words in prompts; without them, as their files do.
    """
    from weft.nodes.weights.files import content, file_at, header_of

    ctx = ctx or Context()
    file = file_at(path, ctx.resolve_input_path)
    header = header_of(file)
    _look(file, header)
    shell = model.parts().shell("unet")
    _fit(file, header, {name: tuple(tensor.shape) for name, tensor in shell.state_dict().items()})
    added = word_patches(ctx, model, embeddings, tokens)
    patch = CustomDiffusionPatch(path=str(file), digest=content(file))
    return dataclasses.replace(model, patches=(*model.patches, patch, *added))
