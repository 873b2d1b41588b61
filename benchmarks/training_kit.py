"""What the effects of trainings are measured with: the judge, and prompts apart from those that picked settings."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from benchmarks.effect_kit import BACKGROUNDS, COLORS, SHAPES, Fact, Measure, Pixels, Studio, has, verdict

Split = Literal["settings", "measured"]
BATCH = 4
"""Pictures of each prompt, of consecutive seeds."""
FIRST_SEED: dict[Split, int] = {"settings": 700_000, "measured": 900_000}
"""Far apart: no picture that picked a setting is of a seed that is measured."""
UNSEEN: tuple[Any, ...] = ("heart", "house", "dome")


@dataclass(frozen=True)
class Asked:
    """One prompt: a colour, a shape of the world, a background, and whether "large" is said. seed: its first one."""

    color: str
    shape: str
    background: str
    large: bool
    seed: int

    def text(self, word: str, tail: str = "") -> str:
        """The prompt for a word in the shape's place. tail: what follows."""
        first = "large" if self.large else self.color
        size = "large " if self.large else ""
        return (
            f"{'an' if first[0] in 'aeiou' else 'a'} {size}{self.color} {word} on a {self.background} background{tail}"
        )


def asked(split: Split, count: int) -> list[Asked]:
    """Prompts of a split.

    A colour and a background together belong to one split alone, so that no prompt is in both.
    """
    own = int(split == "measured")
    pairs = [
        (color, background)
        for i, color in enumerate(COLORS)
        for j, background in enumerate(BACKGROUNDS)
        if (i + j) % 2 == own
    ]
    order = np.random.default_rng(601 + own).permutation(len(pairs))
    found = []
    for number in range(count):
        color, background = pairs[order[number % len(pairs)]]
        seed = FIRST_SEED[split] + 100 * number
        found.append(Asked(color, SHAPES[number % 4], background, number % 2 == 0, seed))
    return found


class Bench(Studio):
    """The bundled model, the judge, prompts of a split, and adapters that were trained before.

    pictures_each: how many pictures a row has.
    """

    def __init__(self, folder: Path, split: Split, pictures_each: int, steps: int) -> None:
        super().__init__(folder, pictures_each, steps, peers=False)
        self.work, self.split, self.count = folder, split, -(-pictures_each // BATCH)

    def asked(self) -> Iterator[Asked]:
        """The prompts, `BATCH` pictures each."""
        yield from asked(self.split, self.count)

    def made(self, model: Any, prompt: str, seed: int, *more: Any, **options: Any) -> list[Pixels]:
        """Pictures of a prompt by a model."""
        return self.draw(prompt, seed, BATCH, *more, model=model, **options)

    def adapter(self, plan: Plan) -> Any:
        """What a plan trains; from its file where it was trained before."""
        from safetensors.torch import load_file, save_file

        from weft.nodes.values.training import Adapter

        path = self.work / f"{plan.name}-{plan.digest}.safetensors"
        notes = path.with_suffix(".json")
        if not notes.is_file():
            found = plan.train(self.model, self.work)
            save_file({name: tensor.contiguous() for name, tensor in found.tensors.items()}, path)
            notes.write_text(json.dumps({"kind": found.kind, "settings": found.settings}))
        told = json.loads(notes.read_text())
        tensors = load_file(path)
        return Adapter.of(told["kind"], tensors, told["settings"], self.model.fingerprint, self.model.family)

    def with_adapter(self, adapter: Any, strength: float = 1.0) -> Any:
        """The bundled model with an adapter on it."""
        from weft.nodes.techniques.wired import applied

        return applied(self.model, adapter, strength)


@dataclass(frozen=True)
class Plan:
    """One training as plain data: the training node, the nodes that make its pictures, its settings and its options.

    data: nodes and their inputs; the pictures of all are joined.
    """

    name: str
    node: str
    data: tuple[tuple[str, dict[str, Any]], ...]
    settings: dict[str, Any]
    options: dict[str, Any]

    @property
    def digest(self) -> str:
        """Of all that it says."""
        plain = json.dumps([self.node, self.data, self.settings, self.options], sort_keys=True)
        return hashlib.blake2b(plain.encode(), digest_size=6).hexdigest()

    def train(self, model: Any, folder: Path) -> Any:
        """Train it: an `Adapter`."""
        from weft import nodes
        from weft.engine import Context
        from weft.engine.cache.workspaces import Workspaces
        from weft.nodes.shapes.training.by_nodes import CHECKPOINT_BYTES, Printed

        ctx = Context(listener=Printed(), workspaces=Workspaces(folder / "workspaces", CHECKPOINT_BYTES))
        parts = []
        for name, inputs in self.data:
            own = {"model": model, "ctx": ctx} if name == "class_images" else {}
            parts.append(getattr(nodes, name)(**own, **inputs))
        options = nodes.train_options(**self.options)
        data = nodes.join_datasets(parts)
        return getattr(nodes, self.node)(model, data, options=options, ctx=ctx, **self.settings).adapter


def right(one: Asked, shape: str = "") -> Fact:
    """1 for a picture of exactly the object that was asked for, on its background. shape: another one than asked."""

    def fact(picture: Pixels) -> float:
        seen = verdict(picture, UNSEEN)
        return float(seen.shows([(one.color, shape or one.shape)]) and seen.background == one.background)

    return fact


def coloured(one: Asked) -> Fact:
    """1 for a picture with the colour asked for on the background asked for, whatever the shape."""

    def fact(picture: Pixels) -> float:
        seen = verdict(picture, UNSEEN)
        return float(seen.has(color=one.color) and seen.background == one.background)

    return fact


def sees(shape: str) -> Fact:
    """1 for a picture with an unseen shape, told apart from the world's own."""
    return has((shape,), shape=shape)


def taught(bench: Bench, name: str, model: Any, shape: str, word: str) -> list[Measure]:
    """An unseen shape by a word, and what should stay: the prompt's colour and background, and known shapes."""
    seen = Measure(name, f"a {shape} is seen", f'the model alone, told "a {shape}"')
    apart = Measure(name, f"a {shape} is seen, told apart from other shapes that are not known", seen.note)
    rest = Measure(name, "colour and background as told", seen.note, "same")
    known = Measure(name, "known shapes as asked for", "the model alone, same prompt", "same")
    for one in bench.asked():
        plain = bench.made(bench.model, one.text(shape), one.seed)
        ours = bench.made(model, one.text(word), one.seed)
        seen.add(sees(shape), plain, ours)
        apart.add(has(UNSEEN, shape=shape), plain, ours)
        rest.add(coloured(one), plain, ours)
        known.add(right(one), *(bench.made(which, one.text(one.shape), one.seed) for which in (bench.model, model)))
        bench.keep(name, without=plain, with_=ours)
    return [seen, apart, rest, known]


Case = Callable[[Bench], Sequence[Measure]]
