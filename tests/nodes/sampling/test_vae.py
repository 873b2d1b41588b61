"""Images and latents: equal to diffusers' VAE whole, near to it in tiles."""

from __future__ import annotations

import copy
from collections.abc import Callable
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from tests.nodes.sampling.oracle import difference
from weft.nodes import decode, encode_image, load_model
from weft.nodes.basic.encode_image import Tiles
from weft.nodes.sampling.vae import _spans, decode_latents, encode_pixels, in_tiles, rescale, unscale
from weft.nodes.shapes.world import render, sample_scene
from weft.nodes.values import Image, Latents, Model

Models = Callable[[str], Model]
TILINGS: tuple[Tiles, Tiles] = ("never", "always")


def test_decode_equals_diffusers(model: Models, pipe: Callable[[str, str], Any]) -> None:
    latents = Latents(torch.randn(2, 4, 8, 12, generator=torch.Generator().manual_seed(0)) * 0.2)
    for name, kind in (("sd1", "StableDiffusionPipeline"), ("sdxl", "StableDiffusionXLPipeline")):
        vae = pipe(name, kind).vae
        with torch.no_grad():
            theirs = (vae.decode(latents.samples / vae.config.scaling_factor).sample / 2 + 0.5).clamp(0, 1)
        ours = decode(model(name), latents).pixels
        assert ours.shape == (2, 64, 96, 3)
        assert difference(ours.permute(0, 3, 1, 2), theirs) <= 1e-5


def test_tiles_are_near_the_whole(model: Models) -> None:
    """Norms and the middle's attention see the tile alone, so tiles are not exact: here within 5/255 on average.

    diffusers' own tiles are the yardstick; the tiny model's attention is made as broad as a trained VAE's.
    """
    vae = copy.deepcopy(model("sd1").parts().vae)
    generator = torch.Generator().manual_seed(0)
    samples = torch.nn.functional.interpolate(torch.randn(1, 4, 12, 16, generator=generator), (96, 120)) * 0.2
    with torch.no_grad():
        for name, weight in vae.named_parameters():
            if "to_q" in name or "to_k" in name:
                weight.mul_(0.05)
        whole = decode_latents(vae, samples, tiled=False)
        tiled = decode_latents(vae, samples, tiled=True)
        vae.enable_tiling()
        vae.tile_latent_min_size, vae.tile_sample_min_size = 64, 512
        theirs = (vae.decode(unscale(vae, samples)).sample / 2 + 0.5).clamp(0, 1).permute(0, 2, 3, 1)
    assert tiled.shape == whole.shape == (1, 768, 960, 3)
    assert whole.std() > 20 / 255
    assert (tiled - whole).abs().mean() < 5 / 255
    assert (tiled - whole).abs().mean() < 1.1 * (theirs - whole).abs().mean()


def test_tiles_of_an_encoding_are_near_the_whole() -> None:
    """On a trained VAE and a picture of its world: latents differ by 5 %, and no more than with diffusers' tiles."""
    trained = load_model("shapes", device="cpu")
    vae = copy.deepcopy(trained.parts().vae)
    picture = render(sample_scene(np.random.default_rng(0)), 640)[:, 256:384]
    image = Image(torch.from_numpy(picture.copy()).float()[None] / 255)
    whole, tiled = (encode_image(trained, image, tiles=tiles).samples for tiles in TILINGS)
    with torch.no_grad():
        vae.enable_tiling()
        vae.tile_latent_min_size, vae.tile_sample_min_size = 64, 512
        theirs = rescale(vae, vae.encode(image.pixels.permute(0, 3, 1, 2) * 2 - 1).latent_dist.mean)
    assert tiled.shape == whole.shape == theirs.shape == (1, 4, 80, 16)
    error, diffusers_error = (tiled - whole).abs(), (theirs - whole).abs()
    assert 0 < error.mean() < 0.05 * whole.std()
    assert error.mean() < 1.1 * diffusers_error.mean()


def test_tiles_of_a_local_function_are_exact() -> None:
    """Where a result depends on its own pixel alone, seams must not show at all, up or down in size."""
    calls = 0

    def count() -> None:
        nonlocal calls
        calls += 1

    whole = torch.randn(1, 3, 150, 130)
    up = in_tiles(lambda x: x.repeat_interleave(4, -1).repeat_interleave(4, -2), whole, 64, 16, count)
    assert torch.allclose(up, whole.repeat_interleave(4, -1).repeat_interleave(4, -2), atol=1e-5)
    assert calls == 9
    big = torch.randn(1, 3, 160, 128)
    down = in_tiles(lambda x: x[..., ::8, ::8], big, 64, 16, count)
    assert torch.allclose(down, big[..., ::8, ::8], atol=1e-5)


@pytest.mark.parametrize("length", [1, 63, 64, 65, 80, 112, 113, 200, 1000])
def test_spans_cover(length: int) -> None:
    spans = list(_spans(length, 64, 16))
    seen = torch.zeros(length)
    for start, stop in spans:
        assert 0 <= start < stop <= length
        seen[start:stop] += 1
    assert bool((seen > 0).all())
    assert all(right[0] <= left[1] - 16 for left, right in pairwise(spans))
    assert len(set(spans)) == len(spans)


def test_large_images_are_tiled_by_themselves(model: Models, monkeypatch: pytest.MonkeyPatch) -> None:
    import weft.nodes.sampling.vae as module

    monkeypatch.setattr(module, "WHOLE", 100)
    monkeypatch.setattr(module, "TILE", 8)
    monkeypatch.setattr(module, "OVERLAP", 2)
    vae = model("sd1").parts().vae
    sizes: list[tuple[int, ...]] = []
    real = vae.decode
    monkeypatch.setattr(vae, "decode", lambda x, **options: (sizes.append(tuple(x.shape[-2:])), real(x, **options))[1])
    assert decode(model("sd1"), Latents(torch.zeros(1, 4, 12, 12))).pixels.shape == (1, 96, 96, 3)
    assert set(sizes) == {(8, 8)}
    assert decode(model("sd1"), Latents(torch.zeros(1, 4, 12, 12)), tiles="never").pixels.shape == (1, 96, 96, 3)
    assert sizes[-1] == (12, 12)
    with torch.no_grad():
        assert encode_pixels(vae, torch.zeros(1, 96, 96, 3)).shape == (1, 4, 12, 12)


def test_scaling_with_statistics() -> None:
    """VAEs that say the mean and spread of their latents are normalised by them."""
    vae: Any = SimpleNamespace(config=Config(latents_mean=[1.0, 2.0], latents_std=[2.0, 4.0], scaling_factor=0.5))
    latents = torch.randn(1, 2, 3, 3)
    assert torch.allclose(unscale(vae, rescale(vae, latents)), latents, atol=1e-6)
    mean, spread = torch.tensor([1.0, 2.0]).view(1, 2, 1, 1), torch.tensor([2.0, 4.0]).view(1, 2, 1, 1)
    expected = (latents - mean) * 0.5 / spread
    assert torch.allclose(rescale(vae, latents), expected)


class Config(dict[str, Any]):
    """A configuration as diffusers has it: by key and by attribute."""

    __getattr__ = dict.__getitem__


def test_refused(model: Models) -> None:
    with pytest.raises(ValueError, match="is 65 x 64; its sides have to be multiples of 8: resize it to 64 x 64"):
        encode_image(model("sd1"), Image(torch.zeros(1, 64, 65, 3)))
    with pytest.raises(ValueError, match="the latents have 16 channels"):
        decode(model("sd1"), Latents(torch.zeros(1, 16, 8, 8)))
    with pytest.raises(ArithmeticError, match="NaN or infinity"):
        decode(model("sd1"), Latents(torch.full((1, 4, 8, 8), float("nan"))))
