"""Noise by wire: the seed's own gives the seed's bits, diffusers' pipelines agree, and what does not fit is said."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.nodes.sampling import oracle
from tests.tiny import tiny_sd1
from weft.engine import Context, check
from weft.engine.cache.trails import Trails
from weft.nodes import blend, cfg, denoise, encode_prompt, from_inversion, invert, multidiffusion, noise
from weft.nodes import prompt_to_prompt as edited
from weft.nodes.values import Guidance, Latents, Mask, Model

Models = Callable[[str], Model]
SIDE = 64


@pytest.fixture
def sd1(model: Models) -> Model:
    return model("sd1")


@pytest.fixture
def guidance(sd1: Model) -> Guidance:
    return cfg(encode_prompt(sd1, "a red circle"), encode_prompt(sd1, "blue"), scale=3.0)


def drawn(seed: int, batch: int = 1, width: int = SIDE, height: int = SIDE, channels: int = 4) -> Latents:
    rows = [
        torch.randn(1, channels, height // 8, width // 8, generator=torch.Generator().manual_seed(seed + number))
        for number in range(batch)
    ]
    return Latents(torch.cat(rows))


def picture(seed: int = 3) -> Latents:
    return Latents(drawn(seed).samples * 0.2)


def mask() -> Mask:
    pixels = torch.zeros(1, SIDE, SIDE)
    pixels[:, :, :24] = 1
    return Mask(pixels)


KINDS: dict[str, dict[str, Any]] = {
    "from scratch": {"width": SIDE, "height": SIDE},
    "image to image": {"start": picture(), "strength": 0.6},
    "inpainting": {"start": picture(), "mask": mask()},
    "inpainting at a part of the strength": {"start": picture(), "mask": mask(), "strength": 0.6},
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scheduler", ["ddim", "euler", "euler_ancestral", "dpmpp_sde"])
def test_the_noise_of_the_seed_is_the_seed(sd1: Model, guidance: Guidance, kind: str, scheduler: Any) -> None:
    """Bit for bit, also where the scheduler draws more with the seed."""
    options = {"steps": 4, "scheduler": scheduler, "seed": 11, "batch": 2, **KINDS[kind]}
    plain = denoise(sd1, [guidance], **options)
    own = denoise(sd1, [guidance], noise=noise(sd1, seed=11, batch=2, width=SIDE, height=SIDE), **options)
    assert all(torch.equal(*pair) for pair in zip(plain.trajectory.latents, own.trajectory.latents, strict=True))
    other = denoise(sd1, [guidance], noise=drawn(50, 2), **options)
    assert not torch.equal(other.trajectory.latents[0], plain.trajectory.latents[0])


def test_it_stands_for_the_first_draw_alone(sd1: Model, guidance: Guidance) -> None:
    """With it, the seed drives what an ancestral scheduler adds, and nothing else."""
    options: dict[str, Any] = {"steps": 3, "width": SIDE, "height": SIDE, "noise": drawn(1)}
    steady = [denoise(sd1, [guidance], seed=seed, scheduler="ddim", **options).latents.samples for seed in (1, 2)]
    assert torch.equal(*steady)
    lively = [denoise(sd1, [guidance], seed=seed, scheduler="euler_ancestral", **options) for seed in (1, 2)]
    assert torch.equal(lively[0].trajectory.latents[0], lively[1].trajectory.latents[0])
    assert not torch.equal(lively[0].latents.samples, lively[1].latents.samples)


@pytest.mark.parametrize("scheduler", ["ddim", "euler", "pndm", "dpmpp_2m", "heun"])
@pytest.mark.parametrize("name", ["sd1", "sdxl"])
def test_parity_with_latents_of_a_pipeline(
    model: Models, pipe: Callable[[str, str], Any], name: str, scheduler: Any
) -> None:
    """diffusers scales what it is given as `latents` by the schedule's first sigma, as it does its own draws."""
    made = pipe(name, "StableDiffusionXLPipeline" if name == "sdxl" else "StableDiffusionPipeline")
    oracle.set_scheduler(made, scheduler)
    own = drawn(5, 2)
    theirs = made(
        "a red circle",
        negative_prompt="blue",
        guidance_scale=3.0,
        num_inference_steps=4,
        num_images_per_prompt=2,
        latents=own.samples.clone(),
        width=SIDE,
        height=SIDE,
        output_type="latent",
    ).images
    tiny = model(name)
    base = cfg(encode_prompt(tiny, "a red circle"), encode_prompt(tiny, "blue"), scale=3.0)
    ours = denoise(tiny, [base], noise=own, steps=4, scheduler=scheduler, seed=99).latents.samples
    assert oracle.difference(ours, theirs) <= 1e-4 * float(theirs.abs().max())


def test_between_two_seeds(sd1: Model, guidance: Guidance) -> None:
    """`blend` turns one seed's noise into the other's, and its ends are the two seeds."""
    one, two = (noise(sd1, seed=seed, width=SIDE, height=SIDE) for seed in (1, 2))
    options: dict[str, Any] = {"steps": 3, "scheduler": "ddim"}
    ends = [denoise(sd1, [guidance], seed=seed, width=SIDE, height=SIDE, **options).latents.samples for seed in (1, 2)]
    path = [
        denoise(sd1, [guidance], noise=blend(one, two, amount, "spherical"), **options).latents.samples
        for amount in (0.0, 0.5, 1.0)
    ]
    assert torch.equal(path[0], ends[0])
    assert torch.equal(path[2], ends[1])
    assert not torch.equal(path[1], ends[0])


def test_it_gives_size_and_count(sd1: Model, guidance: Guidance) -> None:
    own = drawn(1, 3, 80, 48)
    assert denoise(sd1, [guidance], noise=own, steps=1).latents.samples.shape == (3, 4, 6, 10)
    one = Latents(drawn(2, 1, 80, 48).samples * 0.2)
    assert denoise(sd1, [guidance], start=one, noise=own, steps=2).latents.samples.shape == (3, 4, 6, 10)


@pytest.mark.parametrize(
    ("given", "options", "message"),
    [
        (drawn(1, channels=16), {}, "`noise` has 16 channels and this model's latents 4: is it from another?"),
        (drawn(1, 2), {"batch": 4}, "`noise` is for 2 images and the batch has 4: one is needed for each"),
        (drawn(1), {"start": Latents(drawn(1, 2).samples)}, "`noise` is for 1 image and the batch has 2"),
        (drawn(1), {"width": 128}, "`noise` is for an image of 64 x 64 and the image is 128 x 64"),
        (drawn(1, width=128), {"start": picture()}, "`noise` is for an image of 128 x 64 and the image is 64 x 64"),
        (Latents(torch.full((1, 4, 8, 8), torch.nan)), {}, "`noise` holds NaN or infinity"),
    ],
)
def test_refused(sd1: Model, guidance: Guidance, given: Latents, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message.replace("?", r"\?")):
        denoise(sd1, [guidance], noise=given, steps=2, **options)


def link(name: str) -> dict[str, str]:
    return {"link": name}


def document(own: dict[str, Any], noise: str = "mixed", **run: Any) -> dict[str, Any]:
    model = {"model": link("model")}
    nodes = {
        "model": {"type": "load_model", "inputs": {"source": "shapes"}},
        "prompt": {"type": "encode_prompt", "inputs": {**model, "text": "a star"}},
        "cfg": {"type": "cfg", "inputs": {"prompt": link("prompt")}},
        "one": {"type": "noise", "inputs": {**model, "seed": 1, **own}},
        "two": {"type": "noise", "inputs": {**model, "seed": 2, **own}},
        "mixed": {"type": "blend", "inputs": {"a": link("one"), "b": link("two"), "mode": "spherical"}},
        "way": {"type": "invert", "inputs": {**model, "guidance": [link("cfg")], "latents": link("one"), "steps": 2}},
        "back": {"type": "from_inversion", "inputs": {"trajectory": link("way.trajectory")}},
        "draw": {"type": "denoise", "inputs": {**model, "guidance": [link("cfg")], "noise": link(noise), **run}},
    }
    return {"weft": 1, "nodes": nodes}


@pytest.mark.parametrize(
    ("own", "run", "found"),
    [
        ({}, {}, []),
        ({"width": 256, "height": 128}, {}, []),
        ({"batch": 3}, {"noise": "one", "batch": 3}, []),
        ({"width": 256, "height": 128}, {"width": 128, "height": 128}, [("noise", "256 x 128", "128 x 128")]),
        ({}, {"width": 256, "height": 256}, [("noise", "128 x 128", "256 x 256")]),
        ({"batch": 3}, {"noise": "one", "batch": 2}, [("noise", 3, 2)]),
    ],
)
def test_check_knows_before(own: dict[str, Any], run: dict[str, Any], found: list[Any]) -> None:
    problems = check(document(own, **run), targets=["draw"])
    assert [(problem.node, problem.input, problem.given, problem.expected) for problem in problems] == [
        ("draw", *rest) for rest in found
    ]


def test_noise_of_another_model_is_known_before(model: Models, tmp_path: Path) -> None:
    """One whose latents have other channels."""
    folder = tiny_sd1(tmp_path / "wide")
    config = folder / "vae" / "config.json"
    config.write_text(config.read_text("utf-8").replace('"latent_channels": 4', '"latent_channels": 16'), "utf-8")
    content = document({})
    content["nodes"]["other"] = {"type": "load_model", "inputs": {"source": str(folder)}}
    content["nodes"]["one"]["inputs"]["model"] = link("other")
    (problem,) = (problem for problem in check(content, targets=["draw"]) if problem.node == "draw")
    assert (problem.code, problem.input, problem.given, problem.expected) == ("bad_value", "noise", 16, 4)


def test_noise_beside_an_inversion_is_refused(sd1: Model, guidance: Guidance) -> None:
    """A run begins with one of them; with a picture to keep, the noise is what is added to that."""
    (problem,) = check(document({}, controls=[link("back")]), targets=["draw"])
    assert (problem.code, problem.node, problem.input) == ("conflict", "draw", "noise")
    assert "back (from_inversion) and mixed (blend) both give the latents to start from" in problem.message
    path = invert(sd1, [guidance], latents=picture(), steps=2).trajectory
    with pytest.raises(ValueError, match="`noise` and a technique both give the latents to start from"):
        denoise(sd1, [guidance], [from_inversion(path)], noise=drawn(1), steps=2)
    kept = denoise(sd1, [guidance], [from_inversion(path)], start=picture(), mask=mask(), noise=drawn(1), steps=2)
    other = denoise(sd1, [guidance], [from_inversion(path)], start=picture(), mask=mask(), noise=drawn(2), steps=2)
    assert not torch.equal(kept.trajectory.latents[1], other.trajectory.latents[1])


def test_resumption_knows_the_noise(sd1: Model, guidance: Guidance) -> None:
    """Steps from other noise are not taken; those from equal noise are, wherever it comes from."""
    said: list[tuple[int, int]] = []
    trails = Trails(1 << 26)

    def run(trails: Trails | None, **options: Any) -> torch.Tensor:
        ctx = Context(trails=trails, on_reused=lambda node, steps, total: said.append((steps, total)))
        settings: dict[str, Any] = {"steps": 4, "scheduler": "ddim", "seed": 3, "width": SIDE, "height": SIDE}
        return denoise.node_type.fn(sd1, [guidance], ctx=ctx, **(settings | options)).latents.samples

    run(trails)
    other = run(trails, noise=drawn(8))
    assert said == []
    assert torch.equal(other, run(None, noise=drawn(8)))
    assert torch.equal(run(trails, noise=drawn(3)), run(None))
    assert said == [(4, 4)]
    for start in (picture(), picture(4)):  # the noise of inpainting acts in each step
        run(trails, start=start, mask=mask(), noise=drawn(8))
        full = run(None, start=start, mask=mask(), noise=drawn(9))
        assert torch.equal(run(trails, start=start, mask=mask(), noise=drawn(9)), full)


@pytest.mark.parametrize("technique", ["multidiffusion", "prompt_to_prompt"])
def test_techniques_begin_with_it(sd1: Model, technique: str) -> None:
    """A canvas of views, and a second picture that is drawn along: both as from the seed."""
    prompt, source = encode_prompt(sd1, "a red circle"), encode_prompt(sd1, "a blue circle")
    more = multidiffusion(SIDE, SIDE, stride=32) if technique == "multidiffusion" else edited(source)
    options: dict[str, Any] = {"steps": 3, "scheduler": "euler_ancestral", "seed": 4}
    wired = [cfg(prompt, scale=3.0), more]
    plain = denoise(sd1, wired, width=96, height=SIDE, **options).latents.samples
    own = denoise(sd1, wired, noise=drawn(4, width=96), **options).latents.samples
    other = denoise(sd1, wired, noise=drawn(5, width=96), **options).latents.samples
    assert torch.equal(own, plain)
    assert not torch.equal(other, plain)


def test_the_given_noise_is_left_as_it_is(sd1: Model, guidance: Guidance) -> None:
    own = drawn(1)
    before = own.samples.clone()
    denoise(sd1, [guidance], noise=own, steps=2, scheduler="euler")
    assert torch.equal(own.samples, before)
