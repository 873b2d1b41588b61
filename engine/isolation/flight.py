"""One call in a worker: what it needs there first, the message, what the node says meanwhile, and the answer."""

from __future__ import annotations

import contextlib
import queue
import threading
import weakref
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from weft.engine.declaring.context import Context
from weft.engine.errors import Cancelled, Elsewhere
from weft.engine.isolation.parcels import Parcel, Resident, next_serial, pack, unpack_outputs
from weft.engine.isolation.references import reference
from weft.engine.isolation.transport import Call, Transport, forget
from weft.engine.isolation.wire import Body
from weft.engine.planning.expansion import Expansion
from weft.engine.running.absent import MissingInput
from weft.engine.running.executor import Done, Task


def make_first(recipes: list[tuple[Resident, Task]], flight: Flight, stopped: Callable[[], bool]) -> None:
    """Make the live values that the worker lacks, one after another, then the call itself."""
    if not recipes:
        try:
            flight.start()
        except Exception as error:
            flight.ended(Done(flight.task.number, None, error, 0.0))
        return
    (value, recipe), *rest = recipes

    def made(result: Done) -> None:
        error = Cancelled("the run was cancelled") if result.error is None and stopped() else result.error
        if error is not None:
            flight.ended(Done(flight.task.number, None, error, result.seconds))
        else:
            make_first(rest, flight, stopped)

    # In the name of the node that needs it: its progress is that node's, and so is its failure.
    again = Task(flight.task.number, recipe.type, recipe.inputs, flight.task.context, timeout=recipe.timeout)
    try:
        Flight(again, made, flight.worker, again=value).start()
    except Exception as error:
        made(Done(again.number, None, error, 0.0))


class Flight:
    """One call, from the message that asks for it to the answer.

    Args:
        ended: called once.
        worker: where it goes; known when it starts.
        again: the live value that is made again: the whole result stays in the worker, under that one's name.
        function: what of the node type is called instead of the node.
        seconds: how long it may take; None for what the worker's limits say.

    Raises:
        codec.NotStorable: an input is alive in this process and cannot leave it.
    """

    worker: Transport

    def __init__(
        self,
        task: Task,
        ended: Callable[[Done], None],
        worker: Transport | None = None,
        again: Resident | None = None,
        function: dict[str, Any] | None = None,
        seconds: float | None = None,
    ) -> None:
        self.function = function
        self.seconds = seconds
        if worker is not None:
            self.worker = worker
        self.task = task
        self.ended = ended
        self.again = again
        self.serial = next_serial() if again is None else again.serial
        self.yielded: list[AbstractContextManager[None]] = []
        self.inputs = {name: item for name, item in task.inputs.items() if name != task.type.context_parameter}
        self.parcel: Parcel = pack(list(self.inputs.values()))

    def start(self) -> None:
        """Send it."""
        task, number = self.task, next_serial()
        message = {
            "do": "call",
            "number": number,
            "owner": self.worker.owner if self.again is None else self.again.owner,
            "serial": self.serial,
            "keeps": self.again is not None,
            "function": self.function,
            "type": reference(task.type),
            "names": list(self.inputs),
            "inputs": self.parcel.message,
            "sources": task.sources,
            "context": _settings(task.context) if task.type.context_parameter is not None else None,
        }
        node = task.context.own_id if task.context is not None else task.type.name
        body, self.parcel.body = self.parcel.body, []
        call = Call(node, self.on_message, self.on_end, self.seconds, timeout=task.timeout)
        self.worker.call(number, call, message, body)

    def on_message(self, message: dict[str, Any], body: Body) -> None:
        """What the node says while it runs. On the listener's thread."""
        if message["say"] == "ask":
            # Not here: what it asks for may take long, or need another node to run in the worker first.
            threading.Thread(target=self._answer, args=(message,), name="weft-answer", daemon=True).start()
            return
        context = self.task.context
        if context is None:
            return
        if message["say"] == "used":
            context.used(str(message["what"]))
        elif message["say"] == "report":
            context.relay(message["kind"], message["data"], bytes(body))

    def on_end(self, message: dict[str, Any] | None, body: Body, error: BaseException | None) -> None:
        """The answer, or why there is none. On the listener's thread."""
        value: Any = None
        seconds = imports = 0.0
        if message is not None:
            seconds, imports = message["seconds"], message["imports"]
            try:
                if message["error"] is not None:
                    error = _error(message["error"])
                elif self.again is not None:
                    name = self.again.owner, self.serial
                    self.worker.live.update((*name, position) for position in range(message["count"]))
                else:
                    items = unpack_outputs(message["values"], body, self._recipe())
                    self._remember(items)
                    if "graph" in message:
                        value = Expansion.of_message(message["graph"], items, self.inputs)
                    else:
                        value = tuple(items) if message["several"] else items[0]
            except Exception as raised:
                error = raised
        self.ended(Done(self.task.number, value, error, seconds, imports))

    def _recipe(self) -> Task:
        """The call, to be repeated where its live outputs are not."""
        return Task(0, self.task.type, self.inputs, None, timeout=self.task.timeout)

    def _remember(self, items: list[Any]) -> None:
        """Let workers forget a live value when nobody here names it any more."""
        for item in items:
            if type(item) is Resident:
                self.worker.live.add(item.address)
                weakref.finalize(item, forget, item.address).atexit = False

    def _yield(self, back: bool) -> None:
        """The node lets others have its device, or wants it back and waits for it."""
        if back:
            self.yielded.pop().__exit__(None, None, None)
        elif self.task.context is not None:
            pause = self.task.context.yield_device()
            pause.__enter__()
            self.yielded.append(pause)

    def make_again(self, recipes: list[tuple[Resident, Task]]) -> None:
        """Make what the worker lacks; waits for it."""
        for value, recipe in recipes:
            made: queue.SimpleQueue[Done] = queue.SimpleQueue()
            task = Task(0, recipe.type, recipe.inputs, self.task.context, timeout=recipe.timeout)
            Flight(task, made.put, self.worker, again=value).start()
            if (error := made.get().error) is not None:
                raise error

    def _answer(self, question: dict[str, Any]) -> None:
        answer: dict[str, Any] = {"do": "answer", "number": question["number"], "error": ""}
        body: list[Any] = []
        try:
            if question["question"] == "yield":
                self._yield(question["back"])
            elif question["question"] == "provenance":
                context, image = self.task.context, (question.get("image", 1), question.get("count", 1))
                answer["texts"] = (
                    context.provenance(*image, **question.get("inputs", {})) if context is not None else {}
                )
            else:
                parcel = pack([self.parcel.lazy[question["which"]]()])
                self.make_again(recipes_for(parcel.residents, self.worker))
                answer["values"], body = parcel.message, parcel.body
        except BaseException as error:
            answer["error"] = f"{type(error).__name__}: {error}"
            if isinstance(error, MissingInput):
                answer |= {"error": str(error), "missing": True}
        with contextlib.suppress(OSError):
            self.worker.send(answer, body)


def recipes_for(residents: list[Resident], worker: Transport) -> list[tuple[Resident, Task]]:
    """The calls that the worker has to make before it has these live values, each after what it needs."""
    missing = [resident.address for resident in residents if resident.address not in worker.live]
    if missing:
        worker.adopt(missing)
    order: list[tuple[Resident, Task]] = []
    seen: set[tuple[str, int]] = set()
    stack = [(resident, False) for resident in reversed(residents)]
    while stack:
        resident, ready = stack.pop()
        if ready:
            order.append((resident, resident.recipe))
        elif (resident.owner, resident.serial) not in seen and resident.address not in worker.live:
            seen.add((resident.owner, resident.serial))
            stack.append((resident, True))
            stack.extend((needed, False) for needed in pack(list(resident.recipe.inputs.values())).residents)
    return order


def _settings(context: Context | None) -> dict[str, Any] | None:
    if context is None:
        return None
    trails = context.trails
    folder = None if trails is None or trails.disk is None else str(trails.disk.folder)
    found = None if trails is None else [trails.memory.ram_bytes, folder, trails.disk.max_bytes if trails.disk else 0]
    places = context.workspaces
    return context.settings() | {
        "trails": found,
        "workspaces": None if places is None else [str(places.folder), places.max_bytes],
    }


def _error(data: dict[str, Any]) -> BaseException:
    return Cancelled(data["cancelled"]) if "cancelled" in data else Elsewhere(**data)
