"""The bundled model: a folder that diffusers loads too, small, and good enough to measure with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from weft.nodes import cfg, decode, denoise, encode_image, encode_prompt, load_model
from weft.nodes.models.locate import BUNDLED
from weft.nodes.shapes.measure import SCHEDULERS, Prompt, facts, pair_prompts, single_prompts
from weft.nodes.shapes.world import render, sample_scene, vocabulary
from weft.nodes.values import Image, Model

FOLDER = Path(__file__).parents[3] / "nodes" / BUNDLED["shapes"]


@pytest.fixture(scope="module")
def model() -> Model:
    return load_model("shapes")


def right(model: Model, prompts: list[Prompt], **options: object) -> float:
    """Share of images in which everything is as asked."""
    hits = []
    for seed, prompt in enumerate(prompts):
        latents = denoise(model, [cfg(encode_prompt(model, prompt.text), scale=3.0)], seed=seed, **options).latents  # type: ignore[call-overload]
        image = decode(model, latents).pixels[0].numpy()
        hits.append(facts(prompt, (image * 255).round().astype(np.uint8))["all"])
    return sum(hits) / len(hits)


def test_small_and_safe() -> None:
    files = [f for f in FOLDER.rglob("*") if f.is_file()]
    assert sum(f.stat().st_size for f in files) < 15e6
    assert {f.suffix for f in files} <= {".json", ".safetensors", ".txt"}


def test_every_word_of_the_world_is_one_token(model: Model) -> None:
    tokenizer = model.parts().tokenizers[0]
    assert [w for w in vocabulary() if len(tokenizer(w, add_special_tokens=False).input_ids) != 1] == []
    assert len(tokenizer("hexagon", add_special_tokens=False).input_ids) > 1


@pytest.mark.filterwarnings("ignore")
def test_equals_diffusers(model: Model) -> None:
    from diffusers import StableDiffusionPipeline

    text, steps = "a red circle left of a blue square on a white background", 8
    pipe = StableDiffusionPipeline.from_pretrained(FOLDER, safety_checker=None, torch_dtype=torch.float32)
    pipe.set_progress_bar_config(disable=True)
    theirs = pipe(
        text,
        num_inference_steps=steps,
        guidance_scale=4.0,
        generator=torch.Generator().manual_seed(5),
        output_type="np",
    ).images
    ours = decode(model, denoise(model, [cfg(encode_prompt(model, text), scale=4.0)], steps=steps, seed=5).latents)
    assert np.abs(ours.pixels.numpy() - theirs).max() <= 1e-4


def test_the_autoencoder_keeps_pictures(model: Model) -> None:
    rng = np.random.default_rng(77)
    pictures = np.stack([render(sample_scene(rng)) for _ in range(64)]).astype(np.float32) / 255
    again = decode(model, encode_image(model, Image(torch.from_numpy(pictures)))).pixels.numpy()
    assert np.abs(again - pictures).mean() * 255 <= 2.5


def test_one_object(model: Model) -> None:
    assert right(model, single_prompts(), steps=12) >= 0.9


def test_two_objects(model: Model) -> None:
    assert right(model, [*pair_prompts("left of")[:8], *pair_prompts("above")[:8]], steps=12) >= 0.8


@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_under_every_scheduler(model: Model, scheduler: str) -> None:
    assert right(model, single_prompts()[:4], steps=20, scheduler=scheduler) >= 0.75
