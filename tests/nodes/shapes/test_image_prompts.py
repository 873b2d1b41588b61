"""The world's CLIP tells captions apart, and the bundled IP-Adapter draws what a picture shows, as diffusers does."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image as Pillow

from tests.nodes.techniques.measure import relative
from weft.nodes import cfg, denoise, encode_prompt, ip_adapter, load_ip_adapter, load_model
from weft.nodes.models.bundled import IMAGE_ENCODERS, IMAGE_PROMPTS, MODEL, home
from weft.nodes.models.errors import ModelError
from weft.nodes.sampling.noise import generators
from weft.nodes.shapes.judge import judge
from weft.nodes.shapes.measure_variants import made, picture_of
from weft.nodes.shapes.scenes import free_scene
from weft.nodes.shapes.training.clip import as_values, contrast, cover, ranks_first, twin
from weft.nodes.shapes.training.clip import draw as draw_scene
from weft.nodes.shapes.training.finetune import Base
from weft.nodes.shapes.training.image_prompt import draw, less
from weft.nodes.shapes.world import BACKGROUNDS, COLORS, SHAPES, Scene, Thing, render, with_article
from weft.nodes.values import Model

VARIANTS = home() / "shapes" / "variants"


@pytest.fixture(scope="module")
def plain() -> Model:
    return load_model("shapes")


@pytest.fixture(scope="module")
def clip() -> tuple[Any, Any]:
    """Both sides, as transformers loads them."""
    from transformers import CLIPTextModelWithProjection, CLIPVisionModelWithProjection

    folder = VARIANTS / "clip"
    return (
        CLIPVisionModelWithProjection.from_pretrained(folder / "image_encoder", dtype=torch.float32).eval(),
        CLIPTextModelWithProjection.from_pretrained(folder / "text_encoder", dtype=torch.float32).eval(),
    )


def test_the_right_caption_is_nearest(clip: tuple[Any, Any]) -> None:
    """Of all 224 that a picture of one thing can have."""
    assert ranks_first(Base.load(home() / MODEL, "cpu"), *clip, count=48) >= 0.9


def test_it_knows_which_of_two_has_which_colour(clip: tuple[Any, Any]) -> None:
    """Where they stand it does not know (docs/shapes.md)."""
    vision, text = clip
    base, rng, right = Base.load(home() / MODEL, "cpu"), np.random.default_rng(8), []
    for _ in range(16):
        first, second = (str(c) for c in rng.choice(list(COLORS), 2, replace=False))
        things = (Thing("circle", first, 34, 64, 44), Thing("star", second, 94, 64, 44))
        texts = [f"{with_article(a)} circle and {with_article(b)} star" for a, b in ((first, second), (second, first))]
        with torch.no_grad():
            image = vision(as_values([render(Scene(things, "white"))])).image_embeds
            scores = F.cosine_similarity(image, text(base.ids(texts)).text_embeds)
        right.append(float(scores[0] > scores[1]))
    assert np.mean(right) >= 0.75


def test_equal_captions_share() -> None:
    """A batch whose captions are all equal, and so their embeddings: nothing is wrong but the share of each."""
    images, text = torch.randn(4, 8, generator=torch.Generator().manual_seed(0)), torch.ones(1, 8)
    assert contrast(text.repeat(4, 1), text.repeat(4, 1)) == pytest.approx(np.log(4))
    texts = text.repeat(4, 1)
    assert contrast(images, texts) == pytest.approx(float(contrast(images[[2, 3, 0, 1]], texts)))


def test_a_twin_differs_in_its_shapes_alone() -> None:
    rng = np.random.default_rng(4)
    for _ in range(50):
        scene = draw_scene(rng)
        other = twin(rng, scene)
        assert [replace(t, shape="star") for t in scene.things] == [replace(t, shape="star") for t in other.things]
        assert all(a.shape != b.shape for a, b in zip(scene.things, other.things, strict=True))
        assert less(scene.caption) == less(other.caption)
        places = cover(scene)
        assert set(places[places > 0]) == {SHAPES.index(t.shape) + 1 for t in scene.things}


def test_captions_never_tell_what_the_picture_shows() -> None:
    assert (
        less("a large orange star on the left on a white background")
        == "a large shape on the left on a white background"
    )
    assert less("an orange circle") == "a shape"
    rng = np.random.default_rng(2)
    for _ in range(50):
        example = draw(rng)
        assert not set(example.caption.split()) & {*COLORS, *SHAPES}
        assert example.hint is not None
        target, shown = judge(example.picture), judge(example.hint)
        assert [(t.color, t.shape) for t in target.things] == [(t.color, t.shape) for t in shown.things]
        assert "background" in example.caption or target.background == shown.background


def test_a_picture_says_what_and_the_words_on_which_background(plain: Model) -> None:
    net, there, without, said = load_ip_adapter("shapes-image"), [], [], []
    for number in range(4):
        scene = free_scene(np.random.default_rng((31, number)), two=0)
        wanted = [(scene.things[0].color, scene.things[0].shape)]
        control = ip_adapter(net, picture_of(scene), scale=1.0)
        other = next(b for b in list(BACKGROUNDS)[number:] if b != scene.background)
        for background, found in (("", there), (other, said)):
            prompt = f"a shape on a {background} background" if background else "a shape"
            guidance = cfg(encode_prompt(plain, prompt), scale=3.0)
            for picture in made(plain, guidance, 100 * number, [control], steps=10, batch=2):
                seen = judge(picture)
                found.append(float(seen.shows(wanted) and seen.background == (background or scene.background)))
        guidance = cfg(encode_prompt(plain, "a shape"), scale=3.0)
        without += [float(judge(p).shows(wanted)) for p in made(plain, guidance, 100 * number, steps=10, batch=2)]
    assert np.mean(there) >= 0.75
    assert np.mean(said) >= 0.75
    assert np.mean(without) <= 0.25


@pytest.mark.filterwarnings("ignore")
def test_diffusers_draws_the_same(plain: Model) -> None:
    from diffusers import StableDiffusionPipeline

    scene = free_scene(np.random.default_rng(3), two=0)
    pipe = StableDiffusionPipeline.from_pretrained(home() / MODEL, safety_checker=None, torch_dtype=torch.float32)
    encoder, file = home() / IMAGE_ENCODERS["shapes-clip"], home() / IMAGE_PROMPTS["shapes-image"]
    pipe.load_ip_adapter(
        str(VARIANTS),
        subfolder="image",
        weight_name=file.name,
        image_encoder_folder=str(encoder.relative_to(VARIANTS)),
        low_cpu_mem_usage=False,
    )
    pipe.set_ip_adapter_scale(0.8)
    prompt = "a shape on a white background"
    wanted = pipe(
        prompt,
        ip_adapter_image=Pillow.fromarray(render(scene)),
        num_inference_steps=4,
        guidance_scale=3.0,
        num_images_per_prompt=2,
        generator=generators(5, 2),
        output_type="latent",
    ).images
    guidance = [cfg(encode_prompt(plain, prompt), scale=3.0)]
    options: dict[str, Any] = {"steps": 4, "seed": 5, "batch": 2, "scheduler": "ddim"}
    control = ip_adapter(load_ip_adapter("shapes-image"), picture_of(scene), scale=0.8)
    got = denoise(plain, guidance, controls=[control], **options).latents.samples
    assert relative(got, wanted) <= 1e-4
    assert relative(got, denoise(plain, guidance, **options).latents.samples) > 1e-2


def test_a_near_name() -> None:
    with pytest.raises(ModelError, match=r"a bundled IP-Adapter \(shapes-image\).* Did you mean 'shapes-image'"):
        load_ip_adapter("shapes-imag")
    with pytest.raises(ModelError, match=r"a bundled image encoder \(shapes-clip\).* Did you mean 'shapes-clip'"):
        load_ip_adapter("shapes-image", "shapes-klip")
