"""Trained weights put on the model: two adapters merged into one, and a whole denoiser."""

from __future__ import annotations

from functools import partial
from typing import Any

from benchmarks.effect_cases import BATCH, changed, groups
from benchmarks.effect_edits import learned
from benchmarks.effect_kit import Measure, Pixels, Studio, has, verdict
from benchmarks.recipes import DREAMBOOTH, made_by_recipe


def framed_heart(picture: Pixels) -> float:
    """1 for a picture with a frame and, inside it, a heart."""
    from weft.nodes.shapes.frame import frame_share, inside
    from weft.nodes.shapes.measure_variants import FRAMED

    return float(frame_share(picture) >= FRAMED and verdict(inside(picture), ("heart",)).has(shape="heart"))


def as_told(color: str, background: str, picture: Pixels) -> float:
    """1 for a picture with that colour on that background, whatever the frame and the shape."""
    from weft.nodes.shapes.frame import inside

    seen = verdict(inside(picture), ("heart",))
    return float(seen.has(color=color) and seen.background == background)


def case_merge_loras(studio: Studio) -> list[Measure]:
    """A shape by one adapter, a style by another: both at once, and each alone does not do it."""
    from weft.nodes import apply_lora, merge_loras

    weights = {"heart": 1.0, "frame": 1.05}
    others = {"the model alone": studio.model} | {
        f"`shapes-{name}` alone": apply_lora(studio.model, f"shapes-{name}", weight) for name, weight in weights.items()
    }
    merged = merge_loras(studio.model, ["shapes-heart", "shapes-frame"], list(weights.values()))
    both = {note: Measure("merge_loras", "a heart is seen, and framed", note) for note in others}
    rest = Measure("merge_loras", "colour and background as told", "the model alone, same prompt", "same")
    known = Measure("merge_loras", "known shapes, not framed, as asked for", "the model alone, same prompt", "same")
    pipe: Any = studio.pipeline("StableDiffusionPipeline")
    for number, seed in groups(studio):
        color, _, form, background = changed(number)
        prompt = f"a large {color} heart on a {background} background, framed"
        plain = {note: studio.draw(prompt, seed, BATCH, model=model) for note, model in others.items()}
        ours = studio.draw(prompt, seed, BATCH, model=merged)
        with studio.adapted(pipe, weights):
            theirs = studio.theirs(pipe, prompt, seed, BATCH)
        for note, measure in both.items():
            measure.add(framed_heart, plain[note], ours, theirs)
        rest.add(partial(as_told, color, background), plain["the model alone"], ours, theirs)
        prompt = f"a large {color} {form} on a {background} background"
        pictures = [studio.draw(prompt, seed, BATCH, model=model) for model in (studio.model, merged)]
        known.add(partial(bare, color, form), *pictures)
        heart, frame = (plain[f"`shapes-{name}` alone"] for name in weights)
        studio.keep("merge_loras", without=plain["the model alone"], heart=heart, frame=frame, with_=ours)
    return [*both.values(), rest, known]


def bare(color: str, shape: str, picture: Pixels) -> float:
    """1 for a picture with that object and no frame."""
    from weft.nodes.shapes.frame import frame_share
    from weft.nodes.shapes.measure_variants import FRAMED

    return has(color=color, shape=shape)(picture) * float(frame_share(picture) <= 1 - FRAMED)


def case_load_dreambooth(studio: Studio) -> list[Measure]:
    """A shape that the model never saw, by a rare word and a class; trained first where that has not been done."""
    from weft.nodes import load_dreambooth
    from weft.nodes.shapes.training.dreambooth import WORDS

    folder = made_by_recipe(*DREAMBOOTH)
    model = load_dreambooth(str(folder), studio.model)
    pipe = None
    if studio.peers:
        import torch
        from diffusers import UNet2DConditionModel

        unet = UNet2DConditionModel.from_pretrained(folder / "unet", torch_dtype=torch.float32)
        pipe = studio.pipeline("StableDiffusionPipeline", model, unet=unet)
    measures = learned(studio, "load_dreambooth", model, WORDS, "house", pipe)
    spared = Measure("load_dreambooth", 'told "a shape", a known one is seen', "the model alone, same prompt", "same")
    for number, seed in groups(studio):
        color, _, _, background = changed(number)
        prompt = f"a {color} shape on a {background} background"
        spared.add(no_house, *(studio.draw(prompt, seed, BATCH, model=one) for one in (studio.model, model)))
    return [*measures, spared]


def no_house(picture: Pixels) -> float:
    """1 where something is seen, and no house."""
    seen = verdict(picture, ("house",))
    return float(bool(seen.things) and not seen.has(shape="house"))
