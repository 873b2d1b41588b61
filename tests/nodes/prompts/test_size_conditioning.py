"""SDXL's second prompt and size conditioning equal diffusers' pipeline; other models refuse them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.nodes.sampling.oracle import difference, seeded, set_scheduler
from tests.nodes.techniques.measure import relative
from weft.engine import check
from weft.graphs import Graph
from weft.nodes import (
    batch_prompts,
    cfg,
    denoise,
    encode_prompt,
    load_model,
    regions,
    sega,
    size_conditioning,
    weighted_prompt,
)
from weft.nodes.values import Conditioning, Mask, Model

Models = Callable[[str], Model]
Pipes = Callable[[str, str], Any]
PROMPT, NEGATIVE = "a red circle left of a blue square", "a green star on black"
SECOND, SECOND_NEGATIVE = "a photo of a cat", "a large dog"
SIZES = {
    "original_width": 96,
    "original_height": 48,
    "crop_left": 24,
    "crop_top": 8,
    "target_width": 112,
    "target_height": 72,
}
OTHERS = {
    "original_width": 40,
    "original_height": 80,
    "crop_left": 3,
    "crop_top": 5,
    "target_width": 200,
    "target_height": 160,
}


def in_diffusers(sizes: dict[str, int], prefix: str = "") -> dict[str, Any]:
    """Rows first."""
    return {
        f"{prefix}original_size": (sizes["original_height"], sizes["original_width"]),
        f"{prefix}crops_coords_top_left": (sizes["crop_top"], sizes["crop_left"]),
        f"{prefix}target_size": (sizes["target_height"], sizes["target_width"]),
    }


def theirs(pipe: Pipes, *, name: str = "sdxl", batch: int = 1, **options: Any) -> Tensor:
    oracle = pipe(name, "StableDiffusionXLPipeline")
    set_scheduler(oracle, "euler")
    settings: dict[str, Any] = {"negative_prompt": NEGATIVE, "width": 64, "height": 48} | options
    return oracle(
        PROMPT,
        guidance_scale=5.0,
        num_inference_steps=3,
        num_images_per_prompt=batch,
        generator=seeded(3, batch),
        output_type="latent",
        **settings,
    ).images


def ours(model: Model, prompt: Conditioning, negative: Conditioning | None, *more: Any, **options: Any) -> Tensor:
    settings: dict[str, Any] = {"steps": 3, "scheduler": "euler", "seed": 3, "width": 64, "height": 48} | options
    return denoise(model, [cfg(prompt, negative, scale=5.0), *more], **settings).latents.samples


def sized(model: Model, text: str, sizes: dict[str, int]) -> Conditioning:
    return size_conditioning(model, encode_prompt(model, text), **sizes)


def test_a_second_prompt(model: Models, pipe: Pipes) -> None:
    made = model("sdxl")
    expected = theirs(pipe, prompt_2=SECOND, negative_prompt_2=SECOND_NEGATIVE)
    for encoded in (encode_prompt, weighted_prompt):
        found = encoded(made, PROMPT, text_2=SECOND), encoded(made, NEGATIVE, text_2=SECOND_NEGATIVE)
        assert difference(ours(made, *found), expected) <= 1e-4
    assert relative(theirs(pipe), expected) > 1e-3
    # One text is for both.
    same = encode_prompt(made, PROMPT, text_2=PROMPT)
    assert torch.equal(same.text, encode_prompt(made, PROMPT).text)
    # Words are those of the first text.
    assert [word for word, _, _ in encode_prompt(made, PROMPT, text_2=SECOND).spans] == PROMPT.split()


def test_a_second_prompt_of_another_length(model: Models) -> None:
    """Each encoder's shorter text is filled up with its own empty prompt."""
    made = model("sdxl")
    long = "a red circle and a blue square " * 12
    empty = encode_prompt(made, "")
    for first, second in ((long, PROMPT), (PROMPT, long)):
        found = encode_prompt(made, first, text_2=second)
        one, other = (encode_prompt(made, text) for text in (first, second))
        assert found.padding is not None
        assert torch.equal(found.padding, empty.text)
        width = made.parts().text_encoders[0].config.hidden_size
        for part, whole in ((slice(0, width), one), (slice(width, None), other)):
            length = whole.text.shape[1]
            assert torch.equal(found.text[:, :length, part], whole.text[..., part])
            assert torch.equal(found.text[:, length:, part], empty.text[..., part][:, : found.text.shape[1] - length])
        assert found.pooled is not None
        assert other.pooled is not None
        assert torch.equal(found.pooled, other.pooled)
        assert len(found.tokens) == found.text.shape[1] == 154


def test_sizes_of_both(model: Models, pipe: Pipes) -> None:
    made = model("sdxl")
    expected = theirs(pipe, **in_diffusers(SIZES), **in_diffusers(OTHERS, "negative_"))
    found = ours(made, sized(made, PROMPT, SIZES), sized(made, NEGATIVE, OTHERS))
    assert difference(found, expected) <= 1e-4
    assert relative(theirs(pipe), expected) > 1e-3


def test_sizes_of_both_in_a_batch(model: Models, pipe: Pipes) -> None:
    """Each image equals that alone. diffusers (0.42) repeats both sizes as a pair, so that of two images one has the
    negative sizes in both rows and the other one the prompt's."""
    made = model("sdxl_calm")
    together = ours(made, sized(made, PROMPT, SIZES), sized(made, NEGATIVE, OTHERS), batch=2)
    for number in range(2):
        alone = ours(made, sized(made, PROMPT, SIZES), sized(made, NEGATIVE, OTHERS), seed=3 + number)
        assert relative(together[number : number + 1], alone) <= 1e-4
    # With equal sizes it is right.
    expected = theirs(pipe, name="sdxl_calm", batch=2, **in_diffusers(SIZES))
    found = ours(made, sized(made, PROMPT, SIZES), encode_prompt(made, NEGATIVE), batch=2)
    assert relative(found, expected) <= 1e-4


@pytest.mark.parametrize("negative", [NEGATIVE, None])
def test_a_negative_prompt_without_sizes_takes_the_prompts(model: Models, pipe: Pipes, negative: str | None) -> None:
    made = model("sdxl")
    expected = theirs(pipe, negative_prompt=negative, **in_diffusers(SIZES))
    found = ours(made, sized(made, PROMPT, SIZES), None if negative is None else encode_prompt(made, negative))
    assert difference(found, expected) <= 1e-4


@pytest.mark.parametrize("field", ["original_size", "crops_coords_top_left", "target_size"])
def test_what_is_left_at_0_is_the_pictures_own(model: Models, pipe: Pipes, field: str) -> None:
    made = model("sdxl")
    sides = {"original_size": "original", "crops_coords_top_left": "crop", "target_size": "target"}
    some = {key: number for key, number in SIZES.items() if key.startswith(sides[field])}
    expected = theirs(pipe, **{field: in_diffusers(SIZES)[field]})
    assert difference(ours(made, sized(made, PROMPT, some), encode_prompt(made, NEGATIVE)), expected) <= 1e-4


def test_without_sizes_nothing_changes(model: Models) -> None:
    made = model("sdxl")
    plain = ours(made, encode_prompt(made, PROMPT), encode_prompt(made, NEGATIVE))
    own = {"original_width": 64, "original_height": 48, "target_width": 64, "target_height": 48}
    for sizes in ({}, own):
        assert torch.equal(ours(made, sized(made, PROMPT, sizes), sized(made, NEGATIVE, sizes)), plain)


def test_rows_of_techniques_take_the_sizes_of_the_prompt(model: Models) -> None:
    """A concept that is the unconditional prompt changes nothing, nor a region that is the prompt's."""
    made = model("sdxl_calm")
    prompt, negative = sized(made, PROMPT, SIZES), encode_prompt(made, NEGATIVE)
    plain = ours(made, prompt, negative)
    concept = sega(encode_prompt(made, NEGATIVE), warmup=0, threshold=0.0)
    region = regions([encode_prompt(made, PROMPT)], [Mask(torch.ones(1, 48, 64))])
    for technique in (concept, region):
        assert relative(ours(made, prompt, negative, technique), plain) <= 1e-4
    other = regions([sized(made, PROMPT, OTHERS)], [Mask(torch.ones(1, 48, 64))])
    assert relative(ours(made, prompt, negative, other), plain) > 1e-3


def test_each_image_can_have_its_own_sizes(model: Models) -> None:
    made = model("sdxl_calm")
    prompts = [sized(made, PROMPT, SIZES), sized(made, SECOND, OTHERS)]
    negative = encode_prompt(made, NEGATIVE)
    together = ours(made, batch_prompts(prompts), negative, batch=2)
    for number, prompt in enumerate(prompts):
        alone = ours(made, prompt, negative, seed=3 + number)
        assert relative(together[number : number + 1], alone) <= 1e-4


def test_other_families_refuse_them(model: Models) -> None:
    made = model("sd1")
    with pytest.raises(ValueError, match=r"text_2 is what SDXL's second text encoder reads; .* is sd1"):
        encode_prompt(made, PROMPT, text_2=SECOND)
    with pytest.raises(ValueError, match="text_2 is what SDXL's second"):
        weighted_prompt(made, PROMPT, text_2=SECOND)
    with pytest.raises(ValueError, match=r"size_conditioning is for SDXL.* this model is sd1"):
        size_conditioning(made, encode_prompt(made, PROMPT), original_width=64)
    strange = Conditioning(encode_prompt(made, PROMPT).text, sizes=((64, 64, 0, 0, 64, 64),))
    with pytest.raises(ValueError, match="sizes, which SDXL alone reads"):
        ours(made, strange, None)


def test_check_says_so_before_the_run() -> None:
    with Graph() as graph:
        made = load_model("shapes")
        size_conditioning(made, encode_prompt(made, PROMPT, text_2=SECOND), original_width=64)
        weighted_prompt(made, PROMPT, text_2="(")
    found = {(problem.node, problem.input): problem.message for problem in check(graph)}
    assert "this model is sd1" in found["encode_prompt", "text_2"]
    assert "this model is sd1, which reads no sizes" in found["size_conditioning", "model"]
    assert ("weighted_prompt", "text_2") in found
