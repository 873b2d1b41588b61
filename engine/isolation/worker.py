"""The other process: receives calls of nodes, makes them as any run in a process would, and sends what came of them.

The main thread takes the calls, another one listens, so that a cancel is heard while a node runs, and a third tells
every quarter of a second that Python still moves. When the parent is gone the guard (`engine.isolation.guard`) ends
this process, even in the middle of a C loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import faulthandler
import functools
import itertools
import os
import queue
import signal
import socket
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from weft.engine.cache.trails import Trails
from weft.engine.cache.workspaces import Workspaces
from weft.engine.catalogue.code import draws
from weft.engine.declaring.context import Context
from weft.engine.declaring.following import CancelToken
from weft.engine.declaring.node_type import NodeType
from weft.engine.declaring.ports import Lazy
from weft.engine.declaring.reading import set_reading
from weft.engine.errors import Cancelled, NodeError
from weft.engine.importing import watch_imports
from weft.engine.isolation import memory
from weft.engine.isolation.functions import perform, read_graph
from weft.engine.isolation.handover import Handover
from weft.engine.isolation.parcels import Address, pack_outputs, unpack
from weft.engine.isolation.references import find_type
from weft.engine.isolation.reports import Line, Reports, Yielded, send_logs
from weft.engine.isolation.wire import Body, Channel
from weft.engine.planning.expansion import Expansion
from weft.engine.running.absent import MissingInput
from weft.engine.running.executor import Done, Executor, Task
from weft.engine.running.in_process import InProcess

BEAT_SECONDS = 0.25


def main(connection: int, crash: str) -> None:
    """Serve until the parent hangs up.

    Args:
        connection: descriptor of the socket.
        crash: the file that takes the stack of a crash.
    """
    die_first()
    watch_imports()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which cancels
    with open(crash, "w") as file:
        faulthandler.enable(file)
        channel = Channel(socket.socket(fileno=connection))
        send_logs(channel)
        Server(channel, guard=os.getppid(), handover=Handover()).serve()


def die_first() -> None:
    """When memory runs out, have the kernel take this process and not the parent."""
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write("600")


class Server:
    """Answers one parent.

    Args:
        channel: the way to it.
        leave: called, from any thread, when the parent is gone; by default the process ends on the spot, since nobody
            wants any more what runs in it.
        guard: the process that all processes of nodes are below, where there is one.
        handover: puts back between runs what nodes changed of this process, where it is a worker's own.
    """

    def __init__(
        self,
        channel: Line,
        leave: Callable[[], object] = lambda: os._exit(0),
        *,
        guard: int | None = None,
        handover: Handover | None = None,
    ) -> None:
        self.channel = channel
        self._leave = leave
        self._guard = guard
        self._handover = handover
        self._memory: int | None = None
        """How many bytes it may take."""
        self._gone = threading.Event()
        self.executor: Executor = InProcess()
        self.cancel = CancelToken()
        self.types: dict[int, NodeType] = {}
        self.graph: dict[str, Any] | None = None
        """Whose checks are called."""
        self.live: dict[Address, Any] = {}
        """Values that cannot leave."""
        self._calls: queue.SimpleQueue[tuple[dict[str, Any], Body] | None] = queue.SimpleQueue()
        self._answers: dict[int, queue.SimpleQueue[tuple[Any, Body]]] = {}
        self._questions = itertools.count()
        self._busy = 0
        self._lock = threading.Lock()
        self._is_untouched = True
        """Whether no call came since it made ready."""
        self._runs_heard = self._runs_begun = self._run_stopped = 0
        """How many runs were announced, how many of these have begun, and which of them was stopped before."""

    def serve(self) -> None:
        """Until the parent hangs up."""
        threading.Thread(target=self._listen, name="weft-listen", daemon=True).start()
        threading.Thread(target=self._beat, name="weft-beat", daemon=True).start()
        while (call := self._calls.get()) is not None:
            message, body = call
            match message["do"]:
                case "call":
                    self._call(message, body)
                case "begin":
                    self._begin(message)
                case "graph":
                    self.graph = message
                case "drop":
                    for address in message["addresses"]:
                        self.live.pop(tuple(address), None)

    def _begin(self, message: dict[str, Any]) -> None:
        """Make ready for another run."""
        self.executor.close()
        if self._handover is not None:
            self._handover.restore()
            self._memory = message.get("memory")
            memory.allow(self._memory)
        self._is_untouched = True
        executor = InProcess()
        executor.warm()
        with self._lock:
            self.executor, self.cancel = executor, CancelToken()
            self._runs_begun += 1
            stopped = self._run_stopped == self._runs_begun
        if stopped:
            self._stop()

    def _stop(self) -> None:
        self.cancel.cancel()
        self.executor.stop()

    def ask(self, question: str, **fields: Any) -> tuple[Any, Body]:
        """Ask the parent and wait for the answer."""
        number = next(self._questions)
        answer = self._answers[number] = queue.SimpleQueue()
        self.channel.send({"say": "ask", "question": question, "number": number, **fields})
        try:
            return answer.get()
        finally:
            del self._answers[number]

    # -- on threads of their own

    def _listen(self) -> None:
        try:
            while True:
                message, body = self.channel.receive()
                match message["do"]:
                    case "ping":
                        self.channel.send({"say": "pong"})
                    case "stop":
                        with self._lock:
                            early = self._runs_begun != self._runs_heard
                            if early:  # the main thread has not come to the run that is meant
                                self._run_stopped = self._runs_heard
                        if not early:
                            self._stop()
                    case "answer":
                        if message["number"] in self._answers:
                            self._answers[message["number"]].put((message, body))
                    case _:
                        self._runs_heard += message["do"] == "begin"
                        self._calls.put((message, body))
        except (EOFError, MemoryError):  # of no use when it cannot even listen
            self._gone.set()
            self.cancel.cancel()
            self._calls.put(None)
            for answer in list(self._answers.values()):
                answer.put(({"error": "the run is gone"}, bytearray()))
            self._leave()

    def _beat(self) -> None:
        while not self._gone.wait(BEAT_SECONDS):
            if self._busy:
                with contextlib.suppress(OSError, MemoryError):
                    self.channel.send({"say": "beat", "bytes": memory.taken(self._guard, self._memory)})

    # -- calls

    def _call(self, message: dict[str, Any], body: Body) -> None:
        if self._is_untouched:
            self._is_untouched = False
            if self._handover is not None:  # threads that an earlier run left may have changed something since
                self._handover.restore()
        number, keeps, function = message["number"], message["keeps"], message["function"]
        name: tuple[str, int] = (message["owner"], message["serial"])

        def done(result: Done) -> None:
            self._count(-1)
            self._report(number, name, keeps, node_type, result)

        self._count(1)
        node_type: NodeType | None = None
        try:
            node_type = self._type(message["type"])
            inputs = self._inputs(message, body, node_type)
            if function is not None:
                node_type, inputs = self._function(node_type, function, inputs), {}
            context = self._context(number, message["context"], node_type)
        except BaseException as error:
            done(Done(number, None, error, 0.0))
            return
        if context is not None and node_type.context_parameter is not None:
            inputs[node_type.context_parameter] = context
        task = Task(number, self._announcing(number, node_type), inputs, context, sources=message["sources"])
        self.executor.submit(task, done)

    def _function(self, node_type: NodeType, function: dict[str, Any], inputs: dict[str, Any]) -> NodeType:
        """As if a function that the type brings along were the node."""
        graph = None
        if function["name"] == "check":
            message = self.graph
            if message is None or message["number"] != function["graph"]:
                raise RuntimeError("the graph to be checked is not here")
            if "checker" not in message:
                message["checker"] = read_graph(message, self._types(message["types"]))
            graph = message["checker"]
        shown = copy.copy(node_type)
        shown.fn = functools.partial(perform, node_type, function, inputs, graph)
        shown.is_async = False
        shown.resource = "cpu"
        shown.__dict__["several_outputs"] = False
        shown.__dict__["changing_defaults"] = {}
        return shown

    def _count(self, step: int) -> None:
        with self._lock:
            self._busy += step

    def _type(self, reference: dict[str, Any]) -> NodeType:
        known = self.types.get(reference["id"])
        if known is None:
            known = self.types[reference["id"]] = find_type(reference)
        return known

    def _types(self, references: list[dict[str, Any]]) -> Iterator[NodeType]:
        """Those that can be found."""
        for reference in references:
            with contextlib.suppress(Exception):
                yield self._type(reference)

    def _inputs(self, message: dict[str, Any], body: Body, node_type: NodeType) -> dict[str, Any]:
        number = message["number"]

        def lazy(which: int) -> Lazy[Any]:
            def compute() -> Any:
                answer, body = self.ask("lazy", task=number, which=which)
                if answer.get("missing"):
                    raise MissingInput(answer["error"])
                if answer["error"]:
                    raise (RuntimeError if answer.get("late") else Cancelled)(answer["error"])
                return unpack(answer["values"], body, self.live.__getitem__)[0]

            return Lazy(compute, lambda: asyncio.get_running_loop().run_in_executor(None, compute))

        values = unpack(message["inputs"], body, self.live.__getitem__, lazy)
        return dict(zip(message["names"], values, strict=True))

    def _context(self, number: int, description: dict[str, Any] | None, node_type: NodeType) -> Context | None:
        if description is None:
            return None
        listens, trails, yields = (description.pop(name) for name in ("listens", "trails", "yields"))
        workspaces = description.pop("workspaces")
        set_reading(description.pop("reading"))

        def provenance() -> Mapping[str, str]:
            answer, _ = self.ask("provenance", task=number)
            return dict(answer["texts"])

        def image_provenance(image: int, count: int, inputs: Mapping[str, Any]) -> Mapping[str, str]:
            answer, _ = self.ask("provenance", task=number, image=image, count=count, inputs=dict(inputs))
            return dict(answer["texts"])

        listener = Reports(self.channel, number)

        def reused(node: str, steps: int, total: int) -> None:
            listener.report(node, "resumed", {"steps": int(steps), "total": int(total)})

        context = Context(
            **description,
            cancel=self.cancel,
            listener=listener if listens else None,
            provenance=provenance,
            image_provenance=image_provenance,
            trails=None if trails is None else shared_trails(*trails),
            on_reused=None if listens else reused,
            workspaces=None if workspaces is None else Workspaces(*workspaces),
            on_use=listener.used,
        )
        if yields:
            context.on_yield = functools.partial(Yielded, functools.partial(self.ask, "yield", task=number))
        return context

    def _announcing(self, number: int, node_type: NodeType) -> NodeType:
        """The type with a function that first says on which thread it runs, which dates it and blames it."""
        fn, channel = node_type.fn, self.channel
        shown = copy.copy(node_type)
        shown.global_random = draws(node_type)
        shown.__dict__["changing_defaults"] = node_type.changing_defaults

        def announce() -> None:
            channel.send({"say": "began", "number": number, "thread": threading.get_ident()})

        if node_type.is_async:

            async def call_async(**inputs: Any) -> Any:
                announce()
                return await fn(**inputs)

            shown.fn = call_async
        else:

            def call(**inputs: Any) -> Any:
                announce()
                return fn(**inputs)

            shown.fn = call
        return shown

    def _report(self, number: int, name: tuple[str, int], keeps: bool, node_type: NodeType | None, done: Done) -> None:
        message: dict[str, Any] = {"say": "done", "number": number, "seconds": done.seconds, "values": None, "count": 0}
        message["imports"] = done.imports
        body: list[Any] = []
        error = done.error
        graph = done.value if isinstance(done.value, Expansion) else None
        if error is None and graph is not None:
            message["graph"] = graph.to_message()
        if error is None and node_type is not None:
            several = node_type.several_outputs and isinstance(done.value, tuple)
            message["several"] = several
            items = list(done.value) if several else [done.value]
            if graph is not None:
                items = graph.carried()
            try:
                if keeps:
                    message["count"] = len(items)
                    self.live.update({(*name, position): item for position, item in enumerate(items)})
                else:
                    message["values"], body = pack_outputs(
                        items, lambda position, item: self._keep((*name, position), item)
                    )
            except Exception as raised:
                error = raised
        if error is not None and self._memory is not None and memory.is_refusal(error):
            message["refused"] = True
            traceback.clear_frames(error.__traceback__)  # they hold what took the memory
        message["error"] = None if error is None else describe(error)
        done.value = None
        try:
            self.channel.send(message, body)
        except OSError:
            self._leave()
        except Exception as raised:  # text that is no text, a body that no memory is left for
            self.channel.send(message | {"values": None, "error": describe(raised)})

    def _keep(self, address: Address, item: Any) -> Address:
        self.live[address] = item
        return address


@functools.cache
def shared_trails(memory_bytes: int, folder: str | None, disk_bytes: int) -> Trails:
    """The steps of earlier runs: on disk those of the parent, in memory this process's own."""
    return Trails(memory_bytes, None if folder is None else Path(folder), disk_bytes)


def describe(error: BaseException) -> dict[str, Any]:
    """An exception as plain data."""
    if isinstance(error, Cancelled):
        return {"cancelled": str(error)}
    own = NodeError.of("", "", error)
    return {"exception": own.exception, "message": own.message, "traceback": own.traceback}
