"""What metadata say of a picture, whoever wrote them, and the workflow that follows from it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from weft.graphs.document import Link, NodeSpec, Parameter, Workflow

MAX_CHARACTERS = 200_000
"""Of the metadata of one picture; those of real pictures have a few thousand."""
MAX_LORAS = 100
MAX_PROMPT = 50_000
_MAX_NOTES = 200

SPACED = frozenset(
    {
        "euler",
        "dpmpp_2m",
        "dpmpp_sde",
        "dpmpp_3m_sde",
        "dpmpp_2s",
        "dpmpp_2s_sde",
        "unipc",
        "deis",
        "heun",
        "kdpm2",
        "kdpm2_ancestral",
        "lms",
    }
)
"""Schedulers of `denoise` whose sigmas can be spaced as uniform, karras, exponential and beta."""


@dataclass(frozen=True, slots=True)
class Imported:
    """A workflow that was made of a picture's metadata.

    Args:
        workflow: with the model's name as the other program has it, for a person to resolve.
        program: whose metadata they are.
        notes: what was not understood, what was left out, and what has to be done by hand; a sentence each.
    """

    workflow: Workflow
    program: str
    notes: tuple[str, ...]


@dataclass(slots=True)
class Recipe:
    """What a picture was made with, in weft's terms. What is None was not said.

    Args:
        spacing: of the sigmas, where it is another than the scheduler's own.
        loras: names and strengths.
        weighted: which of `prompt` and `negative` mark words that count more or less, in weft's own way.
        notes: what was not understood.
    """

    program: str
    prompt: str = ""
    negative: str = ""
    weighted: set[str] = field(default_factory=set)
    steps: int | None = None
    scheduler: str | None = None
    spacing: str | None = None
    scale: float | None = None
    rescale: float | None = None
    seed: int | None = None
    width: int | None = None
    height: int | None = None
    clip_skip: int | None = None
    model: str = ""
    loras: list[tuple[str, float]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def number(self, name: str, value: object, low: float, high: float, whole: bool = True) -> Any:
        """A number that a node can have; None, with a note, for what is none.

        Args:
            name: what the other program calls it.
            low, high: the least and the largest that are taken.
            whole: whether it has to be an integer.
        """
        number: int | float | None = None
        if isinstance(value, str) and len(value) <= 40:
            try:
                number = int(value) if whole else float(value)
            except ValueError:
                number = None
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            number = value
        if isinstance(number, float) and not math.isfinite(number):
            number = None
        if number is not None and whole and isinstance(number, float):
            number = int(number) if number.is_integer() else None
        if number is None:
            self.notes.append(f"{name}: {shortened(value)} is no number that is understood; it was left out.")
        elif not low <= number <= high:
            self.notes.append(f"{name}: {number} lies outside of {low} to {high}; it was left out.")
        else:
            return number if whole else float(number)
        return None

    def sized(self, width: object, height: object) -> None:
        """Take the size, where both sides are multiples of 8."""
        sides = self.number("Width", width, 8, 8192), self.number("Height", height, 8, 8192)
        if None in sides:
            return
        if sides[0] % 8 or sides[1] % 8:
            self.notes.append(f"Size: {sides[0]} x {sides[1]} has a side that is no multiple of 8; it was left out.")
        else:
            self.width, self.height = sides

    def sampled(self, name: str, schedulers: Mapping[str, tuple[str, str]], spacing: str | None = None) -> None:
        """Take the scheduler from a table of names; a text beside it says what differs.

        Args:
            spacing: of its sigmas, as `denoise` names it.
        """
        if (known := schedulers.get(name.lower())) is None:
            self.notes.append(f"Sampler: there is none like {shortened(name)} here; the model's own is used instead.")
            return
        self.scheduler = known[0]
        if known[1]:
            self.notes.append(f"Sampler: {shortened(name)} became {known[0]}: {known[1]}.")
        if spacing is not None and known[0] not in SPACED:
            self.notes.append(f"Schedule type: {known[0]} cannot have the spacing {spacing} here; it was left out.")
        else:
            self.spacing = spacing

    def lora(self, name: str, strength: object) -> None:
        """Take one more LoRA."""
        value = self.number(f"Strength of the LoRA {shortened(name)}", strength, -10, 10, whole=False)
        if len(self.loras) >= MAX_LORAS:
            self.notes.append(f"LoRA {shortened(name)}: more than {MAX_LORAS} are not taken.")
        elif value is not None:
            self.loras.append((name, value))
            self.notes.append(
                f"LoRA: {shortened(name)} is a name of {self.program}; set lora_{len(self.loras)}.source to its file."
            )

    def imported(self, name: str) -> Imported:
        """The workflow.

        Args:
            name: of the file that it saves.
        """
        for what in ("prompt", "negative"):
            if len(text := getattr(self, what)) > MAX_PROMPT:
                self.notes.append(f"The {what} text has {len(text):,} characters; the first {MAX_PROMPT:,} were taken.")
                setattr(self, what, text[:MAX_PROMPT])
        source = self.model or "name of a model"
        nodes = {"model": NodeSpec(type="load_model", inputs={"source": source})}
        self.notes.insert(
            0,
            f"Model: {shortened(source)} is a name of {self.program}; set the parameter model to its file or folder."
            if self.model
            else "Model: the picture names none; set the parameter model to a file, a folder or a name.",
        )
        model = Link("model")
        for place, (lora, strength) in enumerate(self.loras, 1):
            inputs = {"model": model, "source": lora, "strength": strength}
            nodes[f"lora_{place}"] = NodeSpec(type="apply_lora", inputs=inputs)
            model = Link(f"lora_{place}")
        clip = {"clip_skip": self.clip_skip} if self.clip_skip else {}
        guidance: dict[str, Any] = {}
        for id, text in (("prompt", self.prompt), ("negative", self.negative)):
            if text or id == "prompt":
                kind = "weighted_prompt" if id in self.weighted else "encode_prompt"
                nodes[id] = NodeSpec(type=kind, inputs={"model": model, "text": text, **clip})
                guidance[id] = Link(id)
        nodes["cfg"] = NodeSpec(type="cfg", inputs=guidance | _without_none(scale=self.scale, rescale=self.rescale))
        asked = _without_none(
            steps=self.steps,
            scheduler=self.scheduler,
            spacing=self.spacing,
            seed=self.seed,
            width=self.width,
            height=self.height,
        )
        nodes["denoise"] = NodeSpec(type="denoise", inputs={"model": model, "guidance": [Link("cfg")], **asked})
        nodes["image"] = NodeSpec(type="decode", inputs={"model": model, "latents": Link("denoise", "latents")})
        nodes["save"] = NodeSpec(type="save_image", inputs={"image": Link("image"), "name": name})
        parameters = {"model": "model.source", "prompt": "prompt.text", "seed": "denoise.seed"}
        workflow = Workflow(
            meta={"title": name, "description": f"Made of the metadata of a picture by {self.program}."},
            nodes=nodes,
            parameters={name: Parameter(input=target) for name, target in parameters.items()},
        )
        if len(self.notes) > _MAX_NOTES:
            self.notes[_MAX_NOTES:] = [f"{len(self.notes) - _MAX_NOTES:,} more were not understood."]
        return Imported(workflow, self.program, tuple(self.notes))


def shortened(value: object) -> str:
    """A value of unknown size, for a sentence."""
    text = value if isinstance(value, str) else str(value) if isinstance(value, (int, float, bool)) else "..."
    text = "".join(letter if letter.isprintable() else " " for letter in text[:80])
    return f"{text}..." if len(text) == 80 else text or '""'


def plain(text: str) -> str:
    """Text without half surrogates, which a document cannot hold."""
    return text.encode("utf-8", "replace").decode("utf-8")


Reader = Callable[[str], Recipe]
"""From the metadata's text to what it says; raises ValueError for text that is of another form."""


def _without_none(**values: object) -> dict[str, object]:
    return {name: value for name, value in values.items() if value is not None}
