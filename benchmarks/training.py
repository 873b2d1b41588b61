"""How fast a training step is: ours beside pure forward and backward, and beside a plain loop as the example scripts.

    python -m benchmarks.training                     # JSON; some 5 minutes
    python -m benchmarks.training --preset tiny --task lora

The legs take turns in one run; times are of the process's CPU on one thread, medians over the rounds. Ours has warm
caches, which a training has after its first epoch. Sizes are of a checkpoint and of the adapter that it holds.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

from benchmarks.training_models import Preset, build_model, write_pictures
from benchmarks.training_reference import PROMPT, TOKEN, WORD, Reference, Task


class Ours:
    """A training of ours, a step at a time; and its forward and backward alone, on a batch that lies ready."""

    def __init__(self, task: Task, folder: Path, pictures: Path, batch: int) -> None:
        from weft.engine import Context
        from weft.nodes import load_model
        from weft.nodes.training.checkpoints import Checkpoints
        from weft.nodes.training.recipe import Samples
        from weft.nodes.training.trainer import _Training

        model, ctx = load_model(str(folder), dtype="float32", device="cpu"), Context()
        self.recipe, goal, options = handed_over(task, model, _dataset(task, pictures), batch)
        places = Checkpoints(Path(tempfile.mkdtemp()))
        self.training = _Training(self.recipe, goal, options, ctx, places, "benchmark", None)
        self.number = self.training._resume()
        draws = self.training.draws
        samples = Samples(0, tuple(range(batch)), tuple(self.training.order.items(0)), draws)
        items = [self.recipe.material.instances[place] for place in samples.items]
        self.batch = self.recipe.batch(items, samples, "")

    def step(self) -> None:
        """One step of the optimizer."""
        self.training._step(self.number)
        self.number += 1

    def pure(self) -> None:
        """Forward and backward: of the text encoder too, where it is a part of what learns."""
        own, batch = self.recipe, self.batch
        noisy = own.objective.noisy(batch.clean, batch.noise, batch.times)
        predicted = own.predict(noisy, batch.times, own.condition(batch), (batch,))
        (predicted - batch.noise).square().mean().backward()
        for parameter in self.training.parameters.values():
            parameter.grad = None

    def sizes(self) -> dict[str, float]:
        """Bytes of a checkpoint and of the adapter's tensors."""
        from safetensors.torch import save

        saved: Any = self.training._save(self.number)
        adapter = self.recipe.export({name: p.detach().clone() for name, p in self.training.parameters.items()})
        wrote = sum(file.stat().st_size for file in saved.folder.iterdir())
        plain = len(save(adapter.tensors))
        return {"checkpoint": wrote, "adapter": plain, "times": round(wrote / plain, 2)}


def _dataset(task: Task, folder: Path) -> Any:
    from weft.nodes.training.pictures import digest_of
    from weft.nodes.values.training import Dataset, Item, Picture

    caption = PROMPT.replace(WORD, TOKEN) if task == "textual_inversion" else PROMPT
    files = [(file, digest_of(file.read_bytes())) for file in sorted(folder.glob("*.jpg"))]
    return Dataset(tuple(Item(Picture(file.name, digest, str(file)), caption) for file, digest in files))


def handed_over(task: Task, model: Any, dataset: Any, batch: int) -> tuple[Any, Any, Any]:
    """The recipe, goal and options that a node hands to the trainer."""
    from weft import nodes
    from weft.nodes.training import running

    found: list[Any] = []

    def take(recipe: Any, model: Any, goal: Any, options: Any, ctx: Any) -> None:
        found.append((recipe, goal, options))

    own: dict[str, Any] = {"steps": 10**6, "learning_rate": 1e-4, "batch": batch}
    if task == "textual_inversion":
        own |= {"tokens": [TOKEN], "init": [WORD]}
    before, running.run_training = running.run_training, take  # type: ignore[assignment]
    try:
        getattr(nodes, f"train_{task}")(model, dataset, **own)
    finally:
        running.run_training = before
    return found[0]


def measure(legs: dict[str, Callable[[], None]], rounds: int, steps: int) -> dict[str, list[float]]:
    """CPU milliseconds of a step, by leg and round; the legs take turns, each a few steps at a time."""
    found: dict[str, list[float]] = {name: [] for name in legs}
    for name in legs:
        legs[name]()
    for number in range(rounds):
        for name in list(legs) if number % 2 else list(reversed(legs)):
            began = time.process_time()
            for _ in range(steps):
                legs[name]()
            found[name].append(1000 * (time.process_time() - began) / steps)
    return found


def case(task: Task, preset: Preset, batch: int, rounds: int, steps: int, folder: Path) -> dict[str, Any]:
    """The row of one task on one model."""
    model = folder / preset
    if not model.exists():
        build_model(model, preset)
    pictures = write_pictures(folder / "pictures", 8)
    ours, reference = Ours(task, model, pictures, batch), Reference(task, model, pictures, batch, folder / "log")
    times = measure({"pure": ours.pure, "ours": ours.step, "reference": reference.step}, rounds, steps)
    pure, own, other = (statistics.median(times[name]) for name in ("pure", "ours", "reference"))
    # Ratios within a round, whose legs ran beside each other.
    over = statistics.median(o / p for o, p in zip(times["ours"], times["pure"], strict=True))
    faster = statistics.median(r / o for r, o in zip(times["reference"], times["ours"], strict=True))
    return {
        "task": task,
        "model": preset,
        "batch": batch,
        "pure_ms": round(pure, 1),
        "ours_ms": round(own, 1),
        "reference_ms": round(other, 1),
        "ours_over_pure": round(over, 3),
        "reference_over_ours": round(faster, 2),
        "bytes": ours.sizes(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", choices=get_args(Preset), action="append")
    parser.add_argument("--task", choices=get_args(Task), action="append")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--steps", type=int, default=0, help="of each leg in a round; 0 suits the model")
    args = parser.parse_args()
    import torch

    torch.set_num_threads(1)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for preset in args.preset or get_args(Preset):
            for task in args.task or get_args(Task):
                steps = args.steps or (2 if preset == "mid" else 10)
                rows.append(case(task, preset, args.batch, args.rounds, steps, Path(folder)))
                print(json.dumps(rows[-1]), flush=True)
    print(json.dumps({"rows": rows}, indent=1))


if __name__ == "__main__":
    main()
