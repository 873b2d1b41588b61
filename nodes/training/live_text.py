"""Captions through text encoders that learn: encoded at each step, with gradients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from weft.nodes.models.parts import Parts
from weft.nodes.prompts.chunks import Chunk, chunks_of
from weft.nodes.prompts.encode import encoder_states
from weft.nodes.training.denoising import DenoisingRecipe


class LiveText:
    """Text encoders that learn, read as `weft.nodes.prompts.encode` reads those of a model.

    Args:
        parts: of the model, for its tokenizers.
        encoders: all of the model's text encoders by component, in its order.
        tokenizers: in place of the model's.
    """

    def __init__(self, parts: Parts, encoders: Mapping[str, Any], tokenizers: Sequence[Any] | None = None) -> None:
        self._family, self.device = parts.model.family, parts.device
        self._pairs = list(zip(tokenizers or parts.tokenizers, encoders.values(), strict=True))
        self._chunks: dict[tuple[int, str], list[Chunk]] = {}

    def states(self, captions: Sequence[str]) -> tuple[Tensor, Tensor | None]:
        """States (n, L, D) float32 of captions, and the pooled ones (n, P) where there are some, on the device.

        Each different caption is encoded once. One that is shorter than another is filled up with the empty one.
        """
        unique = list(dict.fromkeys(captions))
        lengths = {len(self.chunks(number, text)) for number in range(len(self._pairs)) for text in unique}
        if len(lengths) > 1 and "" not in unique:
            unique.append("")
        found = [self._encoded(number, unique, max(lengths)) for number in range(len(self._pairs))]
        places = torch.tensor([unique.index(caption) for caption in captions], device=self.device)
        text = torch.cat([states for states, _ in found], dim=-1)[places]
        pooled = [pooled for _, pooled in found if pooled is not None]
        return text, pooled[-1][places] if pooled else None

    def _encoded(self, number: int, texts: Sequence[str], length: int) -> tuple[Tensor, Tensor | None]:
        """States (n, length * l, D) of one encoder, of texts of different numbers of chunks."""
        encoder = self._pairs[number][1]
        own = [self.chunks(number, text) for text in texts]
        ids = torch.cat([chunk.ids for chunks in own for chunk in chunks]).to(self.device)
        seen = None
        if getattr(encoder.config, "use_attention_mask", False):
            seen = torch.cat([chunk.seen for chunks in own for chunk in chunks])
        states, pooled = encoder_states(self._family, encoder, ids, seen)
        parts = list(states.float().split([len(chunks) for chunks in own]))
        firsts = torch.tensor([0, *(len(chunks) for chunks in own)]).cumsum(0)[:-1].to(self.device)
        if any(len(part) < length for part in parts):
            empty = parts[texts.index("")]
            parts = [torch.cat([part, *[empty] * (length - len(part))]) for part in parts]
        text = torch.stack([part.reshape(-1, part.shape[-1]) for part in parts])
        return text, None if pooled is None else pooled.float()[firsts]

    def chunks(self, number: int, text: str) -> list[Chunk]:
        """A text in chunks of the length of an encoder, by the encoder's number."""
        key = (number, text)
        if key not in self._chunks:
            self._chunks[key] = chunks_of(self._pairs[number][0], [(text, 1.0)], False)
        return self._chunks[key]


class TextRecipe(DenoisingRecipe):
    """A recipe whose text encoders may learn beside the denoiser."""

    encoders: Mapping[str, Any]
    """Those that learn, by component; none where captions were encoded before."""
    _live: LiveText | None = None
    _fills = False

    def learn_text(self, encoders: Mapping[str, Any]) -> None:
        """Encode captions with these from now on, all of the model's text encoders for this recipe alone.

        They are without dropout, which would draw from the process's generator.
        """
        self.encoders = {name: encoder.eval() for name, encoder in encoders.items()}
        if not encoders:
            return
        self._live = live = LiveText(self.parts, self.encoders)
        material = self.material
        texts = {item.caption for item in (*material.instances, *material.classes, *material.validation)}
        self._fills = any(len(live.chunks(number, text)) > 1 for number in range(len(encoders)) for text in texts)
        if self.options.gradient_checkpointing:
            checkpoint_encoders(self.encoders)

    def text_states(self, captions: Sequence[str]) -> tuple[Tensor, Tensor | None]:
        """Those of the encoders that learn, as they are now; else what was encoded before."""
        return super().text_states(captions) if self._live is None else self._live.states(captions)

    @property
    def padding(self) -> Tensor:
        """The states of the empty prompt, (l, D), on the device: as they are now, where a caption is filled up."""
        if self._live is None:
            return super().padding
        if self._fills:
            return self._live.states([""])[0][0]
        if self._padding is None:
            with torch.no_grad():
                self._padding = self._live.states([""])[0][0]
        return self._padding


def checkpoint_encoders(encoders: Mapping[str, Any]) -> None:
    """Keep less of text encoders for the backward pass, and compute it again there."""
    for encoder in encoders.values():
        # transformers 5 renamed it on its way.
        kind = "activation" if hasattr(encoder, "activation_checkpointing_enable") else "gradient"
        getattr(encoder, f"{kind}_checkpointing_enable")({"use_reentrant": False})
        encoder.train()  # checkpoints nothing otherwise
        for part in encoder.modules():
            if isinstance(getattr(part, "dropout", None), float):
                part.dropout = 0.0  # its random numbers would be nobody's


def text_components(parts: Parts) -> dict[str, Any]:
    """A model's shared text encoders by component."""
    names = [name for name in parts.components if name.startswith("text_encoder")]
    return {name: parts.component(name) for name in names}


def canonical(name: str) -> str:
    """A text encoder's parameter as published files name it: transformers names it with ``text_model.`` or without."""
    return name if name.startswith(("text_model.", "text_projection.")) else f"text_model.{name}"
