"""The text `parameters` that AUTOMATIC1111's web UI, and programs like it, write into their pictures."""

from __future__ import annotations

import re

from weft.graphs.metadata.emphasis import translated
from weft.graphs.metadata.recipe import Recipe, plain, shortened

KEYWORD = "parameters"
PROGRAM = "AUTOMATIC1111"

_SPACED = "its spacing of sigmas is not there"
SCHEDULERS: dict[str, tuple[str, str]] = {
    "ddim": ("ddim", ""),
    "plms": ("pndm", ""),
    "euler": ("euler", ""),
    "euler a": ("euler_ancestral", ""),
    "heun": ("heun", ""),
    "unipc": ("unipc", ""),
    "lcm": ("lcm", ""),
    "dpm++ 2m": ("dpmpp_2m", ""),
    "dpm++ 2m karras": ("dpmpp_2m_karras", ""),
    "dpm++ 2m sde": ("dpmpp_sde", ""),
    "dpm++ 2m sde karras": ("dpmpp_sde", _SPACED),
    "dpm++ sde": ("dpmpp_sde", "the multistep form with one evaluation a step, not the one with two"),
    "dpm++ sde karras": ("dpmpp_sde", f"the multistep form with one evaluation a step, and {_SPACED}"),
}
"""Names in small letters: what is nearest here, and what differs."""

_NEGATIVE = "Negative prompt:"
_FIELD = re.compile(r'(\w[\w \-/]{0,60}):\s*("(?:\\.|[^\\"])*"|[^,]*)(?:,|\Z)')
_TAG = re.compile(r"<([a-z]{1,12}):([^<>:]{1,300})((?::[^<>:]{0,60}){0,4})>")
_HIRES = "Hires "
_SILENT = frozenset({"Version", "Model hash", "Lora hashes", "TI hashes", "Hashes", "VAE hash", "User", "Emphasis"})
"""Fields without influence on the picture."""


def read(text: str) -> Recipe:
    """What the text says.

    Raises:
        ValueError: it does not end with a line of settings.
    """
    recipe = Recipe(PROGRAM)
    prompt, fields = _parted(plain(text))
    if not fields:
        raise ValueError("it has no line of settings such as 'Steps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1'")
    positive, _, negative = prompt.partition(f"\n{_NEGATIVE}") if not prompt.startswith(_NEGATIVE) else (
        "", "", prompt.removeprefix(_NEGATIVE)
    )  # fmt: skip
    recipe.prompt = _translated(recipe, _tags(recipe, positive), "prompt", "Prompt")
    recipe.negative = _translated(recipe, _tags(recipe, negative), "negative", "Negative prompt")
    _settings(recipe, fields)
    recipe.notes.append(
        "Noise: that program draws it on the graphics card unless told otherwise, so the same seed gives another "
        "picture here."
    )
    return recipe


def _parted(text: str) -> tuple[str, dict[str, str]]:
    """The prompts, and the settings of the last line that has any."""
    lines = text.strip().split("\n")
    for place in range(len(lines) - 1, -1, -1):
        fields = {match[1].strip(): _unquoted(match[2].strip()) for match in _FIELD.finditer(lines[place])}
        if "Steps" in fields and len(fields) >= 3:
            return "\n".join(lines[:place]).strip(), fields
    return text, {}


def _unquoted(value: str) -> str:
    return re.sub(r"\\(.)", r"\1", value[1:-1]) if len(value) >= 2 and value[0] == value[-1] == '"' else value


def _tags(recipe: Recipe, text: str) -> str:
    """Take out `<lora:name:0.8>` and its like."""

    def taken(match: re.Match[str]) -> str:
        kind, name, rest = match[1], match[2], match[3].split(":")[1:]
        if kind != "lora":
            recipe.notes.append(f"Prompt: <{kind}:{shortened(name)}> is not understood; it was left out.")
            return ""
        recipe.lora(name, rest[0] if rest else 1.0)
        if len(rest) > 1:
            recipe.notes.append(f"LoRA: of {shortened(name)}, only the first of several weights was taken.")
        return ""

    return re.sub(r"[ \t]{2,}", " ", _TAG.sub(taken, text)).strip()


def _translated(recipe: Recipe, text: str, id: str, what: str) -> str:
    found, weighs = translated(text, recipe.notes, what)
    if weighs:
        recipe.weighted.add(id)
        recipe.notes.append(f"{what}: weights of words are brought about in another way here, so they act differently.")
    return found


def _settings(recipe: Recipe, fields: dict[str, str]) -> None:
    sampler, schedule = fields.pop("Sampler", ""), fields.pop("Schedule type", "")
    if sampler:
        joined = f"{sampler} {schedule}" if schedule.lower() not in ("", "automatic") else sampler
        if joined.lower() not in SCHEDULERS and sampler.lower() in SCHEDULERS:
            recipe.notes.append(f"Schedule type: {shortened(schedule)} with {shortened(sampler)} is not understood.")
            joined = sampler
        recipe.sampled(joined, SCHEDULERS)
    hires = any(name.startswith(_HIRES) for name in fields)
    said = [f"{name} {shortened(fields.pop(name))}" for name in list(fields) if name.startswith(_HIRES)]
    if hires:
        said += [
            f"Denoising strength {shortened(fields.pop(name))}" for name in ("Denoising strength",) if name in fields
        ]
        recipe.notes.append(
            f"Hires fix: its second pass is left out ({', '.join(said)}); the picture has the size of the first."
        )
    for name, value in fields.items():
        if name == "Steps":
            recipe.steps = recipe.number(name, value, 1, 1000)
        elif name == "CFG scale":
            recipe.scale = recipe.number(name, value, 0, 100, whole=False)
        elif name == "Seed":
            recipe.seed = recipe.number(name, value, 0, 2**63 - 1)
        elif name == "Size":
            width, _, height = value.partition("x")
            recipe.sized(width, height)
        elif name == "Model":
            recipe.model = value
        elif name == "Clip skip":
            layers = recipe.number(name, value, 1, 41)
            recipe.clip_skip = None if layers is None else layers - 1  # there, 1 leaves nothing out
        elif name == "Denoising strength":
            recipe.notes.append(
                f"{name}: {shortened(value)} means a start image, which is not in the picture; it was left out."
            )
        elif name not in _SILENT:
            recipe.notes.append(f"{name}: {shortened(value)} is not understood; it was left out.")
    if not recipe.model and "Model hash" in fields:
        recipe.notes.append(f"Model hash: {shortened(fields['Model hash'])}.")
