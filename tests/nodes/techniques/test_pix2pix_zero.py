"""Pix2Pix Zero: parity with diffusers for generated and for real images, cost, batches, what is refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.nodes.sampling.oracle import seeded, set_scheduler
from tests.nodes.techniques.measure import counted, relative
from weft.engine import check
from weft.graphs import Graph
from weft.nodes import (
    attend_and_excite,
    cfg,
    denoise,
    encode_prompt,
    from_inversion,
    invert,
    load_model,
    multidiffusion,
    pix2pix_zero,
    prompt_to_prompt,
)
from weft.nodes.values import Conditioning, Latents, Model

Models = Callable[[str], Model]
Pipes = Callable[[str, str], Any]
NAME = "sd1_calm"
PROMPT = "a red circle on white"
SOURCE = ["a red circle", "a photo of a circle", "circle on black background"]
TARGET = ["a red square", "a photo of a square"]


@contextmanager
def borrowed(pipe: Pipes, scheduler: str) -> Iterator[Any]:
    """The pipeline; it leaves its processors on the denoiser and asks for gradients of its weights: both are undone."""
    made = pipe(NAME, "StableDiffusionPix2PixZeroPipeline")
    set_scheduler(made, scheduler)
    before = dict(made.unet.attn_processors)
    try:
        yield made
    finally:
        made.unet.set_attn_processor(before)
        made.unet.requires_grad_(False)


def concepts(oracle: Any) -> dict[str, Tensor]:
    """The sentences, encoded by the pipeline."""
    return {"source_embeds": oracle.get_embeds(SOURCE), "target_embeds": oracle.get_embeds(TARGET)}


def ours(model: Model, amount: float = 0.1, scale: float = 5.0, **options: Any) -> Tensor:
    edit = pix2pix_zero(model, encode_prompt(model, PROMPT), SOURCE, TARGET, amount)
    more = options.pop("more", [])
    settings: Any = {"steps": 4, "scheduler": "ddim", "seed": 7} | options
    return denoise(model, [cfg(edit.prompt, scale=scale), edit.guidance, *more], **settings).latents.samples


@pytest.mark.parametrize(
    ("scheduler", "amount", "scale"), [("ddim", 0.1, 7.5), ("ddim", 1.5, 3.0), ("dpmpp_2m", 0.5, 5.0)]
)
def test_parity(model: Models, pipe: Pipes, scheduler: Any, amount: float, scale: float) -> None:
    """Generated images. PNDM fails in diffusers, which finds a step's maps by a timestep that PNDM has twice."""
    made = model(NAME)
    parts = made.parts()
    with borrowed(pipe, scheduler) as oracle, counted(parts.unet) as rows:
        expected = oracle(
            PROMPT,
            cross_attention_guidance_amount=amount,
            guidance_scale=scale,
            num_inference_steps=4,
            generator=seeded(7, 1),
            output_type="latent",
            **concepts(oracle),
        ).images
    assert rows == [2] * 12
    with counted(parts.unet) as rows:
        found = ours(made, amount, scale, scheduler=scheduler)
    assert rows == [2] * 12
    assert relative(found, expected) <= 1e-4
    assert relative(ours(made, 0.0, scale, scheduler=scheduler), expected) > 3e-4


@pytest.mark.parametrize("regularize", [0, 2])
def test_parity_for_a_real_image(model: Models, pipe: Pipes, regularize: int) -> None:
    """Inverted with the prompt alone, with the regularisation of the predicted noise too, then edited."""
    from diffusers import DDIMInverseScheduler

    made = model(NAME)
    picture = torch.randn(1, 4, 16, 16, generator=torch.Generator().manual_seed(3)) * 0.8
    with borrowed(pipe, "ddim") as oracle:
        oracle.register_modules(inverse_scheduler=DDIMInverseScheduler.from_config(oracle.scheduler.config))
        noise = oracle.invert(
            PROMPT,
            image=picture,
            num_inference_steps=4,
            num_reg_steps=regularize,
            generator=torch.Generator().manual_seed(5),
            output_type="pt",
        ).latents
        expected = oracle(
            PROMPT,
            cross_attention_guidance_amount=0.5,
            guidance_scale=3.0,
            num_inference_steps=4,
            latents=noise,
            negative_prompt=PROMPT,
            output_type="latent",
            **concepts(oracle),
        ).images
    prompt = encode_prompt(made, PROMPT)
    inverted = invert(made, [cfg(prompt, scale=1.0)], latents=Latents(picture), steps=4, regularize=regularize, seed=5)
    edit = pix2pix_zero(made, prompt, SOURCE, TARGET, 0.5)
    guidance = [cfg(edit.prompt, prompt, scale=3.0), edit.guidance]
    found = denoise(made, guidance, [from_inversion(inverted.trajectory)], steps=4, scheduler="ddim").latents.samples
    assert relative(found, expected) <= 1e-4


def test_direction(model: Models) -> None:
    """The prompt moves by the difference of the means, and keeps its words."""
    made = model(NAME)
    prompt = encode_prompt(made, PROMPT)
    edit = pix2pix_zero(made, prompt, SOURCE, TARGET)
    means = [torch.cat([encode_prompt(made, text).text for text in side]).mean(0) for side in (SOURCE, TARGET)]
    assert torch.allclose(edit.prompt.text, prompt.text + means[1] - means[0], atol=1e-5)
    assert edit.prompt.spans == prompt.spans
    same = pix2pix_zero(made, prompt, SOURCE, SOURCE)
    assert torch.allclose(same.prompt.text, prompt.text, atol=1e-6)


def test_direction_of_pooled_states(model: Models) -> None:
    made = model("sdxl")
    prompt = encode_prompt(made, PROMPT)
    edit = pix2pix_zero(made, prompt, SOURCE, TARGET, 0.05)
    assert prompt.pooled is not None
    assert edit.prompt.pooled is not None
    assert relative(edit.prompt.pooled, prompt.pooled) > 1e-3
    found = denoise(made, [cfg(edit.prompt, scale=3.0), edit.guidance], steps=2, width=64, height=64, seed=1)
    assert bool(torch.isfinite(found.latents.samples).all())


def test_an_edit_to_the_same_thing_is_the_reference(model: Models) -> None:
    """No distance, no gradient: the picture itself, also where the scheduler adds noise or has a memory."""
    made = model(NAME)
    prompt = encode_prompt(made, PROMPT)
    for scheduler in ("euler_ancestral", "pndm", "dpmpp_2m", "heun"):
        settings: Any = {"steps": 3, "scheduler": scheduler, "seed": 7}
        edit = pix2pix_zero(made, prompt, SOURCE, SOURCE, 1.0)
        found = denoise(made, [cfg(prompt, scale=5.0), edit.guidance], **settings).latents.samples
        plain = denoise(made, [cfg(prompt, scale=5.0)], **settings).latents.samples
        assert relative(found, plain) <= 1e-4


def test_off_is_off(model: Models) -> None:
    made = model(NAME)
    edit = pix2pix_zero(made, encode_prompt(made, PROMPT), SOURCE, TARGET)
    plain = denoise(made, [cfg(edit.prompt, scale=5.0)], steps=4, scheduler="ddim", seed=7).latents.samples
    parts = made.parts()
    with counted(parts.unet) as rows:
        assert torch.equal(ours(made, 0.0), plain)
    assert rows == [2] * 4


def test_batch_equals_single_seeds(model: Models) -> None:
    """diffusers divides the gradient by the batch, and edits the prompt of its second row alone."""
    made = model(NAME)
    together = ours(made, 1.0, batch=3, scheduler="euler_ancestral")
    for number in range(3):
        alone = ours(made, 1.0, seed=7 + number, scheduler="euler_ancestral")
        assert relative(together[number : number + 1], alone) <= 1e-4


def test_without_classifier_free_guidance(model: Models) -> None:
    """One row a forward; diffusers edits nothing there."""
    made = model(NAME)
    parts = made.parts()
    with counted(parts.unet) as rows:
        found = ours(made, 1.0, scale=1.0)
    assert rows == [1] * 12
    assert relative(found, ours(made, 0.0, scale=1.0)) > 1e-3


def test_with_views(model: Models) -> None:
    """One view of everything is no view; where views overlap the mean of their gradients counts."""
    made = model(NAME)
    whole = ours(made, 1.0, more=[multidiffusion()])
    assert relative(whole, ours(made, 1.0)) <= 1e-4
    wide = ours(made, 1.0, more=[multidiffusion(stride=64)], width=192, steps=2)
    assert bool(torch.isfinite(wide).all())
    assert relative(wide, ours(made, 0.0, more=[multidiffusion(stride=64)], width=192, steps=2)) > 1e-4


def test_after_attend_and_excite(model: Models) -> None:
    """Two that move the latents: one after the other, whatever the order of the wires."""
    made = model(NAME)
    prompt = encode_prompt(made, PROMPT)
    edit = pix2pix_zero(made, prompt, SOURCE, TARGET, 1.0)
    excite = attend_and_excite(["circle"], thresholds={}, scale=200.0, resolution=8)
    base = cfg(edit.prompt, scale=5.0)
    one = denoise(made, [base, edit.guidance, excite], steps=3, scheduler="ddim", seed=7).latents.samples
    other = denoise(made, [excite, base, edit.guidance], steps=3, scheduler="ddim", seed=7).latents.samples
    assert torch.equal(one, other)
    assert relative(one, ours(made, 1.0, steps=3)) > 1e-4


def test_bad_input(model: Models) -> None:
    made = model(NAME)
    prompt = encode_prompt(made, PROMPT)
    with pytest.raises(ValueError, match="at least one sentence about the target"):
        pix2pix_zero(made, prompt, SOURCE, [])
    with pytest.raises(ValueError, match="encoded by another model"):
        pix2pix_zero(made, Conditioning(prompt.text[..., :8]), SOURCE, TARGET)
    with Graph() as graph:
        link = load_model("shapes")
        edit = pix2pix_zero(link, encode_prompt(link, PROMPT), [], TARGET)
        denoise(link, [cfg(edit.prompt), edit.guidance])
    (found,) = [problem for problem in check(graph) if problem.node == "pix2pix_zero"]
    assert (found.code, found.input) == ("bad_value", "source")
    assert "at least one sentence about the source" in found.message


def test_beside_prompt_to_prompt(model: Models) -> None:
    """The gradient is taken through maps that are not edited: it would be 0 through the reference's own."""
    made = model(NAME)
    prompt = encode_prompt(made, PROMPT)
    take = prompt_to_prompt(prompt, cross_steps=1.0, self_steps=0.0)
    both = ours(made, 1.0, more=[take])
    assert bool(torch.isfinite(both).all())
    assert relative(both, ours(made, 0.0, more=[take])) > 1e-3
    assert relative(both, ours(made, 1.0)) > 1e-3


def test_split_forwards(model: Models, monkeypatch: pytest.MonkeyPatch) -> None:
    made = model(NAME)
    whole = ours(made, 1.0, batch=3)
    monkeypatch.setattr("weft.nodes.sampling.forward.BUDGET", 1)
    assert relative(ours(made, 1.0, batch=3), whole) <= 1e-4
