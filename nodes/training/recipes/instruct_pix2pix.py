"""InstructPix2Pix (arXiv 2211.09800): a denoiser that reads the picture before an edit in further channels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from weft.nodes.training.denoiser import Condition, own_copy
from weft.nodes.training.denoising import Batch, DenoisingRecipe
from weft.nodes.training.errors import TrainingError
from weft.nodes.training.material import Material
from weft.nodes.values.model import Model
from weft.nodes.values.train_options import TrainOptions
from weft.nodes.values.training import Adapter, Dataset


class InstructPix2PixRecipe(DenoisingRecipe):
    """All weights of a denoiser whose first convolution reads as many channels again.

    Args:
        material: of pairs; its conditions are encoded.
        dropout: p. Of all samples 2 p learn without the instruction and 2 p without the picture, p of these without
            both, so that guidance has something to compare with.
    """

    name: ClassVar[str] = "instruct_pix2pix"

    def __init__(self, model: Model, material: Material, options: TrainOptions, dropout: float = 0.05) -> None:
        if not 0 <= dropout <= 1 / 3:
            raise TrainingError(
                f"the dropout is {dropout}: three times it are a share of the samples, so give 0 to 1/3"
            )
        self.dropout = dropout
        super().__init__(model, material, options)

    def settings(self) -> Any:
        """The dropout."""
        return {"dropout": self.dropout}

    def make_unet(self) -> Any:
        """A denoiser of its own, widened."""
        self.dtype = torch.float32
        with self.model.parts() as parts:
            unet = own_copy(parts.unet)
        return widened(unet, 2 * self.model.latent_channels)

    def groups(self) -> Mapping[str, Mapping[str, torch.nn.Parameter]]:
        """All parameters of the denoiser."""
        return {"unet": {f"unet.{name}": p for name, p in self.unet.named_parameters()}}

    def export(self, weights: Mapping[str, Tensor]) -> Adapter:
        """The denoiser, whole, with its number of channels."""
        settings = {"unet_channels": 2 * self.model.latent_channels}
        return Adapter.of("unet_delta", dict(weights), settings, self.model.fingerprint, self.model.family)

    def captions(self, batch: Batch) -> list[str]:
        """The instructions; some are left away."""
        drawn = self._drawn(batch).tolist()
        captions = super().captions(batch)
        return ["" if u < 2 * self.dropout else text for text, u in zip(captions, drawn, strict=True)]

    def pictures(self, batch: Batch) -> Tensor:
        """The latents of the pictures before the edit, (n, C, h, w) on the device; zeros where one is left away."""
        drawn = self._drawn(batch)
        seen = ~((drawn >= self.dropout) & (drawn < 3 * self.dropout))
        latents = self.material.condition_latents(batch.items, batch.views)
        return (latents * seen.to(latents.dtype).view(-1, 1, 1, 1)).to(self.device)

    def predict(self, noisy: Tensor, times: Tensor, condition: Condition, batches: Sequence[Batch]) -> Tensor:
        """What the denoiser predicts of noisy latents beside the pictures before the edit."""
        pictures = torch.cat([self.pictures(batch) for batch in batches])
        return super().predict(torch.cat([noisy, pictures], dim=1), times, condition, batches)

    def _drawn(self, batch: Batch) -> Tensor:
        """One number in [0, 1) for each sample; what is held out is measured with everything."""
        if batch.purpose.startswith("validation"):
            return torch.ones(len(batch.items), dtype=torch.float64)
        return batch.samples.draws.uniform(f"{batch.purpose}conditioning dropout", batch.samples.numbers)


def widened(unet: Any, channels: int) -> Any:
    """A denoiser whose first convolution reads `channels` channels; the new ones have no effect yet.

    unet: is changed. One that reads so many channels stays as it is, and learns on.

    Raises:
        TrainingError: it reads other channels than those of latents already.
    """
    old = unet.conv_in
    if old.in_channels == channels:
        return unet
    if 2 * old.in_channels != channels:
        raise TrainingError(
            f"the denoiser takes {old.in_channels} channels: train InstructPix2Pix on one that takes {channels // 2}, "
            f"or on one of {channels} that was trained for it"
        )
    new = torch.nn.Conv2d(
        channels,
        old.out_channels,
        old.kernel_size,
        old.stride,
        old.padding,
        device="meta",  # draws no first numbers, which would be lost
    ).to_empty(device=old.weight.device)
    with torch.no_grad():
        new.weight.zero_()
        new.weight[:, : old.in_channels].copy_(old.weight)
        assert new.bias is not None
        assert old.bias is not None
        new.bias.copy_(old.bias)
    unet.conv_in = new.to(old.weight.dtype)
    unet.register_to_config(in_channels=channels)
    return unet


def check_pairs(dataset: Dataset) -> None:
    """Raises TrainingError for a data set that holds more than pairs."""
    alone = [item.picture.name for item in dataset.of("instance", "validation") if item.condition is None]
    if alone:
        raise TrainingError(
            f"{len(alone)} of {len(dataset.items)} pictures have no picture before the edit beside them, first "
            f"{', '.join(alone[:3])}: InstructPix2Pix learns from pairs, as dataset_paired gives them"
        )
    if dataset.of("class"):
        raise TrainingError(
            "the data set has class images, which are no pairs: InstructPix2Pix learns from pairs alone"
        )
