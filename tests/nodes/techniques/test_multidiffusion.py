"""Panoramas: parity with diffusers where it is right, the formula where it is not, cost, coverage, what is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.nodes.sampling.oracle import seeded, set_scheduler
from tests.nodes.techniques.measure import counted, relative
from weft.engine import check
from weft.graphs import Graph
from weft.nodes import cfg, decode, denoise, encode_prompt, load_model, multidiffusion
from weft.nodes.sampling.noise import draw, generators
from weft.nodes.sampling.schedule import Schedule, build_scheduler
from weft.nodes.values import Latents, Model

Models = Callable[[str], Model]
Pipes = Callable[[str, str], Any]
PROMPT, NEGATIVE = "a red circle", "a blue square"


def panorama(model: Model, scale: float = 5.0, **options: Any) -> Tensor:
    """A panorama with views of 128 pixels, 16 latent pixels: the tiny model's own size."""
    views = {key: options.pop(key) for key in ("view_width", "view_height", "circular") if key in options}
    guidance = cfg(encode_prompt(model, PROMPT), encode_prompt(model, NEGATIVE), scale=scale)
    settings: Any = {"steps": 4, "scheduler": "ddim", "height": 128, "seed": 7} | options
    stride = settings.pop("stride", 32)
    return denoise(model, [guidance, multidiffusion(stride=stride, **views)], **settings).latents.samples


@pytest.mark.parametrize(
    ("scheduler", "size", "stride", "circular", "scale"),
    [
        ("ddim", (128, 192), 32, False, 5.0),
        ("pndm", (128, 192), 64, False, 7.5),
        ("pndm", (128, 256), 64, True, 5.0),
        ("ddim", (192, 160), 32, False, 1.0),
        ("ddim", (128, 192), 32, True, 3.0),  # higher circular canvases raise in diffusers
    ],
)
def test_parity(
    model: Models, pipe: Pipes, scheduler: Any, size: tuple[int, int], stride: int, circular: bool, scale: float
) -> None:
    """diffusers' windows are always 64 latent pixels wide with stride 8; here they are made as small as the model."""
    oracle = pipe("sd1_calm", "StableDiffusionPanoramaPipeline")
    set_scheduler(oracle, scheduler)
    oracle.get_views = lambda height, width, circular_padding: type(oracle).get_views(
        oracle, height, width, window_size=16, stride=stride // 8, circular_padding=circular_padding
    )
    height, width = size
    common = {"height": height, "width": width}
    theirs = oracle(
        PROMPT,
        negative_prompt=NEGATIVE,
        guidance_scale=scale,
        num_inference_steps=4,
        circular_padding=circular,
        generator=seeded(7, 1),
        output_type="latent",
        **common,
    ).images
    made = model("sd1_calm")
    ours = panorama(made, scale, scheduler=scheduler, stride=stride, circular=circular, **common)
    assert relative(ours, theirs) <= 1e-4


@pytest.mark.parametrize(("circular", "width", "views"), [(False, 256, 5), (True, 384, 12)])
def test_cost(model: Models, circular: bool, width: int, views: int) -> None:
    """One forward a step for all views."""
    made = model("sd1_calm")
    parts = made.parts()
    with counted(parts.unet) as rows:
        panorama(made, width=width, circular=circular)
    assert rows == [2 * views] * 4


def by_formula(model: Model, scheduler: str, lefts: list[int], width: int, steps: int = 4) -> Tensor:
    """One view and one prompt at a time; the guided predictions are averaged and the scheduler steps once."""
    unet = model.parts().unet
    shape = (1, 4, 16, width)
    sources = generators(7, 1)
    noise = draw(shape, sources, "cpu")
    schedule = Schedule(build_scheduler(scheduler, model.scheduler), steps, eta=0.0)
    schedule.bind(sources)
    prompts = [encode_prompt(model, text).text for text in (NEGATIVE, PROMPT)]
    latents = noise * schedule.init_noise_sigma
    with torch.no_grad():
        for index in range(schedule.calls):
            total, count = torch.zeros(shape), torch.zeros(width)
            for left in lefts:
                columns = torch.arange(left, left + 16) % width
                part = schedule.scale(latents, index)[..., columns]
                uncond, cond = (unet(part, schedule.timesteps[index], text).sample for text in prompts)
                total[..., columns] += uncond + 5.0 * (cond - uncond)
                count[columns] += 1
            latents = schedule.step(total / count, index, latents)
    return latents


@pytest.mark.parametrize("scheduler", ["euler_ancestral", "dpmpp_sde", "lcm"])
def test_stochastic_schedulers_by_formula(model: Models, scheduler: Any) -> None:
    """diffusers steps every view with noise of its own and averages, which shrinks the noise: not compared with."""
    made = model("sd1_calm")
    ours = panorama(made, width=192, scheduler=scheduler)
    assert relative(ours, by_formula(made, scheduler, [0, 4, 8], 24)) <= 1e-4


@pytest.mark.parametrize(
    ("width", "circular", "lefts"),
    [
        (200, False, [0, 4, 8, 9]),  # 25 columns: the stride of 4 misses the last, which diffusers leaves at zero
        (136, False, [0, 1]),
        (200, True, [0, 4, 8, 12, 16, 20, 24]),
        (128, True, [0, 4, 8, 12]),  # diffusers makes one view of this, with a seam
    ],
)
def test_every_column_is_covered(model: Models, width: int, circular: bool, lefts: list[int]) -> None:
    made = model("sd1_calm")
    ours = panorama(made, width=width, circular=circular, steps=2)
    expected = by_formula(made, "ddim", lefts, width // 8, steps=2)
    assert relative(ours, expected) <= 1e-4
    assert bool((ours.abs().sum(dim=(0, 1, 2)) > 0).all())


def test_views_of_any_size(model: Models) -> None:
    """Views of another size than the model's, both ways; a canvas as large as one view is the plain image."""
    made = model("sd1_calm")
    wide = panorama(made, width=136, height=72, view_width=96, view_height=64, stride=24, steps=2)
    assert wide.shape == (1, 4, 9, 17)
    guidance = cfg(encode_prompt(made, PROMPT), encode_prompt(made, NEGATIVE), scale=5.0)
    plain = denoise(made, [guidance], steps=2, scheduler="ddim", width=64, height=64, seed=7).latents.samples
    assert relative(panorama(made, width=64, height=64, steps=2), plain) <= 1e-6


def test_a_batch_equals_its_seeds(model: Models) -> None:
    made = model("sd1_calm")
    both = panorama(made, width=160, batch=2, scheduler="euler_ancestral", steps=2)
    for number in range(2):
        alone = panorama(made, width=160, seed=7 + number, scheduler="euler_ancestral", steps=2)
        assert relative(both[number : number + 1], alone) <= 1e-4


def test_memory_splits_the_forward(model: Models, monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit follows from sizes alone: here two views of 16 x 16 with four branches each."""
    made = model("sd1_calm")
    whole = panorama(made, width=256, steps=2)
    monkeypatch.setattr("weft.nodes.sampling.forward.BUDGET", 2 * 4 * 24 * 16 * 16 * 16 * 4)
    parts = made.parts()
    with counted(parts.unet) as rows:
        split = panorama(made, width=256, steps=2)
    assert rows == [4, 4, 2] * 2
    assert relative(split, whole) <= 1e-4


def test_it_acts_in_the_whole_run_or_not_at_all(model: Models) -> None:
    """An empty window is the run without it, exactly."""
    made = model("sd1_calm")
    base = cfg(encode_prompt(made, PROMPT))
    options: Any = {"steps": 2, "scheduler": "ddim", "width": 192, "height": 128}
    plain = denoise(made, [base], **options).latents.samples
    off = denoise(made, [base, multidiffusion().narrowed((0.5, 0.5))], **options).latents.samples
    assert torch.equal(off, plain)
    with pytest.raises(ValueError, match="for the whole run: it cannot act in a part of it only"):
        denoise(made, [base, multidiffusion().narrowed((0.0, 0.5))], **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"view_width": 256}, "view_width 256 is larger than the canvas, which is 192"),
        ({"view_height": 136}, "view_height 136 is larger than the canvas, which is 128"),
        ({"view_width": 100}, "view_width 100 has to be a multiple of 8: 96 is near"),
        ({"stride": 36}, "stride 36 has to be a multiple of 8"),
        ({"view_width": 64, "stride": 72}, "a stride of 72 leaves gaps between views of 64"),
    ],
)
def test_refused(model: Models, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        panorama(model("sd1_calm"), width=192, steps=1, **options)


def problems(build: Callable[[Any, Any], Any], folder: Any) -> list[tuple[str, str | None, str | None, str]]:
    with Graph() as graph:
        loaded = load_model(str(folder("sd1")))
        build(loaded, cfg(encode_prompt(loaded, "a")))
    return [(p.code, p.node, p.input, p.message) for p in check(graph.workflow()) if p.node is not None]


def test_found_before_running(folder: Any) -> None:
    def large(loaded: Any, base: Any) -> Any:
        return denoise(loaded, [base, multidiffusion(view_width=512)], width=384, height=512)

    expected = "a view with view_width 512 is larger than the canvas, width 384 of denoise"
    assert ("bad_value", "multidiffusion", "view_width", expected) in problems(large, folder)

    def gaps(loaded: Any, base: Any) -> Any:
        return denoise(loaded, [base, multidiffusion(view_width=128, stride=256)], width=1024)

    assert [found[:3] for found in problems(gaps, folder)] == [("bad_value", "multidiffusion", "stride")]

    def twice(loaded: Any, base: Any) -> Any:
        return denoise(loaded, [base, multidiffusion(), multidiffusion(circular=True)], width=1024)

    ((code, node, _, message),) = problems(twice, folder)
    assert (code, node) == ("conflict", "denoise")
    assert "multidiffusion (multidiffusion) and multidiffusion_2 (multidiffusion) both divide the canvas" in message

    def good(loaded: Any, base: Any) -> Any:
        return denoise(loaded, [base, multidiffusion(view_width=512, circular=True)], width=2048, height=512)

    assert problems(good, folder) == []


def test_circular_decoding(model: Models, pipe: Pipes) -> None:
    """Both edges are decoded with the other beside them."""
    made = model("sd1_calm")
    samples = torch.randn(1, 4, 16, 24, generator=torch.Generator().manual_seed(0))
    oracle = pipe("sd1_calm", "StableDiffusionPanoramaPipeline")
    with torch.no_grad():
        theirs = (oracle.decode_latents_with_padding(samples) / 2 + 0.5).clamp(0, 1).permute(0, 2, 3, 1)
    ours = decode(made, Latents(samples), circular=True).pixels
    assert relative(ours, theirs) <= 1e-5
    assert relative(decode(made, Latents(samples)).pixels, theirs) > 1e-4
