"""Measure the bundled model with the exact judge, and write the figures into docs/shapes.md.

    python -m weft.nodes.shapes.measure --docs docs/shapes.md

Every image goes through Weft's own nodes. Each row is 64 images: 16 prompts x 4 seeds, where the prompts
run through all colours, shapes and backgrounds.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from weft.nodes import cfg, decode, denoise, encode_prompt, load_model
from weft.nodes.basic.denoise import SchedulerName
from weft.nodes.shapes.judge import agreement, judge
from weft.nodes.shapes.world import BACKGROUNDS, COLORS, RELATIONS, SHAPES, Shape, Thing, caption
from weft.nodes.values import Image, Model

SCHEDULERS: tuple[SchedulerName, ...] = (
    "ddim", "pndm", "euler", "euler_ancestral", "dpmpp_2m", "dpmpp_2m_karras", "dpmpp_sde", "unipc", "heun", "lcm",
)  # fmt: skip
PROMPTS, SEEDS = 16, 4
BEGIN, END = "<!-- figures: made by nodes.shapes.measure -->", "<!-- end of figures -->"


@dataclass(frozen=True)
class Prompt:
    """What is asked: the objects (their places are not judged here, but see ``relation``) and the background."""

    things: tuple[Thing, ...]
    background: str
    relation: str = ""

    @property
    def text(self) -> str:
        return caption(self.things, self.background, self.relation)


@dataclass(frozen=True)
class Row:
    """One line of the table: a name, and per image the facts that hold."""

    name: str
    facts: list[dict[str, bool]]

    def share(self, key: str) -> float:
        return sum(f[key] for f in self.facts) / len(self.facts)

    def interval(self, key: str) -> tuple[float, float]:
        """See `wilson`."""
        return wilson(self.share(key), len(self.facts))


def wilson(share: float, count: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share of so many."""
    n, p, z = count, share, 1.96
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return middle - half, middle + half


def as_pixels(image: Image) -> list[NDArray[np.uint8]]:
    """The pictures of an image as the judge takes them: (H, W, 3) sRGB 0..255 each."""
    return [(pixels.numpy() * 255).round().astype(np.uint8) for pixels in image.pixels]


def write_between(page: Path, begin: str, end: str, text: str) -> None:
    """Put figures into a page, in place of what stands between two lines of it."""
    before, rest = page.read_text(encoding="utf-8").split(begin)
    page.write_text(f"{before}{begin}\n{text}\n{end}{rest.split(end)[1]}", encoding="utf-8")


def single_prompts(shape: Shape | None = None) -> list[Prompt]:
    """One object: colours, shapes (or the one given) and backgrounds in turn."""
    return [
        Prompt(
            (Thing(shape or SHAPES[k % 4], list(COLORS)[(k // 2 if not shape else k) % 8], 0, 0, 0),),
            list(BACKGROUNDS)[k % len(BACKGROUNDS)],
        )
        for k in range(PROMPTS)
    ]


def pair_prompts(relation: str) -> list[Prompt]:
    """Two objects of different colours in a relation."""
    rng = np.random.default_rng(len(relation))
    prompts = []
    for k in range(PROMPTS):
        first, second = rng.choice(list(COLORS), 2, replace=False)
        things = tuple(Thing(SHAPES[int(rng.integers(4))], str(c), 0, 0, 0) for c in (first, second))
        prompts.append(Prompt(things, list(BACKGROUNDS)[k % len(BACKGROUNDS)], relation))
    return prompts


def images(
    model: Model, prompts: Sequence[Prompt], steps: int, scale: float, scheduler: SchedulerName
) -> Iterator[tuple[Prompt, NDArray[np.uint8]]]:
    """SEEDS images of each prompt, as (128, 128, 3) sRGB."""
    for index, prompt in enumerate(prompts):
        guidance = cfg(encode_prompt(model, prompt.text), scale=scale)
        latents = denoise(model, [guidance], steps=steps, scheduler=scheduler, seed=1000 * index, batch=SEEDS).latents
        for pixels in as_pixels(decode(model, latents)):
            yield prompt, pixels


def facts(prompt: Prompt, image: NDArray[np.uint8]) -> dict[str, bool]:
    """What holds in one image, with ``place``: right objects that also stand in the relation asked for."""
    verdict = judge(image)
    result = agreement(verdict, prompt.things, prompt.background)
    if prompt.relation in RELATIONS:
        at: dict[tuple[str, str], tuple[float, float]] = {
            (t.color, t.shape): t.center for t in reversed(verdict.things)
        }
        ends = [at.get((t.color, t.shape)) for t in prompt.things]
        dx, dy = RELATIONS[prompt.relation]
        first, second = ends
        result["place"] = bool(
            first
            and second
            and (first[0] - second[0]) * dx > 8 * abs(dx) - 1e-9
            and (first[1] - second[1]) * dy >= 8 * abs(dy) - 1e-9
        )
    return result


def measure(model: Model, steps: int, scale: float) -> list[Row]:
    """All rows of the table."""
    sets: list[tuple[str, list[Prompt], SchedulerName, float]] = [
        *((f"one {s}", single_prompts(s), "ddim", scale) for s in SHAPES),
        *((f"two, {r}", pair_prompts(r), "ddim", scale) for r in (*RELATIONS, "and")),
        ("one, no guidance", single_prompts(), "ddim", 1.0),
        ("two, no guidance", pair_prompts("and"), "ddim", 1.0),
        *((f"one, {s}", single_prompts(), s, scale) for s in SCHEDULERS),
    ]
    rows = []
    for name, prompts, scheduler, guidance in sets:
        row = Row(name, [facts(p, image) for p, image in images(model, prompts, steps, guidance, scheduler)])
        print(f"{name}: all right {row.share('all'):.0%}", flush=True)
        rows.append(row)
    return rows


def table(rows: Sequence[Row]) -> str:
    """The rows as a markdown table of percentages."""
    lines = [
        "| prompts | objects | colours | shapes | right objects | relation | background | **all right** (95 %) |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        place = f"{row.share('place'):.0%}" if "place" in row.facts[0] else ""
        low, high = row.interval("all")
        cells = [row.name, *(f"{row.share(k):.0%}" for k in ("count", "colors", "shapes", "objects"))]
        cells += [place, f"{row.share('background'):.0%}", f"**{row.share('all'):.0%}** ({low:.0%} to {high:.0%})"]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def contact_sheet(model: Model, path: Path, steps: int, scale: float) -> None:
    """64 images, the first 64 single and paired prompts in turn, as one PNG: none chosen, none left out."""
    import cv2

    prompts = [
        p
        for pair in zip(single_prompts() * 2, pair_prompts("left of") + pair_prompts("above"), strict=True)
        for p in pair
    ]
    tiles = []
    for index, prompt in enumerate(prompts):
        latents = denoise(model, [cfg(encode_prompt(model, prompt.text), scale=scale)], steps=steps, seed=index).latents
        tiles += as_pixels(decode(model, latents))
    rows = [
        np.concatenate([np.pad(t, ((1, 1), (1, 1), (0, 0)), constant_values=255) for t in tiles[k : k + 8]], 1)
        for k in range(0, 64, 8)
    ]
    cv2.imwrite(str(path), np.concatenate(rows)[..., ::-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="shapes")
    parser.add_argument("--steps", type=int, default=25)
    parser.add_argument("--scale", type=float, default=3.0, help="guidance scale")
    parser.add_argument("--docs", type=Path, help="page to write the table into, between its markers")
    parser.add_argument("--sheet", type=Path, help="PNG to write 64 images to")
    args = parser.parse_args()
    model = load_model(args.model)
    if args.sheet:
        contact_sheet(model, args.sheet, args.steps, args.scale)
    text = table(measure(model, args.steps, args.scale))
    print(text)
    if args.docs:
        write_between(args.docs, BEGIN, END, text)


if __name__ == "__main__":
    main()
