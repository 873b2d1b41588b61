"""noise, blend and resize_latents."""

from __future__ import annotations

import pytest
import torch

from weft.nodes import blend, noise, resize_latents
from weft.nodes.images.headers import ImageFileError
from weft.nodes.values import Latents, Mask, Model

MODEL = Model(source="x", location="x", fingerprint="x", family="sd1", prediction="epsilon", size=64)


def test_image_k_is_the_first_image_of_seed_plus_k() -> None:
    batch = noise(MODEL, seed=5, batch=3).samples
    assert batch.shape == (3, 4, 8, 8)
    for k in range(3):
        assert torch.equal(batch[k], noise(MODEL, seed=5 + k).samples[0])
    assert torch.equal(batch[:1], torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(5)))


def test_the_global_random_state_is_left_alone() -> None:
    torch.manual_seed(3)
    state = torch.get_rng_state()
    noise(MODEL, seed=1)
    assert torch.equal(torch.get_rng_state(), state)


def test_size_is_asked_for_in_pixels() -> None:
    assert noise(MODEL, width=128, height=32).samples.shape == (1, 4, 4, 16)
    with pytest.raises(ValueError, match="width must be a multiple of 8 for this model, not 100; 96 is near"):
        noise(MODEL, width=100)
    with pytest.raises(ImageFileError, match="the limit is"):
        noise(MODEL, width=16384, height=16384)
    with pytest.raises(ValueError, match="no room for 2 seeds"):
        noise(MODEL, seed=2**63 - 1, batch=2)


@pytest.mark.parametrize("mode", ["linear", "spherical"])
def test_the_ends_of_a_blend_are_its_inputs(mode: str) -> None:
    a, b = noise(MODEL, seed=1, batch=2), noise(MODEL, seed=9, batch=2)
    for amount, end in ((0.0, a), (1.0, b)):
        torch.testing.assert_close(blend(a, b, amount, mode).samples, end.samples)  # type: ignore[arg-type]


def test_spherical_keeps_noise_noise() -> None:
    a, b = noise(MODEL, seed=1, width=512, height=512), noise(MODEL, seed=2, width=512, height=512)
    assert float(blend(a, b, 0.5).samples.var()) == pytest.approx(0.5, abs=0.03)
    assert float(blend(a, b, 0.5, "spherical").samples.var()) == pytest.approx(1, abs=0.05)
    assert float(blend(a, b, 0.2, "spherical").samples.var()) == pytest.approx(1, abs=0.05)


def test_spherical_turns_at_even_length() -> None:
    a, b = Latents(torch.tensor([[[[1.0, 0.0]]]])), Latents(torch.tensor([[[[0.0, 1.0]]]]))
    half = 0.5**0.5
    torch.testing.assert_close(blend(a, b, 0.5, "spherical").samples.flatten(), torch.tensor([half, half]))
    for other in (a.samples, -a.samples, torch.zeros(1, 1, 1, 2)):  # no arc of their own: straight
        mixed = blend(a, Latents(other), 0.25, "spherical").samples
        torch.testing.assert_close(mixed, torch.lerp(a.samples, other, 0.25))


def test_a_mask_says_where() -> None:
    a, b = Latents(torch.zeros(1, 4, 2, 4)), Latents(torch.ones(3, 4, 2, 4))
    mask = Mask(torch.cat([torch.zeros(1, 16, 16), torch.ones(1, 16, 16)], dim=2))
    mixed = blend(a, b, 1.0, mask=mask).samples
    assert mixed.shape == (3, 4, 2, 4)
    assert mixed[2, 1, 0].tolist() == pytest.approx([0, 0.1, 0.9, 1], abs=0.11)
    own = blend(a, b, 0.5, mask=Mask(torch.ones(3, 2, 4))).samples
    assert torch.equal(own, torch.full((3, 4, 2, 4), 0.5))


def test_what_does_not_go_together_is_named() -> None:
    a = Latents(torch.zeros(2, 4, 2, 4))
    with pytest.raises(ValueError, match=r"differ in shape: a is \(2, 4, 2, 4\), b is \(2, 4, 4, 4\)"):
        blend(a, Latents(torch.zeros(2, 4, 4, 4)))
    with pytest.raises(ValueError, match="the batches differ: 2 images, and b has 3"):
        blend(a, Latents(torch.zeros(3, 4, 2, 4)))


def test_inputs_are_not_changed() -> None:
    a, b = noise(MODEL, seed=1), noise(MODEL, seed=2)
    kept = a.samples.clone(), b.samples.clone()
    result = blend(a, b, 0.0)
    result.samples.add_(1)
    blend(a, b, 0.3, "spherical", Mask(torch.ones(1, 3, 3)))
    assert torch.equal(a.samples, kept[0])
    assert torch.equal(b.samples, kept[1])


@pytest.mark.parametrize("method", ["nearest", "bilinear", "bicubic"])
def test_resizing_latents(method: str) -> None:
    latents = Latents(torch.full((2, 4, 6, 8), 3.5))
    resized = resize_latents(latents, 5, 13, method).samples  # type: ignore[arg-type]
    assert resized.shape == (2, 4, 13, 5)
    torch.testing.assert_close(resized, torch.full_like(resized, 3.5))


def test_nearest_keeps_the_variance_of_noise() -> None:
    latents = noise(MODEL, seed=1, width=512, height=512)
    assert float(resize_latents(latents, 96, 96, "nearest").samples.var()) == pytest.approx(1, abs=0.05)
    assert float(resize_latents(latents, 96, 96, "bilinear").samples.var()) < 0.7
