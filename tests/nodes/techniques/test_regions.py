"""Region prompts: the formula, coverage, panoramas, batches, off, cost, what is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.nodes.techniques.measure import counted, relative
from weft.engine import check
from weft.graphs import Graph
from weft.nodes import cfg, denoise, encode_prompt, load_model, multidiffusion, rectangle_mask, regions
from weft.nodes.sampling.noise import draw, generators
from weft.nodes.sampling.schedule import Schedule, build_scheduler
from weft.nodes.values import Mask, Model

Models = Callable[[str], Model]
EVERYWHERE, NEGATIVE, PARTS = "a white background", "a photo", ("a red circle", "a blue square")


def soft_masks(size: int = 64) -> list[Mask]:
    """Two that overlap (above 1 in places), mix softly, and leave a corner to the base."""
    first, second = torch.zeros(1, size, size), torch.zeros(1, size, size)
    first[..., : size // 2 + 8] = 1
    first[:, :16] = 0.5
    second[:, 24:, size // 4 :] = 0.75
    return [Mask(first), Mask(second)]


def draw_regions(model: Model, masks: list[Mask], strength: float = 1.0, scale: float = 5.0, **options: Any) -> Tensor:
    base = cfg(encode_prompt(model, EVERYWHERE), encode_prompt(model, NEGATIVE), scale=scale)
    prompts = [encode_prompt(model, text) for text in PARTS]
    more = options.pop("more", [])
    settings: Any = {"steps": 3, "scheduler": "ddim", "width": 64, "height": 64, "seed": 7} | options
    return denoise(model, [base, regions(prompts, masks, strength), *more], **settings).latents.samples


def by_formula(
    model: Model, weights: list[Tensor], scheduler: str, scale: float = 5.0, lefts: tuple[int, ...] = (0,)
) -> Tensor:
    """One prompt and one window of 8 columns at a time."""
    unet = model.parts().unet
    width = weights[0].shape[-1]
    sources = generators(7, 1)
    latents = draw((1, 4, 8, width), sources, "cpu")
    schedule = Schedule(build_scheduler(scheduler, model.scheduler), 3)
    schedule.bind(sources)
    latents = latents * schedule.init_noise_sigma
    states = [encode_prompt(model, text).text for text in (NEGATIVE, EVERYWHERE, *PARTS)]
    total = sum(weights, start=torch.zeros(()))
    weights = [weight / total.clamp(min=1) for weight in weights]
    with torch.no_grad():
        for index in range(schedule.calls):

            def predict(state: Tensor, latents: Tensor = latents, index: int = index) -> Tensor:
                canvas, count = torch.zeros_like(latents), torch.zeros(width)
                for left in lefts:
                    part = schedule.scale(latents, index)[..., left : left + 8]
                    canvas[..., left : left + 8] += unet(part, schedule.timesteps[index], state).sample
                    count[left : left + 8] += 1
                return canvas / count

            uncond, everywhere, *parts = (predict(state) for state in states)
            cond = (1 - total).clamp(min=0) * everywhere
            cond = cond + sum(weight * part for weight, part in zip(weights, parts, strict=True))
            latents = schedule.step(uncond + scale * (cond - uncond), index, latents)
    return latents


@pytest.mark.parametrize(
    ("scheduler", "strength"), [("ddim", 1.0), ("pndm", 0.6), ("euler_ancestral", 1.0), ("dpmpp_2m", 1.0)]
)
def test_by_formula(model: Models, scheduler: Any, strength: float) -> None:
    made, masks = model("sd1_calm"), soft_masks()
    weights = [strength * mask.pixels[:, None, ::8, ::8] for mask in masks]
    ours = draw_regions(made, masks, strength, scheduler=scheduler)
    assert relative(ours, by_formula(made, weights, scheduler)) <= 1e-4


def test_every_column_of_a_panorama(model: Models) -> None:
    """Masks are of the whole canvas; a width off the stride grid is covered to its last column."""
    made = model("sd1_calm")
    masks = [rectangle_mask(104, 64, right=40), rectangle_mask(104, 64, left=40, right=80)]
    weights = [mask.pixels[:, None, ::8, ::8] for mask in masks]
    views = [multidiffusion(view_width=64, view_height=64, stride=32)]
    ours = draw_regions(made, masks, width=104, more=views)
    assert relative(ours, by_formula(made, weights, "ddim", lefts=(0, 4, 5))) <= 1e-4


def test_a_region_of_everything_is_its_prompt(model: Models) -> None:
    made = model("sd1_calm")
    masks = [Mask(torch.ones(1, 64, 64)), Mask(torch.zeros(1, 64, 64))]
    ours = draw_regions(made, masks)
    base = cfg(encode_prompt(made, PARTS[0]), encode_prompt(made, NEGATIVE), scale=5.0)
    plain = denoise(made, [base], steps=3, scheduler="ddim", width=64, height=64, seed=7).latents.samples
    assert relative(ours, plain) <= 1e-4


@pytest.mark.parametrize("scale", [5.0, 1.0])
def test_off_is_off_exactly_and_costs_nothing(model: Models, scale: float) -> None:
    made = model("sd1")
    base = cfg(encode_prompt(made, EVERYWHERE), encode_prompt(made, NEGATIVE), scale=scale)
    plain = denoise(made, [base], steps=3, scheduler="ddim", width=64, height=64, seed=7).latents.samples
    parts = made.parts()
    with counted(parts.unet) as rows:
        assert torch.equal(draw_regions(made, soft_masks(), 0.0, scale), plain)
        assert relative(draw_regions(made, soft_masks(), 1.0, scale), plain) > 1e-3
    own = 2 if scale > 1 else 1
    assert rows == [own] * 3 + [own + 2] * 3


def test_a_batch_equals_its_seeds_and_may_have_masks_each(model: Models) -> None:
    made = model("sd1_calm")
    first, second = soft_masks()
    each = [Mask(torch.cat([first.pixels, second.pixels])), Mask(torch.cat([second.pixels, first.pixels]))]
    both = draw_regions(made, each, batch=2, scheduler="euler_ancestral")
    for number, masks in enumerate(([first, second], [second, first])):
        alone = draw_regions(made, masks, seed=7 + number, scheduler="euler_ancestral")
        assert relative(both[number][None], alone) <= 1e-4


def test_refused(model: Models) -> None:
    made = model("sd1")
    with pytest.raises(ValueError, match="the mask is 64 x 40 and the image 64 x 64"):
        draw_regions(made, [Mask(torch.ones(1, 40, 64)), soft_masks()[0]])
    with pytest.raises(ValueError, match="region 2 has 3 masks, which do not fit 1 images"):
        draw_regions(made, [soft_masks()[0], Mask(torch.ones(3, 64, 64))])
    with pytest.raises(ValueError, match="2 prompts and 1 masks: every region needs one of each"):
        draw_regions(made, soft_masks()[:1])


def test_uneven_lists_are_found_before_running(folder: Any) -> None:
    with Graph() as graph:
        loaded = load_model(str(folder("sd1")))
        prompt = encode_prompt(loaded, "a")
        uneven = regions([prompt, prompt], [rectangle_mask(64, 64)])
        denoise(loaded, [cfg(prompt), uneven], width=64, height=64)
    found = [(p.code, p.node, p.input) for p in check(graph.workflow()) if p.node is not None]
    assert found == [("bad_value", "regions", "masks")]
