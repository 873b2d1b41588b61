"""Trainings over two processes on the CPU, as a launcher starts them: `python -m tests.nodes.training.processes_case`.

The processes are forked from one that has imported everything, which is what takes the time. Each writes what it got
of every training into the folder that is given, as `NAME.RANK.json`.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import accelerate.utils
import diffusers.optimization
import torch

from tests.nodes.training.toy import Toy
from tests.nodes.training.train_case import Told, context
from weft.engine import Cancelled, CancelToken
from weft.nodes.sampling.content import code
from weft.nodes.training.recipe import Samples
from weft.nodes.training.trainer import Goal, train
from weft.nodes.values.train_options import TrainOptions

GOAL = Goal(4, 0.1, batch=3, seed=3)
OPTIONS = TrainOptions(accumulation=2, ema=0.5, checkpoint_every=2, validate_every=2)
PER_STEP = GOAL.batch * OPTIONS.accumulation


def main(folder: Path) -> None:
    assert torch.get_num_threads() == 1
    assert code(), (accelerate.utils, diffusers.optimization.get_scheduler)
    launched(lambda rank: together(folder, rank))
    launched(lambda rank: killed(folder))
    launched(lambda rank: told(folder, rank, "again", "killed", Toy()))


def launched(job: Callable[[int], None]) -> None:
    """Two processes with what torchrun says to its own; all are over at its end."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    pids = []
    for rank in range(2):
        pid = os.fork()
        if pid == 0:
            signal.alarm(240)  # a deadlock ends
            os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2"}
            os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank)}
            try:
                job(rank)
            finally:
                sys.stdout.flush()
                os._exit(0)
        pids.append(pid)
    for pid in pids:
        os.waitpid(pid, 0)


def together(folder: Path, rank: int) -> None:
    """Trainings one after the other, most of which end with an error: none spoils the next one."""
    told(folder, rank, "straight", "straight", Toy())
    told(folder, rank, "few", "few", Toy(), Goal(4, 0.1, batch=1, seed=3))
    token = CancelToken()
    signal.signal(signal.SIGINT, lambda *_: token.cancel())
    stop = in_step(2, lambda: os.kill(os.getpid(), signal.SIGINT)) if rank == 1 else None
    told(folder, rank, "cancelled", "cancelled", Toy(before=stop), cancel=token)
    told(folder, rank, "resumed", "cancelled", Toy())
    told(folder, rank, "memory", "memory", Toy(before=too_large if rank == 1 else None), Goal(4, 0.1, batch=8, seed=3))
    told(folder, rank, "failed", "failed", Toy(before=in_step(2, fail) if rank == 1 else None))
    told(folder, rank, "others", "others", Toy(), Goal(4, 0.1 * (1 + rank), batch=3))
    toy = Toy()
    toy.before = in_step(3, lambda: spoil(toy)) if rank == 1 else None
    told(folder, rank, "nan", "nan", toy)


def killed(folder: Path) -> None:
    """Both are killed after the checkpoint of step 2."""
    toy = Toy(before=in_step(2, lambda: os.kill(os.getpid(), signal.SIGKILL)))
    train(toy, GOAL, OPTIONS, context(folder / "killed"))


def in_step(step: int, what: Callable[[], None]) -> Callable[[Samples], None]:
    """Call something before each forward of a step, from 0."""
    return lambda samples: what() if samples.step == step else None


def fail() -> None:
    raise ValueError("this process fails")


def too_large(samples: Samples) -> None:
    if len(samples) > 2:
        raise torch.OutOfMemoryError("CUDA out of memory")


def spoil(toy: Toy) -> None:
    with torch.no_grad():
        toy.line.fill_(float("nan"))


def told(
    folder: Path,
    rank: int,
    name: str,
    cache: str,
    toy: Toy,
    goal: Goal = GOAL,
    cancel: CancelToken | None = None,
) -> None:
    """Train, and write down what came of it."""
    reports = Told()
    found: dict[str, Any] = {"error": ""}
    try:
        result = train(toy, goal, OPTIONS, context(folder / cache, reports, cancel))
    except (Exception, Cancelled) as error:
        found["error"] = f"{type(error).__name__}: {error}"
    else:
        found["weights"] = {key: tensor.tolist() for key, tensor in result.adapter.tensors.items()}
        found["curve"] = {key: [list(part) for part in result.curve.column(key)] for key in result.curve.columns}
        found["checkpoint"] = [result.checkpoint.step, result.checkpoint.folder, result.checkpoint.digest]
    found |= {"seen": toy.seen, "validated": len(toy.validated), "kinds": sorted({kind for kind, _ in reports.reports})}
    found["steps"] = sorted(path.name for path in (folder / cache).glob("*/step-*"))
    (folder / f"{name}.{rank}.json").write_text(json.dumps(found), "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
