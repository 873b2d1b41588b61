"""What an adapter of PEFT is: its kind, its rank, and the layers that it goes around. No torch: checks ask it too."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from weft.graphs.problems import near

Kind = Literal["lora", "dora", "lokr", "loha", "oft"]
KINDS: tuple[str, ...] = get_args(Kind)
Init = Literal["gaussian", "kaiming"]
ATTENTION = ("to_q", "to_k", "to_v", "to_out.0")
PRESETS: Mapping[str, tuple[str, ...]] = {
    "attention": ATTENTION,
    "attention+conv": (*ATTENTION, "proj_in", "proj_out", "conv1", "conv2"),
}
"""Names that stand for several targets."""
TEXT = ("q_proj", "k_proj", "v_proj", "out_proj")
"""The layers of text encoders that learn."""

Shapes = Mapping[str, Sequence[int]]
"""The shape of the weight of each linear and convolution layer, by its name."""


@dataclass(frozen=True)
class LoraSettings:
    """Which layers, and how.

    kind: one of `KINDS`. rank: of the matrices; of OFT the size of its blocks. alpha: the factor on what is learned is
    alpha / rank, and 0 means the rank; OFT has none. targets: ends of the names of the denoiser's layers, or presets.
    text_encoder: whether the attention of the text encoders gets one too. seed: of the first numbers. init: how the
    matrices A of LoRA and DoRA begin: as diffusers' scripts begin, or as PEFT and kohya do.
    """

    kind: str = "lora"
    rank: int = 4
    alpha: float = 0.0
    targets: tuple[str, ...] = ATTENTION
    text_encoder: bool = False
    seed: int = 0
    init: Init = "gaussian"


def expanded(targets: Sequence[str]) -> tuple[str, ...]:
    """Targets, with what the presets among them stand for, each once."""
    return tuple(dict.fromkeys(part for target in targets for part in PRESETS.get(target, (target,))))


def matched(targets: Sequence[str], layers: Shapes) -> list[str]:
    """The layers, by their whole names, that are a target or end with one."""
    return [layer for layer in layers if any(_is(layer, target) for target in expanded(targets))]


def wrong_settings(own: LoraSettings) -> Iterator[tuple[str, str]]:
    """What no model could be trained with: the field, and what is wrong with it."""
    if own.kind not in KINDS:
        close = near(own.kind, KINDS)
        hint = f": did you mean {close}?" if close else ""
        yield "kind", f"{own.kind!r} is no kind of adapter; there are {', '.join(KINDS)}{hint}"
    if own.rank < 1:
        yield "rank", f"the rank is {own.rank}: it is 1 or more"
    elif own.kind == "oft" and own.rank < 2:
        yield "rank", "OFT turns blocks of `rank` numbers, and one number alone cannot turn: give a rank of 2 or more"
    if not math.isfinite(own.alpha) or own.alpha < 0:
        yield "alpha", f"alpha is {own.alpha}: it is a number above 0, or 0 for that of the rank"
    elif own.kind == "oft" and own.alpha:
        yield "alpha", "OFT has no factor on what it learns: leave alpha at 0"
    if not own.targets:
        yield "targets", f"no layers are named to train: give targets such as {', '.join(ATTENTION)}, or attention"


def misfits(own: LoraSettings, layers: Shapes, component: str = "denoiser") -> Iterator[tuple[str, str]]:
    """What does not fit the layers of a module: the field, and what is wrong with it."""
    short = {_end(layer) for layer in layers}
    for target in expanded(own.targets):
        if any(_is(layer, target) for layer in layers):
            continue
        close = near(target, [*sorted(short), *PRESETS]) or near(target, list(layers))
        hint = f"did you mean {close}?" if close else f"names of its layers end with {', '.join(sorted(short)[:8])}"
        yield "targets", f"no layer of the {component} is named {target!r}: {hint}"
    if own.kind == "oft" and own.rank > 1:
        yield from _turned({name: layers[name] for name in matched(own.targets, layers)}, own.rank)


def _turned(layers: Shapes, size: int) -> Iterator[tuple[str, str]]:
    """What OFT cannot do: turn patches that overlap, and blocks that do not fill what comes in."""
    wide = [name for name, shape in layers.items() if any(side > 1 for side in shape[2:])]
    if wide:
        # PEFT sums overlapping patches without dividing by their number, so the model would be another from the start.
        sides = " x ".join(str(side) for side in layers[wide[0]][2:])
        yield "targets", f"OFT is for linear layers, and {wide[0]} is a convolution of {sides}: leave it out"
        return
    widths = {name: math.prod(shape[1:]) for name, shape in layers.items()}
    wrong = [name for name, width in widths.items() if width % size]
    if wrong:
        common = math.gcd(*widths.values())
        fitting = [str(number) for number in range(2, common + 1) if common % number == 0][:12]
        yield (
            "rank",
            f"OFT divides what comes into a layer into blocks of `rank` numbers, and {size} does not divide the "
            f"{widths[wrong[0]]} of {wrong[0]}: give {'one of ' + ', '.join(fitting) if fitting else 'other targets'}",
        )


def _is(layer: str, target: str) -> bool:
    return bool(target) and (layer == target or layer.endswith(f".{target}"))


def _end(layer: str) -> str:
    """The last part of a layer's name that says something: ``to_out.0`` and not ``0``."""
    *before, last = layer.split(".")
    return f"{before[-1]}.{last}" if last.isdigit() and before else last
