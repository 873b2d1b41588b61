"""One prompt per image of a batch: each image equals the run of its prompt and seed alone, and diffusers' pipeline."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.nodes.sampling.oracle import seeded, set_scheduler
from tests.nodes.techniques.measure import counted, relative
from weft.engine import check, run
from weft.graphs import Graph
from weft.nodes import (
    attend_and_excite,
    batch_prompts,
    cfg,
    collect,
    denoise,
    diffedit_mask,
    encode_prompt,
    load_model,
    map_over,
    multidiffusion,
    pag,
    pix2pix_zero,
    prompt_to_prompt,
    regions,
    sag,
    sega,
    weighted_prompt,
)
from weft.nodes.values import Conditioning, Guidance, Latents, Mask, Model

Models = Callable[[str], Model]
Pipes = Callable[[str, str], Any]
PROMPTS = ["a red circle", "a blue square and a small star on a white background", "a cat"]
NEGATIVES = ["a dog", "", "a green star on black"]
LONG = "a red circle and a large dog on a white background, " * 7
KINDS = {"sd1_calm": "StableDiffusionPipeline", "sdxl_calm": "StableDiffusionXLPipeline"}


def each(model: Model, texts: list[str]) -> Conditioning:
    return batch_prompts([encode_prompt(model, text) for text in texts])


def ours(model: Model, *guidance: Guidance, **options: Any) -> Tensor:
    settings: dict[str, Any] = {"steps": 3, "scheduler": "ddim", "seed": 5, "width": 64, "height": 64} | options
    return denoise(model, list(guidance), **settings).latents.samples


@pytest.mark.parametrize("scheduler", ["ddim", "euler_ancestral"])
@pytest.mark.parametrize("negative", [None, NEGATIVES])
@pytest.mark.parametrize("name", KINDS)
def test_equal_to_diffusers(model: Models, pipe: Pipes, name: str, scheduler: Any, negative: list[str] | None) -> None:
    made, oracle = model(name), pipe(name, KINDS[name])
    set_scheduler(oracle, scheduler)
    expected = oracle(
        PROMPTS,
        negative_prompt=negative,
        guidance_scale=5.0,
        num_inference_steps=3,
        generator=seeded(5, 3),
        output_type="latent",
        width=64,
        height=64,
    ).images
    base = cfg(each(made, PROMPTS), None if negative is None else each(made, negative), scale=5.0)
    assert relative(ours(made, base, scheduler=scheduler, batch=3), expected) <= 1e-4


def single(model: Model, number: int, build: Callable[[int | None], list[Guidance]], **options: Any) -> Tensor:
    return ours(model, *build(number), seed=5 + number, **options)


def one(model: Model, texts: list[str], number: int | None) -> Conditioning:
    return each(model, texts) if number is None else encode_prompt(model, texts[number])


MORE: dict[str, Callable[[Model, int | None], list[Guidance]]] = {
    "nothing": lambda model, number: [],
    "sega": lambda model, number: [sega(one(model, NEGATIVES, number), warmup=0)],
    "pag": lambda model, number: [pag()],
    "sag": lambda model, number: [sag()],
    "regions": lambda model, number: [regions([one(model, NEGATIVES, number)], [half()])],
    "multidiffusion": lambda model, number: [multidiffusion(view_width=64, view_height=64, stride=32)],
    "prompt_to_prompt": lambda model, number: [prompt_to_prompt(one(model, NEGATIVES, number))],
    "prompt_to_prompt of one source": lambda model, number: [
        prompt_to_prompt(encode_prompt(model, "a star"), edit="refine")
    ],
}


def half() -> Mask:
    pixels = torch.zeros(1, 128, 128)
    pixels[:, :, :64] = 1
    return Mask(pixels)


@pytest.mark.parametrize("technique", MORE)
def test_an_image_equals_its_prompt_and_seed_alone(model: Models, technique: str) -> None:
    made = model("sd1_calm")

    def build(number: int | None) -> list[Guidance]:
        base = cfg(one(made, PROMPTS, number), one(made, NEGATIVES[::-1], number), scale=5.0)
        return [base, *MORE[technique](made, number)]

    size = {"width": 128, "height": 128}
    together = ours(made, *build(None), batch=3, **size)
    for number in range(3):
        assert relative(together[number : number + 1], single(made, number, build, **size)) <= 1e-4
    apart = relative(together[:1], together[1:2])
    assert apart > 1e-2


def test_split_forwards(model: Models, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each image has its own prompt, and its own words, in whichever forward it is."""
    made = model("sd1_calm")
    guidance = [cfg(each(made, PROMPTS), scale=5.0), prompt_to_prompt(each(made, NEGATIVES))]
    whole = ours(made, *guidance, batch=3)
    monkeypatch.setattr("weft.nodes.sampling.forward.BUDGET", 1)
    parts = made.parts()
    with counted(parts.unet) as rows:
        split = ours(made, *guidance, batch=3)
    assert max(rows) == 4
    assert relative(split, whole) <= 1e-4


@pytest.mark.parametrize("where", ["prompt", "negative"])
def test_prompts_of_several_lengths(model: Models, where: str) -> None:
    """Filled up with the empty prompt, as each is beside a negative one of that length."""
    made = model("sd1_calm")
    texts = ["a red circle", LONG, '("a cat", "a dog").and()']
    prompts = [weighted_prompt(made, text) for text in texts]
    batch = batch_prompts(prompts)
    assert batch.text.shape[1] == prompts[1].text.shape[1] == 154
    pairs = (batch, encode_prompt(made, "a dog")) if where == "prompt" else (encode_prompt(made, "a dog"), batch)
    together = ours(made, cfg(*pairs, scale=5.0), batch=3)
    empty = encode_prompt(made, "").text
    for number, prompt in enumerate(prompts):
        text = prompt.text if prompt.text.shape[1] == 154 else torch.cat([prompt.text, empty], dim=1)
        filled = Conditioning(text, padding=empty)
        other = encode_prompt(made, "a dog")
        alone = cfg(filled, other, scale=5.0) if where == "prompt" else cfg(other, filled, scale=5.0)
        assert relative(together[number : number + 1], ours(made, alone, seed=5 + number)) <= 1e-4


def test_attend_and_excite_holds_each_image_to_its_own_words(model: Models) -> None:
    made = model("sd1_four_calm")
    options: dict[str, Any] = {"width": 256, "height": 256, "batch": 3}
    excite = attend_and_excite.node_type.fn(["circle", "star"], thresholds={"1": 0.9}, scale=500.0, refinements=2)
    base = cfg(each(made, PROMPTS), scale=5.0)
    plain, together = ours(made, base, **options), ours(made, base, excite, **options)
    words = [["circle"], ["star"], []]
    del options["batch"]
    for number, own in enumerate(words):
        prompt = cfg(encode_prompt(made, PROMPTS[number]), scale=5.0)
        more = [attend_and_excite.node_type.fn(own, thresholds={"1": 0.9}, scale=500.0, refinements=2)] if own else []
        alone = ours(made, prompt, *more, seed=5 + number, **options)
        assert relative(together[number : number + 1], alone) <= 1e-4
        moved = relative(together[number : number + 1], plain[number : number + 1])
        assert (moved > 1e-3) == bool(own)
    with pytest.raises(ValueError, match="'triangle' is not in the prompt"):
        ours(made, base, attend_and_excite(["circle", "triangle"]), batch=3, width=256, height=256)


def test_pix2pix_zero_moves_each_prompt(model: Models) -> None:
    made = model("sd1_calm")
    sentences = (["a photo of a circle"], ["a photo of a dog"])
    edit = pix2pix_zero(made, each(made, PROMPTS), *sentences)
    together = ours(made, cfg(edit.prompt, scale=5.0), edit.guidance, batch=3)
    for number, text in enumerate(PROMPTS):
        alone = pix2pix_zero(made, encode_prompt(made, text), *sentences)
        found = ours(made, cfg(alone.prompt, scale=5.0), alone.guidance, seed=5 + number)
        assert relative(together[number : number + 1], found) <= 1e-4


def test_diffedit_mask_of_each_image(model: Models) -> None:
    made = model("sd1_calm")
    latents = Latents(torch.randn(2, 4, 16, 16, generator=torch.Generator().manual_seed(0)))
    targets = PROMPTS[:2]
    source = encode_prompt(made, "a star")
    options: dict[str, Any] = {"maps": 2, "steps": 4, "seed": 5}
    together = diffedit_mask(made, source, each(made, targets), latents=latents, **options).pixels
    for number, text in enumerate(targets):
        options["seed"] = 5 + number
        own = Latents(latents.samples[number : number + 1])
        alone = diffedit_mask(made, source, encode_prompt(made, text), latents=own, **options).pixels
        assert torch.equal(together[number : number + 1], alone)


def test_a_batch_keeps_what_its_prompts_say(model: Models) -> None:
    made = model("sd1")
    prompts = [encode_prompt(made, text) for text in PROMPTS]
    found = batch_prompts(prompts).singles()
    for mine, own in zip(found, prompts, strict=True):
        assert (mine.prompt, mine.tokens, mine.spans) == (own.prompt, own.tokens, own.spans)
        assert torch.equal(mine.text, own.text)
    assert batch_prompts(prompts[:1]) is prompts[0]
    again = batch_prompts([batch_prompts(prompts[:2]), prompts[2]])
    assert again.each == batch_prompts(prompts).each


def test_what_does_not_fit_is_refused(model: Models) -> None:
    made, big = model("sd1"), model("sdxl")
    base = cfg(each(made, PROMPTS))
    for batch in (1, 2, 6):
        with pytest.raises(ValueError, match=f"prompts for 3 images and denoise makes {batch}: set `batch` to 3"):
            ours(made, base, batch=batch)
    with pytest.raises(ValueError, match="prompt 2 was encoded by another model than prompt 1"):
        batch_prompts([encode_prompt(made, "a"), encode_prompt(big, "a")])
    with pytest.raises(ValueError, match="at least one prompt"):
        batch_prompts([])
    with pytest.raises(ValueError, match="65 prompts: a batch has 64 images at most"):
        batch_prompts([encode_prompt(made, "a")] * 65)


def test_words_are_looked_up_before_the_run() -> None:
    def problems(subject: str, *texts: str, more: bool = False) -> list[str]:
        with Graph() as graph:
            made = load_model("shapes")
            prompts = [encode_prompt(made, text) for text in texts]
            prompts += [weighted_prompt(made, "a dog")] if more else []
            denoise(made, [cfg(batch_prompts(prompts)), attend_and_excite([subject])], batch=len(prompts))
        return [problem.message for problem in check(graph) if problem.node == "attend_and_excite"]

    assert problems("circle", "a circle", "a square") == []
    (found,) = problems("star", "a circle", "a square")
    assert "'star' is not in the prompt, whose words are: a, circle, square" in found
    # What is not written out as plain text may have the word.
    assert problems("star", "a circle", more=True) == []


def test_a_list_of_texts_becomes_one_run(folder: Callable[[str], Path]) -> None:
    """Through `map_over` and `collect`."""
    with Graph() as graph:
        made = load_model(str(folder("sd1_calm")), dtype="float32", device="cpu")
        texts = map_over(PROMPTS)
        prompts = batch_prompts(collect(encode_prompt(made, texts)))
        found = denoise(made, [cfg(prompts, scale=5.0)], steps=2, seed=5, batch=3, width=64, height=64).latents
    result = run(graph, targets=[found])
    model = load_model(str(folder("sd1_calm")), dtype="float32", device="cpu")
    expected = ours(model, cfg(each(model, PROMPTS), scale=5.0), steps=2, scheduler="default", batch=3)
    assert relative(result[found].samples, expected) <= 1e-4
