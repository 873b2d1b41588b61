"""TIME (arXiv 2303.08084): change what a model takes for granted, by a formula. No cost per step."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from weft.engine import NodeView, Problem, Range, node, value
from weft.nodes.checks import model_of
from weft.nodes.values import Model, Patch

if TYPE_CHECKING:
    from weft.nodes.models.parts import Parts

_WORD = re.compile(r"\w+")


@value("patch.edit")
@dataclass(frozen=True, eq=False, kw_only=True)
class EditPatch(Patch):
    """W' = W M for the cross-attention's projections; see `nodes.weights.editing`.

    context: the patches that come before, which the texts are encoded with.
    """

    source: str
    destination: str
    regularization: float
    keys: bool
    templates: bool
    keep: tuple[str, ...] = ()
    context: str = ""

    @property
    def key(self) -> str:
        """By texts and settings, and the patches before."""
        from weft.nodes.weights.files import digest_of

        settings = (self.regularization, self.keys, self.templates, self.keep, self.context)
        return digest_of("edit", self.source, self.destination, settings)

    def touches(self, component: str) -> bool:
        """The denoiser alone."""
        return component == "unet"

    def apply(self, component: str, module: Any, parts: Parts) -> None:
        """Solve once for the texts, and multiply every projection."""
        import torch

        from weft.nodes.weights.editing import cross_projections, editing_matrix

        with torch.no_grad(), parts:
            texts = (self.source, self.destination)
            matrix = editing_matrix(parts, *texts, self.regularization, self.templates, self.keep)
            for layer in cross_projections(module, self.keys):
                weight = layer.weight
                weight.copy_(weight.cpu().double() @ matrix)


def _missing(source: str, destination: str) -> str | None:
    """The first word of the source that the destination lacks, in order."""
    there = iter("a" if word == "an" else word for word in _WORD.findall(destination.lower()))
    for word in _WORD.findall(source.lower()):
        if ("a" if word == "an" else word) not in there:
            return word
    return None


def _check(view: NodeView) -> Iterator[Problem]:
    source, destination = (view.literals.get(name) for name in ("source", "destination"))
    if isinstance(source, str) and not source.strip():
        yield Problem(code="bad_value", node=view.id, input="source", message="source is empty.", given=source)
    elif isinstance(source, str) and isinstance(destination, str):
        word = _missing(source, destination)
        if word is not None:
            yield Problem(
                code="bad_value",
                node=view.id,
                input="destination",
                message=f"destination has to hold every word of source, in order, and more: {word!r} is missing.",
                given=destination,
            )
    keep = view.literals.get("keep")
    for number, text in enumerate(keep if isinstance(keep, list) else ()):
        if isinstance(text, str) and not text.strip():
            yield Problem(code="bad_value", node=view.id, input="keep", message=f"keep[{number}] is empty.", given=text)


@node("edit_model", category="model", resource="cpu", tags=(model_of("model"),), check=_check)
def edit_model(
    model: Model,
    source: str,
    destination: str,
    regularization: Annotated[float, Range(0.0001, 1000.0)] = 0.1,
    keys: bool = True,
    templates: bool = True,
    keep: list[str] = [],  # noqa: B006 - the signature is the schema; it is never changed
) -> Model:
    """Edit what a model assumes: where a prompt says `source`, let it understand `destination`.

    A closed form changes the keys and values of every cross-attention, in a moment and without images. Edits add up
    in a chain, each solved against the weights before it.

    Args:
        model: the model to edit.
        source: what leaves something open, such as "a pack of roses".
        destination: the same words in the same order and what is to be assumed, such as "a pack of blue roses".
        regularization: how far to stay with the model as it was; less edits more.
        keys: edit the keys too, not only the values.
        templates: edit three common phrases around the texts as well.
        keep: texts that are to be understood as before, such as "a pack of tulips". Without any, what is assumed
            spreads to what resembles the source. Each joins the closed form as a text that stays what it is
            (UCE, arXiv 2308.14761).
    """
    from weft.nodes.prompts.words import expand
    from weft.nodes.weights.editing import alignment
    from weft.nodes.weights.files import digest_of

    if not source.strip():
        raise ValueError("source is empty")
    for number, text in enumerate(keep):
        if not text.strip():
            raise ValueError(f"keep[{number}] is empty")
    with model.parts() as parts:
        tokenizer = parts.tokenizers[0]
        ids = [tokenizer(expand(tokenizer, text), truncation=True).input_ids for text in (source, destination)]
        alignment(ids[0], ids[1], tokenizer)
    patch = EditPatch(
        source=source,
        destination=destination,
        regularization=regularization,
        keys=keys,
        templates=templates,
        keep=tuple(keep),
        context=digest_of([patch.key for patch in model.patches]) if model.patches else "",
    )
    return dataclasses.replace(model, patches=(*model.patches, patch))
