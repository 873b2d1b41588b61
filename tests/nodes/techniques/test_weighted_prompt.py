"""Weighted prompts, beside the compel library."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tests.nodes.sampling import oracle
from tests.nodes.techniques.adapters import calm, relative
from tests.tiny import tiny_sd1, tiny_sdxl
from weft.engine import check
from weft.graphs import Graph
from weft.nodes import (
    attend_and_excite,
    cfg,
    denoise,
    encode_prompt,
    load_model,
    load_textual_inversion,
    prompt_to_prompt,
    sag,
    weighted_prompt,
)
from weft.nodes.prompts.weighting import Blend, Conjunction, Weighted, WeightingError, parse
from weft.nodes.prompts.words import token_spans
from weft.nodes.values import Conditioning, Model

Models = Callable[[str], Model]
Folder = Callable[[str], Path]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    root = tmp_path_factory.mktemp("weighted")
    builders: dict[str, Callable[[Path], Path]] = {"sd1": tiny_sd1, "sdxl": tiny_sdxl}
    return cache(lambda name: calm(builders[name](root / name)))


@pytest.fixture(scope="module")
def models_of(folder: Folder) -> Models:
    return cache(lambda name: load_model(str(folder(name)), dtype="float32", device="cpu"))


def compel_of(model: Model) -> Any:
    from compel import Compel, ReturnedEmbeddingsType  # type: ignore[import-untyped, unused-ignore]

    parts = model.parts()
    if model.family == "sdxl":
        return Compel(
            tokenizer=parts.tokenizers,
            text_encoder=parts.text_encoders,
            returned_embeddings_type=ReturnedEmbeddingsType.PENULTIMATE_HIDDEN_STATES_NON_NORMALIZED,
            requires_pooled=[False, True],
            device="cpu",
        )
    return Compel(tokenizer=parts.tokenizers[0], text_encoder=parts.text_encoders[0], device="cpu")


PROMPTS = [
    "a red circle",
    "a red circle++ on white",
    "a (red circle)1.4 on the white background",
    "a red-- circle on white",
    "a (red circle)0.5 on white",
    "a red circle+ left- of a (blue (green)1.2 square)0.7",
    "((red)1.5 circle)+ and dog",
    'a "large red"++ circle, with a small star-.',
    "a (cat)0 and a dog",
    "a blue-green circle++",
    '("a red circle", "a blue square").blend(0.7, 0.3)',
    '("a red++ circle", "a (blue)0.6 square").blend(1, 1)',
    '("a red circle", "a blue square").blend(1.2, -0.4, no_normalize)',
    '("a red circle", "a blue square++").and()',
    '("a red circle", "a blue square").and(1, 0.6)',
]


@pytest.mark.parametrize("prompt", PROMPTS)
def test_equal_to_compel(models_of: Models, prompt: str) -> None:
    model = models_of("sd1")
    mine = weighted_prompt(model, prompt).text
    expected = compel_of(model)(prompt)
    assert relative(mine, expected) <= 1e-5


@pytest.mark.parametrize("prompt", ["a (red circle)1.4 on white--", "a red circle"])
def test_equal_to_compel_on_sdxl(models_of: Models, prompt: str) -> None:
    model = models_of("sdxl")
    mine = weighted_prompt(model, prompt)
    text, pooled = compel_of(model)(prompt)
    assert mine.pooled is not None
    assert relative(mine.text, text) <= 1e-5
    # Compel pools the prompt with its signs as written; ours pools the words.
    plain = encode_prompt(model, "a red circle on white" if "white" in prompt else prompt).pooled
    assert plain is not None
    assert relative(mine.pooled, plain) <= 1e-6
    if "(" not in prompt:
        assert relative(mine.pooled, pooled) <= 1e-5


def test_images_equal_to_diffusers_with_compel(models_of: Models, folder: Folder) -> None:
    model = models_of("sd1")
    prompt = "a (red circle)1.4 left of a blue-- square"
    pipe = oracle.pipeline("StableDiffusionPipeline", folder("sd1"))
    for scheduler in ("ddim", "euler"):
        oracle.set_scheduler(pipe, scheduler)
        theirs = pipe(
            prompt_embeds=compel_of(model)(prompt),
            negative_prompt_embeds=compel_of(model)(""),
            guidance_scale=5.0,
            num_inference_steps=3,
            generator=oracle.seeded(7, 1),
            output_type="latent",
        ).images
        assert relative(image(model, prompt, scheduler), theirs) <= 1e-4


def image(model: Model, prompt: str, scheduler: Any = "ddim", batch: int = 1) -> Tensor:
    guidance = cfg(weighted_prompt(model, prompt), scale=5.0)
    return denoise(model, [guidance], steps=3, scheduler=scheduler, seed=7, batch=batch).latents.samples


def test_without_weights_it_is_encode_prompt(models_of: Models) -> None:
    for name in ("sd1", "sdxl"):
        for prompt in ("", "a red circle", "(a red)1.0 circle"):
            mine, plain = (
                weighted_prompt(models_of(name), prompt),
                encode_prompt(models_of(name), prompt.replace("(", "").replace(")1.0", "")),
            )
            assert torch.equal(mine.text, plain.text)
            assert (mine.tokens, mine.spans) == (plain.tokens, plain.spans)
            if plain.pooled is not None:
                assert mine.pooled is not None
                assert torch.equal(mine.pooled, plain.pooled)


def test_both_ways_of_writing_are_one(models_of: Models) -> None:
    model = models_of("sd1")
    assert torch.equal(
        weighted_prompt(model, "a (red:1.3) circle").text, weighted_prompt(model, "a (red)1.3 circle").text
    )
    skipped = weighted_prompt(model, "a (red:1.3) circle", clip_skip=1).text
    assert relative(skipped, weighted_prompt(model, "a (red:1.3) circle").text) > 1e-3


def test_by_the_formula(models_of: Models) -> None:
    """z = z_empty + w (z - z_empty) on the word's tokens alone."""
    model = models_of("sd1")
    z, empty = encode_prompt(model, "a red circle").text, encode_prompt(model, "").text
    mine = weighted_prompt(model, "a (red)1.5 circle").text
    assert torch.allclose(mine[:, 2], (empty + 1.5 * (z - empty))[:, 2], atol=1e-6)
    others = [at for at in range(77) if at != 2]
    assert torch.equal(mine[:, others], z[:, others])


def test_a_conjunction_runs_beside_a_shorter_prompt(models_of: Models) -> None:
    model = models_of("sd1")
    prompt = '("a red circle", "a blue square").and()'
    found = weighted_prompt(model, prompt)
    assert found.text.shape[1] == len(found.tokens) == 154
    assert token_spans(found, "square") == [(77 + 3, 77 + 4)]
    one = image(model, prompt)
    assert relative(one, by_hand(model, found)) <= 1e-5
    assert relative(image(model, prompt, batch=2)[:1], one) <= 1e-4


def by_hand(model: Model, found: Conditioning) -> Tensor:
    """The run with each prompt in a forward of its own, at its own length; and the loop needs one forward a step."""
    from diffusers import DDIMScheduler

    unet = model.parts().unet
    scheduler: Any = DDIMScheduler.from_config({"clip_sample": False, **model.scheduler})
    scheduler.set_timesteps(3)
    latents = torch.randn(1, 4, 16, 16, generator=torch.Generator("cpu").manual_seed(7))
    empty = encode_prompt(model, "").text
    for timestep in scheduler.timesteps:
        uncond, cond = (unet(latents, timestep, encoder_hidden_states=text).sample for text in (empty, found.text))
        latents = scheduler.step(uncond + 5.0 * (cond - uncond), timestep, latents).prev_sample
    return latents


def test_a_conjunction_shares_the_forward(models_of: Models) -> None:
    model, calls = models_of("sd1"), []
    unet = model.parts().unet
    handle = unet.register_forward_pre_hook(lambda module, args: calls.append(args[0].shape[0]))
    try:
        image(model, '("a red circle", "a blue square").and()')
    finally:
        handle.remove()
    assert calls == [2, 2, 2]


NEGATIVES = {
    "short": "a black dog",
    "longest": '("a black dog", "a cat", "the small star").and()',
}


@pytest.mark.parametrize("scheduler", ["ddim", "euler"])
@pytest.mark.parametrize("negative", NEGATIVES)
def test_a_shorter_prompt_is_filled_up_as_compel_does(
    models_of: Models, folder: Folder, scheduler: Any, negative: str
) -> None:
    """With the empty prompt, on either side."""
    model = models_of("sd1")
    prompt = '("a red circle", "a blue square").and()'
    compel = compel_of(model)
    both = compel.pad_conditioning_tensors_to_same_length([compel(prompt), compel(NEGATIVES[negative])])
    pipe = oracle.pipeline("StableDiffusionPipeline", folder("sd1"))
    oracle.set_scheduler(pipe, scheduler)
    expected = pipe(
        prompt_embeds=both[0],
        negative_prompt_embeds=both[1],
        guidance_scale=5.0,
        num_inference_steps=3,
        generator=oracle.seeded(7, 1),
        output_type="latent",
    ).images
    base = cfg(weighted_prompt(model, prompt), weighted_prompt(model, NEGATIVES[negative]), scale=5.0)
    got = denoise(model, [base], steps=3, scheduler=scheduler, seed=7).latents.samples
    assert relative(got, expected) <= 1e-4


def test_it_is_filled_up_alike_in_every_forward(models_of: Models) -> None:
    """SAG's second forward and Attend-and-Excite's gradient see the rows that the step compares them with."""
    model, seen = models_of("sd1"), set()
    unet = model.parts().unet
    handle = unet.register_forward_pre_hook(
        lambda module, args, options: seen.add(options["encoder_hidden_states"].shape[1]), with_kwargs=True
    )
    long, short = '("a red circle", "a blue square").and()', "a black dog"
    try:
        for prompt, negative in ((long, short), (short, long)):
            base = cfg(weighted_prompt(model, prompt), weighted_prompt(model, negative), scale=5.0)
            subject = "circle" if prompt is long else "dog"
            others = [sag(), attend_and_excite([subject], thresholds={})]
            others += [prompt_to_prompt(weighted_prompt(model, "a white cat"))] if prompt is short else []
            denoise(model, [base, *others], steps=2, scheduler="ddim", width=128, height=128)
    finally:
        handle.remove()
    assert seen == {154}


def test_a_filled_up_edit_keeps_to_its_source(models_of: Models) -> None:
    """Prompt-to-prompt of a prompt to itself changes nothing beside a longer negative prompt either."""
    model = models_of("sd1")
    prompt = weighted_prompt(model, "a red circle")
    base = cfg(prompt, weighted_prompt(model, '("a dog", "a cat").and()'), scale=5.0)
    options: dict[str, Any] = {"steps": 3, "scheduler": "ddim", "width": 128, "height": 128}
    plain = denoise(model, [base], **options).latents.samples
    edited = denoise(model, [base, prompt_to_prompt(prompt, self_steps=1.0, cross_steps=1.0)], **options)
    assert relative(edited.latents.samples, plain) <= 1e-4


def test_zeros_are_filled_up_with_zeros(models_of: Models) -> None:
    """Where an absent negative prompt means zeros, so does all of it beside a longer prompt, as in diffusers."""
    model = models_of("sdxl")
    prompt = weighted_prompt(model, '("a red circle", "a blue square").and()')
    empty = Conditioning(torch.zeros_like(prompt.text), torch.zeros_like(prompt.pooled))
    options: dict[str, Any] = {"steps": 2, "width": 128, "height": 128}
    absent, zeros = (denoise(model, [cfg(prompt, negative)], **options) for negative in (None, empty))
    assert relative(absent.latents.samples, zeros.latents.samples) <= 1e-5


def test_learned_words_can_be_weighted(models_of: Models, tmp_path: Path) -> None:
    from safetensors.torch import save_file

    torch.manual_seed(0)
    save_file({"<x>": torch.randn(2, 32)}, tmp_path / "x.safetensors")
    model = load_textual_inversion(models_of("sd1"), [str(tmp_path / "x.safetensors")])
    found = weighted_prompt(model, "a (<x>)1.4 circle")
    z, empty = encode_prompt(model, "a <x> circle").text, encode_prompt(model, "").text
    assert found.spans == (("a", 1, 2), ("<x>", 2, 4), ("circle", 4, 5))
    assert torch.allclose(found.text[:, 2:4], (empty + 1.4 * (z - empty))[:, 2:4], atol=1e-5)


def test_too_long_goes_in_chunks_and_is_said(models_of: Models, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        found = weighted_prompt(models_of("sd1"), "(circle)1.2 " + "red " * 80 + "(dog)0.5")
    assert found.text.shape[1] == 154
    assert "the prompt has 82 tokens: it is encoded in 2 chunks" in caplog.text


@pytest.mark.parametrize(
    ("text", "fragments"),
    [
        ("a red cat", (("a red cat", 1.0),)),
        ("a (red)1.2 cat", (("a", 1.0), ("red", 1.2), ("cat", 1.0))),
        ("a (red:1.2) cat", (("a", 1.0), ("red", 1.2), ("cat", 1.0))),
        ("a ((red:1.2) cat:.5)", (("a", 1.0), ("red", 0.6), ("cat", 0.5))),
        ("(a) (b)", (("a b", 1.0),)),
        ("cat++ dog-", (("cat", 1.1**2), ("dog", 0.9))),
        (r"smile \(plain\) \+", (("smile (plain) +", 1.0),)),
        ("blue-green - red", (("blue-green - red", 1.0),)),
        ("at 10:30 (at 10:30)", (("at 10:30 at 10", 1.0),)),
        ("", ()),
    ],
)
def test_syntax(text: str, fragments: tuple[tuple[str, float], ...]) -> None:
    if "10:30" in text:  # what ends in a colon and a number is a weight, as everywhere
        fragments = (("at 10:30", 1.0), ("at 10", 30.0))
    (part,) = parse(text).parts
    assert isinstance(part, Weighted)
    assert [words for words, _ in part.fragments] == [words for words, _ in fragments]
    assert [weight for _, weight in part.fragments] == pytest.approx([weight for _, weight in fragments])


def test_operators() -> None:
    assert parse('("a", ("b", "c").blend(1, 3)).and(1, 0.5)') == Conjunction(
        (
            Weighted((("a", 1.0),)),
            Blend((Weighted((("b", 1.0),)), Weighted((("c", 1.0),))), (1.0, 3.0)),
        ),
        (1.0, 0.5),
    )


BAD = {
    "a (red circle": r"\( at character 3 is never closed",
    "a red) circle": r"\) at character 6 closes nothing",
    '("a", "b").blend(1)': "1 weights for 2 prompts",
    '("a", "b").blend(1, -1)': "add up to 0",
    '("a", "b").blend(x, y)': "takes numbers",
    '("a", b).blend(1, 1)': "needs quoted prompts",
    '("a", "b").blend(1, 1': "never closed",
    '("a", "b").and() more': "nothing can follow",
    '("a").swap("b")': "prompt_to_prompt",
    "(a:-2)": "between 0 and 100",
    "(a)1000": "between 0 and 100",
    "(" * 40 + "a" + ")" * 40: "nest deeper",
}


@pytest.mark.parametrize(("text", "message"), BAD.items())
def test_what_cannot_be_read_is_said_before_the_run(text: str, message: str) -> None:
    with pytest.raises(WeightingError, match=message):
        parse(text)
    with Graph() as graph:
        weighted_prompt(load_model("shapes"), text)
    assert any(problem.input == "text" for problem in check(graph.workflow()))


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet='ab ()":+-.,1\\', max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        found = parse(text)
    except WeightingError:
        return
    for part in found.parts:
        if isinstance(part, Weighted):
            assert all(words.strip() and weight >= 0 for words, weight in part.fragments)
