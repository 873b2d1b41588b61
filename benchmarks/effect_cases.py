"""What each technique promises, measured on the bundled model: pictures without it, with it, and by diffusers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np

from benchmarks.effect_kit import (
    BACKGROUNDS,
    COLORS,
    SHAPES,
    Measure,
    Pixels,
    Studio,
    as_image,
    clean,
    has,
    outside,
    place_kept,
    same,
    stands_at,
    verdict,
)

Case = Callable[[Studio], list[Measure]]
BATCH = 8


def groups(studio: Studio, times: int = 1) -> Iterator[tuple[int, int]]:
    """Number of the prompt, and its first seed; `BATCH` seeds each.

    times: more seeds than asked for, where an effect is small.
    """
    for number in range(-(-times * studio.seeds // BATCH)):
        yield number, 1000 * number


def shown(wanted: Sequence[tuple[str, str]], picture: Pixels) -> float:
    """1 for a picture with all of these objects (colour, shape), whatever else."""
    seen = verdict(picture)
    return float(all(seen.has(*one) for one in wanted))


def pair(number: int) -> tuple[tuple[str, str], tuple[str, str]]:
    """Two objects of different colours and shapes."""
    rng = np.random.default_rng((5, number))
    colors, shapes = rng.permutation(COLORS), rng.permutation(SHAPES)
    return (str(colors[0]), str(shapes[0])), (str(colors[1]), str(shapes[1]))


def changed(number: int) -> tuple[str, str, str, str]:
    """An edit: colour before and after, shape, background."""
    rng = np.random.default_rng((6, number))
    before, after = rng.permutation(COLORS)[:2]
    return str(before), str(after), SHAPES[number % 4], BACKGROUNDS[number % 7]


def case_sega(studio: Studio) -> list[Measure]:
    """A colour is added to a prompt that names none, and taken away where one is named."""
    from weft.nodes import sega

    added = Measure("sega", "has the colour that is added", "the prompt alone, which names none")
    rewritten, all_over = "the colour written into the prompt", "the same guidance of every value (threshold 0)"
    rest, sparse = (
        Measure("sega", "difference outside the object, of 255", note, better="lower") for note in (rewritten, all_over)
    )
    place = Measure("sega", "IoU with the object's place before the colour", rewritten)
    kept = Measure("sega", "shape and background as before the colour", rewritten, "same")
    removed = Measure("sega", "still has the colour that is taken away", "the prompt alone", better="lower")
    shape = Measure("sega", "keeps the shape while the colour goes", "the prompt alone", "same")
    pipe = studio.pipeline("SemanticStableDiffusionPipeline")
    common = {"edit_warmup_steps": 2, "edit_guidance_scale": 5.0, "edit_threshold": 0.95}
    for number, seed in groups(studio, 2):
        color, _, form, background = changed(number)
        named, unnamed = f"a {color} {form} on a {background} background", f"a {form} on a {background} background"
        plain, naive = studio.draw(unnamed, seed, BATCH), studio.draw(named, seed, BATCH)
        ours = studio.draw(unnamed, seed, BATCH, sega(studio.encode(color), warmup=2, threshold=0.95))
        theirs = studio.theirs(pipe, unnamed, seed, BATCH, editing_prompt=[color], **common)
        added.add(has(color=color), plain, ours, theirs)
        every = studio.draw(unnamed, seed, BATCH, sega(studio.encode(color), warmup=2, threshold=0.0))
        measures = ((rest, outside, naive), (sparse, outside, every), (place, place_kept, naive), (kept, same, naive))
        for measure, found, without in measures:
            measure.compare(found, plain, without, ours, theirs)
        away = studio.draw(named, seed, BATCH, sega(studio.encode(color), direction="away", scale=8.0, warmup=2))
        options = {**common, "edit_guidance_scale": 8.0, "edit_threshold": 0.9, "reverse_editing_direction": [True]}
        other = studio.theirs(pipe, named, seed, BATCH, editing_prompt=[color], **options)
        removed.add(has(color=color), naive, away, other)
        shape.add(has(shape=form), naive, away, other)
        studio.keep("sega", without=plain, with_=ours)
    return [added, rest, sparse, place, kept, removed, shape]


def case_attend_and_excite(studio: Studio) -> list[Measure]:
    """Two objects in a prompt so bare that the model, without guidance, forgets one."""
    from weft.nodes import attend_and_excite

    both = Measure("attend_and_excite", "both objects are there", "the prompt alone, no guidance")
    pipe = studio.pipeline("StableDiffusionAttendAndExcitePipeline")
    for number, seed in groups(studio):
        first, second = pair(number)
        prompt = f"{first[0]} {first[1]} {second[0]} {second[1]}"

        plain = studio.draw(prompt, seed, BATCH, scale=1.0, steps=8)
        words = [first[1], second[1]]
        thresholds = {"0": 0.5, "2": 0.8}
        excite = attend_and_excite(words, 8, thresholds, 80.0, resolution=8)
        ours = studio.draw(prompt, seed, BATCH, excite, scale=1.0, steps=8)
        tokens = [2, 4]  # the start, then a token a word
        # Theirs takes no batch: one seed after the other.
        theirs = [
            picture
            for one in range(BATCH)
            for picture in studio.theirs(
                pipe,
                prompt,
                seed + one,
                1,
                token_indices=tokens,
                attn_res=(8, 8),
                scale_factor=80,
                thresholds={0: 0.5, 2: 0.8},
                max_iter_to_alter=8,
                num_inference_steps=8,
                guidance_scale=1.0,
            )
        ]
        both.add(partial(shown, (first, second)), plain, ours, theirs)
        studio.keep("attend_and_excite", without=plain, with_=ours)
    return [both]


def case_weighted_prompt(studio: Studio) -> list[Measure]:
    """One word's weight: which of two objects takes more of the picture."""
    import torch
    from compel import Compel

    from weft.nodes import weighted_prompt

    share = Measure("weighted_prompt", "the first object's share of both areas", "the same prompt without weights")
    pipe = studio.pipeline("StableDiffusionPipeline")
    compel = Compel(pipe.tokenizer, pipe.text_encoder, truncate_long_prompts=True) if pipe is not None else None
    for number, seed in groups(studio):
        first, second = pair(number)
        prompt = f"a {first[0]} {first[1]} and a {second[0]} {second[1]}"
        heavy = f"a ({first[0]} {first[1]})1.5 and a ({second[0]} {second[1]})0.5"

        def part(picture: Pixels, color: str = first[0]) -> float:
            areas = {thing.color: (thing.box[2] - thing.box[0]) ** 2 for thing in verdict(picture).things}
            return areas.get(color, 0) / max(1, sum(areas.values()))

        plain = studio.draw(prompt, seed, BATCH)
        ours = studio.draw(weighted_prompt(studio.model, heavy), seed, BATCH)
        with torch.no_grad():
            embeds = compel(heavy) if compel is not None else None
        share.add(part, plain, ours, studio.theirs(pipe, embeds, seed, BATCH))
        studio.keep("weighted_prompt", without=plain, with_=ours)
    return [share]


def scene(number: int) -> tuple[Any, Pixels, str, str]:
    """A drawn picture of one object anywhere, and a prompt for it in another colour on another background."""
    from dataclasses import replace

    from weft.nodes.shapes.scenes import free_scene
    from weft.nodes.shapes.world import caption, render

    rng = np.random.default_rng((7, number))
    drawn = free_scene(rng, two=0)
    color = str(rng.choice([c for c in COLORS if c != drawn.things[0].color]))
    background = str(rng.choice([b for b in BACKGROUNDS if b != drawn.background]))
    return drawn, render(drawn), caption([replace(drawn.things[0], color=color)], background), color


def hinted(
    studio: Studio, name: str, ours: Callable[..., list[Pixels]], theirs: Callable[..., list[Pixels]]
) -> list[Measure]:
    """Where the object stands, and which colour it has, with a hint."""
    place = Measure(name, "IoU with the hint's box", "the prompt alone")
    colour = Measure(name, "has the prompt's colour", "the prompt alone", "same")
    for number, seed in groups(studio):
        drawn, picture, prompt, color = scene(number)
        plain = studio.draw(prompt, seed, BATCH)
        made, other = ours(picture, prompt, seed), theirs(picture, prompt, seed)
        place.add(stands_at(drawn.things[0].box), plain, made, other)
        colour.add(has(color=color), plain, made, other)
        studio.keep(name, hint=[picture] * 2, without=plain, with_=made)
    return [place, colour]


def hinted_by(
    studio: Studio, name: str, pipe: Any, hint: Callable[[Any], Any], control: Callable[[Any], Any]
) -> list[Measure]:
    """The same for a network that reads a hint. control: what goes into `denoise` for a hint."""

    def ours(picture: Pixels, prompt: str, seed: int) -> list[Pixels]:
        return studio.draw(prompt, seed, BATCH, controls=[control(hint(as_image(picture)))])

    def theirs(picture: Pixels, prompt: str, seed: int) -> list[Pixels]:
        image = hint(as_image(picture)).pixels.permute(0, 3, 1, 2)
        return studio.theirs(pipe, prompt, seed, BATCH, image=image, width=studio.size, height=studio.size)

    return hinted(studio, name, ours, theirs)


def edges(studio: Studio) -> tuple[Any, Any]:
    """The bundled ControlNet, and diffusers' pipeline with it."""
    from diffusers import ControlNetModel

    from weft.nodes import load_controlnet
    from weft.nodes.models.bundled import CONTROLNETS, home

    live = ControlNetModel.from_pretrained(home() / CONTROLNETS["shapes-edges"])
    return load_controlnet("shapes-edges"), studio.pipeline(
        "StableDiffusionControlNetPipeline", controlnet=live.float()
    )


def case_controlnet(studio: Studio) -> list[Measure]:
    """Edges say where, the prompt says which colour."""
    from weft.nodes import canny, controlnet

    net, pipe = edges(studio)
    return hinted_by(studio, "controlnet", pipe, canny, lambda hint: controlnet(net, hint))


def case_t2i_adapter(studio: Studio) -> list[Measure]:
    """Flat regions say where."""
    from diffusers import T2IAdapter

    from weft.nodes import load_t2i_adapter, segmentation_palette, t2i_adapter
    from weft.nodes.models.bundled import ADAPTERS, home

    net = load_t2i_adapter("shapes-regions")
    live = T2IAdapter.from_pretrained(home() / ADAPTERS["shapes-regions"])
    pipe = studio.pipeline("StableDiffusionAdapterPipeline", adapter=live.float())
    return hinted_by(studio, "t2i_adapter", pipe, segmentation_palette, lambda hint: t2i_adapter(net, hint))


def case_depth_control(studio: Studio) -> list[Measure]:
    """Depth says where; the picture that it came from is drowned in noise."""
    from weft.nodes import depth, depth_control, encode_image, load_model

    model = load_model("shapes-depth", dtype="float32", device="cpu")
    pipe = studio.pipeline("StableDiffusionDepth2ImgPipeline", model, depth_estimator=None)

    def ours(picture: Pixels, prompt: str, seed: int) -> list[Pixels]:
        image = as_image(picture)
        controls = [depth_control(depth(image, "shapes"))]
        return studio.draw(
            prompt, seed, BATCH, controls=controls, model=model, start=encode_image(model, image), strength=1.0
        )

    def theirs(picture: Pixels, prompt: str, seed: int) -> list[Pixels]:
        image = as_image(picture)
        options = {"image": image.pixels.permute(0, 3, 1, 2) * 2 - 1, "strength": 1.0}
        shade = depth(image, "shapes").pixels.mean(-1)
        return studio.theirs(pipe, prompt, seed, BATCH, model, depth_map=shade, **options)

    return hinted(studio, "depth_control", ours, theirs)


def case_multidiffusion(studio: Studio) -> list[Measure]:
    """128 x 512: steps of brightness at the borders of views, beside those everywhere."""
    from weft.nodes import multidiffusion

    seams = Measure(
        "multidiffusion", "gradient at view borders, by that elsewhere", "four pictures side by side", "lower"
    )
    pipe = studio.panorama() if studio.peers else None
    size = {"width": 4 * studio.size, "height": studio.size}

    def ratio(picture: Pixels, step: int) -> float:
        steps = np.abs(np.diff(picture.astype(float), axis=1)).mean(axis=(0, 2))
        at = np.zeros(len(steps), bool)
        at[step - 1 :: step] = True
        return float(steps[at].mean() / max(1e-6, steps[~at].mean()))

    for number in range(studio.seeds):
        prompt, seed = f"a {COLORS[number % 8]} star", 1000 * number
        apart = np.concatenate(studio.draw(prompt, seed, 4), axis=1)
        (ours,) = studio.draw(prompt, seed, 1, multidiffusion(stride=studio.size // 4), **size)
        theirs = studio.theirs(pipe, prompt, seed, 1, **size)
        seams.without.append(ratio(apart, studio.size))
        seams.add(lambda picture: ratio(picture, studio.size // 4), [], [ours], theirs)
        studio.keep("multidiffusion", without=[apart], with_=[ours])
    return [seams]


def unguided(
    studio: Studio,
    term: Any,
    prompt: Callable[[int], str],
    good: Callable[[int, Pixels], float],
    measure: Measure,
    model: Any = None,
    theirs: Callable[[str, int], list[Pixels]] | None = None,
    times: int = 4,
) -> Measure:
    """How many pictures are good where nothing else guides, without a term and with it; 8 steps, `times` the seeds.

    These effects are small where a model is nearly right by itself, so that they need more seeds than others to tell.
    """
    for number, seed in groups(studio, times):
        text = prompt(number)
        plain = studio.draw(text, seed, BATCH, scale=1.0, steps=8, model=model)
        ours = studio.draw(text, seed, BATCH, term, scale=1.0, steps=8, model=model)
        other = theirs(text, seed) if theirs is not None else []
        measure.add(partial(good, number), plain, ours, other)
        studio.keep(measure.technique, without=plain, with_=ours)
    return measure


def crowd(number: int) -> str:
    """A prompt of two objects."""
    first, second = pair(number)
    return f"a {first[0]} {first[1]} and a {second[0]} {second[1]} on a {BACKGROUNDS[number % 7]} background"


def exactly(number: int, picture: Pixels) -> float:
    """1 where a picture of `crowd` shows its two objects and nothing else."""
    return clean(picture, pair(number), 0.0)


def case_pag(studio: Studio) -> list[Measure]:
    """Perturbed-attention guidance in place of any other."""
    from weft.nodes import apply_lora, pag

    # At less than its full strength: there it draws nearly every heart without any guidance.
    strength = 0.85
    model, layers = apply_lora(studio.model, "shapes-heart", strength), ["mid", "up", "down"]
    term, pipe = pag(1.0, layers=layers), studio.pipeline("StableDiffusionPAGPipeline")
    if pipe is not None:
        pipe.set_pag_applied_layers(layers)

    def theirs(text: str, seed: int) -> list[Pixels]:
        options = {"guidance_scale": 1.0, "num_inference_steps": 8, "pag_scale": 1.0}
        return studio.theirs(pipe, text, seed, BATCH, **options)

    def adapted(text: str, seed: int) -> list[Pixels]:
        with studio.adapted(pipe, {"heart": strength}):
            return theirs(text, seed)

    def heart(number: int) -> str:
        return f"a large {changed(number)[0]} heart on a {BACKGROUNDS[number % 7]} background"

    def seen(number: int, picture: Pixels) -> float:
        return has(("heart",), color=changed(number)[0], shape="heart")(picture)

    without = "the prompt alone, no guidance"
    learned = Measure("pag", "a heart (LoRA) of the colour asked for", f"the LoRA at 0.85 and {without}")
    right = Measure("pag", "exactly the two objects asked for", without, "same")
    return [
        unguided(studio, term, heart, seen, learned, model, adapted),
        unguided(studio, term, crowd, exactly, right, None, theirs),
    ]


def case_sag(studio: Studio) -> list[Measure]:
    """Self-attention guidance in place of any other."""
    from weft.nodes import sag

    pipe = studio.pipeline("StableDiffusionSAGPipeline")

    def theirs(text: str, seed: int) -> list[Pixels]:
        options = {"guidance_scale": 1.0, "num_inference_steps": 8, "sag_scale": 1.0}
        return studio.theirs(pipe, text, seed, BATCH, **options)

    right = Measure("sag", "exactly the two objects asked for", "the prompt alone, no guidance")
    return [unguided(studio, sag(1.0), crowd, exactly, right, None, theirs, times=16)]
