"""Pictures as prompts: what of them comes through, what does not, and what the words keep."""

from __future__ import annotations

from typing import Any

from benchmarks.effect_cases import BATCH, groups, scene
from benchmarks.effect_kit import BACKGROUNDS, Fact, Measure, Pixels, Studio, as_image, stands_at, verdict

NAME = "ip_adapter"


def image_prompts(studio: Studio) -> tuple[Any, Any]:
    """The bundled adapter, and diffusers' pipeline with it, on a denoiser of its own."""
    from copy import deepcopy

    from weft.nodes import load_ip_adapter
    from weft.nodes.models.bundled import IMAGE_ENCODERS, IMAGE_PROMPTS, home

    net = load_ip_adapter("shapes-image")
    if not studio.peers:
        return net, None
    pipe = studio.pipeline("StableDiffusionPipeline", unet=deepcopy(studio.parts.unet))
    file = home() / IMAGE_PROMPTS["shapes-image"]
    encoder = (home() / IMAGE_ENCODERS["shapes-clip"]).relative_to(file.parent.parent)
    pipe.load_ip_adapter(
        str(file.parent.parent),
        subfolder=file.parent.name,
        weight_name=file.name,
        image_encoder_folder=str(encoder),
        low_cpu_mem_usage=False,
    )
    return net, pipe


def likeness(picture: Pixels) -> Fact:
    """How near pictures lie to this one in the embedding of the world's CLIP: cosines."""
    import torch
    from torch.nn.functional import cosine_similarity
    from transformers import CLIPVisionModelWithProjection

    from weft.nodes.models.bundled import IMAGE_ENCODERS, home
    from weft.nodes.nets.image_prompt import encode_pictures

    folder = home() / IMAGE_ENCODERS["shapes-clip"]
    encoder = CLIPVisionModelWithProjection.from_pretrained(folder, dtype=torch.float32).eval()

    def cosine(other: Pixels) -> float:
        pixels = torch.cat([as_image(picture).pixels, as_image(other).pixels])
        first, second = encode_pictures(encoder, pixels, "plain")[0]
        return float(cosine_similarity(first, second, dim=0))

    return cosine


def case_ip_adapter(studio: Studio) -> list[Measure]:
    """A drawn picture says what, with words that say nothing, and with words that say on which background."""
    from PIL import Image as Pillow

    from weft.nodes import ip_adapter

    bare, words = 'the prompt alone, "a shape"', 'the prompt alone, "a shape on a ... background"'
    what = Measure(NAME, "has the picture's colour and shape", bare)
    back = Measure(NAME, "has the picture's background", bare)
    near = Measure(NAME, "cosine with the picture, by the world's CLIP", bare)
    place = Measure(NAME, "IoU with the box in the picture, which it does not tell", bare, "same")
    still = Measure(NAME, "has the picture's colour and shape, on a background that the prompt names", words)
    said = Measure(NAME, "has the background that the prompt names, not the picture's", words, "same")
    net, pipe = image_prompts(studio)
    for number, seed in groups(studio):
        drawn, picture, _, _ = scene(number)
        thing = drawn.things[0]
        other = next(b for b in BACKGROUNDS[number % 7 :] + BACKGROUNDS if b != drawn.background)
        control = ip_adapter(net, as_image(picture), scale=1.0)

        def shows(made: Pixels, thing: Any = thing) -> float:
            return float(verdict(made).shows([(thing.color, thing.shape)]))

        def on(background: str) -> Fact:
            return lambda made: float(verdict(made).background == background)

        there = stands_at(thing.box)
        facts: dict[str, list[tuple[Measure, Fact]]] = {
            "a shape": [(what, shows), (back, on(drawn.background)), (near, likeness(picture)), (place, there)],
            f"a shape on a {other} background": [(still, shows), (said, on(other))],
        }
        for prompt, judged in facts.items():
            plain = studio.draw(prompt, seed, BATCH)
            ours = studio.draw(prompt, seed, BATCH, controls=[control])
            theirs = studio.theirs(pipe, prompt, seed, BATCH, ip_adapter_image=Pillow.fromarray(picture))
            for measure, found in judged:
                measure.add(found, plain, ours, theirs)
            studio.keep(NAME, picture=[picture] * 2, without=plain, with_=ours)
    return [what, back, near, place, still, said]
