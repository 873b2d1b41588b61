"""Techniques that change how others act: regions, rescaled guidance and windows; and learned keys and values."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.effect_cases import BATCH, changed, edges, groups, pair, scene, shown
from benchmarks.effect_edits import learned
from benchmarks.effect_kit import BACKGROUNDS, Measure, Pixels, Studio, as_image, outside, stands_at, verdict

Wanted = tuple[str, str]
Pictures = Callable[[str, int], list[Pixels]]
"""Of a prompt and its first seed."""
OVERDRIVEN = 15.0
"""A guidance scale far beyond what the bundled model takes."""


def case_regions(studio: Studio) -> list[Measure]:
    """Two objects, each with a prompt and a half of the canvas of its own, beside one prompt of the same words."""
    from weft.nodes import rectangle_mask, regions

    placed = Measure("regions", "each object stands in its own half", "the same words in one prompt, joined by and")
    there = Measure("regions", "both objects are there", placed.note, "same")
    masks = [rectangle_mask(studio.size, studio.size, **side) for side in ({"right": 64}, {"left": 64})]
    for number, seed in groups(studio):
        first, second = pair(number)
        background = BACKGROUNDS[number % 7]
        words = (f"a {' '.join(first)} on the left", f"a {' '.join(second)} on the right")
        prompts = [studio.encode(f"{one} on a {background} background") for one in words]
        plain = studio.draw(f"{words[0]} and {words[1]} on a {background} background", seed, BATCH)
        ours = studio.draw(f"a {background} background", seed, BATCH, regions(prompts, masks))
        placed.add(partial(halves, first, second, studio.size), plain, ours)
        there.add(partial(shown, (first, second)), plain, ours)
        studio.keep("regions", without=plain, with_=ours)
    return [placed, there]


def halves(first: Wanted, second: Wanted, size: int, picture: Pixels) -> float:
    """1 where the first object's centre is in the left half of a picture and the second one's in the right half."""
    seen = [((thing.color, thing.shape), thing.center[0] < size / 2) for thing in verdict(picture).things]
    return float((first, True) in seen and (second, False) in seen)


def overdriven(name: str, studio: Studio, ours: Pictures, theirs: Pictures) -> list[Measure]:
    """Pictures of one object under a guidance scale that is too high: are they right, is the background's colour?"""
    from weft.nodes.shapes.world import BACKGROUNDS as COLOURS

    note = f"guidance scale {OVERDRIVEN:g} in every step"
    right = Measure(name, "the object asked for on the background asked for", note)
    drift = Measure(name, "the background's distance from its colour, of 255", note, better="lower")
    for number, seed in groups(studio):
        color, _, form, background = changed(number)
        prompt = f"a {color} {form} on a {background} background"
        flat = np.full((studio.size, studio.size, 3), COLOURS[background], np.uint8)

        def asked(picture: Pixels, thing: Wanted = (color, form), background: str = background) -> float:
            seen = verdict(picture)
            return float(seen.background == background and seen.shows([thing]))

        plain, made = studio.draw(prompt, seed, BATCH, scale=OVERDRIVEN), ours(prompt, seed)
        peers = theirs(prompt, seed)
        right.add(asked, plain, made, peers)
        drift.add(partial(outside, flat), plain, made, peers)
        studio.keep(name, without=plain, with_=made)
    return [right, drift]


def case_rescale_guidance(studio: Studio) -> list[Measure]:
    """Guidance that is too strong, rescaled."""
    from weft.nodes import rescale_guidance

    pipe = studio.pipeline("StableDiffusionPipeline")
    amount = 0.7

    def ours(prompt: str, seed: int) -> list[Pixels]:
        return studio.draw(prompt, seed, BATCH, rescale_guidance(amount), scale=OVERDRIVEN)

    def theirs(prompt: str, seed: int) -> list[Pixels]:
        return studio.theirs(pipe, prompt, seed, BATCH, guidance_scale=OVERDRIVEN, guidance_rescale=amount)

    return overdriven("rescale_guidance", studio, ours, theirs)


def case_during(studio: Studio) -> list[Measure]:
    """Guidance that is too strong, in the first half of the steps only (arXiv 2404.07724); and a ControlNet so."""
    from diffusers.callbacks import SDCFGCutoffCallback

    from weft.nodes import cfg, during

    pipe = studio.pipeline("StableDiffusionPipeline")
    guided = studio.steps // 2

    def ours(prompt: str, seed: int) -> list[Pixels]:
        base = during(cfg(studio.encode(prompt), scale=OVERDRIVEN), 0.0, guided / studio.steps)
        return studio.draw(prompt, seed, BATCH, base=base)

    def theirs(prompt: str, seed: int) -> list[Pixels]:
        # It takes guidance away at the end of a step: that of this number is the last one guided.
        cut = SDCFGCutoffCallback(cutoff_step_ratio=None, cutoff_step_index=guided - 1)
        options = {"guidance_scale": OVERDRIVEN, "callback_on_step_end": cut}
        # It also keeps the last row of all: one picture at a time.
        return [picture for one in range(BATCH) for picture in studio.theirs(pipe, prompt, seed + one, 1, **options)]

    return [*overdriven("during", studio, ours, theirs), *windowed_control(studio)]


def windowed_control(studio: Studio) -> list[Measure]:
    """Where the object stands with a ControlNet in the first six steps of ten."""
    from weft.nodes import canny, controlnet, during

    end = 0.6
    place = Measure("during", "IoU with the box of a ControlNet's hint", "the prompt alone")
    full = Measure("during", place.what, "the ControlNet in every step", "same")
    net, pipe = edges(studio)
    for number, seed in groups(studio):
        drawn, picture, prompt, _ = scene(number)
        hint, found = canny(as_image(picture)), stands_at(drawn.things[0].box)
        control = controlnet(net, hint)
        plain = studio.draw(prompt, seed, BATCH)
        always = studio.draw(prompt, seed, BATCH, controls=[control])
        ours = studio.draw(prompt, seed, BATCH, controls=[during(control, 0.0, end)])
        options = {"image": hint.pixels.permute(0, 3, 1, 2), "width": studio.size, "height": studio.size}
        theirs = studio.theirs(pipe, prompt, seed, BATCH, control_guidance_end=end, **options)
        place.add(found, plain, ours, theirs)
        full.add(found, always, ours, theirs)
        studio.keep("during_controlnet", hint=[picture] * 2, without=plain, with_=ours, always=always)
    return [place, full]


def custom_processors(unet: Any, file: Path) -> dict[str, Any]:
    """diffusers' Custom Diffusion processors, filled from a file: `load_attn_procs` needs a private argument for it.

    Raises AssertionError where the file has weights for attention that the denoiser lacks.
    """
    from diffusers.models.attention_processor import CustomDiffusionAttnProcessor
    from safetensors.torch import load_file

    made, tensors = dict(unet.attn_processors), load_file(file)
    filled = 0
    for name in made:
        own = {
            key.removeprefix(f"{name}."): item.float() for key, item in tensors.items() if key.startswith(f"{name}.")
        }
        if own:
            width = unet.get_submodule(name.removesuffix(".processor")).to_q.out_features
            made[name] = CustomDiffusionAttnProcessor(
                train_q_out=False, hidden_size=width, cross_attention_dim=unet.config.cross_attention_dim
            )
            made[name].load_state_dict(own)
            filled += len(own)
    assert filled == len(tensors)
    return made


def case_load_custom_diffusion(studio: Studio) -> list[Measure]:
    """Keys and values of cross-attention, and a word, for a shape that the model never saw."""
    from weft.nodes import load_custom_diffusion
    from weft.nodes.models.bundled import FILES, home

    model = load_custom_diffusion(studio.model, "shapes-house", ["shapes-house-word"])
    pipe = studio.pipeline("StableDiffusionPipeline")
    if pipe is not None:
        # Its modules are ours: what is put into them would be in the pictures without it too.
        pipe.register_modules(
            **{part: copy.deepcopy(getattr(pipe, part)) for part in ("unet", "text_encoder", "tokenizer")}
        )
        pipe.unet.set_attn_processor(custom_processors(pipe.unet, home() / FILES["shapes-house"]))
        pipe.load_textual_inversion(str(home() / FILES["shapes-house-word"]))
    return learned(studio, "load_custom_diffusion", model, "<house>", "house", pipe)
