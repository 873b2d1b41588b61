"""Which techniques combine: what `test_pairs` runs, and what `docs/combining.md` shows of it.

`python -m tests.nodes.techniques.pairs` writes the page again; a test fails while it is stale. No torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations_with_replacement
from pathlib import Path
from typing import Literal

PAGE = Path(__file__).parents[3] / "docs" / "combining.md"
Verdict = Literal["combines", "conflict", "other model", "once"]


@dataclass(frozen=True)
class Technique:
    """One row of the table.

    wired: where it goes. model: of `tests.nodes.techniques.wiring`. off: what switches it off, "" where nothing but
    leaving it out does. twice: "" where a second one acts too, or why not.
    """

    name: str
    title: str
    wired: str
    off: str = ""
    model: str = "thin"
    twice: str = ""

    @property
    def wire(self) -> bool:
        """Whether it is wired into `guidance` or `controls`, beside the base."""
        return self.wired.startswith(("guidance", "controls")) and "base" not in self.wired


TECHNIQUES = (
    Technique("cfg", "`cfg`", "guidance, base", "scale 1", twice="conflict"),
    Technique("instruct_pix2pix", "`instruct_pix2pix`", "guidance, base", model="thin_8", twice="conflict"),
    Technique("sega", "`sega`", "guidance", "scale 0"),
    Technique("sag", "`sag`", "guidance", "scale 0"),
    Technique("pag", "`pag`", "guidance", "scale 0"),
    Technique("attend_and_excite", "`attend_and_excite`", "guidance", "scale 0"),
    Technique("pix2pix_zero", "`pix2pix_zero`", "guidance and prompt", "amount 0, target as source"),
    Technique("prompt_to_prompt", "`prompt_to_prompt`", "guidance", "cross_steps and self_steps 0", twice="conflict"),
    Technique("multidiffusion", "`multidiffusion`", "guidance", "empty window", twice="conflict"),
    Technique("regions", "`regions`", "guidance", "strength 0"),
    Technique("rescale_guidance", "`rescale_guidance`", "guidance", "amount 0"),
    Technique("during", "`during`", "around guidance or controls", "window 0 to 1", twice="they overlap"),
    Technique("controlnet", "`controlnet`", "controls", "scale 0"),
    Technique("t2i_adapter", "`t2i_adapter`", "controls", "scale 0"),
    Technique("ip_adapter", "`ip_adapter`", "controls", "scale 0"),
    Technique("depth_control", "`depth_control`", "controls", model="thin_5", twice="conflict"),
    Technique("from_inversion", "`from_inversion`", "controls", "empty window", twice="conflict"),
    Technique("diffedit", "`diffedit`", "controls", "empty window", twice="conflict"),
    Technique("inpaint", "inpainting", "`start` and `mask`", "mask of 1", twice="one input"),
    Technique("inpaint_channels", "inpainting, 9 channels", "`mask` and `masked`", model="thin_9", twice="one input"),
    Technique("image_to_image", "image to image", "`start`, `strength`", twice="one input"),
    Technique("own_noise", "noise by wire", "`noise`", "the seed's own noise", twice="one input"),
    Technique("weighted_prompt", "`weighted_prompt`", "prompt", "no weights", twice="one prompt"),
    Technique("load_textual_inversion", "`load_textual_inversion`", "model", "word not in the prompt"),
    Technique("apply_lora", "`apply_lora`", "model", "strength 0"),
    Technique("load_custom_diffusion", "`load_custom_diffusion`", "model"),
    Technique("load_dreambooth", "`load_dreambooth`", "model", twice="the later one replaces the other"),
    Technique("edit_model", "`edit_model`", "model"),
    Technique(
        "latent_consistency", "latent consistency model", "model and scheduler", model="thin_lcm", twice="one model"
    ),
)
BY_NAME = {technique.name: technique for technique in TECHNIQUES}

BASES = "both make the first prediction, to which others add; a run has one base"
VIEWS = "both divide the canvas into views"
STARTS = "both give the latents to start from"
SOURCES = "both take the prompt's attention from another prompt, and a row has one"
CHANNELS = "both give the denoiser channels of their own, and no model reads both"
WHOLE = "it divides the canvas for the whole run, and cannot do so in a part of it"
ALWAYS = "the model needs its channel in every step"
CONFLICTS = {
    ("cfg", "cfg"): BASES,
    ("cfg", "instruct_pix2pix"): BASES,
    ("instruct_pix2pix", "instruct_pix2pix"): BASES,
    ("prompt_to_prompt", "prompt_to_prompt"): SOURCES,
    ("multidiffusion", "multidiffusion"): VIEWS,
    ("multidiffusion", "during"): WHOLE,
    ("during", "depth_control"): ALWAYS,
    ("instruct_pix2pix", "depth_control"): CHANNELS,
    ("instruct_pix2pix", "inpaint_channels"): CHANNELS,
    ("depth_control", "inpaint_channels"): CHANNELS,
    ("depth_control", "depth_control"): CHANNELS,
    ("from_inversion", "from_inversion"): STARTS,
    ("from_inversion", "diffedit"): STARTS,
    ("from_inversion", "image_to_image"): STARTS,
    ("diffedit", "diffedit"): STARTS,
    ("diffedit", "image_to_image"): STARTS,
    ("from_inversion", "own_noise"): STARTS,
    ("diffedit", "own_noise"): STARTS,
}
"""Refused by `check`. Pairs in the order of TECHNIQUES, as everywhere here."""
OTHER_MODEL = {
    ("instruct_pix2pix", "latent_consistency"): "a distilled model with 8 channels",
    ("depth_control", "latent_consistency"): "a distilled model with 5 channels",
    ("inpaint_channels", "latent_consistency"): "a distilled model with 9 channels",
}
"""Each works on a model trained for it, and there would have to be one for both."""
SAME = {
    ("during", "from_inversion"): "it begins the run whatever its window is, unless that is empty",
    ("during", "latent_consistency"): "there is nothing beside the base for a window to be around",
    ("rescale_guidance", "latent_consistency"): "a distilled model has no guidance to rescale, unless others add some",
}
"""Pairs that work, and where the first changes nothing of the second."""
ONE_INPUT = {("inpaint", "inpaint_channels"): "`mask` goes to the model's channels, or blends after each step"}
"""Two ways to use one input; the model decides."""
NOTES = {
    ("attend_and_excite", "pix2pix_zero"): "both move the latents, in this order; the second starts where the first "
    "has moved them to, and their losses are not summed",
    ("pix2pix_zero", "prompt_to_prompt"): "the first looks at the prompt's attention before the second replaces it",
    ("attend_and_excite", "multidiffusion"): "each view has its own maps, and an image's loss is its worst view's",
    ("sag", "multidiffusion"): "each view has its own maps, of which one mask for the canvas is made",
    ("multidiffusion", "controlnet"): "the hint is cut along with the view; so is all that has a place",
    ("diffedit", "inpaint"): "what either keeps is kept",
    ("inpaint", "own_noise"): "what is kept gets this noise, at the level of each step",
    ("apply_lora", "edit_model"): "the second solves against the weights that it is given: order matters",
}
"""What two do together, where that is a choice."""
TRIPLES = (
    ("sega", "load_textual_inversion", "controlnet"),
    ("sega", "sag", "pag"),
    ("attend_and_excite", "controlnet", "apply_lora"),
    ("sega", "multidiffusion", "controlnet"),
    ("sega", "diffedit", "weighted_prompt"),
    ("instruct_pix2pix", "sega", "pag"),
)
"""Run by `test_triples`, and each has a workflow in `graphs/examples`."""


def pairs() -> list[tuple[str, str]]:
    """Every pair, and each technique with itself."""
    return list(combinations_with_replacement([technique.name for technique in TECHNIQUES], 2))


def verdict(first: str, second: str) -> Verdict:
    """What becomes of a pair."""
    if (first, second) in CONFLICTS:
        return "conflict"
    if (first, second) in OTHER_MODEL:
        return "other model"
    alike = first == second and BY_NAME[first].twice
    return "once" if alike or (first, second) in ONE_INPUT else "combines"


def model_of(*names: str) -> str:
    """The model that a set of techniques is tried on: the special one among theirs."""
    return next((BY_NAME[name].model for name in names if BY_NAME[name].model != "thin"), "thin")


SIGNS: dict[Verdict, str] = {"combines": "+", "conflict": "×", "other model": "m", "once": "1"}
HEAD = """# What combines

Written by `python -m tests.nodes.techniques.pairs`; change the tables there. `tests/nodes/techniques/test_pairs.py`
runs every pair on a tiny model: the result is finite and differs from either technique alone, and with one of the two
switched off it equals the other alone, bit for bit. What is refused, `weft check` refuses before anything runs: code
`conflict`, with both nodes named.
"""
TABLE = """
## All pairs

`+` combines. `×` is refused. `m`: each works on a model that was trained for it, and there would have to be one for
both. `1`: a second one has no place, or replaces the first. On the diagonal: two of a kind.
"""


def page() -> str:
    """The text of `docs/combining.md`."""
    titles = {technique.name: technique.title for technique in TECHNIQUES}
    lines = [HEAD.rstrip(), "", "| | technique | wired into | switched off by |", "|---|---|---|---|"]
    for number, technique in enumerate(TECHNIQUES, 1):
        off = technique.off or "leaving it out"
        lines.append(f"| {number} | {technique.title} | {technique.wired} | {off} |")
    numbers = range(1, len(TECHNIQUES) + 1)
    lines += [TABLE.rstrip(), "", f"| | | {' | '.join(map(str, numbers))} |", "|---|---" + "|---" * len(numbers) + "|"]
    found = {frozenset(pair): SIGNS[verdict(*pair)] for pair in pairs()}
    for number, technique in enumerate(TECHNIQUES, 1):
        row = [found[frozenset((technique.name, other.name))] for other in TECHNIQUES]
        lines.append(f"| {number} | {technique.title} | {' | '.join(row)} |")
    lines += ["", "## What is refused, and why", "", "| | and | why |", "|---|---|---|"]
    lines += [f"| {titles[first]} | {titles[second]} | {why} |" for (first, second), why in CONFLICTS.items()]
    lines += ["", "## What has to be known", ""]
    lines += [f"- {titles[first]} and {titles[second]}: {why}." for (first, second), why in OTHER_MODEL.items()]
    lines += [f"- {titles[first]} and {titles[second]}: {why}." for (first, second), why in ONE_INPUT.items()]
    lines += [f"- {titles[first]} and {titles[second]} run, but {why}." for (first, second), why in SAME.items()]
    lines += [f"- {titles[first]} and {titles[second]}: {why}." for (first, second), why in NOTES.items()]
    lines += [f"- Two {technique.title}: {technique.twice}." for technique in TECHNIQUES if _said(technique)]
    lines += ["", "## Three at once", ""]
    lines.append("`test_triples.py` runs these on tiny models, and `graphs/examples` has a workflow for each:")
    lines += ["", *(f"- {', '.join(titles[name] for name in names)}" for names in TRIPLES)]
    return "\n".join(lines) + "\n"


def _said(technique: Technique) -> bool:
    return bool(technique.twice) and technique.twice != "conflict"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
