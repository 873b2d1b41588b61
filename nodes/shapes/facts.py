"""What a prompt of the bundled world says, read back from its words, and how much of it a picture shows."""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

from weft.nodes.shapes.judge import agreement, judge
from weft.nodes.shapes.world import BACKGROUNDS, COLORS, SHAPES, Thing

_WORDS = re.compile(r"[a-z]+")


def facts_of(prompt: str) -> tuple[tuple[Thing, ...], str]:
    """The objects of a prompt, without their places, and its background ("" where it names none).

    Raises:
        ValueError: it names no object of the world with a colour.
    """
    words = _WORDS.findall(prompt.lower())
    things, background, color = [], "", ""
    for number, word in enumerate(words):
        if word == "background":
            background = words[number - 1] if number and words[number - 1] in BACKGROUNDS else ""
        elif word in SHAPES and color:
            things.append(Thing(next(shape for shape in SHAPES if shape == word), color, 0, 0, 0))
            color = ""
        elif word in COLORS:
            color = word
    if not things:
        raise ValueError(
            f"the prompt {prompt!r} names no object with its colour, such as 'a red circle on a white background': "
            f"the shapes are {', '.join(SHAPES)} and the colours {', '.join(COLORS)}"
        )
    return tuple(things), background


def share_shown(image: NDArray[np.uint8], prompt: str) -> float:
    """The share of a prompt's facts that a picture (H, W, 3), 0 to 255, shows: 0 to 1."""
    things, background = facts_of(prompt)
    found = agreement(judge(image), things, background)
    names = ["count", "colors", "shapes", "objects", *(["background"] if background else [])]
    return sum(found[name] for name in names) / len(names)
