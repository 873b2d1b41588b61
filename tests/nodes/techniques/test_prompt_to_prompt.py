"""Prompt-to-prompt: parity with the paper's formula, written out here; cost, what is left alone, bad input.

diffusers 0.42 has no such pipeline. The reference below keeps both pictures in one batch and changes the attention of
the edited one in processors of its own, over diffusers' scheduler.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.nodes.techniques.measure import counted, relative
from weft.engine import check
from weft.graphs import Graph
from weft.nodes import attend_and_excite, cfg, denoise, encode_prompt, load_model, prompt_to_prompt
from weft.nodes.prompts.alignment import refined, replaced
from weft.nodes.sampling.noise import generators
from weft.nodes.sampling.schedule import build_scheduler
from weft.nodes.values import Conditioning, Model

Models = Callable[[str], Model]
NAME = "sd1_calm"
LENGTH = 77


class Paper:
    """Attention of a batch [source, edit] or [uncond source, uncond edit, source, edit], by the paper's algorithm 1."""

    def __init__(self, mapper: dict[int, dict[int, float]], factors: dict[int, float], limit: int) -> None:
        """mapper: place in the edit -> share of each place in the source; places that are absent are new."""
        self.mapper, self.factors, self.limit = mapper, factors, limit
        self.cross = self.self = False

    def __call__(
        self, attn: Any, hidden_states: Tensor, encoder_hidden_states: Tensor | None = None, **_: Any
    ) -> Tensor:
        context = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        query = attn.head_to_batch_dim(attn.to_q(hidden_states))
        key = attn.head_to_batch_dim(attn.to_k(context))
        value = attn.head_to_batch_dim(attn.to_v(context))
        scores = attn.get_attention_scores(query, key).unflatten(0, (-1, attn.heads)).clone()
        source, edit = scores[-2].clone(), scores[-1].clone()
        if encoder_hidden_states is not None and self.cross:
            for place in range(LENGTH):
                if place in self.mapper:
                    edit[..., place] = sum(source[..., at] * share for at, share in self.mapper[place].items())
                edit[..., place] *= self.factors.get(place, 1.0)
            scores[-1] = edit
        if encoder_hidden_states is None and self.self and source.shape[1] <= self.limit**2:
            scores[-1] = source
        return attn.to_out[0](attn.batch_to_head_dim(scores.flatten(0, 1) @ value))


@torch.no_grad()
def by_formula(
    model: Model,
    prompts: tuple[str, str],
    mapper: dict[int, dict[int, float]],
    *,
    cross: float = 0.8,
    own: float = 0.4,
    factors: dict[int, float] | None = None,
    scheduler: str = "ddim",
    steps: int = 5,
    scale: float = 5.0,
    limit: int = 16,
) -> Tensor:
    parts = model.parts()
    unet, before = parts.unet, parts.unet.attn_processors
    paper = Paper(mapper, factors or {}, limit)
    texts = [encode_prompt(model, prompt).text for prompt in prompts]
    empty = [encode_prompt(model, "").text] * 2
    stepper = build_scheduler(scheduler, model.scheduler)
    stepper.set_timesteps(steps)
    latents = torch.randn(1, 4, 16, 16, generator=generators(7, 1)[0]).repeat(2, 1, 1, 1) * stepper.init_noise_sigma
    unet.set_attn_processor(paper)
    try:
        for index, timestep in enumerate(stepper.timesteps):
            paper.cross = index < int(cross * len(stepper.timesteps))
            paper.self = index < int(own * len(stepper.timesteps))
            rows = torch.cat([latents] * 2) if scale > 1 else latents
            text = torch.cat([*empty, *texts] if scale > 1 else texts)
            prediction = unet(stepper.scale_model_input(rows, timestep), timestep, text, return_dict=False)[0]
            if scale > 1:
                uncond, cond = prediction.chunk(2)
                prediction = uncond + scale * (cond - uncond)
            latents = stepper.step(prediction, timestep, latents, return_dict=False)[0]
    finally:
        unet.set_attn_processor(before)
    return latents[1:]


def ours(model: Model, prompts: tuple[str, str], *, scale: float = 5.0, **options: Any) -> Tensor:
    own = {
        key: options.pop(key)
        for key in ("edit", "cross_steps", "self_steps", "weights", "self_resolution")
        if key in options
    }
    guidance = [
        cfg(encode_prompt(model, prompts[1]), scale=scale),
        prompt_to_prompt(encode_prompt(model, prompts[0]), **own),
        *options.pop("more", []),
    ]
    settings: Any = {"steps": 5, "scheduler": "ddim", "seed": 7} | options
    return denoise(model, guidance, **settings).latents.samples


def plain(model: Model, prompt: str, scale: float = 5.0, **options: Any) -> Tensor:
    settings: Any = {"steps": 5, "scheduler": "ddim", "seed": 7} | options
    return denoise(model, [cfg(encode_prompt(model, prompt), scale=scale)], **settings).latents.samples


SAME = {place: {place: 1.0} for place in range(LENGTH)}
# start a red circle end -> start a large red circle end: `large` is new, and what follows it moves on by one.
LARGE = SAME | {3: {2: 1.0}, 4: {3: 1.0}, 5: {4: 1.0}}
del LARGE[2]


@pytest.mark.parametrize("scheduler", ["ddim", "pndm"])
@pytest.mark.parametrize(
    ("prompts", "mapper", "options", "theirs"),
    [
        (("a red circle", "a blue circle"), SAME, {}, {}),
        (
            ("a red circle", "a large red circle"),
            LARGE,
            {"cross_steps": 0.4, "self_steps": 0.9, "self_resolution": 8, "scale": 1.0},
            {"cross": 0.4, "own": 0.9, "limit": 8, "scale": 1.0},
        ),
        (
            ("a red circle", "a large red circle"),
            LARGE,
            {"weights": {"red circle": 3.0, "large": -1.0}, "edit": "refine", "self_steps": 0.0},
            {"factors": {3: 3.0, 4: 3.0, 2: -1.0}, "own": 0.0},
        ),
    ],
)
def test_parity(
    model: Models,
    scheduler: str,
    prompts: tuple[str, str],
    mapper: dict[int, dict[int, float]],
    options: dict[str, Any],
    theirs: dict[str, Any],
) -> None:
    made = model(NAME)
    expected = by_formula(made, prompts, mapper, scheduler=scheduler, **theirs)
    found = ours(made, prompts, scheduler=scheduler, **options)
    assert relative(found, expected) <= 1e-4
    assert relative(plain(made, prompts[1], options.get("scale", 5.0), scheduler=scheduler), expected) > 1e-2


def test_reweighting_alone(model: Models) -> None:
    """The same prompt twice; a weight of 1 changes nothing."""
    made = model(NAME)
    prompts = ("a red circle", "a red circle")
    expected = by_formula(made, prompts, SAME, factors={2: 0.0})
    assert relative(ours(made, prompts, weights={"red": 0.0}), expected) <= 1e-4
    assert relative(ours(made, prompts, weights={"red": 1.0}), plain(made, prompts[0])) <= 1e-4


def test_cost_and_that_off_is_off(model: Models) -> None:
    """The source's rows join the forward while something is taken from them, and are gone after."""
    made = model(NAME)
    parts = made.parts()
    prompts = ("a red circle", "a blue circle")
    with counted(parts.unet) as rows:
        ours(made, prompts, cross_steps=0.6, self_steps=0.2)
    assert rows == [4, 4, 4, 2, 2]
    with counted(parts.unet) as rows:
        ours(made, prompts, scale=1.0, cross_steps=0.2, self_steps=0.4)
        off = ours(made, prompts, cross_steps=0.0, self_steps=0.0)
    assert rows == [2, 2, 1, 1, 1] + [2] * 5
    assert torch.equal(off, plain(made, prompts[1]))


def test_everything_from_the_source_is_the_source(model: Models) -> None:
    """An edit to the same prompt gives the picture itself, also where the scheduler adds noise or has a memory."""
    made = model(NAME)
    for scheduler in ("euler_ancestral", "dpmpp_2m", "heun"):
        prompts = ("a red circle", "a red circle")
        found = ours(made, prompts, scheduler=scheduler, cross_steps=1.0, self_steps=1.0, steps=4)
        assert relative(found, plain(made, prompts[0], scheduler=scheduler, steps=4)) <= 1e-4


def test_batch_equals_single_seeds(model: Models) -> None:
    made = model(NAME)
    prompts = ("a red circle", "a large red circle")
    together = ours(made, prompts, batch=3, scheduler="euler_ancestral")
    for number in range(3):
        alone = ours(made, prompts, seed=7 + number, scheduler="euler_ancestral")
        assert relative(together[number : number + 1], alone) <= 1e-4


def test_beside_attend_and_excite(model: Models) -> None:
    """The source is that of a run without it; the edit's latents are moved."""
    made = model(NAME)
    prompts = ("a red circle", "a blue circle")
    excite = attend_and_excite(["blue"], thresholds={}, scale=200.0, resolution=8)
    both = ours(made, prompts, more=[excite])
    assert bool(torch.isfinite(both).all())
    assert relative(both, ours(made, prompts)) > 1e-3
    off = attend_and_excite(["blue"], thresholds={}, scale=0.0)
    assert torch.equal(ours(made, prompts, more=[off]), ours(made, prompts))


def matches(matrix: Tensor, own: Tensor) -> dict[int, dict[int, float]]:
    """The matrix as this file writes mappers, for the places that take anything."""
    assert all(bool(own[place]) == (float(matrix[:, place].sum()) == 0) for place in range(LENGTH))
    columns = {place: matrix[:, place].nonzero().flatten().tolist() for place in range(LENGTH)}
    return {at: {row: float(matrix[row, at]) for row in rows} for at, rows in columns.items() if rows}


def test_matching_of_words_and_tokens(model: Models) -> None:
    made = model(NAME)

    def prompt(text: str) -> Conditioning:
        return encode_prompt(made, text)

    assert matches(*replaced(prompt("a red circle"), prompt("a blue circle"))) == SAME
    assert matches(*refined(prompt("a red circle"), prompt("a large red circle"))) == LARGE
    zebra = prompt("a zebra on white")
    count = zebra.spans[1][2] - zebra.spans[1][1]
    assert count > 1, "the tiny vocabulary has to split this word"
    # start a circle on white end: the circle takes all of the zebra's tokens, and the words after it move back. The
    # authors' code leaves these where they are, so that they take the zebra's; here each takes its own.
    expected = {0: {0: 1.0}, 1: {1: 1.0}, 2: {2 + part: 1.0 for part in range(count)}}
    expected |= {place: {place + count - 1: 1.0} for place in (3, 4, 5)}
    expected |= {place: {place: 1.0} for place in range(5 + count, LENGTH)}
    assert matches(*replaced(zebra, prompt("a circle on white"))) == expected
    back = matches(*replaced(prompt("a circle on white"), zebra))
    assert [back[2 + part] for part in range(count)] == [{2: pytest.approx(1 / count)}] * count
    assert back[2 + count] == {3: 1.0}
    shorter = matches(*refined(prompt("a red circle on white"), prompt("circle on black")))
    assert {place: shorter.get(place) for place in range(5)} == {0: {0: 1}, 1: {3: 1}, 2: {4: 1}, 3: None, 4: {6: 1}}
    assert 5 not in shorter
    assert shorter[7] == {7: 1.0}


def test_what_check_finds() -> None:
    def problems(source: str, target: str, **inputs: Any) -> list[str]:
        with Graph() as graph:
            made = load_model("shapes")
            edit = prompt_to_prompt(encode_prompt(made, source), **inputs)
            denoise(made, [cfg(encode_prompt(made, target)), edit])
        found = [problem for problem in check(graph) if problem.node == "prompt_to_prompt"]
        return [f"{problem.code} {problem.input}: {problem.message}" for problem in found]

    assert problems("a red circle", "a blue circle", edit="replace", weights={"blue": 2.0}) == []
    (found,) = problems("a red circle", "a large red circle", edit="replace")
    assert "bad_value edit: replacing needs as many words" in found
    assert "they have 3 and 4" in found
    (found,) = problems("a red circle", "a blue circle", weights={"red": 2.0})
    assert "bad_value weights: 'red' is not in the prompt, whose words are: a, blue, circle" in found


def test_bad_input(model: Models) -> None:
    made = model(NAME)
    with pytest.raises(ValueError, match="they have 3 and 4: use edit `refine`"):
        ours(made, ("a red circle", "a large red circle"), edit="replace")
    with pytest.raises(ValueError, match="'green' is not in the prompt"):
        ours(made, ("a red circle", "a blue circle"), weights={"green": 2.0})
    short = Conditioning(encode_prompt(made, "a red circle").text[:, :40])
    guidance = [cfg(encode_prompt(made, "a blue circle")), prompt_to_prompt(short)]
    with pytest.raises(ValueError, match="encoded with different lengths"):
        denoise(made, guidance, steps=2)


def test_split_forwards_and_other_families(model: Models, monkeypatch: pytest.MonkeyPatch) -> None:
    """The source's row of an image is always in the forward of its edit."""
    made = model(NAME)
    prompts = ("a red circle", "a large red circle")
    whole = ours(made, prompts, batch=3)
    monkeypatch.setattr("weft.nodes.sampling.forward.BUDGET", 1)
    parts = made.parts()
    with counted(parts.unet) as rows:
        split = ours(made, prompts, batch=3)
    assert rows == [4] * 12 + [2] * 3
    assert relative(split, whole) <= 1e-4
    monkeypatch.undo()
    big = model("sdxl")
    small: dict[str, Any] = {"steps": 3, "width": 128, "height": 128}
    edited = ours(big, prompts, **small)
    assert bool(torch.isfinite(edited).all())
    assert relative(edited, plain(big, prompts[1], **small)) > 1e-3


def test_two_sources_are_refused() -> None:
    with Graph() as graph:
        made = load_model("shapes")
        prompt = encode_prompt(made, "a red circle")
        edits = [prompt_to_prompt(prompt), prompt_to_prompt(prompt)]
        denoise(made, [cfg(prompt), *edits])
    (found,) = [problem for problem in check(graph) if problem.code == "conflict"]
    assert "prompt_to_prompt (prompt_to_prompt) and prompt_to_prompt_2 (prompt_to_prompt)" in found.message
