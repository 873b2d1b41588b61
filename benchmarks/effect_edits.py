"""Edits of pictures, and weights that teach the model something: what they change and what they leave."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from benchmarks.effect_cases import BATCH, changed, groups, pair, scene
from benchmarks.effect_kit import (
    BACKGROUNDS,
    COLORS,
    SHAPES,
    Measure,
    Pixels,
    Studio,
    as_image,
    has,
    place_kept,
    same,
    stands_at,
    verdict,
)
from weft.nodes.shapes.world import Scene, Thing, caption, render


def edits(name: str, naive: str) -> tuple[Measure, Measure, Measure]:
    """What an edit of a colour has to do, and what it has to leave."""
    return (
        Measure(name, "has the new colour", "the picture before"),
        Measure(name, "IoU with the object's place before", naive),
        Measure(name, "shape and background as before", naive, "same"),
    )


def note(
    measures: tuple[Measure, Measure, Measure],
    before: list[Pixels],
    naive: list[Pixels],
    ours: list[Pixels],
    theirs: list[Pixels],
    color: str,
) -> None:
    """Judge a group of edited pictures."""
    done, place, kept = measures
    done.add(has(color=color), before, ours, theirs)
    place.compare(place_kept, before, naive, ours, theirs)
    kept.compare(same, before, naive, ours, theirs)


def case_instruct_pix2pix(studio: Studio) -> list[Measure]:
    """An instruction to recolour: done, and nothing else."""
    from weft.nodes import instruct_pix2pix, load_model

    model = load_model("shapes-edit", dtype="float32", device="cpu")
    pipe = studio.pipeline("StableDiffusionInstructPix2PixPipeline", model)
    measures = edits("instruct_pix2pix", "a new picture of a prompt that says what it shall be")
    for number, seed in groups(studio):
        drawn, picture, _, color = scene(number)
        thing, words = drawn.things[0], f"make it {color}"
        naive = studio.draw(f"a {color} {thing.shape} on a {drawn.background} background", seed, BATCH)
        base = instruct_pix2pix(
            model, as_image(picture), studio.encode(words, model), studio.encode("", model), 2.0, 1.5
        )
        ours = studio.draw("", seed, BATCH, base=base, model=model)
        image = as_image(picture).pixels.permute(0, 3, 1, 2)
        theirs = studio.theirs(
            pipe, words, seed, BATCH, model, image=image, guidance_scale=2.0, image_guidance_scale=1.5
        )
        note(measures, [picture] * BATCH, naive, ours, theirs, color)
        studio.keep("instruct_pix2pix", before=[picture] * 2, with_=ours)
    return list(measures)


def case_pix2pix_zero(studio: Studio) -> list[Measure]:
    """From one colour to another, in pictures that the model made."""
    from weft.nodes import pix2pix_zero

    pipe = studio.pipeline(
        "StableDiffusionPix2PixZeroPipeline",
        **dict.fromkeys(("caption_generator", "caption_processor", "inverse_scheduler")),
    )
    measures = edits("pix2pix_zero", "the prompt with the new word, same seed")
    for number, seed in groups(studio):
        old, new, form, background = changed(number)
        prompt = f"a {old} {form} on a {background} background"
        before = studio.draw(prompt, seed, BATCH)
        naive = studio.draw(prompt.replace(old, new), seed, BATCH)
        sides = [[f"a {color} {shape}" for shape in SHAPES] for color in (old, new)]
        edit = pix2pix_zero(studio.model, studio.encode(prompt), *sides, 0.15)
        ours = studio.draw(edit.prompt, seed, BATCH, edit.guidance)
        embeds = {"source_embeds": pipe.get_embeds(sides[0]), "target_embeds": pipe.get_embeds(sides[1])}
        theirs = [
            picture
            for one in range(BATCH)
            for picture in studio.theirs(pipe, prompt, seed + one, 1, cross_attention_guidance_amount=0.15, **embeds)
        ]
        note(measures, before, naive, ours, theirs, new)
        studio.keep("pix2pix_zero", before=before, naive=naive, with_=ours)
    return list(measures)


def case_prompt_to_prompt(studio: Studio) -> list[Measure]:
    """A word of the prompt replaced, the composition kept."""
    from weft.nodes import prompt_to_prompt

    measures = edits("prompt_to_prompt", "the prompt with the new word, same seed")
    for number, seed in groups(studio):
        old, new, form, background = changed(number)
        prompt = f"a {old} {form} on a {background} background"
        before = studio.draw(prompt, seed, BATCH)
        naive = studio.draw(prompt.replace(old, new), seed, BATCH)
        ours = studio.draw(prompt.replace(old, new), seed, BATCH, prompt_to_prompt(studio.encode(prompt)))
        note(measures, before, naive, ours, [], new)
        studio.keep("prompt_to_prompt", before=before, naive=naive, with_=ours)
    return list(measures)


def duo(number: int) -> tuple[tuple[Thing, Thing], Pixels, str, str, str]:
    """A drawn picture of two objects side by side: the objects, its pixels, its caption, the first one's new colour,
    and the caption with that."""
    (one, form), (two, other) = pair(number)
    rng = np.random.default_rng((9, number))
    new = str(rng.choice([color for color in COLORS if color not in (one, two)]))
    background = BACKGROUNDS[number % 7]
    (x, y, size), (far, low, wide) = (
        (side + rng.uniform(-4, 4), rng.uniform(52, 76), rng.uniform(36, 46)) for side in (34, 94)
    )
    things = Thing(form, one, x, y, size), Thing(other, two, far, low, wide)
    words = [caption((replace(things[0], color=color), things[1]), background, "left of") for color in (one, new)]
    return things, render(Scene(things, background)), words[0], new, words[1]


def case_diffedit(studio: Studio) -> list[Measure]:
    """From one colour to another in a given picture, within a mask that it finds itself; another object beside it."""
    import torch
    from diffusers import DDIMInverseScheduler

    from weft.nodes import cfg, diffedit, diffedit_mask, encode_image, invert

    pipe = studio.pipeline("StableDiffusionDiffEditPipeline", inverse_scheduler=None)
    if pipe is not None:
        pipe.register_modules(inverse_scheduler=DDIMInverseScheduler.from_config(pipe.scheduler.config))
    naive_is = "image to image with the new prompt, as strong"
    done = Measure("diffedit", "the object has the new colour", "the picture before")
    stays = Measure("diffedit", "IoU of the other object with its place before", naive_is)
    rest = Measure("diffedit", "difference outside the object, of 255", naive_is, better="lower")
    place = Measure("diffedit", "IoU of the object with its place before", naive_is, better="same")
    model, strength, noised = studio.model, 0.6, 0.3
    for number in range(studio.seeds):
        things, picture, source, new, target = duo(number)
        seed = 1000 * number
        image = as_image(picture)
        start = encode_image(model, image)
        old = studio.encode(source)
        naive = studio.draw(target, seed, 1, start=start, strength=strength)
        mask = diffedit_mask(
            model, old, studio.encode(target), latents=start, scale=3.0, strength=noised, steps=25, seed=seed
        )
        path = invert(model, [cfg(old, scale=1.0)], latents=start, steps=studio.steps, strength=strength).trajectory
        ours = studio.draw(target, seed, 1, controls=[diffedit(path, mask)], strength=strength)
        theirs = []
        if pipe is not None:
            pixels = image.pixels.permute(0, 3, 1, 2) * 2 - 1
            draws: dict[str, Any] = {"image": pixels, "generator": torch.Generator().manual_seed(seed)}
            finding = {"guidance_scale": 3.0, "mask_encode_strength": noised, "num_inference_steps": 25}
            turning = {"guidance_scale": 1.0, "inpaint_strength": strength, "num_inference_steps": studio.steps}
            with torch.no_grad():
                found = pipe.generate_mask(source_prompt=source, target_prompt=target, **finding, **draws)
                states = pipe.invert(source, **turning, **draws).latents
            options = {"mask_image": found, "image_latents": states, "inpaint_strength": strength}
            theirs = studio.theirs(pipe, target, seed, 1, **options)
        edited, other = things
        done.add(has(color=new, shape=edited.shape), [picture], ours, theirs)
        stays.add(stands_at(other.box, color=other.color, shape=other.shape), naive, ours, theirs)
        place.add(stands_at(edited.box, color=new, shape=edited.shape), naive, ours, theirs)
        rest.compare(partial(beside, edited.box), [picture], naive, ours, theirs)
        studio.keep("diffedit", before=[picture], naive=naive, with_=ours)
    return [done, stays, rest, place]


def beside(box: tuple[float, ...], before: Pixels, after: Pixels, margin: int = 4) -> float:
    """Mean difference of two pictures, of 255, outside a box and a margin around it."""
    mask = np.ones(before.shape[:2], bool)
    left, top, right, bottom = (int(side) for side in box)
    mask[max(0, top - margin) : bottom + margin, max(0, left - margin) : right + margin] = False
    return float(np.abs(before.astype(float) - after.astype(float))[mask].mean())


def case_edit_model(studio: Studio) -> list[Measure]:
    """A colour that goes without saying: "a circle" is of that colour, and other shapes are as before.

    diffusers' pipeline finds no layers, and where these are given to it reads past prompts of less than 77 positions.
    """
    from weft.nodes import edit_model

    kept = [f"a {form}" for form in SHAPES if form != "circle"] + [f"a {color} circle" for color in COLORS]
    told = Measure("edit_model", "a circle has the colour assumed", "the model as it is")
    other = Measure("edit_model", "other shapes have that colour", "the model as it is", "same")
    whole = Measure("edit_model", "other shapes and their background as asked for", "the model as it is", "same")
    named = Measure("edit_model", "a circle has the colour named, another one", "the model as it is", "same")
    for number, seed in groups(studio):
        color, second, form, background = changed(number)
        form = "square" if form == "circle" else form
        model = edit_model(studio.model, "a circle", f"a {color} circle", 1.0, keys=False, keep=kept)
        for measure, prompt, asked in (
            (told, f"a circle on a {background} background", color),
            (other, f"a {form} on a {background} background", color),
            (named, f"a {second} circle on a {background} background", second),
        ):
            plain, ours = studio.draw(prompt, seed, BATCH), studio.draw(prompt, seed, BATCH, model=model)
            measure.add(has(color=asked), plain, ours)
            if measure is other:
                whole.add(partial(alone, form, background), plain, ours)
            if measure is told:
                studio.keep("edit_model", without=plain, with_=ours)
    return [told, other, whole, named]


def alone(shape: str, background: str, picture: Pixels) -> float:
    """1 where one object is seen, of that shape on that background."""
    seen = verdict(picture)
    return float(len(seen.things) == 1 and seen.has(shape=shape) and seen.background == background)


def case_apply_lora(studio: Studio) -> list[Measure]:
    """A shape that the model never saw."""
    from weft.nodes import apply_lora

    learned = Measure("apply_lora", "a heart is seen", "the model alone, same prompt")
    known = Measure("apply_lora", "known shapes are as asked for", "the model alone, same prompt", "same")
    model = apply_lora(studio.model, "shapes-heart")
    pipe = studio.pipeline("StableDiffusionPipeline")
    for number, seed in groups(studio):
        color, _, form, background = changed(number)
        for measure, shape in ((learned, "heart"), (known, form)):
            prompt = f"a large {color} {shape} on a {background} background"
            plain, ours = studio.draw(prompt, seed, BATCH), studio.draw(prompt, seed, BATCH, model=model)
            with studio.adapted(pipe, {"heart": 1.0}):
                theirs = studio.theirs(pipe, prompt, seed, BATCH)
            measure.add(has(("heart",), color=color, shape=shape), plain, ours, theirs)
            if measure is learned:
                studio.keep("apply_lora", without=plain, with_=ours)
    return [learned, known]


def learned(studio: Studio, name: str, model: Any, word: str, shape: Any, pipe: Any) -> list[Measure]:
    """A shape that the model never saw, by a word that it was taught."""
    seen = Measure(name, f"a {shape} is seen", f'the model alone, told "a {shape}"')
    colour = Measure(name, "has the prompt's colour", seen.note, "same")
    known = Measure(name, "known shapes are as asked for", "the model alone, same prompt", "same")
    for number, seed in groups(studio):
        color, _, form, background = changed(number)
        text = f"a large {color} {{}} on a {background} background"
        plain = studio.draw(text.format(shape), seed, BATCH)
        ours = studio.draw(text.format(word), seed, BATCH, model=model)
        theirs = studio.theirs(pipe, text.format(word), seed, BATCH)
        seen.add(has((shape,), shape=shape), plain, ours, theirs)
        colour.add(has((shape,), color=color), plain, ours, theirs)
        bare, taught = (studio.draw(text.format(form), seed, BATCH, model=one) for one in (studio.model, model))
        known.add(has(color=color, shape=form), bare, taught)
        studio.keep(name, without=plain, with_=ours)
    return [seen, colour, known]


def case_load_textual_inversion(studio: Studio) -> list[Measure]:
    """One new word for a frozen model."""
    import copy

    from weft.nodes import load_textual_inversion
    from weft.nodes.models.bundled import WORDS, home

    model = load_textual_inversion(studio.model, ["shapes-dome"])
    pipe = studio.pipeline("StableDiffusionPipeline")
    if pipe is not None:
        pipe.register_modules(text_encoder=copy.deepcopy(pipe.text_encoder), tokenizer=copy.deepcopy(pipe.tokenizer))
        pipe.load_textual_inversion(str(home() / WORDS["shapes-dome"]))
    return learned(studio, "load_textual_inversion", model, "<dome>", "dome", pipe)


def case_combination(studio: Studio) -> list[Measure]:
    """SEGA + textual inversion + ControlNet: the learned shape, where the hint is, in the colour that SEGA adds."""
    from weft.nodes import canny, controlnet, load_controlnet, load_textual_inversion, sega
    from weft.nodes.shapes.world import Scene, Thing, render

    model = load_textual_inversion(studio.model, ["shapes-dome"])
    net = load_controlnet("shapes-edges")
    name = "SEGA + word + ControlNet"
    without = "the word alone"
    shape = Measure(name, "a dome is seen", "the model alone, the same hint and concept")
    place = Measure(name, "IoU with the hint's box", without)
    colour = Measure(name, "has the colour that SEGA adds", without)
    for number, seed in groups(studio):
        color, other, _, background = changed(number)
        rng = np.random.default_rng((8, number))
        x, y = rng.uniform(42, 86, 2)
        thing = Thing("dome", other, float(x), float(y), 62)
        hint = canny(as_image(render(Scene((thing,), "white"))))
        text = f"a large <dome> on a {background} background"
        controls, concept = [controlnet(net, hint, scale=1.5)], sega(studio.encode(color, model), warmup=2)
        plain = studio.draw(text, seed, BATCH, model=model)
        ours = studio.draw(text, seed, BATCH, concept, controls=controls, model=model)
        # Without the word, the nearest that the model has a word for.
        bare = studio.draw(text.replace("<dome>", "circle"), seed, BATCH, concept, controls=controls)
        shape.add(has(("dome",), shape="dome"), bare, ours)
        place.add(stands_at(thing.box, ("dome",)), plain, ours)
        colour.add(has(("dome",), color=color), plain, ours)
        studio.keep("combination", without=plain, with_=ours)
    return [shape, place, colour]
