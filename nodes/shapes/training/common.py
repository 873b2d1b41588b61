"""What the three training scripts share: arguments, checkpoints that survive a kill, loss curves."""

from __future__ import annotations

import argparse
import json
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file


def arguments(
    description: str,
    steps: int,
    work: str = "build/shapes",
    more: Callable[[argparse.ArgumentParser], None] | None = None,
) -> argparse.Namespace:
    """The command line that all scripts share; ``more`` adds to it."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--work", type=Path, default=Path(work), help="folder of checkpoints and curves")
    parser.add_argument("--steps", type=int, default=steps)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1, help="one is right on a busy machine")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--minutes", type=float, default=0, help="fit the schedule into this time; 0 means by --steps")
    if more is not None:
        more(parser)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    args.work.mkdir(parents=True, exist_ok=True)
    return args


@contextmanager
def asked_to_stop() -> Iterator[list[int]]:
    """While SIGTERM ends a recipe at its next step and not at once: the list, empty at first, has what was asked."""
    asked: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: asked.append(number))
    try:
        yield asked
    finally:
        signal.signal(signal.SIGTERM, before)


class Checkpoint:
    """Tensors plus a JSON state in one safetensors file, replaced atomically."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def save(self, tensors: Mapping[str, torch.Tensor], state: Mapping[str, object]) -> None:
        temporary = self.path.with_suffix(".tmp")
        flat = {k: v.detach().contiguous().cpu() for k, v in tensors.items()}
        save_file(flat, temporary, metadata={"state": json.dumps(state)})
        os.replace(temporary, self.path)

    def load(self) -> tuple[dict[str, torch.Tensor], dict] | None:
        if not self.path.exists():
            return None
        from safetensors import safe_open

        with safe_open(self.path, "pt") as handle:
            state = json.loads(handle.metadata()["state"])
        return load_file(self.path), state


def flatten_optimizer(optimizer: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    """An optimizer's state as named tensors, in parameter order."""
    found = {}
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    for index, parameter in enumerate(parameters):
        for key, value in optimizer.state.get(parameter, {}).items():
            found[f"optimizer.{index}.{key}"] = torch.as_tensor(value)
    return found


def restore_optimizer(optimizer: torch.optim.Optimizer, tensors: Mapping[str, torch.Tensor]) -> None:
    """The inverse of :func:`flatten_optimizer`."""
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    for name, value in tensors.items():
        if name.startswith("optimizer."):
            _, index, key = name.split(".", 2)
            parameter = parameters[int(index)]
            optimizer.state[parameter][key] = value.clone() if key == "step" else value.to(parameter.device).clone()


class Curve:
    """A loss curve: printed now and then, written as JSON lines and drawn as PNG."""

    def __init__(self, path: Path, every: int = 25) -> None:
        self.path, self.every, self.started = path, every, time.monotonic()
        self.sums: dict[str, float] = {}
        self.count = 0
        self.rows: list[dict[str, float]] = []
        if path.exists():
            self.rows = [json.loads(line) for line in path.read_text().splitlines()]

    def add(self, step: int, **values: float) -> None:
        for key, value in values.items():
            self.sums[key] = self.sums.get(key, 0.0) + float(value)
        self.count += 1
        if self.count == self.every:
            row = {"step": step, **{k: v / self.count for k, v in self.sums.items()}}
            self.rows = [r for r in self.rows if r["step"] < step] + [row]
            seconds = (time.monotonic() - self.started) / self.count
            print(" ".join(f"{k} {v:.5g}" for k, v in row.items()), f"({seconds:.3f} s/step)", flush=True)
            self.sums, self.count, self.started = {}, 0, time.monotonic()

    def write(self) -> None:
        self.path.write_text("".join(json.dumps(row) + "\n" for row in self.rows))

    def draw(self, png: Path, title: str) -> None:
        import matplotlib

        matplotlib.use("Agg")
        from matplotlib import pyplot

        figure, axes = pyplot.subplots(figsize=(7, 4))
        for key in [k for k in self.rows[0] if k not in ("step", "lr")] if self.rows else []:
            axes.plot([r["step"] for r in self.rows], [r[key] for r in self.rows], label=key)
        axes.set(yscale="log", xlabel="step", ylabel="loss", title=title)
        axes.grid(alpha=0.3)
        axes.legend()
        figure.tight_layout()
        figure.savefig(png, dpi=110)
        pyplot.close(figure)
