"""DDIM inversion: parity with diffusers with and without regularisation, the way back, cost, what is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from tests.nodes.techniques.inversion import diffedit_pipeline, picture
from tests.nodes.techniques.measure import counted, relative
from weft.engine import check
from weft.graphs import Graph
from weft.nodes import cfg, denoise, encode_prompt, from_inversion, invert, load_image, load_model, noise
from weft.nodes.basic.encode_image import encode_image
from weft.nodes.sampling.invert import along
from weft.nodes.sampling.schedule import Schedule, build_scheduler
from weft.nodes.values import Image, Latents, Model

Models = Callable[[str], Model]
PROMPT, NEGATIVE = "a red circle", "a blue square"


def guidance(model: Model, scale: float = 1.0) -> Any:
    return [cfg(encode_prompt(model, PROMPT), encode_prompt(model, NEGATIVE), scale=scale)]


@pytest.mark.parametrize(
    ("name", "steps", "strength", "scale", "options"),
    [
        ("sd1", 10, 0.8, 7.5, {}),
        ("sd1", 5, 1.0, 1.0, {}),
        ("sd2", 5, 0.6, 3.0, {}),
        ("sd1_calm", 3, 1.0, 1.0, {"num_reg_steps": 5}),
        (
            "sd1_calm",
            3,
            1.0,
            4.0,
            {"num_reg_steps": 2, "lambda_auto_corr": 5.0, "lambda_kl": 0.0, "num_auto_corr_rolls": 2},
        ),
        ("sd2_calm", 3, 1.0, 1.0, {"num_reg_steps": 1, "lambda_auto_corr": 0.0, "lambda_kl": 10.0}),
    ],
)
def test_parity(model: Models, name: str, steps: int, strength: float, scale: float, options: dict[str, Any]) -> None:
    """Every latent on the way, and with regularisation the same shifts from the same seed."""
    made = model(name)
    clean = picture()
    theirs = diffedit_pipeline(made).invert(
        prompt=PROMPT,
        negative_prompt=NEGATIVE,
        image=clean,
        num_inference_steps=steps,
        inpaint_strength=strength,
        guidance_scale=scale,
        generator=torch.Generator().manual_seed(3),
        **options,
    )[0]
    names = {
        "num_reg_steps": "regularize",
        "lambda_auto_corr": "autocorrelation",
        "lambda_kl": "divergence",
        "num_auto_corr_rolls": "rolls",
    }
    ours = invert(
        made,
        guidance(made, scale),
        latents=Latents(clean),
        steps=steps,
        strength=strength,
        seed=3,
        **{names[key]: item for key, item in options.items()},
    )
    path = torch.stack(ours.trajectory.latents, dim=1)
    assert torch.equal(path[:, 0], clean)
    assert relative(path[:, 1:].flip(1), theirs) <= 1e-4
    assert torch.equal(ours.latents.samples, path[:, -1])


def test_cost(model: Models) -> None:
    made = model("sd1")
    parts = made.parts()
    with counted(parts.unet) as rows:
        done = invert(made, guidance(made, 7.5), latents=Latents(picture()), steps=10, strength=0.8)
    assert rows == [2] * 8
    assert len(done.trajectory.latents) == len(done.trajectory.sigmas) == len(done.trajectory.timesteps) + 1 == 9


def test_an_image_is_encoded(model: Models) -> None:
    made = model("sd1")
    image = Image(torch.rand(1, 64, 64, 3, generator=torch.Generator().manual_seed(0)))
    by_image = invert(made, guidance(made), image=image, steps=2)
    by_latents = invert(made, guidance(made), latents=encode_image(made, image), steps=2)
    assert torch.equal(by_image.latents.samples, by_latents.latents.samples)


@pytest.mark.parametrize("regularize", [0, 1])
def test_a_batch_equals_its_images(model: Models, regularize: int) -> None:
    """One loss and one seed per image; diffusers has one loss for the whole batch."""
    made = model("sd1_calm")
    clean = picture(batch=2)
    options: Any = {"steps": 3, "regularize": regularize}
    both = invert(made, guidance(made), latents=Latents(clean), seed=5, **options).latents.samples
    for number in range(2):
        alone = invert(made, guidance(made), latents=Latents(clean[number][None]), seed=5 + number, **options)
        assert relative(both[number][None], alone.latents.samples) <= 1e-4


def test_without_strengths_regularisation_is_off(model: Models) -> None:
    made = model("sd1")
    plain = invert(made, guidance(made), latents=Latents(picture()), steps=2)
    off = invert(
        made, guidance(made), latents=Latents(picture()), steps=2, regularize=3, autocorrelation=0.0, divergence=0.0
    )
    assert torch.equal(plain.latents.samples, off.latents.samples)


def test_regularised_noise_is_more_like_noise(model: Models) -> None:
    from weft.nodes.sampling.invert import autocorrelation

    made = model("sd1")

    def likeness(regularize: int) -> float:
        done = invert(made, guidance(made), latents=Latents(picture()), steps=4, regularize=regularize)
        return float(autocorrelation(done.latents.samples, torch.Generator().manual_seed(1)))

    assert likeness(5) < likeness(0)


@pytest.mark.parametrize("scheduler", ["ddim", "euler"])
def test_the_way_back(model: Models, scheduler: Any) -> None:
    """The image comes back from its inversion, and more nearly so with more steps; from noise it does not."""
    made = model("sd1_calm")
    clean = picture()

    def back(steps: int) -> float:
        up = invert(made, guidance(made), latents=Latents(clean), steps=steps, strength=0.5)
        start = from_inversion(up.trajectory)
        down = denoise(made, guidance(made), [start], steps=steps, strength=0.5, scheduler=scheduler)
        return relative(down.latents.samples, clean)

    coarse, fine = back(4), back(16)
    assert fine < 0.7 * coarse
    other = denoise(made, guidance(made), start=Latents(clean), steps=16, strength=0.5, scheduler=scheduler)
    assert fine < 0.2 * relative(other.latents.samples, clean)


def test_size_conditioning_and_other_spacings_by_formula(model: Models) -> None:
    """SDXL's configuration has no spacing that diffusers' inverse scheduler knows: the levels are those of our ddim."""
    made, clean = model("sdxl"), picture()
    prompt, unet = encode_prompt(made, PROMPT), made.parts().unet
    ladder = Schedule(build_scheduler("ddim", made.scheduler), 10)
    added = {"text_embeds": prompt.pooled, "time_ids": torch.tensor([[128.0, 128, 0, 0, 128, 128]])}
    expected, levels = clean, [*reversed(range(ladder.calls))]
    alpha = ladder.scheduler.final_alpha_cumprod**0.5
    with torch.no_grad():
        for level in levels[:2]:
            predicted = unet(expected, ladder.timesteps[level], prompt.text, added_cond_kwargs=added).sample
            flat = (expected - (1 - alpha**2) ** 0.5 * predicted) / alpha
            alpha = ladder.alphas[level]
            expected = alpha * flat + ladder.sigmas[level] * predicted
    ours = invert(made, guidance(made), latents=Latents(clean), steps=10, strength=0.2)
    assert relative(ours.latents.samples, expected) <= 1e-4
    assert ours.trajectory.timesteps == tuple(float(ladder.timesteps[level]) for level in levels[:2])


def test_levels_between(model: Models) -> None:
    """A stored level is taken as it is; between two the latents lie on DDIM's own straight line."""
    made = model("sd1")
    path = invert(made, guidance(made), latents=Latents(picture()), steps=4).trajectory
    for index, sigma in enumerate(path.sigmas):
        alpha = torch.tensor(1 / (1 + sigma**2) ** 0.5)
        assert torch.equal(along(path, alpha, alpha * sigma), path.latents[index])
        # In the coordinates of Euler's kind, where alpha is 1.
        assert relative(along(path, torch.tensor(1.0), torch.tensor(sigma)), path.latents[index] / alpha) <= 1e-5
    low, high = path.sigmas[1], path.sigmas[2]
    ends = [path.latents[index] * (1 + path.sigmas[index] ** 2) ** 0.5 for index in (1, 2)]
    between = along(path, torch.tensor(1.0), torch.tensor(0.75 * low + 0.25 * high))
    assert relative(between, 0.75 * ends[0] + 0.25 * ends[1]) <= 1e-5
    # Schedulers with other spacings begin a little higher: the last step goes on.
    low, high = path.sigmas[-2:]
    ends = [path.latents[index] * (1 + path.sigmas[index] ** 2) ** 0.5 for index in (-2, -1)]
    above = along(path, torch.tensor(1.0), torch.tensor(high + 0.2 * (high - low)))
    assert relative(above, ends[1] + 0.2 * (ends[1] - ends[0])) <= 1e-5


def test_refused(model: Models) -> None:
    made = model("sd1")
    clean = Latents(picture())
    with pytest.raises(ValueError, match="either `image` or `latents` is needed"):
        invert(made, guidance(made))
    with pytest.raises(ValueError, match="needed, not both"):
        invert(made, guidance(made), image=Image(torch.zeros(1, 64, 64, 3)), latents=clean)
    with pytest.raises(ValueError, match="the latents have 3 channels and this model's 4"):
        invert(made, guidance(made), latents=Latents(torch.zeros(1, 3, 8, 8)))
    with pytest.raises(ValueError, match="exactly one base term"):
        invert(made, [], latents=clean)
    short = from_inversion(invert(made, guidance(made), latents=clean, steps=4, strength=0.5).trajectory)
    with pytest.raises(ValueError, match=r"the inversion reaches noise level .* invert with at least the run's"):
        denoise(made, guidance(made), [short], steps=4, scheduler="ddim")
    with pytest.raises(ValueError, match="there can be one"):
        denoise(made, guidance(made), [short, short], steps=4, strength=0.5, scheduler="ddim")
    with pytest.raises(ValueError, match="128 x 128 pixels and the run makes 1 of 64 x 64"):
        denoise(
            made,
            guidance(made),
            [short],
            start=Latents(torch.zeros(1, 4, 8, 8)),
            steps=4,
            strength=0.5,
            scheduler="ddim",
        )


def test_found_before_running(folder: Any) -> None:
    def problems(**inputs: bool) -> list[tuple[str, str | None, str | None]]:
        with Graph() as graph:
            loaded = load_model(str(folder("sd1")))
            given: dict[str, Any] = {}
            if inputs.get("image"):
                given["image"] = load_image("picture.png")
            if inputs.get("latents"):
                given["latents"] = noise(loaded)
            base = cfg(encode_prompt(loaded, "a"))
            up = invert(loaded, [base, base] if inputs.get("twice") else [base], **given)
            start = from_inversion(up.trajectory)
            denoise(loaded, [base], [start, from_inversion(up.trajectory)] if inputs.get("starts") else [start])
        found = check(graph.workflow())
        return [(p.code, p.node, p.input) for p in found if p.node in ("invert", "denoise")]

    assert problems(latents=True) == []
    assert problems() == [("missing_input", "invert", "image")]
    assert problems(image=True, latents=True) == [("conflict", "invert", "latents")]
    assert problems(latents=True, starts=True) == [("conflict", "denoise", "controls")]
