"""Trained weights put on the model: two adapters merged into one, and a whole denoiser."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.effect_cases import BATCH, changed, groups, has
from benchmarks.effect_edits import learned
from benchmarks.effect_kit import Measure, Pixels, Studio, verdict

ROOT = Path(__file__).resolve().parent.parent
DREAMBOOTH = ROOT / "build" / "variants" / "out" / "dreambooth"


def framed_hearts(pictures: list[Pixels]) -> list[float]:
    """1 for each picture with a frame and, inside it, a heart."""
    from nodes.shapes.frame import frame_share, inside
    from nodes.shapes.measure_variants import FRAMED

    return [
        float(frame_share(one) >= FRAMED and verdict(inside(one), ("heart",)).has(shape="heart")) for one in pictures
    ]


def as_told(pictures: list[Pixels], color: str, background: str) -> list[float]:
    """1 for each picture with that colour on that background, whatever the frame and the shape."""
    from nodes.shapes.frame import inside

    seen = [verdict(inside(picture), ("heart",)) for picture in pictures]
    return [float(one.has(color=color) and one.background == background) for one in seen]


def case_merge_loras(studio: Studio) -> list[Measure]:
    """A shape by one adapter, a style by another: both at once, and each alone does not do it."""
    from nodes import apply_lora, merge_loras
    from nodes.models.bundled import LORAS, home

    weights = {"heart": 1.0, "frame": 1.05}
    others = {"the model alone": studio.model} | {
        f"`shapes-{name}` alone": apply_lora(studio.model, f"shapes-{name}", weight) for name, weight in weights.items()
    }
    merged = merge_loras(studio.model, "shapes-heart", "shapes-frame", *weights.values())
    both = {note: Measure("merge_loras", "a heart is seen, and framed", note) for note in others}
    rest = Measure("merge_loras", "colour and background as told", "the model alone, same prompt", "same")
    known = Measure("merge_loras", "known shapes, not framed, as asked for", "the model alone, same prompt", "same")
    pipe: Any = studio.pipeline("StableDiffusionPipeline")
    for number, seed in groups(studio):
        color, _, form, background = changed(number)
        prompt = f"a large {color} heart on a {background} background, framed"
        plain = {note: studio.draw(prompt, seed, BATCH, model=model) for note, model in others.items()}
        ours = studio.draw(prompt, seed, BATCH, model=merged)
        if pipe is not None:
            for name in weights:
                pipe.load_lora_weights(str((home() / LORAS[f"shapes-{name}"]).parent), adapter_name=name)
            pipe.set_adapters(list(weights), list(weights.values()))
        theirs = studio.theirs(pipe, prompt, seed, BATCH)
        if pipe is not None:
            pipe.unload_lora_weights()
        for note, measure in both.items():
            measure.without += framed_hearts(plain[note])
            measure.ours += framed_hearts(ours)
            measure.theirs += framed_hearts(theirs)
        for side, pictures in (("without", plain["the model alone"]), ("ours", ours), ("theirs", theirs)):
            getattr(rest, side).extend(as_told(pictures, color, background))
        prompt = f"a large {color} {form} on a {background} background"
        for side, model in (("without", studio.model), ("ours", merged)):
            getattr(known, side).extend(bare(studio.draw(prompt, seed, BATCH, model=model), color, form))
        heart, frame = (plain[f"`shapes-{name}` alone"] for name in weights)
        studio.keep("merge_loras", without=plain["the model alone"], heart=heart, frame=frame, with_=ours)
    return [*both.values(), rest, known]


def bare(pictures: list[Pixels], color: str, shape: str) -> list[float]:
    """1 for each picture with that object and no frame."""
    from nodes.shapes.frame import frame_share
    from nodes.shapes.measure_variants import FRAMED

    right = has(pictures, color=color, shape=shape)
    return [value * float(frame_share(one) <= 1 - FRAMED) for value, one in zip(right, pictures, strict=True)]


def case_load_dreambooth(studio: Studio) -> list[Measure]:
    """A shape that the model never saw, by a rare word and a class; trained first where that has not been done."""
    from nodes import load_dreambooth
    from nodes.shapes.training.dreambooth import WORDS

    model = load_dreambooth(str(trained()), studio.model)
    pipe = None
    if studio.peers:
        import torch
        from diffusers import UNet2DConditionModel

        unet = UNet2DConditionModel.from_pretrained(trained() / "unet", torch_dtype=torch.float32)
        pipe = studio.pipeline("StableDiffusionPipeline", model, unet=unet)
    measures = learned(studio, "load_dreambooth", model, WORDS, "house", pipe)
    spared = Measure("load_dreambooth", 'told "a shape", a known one is seen', "the model alone, same prompt", "same")
    for number, seed in groups(studio):
        color, _, _, background = changed(number)
        for side, one in (("without", studio.model), ("ours", model)):
            pictures = studio.draw(f"a {color} shape on a {background} background", seed, BATCH, model=one)
            seen = [verdict(picture, ("house",)) for picture in pictures]
            getattr(spared, side).extend(float(bool(v.things) and not v.has(shape="house")) for v in seen)
    return [*measures, spared]


def trained() -> Path:
    """The folder that the recipe writes; runs the recipe (minutes) if it is not there."""
    import subprocess
    import sys

    if not (DREAMBOOTH / "unet").is_dir():
        print(f"{DREAMBOOTH} is not there: training it", file=sys.stderr, flush=True)
        subprocess.run([sys.executable, "-m", "nodes.shapes.training.dreambooth"], cwd=ROOT, check=True)
    return DREAMBOOTH
