# ruff: noqa: E501 (two lines of words for each row)
"""What the gallery shows: for each workflow its pictures, and two lines on what to look for."""

from __future__ import annotations

import json
from dataclasses import dataclass

from benchmarks.recipes import DREAMBOOTH


@dataclass(frozen=True)
class Shot:
    """A picture. settings: `NAME=VALUE`s. node: what gives it, if not the decode of the row's `denoise`."""

    label: str
    settings: tuple[str, ...] = ()
    node: str = ""


@dataclass(frozen=True)
class Entry:
    """A row. common: settings of all its pictures. draws: the `denoise` whose picture is shown. look: two lines."""

    example: str
    title: str
    look: str
    shots: tuple[Shot, ...]
    common: tuple[str, ...] = ()
    draws: str = "draw"
    made_by: tuple[str, str] | None = None
    """A folder that the workflow reads and that does not ship, and the module that makes it."""

    def settings(self, shot: Shot) -> tuple[str, ...]:
        """All that is set for one picture."""
        return self.common + shot.settings


def given(label: str, node: str, *settings: str) -> Shot:
    """What the technique is given, rather than what it makes."""
    return Shot(label, settings, node)


def shot(label: str, *settings: str) -> Shot:
    """What comes out."""
    return Shot(label, settings)


MUDDLE = "prompt=blue circle yellow square"
"""A prompt without grammar: unguided, the model draws one thing that is both."""
UNGUIDED = ("cfg.scale=1.0", "draw.steps=8")
STARS = [
    f"a red {shape} on a {ground} background" for shape in ("star", "circle", "square") for ground in ("white", "mint")
]
WINDOWS_OF_128 = ("windows.view_width=128", "windows.view_height=128")

ENTRIES = (
    Entry(
        "sega",
        "Semantic guidance (SEGA)",
        "Concepts that are added or taken away, each by a node, with the prompt as it is.\nPlace and background stay; only the object turns.",
        (
            shot("the prompt alone", "more_star.scale=0", "less_red.scale=0"),
            shot("away from red", "more_star.scale=0"),
            shot("towards a star", "less_red.scale=0"),
            shot("both"),
        ),
        ("prompt=a large red circle on a mint background",),
    ),
    Entry(
        "pag",
        "Perturbed-attention guidance (PAG)",
        "Away from a prediction whose attention sees nothing, with no other guidance: one muddle becomes two things.\nToo much of it bleaches.",
        tuple(shot("without" if not scale else f"scale {scale}", f"pag.scale={scale}") for scale in (0, 1, 2, 4)),
        (MUDDLE, *UNGUIDED, 'pag.layers=["mid", "up"]'),
    ),
    Entry(
        "sag",
        "Self-attention guidance (SAG)",
        "Away from a prediction that was blurred where the model looks, with no other guidance.\nOn so small a model little changes before it smears: at 2 the colours begin to part. The figures say as much.",
        tuple(shot("without" if not scale else f"scale {scale}", f"sag.scale={scale}") for scale in (0, 1, 2)),
        (MUDDLE, *UNGUIDED),
    ),
    Entry(
        "attend_and_excite",
        "Attend-and-Excite",
        "A prompt so bare that its two subjects become one thing.\nThe latents are moved until each word is looked at somewhere.",
        tuple(shot("without" if not scale else f"scale {scale}", f"subjects.scale={scale}") for scale in (0, 40, 160)),
        (MUDDLE, *UNGUIDED, "subjects.resolution=8", 'subjects.thresholds={"0": 0.5, "2": 0.8}'),
    ),
    Entry(
        "weighted_prompt",
        "Prompt weighting",
        "The same words; their weights decide which of the two dominates.\nAt 0.7 a thing begins to take on the other's looks.",
        tuple(
            shot(
                f"{first} : {second}",
                f"prompt.text=a (red circle){first} left of a (blue square){second} on a white background",
            )
            for first, second in (("1.0", "1.0"), ("1.3", "0.7"), ("0.7", "1.3"))
        ),
        draws="denoise",
    ),
    Entry(
        "controlnet",
        "ControlNet (Canny)",
        "Edges of a small star at the bottom lead another picture.\nThe prompt keeps its say in colour and background.",
        (given("the edges", "edges"), shot("without", "scale=0"), shot("scale 0.5", "scale=0.5"), shot("scale 1")),
        (
            "composition=a small red star at the bottom on a white background",
            "prompt=a yellow star on a navy background",
        ),
    ),
    Entry(
        "two_controlnets",
        "Two ControlNets",
        "Two hints at scales 1.0 and 0.8; the second is blank in the middle half of its columns.\nThe first places the square alone; with the second, the circle grows to the arc at the right.",
        (
            given("the first hint", "edges"),
            given("the second", "blank"),
            shot("without", "first_scale=0", "second_scale=0"),
            shot("the first", "second_scale=0"),
            shot("both"),
        ),
    ),
    Entry(
        "t2i_adapter",
        "T2I-Adapter",
        "Flat regions of a triangle at the top, read once and added in every step.\nA fraction of a ControlNet's cost.",
        (given("the regions", "regions"), shot("without", "scale=0"), shot("scale 0.5", "scale=0.5"), shot("scale 1")),
    ),
    Entry(
        "ip_adapter",
        "IP-Adapter",
        "A picture is the prompt: it says what, a blue star.\nThe words say the size, the place and the background.",
        (
            given("the picture", "first"),
            shot("the words alone", "control.scale=0"),
            shot("with the picture"),
            shot("with it, other words", "prompt.text=a small shape on the left on a navy background"),
        ),
    ),
    Entry(
        "depth_control",
        "Depth",
        "A fifth channel of the denoiser holds depth.\nThe circle stands where the depth is, in the prompt's colours.",
        tuple(
            item
            for place in ("a large purple circle on the right", "a small purple circle at the top")
            for item in (
                given("depth", "depth", f"composition={place} on a white background"),
                shot("with it", f"composition={place} on a white background"),
            )
        ),
    ),
    Entry(
        "instruct_pix2pix",
        "InstructPix2Pix",
        "A picture and one order.\nWhat the order does not name stays, or nearly: on navy, red turns to orange.",
        (
            given("the picture", "first"),
            shot("make it blue"),
            shot("make it a circle", "prompt=make it a circle"),
            shot("make the background navy", "prompt=make the background navy"),
        ),
    ),
    Entry(
        "edit_model",
        "TIME",
        '"A circle" is blue, or pink, without saying so, by one formula; a colour that is named still wins.\nA star, a text that the edit was told to keep, is not blue: without `keep`, it would be.',
        (
            shot("a circle, before", "edited.destination=a circle"),
            shot("a circle, assumed blue"),
            shot("a circle, assumed pink", "edited.destination=a pink circle"),
            shot("a green circle, assumed blue", "prompt=a green circle on a white background"),
            shot("a star, assumed blue", "prompt=a star on a white background"),
        ),
        draws="denoise",
    ),
    Entry(
        "pix2pix_zero",
        "Pix2Pix Zero",
        "Red becomes green, told by two lists of sentences; attention is drawn back to the source's.\nThe more of that, the closer the star stays to its size and place.",
        (
            given("the source", "before"),
            *(shot(f"amount {amount}", f"amount={amount}") for amount in (0.01, 0.15, 0.5)),
        ),
        (
            "prompt=a red star on a mint background",
            f"source={json.dumps(STARS)}",
            f"target={json.dumps([text.replace('red', 'green') for text in STARS])}",
        ),
    ),
    Entry(
        "prompt_to_prompt",
        "Prompt-to-prompt",
        "A word is replaced and the composition kept.\nWithout it, the same seed gives another picture.",
        (
            given("the source", "before"),
            shot("the new prompt alone", "cross_steps=0", "self_steps=0"),
            shot("prompt-to-prompt"),
        ),
        ("source=a red star on a mint background", "prompt=a green star on a mint background"),
    ),
    Entry(
        "diffedit",
        "DiffEdit",
        "It finds by itself what has to change, and changes little else.\nThe mask comes from the difference of two predictions; here it is that of the star.",
        (
            given("the picture", "first"),
            given("where to edit", "shown"),
            shot("a yellow star"),
            shot("a green triangle", "after=a red circle left of a green triangle on a white background"),
            shot("the circle, green", "after=a green circle left of a blue square on a white background"),
        ),
        draws="redraw",
    ),
    Entry(
        "regions",
        "Region prompts",
        "Each half of the canvas has a prompt of its own.\nThe one for all of it names the background alone.",
        (
            shot("the prompt for all", "strength=0"),
            shot("a red circle | a blue square"),
            shot(
                "a yellow star | a green triangle",
                "left=a small yellow star on the left on a white background",
                "right=a small green triangle on the right on a white background",
            ),
        ),
    ),
    Entry(
        "multidiffusion",
        "MultiDiffusion",
        "One canvas, 384 x 128, drawn in overlapping views that agree in every step.\nIts right edge goes on at its left.",
        (shot("views side by side", "stride=128"), shot("a view every 32 pixels"), shot("every 16", "stride=16")),
        ("prompt=a purple star on a mint background",),
    ),
    Entry(
        "hires",
        "Hires",
        "Twice the model's size: enlarged, and redrawn there in overlapping windows, which makes edges sharp.\nA window that sees a part draws the whole prompt into it; wide ones, unguided and led by the edges, do not.",
        (
            given("enlarged", "larger"),
            shot("windows of 128, guided", "follow=0", "cfg_redraw.scale=3", *WINDOWS_OF_128),
            shot("windows of 192", "follow=0"),
            shot("led by its edges, too"),
        ),
        draws="redraw",
    ),
    Entry(
        "rescale_guidance",
        "Rescaled guidance",
        "Guidance of 15 is far too strong for this model: colours glare.\nRescaling takes that back.",
        (
            shot("scale 3", "scale=3", "amount=0"),
            shot("scale 15", "scale=15", "amount=0"),
            shot("rescaled by 0.7", "scale=15", "amount=0.7"),
            shot("rescaled fully", "scale=15", "amount=1"),
        ),
        ("prompt=a pink star on a mint background",),
    ),
    Entry(
        "during",
        "A window of steps",
        "Any technique can act in a part of the steps, and costs nothing outside.\nGuidance of 15 throughout wrecks the picture; in the first half of the steps it does not.",
        (
            shot("scale 3", "start=0", "end=1"),
            shot("scale 15", "start=0", "end=1", "cfg.scale=15"),
            shot("scale 15, first half", "start=0", "end=0.5", "cfg.scale=15"),
        ),
        ("prompt=a cyan circle on a gray background", "pag.scale=0"),
    ),
    Entry(
        "apply_lora",
        "LoRA",
        "A heart, which the model never saw.\nWithout the LoRA it draws the nearest that it knows.",
        (shot("without", "strength=0"), shot("strength 0.5", "strength=0.5"), shot("strength 1")),
        ("prompt=a large purple heart on a mint background",),
    ),
    Entry(
        "merge_loras",
        "Two LoRAs in one",
        "One knows hearts, the other frames; merged at 1.0 and 1.05.\nThe prompt asks for both each time.",
        (
            shot("without", "weights=[0, 0]"),
            shot("the heart's", "weights=[1, 0]"),
            shot("the frame's", "weights=[0, 1.05]"),
            shot("1.0 and 1.05"),
        ),
    ),
    Entry(
        "load_textual_inversion",
        "Textual inversion",
        "A new word, whose meaning is one vector.\nColour and background are the prompt's, as ever.",
        (
            shot("a blue shape", "prompt=a large blue shape on a white background"),
            shot("a blue <dome>"),
            shot("a red <dome>", "prompt=a large red <dome> on a navy background"),
        ),
    ),
    Entry(
        "load_dreambooth",
        "DreamBooth",
        "All of the denoiser, trained on six pictures of a house under a rare word, beside pictures of its own.\nKnown shapes stay, though a circle gets a hint of a roof.",
        (
            shot("a red sks shape, before", "trained=nodes/shapes/model"),
            shot("after"),
            shot("a blue one", "prompt=a large blue sks shape on a white background"),
            shot("a red circle", "prompt=a large red circle on a mint background"),
        ),
        draws="denoise",
        made_by=DREAMBOOTH,
    ),
    Entry(
        "load_custom_diffusion",
        "Custom Diffusion",
        "Keys and values of cross-attention, and a word: a house, though with a round roof.\nKnown shapes stay as they were.",
        (
            shot("a pink house", "prompt=a large pink house on a navy background"),
            shot("a pink <house>", "prompt=a large pink <house> on a navy background"),
            shot("a yellow <house>", "prompt=a large yellow <house> on a navy background"),
            shot("a pink circle", "prompt=a large pink circle on a navy background"),
        ),
    ),
    Entry(
        "sag_sega_pag",
        "SAG + SEGA + PAG",
        "Three kinds of guidance in one loop; each adds its term to the same prediction.\nPAG takes the muddle apart, SAG changes little, SEGA pulls towards red.",
        (
            shot("without", "sag.scale=0", "pag.scale=0", "more_star.scale=0"),
            shot("PAG", "sag.scale=0", "more_star.scale=0"),
            shot("PAG and SAG", "more_star.scale=0"),
            shot("all three"),
        ),
        (MUDDLE, *UNGUIDED, "more=red", "more_star.scale=8", "more_star.warmup=2", 'pag.layers=["mid", "up"]'),
    ),
    Entry(
        "sega_textual_inversion_controlnet",
        "SEGA + textual inversion + ControlNet",
        "The learned concept, where the hint is, in the colour that SEGA adds; the prompt names none.\nAt scale 1.5 the hint brings the shape too: a dome in seven pictures of ten. Three nodes, not a fork of a library.",
        (
            given("the hint", "edges"),
            shot("the word alone", "more_scale=0", "scale=0"),
            shot("with ControlNet", "more_scale=0"),
            shot("with SEGA"),
        ),
        (
            "before=a large purple <dome> on the left on a white background",
            "after=a large <dome> on a navy background",
            "more_scale=3",
            "more.warmup=3",
            "scale=1.5",
        ),
        "redraw",
    ),
    Entry(
        "attend_and_excite_controlnet_lora",
        "Attend-and-Excite + ControlNet + LoRA",
        "A learned shape in a place that a hint gives.\nAttend-and-Excite has little to do here: nothing was forgotten.",
        (
            given("the hint", "edges"),
            shot("without", "scale=0", "strength=0", "subjects.scale=0"),
            shot("with LoRA", "scale=0", "subjects.scale=0"),
            shot("with ControlNet", "subjects.scale=0"),
            shot("all three"),
        ),
        draws="redraw",
    ),
    Entry(
        "multidiffusion_controlnet_sega",
        "MultiDiffusion + ControlNet + SEGA",
        "A panorama with the composition of another; the hint is cut along with the views.\nSEGA turns it to pink. Stars are paler where views wanted them in different places.",
        (
            given("another panorama", "first"),
            shot("without", "scale=0", "more_scale=0"),
            shot("with ControlNet", "more_scale=0"),
            shot("with SEGA"),
        ),
        ("before=a red star on a white background", "after=a purple star on a mint background"),
        "redraw",
    ),
    Entry(
        "diffedit_sega_weighted_prompt",
        "DiffEdit + SEGA + weighted prompt",
        "One of two objects is edited and the other kept.\nSEGA pulls the star towards orange within the mask.",
        (
            given("the picture", "first"),
            given("where to edit", "shown"),
            shot("DiffEdit", "more_scale=0"),
            shot("with SEGA"),
        ),
        draws="redraw",
    ),
    Entry(
        "instruct_pix2pix_sega_pag",
        "InstructPix2Pix + SEGA + PAG",
        "An edit by a sentence, with guidance that its pipeline does not have.\nA second order goes to SEGA; PAG changes little.",
        (
            given("the picture", "first"),
            shot("make it a star", "more_scale=0", "pag_scale=0"),
            shot("SEGA: make it pink", "pag_scale=0"),
            shot("with PAG"),
        ),
        ("more=make it pink",),
        "redraw",
    ),
    Entry(
        "map_sweep",
        "A sweep",
        "Two lists, in every combination; change one item and only its pictures are made.\nRows: guidance scale 1, 3, 8, 16. Columns: seeds 1 to 5.",
        (given("one sheet", "grid"),),
    ),
)
