"""Networks beside the denoiser, and whole denoisers: what their nodes learn, of a few hundred pairs at most."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.effect_kit import Measure, as_image, has, stands_at, verdict
from benchmarks.training_few import CLASSES, COMMON, pictures
from benchmarks.training_kit import Asked, Bench, Plan, sees, taught

SHAPE_CLASS = [text.replace(text.split()[2], "shape") for text in CLASSES]
"""The class of DreamBooth's rare word."""
KEPT = (
    "class_images",
    {
        "prompt": SHAPE_CLASS[0],
        "more_prompts": SHAPE_CLASS[1:],
        "count": 6,
        "steps": 12,
        "guidance_scale": 3.0,
        "seed": 5_000,
    },
)
DREAMBOOTH: dict[str, Any] = {
    "steps": 300,
    "learning_rate": 3e-4,
    "batch": 6,
    "text_encoder": True,
    "prior_weight": 2.0,
}
WITHOUT = Plan(
    "few_dreambooth",
    "train_dreambooth",
    (pictures("house", "sks shape", masks=False),),
    DREAMBOOTH,
    {**COMMON, "warmup": 12},
)
WITH = Plan(
    "few_dreambooth_prior",
    "train_dreambooth",
    (pictures("house", "sks shape", masks=False), KEPT),
    DREAMBOOTH,
    {**COMMON, "warmup": 12},
)
EDGES = Plan(
    "few_controlnet",
    "train_controlnet",
    (("shapes_dataset", {"pairs": "edges", "count": 300, "vague": True, "seed": 11}),),
    {"steps": 260, "learning_rate": 2e-3, "batch": 12},
    {**COMMON, "warmup": 20},
)
REGIONS = Plan(
    "few_t2i_adapter",
    "train_t2i_adapter",
    (("shapes_dataset", {"pairs": "regions", "count": 300, "vague": True, "seed": 11}),),
    {"steps": 480, "learning_rate": 2e-3, "batch": 12, "timesteps": "uniform"},
    {**COMMON, "warmup": 20},
)
EDIT = Plan(
    "few_instruct",
    "train_instruct_pix2pix",
    (("shapes_dataset", {"pairs": "edit", "count": 400, "seed": 11}),),
    {"steps": 600, "learning_rate": 1e-3, "batch": 12},
    {**COMMON, "warmup": 20},
)
IMAGE = Plan(
    "few_ip_adapter",
    "train_ip_adapter",
    (("shapes_dataset", {"count": 300, "vague": True, "seed": 11}),),
    {"steps": 600, "learning_rate": 2e-3, "batch": 12},
    {**COMMON, "warmup": 20},
)


def case_few_dreambooth(bench: Bench) -> list[Measure]:
    """All of the denoiser, by a rare word of a class: what it learns, and what of the class stays, with and without
    prior preservation.
    """
    found = []
    for plan in (WITHOUT, WITH):
        model = bench.with_adapter(bench.adapter(plan))
        found += taught(bench, plan.name, model, "house", "sks shape")
        spared = Measure(plan.name, 'told "a shape", no house is seen', "the model alone, same prompt", "same")
        for one in bench.asked():
            spared.add(
                lambda picture: float(bool(verdict(picture, ("house",)).things) and not sees("house")(picture)),
                *(bench.made(which, one.text("shape"), one.seed) for which in (bench.model, model)),
            )
        found.append(spared)
    return found


def hinted(bench: Bench, name: str, control: Callable[[Any], Any]) -> list[Measure]:
    """Where a hint has its object: with words that name the shape, and shapes by the hint alone."""
    from dataclasses import replace

    from weft.nodes.shapes.scenes import free_scene
    from weft.nodes.shapes.world import render

    place = Measure(name, "IoU with the hint's box", "the prompt alone")
    shape = Measure(name, 'the hint\'s shape, told "a shape"', 'the prompt alone, "a shape"')
    colour = Measure(name, "colour and background as told", "the prompt alone", "same")
    for one in bench.asked():
        scene = free_scene(np.random.default_rng((79, one.seed)), two=0)
        thing = replace(scene.things[0], color=one.color)
        source = render(scene)
        controls = [control(as_image(source))]
        named = Asked(one.color, thing.shape, one.background, False, one.seed)
        with_ = bench.made(bench.model, named.text(thing.shape), one.seed, controls=controls)
        plain = bench.made(bench.model, named.text(thing.shape), one.seed)
        place.add(stands_at(thing.box), plain, with_)
        colour.add(
            lambda picture, one=one: float(
                verdict(picture).has(color=one.color) and verdict(picture).background == one.background
            ),
            plain,
            with_,
        )
        bare = bench.made(bench.model, named.text("shape"), one.seed)
        told = bench.made(bench.model, named.text("shape"), one.seed, controls=controls)
        shape.add(has(shape=thing.shape), bare, told)
        bench.keep(name, hint=[source] * 2, without=bare, with_=told)
    return [place, shape, colour]


def case_few_controlnet(bench: Bench) -> list[Measure]:
    """A ControlNet on edges."""
    from weft.nodes import canny, controlnet, load_controlnet

    net = load_controlnet(adapter=bench.adapter(EDGES))
    return hinted(bench, EDGES.name, lambda image: controlnet(net, canny(image)))


def case_few_t2i_adapter(bench: Bench) -> list[Measure]:
    """A T2I-Adapter on flat regions."""
    from weft.nodes import load_t2i_adapter, segmentation_palette, t2i_adapter

    net = load_t2i_adapter(adapter=bench.adapter(REGIONS))
    return hinted(bench, REGIONS.name, lambda image: t2i_adapter(net, segmentation_palette(image)))


def case_few_instruct(bench: Bench) -> list[Measure]:
    """A denoiser that reads the picture before an edit."""
    from weft.nodes import instruct_pix2pix
    from weft.nodes.shapes.scenes import free_scene
    from weft.nodes.shapes.world import render

    model = bench.with_adapter(bench.adapter(EDIT))
    colour = Measure(EDIT.name, "has the colour that the instruction names", "the picture before")
    rest = Measure(EDIT.name, "shape and background as before", "the picture before", "same")
    place = Measure(EDIT.name, "IoU with the object's box before", "the picture before", "same")
    for one in bench.asked():
        scene = free_scene(np.random.default_rng((80, one.seed)), two=0)
        thing = scene.things[0]
        color = one.color if one.color != thing.color else "red" if thing.color != "red" else "blue"
        before = render(scene)
        words = bench.encode(f"make it {color}", model)
        base = instruct_pix2pix(model, as_image(before), words, scale=2.0, image_scale=1.5)
        after = bench.draw(words, one.seed, 4, model=model, base=base)
        plain = [before] * 4
        colour.add(has(color=color), plain, after)
        rest.add(
            lambda picture, t=thing, b=scene.background: float(
                verdict(picture).has(shape=t.shape) and verdict(picture).background == b
            ),
            plain,
            after,
        )
        place.add(stands_at(thing.box), plain, after)
        bench.keep(EDIT.name, before=plain, with_=after)
    return [colour, rest, place]


def case_few_ip_adapter(bench: Bench) -> list[Measure]:
    """A picture that says what to draw."""
    from weft.nodes import ip_adapter, load_ip_adapter
    from weft.nodes.shapes.scenes import free_scene
    from weft.nodes.shapes.world import render

    net = load_ip_adapter(adapter=bench.adapter(IMAGE))
    what = Measure(IMAGE.name, "has the picture's colour and shape", 'the prompt alone, "a shape"')
    back = Measure(IMAGE.name, "has the background that the prompt names", 'the prompt alone, "a shape"', "same")
    for one in bench.asked():
        scene = free_scene(np.random.default_rng((81, one.seed)), two=0)
        thing = scene.things[0]
        source = render(scene)
        control = ip_adapter(net, as_image(source), scale=1.0)
        prompt = f"a shape on a {one.background} background"
        plain = bench.made(bench.model, prompt, one.seed)
        ours = bench.made(bench.model, prompt, one.seed, controls=[control])
        what.add(
            lambda picture, t=thing: float(verdict(picture).has(color=t.color, shape=t.shape)),
            plain,
            ours,
        )
        back.add(lambda picture, b=one.background: float(verdict(picture).background == b), plain, ours)
        bench.keep(IMAGE.name, picture=[source] * 2, without=plain, with_=ours)
    return [what, back]
