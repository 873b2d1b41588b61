"""An executor whose nodes run in a worker process, and the cache that goes with it."""

from __future__ import annotations

import contextlib
import sys
import threading
import weakref
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from weft.engine.cache import Cache, codec
from weft.engine.cache.memory import MemoryTier
from weft.engine.catalogue.code import FOLDER_PREFIX, code_fingerprint
from weft.engine.declaring.context import Context
from weft.engine.declaring.node_type import NodeType
from weft.engine.errors import Cancelled, Elsewhere
from weft.engine.isolation.parcels import Parcel, Resident, holds_resident, next_serial, pack, storable, unpack_outputs
from weft.engine.isolation.supervisor import Call, Worker, forget
from weft.engine.isolation.wire import Body
from weft.engine.planning.expansion import Expansion
from weft.engine.running.devices import Devices
from weft.engine.running.executor import Done, Task
from weft.engine.values import Outputs

if TYPE_CHECKING:
    from weft.engine.events import Tier


class Isolated:
    """Runs the nodes of one run in a worker.

    Args:
        worker: nobody else uses it meanwhile.
        give_back: called in the end, when nothing is in flight any more.
    """

    devices: Devices | None = None

    def __init__(self, worker: Worker, give_back: Callable[[Worker], object]) -> None:
        self._worker = worker
        self._give_back: Callable[[Worker], object] | None = give_back
        self._flying = 0
        self._idle = threading.Condition()
        self._stopped = False
        worker.begin()

    def call(self, task: Task) -> Done | None:
        """See `Executor`: nothing runs here."""
        return None

    def submit(self, task: Task, done: Callable[[Done], None]) -> None:
        """See `Executor`."""
        with self._idle:
            self._flying += 1

        def ended(result: Done) -> None:
            if task.context is not None:
                task.context.close()
            try:
                done(result)
            finally:
                with self._idle:
                    self._flying -= 1
                    self._idle.notify_all()

        try:
            flight = _Flight(self._worker, task, next_serial(), ended)
            recipes = _recipes(flight.parcel.residents, self._worker)
        except codec.NotStorable as error:
            reason = f"{error.args[0].removesuffix(' cannot be written to disk')} was made in this process and cannot"
            ended(
                Done(task.number, None, Elsewhere("NotStorable", f"{reason} be taken to the one that runs nodes"), 0.0)
            )
        except Exception as error:
            ended(Done(task.number, None, error, 0.0))
        else:
            self._make(recipes, flight)

    def stop(self) -> None:
        """See `Executor`: a node that has not ended half a second later is ended with its process."""
        self._stopped = True
        self._worker.stop()

    def close(self) -> None:
        """See `Executor`."""
        give_back, self._give_back = self._give_back, None
        if give_back is None:
            return
        with self._idle:
            if self._flying:
                self.stop()
            while self._flying:
                self._idle.wait()
        self._worker.settle()
        give_back(self._worker)

    def _make(self, recipes: list[tuple[int, Task]], flight: _Flight) -> None:
        """Make the live values that the worker lacks, one after another, then the call itself."""
        if not recipes:
            try:
                flight.start()
            except Exception as error:
                flight.ended(Done(flight.task.number, None, error, 0.0))
            return
        (serial, recipe), *rest = recipes

        def made(result: Done) -> None:
            error = Cancelled("the run was cancelled") if result.error is None and self._stopped else result.error
            if error is not None:
                flight.ended(Done(flight.task.number, None, error, result.seconds))
            else:
                self._make(rest, flight)

        # In the name of the node that needs it: its progress is that node's, and so is its failure.
        again = Task(flight.task.number, recipe.type, recipe.inputs, flight.task.context)
        try:
            _Flight(self._worker, again, serial, made, keeps=True).start()
        except Exception as error:
            made(Done(again.number, None, error, 0.0))


class _Flight:
    """One call, from the message that asks for it to the answer.

    Args:
        serial: what live values of the result are known by.
        ended: called once.
        keeps: the whole result stays in the worker, as live values.

    Raises:
        codec.NotStorable: an input is alive in this process and cannot leave it.
    """

    def __init__(
        self, worker: Worker, task: Task, serial: int, ended: Callable[[Done], None], *, keeps: bool = False
    ) -> None:
        self.worker = worker
        self.task = task
        self.serial = serial
        self.ended = ended
        self.keeps = keeps
        self.yielded: list[AbstractContextManager[None]] = []
        self.inputs = {name: item for name, item in task.inputs.items() if name != task.type.context_parameter}
        self.parcel: Parcel = pack(list(self.inputs.values()))

    def start(self) -> None:
        """Send it."""
        task, number = self.task, next_serial()
        message = {
            "do": "call",
            "number": number,
            "serial": self.serial,
            "keeps": self.keeps,
            "type": _reference(task.type),
            "names": list(self.inputs),
            "inputs": self.parcel.message,
            "context": _settings(task.context) if task.type.context_parameter is not None else None,
        }
        node = task.context.node_id if task.context is not None else task.type.name
        body, self.parcel.body = self.parcel.body, []
        self.worker.call(number, Call(node, self.on_message, self.on_end), message, body)

    def on_message(self, message: dict[str, Any], body: Body) -> None:
        """What the node says while it runs. On the listener's thread."""
        if message["say"] == "ask":
            # Not here: what it asks for may take long, or need another node to run in the worker first.
            threading.Thread(target=self._answer, args=(message,), name="weft-answer", daemon=True).start()
            return
        context = self.task.context
        if context is None:
            return
        if message["say"] == "report":
            context.relay(message["kind"], message["data"], bytes(body))

    def on_end(self, message: dict[str, Any] | None, body: Body, error: BaseException | None) -> None:
        """The answer, or why there is none. On the listener's thread."""
        value: Any = None
        seconds = 0.0
        if message is not None:
            seconds = message["seconds"]
            try:
                if message["error"] is not None:
                    error = _error(message["error"])
                elif self.keeps:
                    self.worker.live.update((self.serial, position) for position in range(message["count"]))
                else:
                    items = unpack_outputs(message["values"], body, Task(0, self.task.type, self.inputs, None))
                    self._remember(items)
                    if "graph" in message:
                        value = Expansion.of_message(message["graph"], items, self.inputs)
                    else:
                        value = tuple(items) if message["several"] else items[0]
            except Exception as raised:
                error = raised
        self.ended(Done(self.task.number, value, error, seconds))

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

    def _answer(self, question: dict[str, Any]) -> None:
        answer: dict[str, Any] = {"do": "answer", "number": question["number"], "error": ""}
        body: list[Any] = []
        try:
            if question["question"] == "yield":
                self._yield(question["back"])
            elif question["question"] == "provenance":
                answer["texts"] = self.task.context.provenance() if self.task.context is not None else {}
            else:
                parcel = pack([self.parcel.lazy[question["which"]]()])
                if _recipes(parcel.residents, self.worker):
                    raise RuntimeError("it is alive in another worker")
                answer["values"], body = parcel.message, parcel.body
        except BaseException as error:
            answer["error"] = f"{type(error).__name__}: {error}"
        with contextlib.suppress(OSError):
            self.worker.channel.send(answer, body)


class IsolatedCache(Cache):
    """A cache as an isolated run sees it: with the values that live in workers, without those that live here.

    Args:
        inner: everything that can leave a process is looked up and kept there.
        live: for results that are Residents.
    """

    def __init__(self, inner: Cache, live: MemoryTier) -> None:
        self.memory = inner.memory
        self.disk = inner.disk
        self.trails = inner.trails
        self._live = live

    def find(self, key: bytes) -> Tier | None:
        """See `Cache`."""
        if self._live.get(key) is not None:
            return "memory"
        tier = super().find(key)
        if tier == "memory":
            outputs = self.memory.get(key)
            if outputs is not None and not storable(outputs):
                return None
        return tier

    def get(self, key: bytes) -> Outputs | None:
        """See `Cache`."""
        return self._live.get(key) or super().get(key)

    def put(self, key: bytes, outputs: Outputs, note: dict[str, Any] | None = None) -> None:
        """See `Cache`."""
        if not holds_resident(outputs):
            super().put(key, outputs, note)
        elif self.memory.ram_bytes:
            self._live.put(key, outputs)

    def drop(self, key: bytes) -> None:
        """See `Cache`."""
        self._live.drop(key)
        super().drop(key)

    def clear(self) -> int:
        """See `Cache`."""
        self._live.clear()
        return super().clear()


def _recipes(residents: list[Resident], worker: Worker) -> list[tuple[int, Task]]:
    """(serial number, call) of what the worker has to make before it has these, each after what it needs."""
    order: list[tuple[int, Task]] = []
    seen: set[int] = set()
    stack = [(resident, False) for resident in reversed(residents)]
    while stack:
        resident, ready = stack.pop()
        if ready:
            order.append((resident.serial, resident.recipe))
        elif resident.serial not in seen and resident.address not in worker.live:
            seen.add(resident.serial)
            stack.append((resident, True))
            stack.extend((needed, False) for needed in pack(list(resident.recipe.inputs.values())).residents)
    return order


_references: weakref.WeakKeyDictionary[NodeType, dict[str, Any]] = weakref.WeakKeyDictionary()


def _reference(node_type: NodeType) -> dict[str, Any]:
    """How a worker finds a node type.

    Raises:
        ValueError: it cannot, because no module has it at its head.
    """
    known = _references.get(node_type)
    if known is not None:
        return known
    fn = node_type.fn
    if fn.__module__ == "__main__" or "<locals>" in fn.__qualname__:
        place = "the script that was started" if fn.__module__ == "__main__" else "a function"
        raise ValueError(
            f"it is declared in {place}, where a worker process cannot find it: for isolated runs, put it into a file "
            "of a pack or of a folder of nodes"
        )
    package = fn.__module__.partition(".")[0]
    folder = sys.modules[package].__path__[0] if package.startswith(FOLDER_PREFIX) else None
    known = {
        "id": next_serial(),
        "name": node_type.name,
        "module": fn.__module__,
        "folder": folder,
        "code": code_fingerprint(fn),
    }
    _references[node_type] = known
    return known


def _settings(context: Context | None) -> dict[str, Any] | None:
    if context is None:
        return None
    trails = context.trails
    folder = None if trails is None or trails.disk is None else str(trails.disk.folder)
    found = None if trails is None else [trails.memory.ram_bytes, folder, trails.disk.max_bytes if trails.disk else 0]
    return context.settings() | {"trails": found}


def _error(data: dict[str, Any]) -> BaseException:
    return Cancelled(data["cancelled"]) if "cancelled" in data else Elsewhere(**data)
