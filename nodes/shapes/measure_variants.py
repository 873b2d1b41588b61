"""Measure the variants of the bundled model with the exact judge, and write the figures into docs/shapes.md.

    python -m weft.nodes.shapes.measure_variants --docs docs/shapes.md

Every image goes through Weft's own nodes, 25 steps of DDIM. Each row is 64 images.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from weft.nodes import (
    apply_lora,
    canny,
    cfg,
    controlnet,
    decode,
    denoise,
    depth,
    depth_control,
    encode_prompt,
    instruct_pix2pix,
    load_controlnet,
    load_custom_diffusion,
    load_model,
    load_t2i_adapter,
    load_textual_inversion,
    segmentation_palette,
    t2i_adapter,
)
from weft.nodes.shapes.frame import frame_share, framed_caption, inside
from weft.nodes.shapes.judge import judge
from weft.nodes.shapes.measure import as_pixels, write_between
from weft.nodes.shapes.scenes import free_scene
from weft.nodes.shapes.world import BACKGROUNDS, COLORS, SHAPES, Scene, Shape, Thing, Unseen, caption, render
from weft.nodes.values import Control, Guidance, Image, Model

Pixels = NDArray[np.uint8]
ORDER = ("edges", "regions", "depth", "edit", "heart", "frame", "dome", "house")
FRAMED = 0.75
"""The share of a border's pixels from which on there is a frame; below a quarter there is none."""
BEGIN, END = "<!-- figures: made by nodes.shapes.measure_variants -->", "<!-- end of figures of variants -->"


@dataclass(frozen=True)
class Shown:
    """One picture that was made, what it was made from (or None), what should be seen, and the facts."""

    picture: Pixels
    source: Pixels | None
    facts: dict[str, float]


def picture_of(scene: Scene) -> Image:
    """A scene as the nodes take it."""
    return Image(torch.from_numpy(render(scene))[None].float() / 255)


def made(
    model: Model,
    guidance: Guidance,
    seed: int,
    controls: Sequence[Control] = (),
    steps: int = 25,
    batch: int = 1,
) -> list[Pixels]:
    """Pictures of consecutive seeds."""
    latents = denoise(model, [guidance], controls=list(controls), steps=steps, seed=seed, batch=batch).latents
    return as_pixels(decode(model, latents))


def iou(a: Sequence[float], b: Sequence[float]) -> float:
    """Of two boxes: left, top, right, bottom."""
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    both = max(0.0, width) * max(0.0, height)
    return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both)


def hinted(
    count: int,
    model: Model,
    control: Callable[[Image], Control] | None,
    name_shape: bool = True,
    seeds: int = 4,
    steps: int = 25,
) -> Iterator[Shown]:
    """One object by a hint of a picture in other colours. Facts: IoU of its box, shape, colour, background.

    name_shape: off, the prompt says "shape" and the hint alone tells which.
    """
    for k in range(count):
        rng = np.random.default_rng((77, k))
        scene = free_scene(rng, two=0)
        other = str(rng.choice([c for c in COLORS if c != scene.things[0].color]))
        background = str(rng.choice([b for b in BACKGROUNDS if b != scene.background]))
        wanted = replace(scene.things[0], color=other)
        prompt = caption([wanted], background)
        if not name_shape:
            prompt = prompt.replace(wanted.shape, "shape")
        source = picture_of(scene)
        controls = [control(source)] if control else []
        guidance = cfg(encode_prompt(model, prompt), scale=3.0)
        for picture in made(model, guidance, 1000 * k, controls, steps, seeds):
            verdict = judge(picture)
            best = max((iou(t.box, wanted.box) for t in verdict.things), default=0.0)
            facts = {
                "iou": best,
                "shape": float(verdict.has(shape=wanted.shape)),
                "colour": float(verdict.has(color=other)),
                "background": float(verdict.background == background),
                "all": float(verdict.shows([(other, wanted.shape)]) and verdict.background == background),
            }
            yield Shown(picture, render(scene), facts)


def _other_shape(rng: np.random.Generator, thing: Thing) -> Shape:
    others = [shape for shape in SHAPES if shape != thing.shape]
    return others[int(rng.integers(len(others)))]


EDITS = ("colour", "shape", "background", "one of two")


def edited(
    count: int, model: Model, kind: str, scale: float = 2.0, image_scale: float = 1.5, steps: int = 25
) -> Iterator[Shown]:
    """Pictures edited by an instruction of a kind. Facts: done as told, box kept (IoU), pixels elsewhere, all."""
    for k in range(count):
        rng = np.random.default_rng((78, k, EDITS.index(kind)))
        scene = free_scene(rng, two=float(kind == "one of two"))
        first = scene.things[0]
        if kind == "one of two" and len({t.shape for t in scene.things}) < 2:
            shape = _other_shape(rng, first)
            scene = Scene((replace(first, shape=shape), scene.things[1]), scene.background)
        thing, after = scene.things[0], scene
        if kind == "background":
            after = Scene(scene.things, str(rng.choice([b for b in BACKGROUNDS if b != scene.background])))
            words = f"make the background {after.background}"
        elif kind == "shape":
            shape = _other_shape(rng, thing)
            after = Scene((replace(thing, shape=shape),), scene.background)
            words = f"make it a {shape}"
        else:
            color = str(rng.choice([c for c in COLORS if c not in [t.color for t in scene.things]]))
            after = Scene((replace(thing, color=color), *scene.things[1:]), scene.background)
            words = f"make {'it' if kind == 'colour' else 'the ' + thing.shape} {color}"
        guidance = instruct_pix2pix(
            model, picture_of(scene), encode_prompt(model, words), scale=scale, image_scale=image_scale
        )
        picture = made(model, guidance, k, steps=steps)[0]
        verdict = judge(picture)
        told = verdict.shows([(t.color, t.shape) for t in after.things])
        kept = [max((iou(f.box, t.box) for f in verdict.things), default=0.0) for t in scene.things]
        away = np.abs(picture.astype(float) - render(after)).max(axis=2)
        outside = np.ones(away.shape, bool)
        left, top, right, bottom = (int(v) for v in thing.box)
        outside[max(0, top - 4) : bottom + 4, max(0, left - 4) : right + 4] = False
        facts = {
            "told": float(told and verdict.background == after.background),
            "iou": min(kept),
            "outside": float(away[outside].mean()),
            "all": float(told and verdict.background == after.background and min(kept) > 0.8),
        }
        yield Shown(picture, render(scene), facts)


def taught(count: int, model: Model, shape: Unseen, word: str, seeds: int = 4, steps: int = 25) -> Iterator[Shown]:
    """An unseen shape by its word, in all colours and backgrounds. Facts: shape, its fit, colour, background."""
    for k in range(count):
        color, background = list(COLORS)[k % 8], list(BACKGROUNDS)[k % 7]
        prompt = caption([Thing("circle", color, 0, 0, 0)], background).replace("circle", word)
        guidance = cfg(encode_prompt(model, prompt), scale=3.0)
        for picture in made(model, guidance, 1000 * k, (), steps, seeds):
            verdict = judge(picture, (shape,))
            right = [t for t in verdict.things if t.shape == shape]
            facts = {
                "shape": float(bool(right)),
                "fit": max((t.fit for t in right), default=0.0),
                "colour": float(verdict.has(color=color)),
                "background": float(verdict.background == background),
                "all": float(verdict.shows([(color, shape)]) and verdict.background == background),
            }
            yield Shown(picture, None, facts)


def known(count: int, model: Model, seeds: int = 4, steps: int = 25) -> Iterator[Shown]:
    """The world's own shapes. Facts: all right."""
    for k in range(count):
        thing, background = Thing(SHAPES[k % 4], list(COLORS)[(k // 2) % 8], 0, 0, 0), list(BACKGROUNDS)[k % 7]
        guidance = cfg(encode_prompt(model, caption([thing], background)), scale=3.0)
        for picture in made(model, guidance, 1000 * k, (), steps, seeds):
            verdict = judge(picture, ("heart", "house", "dome"))
            right = verdict.shows([(thing.color, thing.shape)]) and verdict.background == background
            yield Shown(picture, None, {"all": float(right)})


def styled(count: int, model: Model, word: bool, seeds: int = 4, steps: int = 25) -> Iterator[Shown]:
    """The world's own shapes, framed if the word says so. Facts: frame as told, shape, colour, background, all."""
    for k in range(count):
        thing, background = Thing(SHAPES[k % 4], list(COLORS)[(k // 2) % 8], 0, 0, 0), list(BACKGROUNDS)[k % 7]
        text = caption([thing], background)
        guidance = cfg(encode_prompt(model, framed_caption(text) if word else text), scale=3.0)
        for picture in made(model, guidance, 1000 * k, (), steps, seeds):
            verdict, share = judge(inside(picture)), frame_share(picture)
            told = share >= FRAMED if word else share <= 1 - FRAMED
            right = verdict.shows([(thing.color, thing.shape)]) and verdict.background == background
            facts = {
                "shape": float(verdict.has(shape=thing.shape)),
                "colour": float(verdict.has(color=thing.color)),
                "background": float(verdict.background == background),
                "told": float(told),
                "all": float(told and right),
            }
            yield Shown(picture, None, facts)


def sets(only: str = "") -> Iterator[tuple[str, str, Callable[[int], Iterator[Shown]]]]:
    """Variant, what is measured, and how, for a number of prompts; those whose variant's name begins with `only`."""
    plain = load_model("shapes")
    if "edges".startswith(only):
        net = load_controlnet("shapes-edges")
        edge = lambda image: controlnet(net, canny(image))  # noqa: E731
        yield "edges", "with the hint", lambda n: hinted(n, plain, edge)
        yield "edges", 'with the hint, "shape" in the prompt', lambda n: hinted(n, plain, edge, name_shape=False)
        yield "edges", "without it", lambda n: hinted(n, plain, None)
    if "depth".startswith(only):
        deep = load_model("shapes-depth")
        far = lambda image: depth_control(depth(image, "shapes"))  # noqa: E731
        flat = lambda image: depth_control(Image(torch.zeros_like(image.pixels)))  # noqa: E731
        yield "depth", "with the hint", lambda n: hinted(n, deep, far)
        yield "depth", 'with the hint, "shape" in the prompt', lambda n: hinted(n, deep, far, name_shape=False)
        yield "depth", "a flat map", lambda n: hinted(n, deep, flat)
    if "regions".startswith(only):
        adapter = load_t2i_adapter("shapes-regions")
        region = lambda image: t2i_adapter(adapter, segmentation_palette(image))  # noqa: E731
        yield "regions", "with the hint", lambda n: hinted(n, plain, region)
        yield "regions", 'with the hint, "shape" in the prompt', lambda n: hinted(n, plain, region, name_shape=False)
    if "edit".startswith(only):
        editor = load_model("shapes-edit")
        for kind in EDITS:
            yield "edit", kind, partial(edit, editor, kind)
    if "heart".startswith(only):
        heart = apply_lora(plain, "shapes-heart")
        yield "heart", "with the LoRA", lambda n: taught(n, heart, "heart", "heart")
        yield "heart", "without it", lambda n: taught(n, plain, "heart", "heart")
        yield "heart", "known shapes with the LoRA", lambda n: known(n, heart)
    if "frame".startswith(only):
        frame = apply_lora(plain, "shapes-frame")
        yield "frame", "with the LoRA and the word", lambda n: styled(n, frame, True)
        yield "frame", "with the word alone", lambda n: styled(n, plain, True)
        yield "frame", "with the LoRA, without the word", lambda n: styled(n, frame, False)
    if "dome".startswith(only):
        dome = load_textual_inversion(plain, ["shapes-dome"])
        yield "dome", "with the word", lambda n: taught(n, dome, "dome", "<dome>")
        yield "dome", "without it", lambda n: taught(n, plain, "dome", "<dome>")
    if "house".startswith(only):
        house = load_custom_diffusion(plain, "shapes-house", ["shapes-house-word"])
        yield "house", "with it", lambda n: taught(n, house, "house", "<house>")
        yield "house", "without it", lambda n: taught(n, plain, "house", "<house>")
        yield "house", "known shapes with it", lambda n: known(n, house)


def edit(model: Model, kind: str, count: int) -> Iterator[Shown]:
    """As many pictures as the other rows have, each of an edit of its own."""
    return edited(4 * count, model, kind)


def means(shown: Sequence[Shown]) -> dict[str, float]:
    """Of each fact."""
    return {key: float(np.mean([s.facts[key] for s in shown])) for key in shown[0].facts}


def sheet(shown: Sequence[Shown], path: Path, columns: int = 8) -> None:
    """Pictures, each under what it was made from, as one PNG: none chosen, none left out."""
    tiles = [np.concatenate([s.source, s.picture]) if s.source is not None else s.picture for s in shown]
    tiles += [np.full_like(tiles[0], 255)] * (-len(tiles) % columns)
    tiles = [np.pad(t, ((1, 3), (1, 1), (0, 0)), constant_values=200) for t in tiles]
    rows = [np.concatenate(tiles[k : k + columns], 1) for k in range(0, len(tiles), columns)]
    cv2.imwrite(str(path), np.concatenate(rows)[..., ::-1])


def table(rows: Sequence[tuple[str, str, dict[str, float]]]) -> str:
    """The rows in markdown."""
    keys = ("iou", "shape", "fit", "colour", "background", "told", "outside", "all")
    lines = [
        "| variant | | box IoU | shape | fit | colour | background | as told | elsewhere / 255 | **all right** |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name, what, found in rows:
        cells = [
            "" if k not in found else f"{found[k]:.2f}" if k in ("iou", "fit") else f"{found[k]:.0%}" for k in keys
        ]
        cells[6] = f"{found['outside']:.1f}" if "outside" in found else ""
        lines.append("| " + " | ".join([name, what, *cells[:-1], f"**{cells[-1]}**"]) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="the beginning of a variant's name")
    parser.add_argument("--count", type=int, default=16, help="prompts, of four images each")
    parser.add_argument("--keep", type=Path, help="JSON of rows measured so far: added to, and all of it is written")
    parser.add_argument("--docs", type=Path, help="page to write the table into, between its markers")
    parser.add_argument("--sheets", type=Path, help="folder for a PNG of each row's images")
    args = parser.parse_args()
    rows: list[tuple[str, str, dict[str, float]]] = []
    if args.keep and args.keep.exists():
        rows = [(name, what, found) for name, what, found in json.loads(args.keep.read_text())]
        rows = [row for row in rows if not row[0].startswith(args.only)]
    for number, (name, what, run) in enumerate(sets(args.only)):
        shown = list(run(args.count))
        rows.append((name, what, means(shown)))
        print(name, what, {k: round(v, 3) for k, v in rows[-1][2].items()}, flush=True)
        if args.sheets:
            args.sheets.mkdir(parents=True, exist_ok=True)
            sheet(shown[:32], args.sheets / f"{number + 1}-{name}.png")
    rows.sort(key=lambda row: ORDER.index(row[0]))
    if args.keep:
        args.keep.write_text(json.dumps(rows))
    if args.docs:
        write_between(args.docs, BEGIN, END, table(rows))


if __name__ == "__main__":
    main()
