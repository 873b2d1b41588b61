"""Where nodes run. The scheduler hands over tasks and is told what became of them; it does not know where they ran."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from weft.engine.checking.functions import Functions
from weft.engine.declaring.context import CancelToken, Context
from weft.engine.declaring.node_type import NodeType
from weft.engine.planning.expansion import Expansion
from weft.engine.running.devices import ON_DEVICE, Devices
from weft.engine.surroundings import Surroundings
from weft.graphs.builder import Graph


@dataclass(slots=True)
class Task:
    """One call of a node.

    Attributes:
        slot: of the device that it may use; None for nodes that need none.
    """

    number: int
    type: NodeType
    inputs: dict[str, Any]
    context: Context | None
    slot: int | None = None


@dataclass(slots=True)
class Done:
    """How a task ended: with a value (an Expansion where the node returned a graph), or with what was raised."""

    number: int
    value: Any
    error: BaseException | None
    seconds: float


class Executor(Protocol):
    """Runs the tasks of one run. `done` may be called from any thread, also before `submit` returns, once for each
    task.

    Attributes:
        devices: the slots of the devices that it has for itself; None where it uses those of this process.
    """

    devices: Devices | None

    def call(self, task: Task) -> Done | None:
        """Run a short task here and now, which saves the way to a thread; None where tasks run elsewhere."""

    def submit(self, task: Task, done: Callable[[Done], None]) -> None:
        """Run a task. Returns at once."""

    def functions(self, cancel: CancelToken) -> Functions:
        """Who calls what node types bring along beside the node; `cancel` ends the waiting for it."""

    def stop(self) -> None:
        """Interrupt the tasks in flight as far as that can be done; each still reports through `done`."""

    def close(self) -> None:
        """Stop, and leave nothing running."""


def call(task: Task, around: Surroundings | None = None) -> Done:
    """Run an ordinary node here and now, and put back what it changed of the process.

    Raises:
        KeyboardInterrupt: Ctrl-C came meanwhile.
    """
    start = time.perf_counter()
    value, error = None, None
    marked = ON_DEVICE.set(True) if task.type.resource == "device" else None
    if around is not None:
        around.enter()
    try:
        value = task.type.fn(**task.inputs)
        if type(value) is Graph:
            value = Expansion.of(value, task.inputs)
    except KeyboardInterrupt:
        raise
    except BaseException as raised:  # whatever a node raises is its own failure
        error = raised
    finally:
        if marked is not None:
            ON_DEVICE.reset(marked)
        if around is not None:
            around.restore(task.type.name)
        if task.context is not None:
            task.context.close()
    return Done(task.number, value, error, time.perf_counter() - start)
