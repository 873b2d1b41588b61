"""Which rows see an IP-Adapter's picture: what the base and the techniques beside it say of theirs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from torch import Tensor

from tests.nodes.sampling.oracle import seeded, set_scheduler
from tests.nodes.techniques.guided import NEGATIVE, PROMPT, ours
from tests.nodes.techniques.measure import relative
from tests.nodes.techniques.test_instruct_pix2pix import edited
from tests.nodes.techniques.test_instruct_pix2pix import picture as scene
from tests.nodes.techniques.test_ip_adapter import nets, picture, pillow
from tests.tiny_nets import tiny_controlnet
from weft.nodes import controlnet, encode_prompt, ip_adapter, load_controlnet, load_ip_adapter, sega
from weft.nodes.values import Guidance, Model

__all__ = ["nets"]

Models = Callable[[str], Model]
Pipes = Callable[[str, str], Any]
Nets = Callable[..., Path]
SIZE = {"width": 128, "height": 128}


def with_adapter(pipe: Any, file: Path, scheduler: str, batch: int = 1, **options: Any) -> Tensor:
    """Latents of a diffusers pipeline with an IP-Adapter at 0.6."""
    before = dict(pipe.unet.attn_processors)
    pipe.load_ip_adapter(
        str(file.parent),
        subfolder="",
        weight_name=file.name,
        image_encoder_folder="image_encoder",
        low_cpu_mem_usage=False,
    )
    try:
        pipe.set_ip_adapter_scale(0.6)
        set_scheduler(pipe, scheduler)
        return pipe(
            PROMPT,
            negative_prompt=NEGATIVE,
            num_inference_steps=4,
            num_images_per_prompt=batch,
            generator=seeded(7, batch),
            output_type="latent",
            **options,
        ).images
    finally:
        pipe.unload_ip_adapter()
        pipe.unet.set_attn_processor(before)


def nothing(model: Model) -> Guidance:
    """A concept that is the negative prompt: its row is the unconditional one, so it has nothing to add."""
    return sega(encode_prompt(model, NEGATIVE), scale=6.0, warmup=0, threshold=0.0)


@pytest.fixture(scope="module")
def edges(folder: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Any:
    return load_controlnet(str(tiny_controlnet(tmp_path_factory.mktemp("nets") / "net", folder("sd1_calm"))))


@pytest.mark.parametrize(("scheduler", "batch"), [("ddim", 1), ("euler_ancestral", 2)])
def test_instruct_pix2pix_with_a_picture(model: Models, pipe: Pipes, nets: Nets, scheduler: str, batch: int) -> None:
    """diffusers shows the picture to the text row alone: the image row compares with the unconditional one."""
    made, file, image = model("sd1_edit"), nets("sd1_edit"), scene()
    expected = with_adapter(
        pipe("sd1_edit", "StableDiffusionInstructPix2PixPipeline"),
        file,
        scheduler,
        batch,
        image=image.pixels.permute(0, 3, 1, 2),
        ip_adapter_image=pillow(picture())[0],
        guidance_scale=7.5,
        image_guidance_scale=1.5,
    )
    control = ip_adapter(load_ip_adapter(str(file)), picture(), scale=0.6)
    got = edited(made, image, controls=(control,), scheduler=scheduler, batch=batch)
    assert relative(got, expected) <= 1e-4
    assert relative(got, edited(made, image, scheduler=scheduler, batch=batch)) > 1e-3


@pytest.mark.parametrize(("scheduler", "batch"), [("ddim", 1), ("dpmpp_2m", 2)])
@pytest.mark.parametrize("guess", [False, True])
def test_controlnet_with_a_picture(
    model: Models, pipe: Pipes, nets: Nets, edges: Any, guess: bool, scheduler: str, batch: int
) -> None:
    made, file = model("sd1_calm"), nets("sd1_calm")
    hint = picture(1, 128, 128, seed=6)
    import diffusers

    plain = pipe("sd1_calm", "StableDiffusionPipeline")
    live = diffusers.ControlNetModel.from_pretrained(edges.location)
    beside = diffusers.StableDiffusionControlNetPipeline(
        **plain.components | {"controlnet": live}, requires_safety_checker=False
    )
    beside.set_progress_bar_config(disable=True)
    beside.own_scheduler = plain.own_scheduler
    expected = with_adapter(
        beside,
        file,
        scheduler,
        batch,
        image=hint.pixels.permute(0, 3, 1, 2),
        ip_adapter_image=pillow(picture())[0],
        guidance_scale=5.0,
        guess_mode=guess,
    )
    controls = [
        controlnet(edges, hint, guess_mode=guess),
        ip_adapter(load_ip_adapter(str(file)), picture(), scale=0.6),
    ]
    assert relative(ours(made, controls=controls, scheduler=scheduler, batch=batch), expected) <= 1e-4


@pytest.mark.parametrize("beside", ["nothing", "picture", "guess", "picture and guess"])
def test_a_concept_that_is_the_negative_prompt_adds_nothing(model: Models, nets: Nets, edges: Any, beside: str) -> None:
    made, controls = model("sd1_calm"), []
    if "picture" in beside:
        controls.append(ip_adapter(load_ip_adapter(str(nets("sd1_calm"))), picture(), scale=0.6))
    if "guess" in beside:
        controls.append(controlnet(edges, picture(1, 128, 128, seed=6), guess_mode=True))
    plain = ours(made, controls=controls)
    assert relative(ours(made, nothing(made), controls=controls), plain) <= 1e-5


@pytest.mark.parametrize("shown", [False, True])
def test_nor_does_it_beside_instruct_pix2pix(model: Models, nets: Nets, shown: bool) -> None:
    made, image = model("sd1_edit"), scene()
    controls = (ip_adapter(load_ip_adapter(str(nets("sd1_edit"))), picture(), scale=0.6),) if shown else ()
    plain = edited(made, image, controls=controls)
    assert relative(edited(made, image, nothing(made), controls=controls), plain) <= 1e-5
