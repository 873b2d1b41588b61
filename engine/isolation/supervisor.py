"""A worker process as its parent sees it: started, listened to, watched, ended. Between the two stands its guard."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from weft.engine.cache.codec import Buffer
from weft.engine.errors import Cancelled, Elsewhere, NodeTimeout
from weft.engine.isolation import guard, memory
from weft.engine.isolation.patient import PatientChannel
from weft.engine.isolation.scratch import Scratch
from weft.engine.isolation.transport import Call, Transport
from weft.engine.isolation.wire import Body, GarbledError

log = logging.getLogger("weft.isolation")

_BOOT = """
import sys
sys.path[:] = filter(None, sys.path)
from importlib.util import module_from_spec, spec_from_file_location
spec = spec_from_file_location("weft_guard", sys.argv[1])
guard = module_from_spec(spec)
spec.loader.exec_module(guard)
folder, parent, connection, *descriptors = sys.argv[2:7]
guard.begin(int(parent), int(connection), *map(int, descriptors), folder)
import json
sys.path[:] = json.loads(sys.argv[7])
from weft.engine.isolation.worker import main
main(int(connection), sys.argv[8])
"""
_TAIL_LINES = 60
_LINE_BYTES = 64 * 1024
"""A longer line that a node prints is taken for several."""
_END_SECONDS = guard.END_SECONDS + 1.0
"""How long the guard has for ending everything, before it is ended too."""


@dataclass(frozen=True, slots=True)
class Limits:
    """When a worker counts as lost.

    Attributes:
        grace_seconds: how long calls may go on after the run was cancelled, or another node of it failed.
        hang_seconds: how long a worker may give no sign of life, as one does in a C loop that keeps Python's lock;
            long imports do the same for some seconds.
        node_seconds: how long one node may take; None for as long as it wants.
        memory_bytes: how much the worker may take; None for as much as there is. On Linux more is refused where it is
            asked for (see `engine.isolation.memory.allow`). Besides, four times a second while nodes run, what it and
            the processes that nodes started hold is counted, shared memory and mapped files too.
    """

    grace_seconds: float = 0.5
    hang_seconds: float = 30.0
    node_seconds: float | None = None
    memory_bytes: int | None = None


@dataclass(slots=True)
class _Reason:
    """Why we ended the process ourselves."""

    error: BaseException
    numbers: set[int] = field(default_factory=set)
    """The calls it is about; the others are told that the worker was ended because of these."""


class Worker(Transport):
    """One process.

    Args:
        limits: when it counts as lost; may be changed between runs.
        slot: which of several workers it is.
        env: variables of its environment besides those of this process.
        clock: what limits are measured by, in seconds.
    """

    def __init__(
        self,
        limits: Limits,
        slot: int = 0,
        env: Mapping[str, str] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(slot, clock)
        self.limits = limits
        self.tail: deque[str] = deque(maxlen=_TAIL_LINES)
        """The last lines it wrote to stdout and stderr."""
        self._reason: _Reason | None = None
        self._bytes = 0
        self._heard = clock()
        self._timer: threading.Timer | None = None
        self._ending: float | None = None
        """Since when the guard is asked to end everything; no limit, so not by `clock`."""
        self._pumped = threading.Event()
        self._buried = threading.Event()
        self._scratch = Scratch()
        self._crash = os.path.join(self._scratch.folder, "crash")
        """Where Python writes its stack when it crashes."""
        try:
            self._start(env or {})
        except BaseException:
            self._scratch.remove()
            raise

    def _start(self, env: Mapping[str, str]) -> None:
        ours, theirs = socket.socketpair()
        lifeline, self._lifeline = os.pipe()
        passed = (theirs.fileno(), lifeline, self._scratch.lock)
        words = [guard.__file__, self._scratch.folder, str(os.getpid()), *map(str, passed)]
        try:
            self.process = subprocess.Popen(
                [sys.executable, "-c", _BOOT, *words, json.dumps(sys.path), self._crash],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                pass_fds=passed,
                env=os.environ | dict(env) | {"TMPDIR": self._scratch.folder},
                start_new_session=True,
            )
        except BaseException:
            os.close(self._lifeline)
            ours.close()
            raise
        finally:
            theirs.close()
            os.close(lifeline)
        self.channel = PatientChannel(ours, self._idle)
        name = f"weft-worker-{self.process.pid}"
        self._listener = threading.Thread(target=self._listen, name=name, daemon=True)
        self._listener.start()
        threading.Thread(target=self._pump, name=name, daemon=True).start()

    @property
    def bytes_taken(self) -> int:
        """See `Transport`."""
        return memory.below(self.process.pid)

    # -- from the run

    def send(self, message: dict[str, Any], body: Sequence[Buffer] = ()) -> None:
        """See `Transport`. Does not wait for the worker to read it."""
        self.channel.send(message, body)

    def ready(self) -> bool:
        """See `Transport`."""
        return super().ready() and self._reason is None

    def begin(self) -> None:
        """See `Transport`."""
        with contextlib.suppress(OSError):
            self.send({"do": "begin", "memory": self.limits.memory_bytes})

    def call(self, number: int, call: Call, message: dict[str, Any], body: Sequence[Buffer] = ()) -> None:
        """See `Transport`."""
        with self._lock:
            self._heard = self.clock()
            if not self.calls:
                self._bytes = 0  # what others held is not this one's doing
        super().call(number, call, message, body)

    def stop(self) -> None:
        """Ask the calls in flight to end; those that do not within the grace period take the process with them."""
        with self._lock:
            if not self.calls or self._timer is not None:
                return
            self._timer = threading.Timer(self.limits.grace_seconds, self._grace_is_over)
            self._timer.daemon = True
            self._timer.start()
        super().stop()

    def settle(self) -> None:
        """After a run: nothing is in flight, and nothing is being stopped."""
        with self._lock:
            timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()

    def close(self) -> None:
        """End the process, and those that its nodes started."""
        self._kill(_Reason(Cancelled("the worker was closed")))
        self._await_end()
        if threading.current_thread() is not self._listener:
            self._buried.wait(_END_SECONDS)

    # -- on the listener's thread

    def _listen(self) -> None:
        try:
            while True:
                message, body = self.channel.receive()  # looks at the limits while it waits
                self._heard = self.clock()
                self.received(message, body)
                self._heard = self.clock()  # a slow listener is not the worker's silence
                self._watch()
        except EOFError:
            pass
        except GarbledError as error:
            text = f"something in its worker process writes to the connection to this one, and it was ended: {error}"
            self._kill(_Reason(_lost(text), set(self.calls)))
        except Exception as error:
            log.exception("what a worker said could not be taken in")
            self._kill(
                _Reason(_lost(f"what its worker process said could not be taken in: {error!r}"), set(self.calls))
            )
        self._bury()

    def _idle(self) -> None:
        """While nothing comes. With the guard everything has ended, even if a copy of the socket is still open."""
        self._watch()
        if self.process.poll() is not None:
            raise EOFError("its guard has ended")

    def received(self, message: dict[str, Any], body: Body) -> None:
        """See `Transport`."""
        if message["say"] == "beat":
            self._bytes = message["bytes"]
        elif message["say"] == "done" and message.get("refused") and message["number"] in self.calls:
            self._refused(message["number"], message["error"])
            return
        super().received(message, body)

    def _refused(self, number: int, error: dict[str, Any]) -> None:
        """A node was refused memory. What stays in its worker may be what took it, so that ends, and tells the node."""
        allowed = self.limits.memory_bytes
        limit = "its memory limit" if allowed is None else f"the memory limit of {_size(allowed)}"
        said = "" if error["message"] == error["exception"] else f" ({error['message']})"
        text = f"over {limit}: its worker process asked for more{said}"
        self._kill(_Reason(_lost(text, "MemoryError", error["traceback"]), {number}))

    def _watch(self) -> None:
        """End a process that is over its limits."""
        if self._ending is not None and time.monotonic() - self._ending > _END_SECONDS:
            self.process.kill()  # the guard itself; the worker goes with it
        now, limits = self.clock(), self.limits
        with self._lock:
            calls = dict(self.calls)
        if not calls or self._reason is not None:
            return
        if now - self._heard > limits.hang_seconds:
            text = f"it hangs: its worker process gave no sign of life for {limits.hang_seconds:g} s and was ended"
            self._kill(_Reason(_lost(text, "WorkerHung"), set(calls)))
        elif limits.memory_bytes is not None and self._bytes > limits.memory_bytes:
            text = f"over the memory limit of {_size(limits.memory_bytes)}: its worker process, with those that its "
            text += f"nodes started, took {_size(self._bytes)}"
            self._kill(_Reason(_lost(text, "MemoryError"), set(calls)))
        else:
            late = {number: error for number, call in calls.items() if (error := _late(call, limits, now))}
            if late:
                self._kill(_Reason(next(iter(late.values())), set(late)))

    def _bury(self) -> None:
        """The process is gone, or going: tell every call why."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(1.0)
        self._end_processes()  # nobody hears it any more
        self._await_end()
        self._pumped.wait(1.0)
        calls = self.ended()
        self.channel.close()
        with self._lock:
            lifeline, self._lifeline = self._lifeline, -1
            os.close(lifeline)
        crash = _crash(self._crash)
        self._scratch.remove()
        self._buried.set()
        blamed = self._blamed(calls, crash)
        for number in sorted(calls, key=lambda number: number not in blamed):
            others = [calls[other].node for other in blamed if other != number]
            calls[number].on_end(None, bytearray(), self._why(number in blamed, others, crash))

    def _blamed(self, calls: dict[int, Call], crash: str) -> list[int]:
        """The calls whose doing it was: those on the thread that crashed, if that can be told."""
        if self._reason is not None:
            return [number for number in calls if number in self._reason.numbers]
        crashed = re.match(r"Current thread 0x([0-9a-f]+)", crash)
        thread = int(crashed[1], 16) if crashed else None
        on_it = [number for number, call in calls.items() if thread is not None and call.thread == thread]
        return on_it or list(calls)

    # -- ends

    def _grace_is_over(self) -> None:
        self._kill(_Reason(Cancelled("the run was cancelled")))

    def _kill(self, reason: _Reason) -> None:
        with self._lock:
            if not self.alive or self._reason is not None:
                return
            self._reason = reason
        self._end_processes()

    def _end_processes(self) -> None:
        """Ask the guard to end the worker and all below it."""
        with self._lock:
            if self._ending is not None or self._lifeline < 0:
                return
            self._ending = time.monotonic()
            with contextlib.suppress(OSError):  # it has ended
                os.write(self._lifeline, b"x")
        self.process.send_signal(signal.SIGCONT)

    def _await_end(self) -> None:
        try:
            self.process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def lost(self) -> BaseException:
        """See `Transport`."""
        return self._why()

    def _why(self, blamed: bool = True, others: list[str] | None = None, crash: str = "") -> BaseException:
        """Why a call has no answer."""
        if self._reason is not None:
            if blamed or not self._reason.numbers:
                return self._reason.error
            because = f" because of {', '.join(map(repr, others))}" if others else ""
            return _lost(f"the worker process was ended{because}")
        how = _how_it_ended(self.process.returncode, self._bytes)
        if self.limits.memory_bytes is not None:  # native code that is refused memory may crash
            how += f"; it may take {_size(self.limits.memory_bytes)} of memory"
        if not blamed:
            return _lost(f"the worker process {how}; that was {', '.join(map(repr, others or ()))}")
        beside = f"; {', '.join(map(repr, others))} ran beside it" if others else ""
        return _lost(f"its worker process {how}{beside}", traceback=crash or "".join(self.tail))

    # -- on a thread of its own

    def _pump(self) -> None:
        """What nodes print goes to stderr: stdout is for results."""
        assert self.process.stdout is not None
        with self.process.stdout as pipe:
            while line := pipe.readline(_LINE_BYTES):
                text = line.decode(errors="replace")
                self.tail.append(text)
                with contextlib.suppress(Exception):
                    sys.stderr.write(text)
        self._pumped.set()


def _late(call: Call, limits: Limits, now: float) -> BaseException | None:
    """What to say of a call that takes longer than it may."""
    took = now - call.began if call.began is not None else 0.0
    if call.timeout is not None and took > call.timeout:
        return NodeTimeout(call.timeout)
    allowed = limits.node_seconds if call.seconds is None else call.seconds
    if allowed is not None and took > allowed:
        return _lost(f"it took longer than {allowed:g} s and was ended with its worker process", "TimeoutError")
    return None


def _lost(text: str, exception: str = "WorkerDied", traceback: str = "") -> Elsewhere:
    return Elsewhere(exception, text, traceback)


def _how_it_ended(code: int | None, held: int) -> str:
    if code is None or code >= 0:
        return f"ended (exit code {code})"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    if name == "SIGKILL":
        memory = f"; it held {_size(held)} at last" if held else ""
        return f"was killed ({name}), as systems do that run out of memory{memory}"
    meaning = {"SIGSEGV": ", a memory access that is not allowed", "SIGABRT": ", an abort in native code"}.get(name, "")
    return f"crashed ({name}{meaning})"


def _crash(path: str) -> str:
    """The stack of the thread that crashed, from `faulthandler`'s words; "" when there was no crash."""
    try:
        with open(path, errors="replace") as file:
            text = file.read()
    except OSError:
        return ""
    start = text.find("Current thread")
    return text[start:].partition("\n\n")[0] if start >= 0 else ""


def _size(count: float) -> str:
    return f"{count / (1 << 30):.1f} GiB" if count >= 1 << 30 else f"{count / (1 << 20):.0f} MiB"
