"""The JSON `invokeai_metadata` that InvokeAI, from version 3 on, writes into its pictures."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from weft.graphs.jsontext import read_json
from weft.graphs.limits import Limits
from weft.graphs.metadata.recipe import Recipe, plain, shortened
from weft.graphs.problems import WorkflowError

KEYWORD = "invokeai_metadata"
PROGRAM = "InvokeAI"
LIMITS = Limits(max_depth=32)

_ONE = "the multistep form with one evaluation a step, not the one with two"
SCHEDULERS: dict[str, tuple[str, str]] = {
    "ddim": ("ddim", ""),
    "deis": ("deis", ""),
    "pndm": ("pndm", ""),
    "euler": ("euler", ""),
    "euler_a": ("euler_ancestral", ""),
    "heun": ("heun", ""),
    "kdpm_2": ("kdpm2", ""),
    "kdpm_2_a": ("kdpm2_ancestral", ""),
    "lms": ("lms", ""),
    "dpmpp_2m": ("dpmpp_2m", ""),
    "dpmpp_2s": ("dpmpp_2s", ""),
    "dpmpp_2m_sde": ("dpmpp_sde", ""),
    "dpmpp_sde": ("dpmpp_sde", _ONE),
    "unipc": ("unipc", ""),
    "lcm": ("lcm", ""),
}
"""What is nearest here, and what differs."""
_KARRAS = "_k"
"""The end of a scheduler's name that says how its sigmas are spaced."""

_WEIGHTED = re.compile(r"[()]|\+\+|--|(?<=\w)[+-](?=[\s,]|$)")
"""Its prompts are marked as `weighted_prompt` reads them."""
_SILENT = frozenset({"app_version", "rand_device", "seamless_x", "seamless_y", "generation_mode", "scheduler", "width"})
_SILENT |= {"height", "positive_prompt", "negative_prompt", "canvas_v2_metadata", "ref_images"}
_TEXT_TO_IMAGE = ("txt2img", "sdxl_txt2img", "")


def read(text: str) -> Recipe:
    """What the text says.

    Raises:
        ValueError: it is no JSON object, or names neither a prompt nor a seed.
    """
    try:
        data = read_json(text, LIMITS)
    except WorkflowError as error:
        raise ValueError(str(error)) from None
    if not isinstance(data, dict) or not {"positive_prompt", "seed"} & data.keys():
        raise ValueError("it is no JSON object with a positive_prompt or a seed")
    recipe = Recipe(PROGRAM)
    recipe.prompt = _text(recipe, data, "positive_prompt")
    recipe.negative = _text(recipe, data, "negative_prompt")
    texts = {"prompt": recipe.prompt, "negative": recipe.negative}
    recipe.weighted = {id for id, text in texts.items() if _WEIGHTED.search(text)}
    if "width" in data or "height" in data:
        recipe.sized(data.get("width"), data.get("height"))
    if scheduler := _text(recipe, data, "scheduler"):
        name = scheduler.lower().removesuffix(_KARRAS)
        recipe.sampled(name, SCHEDULERS, "karras" if scheduler.lower().endswith(_KARRAS) else None)
    mode = _text(recipe, data, "generation_mode")
    if mode not in _TEXT_TO_IMAGE:
        recipe.notes.append(
            f"generation_mode: {shortened(mode)} is not made; the workflow makes the picture of a text."
        )
    if data.get("rand_device") not in (None, "cpu"):
        recipe.notes.append(f"rand_device: noise was drawn on {shortened(data['rand_device'])}, here on the processor.")
    for side in ("seamless_x", "seamless_y"):
        if data.get(side):
            recipe.notes.append(f"{side}: seamless pictures are not made by this workflow.")
    for name, value in data.items():
        if name not in _SILENT and value is not None and value != [] and value != {}:
            _take(recipe, name, value)
    return recipe


def _take(recipe: Recipe, name: str, value: Any) -> None:
    if name == "steps":
        recipe.steps = recipe.number(name, value, 1, 1000)
    elif name == "cfg_scale":
        recipe.scale = recipe.number(name, value, 0, 100, whole=False)
    elif name == "cfg_rescale_multiplier":
        recipe.rescale = recipe.number(name, value, 0, 1, whole=False) or None
    elif name == "seed":
        recipe.seed = recipe.number(name, value, 0, 2**63 - 1)
    elif name == "clip_skip":
        recipe.clip_skip = recipe.number(name, value, 0, 40)
    elif name == "model":
        recipe.model = _name(value)
        if not recipe.model:
            recipe.notes.append("model: it has no name that is understood.")
    elif name == "loras" and isinstance(value, list):
        for item in value[:200]:
            entry = item if isinstance(item, Mapping) else {}
            lora = _name(entry.get("model") or entry.get("lora"))
            if lora:
                recipe.lora(lora, entry.get("weight", 0.75))
            else:
                recipe.notes.append("loras: an entry without a name was left out.")
        if len(value) > 200:
            recipe.notes.append(f"loras: {len(value) - 200} more were left out.")
    elif value is not False:
        few = shortened(value) if isinstance(value, (str, int, float)) else "what it holds"
        recipe.notes.append(f"{shortened(name)}: {few} is not understood; it was left out.")


def _name(value: object) -> str:
    """Of a model: versions 4 and later call it `name`, version 3 `model_name`."""
    if isinstance(value, Mapping):
        value = value.get("name") or value.get("model_name")
    return plain(value)[:400] if isinstance(value, str) else ""


def _text(recipe: Recipe, data: Mapping[str, Any], name: str) -> str:
    value = data.get(name)
    if value is not None and not isinstance(value, str):
        recipe.notes.append(f"{name}: it is no text; it was left out.")
    return plain(value) if isinstance(value, str) else ""
