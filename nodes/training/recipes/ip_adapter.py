"""IP-Adapter (arXiv 2308.06721): pictures as prompts, through keys and values of their own in each cross-attention."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from weft.nodes.models.first_weights import own_random
from weft.nodes.training.denoiser import Condition
from weft.nodes.training.denoising import Batch, DenoisingRecipe
from weft.nodes.training.draws import Draws
from weft.nodes.training.errors import TrainingError
from weft.nodes.training.image_states import ImageStates
from weft.nodes.training.initial import begin
from weft.nodes.training.material import Material
from weft.nodes.training.recipes.hinted import plain_denoiser
from weft.nodes.values.model import Model
from weft.nodes.values.train_options import TrainOptions
from weft.nodes.values.training import Adapter

TOKENS = 4
"""That a picture becomes: published files do not say how many, and readers take it for granted."""


@dataclass(frozen=True)
class IPAdapterSettings:
    """image_dropout, both_dropout: shares of the samples without the picture, and without picture and caption.

    seed: of the projection's first weights.
    """

    image_dropout: float = 0.05
    both_dropout: float = 0.05
    seed: int = 0


class Projection(torch.nn.Module):
    """States of pictures (n, reads) become tokens (n, tokens, width). Named as in published files."""

    def __init__(self, reads: int, width: int) -> None:
        super().__init__()
        self.proj = torch.nn.Linear(reads, TOKENS * width)
        self.norm = torch.nn.LayerNorm(width)

    def forward(self, states: Tensor) -> Tensor:
        return self.norm(self.proj(states).unflatten(-1, (TOKENS, -1)))


class ImageAttention(torch.nn.Module):
    """The processor of a cross-attention whose last states are tokens of a picture, with keys and values for them."""

    def __init__(self, attention: Any) -> None:
        super().__init__()
        inner, width = attention.to_k.weight.shape
        device = attention.to_k.weight.device
        self.to_k_ip = torch.nn.Linear(width, inner, bias=False, device=device)
        self.to_v_ip = torch.nn.Linear(width, inner, bias=False, device=device)
        with torch.no_grad():
            self.to_k_ip.weight.copy_(attention.to_k.weight)
            self.to_v_ip.weight.copy_(attention.to_v.weight)

    def forward(
        self,
        attn: Any,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor,
        attention_mask: Tensor | None = None,
        temb: Tensor | None = None,
    ) -> Tensor:
        """Attention to the text and, beside it with the same queries, to the picture: (n, positions, channels)."""
        text, tokens = encoder_hidden_states[:, :-TOKENS], encoder_hidden_states[:, -TOKENS:]
        query = attn.to_q(hidden_states).unflatten(-1, (attn.heads, -1)).transpose(1, 2)

        def read(keys: Tensor, values: Tensor) -> Tensor:
            key, value = (
                part.unflatten(-1, (attn.heads, -1)).transpose(1, 2).to(query.dtype) for part in (keys, values)
            )
            return scaled_dot_product_attention(query, key, value, scale=attn.scale)

        tokens = tokens.to(self.to_k_ip.weight.dtype)
        found = read(attn.to_k(text), attn.to_v(text)) + read(self.to_k_ip(tokens), self.to_v_ip(tokens))
        return attn.to_out[1](attn.to_out[0](found.transpose(1, 2).flatten(2)))


class IPAdapterRecipe(DenoisingRecipe):
    """A projection of image embeddings to tokens, and keys and values for them, which begin as those of text.

    Args:
        images: what the image encoder makes of the pictures that prompt.
        encoder: the image encoder as it was named, which goes with the adapter.
    """

    name: ClassVar[str] = "ip_adapter"

    def __init__(
        self,
        model: Model,
        material: Material,
        options: TrainOptions,
        own: IPAdapterSettings,
        images: ImageStates,
        encoder: str,
    ) -> None:
        text = options.caption_dropout
        if text + own.both_dropout + own.image_dropout > 1:
            raise TrainingError(
                f"the shares without caption ({text}), without picture ({own.image_dropout}) and without both "
                f"({own.both_dropout}) are more than all samples: they must add up to 1 at most"
            )
        self.own, self.images, self.encoder = own, images, encoder
        # One number decides for a sample, so that no share depends on another: first those without caption alone, then
        # those without both, then those without picture alone.
        self._without_picture = (text, text + own.both_dropout + own.image_dropout)
        super().__init__(model, material, options)

    def settings(self) -> Any:
        """Shares, tokens, and which encoder sees which pictures."""
        return asdict(self.own), self._without_picture, self.images.identity

    def make_unet(self) -> Any:
        """The denoiser with keys and values for pictures beside those for text."""
        unet = plain_denoiser(self.model, self.parts.unet)
        self.sites = [name.removesuffix(".processor") for name in unet.attn_processors if ".attn2." in name]
        width = int(unet.config.cross_attention_dim)
        for site in self.sites:
            attention = unet.get_submodule(site)
            if attention.to_k.weight.shape[1] != width:
                raise TrainingError("cross-attentions of several widths: an IP-Adapter for this model is not known")
            with own_random():
                attention.set_processor(ImageAttention(attention))
        with own_random():
            projection = Projection(self.images.width, width)
        begin(projection, Draws(self.own.seed))
        self.projection = projection.to(self.device)
        return unet

    def groups(self) -> Mapping[str, Mapping[str, torch.nn.Parameter]]:
        """The projection, and the keys and values, by their published names."""
        image = {f"net.image_proj.{name}": item for name, item in self.projection.named_parameters()}
        keys = {
            f"net.ip_adapter.{2 * number + 1}.{name}": item
            for number, site in enumerate(self.sites)
            for name, item in self.unet.get_submodule(f"{site}.processor").named_parameters()
        }
        return {"net": image | keys}

    def predict(self, noisy: Tensor, times: Tensor, condition: Condition, batches: Sequence[Batch]) -> Tensor:
        """What the denoiser predicts with the pictures' tokens behind the captions' states."""
        states = torch.cat([self._states(batch) for batch in batches]).to(self.device)
        text = condition.text
        wider = torch.cat([text, self.projection(states).to(text.dtype)], dim=1)
        return super().predict(noisy, times, Condition(wider, condition.padding, condition.added), batches)

    def captions(self, batch: Batch) -> list[str]:
        """The caption of each sample, empty for those that go without it."""
        share = self.options.caption_dropout + self.own.both_dropout
        return self.material.captions(batch.items, batch.samples, batch.purpose, share)

    def _states(self, batch: Batch) -> Tensor:
        """The embedding of each sample's picture, (n, reads); zeros for those that go without."""
        states = self.images.of(batch.items)
        # The draw that decides on the caption too; see `Material.captions`.
        drawn = batch.samples.draws.uniform(f"{batch.purpose}caption dropout", batch.samples.numbers)
        first, last = self._without_picture
        return states * ~((drawn >= first) & (drawn < last))[:, None]

    def export(self, weights: Mapping[str, Tensor]) -> Adapter:
        """An IP-Adapter in published names."""
        config = {"kind": "plain", "tokens": TOKENS, "image_encoder": self.encoder}
        tensors = {name.removeprefix("net."): tensor for name, tensor in weights.items()}
        return Adapter.of("ip_adapter", tensors, {"config": config}, self.model.fingerprint, self.model.family)
