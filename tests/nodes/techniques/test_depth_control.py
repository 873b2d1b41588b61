"""Depth in a fifth channel: parity with diffusers given a depth map, cost, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import diffusers
import pytest
import torch
from PIL import Image as Pillow
from torch import Tensor

from tests.nodes.hints.test_models import depth_folder
from tests.nodes.sampling.conftest import BUILDERS
from tests.nodes.sampling.oracle import seeded, set_scheduler
from tests.nodes.techniques.conftest import _calm
from tests.nodes.techniques.guided import NEGATIVE, PROMPT, ours
from tests.nodes.techniques.measure import counted, relative
from tests.tiny import tiny_sd1, tiny_sd2
from weft.nodes import depth, depth_control, encode_image
from weft.nodes.values import Image, Model

__all__ = ["depth_folder"]

Models = Callable[[str], Model]
Pipes = Callable[[str, str], Any]
BUILDERS["sd2_depth"] = lambda folder: _calm(tiny_sd2(folder, "epsilon", unet_in=5))
BUILDERS["sd1_depth"] = lambda folder: _calm(tiny_sd1(folder, unet_in=5))


def picture(count: int = 1, size: int = 128, seed: int = 5) -> Image:
    return Image(torch.rand(count, size, size, 3, generator=torch.Generator().manual_seed(seed)))


def theirs(
    model: Model,
    pipe: Pipes,
    name: str,
    image: Image,
    depth: Image | Path,
    scheduler: str,
    batch: int,
    strength: float,
) -> Tensor:
    """diffusers' pipeline on the same modules, from the VAE's mean. depth: the map, or the model that estimates it."""
    estimator = processor = None
    if isinstance(depth, Path):
        from transformers import AutoImageProcessor, DPTForDepthEstimation

        estimator = DPTForDepthEstimation.from_pretrained(depth).eval()
        processor = AutoImageProcessor.from_pretrained(depth)
    source = pipe(name, "StableDiffusionPipeline")
    parts = ("vae", "text_encoder", "tokenizer", "unet", "scheduler")
    made = diffusers.StableDiffusionDepth2ImgPipeline(
        **{part: getattr(source, part) for part in parts}, depth_estimator=estimator, feature_extractor=processor
    )
    made.set_progress_bar_config(disable=True)
    made.own_scheduler = source.own_scheduler
    set_scheduler(made, scheduler)
    latents = encode_image(model, image).samples

    def prepare(_: Any, timestep: Tensor, *args: Any, **options: Any) -> Tensor:
        # Theirs draws from the VAE's distribution; ours began from its mean.
        noise = torch.cat([torch.randn(1, 4, 16, 16, generator=source) for source in seeded(7, batch)])
        return made.scheduler.add_noise(latents.expand(batch, -1, -1, -1), noise, timestep)

    made.prepare_latents = prepare
    given: dict[str, Any] = {"image": image.pixels.permute(0, 3, 1, 2) * 2 - 1}
    if isinstance(depth, Image):
        given["depth_map"] = depth.pixels.mean(dim=-1)
    else:
        given["image"] = [Pillow.fromarray((one * 255).round().to(torch.uint8).numpy()) for one in image.pixels]
    return made(
        PROMPT,
        **given,
        strength=strength,
        negative_prompt=NEGATIVE,
        guidance_scale=5.0,
        num_inference_steps=5,
        num_images_per_prompt=batch,
        generator=seeded(7, batch),
        output_type="latent",
    ).images


@pytest.mark.parametrize(
    ("name", "scheduler", "batch", "strength"),
    [("sd2_depth", "ddim", 1, 0.8), ("sd2_depth", "euler", 2, 0.6), ("sd1_depth", "dpmpp_2m", 1, 1.0)],
)
def test_parity(model: Models, pipe: Pipes, name: str, scheduler: str, batch: int, strength: float) -> None:
    made, image, depth = model(name), picture(), picture(seed=6)
    expected = theirs(made, pipe, name, image, depth, scheduler, batch, strength)
    options: dict[str, Any] = {"start": encode_image(made, image), "strength": strength, "steps": 5, "batch": batch}
    parts = made.parts()
    with counted(parts.unet) as rows:
        got = ours(made, controls=[depth_control(depth)], scheduler=scheduler, **options)
    assert relative(got, expected) <= 1e-4
    assert rows == [2 * batch] * int(5 * strength)


@pytest.mark.parametrize(("scheduler", "batch"), [("ddim", 1), ("euler", 2)])
def test_depth_from_a_picture(model: Models, pipe: Pipes, depth_folder: Path, scheduler: str, batch: int) -> None:
    """The estimate goes to the latents' size at once, as in diffusers' pipeline given a picture alone."""
    made = model("sd2_depth")
    levels = torch.randint(0, 256, (1, 128, 128, 3), generator=torch.Generator().manual_seed(5))
    image = Image(levels / 255)
    expected = theirs(made, pipe, "sd2_depth", image, depth_folder, scheduler, batch, 0.8)
    options: dict[str, Any] = {"start": encode_image(made, image), "strength": 0.8, "steps": 5, "batch": batch}

    def drawn(size: Any) -> Tensor:
        hint = depth(image, str(depth_folder), device="cpu", size=size)
        return ours(made, controls=[depth_control(hint)], scheduler=scheduler, **options)

    assert relative(drawn("latents"), expected) <= 1e-4
    assert relative(drawn("picture"), expected) > 1e-4


def test_from_noise_with_a_map_for_each(model: Models) -> None:
    made, maps = model("sd1_depth"), picture(2)
    batch = ours(made, controls=[depth_control(maps)], batch=2)
    for number in range(2):
        alone = ours(made, controls=[depth_control(Image(maps.pixels[number : number + 1]))], seed=7 + number)
        assert relative(batch[number : number + 1], alone) <= 1e-4
    assert relative(batch, ours(made, controls=[depth_control(picture(2, seed=9))], batch=2)) > 1e-3


def test_a_flat_map_is_finite(model: Models) -> None:
    """diffusers divides by its range, which is nothing."""
    flat = Image(torch.full((1, 128, 128, 3), 0.5))
    assert bool(torch.isfinite(ours(model("sd1_depth"), controls=[depth_control(flat)], steps=1)).all())


def test_refused(model: Models) -> None:
    with pytest.raises(ValueError, match="use `depth_control`"):
        ours(model("sd1_depth"))
    with pytest.raises(ValueError, match="with 5 channels; this one takes 4"):
        ours(model("sd1_calm"), controls=[depth_control(picture())])
    with pytest.raises(ValueError, match="the depth is 64 x 64 and the image 128 x 128"):
        ours(model("sd1_depth"), controls=[depth_control(picture(size=64))])
    with pytest.raises(ValueError, match="3 depth maps do not fit a batch of 2"):
        ours(model("sd1_depth"), controls=[depth_control(picture(3))], batch=2)
