"""InstructPix2Pix: parity with diffusers, cost, composition, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.nodes.sampling.conftest import BUILDERS
from tests.nodes.sampling.oracle import seeded, set_scheduler
from tests.nodes.techniques.conftest import _calm
from tests.nodes.techniques.guided import NEGATIVE, PROMPT
from tests.nodes.techniques.measure import counted, relative
from tests.tiny import tiny_sd1
from weft.engine import check
from weft.graphs import Graph
from weft.nodes import cfg, denoise, encode_prompt, instruct_pix2pix, load_model, pag
from weft.nodes.values import Image, Model

Models = Callable[[str], Model]
Pipes = Callable[[str, str], Any]
BUILDERS["sd1_edit"] = lambda folder: _calm(tiny_sd1(folder, unet_in=8))


def picture(count: int = 1, size: int = 128, seed: int = 5) -> Image:
    return Image(torch.rand(count, size, size, 3, generator=torch.Generator().manual_seed(seed)))


def edited(
    model: Model,
    image: Image,
    *guidance: Any,
    scale: float = 7.5,
    image_scale: float = 1.5,
    controls: tuple[Any, ...] = (),
    **options: Any,
) -> Tensor:
    base = instruct_pix2pix(
        model, image, encode_prompt(model, PROMPT), encode_prompt(model, NEGATIVE), scale, image_scale
    )
    settings: dict[str, Any] = {"steps": 4, "scheduler": "ddim", "seed": 7, "width": 128, "height": 128} | options
    return denoise(model, [base, *guidance], list(controls), **settings).latents.samples


@pytest.mark.parametrize(
    ("scheduler", "batch", "scale", "image_scale"),
    [
        ("ddim", 1, 7.5, 1.5),
        ("euler_ancestral", 2, 4.0, 2.0),
        ("pndm", 1, 7.5, 1.0),
        ("dpmpp_2m", 1, 1.0, 1.5),
        ("euler", 1, 7.5, 0.5),
    ],
)
def test_parity(model: Models, pipe: Pipes, scheduler: str, batch: int, scale: float, image_scale: float) -> None:
    oracle = pipe("sd1_edit", "StableDiffusionInstructPix2PixPipeline")
    set_scheduler(oracle, scheduler)
    image = picture()
    expected = oracle(
        PROMPT,
        image=image.pixels.permute(0, 3, 1, 2),
        negative_prompt=NEGATIVE,
        guidance_scale=scale,
        image_guidance_scale=image_scale,
        num_inference_steps=4,
        num_images_per_prompt=batch,
        generator=seeded(7, batch),
        output_type="latent",
    ).images
    got = edited(model("sd1_edit"), image, scale=scale, image_scale=image_scale, batch=batch, scheduler=scheduler)
    assert relative(got, expected) <= 1e-4


def test_cost(model: Models) -> None:
    """Three rows a step in one forward; one where guidance is off."""
    made = model("sd1_edit")
    parts = made.parts()
    with counted(parts.unet) as rows:
        edited(made, picture(), batch=2)
        assert rows == [6] * 4
        rows.clear()
        edited(made, picture(), scale=1.0)
        assert rows == [1] * 4


def test_image_k_equals_its_own_seed(model: Models) -> None:
    """Each with its own picture."""
    made, images = model("sd1_edit"), picture(2)
    batch = edited(made, images, batch=2, scheduler="euler_ancestral")
    for number in range(2):
        alone = edited(made, Image(images.pixels[number : number + 1]), seed=7 + number, scheduler="euler_ancestral")
        assert relative(batch[number : number + 1], alone) <= 1e-4


def test_rows_of_others_see_the_image(model: Models) -> None:
    """The perturbed row of PAG reads the image as the text row does: at scale 0 nothing changes."""
    made = model("sd1_edit")
    plain = edited(made, picture())
    assert torch.equal(edited(made, picture(), pag(0.0)), plain)
    parts = made.parts()
    with counted(parts.unet) as rows:
        guided = edited(made, picture(), pag(3.0))
    assert rows == [4] * 4
    assert bool(torch.isfinite(guided).all())
    assert relative(guided, plain) > 1e-3


def test_excludes_cfg_at_check() -> None:
    from weft.nodes import load_image

    with Graph() as graph:
        model = load_model("shapes")
        prompt = encode_prompt(model, "a red circle")
        image = load_image("picture.png")
        denoise(model, [cfg(prompt), instruct_pix2pix(model, image, prompt)])
    bases, channels = [problem.message for problem in check(graph) if problem.code == "conflict"]
    assert "cfg (cfg) and instruct_pix2pix (instruct_pix2pix)" in bases
    assert "exactly one" in bases
    assert "takes 4 channels and is given 8" in channels


def test_bad_input(model: Models) -> None:
    made, plain = model("sd1_edit"), model("sd1_calm")
    prompt = encode_prompt(made, PROMPT)
    with pytest.raises(ValueError, match="use `instruct_pix2pix` with an image"):
        denoise(made, [cfg(prompt)], steps=1, width=128, height=128)
    with pytest.raises(ValueError, match=r"with 8 channels such as .* takes 4"):
        instruct_pix2pix(plain, picture(), prompt)
    with pytest.raises(ValueError, match="instruct_pix2pix needs a model trained for it"):
        denoise(plain, [instruct_pix2pix(made, picture(), prompt)], steps=1, width=128, height=128)
    with pytest.raises(ValueError, match="the image to edit is 64 x 64 and denoise makes 128 x 128"):
        edited(made, picture(size=64))
    with pytest.raises(ValueError, match="3 images to edit do not fit a batch of 2"):
        edited(made, picture(3), batch=2)
