"""Self-attention guidance: parity with diffusers, its formula where diffusers refuses, cost, bad input."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from tests.nodes.sampling.oracle import CLASSES
from tests.nodes.techniques.guided import NEGATIVE, PROMPT, base, cost, ours, theirs
from tests.nodes.techniques.measure import relative
from weft.nodes import denoise, encode_prompt, multidiffusion, sag, sega
from weft.nodes.sampling.noise import draw, generators
from weft.nodes.sampling.run import Run, Step
from weft.nodes.technique import Residuals, View
from weft.nodes.technique.layout import Rows
from weft.nodes.techniques.sag import blur
from weft.nodes.values import Control, Guidance, Latents, Model

Models = Callable[[str], Model]
Pipes = Callable[[str, str], Any]
KIND = "StableDiffusionSAGPipeline"


@pytest.mark.parametrize(
    ("name", "scheduler", "options"),
    [
        ("sd1_calm", "ddim", {}),
        ("sd1_calm", "pndm", {"sag_scale": 1.5, "batch": 2}),
        ("sd1_calm", "ddim", {"scale": 1.0, "batch": 2}),
        ("sd1_four_calm", "ddim", {"sag_scale": 1.0, "batch": 2}),
        ("sd1_four_calm", "dpmpp_2m", {"width": 192}),
        ("sd2_calm", "ddim", {"sag_scale": 0.5}),
        ("sd2_calm", "unipc", {}),
        ("sd2_calm", "lcm", {}),
    ],
)
def test_parity(model: Models, pipe: Pipes, name: str, scheduler: str, options: dict[str, Any]) -> None:
    if options.get("scale") == 1.0:
        # Without classifier-free guidance it adds to a tensor in place and then reads it; same formula in the end.
        options = {**options, "negative_prompt": None}
    expected = theirs(pipe(name, KIND), scheduler, **({"sag_scale": 0.75} | options))
    common = {key: options[key] for key in ("scale", "batch", "width") if key in options}
    mine = ours(model(name), sag(options.get("sag_scale", 0.75)), scheduler=scheduler, **common)
    assert relative(mine, expected) <= 1e-4


def by_formula(model: Model, name: str, steps: int, scale: float = 0.75) -> Tensor:
    """Any scheduler, in sigma space: x = x0 + sigma e divided by sqrt(1 + sigma^2) is what the denoiser sees."""
    parts = model.parts()
    unet = parts.unet
    cls, changes = CLASSES[name]
    import diffusers

    config = {"clip_sample": False, **model.scheduler, "prediction_type": model.prediction}
    scheduler = getattr(diffusers, cls).from_config(config, **changes)
    scheduler.set_timesteps(steps)
    source = generators(7, 1)
    latents = draw((1, 4, 16, 16), source, "cpu") * scheduler.init_noise_sigma
    texts = [encode_prompt(model, text) for text in (NEGATIVE, PROMPT)]
    ids = torch.tensor([[128.0, 128, 0, 0, 128, 128]])
    layer = unet.mid_block.attentions[0].transformer_blocks[0].attn1
    seen: list[Tensor] = []
    handle = layer.register_forward_pre_hook(lambda module, args, kwargs: seen.append(args[0]), with_kwargs=True)

    def evaluate(sample: Tensor, timestep: Tensor, *texts: Any) -> Sequence[Tensor]:
        rows, added = len(texts), None
        if texts[0].pooled is not None:
            added = {"text_embeds": torch.cat([text.pooled for text in texts]), "time_ids": ids.expand(rows, -1)}
        states = torch.cat([text.text for text in texts])
        return unet(sample.expand(rows, -1, -1, -1), timestep, states, added_cond_kwargs=added).sample.split(1)

    try:
        with torch.no_grad():
            for timestep in scheduler.timesteps:
                scaled = scheduler.scale_model_input(latents, timestep)
                sigma = scheduler.sigmas[scheduler.step_index]
                spread = (1 + sigma**2).sqrt()
                uncond, cond = evaluate(scaled, timestep, *texts)
                hidden = seen[-1][:1]
                if model.prediction == "epsilon":
                    clean, noise = scaled * spread - sigma * uncond, uncond
                else:
                    clean = scaled / spread - sigma / spread * uncond
                    noise = scaled * sigma / spread + uncond / spread
                query, key = (
                    project(hidden).unflatten(-1, (layer.heads, -1)).transpose(1, 2)
                    for project in (layer.to_q, layer.to_k)
                )
                weights = (query @ key.transpose(-1, -2) * query.shape[-1] ** -0.5).softmax(-1)
                side = int(weights.shape[-1] ** 0.5)
                mask = (weights.mean(1).sum(1) > 1).float().view(1, 1, side, side)
                mask = functional.interpolate(mask, size=(16, 16))
                degraded = blur(clean) * mask + clean * (1 - mask)
                (wrong,) = evaluate((degraded + sigma * noise) / spread, timestep, texts[0])
                guided = uncond + 5.0 * (cond - uncond) + scale * (uncond - wrong)
                options = {"generator": source} if name == "euler_ancestral" else {}
                latents = scheduler.step(guided, timestep, latents, **options).prev_sample
    finally:
        handle.remove()
    return latents


@pytest.mark.parametrize(
    ("name", "scheduler"),
    [
        ("sd1_calm", "euler"),
        ("sd1_calm", "euler_ancestral"),
        ("sd2_calm", "euler"),
        ("sd1_calm", "heun"),
        ("sdxl_calm", "euler"),  # diffusers has no pipeline for XL
    ],
)
def test_schedulers_that_diffusers_refuses(model: Models, pipe: Pipes, name: str, scheduler: str) -> None:
    if name == "sd1_calm" and scheduler == "euler":
        with pytest.raises(ValueError, match="does not support"):
            theirs(pipe(name, KIND), scheduler)
    mine = ours(model(name), sag(), scheduler=scheduler)
    assert relative(mine, by_formula(model(name), scheduler, 4)) <= 1e-4


@pytest.mark.parametrize("scheduler", list(CLASSES))
def test_every_scheduler(model: Models, scheduler: str) -> None:
    made = model("sd1_calm")
    mine = ours(made, sag(), scheduler=scheduler)
    assert bool(torch.isfinite(mine).all())
    assert relative(mine, ours(made, scheduler=scheduler)) > 1e-3


def test_blur_is_diffusers_blur() -> None:
    from diffusers.pipelines.deprecated.stable_diffusion_sag.pipeline_stable_diffusion_sag import gaussian_blur_2d

    torch.manual_seed(0)
    latents = torch.randn(2, 4, 5, 11)
    assert relative(blur(latents), gaussian_blur_2d(latents, 9, 1.0)) <= 1e-6


def test_cost(model: Models) -> None:
    made = model("sd1_calm")
    assert cost(made, sag()) == [2, 1] * 4
    assert cost(made, sag(), scale=1.0, batch=2) == [2, 2] * 4


def test_image_k_equals_its_own_seed(model: Models) -> None:
    made = model("sd1_calm")
    batch = ours(made, sag(), batch=3, scheduler="euler_ancestral")
    for number in range(3):
        alone = ours(made, sag(), seed=7 + number, scheduler="euler_ancestral")
        assert relative(batch[number : number + 1], alone) <= 1e-4


def test_off_is_absent(model: Models) -> None:
    made = model("sd1_calm")
    assert torch.equal(ours(made, sag(0.0)), ours(made))


@dataclass(frozen=True, eq=False, kw_only=True)
class Push(Control):
    """Other residuals for each branch's rows, so that a wrong row shows."""

    amount: float = 0.3

    def residuals(self, step: Step, rows: Rows) -> Residuals:
        total, (height, width) = rows.sample.shape[0], rows.sample.shape[-2:]
        size = torch.zeros(total, 1, 1, 1)
        for branch in rows.branches:
            size[rows.span(branch)] = self.amount * (2 if branch.role == "uncond" else 1)
        mid = size.expand(total, 32, height // 2, width // 2)
        return Residuals([torch.zeros(total, 1, 1, 1)] * 6, mid)


def test_residuals_reach_the_degraded_row(model: Models, pipe: Pipes) -> None:
    """As in diffusers with a denoiser that adds them itself: the degraded row gets the unconditional one's."""
    oracle = pipe("sd1_calm", KIND)
    unet = oracle.unet

    class Pushed(torch.nn.Module):
        def forward(self, sample: Tensor, timestep: Any, encoder_hidden_states: Tensor, **options: Any) -> Any:
            rows = sample.shape[0]
            sizes = torch.tensor([0.6, 0.3] if rows == 2 else [0.6])[:, None, None, None]
            mid = sizes.expand(rows, 32, sample.shape[2] // 2, sample.shape[3] // 2)
            none = [torch.zeros(1, 1, 1, 1)] * 6
            return unet(
                sample,
                timestep,
                encoder_hidden_states,
                down_block_additional_residuals=none,
                mid_block_additional_residual=mid,
            )

        def __getattr__(self, name: str) -> Any:
            return getattr(unet, name)

    oracle.register_modules(unet=Pushed())
    try:
        expected = theirs(oracle, "ddim")
    finally:
        oracle.register_modules(unet=unet)
    mine = ours(model("sd1_calm"), sag(), controls=[Push()])
    assert relative(mine, expected) <= 1e-4


def test_with_views(model: Models) -> None:
    """One view of everything is no view; several give one mask for the canvas."""

    @dataclass(frozen=True, eq=False, kw_only=True)
    class Whole(Guidance):
        def views(self, run: Run) -> Sequence[View]:
            return (View(0, 0, 16, 16),)

    made = model("sd1_calm")
    assert relative(ours(made, sag(), Whole()), ours(made, sag())) <= 1e-4
    wide = multidiffusion(stride=32)
    assert relative(ours(made, sag(), wide, width=256), ours(made, wide, width=256)) > 1e-3
    assert cost(made, sag(), wide, width=256) == [2 * 5, 5] * 4


def test_other_unconditional_rows_do_not_change_it(model: Models) -> None:
    """A concept that is off leaves a run without classifier-free guidance to look at the conditional rows."""
    made = model("sd1_calm")
    off = sega(encode_prompt(made, "green"), scale=0.0)
    assert torch.equal(ours(made, sag(), off, scale=1.0), ours(made, sag(), scale=1.0))


def test_image_to_image(model: Models) -> None:
    made = model("sd1_calm")
    start = Latents(torch.randn(1, 4, 16, 16, generator=torch.Generator().manual_seed(1)))
    options: dict[str, Any] = {"start": start, "strength": 0.5, "steps": 6, "scheduler": "euler"}
    mine = denoise(made, [base(made), sag()], **options).latents.samples
    assert bool(torch.isfinite(mine).all())
    assert relative(mine, denoise(made, [base(made)], **options).latents.samples) > 1e-3


def test_a_canvas_too_small_to_blur(model: Models) -> None:
    with pytest.raises(ValueError, match="the canvas has only 4 x 16: make it larger"):
        ours(model("sd1_calm"), sag(), height=32)
