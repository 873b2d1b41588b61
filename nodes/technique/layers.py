"""Names of the denoiser's parts, as techniques take them: mid, down_blocks.1, up_blocks.0.attentions.1. No torch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from weft.graphs.problems import near

PLACES = ("down", "mid", "up")
_FIRST = ("mid_block", "down_blocks", "up_blocks", *PLACES)


def chosen(layer: str, name: str) -> bool:
    """Whether a layer's name chooses the attention site `name`.

    layer: the first parts of the site's path: `mid`, `up`, `down_blocks.1`, `up_blocks.0.attentions.1`. Of the first
        part `_block` or `_blocks` may be left away.
    """
    wanted, parts = layer.split("."), name.split(".")
    return wanted[0] in (parts[0], parts[0].split("_")[0]) and wanted[1:] == parts[1 : len(wanted)]


def share(layers: Sequence[tuple[str, float]], name: str) -> float:
    """The number that stands for a site: that of the longest of the layers' names that choose it, 0 where none does."""
    found = [(layer.count("."), number) for layer, number in layers if chosen(layer, name)]
    return max(found, key=lambda pair: pair[0])[1] if found else 0.0


def layer_problem(layer: str) -> tuple[str, str | None] | None:
    """What is wrong with a layer's name in any model: message and nearest."""
    first = layer.split(".")[0]
    if first in _FIRST:
        return None
    message = (
        f"a layer begins with mid, down or up, such as mid, down_blocks.1 or up_blocks.0.attentions.1, not {layer!r}"
    )
    return message, near(first, list(_FIRST))


def twice(layers: Iterable[str]) -> tuple[str, str] | None:
    """Two names of one part, such as mid and mid_block; None where there are none."""
    seen: dict[str, str] = {}
    for layer in layers:
        first, _, rest = layer.partition(".")
        other = seen.setdefault(f"{first.split('_')[0]}.{rest}", layer)
        if other != layer:
            return other, layer
    return None


def absent(technique: str, kind: str, layer: str, names: Sequence[str]) -> str | None:
    """What to say of a layer that chooses none of a model's attention sites of a kind; None where it chooses one."""
    if any(chosen(layer, name) for name in names):
        return None
    blocks = dict.fromkeys(".".join(name.split(".")[: 1 if name.startswith("mid") else 2]) for name in names)
    own = [name for name in names if chosen(".".join(layer.split(".")[:2]), name)]
    if own and layer.count(".") > 1:  # the block is there: say what it has
        blocks = dict.fromkeys(".".join(name.split(".")[: 3 if name.startswith("mid") else 4]) for name in own)
    return f"{technique}: the model has no {kind}-attention in {layer!r}, only in {', '.join(blocks)}"


def attention_places(unet: Mapping[str, Any]) -> list[str] | None:
    """Where a denoiser of this configuration has attention: down_blocks.0.attentions.0, ...; None if unusual."""
    each, middle = unet.get("layers_per_block", 2), unet.get("mid_block_type", "UNetMidBlock2DCrossAttn")
    kinds = [unet.get(f"{side}_block_types") for side in ("down", "up")]
    if not isinstance(each, int) or not all(isinstance(kind, (list, tuple)) for kind in kinds):
        return None
    places: list[str] = []
    for side, types, count in zip(("down", "up"), kinds, (each, each + 1), strict=True):
        for block, kind in enumerate(types or ()):
            if "CrossAttn" in str(kind):
                places += [f"{side}_blocks.{block}.attentions.{number}" for number in range(count)]
    return [*places, "mid_block.attentions.0"] if middle == "UNetMidBlock2DCrossAttn" else places
