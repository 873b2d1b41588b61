"""Prompts of more tokens than the text encoder takes, beside compel with `truncate_long_prompts=False`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.nodes.sampling.oracle import seeded, set_scheduler
from tests.nodes.techniques.measure import relative
from weft.engine import check
from weft.graphs import Workflow
from weft.nodes import (
    attend_and_excite,
    cfg,
    denoise,
    encode_prompt,
    pix2pix_zero,
    prompt_to_prompt,
    weighted_prompt,
)
from weft.nodes.prompts.alignment import refined, replaced
from weft.nodes.prompts.chunks import MAX_CHUNKS
from weft.nodes.prompts.encode import encode
from weft.nodes.prompts.words import token_spans
from weft.nodes.techniques.attend_and_excite import subject_losses
from weft.nodes.values import Model

Models = Callable[[str], Model]
Pipes = Callable[[str, str], Any]

WORDS = ["red", "blue", "photo", "white", "black", "large", "small", "left", "right", "circle"]
MANY = " ".join(WORDS * 9)
PROMPTS = {
    "words": MANY,
    "three chunks": " ".join(WORDS * 17),
    "just fits": " ".join((WORDS * 8)[:75]),
    "one more": " ".join((WORDS * 8)[:76]),
    "sentence": "a red circle. a blue square, a dog. " + MANY,
    "sentence at the end": " ".join((WORDS * 8)[:74]) + ". a dog",
    "phrase": "a red circle, a blue square; a dog " + MANY,
    "a word of many tokens": " ".join((WORDS * 8)[:72]) + " zebracrossing dog",
    "longer than a chunk": "a " + "zebracrossings" * 8 + " dog",
}
WEIGHTED = {
    **PROMPTS,
    "heavier": f"{MANY} a (cat)1.4 on the (dog)1.2",
    "lighter": f"a (red)0.5 circle {MANY} a cat",
    "lighter in both": f"a (red)0.5 circle (with a star)1.3 {MANY} a (cat)0.7 on white",
    "over the edge": " ".join((WORDS * 8)[:72]) + " (a large red circle and a star)1.3 dog",
    "side by side": f'("{MANY} a dog+", "a blue square").and(1, 0.6)',
    "both long": f'("{MANY}", "a cat {MANY} a dog", "a star").and(0.8, 1, 0.5)',
    "mixed": f'("a red circle", "{MANY} a dog++").blend(0.7, 0.3)',
}


def compel_of(model: Model) -> Any:
    from compel import Compel, ReturnedEmbeddingsType  # type: ignore[import-untyped, unused-ignore]

    parts = model.parts()
    if model.family == "sdxl":
        return Compel(
            tokenizer=parts.tokenizers,
            text_encoder=parts.text_encoders,
            returned_embeddings_type=ReturnedEmbeddingsType.PENULTIMATE_HIDDEN_STATES_NON_NORMALIZED,
            requires_pooled=[False, True],
            truncate_long_prompts=False,
            device="cpu",
        )
    return Compel(
        tokenizer=parts.tokenizers[0], text_encoder=parts.text_encoders[0], truncate_long_prompts=False, device="cpu"
    )


@pytest.mark.parametrize("name", WEIGHTED)
def test_equal_to_compel(model: Models, name: str) -> None:
    made = model("sd1_calm")
    with torch.no_grad():
        expected = compel_of(made)(WEIGHTED[name])
    found = weighted_prompt(made, WEIGHTED[name])
    assert relative(found.text, expected) <= 1e-5
    assert found.text.shape[1] == len(found.tokens)
    if name in PROMPTS:
        plain = encode_prompt(made, PROMPTS[name])
        assert torch.equal(plain.text, found.text)
        assert (plain.tokens, plain.spans) == (found.tokens, found.spans)


@pytest.mark.parametrize("name", ["words", "sentence", "heavier", "lighter in both"])
def test_equal_to_compel_on_sdxl(model: Models, name: str) -> None:
    made = model("sdxl_calm")
    with torch.no_grad():
        expected, pooled = compel_of(made)(WEIGHTED[name])
    found = weighted_prompt(made, WEIGHTED[name])
    assert found.pooled is not None
    assert relative(found.text, expected) <= 1e-5
    if name == "words":
        # Compel pools the prompt cut at the encoder's length, with its signs; ours the first chunk.
        assert relative(found.pooled, pooled) <= 1e-5
    first = found.tokens[1 : found.tokens.index("<|endoftext|>")]
    alone = encode_prompt(made, "".join(first).replace("</w>", " ")).pooled
    assert alone is not None
    assert relative(found.pooled, alone) <= 1e-5


@pytest.mark.parametrize("negative", ["a black dog", "", f"a cat {MANY} {MANY}"])
@pytest.mark.parametrize("weighs", [False, True])
def test_pictures_equal_diffusers_with_compel(model: Models, pipe: Pipes, negative: str, weighs: bool) -> None:
    """The shorter one of prompt and negative prompt is filled up with the empty prompt."""
    made = model("sd1_calm")
    encoded = weighted_prompt if weighs else encode_prompt
    prompt = f"a (red)1.3 circle {MANY} a star" if weighs else f"a red circle {MANY} a star"
    compel = compel_of(made)
    with torch.no_grad():
        both = compel.pad_conditioning_tensors_to_same_length([compel(prompt), compel(negative)])
    oracle = pipe("sd1_calm", "StableDiffusionPipeline")
    set_scheduler(oracle, "ddim")
    expected = oracle(
        prompt_embeds=both[0],
        negative_prompt_embeds=both[1],
        guidance_scale=5.0,
        num_inference_steps=3,
        generator=seeded(7, 1),
        output_type="latent",
    ).images
    base = cfg(encoded(made, prompt), encoded(made, negative), scale=5.0)
    assert relative(run(made, base), expected) <= 1e-4
    if not negative:  # what stands in for an absent negative prompt is the empty one
        assert relative(run(made, cfg(encoded(made, prompt), scale=5.0)), expected) <= 1e-4


def run(model: Model, *guidance: Any, **options: Any) -> Tensor:
    settings: dict[str, Any] = {"steps": 3, "scheduler": "ddim", "seed": 7} | options
    return denoise(model, list(guidance), **settings).latents.samples


def test_pictures_equal_diffusers_with_compel_on_sdxl(model: Models, pipe: Pipes) -> None:
    made = model("sdxl_calm")
    compel = compel_of(made)
    with torch.no_grad():
        (text, pooled), (negative, negative_pooled) = compel(MANY), compel("a black dog")
        text, negative = compel.pad_conditioning_tensors_to_same_length(
            [text, negative], precomputed_padding=compel("")[0]
        )
    oracle = pipe("sdxl_calm", "StableDiffusionXLPipeline")
    set_scheduler(oracle, "ddim")
    expected = oracle(
        prompt_embeds=text,
        pooled_prompt_embeds=pooled,
        negative_prompt_embeds=negative,
        negative_pooled_prompt_embeds=negative_pooled,
        guidance_scale=5.0,
        num_inference_steps=3,
        generator=seeded(7, 1),
        output_type="latent",
    ).images
    base = cfg(encode_prompt(made, MANY), encode_prompt(made, "a black dog"), scale=5.0)
    assert relative(run(made, base), expected) <= 1e-4


def test_only_words_are_taken_out_of_a_lighter_piece_over_the_edge(model: Models) -> None:
    """Compel also hides the end and the padding between two chunks; here they stay."""
    made = model("sd1_calm")
    head = " ".join((WORDS * 8)[:72])
    found = weighted_prompt(made, f"{head} (a large red circle)0.5 dog")
    parts = made.parts()
    tokenizer, encoder = parts.tokenizers[0], parts.text_encoders[0]
    states = []
    for text, hidden in ((f"{head} a large red", range(73, 76)), ("circle dog", range(1, 2))):
        ids = tokenizer(text, padding="max_length", max_length=77, return_tensors="pt").input_ids
        mask = torch.ones_like(ids)
        mask[:, list(hidden)] = 0
        with torch.no_grad():
            plain, without = encoder(ids)[0], encoder(ids, attention_mask=mask)[0]
            empty = encoder(tokenizer("", padding="max_length", max_length=77, return_tensors="pt").input_ids)[0]
        weights = torch.ones(77)
        weights[list(hidden)] = 0.5
        pair = [empty + weights[None, :, None] * (state - empty) for state in (plain, without)]
        states.append((pair[0] + pair[1]) / 2)  # tan(45 degrees) is 1
    assert relative(found.text, torch.cat(states, dim=1)) <= 1e-5


def test_words_are_found_in_every_chunk(model: Models) -> None:
    made = model("sd1_calm")
    text = "a cat " + " ".join((WORDS * 8)[:72]) + " large dog and a star"
    found = encode_prompt(made, text)
    assert token_spans(found, "cat") == [(2, 3)]
    assert found.tokens[75] == "large</w>"
    assert token_spans(found, "star") == [(81, 82)]
    # The end and the start between the chunks belong to no word.
    assert token_spans(found, "large dog") == [(75, 76), (78, 79)]
    assert all("".join(found.tokens[a:b]).replace("</w>", "") == word for word, a, b in found.spans)
    divided = encode_prompt(made, PROMPTS["longer than a chunk"])
    # A word that is longer than a chunk begins one, fills it, and goes on in the next.
    (first, second) = token_spans(divided, "zebracrossings" * 8)
    assert first == (77 + 1, 77 + 76)
    assert second[0] == 2 * 77 + 1
    assert divided.spans[-1] == ("dog", second[1], second[1] + 1)


def test_too_long_is_refused(model: Models) -> None:
    made = model("sd1_calm")
    text = "red " * (75 * MAX_CHUNKS)
    assert encode_prompt(made, text).text.shape[1] == 77 * MAX_CHUNKS
    message = r"the prompt has 2,401 tokens, which need more than 32 chunks of 75: shorten it"
    for encoded in (encode_prompt, weighted_prompt):
        with pytest.raises(ValueError, match=message):
            encoded(made, text + "red")

    parts = ", ".join(['"a red circle"'] * (MAX_CHUNKS + 1))
    with pytest.raises(ValueError, match="side by side need more than 32 chunks"):
        weighted_prompt(made, f"({parts}).and()")


def test_short_prompts_have_nothing_to_be_filled_up_with(model: Models) -> None:
    """So that their runs are the same as ever."""
    made = model("sd1_calm")
    assert encode_prompt(made, "a red circle").padding is None
    long, empty = encode_prompt(made, MANY), encode_prompt(made, "")
    assert long.padding is not None
    assert torch.equal(long.padding, empty.text)
    assert long.chunk_length == empty.chunk_length == 77


def test_documents_of_before_are_read() -> None:
    document = {
        "weft": 1,
        "nodes": {
            "model": {"type": "load_model", "inputs": {"source": "shapes"}},
            "one": {"type": "encode_prompt", "version": 1, "inputs": {"model": {"link": "model"}, "text": "a"}},
            "two": {"type": "weighted_prompt", "version": 1, "inputs": {"model": {"link": "model"}, "text": "a"}},
        },
    }
    # Of a document that saves nothing this alone is said.
    assert [problem.code for problem in check(Workflow.parse(document))] == ["no_output"]


# Techniques that look at words


def test_attend_and_excite_looks_at_the_words_alone(model: Models) -> None:
    """No start, end or padding of a chunk but the ends of the text; the same by the formula for all chunks."""
    maps = torch.rand(2, 4, 64, 154, generator=torch.Generator().manual_seed(0)).softmax(-1)
    found = subject_losses([maps], (8, 8), [3, 80], 77)
    shares = (torch.cat([maps[..., 1:76], maps[..., 78:153]], dim=-1).mean(1) * 100).softmax(-1)
    joined = torch.cat([torch.zeros(2, 64, 1), shares, torch.zeros(2, 64, 1)], dim=-1)
    # Logarithms undo the softmax up to a constant, so that the maps of one chunk can be asked instead.
    logits = (joined.clamp_min(1e-30).log() / 100)[:, None]
    expected = subject_losses([logits], (8, 8), [3, 78])
    assert torch.allclose(found, expected, atol=1e-5)
    one = maps[..., :77]
    assert torch.equal(subject_losses([one], (8, 8), [3, 5], 77), subject_losses([one], (8, 8), [3, 5]))


def test_attend_and_excite_moves_towards_a_word_of_a_later_chunk(model: Models) -> None:
    made = model("sd1_four_calm")
    prompt = encode_prompt(made, f"{MANY} a star and a cat")
    size = {"width": 256, "height": 256}
    plain = run(made, cfg(prompt), **size)
    for subject in ("star", "photo"):
        moved = run(made, cfg(prompt), attend_and_excite([subject], thresholds={}, scale=500.0), **size)
        assert relative(moved, plain) > 1e-3
    with pytest.raises(ValueError, match="'dog' is not in the prompt"):
        run(made, cfg(prompt), attend_and_excite(["dog"]), **size)


def test_attend_and_excite_lowers_the_loss_of_a_word_of_a_later_chunk(model: Models) -> None:
    made = model("sd1_four_calm")
    prompt = encode_prompt(made, f"{MANY} a star and a cat")
    losses: list[float] = []

    def watched(*args: Any) -> Tensor:
        found = subject_losses(*args)
        losses.append(float(found.detach()))
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("weft.nodes.techniques.attend_and_excite.subject_losses", watched)
        technique = attend_and_excite(["star"], thresholds={"0": 1.0}, refinements=8, max_iter=0, scale=40.0)
        run(made, cfg(prompt), technique, steps=1, width=256, height=256)
    assert len(losses) > 4
    assert losses[-1] < losses[0]


def test_prompt_to_prompt_matches_words_across_chunks(model: Models) -> None:
    made = model("sd1_calm")
    head = " ".join((WORDS * 8)[:74])
    source, target = (encode_prompt(made, f"{head} {tail}") for tail in ("cat dog star", "dog star"))
    matrix, own = refined(source, target)
    assert matrix.shape == (154, 154)
    # `dog` is the first of the source's second chunk and the last of the prompt's first one.
    assert (source.tokens[78], target.tokens[75]) == ("dog</w>", "dog</w>")
    assert matrix[:, 75].nonzero().flatten().tolist() == [78]
    assert matrix[:, 78].nonzero().flatten().tolist() == [79]
    assert [float(matrix[place, place]) for place in (0, 76, 77, 153)] == [1.0] * 4
    assert not own[:79].any()
    shorter = encode_prompt(made, "a red circle")
    matrix, own = refined(source, shorter)
    assert matrix.shape == (154, 154)
    assert float(matrix[77, 77]) == 1.0
    same, _ = replaced(source, source)
    assert torch.equal(same, torch.eye(154))


@pytest.mark.parametrize("shorter", ["source", "prompt"])
def test_prompt_to_prompt_of_prompts_of_two_lengths(model: Models, shorter: str) -> None:
    made = model("sd1_calm")
    long, short = encode_prompt(made, f"a red circle {MANY} a star"), encode_prompt(made, "a red circle")
    prompt, source = (long, short) if shorter == "source" else (short, long)
    edited = run(made, cfg(prompt), prompt_to_prompt(source, edit="refine", cross_steps=1.0))
    assert relative(edited, run(made, cfg(prompt))) > 1e-3
    # Filled up by hand it is the same.
    filled = replace(
        short,
        text=torch.cat([short.text, encode_prompt(made, "").text], dim=1),
        tokens=short.tokens + encode_prompt(made, "").tokens,
        padding=long.padding,
    )
    prompt, source = (long, filled) if shorter == "source" else (filled, long)
    assert relative(run(made, cfg(prompt), prompt_to_prompt(source, edit="refine", cross_steps=1.0)), edited) <= 1e-5


def test_prompt_to_prompt_weighs_a_word_of_a_later_chunk(model: Models) -> None:
    made = model("sd1_calm")
    prompt = encode_prompt(made, f"{MANY} a star")
    plain = run(made, cfg(prompt), prompt_to_prompt(prompt, cross_steps=1.0))
    same = run(made, cfg(prompt))
    assert relative(plain, same) <= 1e-4
    weighed = run(made, cfg(prompt), prompt_to_prompt(prompt, cross_steps=1.0, weights={"star": 4.0}))
    assert relative(weighed, plain) > 1e-4


def test_pix2pix_zero_refuses_a_long_prompt(model: Models) -> None:
    made = model("sd1_calm")
    with pytest.raises(ValueError, match=r"pix2pix_zero: the prompt has 154 tokens, and only one .* of 77"):
        pix2pix_zero(made, encode_prompt(made, MANY), ["a cat"], ["a dog"])
    # Its sentences are cut as they always were: they are compared place by place.
    edit = pix2pix_zero(made, encode_prompt(made, "a cat"), [f"a cat {MANY}"], [f"a dog {MANY}"])
    with made.parts() as parts:
        cat, dog = (encode(parts, f"a {animal} {MANY}", cut=True).text for animal in ("cat", "dog"))
    assert torch.allclose(edit.prompt.text, encode_prompt(made, "a cat").text + (dog - cat), atol=1e-6)
