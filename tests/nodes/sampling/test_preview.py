"""Previews: exact where the VAE is linear, small, and in the right colours."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import numpy
import pytest
import torch
from PIL import Image as Picture
from torch import Tensor

from weft.nodes.sampling.preview import Previewer, encode_picture


class Config(dict[str, Any]):
    """A configuration as diffusers has it: by key and by attribute."""

    __getattr__ = dict.__getitem__


class LinearVae:
    """Every latent pixel becomes 8 x 8 pixels of one colour."""

    device = torch.device("cpu")
    dtype = torch.float32
    config = Config(scaling_factor=0.5)

    def __init__(self) -> None:
        self.matrix = torch.tensor([[0.3, 0.0, 0.1], [0.0, 0.2, -0.1], [0.1, 0.1, 0.2], [-0.2, 0.1, 0.0]])
        self.decoded: list[int] = []

    def decode(self, latents: Tensor, return_dict: bool) -> tuple[Tensor]:
        self.decoded.append(latents.shape[-1])
        rgb = torch.einsum("bchw,cr->brhw", latents * 0.5, self.matrix)
        return (rgb.repeat_interleave(8, -1).repeat_interleave(8, -2),)

    def colours(self, latents: Tensor) -> Tensor:
        return torch.einsum("bchw,cr->bhwr", latents, self.matrix) / 2 + 0.5


def test_large_latents_go_through_a_fitted_map() -> None:
    vae = LinearVae()
    show = Previewer(vae)
    clean = torch.nn.functional.interpolate(torch.randn(2, 4, 12, 9), (64, 48), mode="bilinear")
    data, mime, width, height = show(clean)
    assert (mime, width, height) == ("image/jpeg", 48 * 8, 64 * 8)
    assert len(data) < 60_000
    shown = torch.from_numpy(numpy.array(Picture.open(BytesIO(data)))).float()[4::8, 4::8] / 255
    assert (shown - vae.colours(clean)[0]).abs().mean() < 0.03
    show(clean)
    assert vae.decoded == [24], "the VAE is asked once, for something small"


def test_small_latents_are_decoded() -> None:
    vae = LinearVae()
    clean = torch.randn(1, 4, 16, 16)
    data, mime, width, height = Previewer(vae)(clean)
    assert (mime, width, height) == ("image/png", 128, 128)
    shown = torch.from_numpy(numpy.array(Picture.open(BytesIO(data)))).float()[::8, ::8] / 255
    assert (shown - vae.colours(clean)[0].clamp(0, 1)).abs().max() < 0.01


@pytest.mark.parametrize(("side", "mime"), [(16, "image/png"), (512, "image/jpeg")])
def test_channels_are_in_order_and_nan_is_shown(side: int, mime: str) -> None:
    pixels = torch.zeros(side, side, 3)
    pixels[..., 0] = 1.0
    pixels[0, 0] = float("nan")
    data, found, _, _ = encode_picture(pixels)
    red, green, blue = Picture.open(BytesIO(data)).convert("RGB").getpixel((side // 2, side // 2))  # type: ignore[misc]
    assert found == mime
    assert red > 240 > 20 > max(green, blue)
