"""Where nodes run. The scheduler hands over tasks and is told what became of them; it does not know where they ran."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol, overload

from weft.engine.catalogue.code import draws
from weft.engine.checking.functions import Functions
from weft.engine.declaring.context import Context
from weft.engine.declaring.following import CancelToken
from weft.engine.declaring.node_type import NodeType
from weft.engine.errors import Cancelled
from weft.engine.importing import INSIDE, Imports
from weft.engine.ownership import UNCHANGING
from weft.engine.planning.expansion import Expansion
from weft.engine.running.devices import ON_DEVICE, Devices
from weft.engine.running.handover import Handover
from weft.engine.surroundings import Surroundings, may_begin_to_draw
from weft.graphs.builder import Graph


@dataclass(slots=True)
class Task:
    """One call of a node.

    Attributes:
        inputs: as the engine holds them; who runs the task gives the node copies.
        slot: of the device that it may use; None for nodes that need none.
        timeout: seconds that the call may take; None for no limit. A call that takes longer is reported as ended by a
            NodeTimeout, and is stopped where that can be done.
        sources: whose result each input is, where the debug mode looks whether the node changes it; else None.
    """

    number: int
    type: NodeType
    inputs: dict[str, Any]
    context: Context | None
    slot: int | None = None
    timeout: float | None = None
    sources: dict[str, str] | None = None


@dataclass(slots=True)
class Done:
    """How a task ended: with a value (an Expansion where the node returned a graph), or with what was raised.

    Attributes:
        imports: how many of its seconds it imported modules.
    """

    number: int
    value: Any
    error: BaseException | None
    seconds: float
    imports: float = 0.0


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


HALF = "the run was cancelled, and the node saw it: what it returned may be half of its result"


@overload
def call(task: Task, around: Surroundings | None = ..., *, wait: Literal[True] = ...) -> Done: ...


@overload
def call(task: Task, around: Surroundings | None = ..., *, wait: bool) -> Done | None: ...


def call(task: Task, around: Surroundings | None = None, *, wait: bool = True) -> Done | None:
    """Run an ordinary node, and put back what it changed of the process (see `surroundings`).

    Args:
        around: None for nodes of ours that only hand on what they get: they get it as it is.
        wait: for the generators that it draws from, when another node has them; else None is returned at once.

    Raises:
        KeyboardInterrupt: Ctrl-C came meanwhile.
    """
    # In one function: what a node raises keeps the frames that it came through, and those the task.
    start = time.perf_counter()
    value: Any = None
    error: BaseException | None = None
    turn = None
    if around is not None and draws(task.type):
        if not wait and not may_begin_to_draw():
            return None
        turn = around.drawing()
    imports = Imports()
    inside = INSIDE.set(imports)
    marked = ON_DEVICE.set(True) if task.type.resource == "device" else None
    if around is not None:
        around.enter()
    try:
        if around is None:
            value = task.type.fn(**task.inputs)
            if type(value) is Graph:
                value = Expansion.of(value, task.inputs)
        else:
            inputs, handover = task.inputs, None
            # Most calls of quick nodes are of numbers and texts, which need no copies: that must cost next to nothing.
            if (
                task.sources is not None
                or task.type.changing_defaults
                or not UNCHANGING.issuperset(map(type, inputs.values()))
            ):
                handover = Handover(inputs, task.sources, task.type.changing_defaults)
                inputs = handover.inputs
            if turn is None:
                box = [task.type.fn(**inputs)]
            else:
                with turn:
                    box = [task.type.fn(**inputs)]
            if handover is None and type(box[0]) in UNCHANGING:
                value = box[0]
            else:
                inputs = {}  # what the node hands on of them is the result's alone
                value = (handover or Handover(task.inputs)).result(box)
        if task.context is not None and task.context.saw_cancel:
            value, error = None, Cancelled(HALF)
    except KeyboardInterrupt:
        raise
    except BaseException as raised:  # whatever a node raises is its own failure
        error = raised
    finally:
        INSIDE.reset(inside)
        if marked is not None:
            ON_DEVICE.reset(marked)
        if around is not None:
            around.restore(task.type.name)
        if task.context is not None:
            task.context.close()
    return Done(task.number, value, error, time.perf_counter() - start, imports.seconds)
