"""The text `parameters` that AUTOMATIC1111's web UI, and programs like it, write into their pictures."""

from __future__ import annotations

import re

from weft.graphs.metadata.emphasis import translated
from weft.graphs.metadata.recipe import Recipe, plain, shortened

KEYWORD = "parameters"
PROGRAM = "AUTOMATIC1111"

_TWO_STAGES = "the multistep form with one evaluation a step, not the one with two"
_NO_ANCESTRAL = "without the noise that is added in each step"
SCHEDULERS: dict[str, tuple[str, str]] = {
    "ddim": ("ddim", ""),
    "plms": ("pndm", ""),
    "euler": ("euler", ""),
    "euler a": ("euler_ancestral", ""),
    "heun": ("heun", ""),
    "lms": ("lms", ""),
    "dpm2": ("kdpm2", ""),
    "dpm2 a": ("kdpm2_ancestral", ""),
    "unipc": ("unipc", ""),
    "lcm": ("lcm", ""),
    "dpm++ 2m": ("dpmpp_2m", ""),
    "dpm++ 2m sde": ("dpmpp_sde", ""),
    "dpm++ 2m sde heun": ("dpmpp_sde", "its steps are of the midpoint kind, not of Heun's"),
    "dpm++ 3m sde": ("dpmpp_3m_sde", ""),
    "dpm++ 2s a": ("dpmpp_2s", _NO_ANCESTRAL),
    "dpm++ sde": ("dpmpp_sde", _TWO_STAGES),
}
"""Names in small letters: what is nearest here, and what differs."""

SPACINGS = {"uniform": "uniform", "karras": "karras", "exponential": "exponential", "beta": "beta"}
"""What the schedule types are called here, in small letters."""
_AUTOMATIC = {
    "dpm++ 2m": "karras",
    "dpm++ sde": "karras",
    "dpm++ 2s a": "karras",
    "dpm2": "karras",
    "dpm2 a": "karras",
    "dpm++ 2m sde": "exponential",
    "dpm++ 2m sde heun": "exponential",
    "dpm++ 3m sde": "exponential",
}
"""What the schedule type `Automatic` means for a sampler; for all others it is the sampler's own."""

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


def _sampler(recipe: Recipe, sampler: str, schedule: str) -> None:
    """Older versions say the schedule type at the end of the sampler's name, newer ones in a field of its own."""
    if not sampler:
        return
    name, _, last = sampler.rpartition(" ")
    if not schedule and last.lower() in SPACINGS and name:
        sampler, schedule = name, last
    spacing = _AUTOMATIC.get(sampler.lower()) if schedule.lower() == "automatic" else SPACINGS.get(schedule.lower())
    if spacing is None and schedule.lower() not in ("", "automatic"):
        recipe.notes.append(
            f"Schedule type: {shortened(schedule)} is not understood; the sampler's own is used instead."
        )
    recipe.sampled(sampler, SCHEDULERS, spacing)


def _settings(recipe: Recipe, fields: dict[str, str]) -> None:
    _sampler(recipe, fields.pop("Sampler", ""), fields.pop("Schedule type", ""))
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
