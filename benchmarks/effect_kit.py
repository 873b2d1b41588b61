"""Pictures by ours and by diffusers' pipelines from the same seeds, and the statistics of what a judge says of them."""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from benchmarks.kit import Kit, processors_kept
from weft.nodes.shapes.measure import as_pixels, wilson
from weft.nodes.shapes.measure_variants import iou

Pixels = NDArray[np.uint8]
Fact = Callable[[Pixels], float]
"""What is looked for in a picture."""
COLORS = ("red", "green", "blue", "yellow", "purple", "orange", "cyan", "pink")
SHAPES = ("circle", "square", "triangle", "star")
GAP = 4
"""White pixels between the pictures of a sheet."""
BACKGROUNDS = ("white", "navy", "beige", "black", "mint", "gray", "brown")


@dataclass
class Measure:
    """One line of the table: a number per seed, without the technique, with it, and by diffusers.

    better: which way the paper promises, or that it stays the same. note: what "without" is.
    """

    technique: str
    what: str
    note: str
    better: Literal["higher", "lower", "same"] = "higher"
    without: list[float] = field(default_factory=list)
    ours: list[float] = field(default_factory=list)
    theirs: list[float] = field(default_factory=list)

    def add(self, fact: Fact, without: Sequence[Pixels], ours: Sequence[Pixels], theirs: Sequence[Pixels] = ()) -> None:
        """Look for something in pictures made three ways, from the same seeds."""
        self.without += map(fact, without)
        self.ours += map(fact, ours)
        self.theirs += map(fact, theirs)

    def compare(
        self,
        fact: Callable[[Pixels, Pixels], float],
        before: Sequence[Pixels],
        without: Sequence[Pixels],
        ours: Sequence[Pixels],
        theirs: Sequence[Pixels] = (),
    ) -> None:
        """Set pictures made three ways beside those that they began with."""
        self.without += map(fact, before, without)
        self.ours += map(fact, before, ours)
        self.theirs += map(fact, before, theirs)

    @property
    def p(self) -> float:
        """One-sided exact sign test over seeds: how likely as many or more would improve by luck."""
        sign = 1 if self.better == "higher" else -1
        differences = [sign * (b - a) for a, b in zip(self.without, self.ours, strict=True)]
        up, down = sum(d > 1e-9 for d in differences), sum(d < -1e-9 for d in differences)
        return sum(math.comb(up + down, k) for k in range(up, up + down + 1)) / 2 ** (up + down)

    def interval(self, values: Sequence[float]) -> tuple[float, float]:
        """95 %: Wilson's for shares, else the bootstrap's."""
        count, mean = len(values), statistics.fmean(values)
        if set(values) <= {0.0, 1.0}:
            return wilson(mean, count)
        source = random.Random(0)
        means = sorted(statistics.fmean(source.choices(values, k=count)) for _ in range(1000))
        return means[25], means[974]

    def line(self) -> dict[str, Any]:
        """As JSON."""
        low, high = self.interval(self.ours)
        return {
            "technique": self.technique,
            "measure": self.what,
            "without": round(statistics.fmean(self.without), 4),
            "with": round(statistics.fmean(self.ours), 4),
            "interval": [round(low, 4), round(high, 4)],
            "diffusers": round(statistics.fmean(self.theirs), 4) if self.theirs else None,
            "better": self.better,
            "p": None if self.better == "same" else float(f"{self.p:.2g}"),
            "seeds": len(self.ours),
            "note": self.note,
        }


class Studio(Kit):
    """The bundled model, its judge, and diffusers' pipelines on its modules."""

    def __init__(self, folder: Path, seeds: int, steps: int = 12, peers: bool = True) -> None:
        super().__init__("shapes", folder, steps)
        self.seeds = seeds
        self.peers = peers
        """Whether diffusers' pictures are made too."""
        self.pipes: dict[str, Any] = {}
        self.texts: dict[Any, Any] = {}
        self.pictures: dict[str, list[tuple[str, Pixels]]] = {}
        """By case, what was made for the first seeds, for looking at."""

    def pipeline(self, kind: str, model: Any = None, **more: Any) -> Any:
        """One of diffusers' pipelines, kept."""
        if not self.peers:
            return None
        key = f"{kind}:{model.source if model is not None else ''}"
        if key not in self.pipes:
            self.pipes[key] = self.pipe(kind, model, **more)
        return self.pipes[key]

    def encode(self, text: str, model: Any = None) -> Any:
        """A prompt, encoded once."""
        from weft.nodes import encode_prompt

        model = model or self.model
        key = (model.source, model.patches, text)
        if key not in self.texts:
            self.texts[key] = encode_prompt(model, text)
        return self.texts[key]

    def draw(
        self,
        prompt: str | Any,
        seed: int,
        batch: int,
        *more: Any,
        controls: Iterable[Any] = (),
        scale: float = 3.0,
        model: Any = None,
        base: Any = None,
        negative: Any = None,
        **options: Any,
    ) -> list[Pixels]:
        """Pictures by ours."""
        from weft.nodes import cfg, decode, denoise

        model = model or self.model
        text = self.encode(prompt, model) if isinstance(prompt, str) else prompt
        first = base if base is not None else cfg(text, negative, scale=scale)
        settings: dict[str, Any] = {"steps": self.steps, "scheduler": "ddim"} | options
        made = denoise(model, [first, *more], list(controls), seed=seed, batch=batch, **settings)
        return as_pixels(decode(model, made.latents))

    def shown(self, latents: Any, model: Any = None) -> list[Pixels]:
        """Latents of a pipeline as pictures."""
        from weft.nodes import decode
        from weft.nodes.values import Latents

        return as_pixels(decode(model or self.model, Latents(latents.float())))

    def theirs(self, pipe: Any, prompt: Any, seed: int, batch: int, model: Any = None, **options: Any) -> list[Pixels]:
        """Pictures by one of diffusers' pipelines; none without peers."""
        if not self.peers:
            return []
        from weft.nodes.sampling.noise import generators

        settings: dict[str, Any] = {
            "guidance_scale": 3.0,
            "num_inference_steps": self.steps,
            "num_images_per_prompt": batch,
            "generator": generators(seed, batch),
            "output_type": "latent",
        } | options
        words = {"prompt" if isinstance(prompt, str) else "prompt_embeds": prompt}
        with processors_kept(pipe.unet):
            made = pipe(**words, **settings).images
        return self.shown(made, model)

    @contextmanager
    def adapted(self, pipe: Any, weights: dict[str, float]) -> Iterator[None]:
        """One of diffusers' pipelines with bundled LoRAs, by their folders' names, as strong as said."""
        from weft.nodes.models.bundled import LORAS, home

        if pipe is None:
            yield
            return
        for name in weights:
            file = home() / LORAS[f"shapes-{name}"]
            pipe.load_lora_weights(str(file.parent), weight_name=file.name, adapter_name=name)
        pipe.set_adapters(list(weights), list(weights.values()))
        try:
            yield
        finally:
            pipe.unload_lora_weights()

    def keep(self, case: str, **columns: list[Pixels]) -> None:
        """Remember some pictures of a case for its sheet."""
        rows = self.pictures.setdefault(case, [])
        if len(rows) < 6 * len(columns):
            for name, pictures in columns.items():
                rows.extend((name, picture) for picture in pictures[:2])


def as_image(picture: Pixels) -> Any:
    """As nodes take it."""
    import torch

    from weft.nodes.values import Image

    return Image(torch.from_numpy(picture)[None].float() / 255)


def verdict(picture: Pixels, unseen: tuple[Any, ...] = ()) -> Any:
    """What the exact judge sees."""
    from weft.nodes.shapes.judge import judge

    return judge(picture, unseen)


def has(unseen: tuple[Any, ...] = (), **what: str) -> Fact:
    """1 for a picture with such an object: its color, its shape."""
    return lambda picture: float(verdict(picture, unseen).has(**what))


def stands_at(box: Sequence[float], unseen: tuple[Any, ...] = (), **what: str) -> Fact:
    """IoU of a box with that of the best of such objects; 0 where none is seen."""

    def best(picture: Pixels) -> float:
        things = verdict(picture, unseen).things
        boxes = (t.box for t in things if all(getattr(t, name) == value for name, value in what.items()))
        return max((iou(one, box) for one in boxes), default=0.0)

    return best


def place_kept(before: Pixels, after: Pixels) -> float:
    """IoU of the box of the largest object of one with that of the other; 0 where there is none."""
    first, second = verdict(before).things, verdict(after).things
    return iou(first[0].box, second[0].box) if first and second else 0.0


def same(before: Pixels, after: Pixels) -> float:
    """1 where both show one object of one shape on one background."""
    first, second = verdict(before), verdict(after)
    if not first.things or not second.things:
        return 0.0
    return float(first.things[0].shape == second.things[0].shape and first.background == second.background)


def outside(before: Pixels, after: Pixels, margin: int = 6) -> float:
    """Mean difference of two pictures, of 255, outside the boxes of the objects of both."""
    mask = np.ones(before.shape[:2], bool)
    for picture in (before, after):
        for thing in verdict(picture).things:
            left, top, right, bottom = (int(side) for side in thing.box)
            mask[max(0, top - margin) : bottom + margin, max(0, left - margin) : right + margin] = False
    if not mask.any():
        return 0.0
    return float(np.abs(before.astype(float) - after.astype(float))[mask].mean())


def clean(picture: Pixels, wanted: Iterable[tuple[str, str]], fit: float = 0.9) -> float:
    """1 where exactly these objects (colour, shape) are seen, each with a good outline."""
    seen = verdict(picture)
    return float(seen.shows(list(wanted)) and all(thing.fit >= fit for thing in seen.things))


def sheet(pictures: Sequence[Pixels], path: Path, columns: int, names: Sequence[str]) -> None:
    """Pictures of one size side by side, each with its name: over its column where all of a column have one."""
    import torch
    from PIL import Image

    from weft.nodes.images.sheets import Labels
    from weft.nodes.images.sheets import sheet as labelled

    cells = [torch.tensor(picture).float() / 255 for picture in pictures]
    rows = [cells[at : at + columns] for at in range(0, len(cells), columns)]
    words = [names[at : at + columns] for at in range(0, len(names), columns)]
    if columns == 1:
        labels = Labels(rows=names)
    elif all(line == words[0][: len(line)] for line in words):
        labels = Labels(columns=words[0])
    else:
        labels = Labels(cells=names)
    canvas = labelled(rows, GAP, (1.0, 1.0, 1.0), labels)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray((canvas * 255).round().byte().numpy()).save(path, optimize=True)
