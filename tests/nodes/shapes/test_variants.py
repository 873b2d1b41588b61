"""The variants of the bundled model do their jobs, on few seeds and in few steps, with a margin; diffusers loads them.

docs/shapes.md has the figures of 64 images each.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from benchmarks.effect_wires import custom_processors
from weft.nodes import (
    apply_lora,
    canny,
    cfg,
    controlnet,
    decode,
    denoise,
    depth,
    depth_control,
    encode_prompt,
    load_controlnet,
    load_custom_diffusion,
    load_model,
    load_t2i_adapter,
    load_textual_inversion,
    merge_loras,
    segmentation_palette,
    t2i_adapter,
)
from weft.nodes.models.bundled import FILES, MODEL, home
from weft.nodes.shapes.frame import frame_share, inside
from weft.nodes.shapes.judge import judge
from weft.nodes.shapes.manifest import manifest
from weft.nodes.shapes.measure_variants import (
    FRAMED,
    Shown,
    edited,
    hinted,
    known,
    made,
    means,
    picture_of,
    styled,
    taught,
)
from weft.nodes.shapes.scenes import free_scene
from weft.nodes.values import Control, Image, Model

SHAPES = home() / "shapes"
VARIANTS = SHAPES / "variants"


@pytest.fixture(scope="module")
def plain() -> Model:
    return load_model("shapes")


def mean(shown: list[Shown], key: str) -> float:
    return means(shown)[key]


def test_all_bundled_files_are_small_and_known() -> None:
    import json

    files = manifest(SHAPES)
    assert json.loads((VARIANTS / "manifest.json").read_text()) == files, "run python -m weft.nodes.shapes.manifest"
    assert sum(int(told["bytes"]) for told in files.values()) < 40e6
    assert all(file.endswith((".safetensors", ".json", ".txt")) for file in files)


def test_edges_place_the_object_and_the_prompt_colours_it(plain: Model) -> None:
    net = load_controlnet("shapes-edges")

    def control(image: Image) -> Control:
        return controlnet(net, canny(image))

    shown = list(hinted(4, plain, control, name_shape=False, seeds=1, steps=12))
    assert mean(shown, "iou") >= 0.8
    assert mean(shown, "all") >= 0.75
    assert mean(list(hinted(4, plain, None, seeds=1, steps=12)), "iou") <= 0.6, "the hint is what places it"


def test_regions_place_the_object_and_the_prompt_colours_it(plain: Model) -> None:
    net = load_t2i_adapter("shapes-regions")

    def control(image: Image) -> Control:
        return t2i_adapter(net, segmentation_palette(image))

    shown = list(hinted(4, plain, control, seeds=1, steps=12))
    assert mean(shown, "iou") >= 0.7
    assert mean(shown, "colour") >= 0.75


def test_depth_places_the_object_and_the_prompt_colours_it() -> None:
    model = load_model("shapes-depth")
    shown = list(hinted(4, model, lambda image: depth_control(depth(image, "shapes")), seeds=1, steps=12))
    assert mean(shown, "iou") >= 0.75
    assert mean(shown, "all") >= 0.75


@pytest.mark.parametrize("kind", ["colour", "background"])
def test_edits_do_what_they_are_told_and_keep_the_rest(kind: str) -> None:
    shown = list(edited(6, load_model("shapes-edit"), kind, steps=12))
    assert mean(shown, "told") >= {"colour": 0.75, "background": 0.5}[kind]
    assert mean(shown, "iou") >= 0.8
    assert mean(shown, "outside") <= 10


def test_a_lora_teaches_a_shape_and_leaves_the_others(plain: Model) -> None:
    model = apply_lora(plain, "shapes-heart")
    assert mean(list(taught(6, model, "heart", "heart", seeds=1, steps=12)), "all") >= 0.5
    assert mean(list(taught(3, plain, "heart", "heart", seeds=1, steps=12)), "shape") <= 0.34
    assert mean(list(known(4, model, seeds=1, steps=12)), "all") >= 0.75


def test_a_style_comes_with_its_word_alone(plain: Model) -> None:
    model = apply_lora(plain, "shapes-frame")
    assert mean(list(styled(4, model, True, seeds=1, steps=12)), "all") >= 0.6
    assert mean(list(styled(2, plain, True, seeds=1, steps=12)), "told") == 0
    assert mean(list(styled(4, model, False, seeds=1, steps=12)), "all") >= 0.6


def test_two_adapters_do_what_each_does(plain: Model) -> None:
    model = merge_loras(plain, ["shapes-heart", "shapes-frame"], [1.0, 1.05])
    text = encode_prompt(model, "a large red heart on a mint background, framed")
    pictures = made(model, cfg(text, scale=3.0), 0, steps=12, batch=4)
    assert np.mean([frame_share(one) >= FRAMED for one in pictures]) >= 0.5
    assert np.mean([judge(inside(one), ("heart",)).has(shape="heart") for one in pictures]) >= 0.5


def test_a_learned_word_draws_its_shape(plain: Model) -> None:
    model = load_textual_inversion(plain, ["shapes-dome"])
    assert mean(list(taught(4, model, "dome", "<dome>", seeds=4)), "shape") >= 0.5


def test_custom_diffusion_draws_its_shape_and_leaves_the_others(plain: Model) -> None:
    model = load_custom_diffusion(plain, "shapes-house", ["shapes-house-word"])
    assert mean(list(taught(4, model, "house", "<house>", seeds=4)), "shape") >= 0.5
    assert mean(list(known(4, model, seeds=1, steps=12)), "all") >= 0.75


def theirs(pipe: object, prompt: str, **options: object) -> np.ndarray:
    made = pipe(  # type: ignore[operator]
        prompt,
        num_inference_steps=3,
        guidance_scale=3.0,
        generator=torch.Generator().manual_seed(0),
        output_type="np",
        **options,
    )
    return np.asarray(made.images[0])


def ours(model: Model, prompt: str, *controls: Control) -> np.ndarray:
    latents = denoise(model, [cfg(encode_prompt(model, prompt), scale=3.0)], controls=list(controls), steps=3, seed=0)
    return decode(model, latents.latents).pixels[0].numpy()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["edges", "regions", "heart", "frame", "dome", "house"])
def test_diffusers_loads_it_and_draws_the_same(plain: Model, name: str) -> None:
    from diffusers import (
        ControlNetModel,
        StableDiffusionAdapterPipeline,
        StableDiffusionControlNetPipeline,
        StableDiffusionPipeline,
        T2IAdapter,
    )

    options = {"safety_checker": None, "torch_dtype": torch.float32}
    source = picture_of(free_scene(np.random.default_rng(3), two=0))
    prompt = "a blue star on a white background"
    if name == "edges":
        hint = canny(source)
        net = ControlNetModel.from_pretrained(VARIANTS / name, torch_dtype=torch.float32)
        pipe = StableDiffusionControlNetPipeline.from_pretrained(home() / MODEL, controlnet=net, **options)
        wanted = theirs(pipe, prompt, image=hint.pixels.permute(0, 3, 1, 2))
        got = ours(plain, prompt, controlnet(load_controlnet("shapes-edges"), hint))
    elif name == "regions":
        hint = segmentation_palette(source)
        adapter = T2IAdapter.from_pretrained(VARIANTS / name, torch_dtype=torch.float32)
        pipe = StableDiffusionAdapterPipeline.from_pretrained(home() / MODEL, adapter=adapter, **options)
        wanted = theirs(pipe, prompt, image=hint.pixels.permute(0, 3, 1, 2))
        got = ours(plain, prompt, t2i_adapter(load_t2i_adapter("shapes-regions"), hint))
    else:
        pipe = StableDiffusionPipeline.from_pretrained(home() / MODEL, **options)
        words = {"heart": "a blue heart on a white background", "frame": f"{prompt}, framed"}
        prompt = words.get(name, prompt.replace("star", f"<{name}>"))
        if name in words:
            pipe.load_lora_weights(VARIANTS / name)
            model = apply_lora(plain, f"shapes-{name}")
        elif name == "dome":
            pipe.load_textual_inversion(home() / FILES["shapes-dome"])
            model = load_textual_inversion(plain, ["shapes-dome"])
        else:
            pipe.unet.set_attn_processor(custom_processors(pipe.unet, home() / FILES["shapes-house"]))
            pipe.load_textual_inversion(home() / FILES["shapes-house-word"])
            model = load_custom_diffusion(plain, "shapes-house", ["shapes-house-word"])
        wanted, got = theirs(pipe, prompt), ours(model, prompt)
    assert np.abs(got - wanted).max() <= 1e-3
    assert np.abs(got - ours(plain, "a blue star on a white background")).max() > 0.05


@pytest.mark.parametrize(("name", "channels"), [("edit", 8), ("depth", 5)])
def test_diffusers_loads_the_denoisers(name: str, channels: int) -> None:
    from diffusers import UNet2DConditionModel

    unet = UNet2DConditionModel.from_pretrained(VARIANTS / name / "unet", torch_dtype=torch.float32)
    model = load_model(f"shapes-{name}")
    assert unet.config.in_channels == model.unet_channels == channels
    mine = model.parts().unet.state_dict()
    assert all(torch.equal(mine[key], tensor) for key, tensor in unet.state_dict().items())
