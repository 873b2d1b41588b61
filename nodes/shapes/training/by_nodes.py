"""What the recipes share that train by Weft's own nodes: arguments, a context to train in, files in half precision.

Each such recipe is a short call of a training node, with the settings that were found for the bundled model. A run that
was stopped or killed goes on from its last checkpoint.
"""

from __future__ import annotations

import argparse
import signal
import statistics
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file

from weft.engine import Cancelled, CancelToken, Context
from weft.engine.cache.workspaces import Workspaces
from weft.nodes.images.encoding import encode
from weft.nodes.shapes.training.common import Curve
from weft.nodes.shapes.training.common import arguments as common_arguments
from weft.nodes.shapes.training.finetune import Example
from weft.nodes.training.pictures import digest_of
from weft.nodes.values import Model
from weft.nodes.values.trained import Trained
from weft.nodes.values.training import Adapter, Dataset, Item, Picture

CHECKPOINT_BYTES = 8 * 2**30
"""What checkpoints and encoded pictures may take; those that were not used for the longest time go first."""
EVERY = 20
"""Steps of which the curve that is drawn shows the mean."""


def arguments(
    description: str, steps: int, batch: int, pool: int, out: str = "nodes/shapes/variants"
) -> argparse.Namespace:
    """The command line of a recipe that calls a training node."""

    def more(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--base", default="shapes", help="the model to start from")
        parser.add_argument("--out", type=Path, default=Path(out), help="where the result goes")
        parser.add_argument("--batch", type=int, default=batch)
        parser.add_argument("--pool", type=int, default=pool, help="pictures to train on")

    return common_arguments(description, steps, "build/variants", more)


class Printed:
    """Says on the standard error how a training goes, every so many steps."""

    def __init__(self, every: int = EVERY) -> None:
        self.every = every

    def report(self, node: str, kind: str, data: Mapping[str, Any], body: bytes = b"") -> None:
        """Take what a node says."""
        if kind == "progress" and (data["step"] % self.every == 0 or data["step"] == data["total"]):
            print(f"{data['step']}/{data['total']} {data['message']}", file=sys.stderr, flush=True)


@contextmanager
def training(args: argparse.Namespace) -> Iterator[tuple[Model, Context]]:
    """The base model, and a context to call nodes with: checkpoints lie in the recipe's folder, and SIGTERM stops the
    training once it has saved one.
    """
    from weft.nodes import load_model

    cancel = CancelToken()
    before = signal.signal(signal.SIGTERM, lambda number, frame: cancel.cancel())
    try:
        spaces = Workspaces(args.work / "workspaces", CHECKPOINT_BYTES)
        yield (
            load_model(args.base, dtype="float32", device=args.device),
            Context(cancel=cancel, listener=Printed(), workspaces=spaces),
        )
    except Cancelled:
        raise SystemExit("stopped; run again to go on") from None
    finally:
        signal.signal(signal.SIGTERM, before)


def dataset_of(examples: Iterable[Example]) -> Dataset:
    """Drawn pictures with captions, each with its hint (or the picture before it) as its condition, as a data set."""
    items = []
    for number, one in enumerate(examples):
        condition = one.hint if one.hint is not None else one.source
        items.append(
            Item(
                _picture(one.picture, f"{number}.png"),
                one.caption,
                None if condition is None else _picture(condition, f"{number}.condition.png"),
            )
        )
    return Dataset(tuple(items))


def _picture(pixels: NDArray[np.uint8], name: str) -> Picture:
    data = encode(PIL.Image.fromarray(pixels), "png")
    return Picture(name, digest_of(data), data=data)


def net_of(adapter: Adapter, kind: Any) -> Any:
    """A network beside the denoiser, as a module of diffusers."""
    net = kind.from_config(adapter.settings["config"])
    net.load_state_dict({name.removeprefix("net."): tensor for name, tensor in adapter.tensors.items()})
    return net


def draw_curve(trained: Trained, name: str, folder: Path) -> None:
    """The loss of a training over its steps, as JSON lines and as a picture."""
    curve = Curve(folder / f"{name}.jsonl")
    steps, losses = trained.curve.column("loss")
    curve.rows = [
        {"step": steps[min(k + EVERY, len(steps)) - 1], "loss": statistics.fmean(losses[k : k + EVERY])}
        for k in range(0, len(steps), EVERY)
    ]
    curve.write()
    curve.draw(folder / f"{name}.png", name)


def save_half(tensors: Mapping[str, torch.Tensor], file: Path) -> None:
    """Tensors in half precision, as the bundled files are."""
    file.parent.mkdir(parents=True, exist_ok=True)
    half = {name: tensor.detach().half().contiguous().cpu() for name, tensor in tensors.items()}
    save_file(half, file, metadata={"format": "pt"})
    print(f"{file}: {len(half)} tensors, {file.stat().st_size / 1e6:.3f} MB", flush=True)
