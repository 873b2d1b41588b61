"""Upscalers by their headers: the nets of ESRGAN and Real-ESRGAN, in every layout that they are published in. No torch.

RRDBNet (arXiv 1809.00219, 2107.10833) has three: BasicSR's, which is the one that modules here have, that of ESRGAN's
first release, and the older one with numbers for names. The compact net (SRVGGNetCompact) of Real-ESRGAN has one.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn

from weft.nodes.models.description import Description, Weights
from weft.nodes.models.errors import ModelError
from weft.nodes.models.headers import read_header

COLOURS = 3
MAX_BLOCKS, MAX_CHANNELS = 128, 1024
"""More of either is no upscaler that anybody published: refused before a module is made."""
MAX_SCALE = 8

_PREFIXES = ("params_ema.", "params.", "module.")
"""Under which trainers keep the net; the averaged weights are those that are published."""
_BLOCK = r"(\d+)\.[Rr][Dd][Bb](\d+)\.conv(\d+)"
_OLD = re.compile(rf"model\.1\.sub\.{_BLOCK}\.0\.(weight|bias)")
_FIRST = re.compile(rf"RRDB_trunk\.{_BLOCK}\.(weight|bias)")
_FIRST_NAMES = {"trunk_conv": "conv_body", "HRconv": "conv_hr", "upconv": "conv_up"}
_NUMBERED = re.compile(r"model\.(\d+)\.(weight|bias)")
_OLD_BODY = re.compile(r"model\.1\.sub\.(\d+)\.(weight|bias)")


def is_upscaler(names: Mapping[str, object]) -> bool:
    """Whether tensors of these names look like an upscaler, sound or not."""
    plain = {name.removeprefix(_prefix(names)) for name in names}
    marks = ("conv_first.weight", "model.1.sub.0.RDB1.conv1.0.weight", "RRDB_trunk.0.RDB1.conv1.weight")
    return any(mark in plain for mark in marks) or {"body.0.weight", "body.1.weight"} <= plain


def describe_upscaler(path: Path) -> Description:
    """What an upscaler's file is; every tensor is compared with the net that the shapes tell of.

    Its configuration has kind (`rrdb` or `compact`), scale, and `stored`: the file's names by the module's.
    rrdb: channels, growth, blocks, ups (doublings at the end) and shuffle (what the start makes of the image's sides).
    compact: channels and convolutions.

    Raises:
        ModelError: it is none, unsound, or of a kind that is not supported.
    """
    if path.is_dir():
        raise ModelError(f"{path} is a folder; an upscaler is one .safetensors file")
    tensors = read_header(path).tensors
    prefix = _prefix(tensors)
    plain = {name.removeprefix(prefix): name for name in tensors if name.startswith(prefix)}
    if not is_upscaler(tensors):
        first = ", ".join(list(tensors)[:3]) or "nothing"
        raise ModelError(
            f"{path} is no upscaler of the kinds ESRGAN, Real-ESRGAN and compact Real-ESRGAN: neither "
            f"conv_first.weight nor model.1.sub.0.RDB1.conv1.0.weight nor body.0.weight is in it; it holds {first}"
        )
    compact = "conv_first.weight" not in plain and "body.0.weight" in plain
    stored = plain if compact else _by_module_names(path, plain)
    shapes = {name: tensors[place].shape for name, place in stored.items()}
    config = _compact(path, shapes) if compact else _rrdb(path, shapes)
    _compare(path, stored, shapes, expected(config))
    for place in stored.values():
        if tensors[place].dtype not in ("F32", "F16", "BF16"):
            raise ModelError(f"{path} holds {place} as {tensors[place].dtype}; F32, F16 and BF16 are read")
    config["stored"] = stored
    used = {place: tensors[place] for place in stored.values()}
    return Description(path, "sd1", "epsilon", {"upscaler": Weights(config, used)}, {}, {}, 0, [path])


def expected(config: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """The tensors of the net with this configuration, by the module's names."""
    parts = _compact_parts(config) if config["kind"] == "compact" else _rrdb_parts(config)
    return {f"{name}.{kind}": shape for name, shapes in parts for kind, shape in shapes.items()}


def _conv(out: int, into: int) -> dict[str, tuple[int, ...]]:
    return {"weight": (out, into, 3, 3), "bias": (out,)}


def _rrdb_parts(config: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, tuple[int, ...]]]]:
    channels, growth = config["channels"], config["growth"]
    yield "conv_first", _conv(channels, COLOURS * config["shuffle"] ** 2)
    for block in range(config["blocks"]):
        for dense in (1, 2, 3):
            for conv in (1, 2, 3, 4, 5):
                into = channels + (conv - 1) * growth
                yield f"body.{block}.rdb{dense}.conv{conv}", _conv(growth if conv < 5 else channels, into)
    yield "conv_body", _conv(channels, channels)
    for up in range(1, config["ups"] + 1):
        yield f"conv_up{up}", _conv(channels, channels)
    yield "conv_hr", _conv(channels, channels)
    yield "conv_last", _conv(COLOURS, channels)


def _compact_parts(config: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, tuple[int, ...]]]]:
    channels, count = config["channels"], config["convolutions"]
    for number in range(count):
        yield f"body.{2 * number}", _conv(channels, channels if number else COLOURS)
        yield f"body.{2 * number + 1}", {"weight": (channels,)}
    yield f"body.{2 * count}", _conv(COLOURS * config["scale"] ** 2, channels)


def _prefix(names: Mapping[str, object]) -> str:
    return next((prefix for prefix in _PREFIXES if any(name.startswith(prefix) for name in names)), "")


def _by_module_names(path: Path, plain: Mapping[str, str]) -> dict[str, str]:
    """The file's names by those of BasicSR, for any of the three layouts of an RRDBNet."""
    if "conv_first.weight" in plain:
        return {_from_first(name): place for name, place in plain.items()}
    found: dict[str, str] = {}
    numbers = sorted({int(match[1]) for name in plain if (match := _NUMBERED.fullmatch(name))} - {0})
    ups = len(numbers) - 2
    # Each doubling is an upsampling, a convolution and an activation; two convolutions with one between follow.
    if ups < 0 or numbers != [*(3 * up for up in range(1, ups + 1)), 3 * ups + 2, 3 * ups + 4]:
        _unknown(path, f"after its blocks come convolutions model.{{{', '.join(map(str, numbers))}}}")
    tail = [*(f"conv_up{up}" for up in range(1, ups + 1)), "conv_hr", "conv_last"]
    after = {0: "conv_first", **dict(zip(numbers, tail, strict=True))}
    for name, place in plain.items():
        if match := _OLD.fullmatch(name):
            found[f"body.{match[1]}.rdb{match[2]}.conv{match[3]}.{match[4]}"] = place
        elif match := _OLD_BODY.fullmatch(name):
            found[f"conv_body.{match[2]}"] = place
        elif match := _NUMBERED.fullmatch(name):
            found[f"{after[int(match[1])]}.{match[2]}"] = place
        else:
            found[name] = place  # is reported as one too many
    return found


def _from_first(name: str) -> str:
    """A name of BasicSR's layout for one of ESRGAN's first release, or of BasicSR's itself."""
    if match := _FIRST.fullmatch(name):
        return f"body.{match[1]}.rdb{match[2]}.conv{match[3]}.{match[4]}"
    for old, new in _FIRST_NAMES.items():
        if name.startswith(old):
            return new + name.removeprefix(old)
    return name


def _rrdb(path: Path, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Any]:
    blocks = len({match[1] for name in shapes if (match := re.match(r"body\.(\d+)\.rdb1\.", name))})
    if not blocks:
        _unknown(path, "it has no residual dense blocks")
    channels, into = _convolution(path, shapes, "conv_first")
    growth, _ = _convolution(path, shapes, "body.0.rdb1.conv1")
    colours, _ = _convolution(path, shapes, "conv_last")
    ups = len({match[1] for name in shapes if (match := re.match(r"conv_up(\d+)\.", name))})
    shuffle = math.isqrt(into // COLOURS)
    if colours != COLOURS or into != COLOURS * shuffle**2 or shuffle not in (1, 2, 4):
        raise ModelError(
            f"{path} makes images of {colours} channels from {into}: an upscaler here makes 3 from 3 (or from 12 or "
            "48, an image folded to half or a quarter of its sides)"
        )
    _limits(path, channels, growth, blocks)
    if ups > 4 or not 1 <= 2**ups / shuffle <= MAX_SCALE:
        _unknown(path, f"it doubles {ups} times what was folded by {shuffle}: scales of 1, 2, 4 and 8 are supported")
    return {
        "kind": "rrdb",
        "scale": 2**ups // shuffle,
        "channels": channels,
        "growth": growth,
        "blocks": blocks,
        "ups": ups,
        "shuffle": shuffle,
    }


def _compact(path: Path, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Any]:
    numbers = [int(match[1]) for name in shapes if (match := re.fullmatch(r"body\.(\d{1,4})\.weight", name))]
    last = max(numbers)
    channels, into = _convolution(path, shapes, "body.0")
    out, _ = _convolution(path, shapes, f"body.{last}")
    scale = math.isqrt(out // COLOURS)
    if into != COLOURS or out != COLOURS * scale**2 or not 1 <= scale <= MAX_SCALE:
        raise ModelError(
            f"{path} makes {out} channels from {into}: a compact upscaler here makes 3 times the square of its scale, "
            f"which is 1 to {MAX_SCALE}, from 3"
        )
    _limits(path, channels, 1, last // 2)
    return {"kind": "compact", "scale": scale, "channels": channels, "convolutions": last // 2}


def _convolution(path: Path, shapes: Mapping[str, tuple[int, ...]], name: str) -> tuple[int, int]:
    """Channels out and in of a convolution of 3 x 3."""
    shape = shapes.get(f"{name}.weight", ())
    if len(shape) != 4 or shape[2:] != (3, 3):
        given = f"{list(shape)}" if shape else "missing"
        _unknown(path, f"the weight of {name} is {given} where a convolution of 3 x 3 is right")
    return shape[0], shape[1]


def _limits(path: Path, channels: int, growth: int, blocks: int) -> None:
    for count, limit, what in (
        (channels, MAX_CHANNELS, "channels"),
        (growth, MAX_CHANNELS, "channels of growth"),
        (blocks, MAX_BLOCKS, "blocks"),
    ):
        if not 1 <= count <= limit:
            _unknown(path, f"it has {count:,} {what}; 1 to {limit:,} are supported")


def _compare(
    path: Path, stored: Mapping[str, str], shapes: Mapping[str, tuple[int, ...]], wanted: Mapping[str, tuple[int, ...]]
) -> None:
    """Raises ModelError where the file lacks tensors of the net, has others, or has them in other shapes."""
    faults = []
    if lost := [name for name in wanted if name not in shapes]:
        faults.append(f"{len(lost)} of {len(wanted)} tensors are missing, first {', '.join(lost[:3])}")
    if others := [place for name, place in stored.items() if name not in wanted]:
        faults.append(f"{len(others)} are not of this net, first {', '.join(others[:3])}")
    wrong = [
        f"{stored[name]} is {list(shapes[name])} where {list(shape)} is right"
        for name, shape in wanted.items()
        if name in shapes and shapes[name] != shape
    ]
    if wrong:
        faults.append("; ".join(wrong[:3]))
    if faults:
        _unknown(path, "; ".join(faults))


def _unknown(path: Path, why: str) -> NoReturn:
    raise ModelError(
        f"{path} is no upscaler of a kind that is supported (RRDBNet of ESRGAN and Real-ESRGAN, and the compact net of "
        f"Real-ESRGAN with PReLU): {why}"
    )
