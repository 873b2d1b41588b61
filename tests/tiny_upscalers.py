"""Tiny upscalers with random weights, in each layout that is published, and their forward passes from the papers.

The forward passes are written from ESRGAN (arXiv 1809.00219, figures 3 and 4) and Real-ESRGAN (arXiv 2107.10833,
figure 4), on dictionaries of tensors; nothing of them is shared with the modules that are tested.
"""

from __future__ import annotations

import re
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn.functional import conv2d

State = dict[str, Tensor]
CHANNELS, GROWTH = 8, 4


def _conv(generator: torch.Generator, out: int, into: int) -> tuple[Tensor, Tensor]:
    weight = torch.randn(out, into, 3, 3, generator=generator) * (2 / (9 * into)) ** 0.5
    return weight, torch.randn(out, generator=generator) * 0.1


def rrdb_state(scale: int, blocks: int = 2, seed: int = 0) -> State:
    """An RRDBNet by BasicSR's names. Scales 1 and 2 fold the image first, as published ones do; 8 doubles thrice."""
    generator = torch.Generator().manual_seed(seed)
    sizes = {"conv_first": (CHANNELS, 3 * {1: 16, 2: 4}.get(scale, 1))}
    for block in range(blocks):
        for dense in range(1, 4):
            for conv in range(1, 6):
                out = GROWTH if conv < 5 else CHANNELS
                sizes[f"body.{block}.rdb{dense}.conv{conv}"] = (out, CHANNELS + (conv - 1) * GROWTH)
    inner = ["conv_body", *(f"conv_up{up}" for up in range(1, 4 if scale == 8 else 3)), "conv_hr"]
    sizes |= dict.fromkeys(inner, (CHANNELS, CHANNELS)) | {"conv_last": (3, CHANNELS)}
    state: State = {}
    for name, (out, into) in sizes.items():
        state[f"{name}.weight"], state[f"{name}.bias"] = _conv(generator, out, into)
    return state


def compact_state(scale: int, convolutions: int = 3, seed: int = 0) -> State:
    """An SRVGGNetCompact: convolutions with a PReLU after each but the last."""
    generator = torch.Generator().manual_seed(seed)
    state: State = {}
    for number in range(convolutions + 1):
        out = CHANNELS if number < convolutions else 3 * scale**2
        place = f"body.{2 * number}"
        state[f"{place}.weight"], state[f"{place}.bias"] = _conv(generator, out, CHANNELS if number else 3)
        if number < convolutions:
            state[f"body.{2 * number + 1}.weight"] = torch.rand(CHANNELS, generator=generator) * 0.5
    return state


def old_names(state: State) -> State:
    """The same in the layout from before BasicSR, where what follows the blocks has numbers."""
    blocks = 1 + max(int(match[1]) for name in state if (match := re.match(r"body\.(\d+)", name)))
    ups = len([name for name in state if re.match(r"conv_up\d\.weight", name)])
    table = {"conv_first": "model.0", "conv_body": f"model.1.sub.{blocks}"}
    table |= {f"conv_up{up}": f"model.{3 * up}" for up in range(1, ups + 1)}
    table |= {"conv_hr": f"model.{3 * ups + 2}", "conv_last": f"model.{3 * ups + 4}"}
    renamed: State = {}
    for name, item in state.items():
        place, _, kind = name.rpartition(".")
        inner = re.fullmatch(r"body\.(\d+)\.rdb(\d)\.conv(\d)", place)
        old = f"model.1.sub.{inner[1]}.RDB{inner[2]}.conv{inner[3]}.0" if inner else table[place]
        renamed[f"{old}.{kind}"] = item
    return renamed


def first_names(state: State) -> State:
    """The same in the layout of ESRGAN's first release."""
    changes = (
        (r"^body\.(\d+)\.rdb(\d)", r"RRDB_trunk.\1.RDB\2"),
        ("^conv_body", "trunk_conv"),
        ("^conv_up", "upconv"),
        ("^conv_hr", "HRconv"),
    )
    renamed = {}
    for name, item in state.items():
        for old, new in changes:
            name = re.sub(old, new, name)
        renamed[name] = item
    return renamed


def written(state: State, path: Path, prefix: str = "") -> Path:
    """A file of them; returns its path."""
    save_file({prefix + name: item.contiguous() for name, item in state.items()}, path)
    return path


def _at(state: State, name: str, x: Tensor) -> Tensor:
    return conv2d(x, state[f"{name}.weight"], state[f"{name}.bias"], padding=1)


def _leaky(x: Tensor) -> Tensor:
    return torch.where(x < 0, 0.2 * x, x)


def _doubled(x: Tensor) -> Tensor:
    return x.repeat_interleave(2, 2).repeat_interleave(2, 3)


def rrdb_forward(state: State, image: Tensor) -> Tensor:
    """(1, 3, H, W) through an RRDBNet by BasicSR's names, written from the papers."""
    fold = round((state["conv_first.weight"].shape[1] / 3) ** 0.5)
    # Channel (c, i, j) of the folded image is every fold-th pixel of colour c, from row i and column j on.
    folded = [image[:, c : c + 1, i::fold, j::fold] for c in range(3) for i in range(fold) for j in range(fold)]
    start = _at(state, "conv_first", torch.cat(folded, 1))
    x, block = start, 0
    while f"body.{block}.rdb1.conv1.weight" in state:
        whole = x
        for dense in (1, 2, 3):
            place = f"body.{block}.rdb{dense}"
            parts = [x]
            for conv in (1, 2, 3, 4):
                parts.append(_leaky(_at(state, f"{place}.conv{conv}", torch.cat(parts, 1))))
            x = x + 0.2 * _at(state, f"{place}.conv5", torch.cat(parts, 1))
        x, block = whole + 0.2 * x, block + 1
    x, up = start + _at(state, "conv_body", x), 1
    while f"conv_up{up}.weight" in state:
        x, up = _leaky(_at(state, f"conv_up{up}", _doubled(x))), up + 1
    return _at(state, "conv_last", _leaky(_at(state, "conv_hr", x)))


def compact_forward(state: State, image: Tensor) -> Tensor:
    """(1, 3, H, W) through an SRVGGNetCompact."""
    last = max(int(name.split(".")[1]) for name in state)
    scale = round((state[f"body.{last}.bias"].shape[0] / 3) ** 0.5)
    x = image
    for number in range(0, last, 2):
        x = _at(state, f"body.{number}", x)
        x = torch.where(x < 0, state[f"body.{number + 1}.weight"].view(1, -1, 1, 1) * x, x)
    x = _at(state, f"body.{last}", x)
    height, width = image.shape[2:]
    result = torch.zeros(1, 3, height * scale, width * scale)
    for colour in range(3):
        for i in range(scale):
            for j in range(scale):
                result[:, colour, i::scale, j::scale] = x[:, colour * scale**2 + i * scale + j] + image[:, colour]
    return result
