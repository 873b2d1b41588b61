"""Windows around any technique, and rescaled guidance as a node."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.nodes.techniques.guided import NEGATIVE, PROMPT, SIZE, base, cost, ours, theirs
from tests.nodes.techniques.measure import counted, relative
from weft.engine import Cache, check, run
from weft.graphs import Graph
from weft.nodes import (
    cfg,
    decode,
    denoise,
    during,
    encode_prompt,
    load_model,
    pag,
    rescale_guidance,
    sag,
    save_image,
    sega,
)
from weft.nodes.sampling.noise import draw, generators
from weft.nodes.sampling.schedule import Schedule, build_scheduler
from weft.nodes.values import Guidance, Model

Models = Callable[[str], Model]
Pipes = Callable[[str, str], Any]


def alone(model: Model, guidance: Guidance, **options: Any) -> Tensor:
    settings: dict[str, Any] = {"steps": 4, "scheduler": "ddim", "seed": 7, **SIZE} | options
    return denoise(model, [guidance], **settings).latents.samples


def test_a_window_is_where_it_acts(model: Models) -> None:
    """Steps that lie inside, and no others; the same as the window that a technique has by itself."""
    made = model("sd1_calm")
    assert cost(made, during(pag(), 0.25, 0.75)) == [2, 3, 3, 2]
    assert cost(made, during(sag(), 0.3, 1.0)) == [2, 2, 2, 1, 2, 1]
    mine = ours(made, during(pag(), 0.25, 0.75))
    assert relative(mine, ours(made)) > 1e-3
    assert relative(mine, ours(made, pag())) > 1e-3


def test_windows_overlap(model: Models) -> None:
    made = model("sd1_calm")
    narrow = during(during(pag(), 0.0, 0.75), 0.25, 1.0)
    assert narrow.window == (0.25, 0.75)
    assert torch.equal(ours(made, narrow), ours(made, during(pag(), 0.25, 0.75)))
    assert during(during(pag(), 0.0, 0.3), 0.6, 1.0).window == (0.6, 0.6)
    assert torch.equal(ours(made, during(during(pag(), 0.0, 0.3), 0.6, 1.0)), ours(made))


def test_empty_and_whole_windows(model: Models) -> None:
    """Bit for bit: an empty one is no technique, a whole one no window."""
    made = model("sd1_calm")
    plain = ours(made)
    concept = sega(encode_prompt(made, "green"), warmup=0)
    for technique in (pag(), sag(), concept, rescale_guidance()):
        assert torch.equal(ours(made, during(technique, 0.5, 0.5)), plain)
        assert torch.equal(ours(made, during(technique)), ours(made, technique))


def test_guidance_interval(model: Models) -> None:
    """A base outside its window leaves the prompt's prediction as it is, and costs one row."""
    made = model("sd1_calm")
    parts = made.parts()
    with counted(parts.unet) as rows:
        mine = alone(made, during(base(made, rescale=0.7), 0.25, 0.75))
    assert rows == [1, 2, 2, 1]
    source = generators(7, 1)
    latents = draw((1, 4, 16, 16), source, "cpu")
    schedule = Schedule(build_scheduler("ddim", made.scheduler), 4)
    texts = torch.cat([encode_prompt(made, text).text for text in (NEGATIVE, PROMPT)])
    with torch.no_grad():
        for index in range(4):
            inside = index in (1, 2)
            states = texts if inside else texts[1:]
            found = parts.unet(latents.expand(len(states), -1, -1, -1), schedule.timesteps[index], states).sample
            guided = found[-1:]
            if inside:
                guided = found[:1] + 5.0 * (found[1:] - found[:1])
                guided = 0.7 * guided * found[1:].std() / guided.std() + 0.3 * guided
            latents = schedule.step(guided, index, latents)
    assert relative(mine, latents) <= 1e-4


@pytest.mark.parametrize("scheduler", ["ddim", "euler", "heun"])
def test_a_base_that_never_acts_is_the_prompt_alone(model: Models, scheduler: str) -> None:
    made = model("sd1_calm")
    off = alone(made, during(base(made), 0.5, 0.5), scheduler=scheduler)
    assert torch.equal(off, alone(made, base(made, scale=1.0), scheduler=scheduler))


def test_a_concept_outside_its_window_is_not_there(model: Models) -> None:
    """Its window closes before it would: the other concept does not wait for its warm-up, nor share weights with it."""
    made = model("sd1_calm")
    first = sega(encode_prompt(made, "green"), warmup=1)
    second = sega(encode_prompt(made, "large star"), warmup=3, weight=4.0)
    assert torch.equal(ours(made, first, during(second, 0.0, 0.0)), ours(made, first))
    assert relative(ours(made, first, second), ours(made, first)) > 1e-3


@pytest.mark.parametrize(("name", "kind"), [("sd1_calm", "StableDiffusion"), ("sdxl_calm", "StableDiffusionXL")])
@pytest.mark.parametrize("amount", [0.7, 1.0])
def test_rescale_equals_diffusers(model: Models, pipe: Pipes, name: str, kind: str, amount: float) -> None:
    expected = theirs(pipe(name, f"{kind}Pipeline"), "ddim", batch=2, guidance_rescale=amount)
    made = model(name)
    assert relative(ours(made, rescale_guidance(amount), batch=2), expected) <= 1e-4
    assert torch.equal(ours(made, rescale_guidance(amount)), alone(made, base(made, rescale=amount)))


def test_rescale_is_last(model: Models) -> None:
    """Wherever it is wired, what it gives has the spread of the prompt's own prediction."""
    made = model("sd1_calm")
    assert torch.equal(ours(made, rescale_guidance(1.0), pag()), ours(made, pag(), rescale_guidance(1.0)))
    assert torch.equal(ours(made, rescale_guidance(0.0)), ours(made))


def problems(folder: str, wire: Callable[[Any, Any], list[Any]]) -> list[tuple[str, str | None, str | None]]:
    with Graph() as graph:
        model: Any = load_model(folder)
        denoise(model, wire(model, encode_prompt(model, "a")))
    return [(p.code, p.node, p.input) for p in check(graph.workflow(), targets=["denoise"])]


def test_checks_look_through_it(folder: Callable[[str], Any]) -> None:
    """A wrapped base is one, a wrapped addition is none, a wrapped second base is one too many."""
    path = str(folder("sd1_calm"))
    assert problems(path, lambda model, prompt: [during(during(cfg(prompt), 0.1), 0.2, 0.9)]) == []
    assert problems(path, lambda model, prompt: [during(pag())]) == [("missing_input", "denoise", "guidance")]
    assert problems(path, lambda model, prompt: [cfg(prompt), during(cfg(prompt))]) == [
        ("conflict", "denoise", "guidance")
    ]
    assert problems(path, lambda model, prompt: [cfg(prompt), during(pag(), 0.7, 0.2)]) == [
        ("bad_value", "during", "end")
    ]
    with pytest.raises(ValueError, match=r"ends, at 0.2, before it starts, at 0.7"):
        during(pag(), 0.7, 0.2)


def test_types_pass_through(folder: Callable[[str], Any]) -> None:
    """Guidance in a window is guidance, and no control."""
    with Graph() as graph:
        model: Any = load_model(str(folder("sd1_calm")))
        prompt = encode_prompt(model, "a")
        denoise(model, [cfg(prompt)], controls=[during(pag())])
        during(prompt)  # type: ignore[type-var]
    found = check(graph.workflow(), targets=["denoise", "during_2"])
    assert {(p.code, p.node, p.input) for p in found} == {
        ("type_mismatch", "denoise", "controls"),
        ("type_mismatch", "during_2", "technique"),
    }


def triple(made: Any) -> list[Any]:
    concepts = [sega(encode_prompt(made, "green"), warmup=1), sega(encode_prompt(made, "large"), "away", warmup=2)]
    return [pag(2.0), sag(), *concepts]


def test_sag_sega_and_pag(model: Models) -> None:
    """One forward for all and one for the degraded row. Each matters; without one it is the others, exactly."""
    made = model("sd1_calm")
    mine = triple(made)
    assert cost(made, *mine) == [5, 1] * 4
    whole = ours(made, *mine)
    assert bool(torch.isfinite(whole).all())
    # The order of the wires gives the rows their places, and rounding; the sum has an order of its own.
    assert relative(ours(made, *reversed(mine)), whole) <= 1e-4
    for left_out in range(len(mine)):
        others = [technique for number, technique in enumerate(mine) if number != left_out]
        without = ours(made, *others)
        assert relative(whole, without) > 1e-3
        off = [during(t, 1.0) if number == left_out else t for number, t in enumerate(mine)]
        assert torch.equal(ours(made, *off), without)


@pytest.mark.parametrize("name", ["sd1_calm", "sd2_calm", "sdxl_calm"])
@pytest.mark.parametrize("scheduler", ["ddim", "euler_ancestral", "dpmpp_2m"])
def test_all_three_on_every_family(model: Models, name: str, scheduler: Any) -> None:
    """In a batch, each image as alone."""
    made = model(name)
    batch = ours(made, *triple(made), batch=2, scheduler=scheduler)
    assert relative(batch, ours(made, batch=2, scheduler=scheduler)) > 1e-3
    assert bool(torch.isfinite(batch).all())


def test_terms_add_up(model: Models) -> None:
    """In the first step, where all see the same latents, the sum's effect is the sum of each one's effect."""
    made = model("sd1_calm")
    mine = [pag(2.0), sag(), sega(encode_prompt(made, "green"), warmup=0)]
    plain, whole = ours(made, steps=1), ours(made, *mine, steps=1)
    parts = sum((ours(made, technique, steps=1) - plain for technique in mine), start=plain)
    assert relative(whole, parts) <= 1e-4


def test_through_the_engine_and_its_disk_cache(folder: Callable[[str], Any], tmp_path: Any) -> None:
    """Techniques survive storing: a second run does nothing and gives the same bits."""
    with Graph() as graph:
        made: Any = load_model(str(folder("sd1_calm")), dtype="float32", device="cpu")
        guidance = [cfg(encode_prompt(made, PROMPT)), rescale_guidance(), *triple(made), during(pag(), 0.5)]
        latents = denoise(made, guidance, steps=3, width=64, height=64, scheduler="ddim")
        save_image(decode(made, latents.latents), name="x")
    first = run(graph.workflow(), targets=["denoise"], cache=Cache(tmp_path / "cache"), out=tmp_path)
    stored = Cache(tmp_path / "cache")
    again = run(graph.workflow(), targets=["denoise", "sega", "during"], cache=stored, out=tmp_path)
    assert again.ran == 0
    assert torch.equal(again["denoise.latents"].samples, first["denoise.latents"].samples)
    assert again["during"].window == (0.5, 1.0)
