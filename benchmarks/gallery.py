# ruff: noqa: E501 (two lines of words for each picture)
"""The gallery: pictures of every technique and named combination, from the workflows that ship with Weft.

    make gallery        # or python benchmarks/gallery.py [--only sega,pag]

Each entry runs its workflow without the technique, with it, and with more of it, from one seed, and draws its graph.
Writes docs/gallery.md and the pictures beside it.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

DOCS = Path(__file__).resolve().parent.parent / "docs"


@dataclass(frozen=True)
class Entry:
    """A row. settings: `NAME=VALUE`s of each picture. draws: the `denoise` whose picture is shown. look: two lines."""

    example: str
    title: str
    settings: tuple[tuple[str, ...], ...]
    labels: tuple[str, ...]
    look: str
    draws: str = "draw"
    first: str = ""
    """The `denoise` of the first picture, where that is another one."""


def scaled(
    example: str, title: str, name: str, values: tuple[float, ...], look: str, draws: str = "draw", *more: str
) -> Entry:
    """A row of one number."""
    labels = tuple("without" if value == 0 else f"{name.split('.')[-1]} {value:g}" for value in values)
    return Entry(example, title, tuple((f"{name}={value}", *more) for value in values), labels, look, draws)


ENTRIES = (
    scaled(
        "sega",
        "Semantic guidance (SEGA)",
        "more_star.scale",
        (0, 5, 10),
        "More of a star and less red, step by step, with the prompt as it is.\nThe background and the place stay; only the object turns.",
    ),
    scaled(
        "pag",
        "Perturbed-attention guidance (PAG)",
        "pag.scale",
        (0, 1.5, 3),
        "Away from a prediction whose attention sees nothing, with no other guidance.\nOutlines get firmer; too much of it overdraws.",
        "draw",
        "cfg.scale=1.0",
    ),
    scaled(
        "sag",
        "Self-attention guidance (SAG)",
        "sag.scale",
        (0, 1, 2),
        "Away from a prediction that was blurred where the model looks, with no other guidance.\nOutlines get firmer; too much of it smears.",
        "draw",
        "cfg.scale=1.0",
    ),
    scaled(
        "attend_and_excite",
        "Attend-and-Excite",
        "subjects.scale",
        (0, 80, 160),
        "A prompt so bare that one of the two is forgotten.\nThe latents are moved until each word is looked at somewhere.",
        "draw",
        "subjects.resolution=8",
        "cfg.scale=1.0",
        "draw.steps=8",
        "prompt=yellow circle purple square",
        'subjects.thresholds={"0": 0.5, "2": 0.8}',
    ),
    Entry(
        "weighted_prompt",
        "Prompt weighting",
        tuple(
            (f"prompt.text=a (red circle){w} left of a (blue square){v} on a white background",)
            for w, v in (("1.0", "1.0"), ("1.4", "0.7"), ("0.5", "1.4"))
        ),
        ("1.0 : 1.0", "1.4 : 0.7", "0.5 : 1.4"),
        "The same words; their weights decide which of the two dominates.\nA word below a half is nearly not said.",
        "denoise",
    ),
    scaled(
        "controlnet",
        "ControlNet",
        "control.scale",
        (0, 0.5, 1),
        "Edges of a red star on the left lead a blue one.\nThe prompt keeps its say in colour and background.",
    ),
    Entry(
        "two_controlnets",
        "Two ControlNets",
        (("control.scale=0", "second_control.scale=0"), ("second_control.scale=0",), ()),
        ("without", "the first", "1.0 and 0.8"),
        "The second hint is blank in the middle half of its columns.\nThere the first decides alone; at the right edge the second one adds.",
    ),
    scaled(
        "t2i_adapter",
        "T2I-Adapter",
        "control.scale",
        (0, 0.5, 1),
        "Flat regions of a triangle at the top, read once and added in every step.\nA fraction of a ControlNet's cost.",
    ),
    Entry(
        "ip_adapter",
        "IP-Adapter",
        ((), ("control.scale=0",), (), ("prompt.text=a small shape on the left on a navy background",)),
        ("the picture", "the words alone", "with the picture", "with it, other words"),
        "A picture is the prompt: it says what, a blue star.\nThe words say the size, the place and the background.",
        first="first_draw",
    ),
    Entry(
        "depth_control",
        "Depth",
        (
            ("first_prompt.text=a large purple circle on the left on a white background",),
            ("first_prompt.text=a large purple circle at the top on a white background",),
            (),
        ),
        ("depth on the left", "at the top", "on the right"),
        "A fifth channel of the denoiser holds depth.\nThe circle stands where the depth is, in the prompt's colours.",
    ),
    Entry(
        "instruct_pix2pix",
        "InstructPix2Pix",
        (("prompt.text=make it red",), (), ("prompt.text=make it a circle",)),
        ("make it red", "make it blue", "make it a circle"),
        "A red star is given, and one order.\nWhat the order does not name stays.",
    ),
    Entry(
        "edit_model",
        "TIME",
        (("edited.destination=a circle",), (), ("edited.destination=a pink circle",)),
        ("without", "a blue circle", "a pink circle"),
        '"A circle" is blue, or pink, without saying so, by one formula.\nOther shapes, and circles whose colour is named, stay as they were.',
        "denoise",
    ),
    Entry(
        "pix2pix_zero",
        "Pix2Pix Zero",
        ((), (), ("edit.amount=0.3",)),
        ("the source", "edited", "amount 0.3"),
        "One thing becomes another, told by lists of sentences.\nThe more amount, the closer attention stays to the source's.",
        first="draw_source",
    ),
    Entry(
        "prompt_to_prompt",
        "Prompt-to-prompt",
        ((), ("edit.cross_steps=0.0", "edit.self_steps=0.0"), ()),
        ("the source", "the new prompt alone", "prompt-to-prompt"),
        "A word is replaced and the composition kept.\nWithout it, the same seed gives another picture.",
        first="draw_source",
    ),
    Entry(
        "diffedit",
        "DiffEdit",
        ((), (), ("invert.strength=1.0", "redraw.strength=1.0")),
        ("the picture", "edited, strength 0.8", "strength 1.0"),
        "It finds by itself what has to change, and changes nothing else.\nThe mask comes from the difference of two predictions.",
        "redraw",
        first="draw",
    ),
    scaled(
        "regions",
        "Region prompts",
        "regions.strength",
        (0, 0.5, 1),
        "Each half of the canvas has a prompt of its own.\nAt strength 0 there is one prompt for all.",
    ),
    Entry(
        "multidiffusion",
        "MultiDiffusion",
        (("prompt=a purple star on a mint background",), ("prompt=a purple star on a mint background", "stride=16")),
        ("384 x 128, circular, a view every 32 pixels", "every 16"),
        "One canvas, drawn in overlapping views that agree in every step.\nIts right edge goes on at its left.",
    ),
    scaled(
        "rescale_guidance",
        "Rescaled guidance",
        "rescale.amount",
        (0, 0.7, 1),
        "High guidance overdrives contrast; rescaling takes that back.\nThe prompt is followed as closely.",
    ),
    scaled(
        "apply_lora",
        "LoRA",
        "lora.strength",
        (0, 0.7, 1),
        "A heart, which the model never saw.\nAt strength 0 it draws the nearest that it knows.",
    ),
    Entry(
        "load_textual_inversion",
        "Textual inversion",
        (
            ("prompt.text=a large blue shape on a white background",),
            (),
            ("prompt.text=a large red <dome> on a navy background",),
        ),
        ("without", "a blue <dome>", "a red <dome>"),
        "A new word, whose meaning is one vector.\nColour and background are the prompt's, as ever.",
    ),
    Entry(
        "load_custom_diffusion",
        "Custom Diffusion",
        (
            ("prompt.text=a large green shape on a navy background",),
            (),
            ("prompt.text=a large pink <house> on a white background",),
        ),
        ("without", "a green <house>", "a pink <house>"),
        "Keys and values of cross-attention, and a word.\nKnown shapes stay as they were.",
    ),
    Entry(
        "sag_sega_pag",
        "SAG + SEGA + PAG",
        (("sag.scale=0", "pag.scale=0", "more_star.scale=0"), ("sag.scale=0", "pag.scale=0"), ()),
        ("cfg alone", "with SEGA", "all three"),
        "Three kinds of guidance in one loop.\nEach adds its term to the same prediction.",
    ),
    Entry(
        "sega_textual_inversion_controlnet",
        "SEGA + textual inversion + ControlNet",
        (("more.scale=0", "control.scale=0"), ("more.scale=0",), ()),
        ("the word alone", "with ControlNet", "with SEGA"),
        "The learned concept, where the hint is, in the colour that SEGA adds.\nThree nodes, not a fork of a library.",
        "redraw",
    ),
    Entry(
        "attend_and_excite_controlnet_lora",
        "Attend-and-Excite + ControlNet + LoRA",
        (("control.scale=0", "lora.strength=0"), ("control.scale=0",), ()),
        ("without", "with LoRA", "with ControlNet"),
        "A learned shape in a place that a hint gives.\nBoth subjects of the prompt are held on to.",
        "redraw",
    ),
    Entry(
        "multidiffusion_controlnet_sega",
        "MultiDiffusion + ControlNet + SEGA",
        (("control.scale=0", "more.scale=0"), ("more.scale=0",), ()),
        ("without", "with ControlNet", "with SEGA"),
        "A panorama with the composition of another.\nThe hint is cut along with the views.",
        "redraw",
    ),
    Entry(
        "diffedit_sega_weighted_prompt",
        "DiffEdit + SEGA + weighted prompt",
        (
            ("more.scale=0", "after.text=a red circle left of a blue square on a white background"),
            ("more.scale=0",),
            (),
        ),
        ("the picture", "DiffEdit", "with SEGA"),
        "One of two objects is edited and the other kept.\nSEGA adds to the edit within the mask.",
        "redraw",
    ),
    Entry(
        "instruct_pix2pix_sega_pag",
        "InstructPix2Pix + SEGA + PAG",
        (("more.scale=0", "pag.scale=0"), ("pag.scale=0",), ()),
        ("the order alone", "with SEGA", "with PAG"),
        "An edit by a sentence, with guidance that its pipeline does not have.\nConcept rows see the given picture too.",
        "redraw",
    ),
)


def pictures(entry: Entry, cache: Any) -> list[Any]:
    """Arrays (H, W, 3) 0..255."""
    from engine import run
    from engine.catalogue import installed
    from graphs import examples
    from nodes.shapes.measure import as_pixels
    from server.cli.values import apply_settings

    made = []
    for number, settings in enumerate(entry.settings):
        draws = entry.first if entry.first and not number else entry.draws
        workflow = apply_settings(examples.load(entry.example), list(settings), installed())
        for id, node in workflow.nodes.items():
            if node.type == "decode" and str(node.inputs["latents"]) == f"{draws}.latents":
                image = run(workflow, [id], cache=cache)[id]
                made += as_pixels(image)
                break
        else:
            raise SystemExit(f"{entry.example}: no decode of {draws}")
    return made


def row(arrays: list[Any], path: Path) -> None:
    """Pictures side by side."""
    import numpy as np
    from PIL import Image

    wide = arrays[0].shape[1] > 2 * arrays[0].shape[0]
    gap = np.full((4, arrays[0].shape[1], 3) if wide else (arrays[0].shape[0], 4, 3), 255, np.uint8)
    parts = [part for array in arrays for part in (array, gap)][:-1]
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.concatenate(parts, axis=0 if wide else 1)).save(path, optimize=True)


def main() -> None:
    """Run what is asked for; the page names all."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--only", default="", help="some examples, by name")
    options = parser.parse_args()
    from engine import Cache
    from engine.catalogue import installed
    from graphs import examples
    from graphs.draw import draw
    from server.cli.draw import shapes

    cache = Cache()
    folder = DOCS / "images" / "gallery"
    lines = [
        "# Gallery",
        "",
        "Every technique and named combination on the bundled model, made by `make gallery` from the workflows in",
        "`graphs/examples`. One seed a row, nothing chosen. Open a workflow with `weft run graphs/examples/NAME.json`.",
        "[What techniques do](effects.md) has the figures.",
        "",
    ]
    chosen = [name for name in options.only.split(",") if name]
    for entry in ENTRIES:
        if not chosen or entry.example in chosen:
            print(entry.example, flush=True)
            row(pictures(entry, cache), folder / f"{entry.example}.png")
            svg = draw(examples.load(entry.example), shapes(installed()))
            (folder / f"{entry.example}.svg").write_text(svg, encoding="utf-8")
        name = entry.example
        lines += [f"## {entry.title}", "", f"![{', '.join(entry.labels)}](images/gallery/{name}.png)", ""]
        lines += [" · ".join(entry.labels), "", *entry.look.splitlines(), ""]
        lines += [f"[`{name}.json`](../graphs/examples/{name}.json) · [its graph](images/gallery/{name}.svg)", ""]
    (DOCS / "gallery.md").write_text("\n".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
