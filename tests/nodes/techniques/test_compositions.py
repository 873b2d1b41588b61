"""Techniques together, beside a pipeline of diffusers for one of them whose denoiser or scheduler brings the others.

Attend-and-Excite with a ControlNet stands in `test_attend_and_excite`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import diffusers
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from tests.nodes.sampling import oracle
from tests.nodes.techniques.guided import NEGATIVE, PROMPT, ours, theirs
from tests.nodes.techniques.inversion import picture
from tests.nodes.techniques.measure import relative
from tests.tiny_nets import tiny_adapter, tiny_controlnet
from weft.nodes import (
    cfg,
    controlnet,
    denoise,
    diffedit,
    encode_prompt,
    invert,
    load_controlnet,
    load_t2i_adapter,
    load_textual_inversion,
    sag,
    sega,
    t2i_adapter,
)
from weft.nodes.nets.files import describe_adapter, describe_controlnet
from weft.nodes.nets.live import LoadedNet, load_net
from weft.nodes.values import Guidance, Image, Latents, Mask, Model

Models = Callable[[str], Model]
Pipes = Callable[[str, str], Any]
Folder = Callable[[str], Path]
Extra = Callable[[Tensor, Any, Tensor], dict[str, Any]]
SIZE = 128


def hint(seed: int = 3) -> Image:
    return Image(torch.rand(1, SIZE, SIZE, 3, generator=torch.Generator().manual_seed(seed)))


def live(net: Any, describe: Any) -> LoadedNet:
    return load_net(net.source, net.location, net.fingerprint, describe, torch.device("cpu"), torch.float32)


@contextmanager
def bringing(unet: Any, extra: Extra) -> Iterator[None]:
    """A denoiser that makes more of its inputs itself, from sample, timestep and text, in every forward."""
    real = unet.forward

    def forward(sample: Tensor, timestep: Any, encoder_hidden_states: Tensor, **options: Any) -> Any:
        more = extra(sample, timestep, encoder_hidden_states)
        return real(sample, timestep, encoder_hidden_states, **options, **more)

    unet.forward = forward
    try:
        yield
    finally:
        del unet.forward


def semantic(model: Model, text_encoder: Any, tokenizer: Any) -> Any:
    """diffusers' SEGA on our model's denoiser, with any text encoder."""
    parts = model.parts()
    pipe = diffusers.SemanticStableDiffusionPipeline(
        vae=parts.vae,
        text_encoder=text_encoder,
        tokenizer=tokenizer,
        unet=parts.unet,
        scheduler=diffusers.DDIMScheduler.from_config({"clip_sample": False, **model.scheduler}),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipe.own_scheduler = pipe.scheduler
    pipe.set_progress_bar_config(disable=True)
    return pipe


@pytest.mark.parametrize(
    ("scheduler", "batch", "scale", "first", "second"),
    [
        ("ddim", 1, 1.0, {"warmup": 1}, None),
        (
            "euler_ancestral",
            2,
            0.6,
            {"warmup": 0, "threshold": 0.7, "direction": "away"},
            {"warmup": 2, "scale": 8.0, "weight": 0.5},
        ),
    ],
)
def test_sega_textual_inversion_controlnet(
    model: Models,
    folder: Folder,
    tmp_path: Path,
    scheduler: str,
    batch: int,
    scale: float,
    first: dict[str, Any],
    second: dict[str, Any] | None,
) -> None:
    """Learned words in the prompt and in a concept, and residuals for the rows of the concepts too."""
    name = "sd1_calm"
    file = tmp_path / "thing.safetensors"
    save_file({"<thing>": torch.randn(3, 32, generator=torch.Generator().manual_seed(3))}, file)
    made = model(name)
    taught = load_textual_inversion(made, [str(file)])
    net, edges = load_controlnet(str(tiny_controlnet(tmp_path / "net", folder(name)))), hint()
    held = live(net, describe_controlnet)
    settings = [options for options in (first, second) if options is not None]
    texts = ["a green <thing>", "large star"][: len(settings)]
    prompt = "a <thing> and a red circle"

    source = oracle.pipeline("StableDiffusionPipeline", folder(name))
    source.load_textual_inversion(str(file), token="<thing>")
    pipe = semantic(taught, source.text_encoder, source.tokenizer)
    oracle.set_scheduler(pipe, scheduler)
    pixels = edges.pixels.permute(0, 3, 1, 2)

    def extra(sample: Tensor, timestep: Any, states: Tensor) -> dict[str, Any]:
        rows = pixels.expand(sample.shape[0], -1, -1, -1)
        down, mid = held.item(sample, timestep, states, rows, scale, return_dict=False)
        return {"down_block_additional_residuals": down, "mid_block_additional_residual": mid}

    with bringing(pipe.unet, extra):
        expected = pipe(
            source.maybe_convert_prompt(prompt, source.tokenizer),
            negative_prompt=NEGATIVE,
            num_images_per_prompt=batch,
            editing_prompt=source.maybe_convert_prompt(texts, source.tokenizer),
            edit_guidance_scale=[options.get("scale", 5.0) for options in settings],
            edit_warmup_steps=[options["warmup"] for options in settings],
            edit_threshold=[options.get("threshold", 0.9) for options in settings],
            edit_weights=[options.get("weight", 1.0) for options in settings],
            reverse_editing_direction=["direction" in options for options in settings],
            guidance_scale=5.0,
            num_inference_steps=4,
            height=SIZE,
            width=SIZE,
            generator=oracle.seeded(7, batch),
            output_type="latent",
        ).images

    def mine(who: Model, words: str, concepts: list[Guidance], control_scale: float = scale) -> Tensor:
        base = cfg(encode_prompt(who, words), encode_prompt(who, NEGATIVE), scale=5.0)
        options: Any = {"steps": 4, "scheduler": scheduler, "seed": 7, "batch": batch, "width": SIZE, "height": SIZE}
        controls = [controlnet(net, edges, control_scale)]
        return denoise(who, [base, *concepts], controls, **options).latents.samples

    concepts = [sega(encode_prompt(taught, text), **options) for text, options in zip(texts, settings, strict=True)]
    assert relative(mine(taught, prompt, concepts), expected) <= 1e-4
    # Each of the three shows.
    assert relative(mine(taught, prompt, []), expected) > 1e-3
    assert relative(mine(taught, prompt, concepts, 0.0), expected) > 1e-3
    assert relative(mine(taught, "a and a red circle", concepts), expected) > 1e-3


@pytest.mark.parametrize(
    ("name", "scheduler", "batch", "sag_scale", "scale"),
    [("sd1_calm", "ddim", 1, 0.75, 1.0), ("sd1_four_calm", "pndm", 2, 1.5, 0.6)],
)
def test_sag_with_a_t2i_adapter(
    model: Models,
    pipe: Pipes,
    folder: Folder,
    tmp_path: Path,
    name: str,
    scheduler: str,
    batch: int,
    sag_scale: float,
    scale: float,
) -> None:
    """The degraded row gets the features as well."""
    made, edges = model(name), hint()
    net = load_t2i_adapter(str(tiny_adapter(tmp_path / "net", folder(name))))
    held = live(net, describe_adapter)
    with torch.no_grad():
        features = [feature * scale for feature in held.item(edges.pixels.permute(0, 3, 1, 2))]

    def extra(sample: Tensor, timestep: Any, states: Tensor) -> dict[str, Any]:
        rows = [feature.repeat(sample.shape[0], 1, 1, 1) for feature in features]
        return {"down_intrablock_additional_residuals": rows}

    guided = pipe(name, "StableDiffusionSAGPipeline")
    with bringing(guided.unet, extra):
        expected = theirs(guided, scheduler, batch=batch, sag_scale=sag_scale)
    control, options = t2i_adapter(net, edges, scale), {"scheduler": scheduler, "batch": batch}
    assert relative(ours(made, sag(sag_scale), controls=[control], **options), expected) <= 1e-4
    assert relative(ours(made, controls=[control], **options), expected) > 1e-3
    assert relative(ours(made, sag(sag_scale), **options), expected) > 1e-3


class Blending(diffusers.DDIMScheduler):
    """DDIM from a part of the way on, which puts what a mask keeps back to its own level after each step."""

    kept: list[Tensor]
    mask: Tensor

    def set_timesteps(self, num_inference_steps: int, device: Any = None) -> None:
        """The last ones: as many as there are levels kept."""
        super().set_timesteps(num_inference_steps, device)
        self.timesteps = self.timesteps[-len(self.kept) :]
        self.done = 0

    def step(self, *args: Any, **options: Any) -> Any:
        """One step, blended at the level that it reaches."""
        result = super().step(*args, **options)
        result.prev_sample = self.mask * result.prev_sample + (1 - self.mask) * self.kept[self.done]
        self.done += 1
        return result


@pytest.mark.parametrize(
    ("strength", "settings"),
    [(0.8, {"warmup": 1}), (0.6, {"warmup": 0, "threshold": 0.6, "scale": 8.0, "direction": "away"})],
)
def test_diffedit_with_sega(model: Models, strength: float, settings: dict[str, Any]) -> None:
    """diffusers' SEGA from the inverted latents on, over a scheduler that blends as DiffEdit means it.

    Its own DiffEdit pipeline blends one level too early: see `test_diffedit`.
    """
    made, steps = model("sd1_calm"), 5
    parts = made.parts()
    plain = cfg(encode_prompt(made, PROMPT), scale=1.0)
    path = invert(made, [plain], latents=Latents(picture()), steps=steps, strength=strength).trajectory
    pixels = torch.zeros(1, SIZE, SIZE)
    pixels[..., : SIZE // 2] = 1
    scheduler = Blending.from_config({"clip_sample": False, **made.scheduler})
    scheduler.kept, scheduler.mask = list(reversed(path.latents[:-1])), pixels[:, None, ::8, ::8]
    pipe = semantic(made, parts.text_encoders[0], parts.tokenizers[0])
    pipe.scheduler = scheduler
    expected = pipe(
        "a green star on black",
        negative_prompt=NEGATIVE,
        editing_prompt=["large"],
        edit_guidance_scale=settings.get("scale", 5.0),
        edit_warmup_steps=settings["warmup"],
        edit_threshold=settings.get("threshold", 0.9),
        reverse_editing_direction="direction" in settings,
        guidance_scale=3.0,
        num_inference_steps=steps,
        height=SIZE,
        width=SIZE,
        latents=path.latents[-1],
        output_type="latent",
    ).images
    assert scheduler.done == len(path.latents) - 1

    def mine(*concepts: Guidance, mask: Tensor = pixels) -> Tensor:
        base = cfg(encode_prompt(made, "a green star on black"), encode_prompt(made, NEGATIVE), scale=3.0)
        options: Any = {"steps": steps, "strength": strength, "scheduler": "ddim"}
        return denoise(made, [base, *concepts], [diffedit(path, Mask(mask))], **options).latents.samples

    concept = sega(encode_prompt(made, "large"), **settings)
    assert relative(mine(concept), expected) <= 1e-4
    assert relative(mine(), expected) > 1e-3
    assert relative(mine(concept, mask=torch.ones_like(pixels)), expected) > 1e-3
