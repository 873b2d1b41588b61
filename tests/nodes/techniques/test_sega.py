"""Semantic guidance: parity with diffusers, its formula where that gives NaN or has no pipeline, cost, bad input."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.nodes.techniques.guided import NEGATIVE, PROMPT, cost, ours, theirs
from tests.nodes.techniques.measure import relative
from weft.engine import Context, check
from weft.graphs import Graph
from weft.nodes import cfg, denoise, encode_prompt, load_model, load_textual_inversion, sega
from weft.nodes.sampling.noise import draw, generators
from weft.nodes.sampling.schedule import Schedule, build_scheduler
from weft.nodes.values import Guidance, Model

Models = Callable[[str], Model]
Pipes = Callable[[str, str], Any]
CONCEPTS = ("green", "large star", "on a black background")


def concepts(model: Model, *settings: dict[str, Any]) -> list[Guidance]:
    """One node per entry."""
    return [sega(encode_prompt(model, text), **options) for text, options in zip(CONCEPTS, settings, strict=False)]


@pytest.mark.parametrize(
    ("name", "scheduler", "steps", "batch", "settings"),
    [
        ("sd1_calm", "ddim", 12, 1, [{}]),  # the defaults: warm at step 10
        ("sd1_calm", "pndm", 5, 2, [{"warmup": 1, "scale": 7.0, "direction": "away", "threshold": 0.7}]),
        (
            "sd1_calm",
            "euler_ancestral",
            6,
            1,
            [
                {"warmup": 1, "scale": 4.0, "weight": 1.5},
                {"warmup": 3, "scale": 9.0, "threshold": 0.8, "direction": "away", "weight": 0.5},
                {"warmup": 2, "threshold": 0.0, "cooldown": 4},
            ],
        ),
        (
            "sd1_four_calm",
            "dpmpp_2m",
            5,
            2,
            [{"warmup": 0, "momentum": 0.5, "beta": 0.8}, {"warmup": 2, "momentum": 0.5, "beta": 0.8, "cooldown": 4}],
        ),
        ("sd2_calm", "euler", 5, 1, [{"warmup": 2}, {"warmup": 0, "threshold": 0.95}]),
        ("sd1_calm", "unipc", 5, 1, [{"warmup": 0, "cooldown": 2}, {"warmup": 1, "cooldown": 3}]),  # all cooled down
    ],
)
def test_parity(
    model: Models, pipe: Pipes, name: str, scheduler: str, steps: int, batch: int, settings: list[dict[str, Any]]
) -> None:
    if name == "sd2_calm":
        # diffusers has one momentum and one memory for all concepts: so have ours here.
        settings = [{**options, "momentum": 0.3, "beta": 0.6} for options in settings]

    def listed(key: str, default: Any) -> list[Any]:
        return [options.get(key, default) for options in settings]

    expected = theirs(
        pipe(name, "SemanticStableDiffusionPipeline"),
        scheduler,
        steps=steps,
        batch=batch,
        editing_prompt=list(CONCEPTS[: len(settings)]),
        reverse_editing_direction=[direction == "away" for direction in listed("direction", "towards")],
        edit_guidance_scale=listed("scale", 5.0),
        edit_warmup_steps=listed("warmup", 10),
        edit_cooldown_steps=listed("cooldown", 1000),
        edit_threshold=listed("threshold", 0.9),
        edit_weights=listed("weight", 1.0),
        edit_momentum_scale=settings[0].get("momentum", 0.1),
        edit_mom_beta=settings[0].get("beta", 0.4),
    )
    made = model(name)
    mine = ours(made, *concepts(made, *settings), scheduler=scheduler, steps=steps, batch=batch)
    assert relative(mine, expected) <= 1e-4
    assert relative(ours(made, scheduler=scheduler, steps=steps, batch=batch), expected) > 1e-3


def by_formula(model: Model, settings: Sequence[dict[str, Any]], steps: int, scale: float = 5.0) -> Tensor:
    """DDIM with the design's formula written out: one momentum over all concepts, all rows to the end."""
    unet = model.parts().unet
    shape = (1, 4, 16, 16)
    noise = draw(shape, generators(7, 1), "cpu")
    schedule = Schedule(build_scheduler("ddim", model.scheduler), steps)
    texts = [encode_prompt(model, text) for text in (NEGATIVE, PROMPT, *CONCEPTS[: len(settings)])]
    states, added = torch.cat([text.text for text in texts]), None
    if texts[0].pooled is not None:
        time_ids = torch.tensor([[128.0, 128, 0, 0, 128, 128]] * len(texts))
        added = {"text_embeds": torch.cat([text.pooled for text in texts]), "time_ids": time_ids}
    latents, velocity = noise * schedule.init_noise_sigma, torch.zeros(shape)
    beta, carried = settings[0].get("beta", 0.4), settings[0].get("momentum", 0.1)
    with torch.no_grad():
        for index in range(schedule.calls):
            rows = latents.expand(len(texts), -1, -1, -1)
            found = unet(rows, schedule.timesteps[index], states, added_cond_kwargs=added).sample
            uncond, cond, *edits = found.split(1)
            terms, weights, warm = [], [], []
            for edit, options in zip(edits, settings, strict=True):
                cooled = index >= options.get("cooldown", 1000)
                sign = -1 if options.get("direction") == "away" else 1
                difference = sign * options.get("scale", 5.0) * (edit - uncond)
                limit = torch.quantile(difference.abs().flatten(2), options.get("threshold", 0.9), dim=2)
                difference = difference * (difference.abs() >= limit[..., None, None])
                terms.append(torch.zeros(shape) if cooled else difference)
                weights.append(0.0 if cooled else options.get("weight", 1.0))
                warm.append(index >= options.get("warmup", 10))
            total = sum(weight * term for weight, term in zip(weights, terms, strict=True)) + carried * velocity
            velocity = beta * velocity + (1 - beta) * total
            guided = uncond + scale * (cond - uncond) if scale > 1 else cond
            if all(warm):
                guided = guided + total
            elif sum(weight for weight, is_warm in zip(weights, warm, strict=True) if is_warm) > 0:
                whole = sum(weight for weight, is_warm in zip(weights, warm, strict=True) if is_warm)
                for weight, term, is_warm in zip(weights, terms, warm, strict=True):
                    guided = guided + is_warm * weight / whole * term
            latents = schedule.step(guided, index, latents)
    return latents


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_one_cools_down_while_another_warms_up(model: Models, pipe: Pipes) -> None:
    """diffusers divides 0 by 0 there and the picture is NaN: ours follows the formula, in which nothing acts then."""
    settings = [{"warmup": 0, "cooldown": 2}, {"warmup": 4, "direction": "away"}]
    made = model("sd1_calm")
    mine = ours(made, *concepts(made, *settings), steps=6)
    assert bool(torch.isfinite(mine).all())
    assert relative(mine, by_formula(made, settings, 6)) <= 1e-4
    broken = pipe("sd1_calm", "SemanticStableDiffusionPipeline")
    with pytest.raises(AssertionError, match="not finite"):
        relative(
            mine,
            theirs(
                broken,
                "ddim",
                steps=6,
                editing_prompt=list(CONCEPTS[:2]),
                edit_warmup_steps=[0, 4],
                edit_cooldown_steps=[2, 1000],
                reverse_editing_direction=[False, True],
            ),
        )


@pytest.mark.parametrize("scale", [5.0, 1.0])
def test_sdxl_by_formula(model: Models, scale: float) -> None:
    """diffusers has no such pipeline. Without classifier-free guidance the concepts act all the same."""
    made = model("sdxl_calm")
    settings = [{"warmup": 1, "threshold": 0.8}, {"warmup": 2, "direction": "away", "weight": 0.5}]
    mine = ours(made, *concepts(made, *settings), steps=5, scale=scale)
    assert relative(mine, by_formula(made, settings, 5, scale)) <= 1e-4


def test_a_word_of_several_vectors(model: Models, pipe: Pipes, tmp_path: Path) -> None:
    """A concept may name a learned word; diffusers' pipeline cannot load one, so it is given the states."""
    from safetensors.torch import save_file

    made = model("sd1_calm")
    vectors = torch.randn(3, 32, generator=torch.Generator().manual_seed(3))
    save_file({"<thing>": vectors}, tmp_path / "thing.safetensors")
    context = Context(roots=[tmp_path])
    taught = load_textual_inversion(made, [str(tmp_path / "thing.safetensors")], ctx=context)
    concept = encode_prompt(taught, "a red <thing>")
    expected = theirs(
        pipe("sd1_calm", "SemanticStableDiffusionPipeline"),
        "ddim",
        editing_prompt_embeddings=concept.text,
        edit_warmup_steps=1,
    )
    mine = ours(taught, sega(concept, warmup=1))
    assert relative(mine, expected) <= 1e-4
    assert relative(ours(made, sega(encode_prompt(made, "a red"), warmup=1)), expected) > 1e-3


def test_the_order_of_the_wires_does_not_matter(model: Models) -> None:
    made = model("sd1_calm")
    mine = concepts(made, {"warmup": 0}, {"warmup": 2, "weight": 2.0}, {"warmup": 1, "cooldown": 3})
    assert relative(ours(made, *mine), ours(made, *reversed(mine))) <= 1e-4


def test_cost(model: Models) -> None:
    """One row per concept in the one forward, none after its cooldown (diffusers evaluates it to the end)."""
    made = model("sd1_calm")
    assert cost(made, *concepts(made, {"warmup": 0}, {"warmup": 3})) == [4] * 4
    assert cost(made, *concepts(made, {"warmup": 0, "cooldown": 1}, {"warmup": 1, "cooldown": 3})) == [4, 3, 3, 2]
    assert cost(made, *concepts(made, {"warmup": 0}), scale=1.0) == [3] * 4


def test_image_k_equals_its_own_seed(model: Models) -> None:
    made = model("sd1_calm")
    mine = concepts(made, {"warmup": 1}, {"warmup": 0, "direction": "away"})
    batch = ours(made, *mine, batch=3, scheduler="dpmpp_sde")
    for number in range(3):
        alone = ours(made, *mine, seed=7 + number, scheduler="dpmpp_sde")
        assert relative(batch[number : number + 1], alone) <= 1e-4


def test_off_is_absent(model: Models) -> None:
    """Bit for bit: a scale of 0, also beside another concept; no warm step; nothing between warm-up and start."""
    made = model("sd1_calm")
    plain = ours(made)
    assert torch.equal(ours(made, *concepts(made, {"scale": 0.0})), plain)
    assert torch.equal(ours(made, *concepts(made, {"warmup": 4})), plain)
    first, second = concepts(made, {"warmup": 1}, {"warmup": 3, "scale": 0.0})
    assert torch.equal(ours(made, first, second), ours(made, first))
    assert torch.equal(ours(made, first, scale=1.0), ours(made, first, second, scale=1.0))


def test_a_technique_is_used_twice(model: Models) -> None:
    """Momentum belongs to the run, not to the value."""
    made = model("sd1_calm")
    mine = concepts(made, {"warmup": 1, "momentum": 0.5})
    assert torch.equal(ours(made, *mine), ours(made, *mine))


def test_warnings_before_running(folder: Callable[[str], Any]) -> None:
    with Graph() as graph:
        made: Any = load_model(str(folder("sd1_calm")))
        prompt = encode_prompt(made, "a")
        denoise(made, [cfg(prompt), sega(prompt, warmup=10, cooldown=5), sega(prompt, warmup=30)], steps=20)
    found = check(graph.workflow(), targets=["denoise"])
    assert [(p.severity, p.node, p.input) for p in found] == [
        ("warning", "sega", "cooldown"),
        ("warning", "sega_2", "warmup"),
    ]


def test_a_concept_of_another_model(model: Models) -> None:
    with pytest.raises(ValueError, match="was the prompt encoded by another model"):
        ours(model("sd1_calm"), sega(encode_prompt(model("sdxl_calm"), "a"), warmup=0))
