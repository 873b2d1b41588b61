"""A process that is warm, and from which trainings are started that are killed: each is a process of its own (a fork).

So is one that makes pairs of pictures.

Takes a line of JSON for each on the standard input, and answers with one: how the process ended.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from pathlib import Path
from typing import Any

import torch

from tests.nodes.train.recipes_to_kill import CALLS, Red, warm
from tests.nodes.training.train_case import context, tiny_model
from weft.nodes import preferences
from weft.nodes.datasets import candidates
from weft.nodes.training import checkpoints, encoding, precision
from weft.nodes.values import Model
from weft.nodes.values.train_options import TrainOptions

STEPS, OPTIONS = 5, TrainOptions(accumulation=2, checkpoint_every=2)


def die() -> None:
    """As the kernel does it when memory runs out: nothing of ours runs after it."""
    os.kill(os.getpid(), signal.SIGKILL)


def kill_at(micro_step: int) -> None:
    """End this process after so many backward passes of it."""
    before, count = precision.Numerics.backward, 0

    def backward(self: Any, loss: torch.Tensor) -> None:
        nonlocal count
        before(self, loss)
        count += 1
        if count == micro_step:
            die()

    precision.Numerics.backward = backward  # type: ignore[method-assign]


def kill_while_writing(step: int) -> None:
    """End this process when the tensors of a checkpoint are on the disk and the rest is not."""
    before = checkpoints._write_meta

    def write(folder: Path, meta: Any) -> None:
        if meta["step"] == step:
            die()
        before(folder, meta)

    checkpoints._write_meta = write


def train(model: Model, task: dict[str, Any]) -> None:
    """Do a task to its end, if nothing ends it before; leaves what was learned in a file."""
    from safetensors.torch import save_file

    if task.get("kill"):
        kill_at(task["kill"])
    if task.get("write"):
        kill_while_writing(task["write"])
    _, call = CALLS[task["recipe"]]
    found = call(model, OPTIONS, context(Path(task["cache"])), STEPS)
    tensors = {f"adapter {name}": tensor for name, tensor in found.adapter.tensors.items()}
    for name, (steps, values) in found.curve.columns.items():
        tensors |= {f"steps of {name}": steps, f"values of {name}": values}
    save_file(tensors, task["result"])


def make_pairs(model: Model, task: dict[str, Any]) -> None:
    """Make pairs, if nothing ends this process before; leaves the pictures and which seeds were drawn in a file.

    kill: at the end of so many drawings. write: as the file of so many drawings is put in its place.
    """
    drawn: list[int] = []
    denoise, replace = candidates.denoise, os.replace

    def counted(*args: Any, **options: Any) -> Any:
        drawn.append(options["seed"])
        found = denoise(*args, **options)
        if len(drawn) == task.get("kill"):
            die()
        return found

    def replaced(*paths: Any) -> None:
        if len(drawn) == task.get("write"):
            die()
        replace(*paths)

    candidates.denoise = counted  # type: ignore[attr-defined]
    encoding.os.replace = replaced  # type: ignore[attr-defined]
    data = preferences(
        model,
        ["a red circle", "a cat"],
        Red(),
        task["pairs"],
        candidates=2,
        sampling_steps=2,
        eta=0.5,
        seed=3,
        ctx=context(Path(task["cache"])),
    )
    pictures = [(item.caption, item.picture.digest, item.condition and item.condition.digest) for item in data.items]
    Path(task["result"]).write_text(json.dumps({"pictures": pictures, "skipped": data.skipped, "drawn": drawn}))


def main() -> None:
    """Serve until the standard input ends. The first argument is a folder for the model."""
    torch.set_num_threads(1)
    model = tiny_model(Path(sys.argv[1]) / "model")
    warm(model)
    print("ready", flush=True)
    for line in sys.stdin:
        task = json.loads(line)
        child = os.fork()
        if not child:
            code = 1
            try:
                (make_pairs if "pairs" in task else train)(model, task)
                code = 0
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(code)
        _, status = os.waitpid(child, 0)
        print(json.dumps(os.waitstatus_to_exitcode(status)), flush=True)


if __name__ == "__main__":
    main()
