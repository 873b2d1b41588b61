"""A worker process as its parent sees it: started, listened to, watched, ended."""

from __future__ import annotations

import contextlib
import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from weft.engine.cache.codec import Buffer
from weft.engine.errors import Cancelled, Elsewhere
from weft.engine.isolation.transport import Call, Transport
from weft.engine.isolation.wire import Body, Channel

_BOOT = """
import json, sys
sys.path[:] = json.loads(sys.argv[1])
from weft.engine.isolation.worker import main
main(int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
"""
_TAIL_LINES = 60
_WATCH_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Limits:
    """When a worker counts as lost.

    Attributes:
        grace_seconds: how long calls may go on after the run was cancelled, or another node of it failed.
        hang_seconds: how long a worker may give no sign of life, as one does in a C loop that keeps Python's lock;
            long imports do the same for some seconds.
        node_seconds: how long one node may take; None for as long as it wants.
        memory_bytes: how much the worker may take; None for as much as there is.
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
        self._pumped = threading.Event()
        self._scratch = tempfile.TemporaryDirectory(prefix="weft-worker-", ignore_cleanup_errors=True)
        self._crash = os.path.join(self._scratch.name, "crash")
        """Where Python writes its stack when it crashes."""
        self._start(env or {})

    def _start(self, env: Mapping[str, str]) -> None:
        ours, theirs = socket.socketpair()
        lifeline, self._lifeline = os.pipe()
        try:
            self.process = subprocess.Popen(
                [sys.executable, "-c", _BOOT, json.dumps(sys.path), str(theirs.fileno()), str(lifeline), self._crash],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                pass_fds=(theirs.fileno(), lifeline),
                env=os.environ | dict(env) | {"TMPDIR": self._scratch.name},
                start_new_session=True,
            )
        except BaseException:
            os.close(self._lifeline)
            ours.close()
            raise
        finally:
            theirs.close()
            os.close(lifeline)
        self._socket = ours
        self.channel = Channel(ours)
        for work in (self._listen, self._pump):
            threading.Thread(target=work, name=f"weft-worker-{self.process.pid}", daemon=True).start()

    # -- from the run

    def send(self, message: dict[str, Any], body: Sequence[Buffer] = ()) -> None:
        """See `Transport`."""
        self.channel.send(message, body)

    def call(self, number: int, call: Call, message: dict[str, Any], body: Sequence[Buffer] = ()) -> None:
        """See `Transport`."""
        with self._lock:
            self._heard = self.clock()
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
        """End the process."""
        self._kill(_Reason(Cancelled("the worker was closed")))
        self.process.wait()

    # -- on the listener's thread

    def _listen(self) -> None:
        try:
            while True:
                if self._readable():
                    message, body = self.channel.receive()
                    self._heard = self.clock()
                    self.received(message, body)
                    self._heard = self.clock()  # a slow listener is not the worker's silence
                self._watch()
        except EOFError:
            self._bury()

    def _readable(self) -> bool:
        """Wait for a message; not for long while calls are to be watched."""
        return bool(select.select([self._socket], [], [], _WATCH_SECONDS)[0])

    def received(self, message: dict[str, Any], body: Body) -> None:
        """See `Transport`."""
        if message["say"] == "beat":
            self._bytes = message["bytes"]
        super().received(message, body)

    def _watch(self) -> None:
        """End a process that is over its limits."""
        now, limits = self.clock(), self.limits
        with self._lock:
            calls = dict(self.calls)
        if not calls or self._reason is not None:
            return
        if now - self._heard > limits.hang_seconds:
            text = f"it hangs: its worker process gave no sign of life for {limits.hang_seconds:g} s and was ended"
            self._kill(_Reason(_lost(text, "WorkerHung"), set(calls)))
        elif limits.memory_bytes is not None and self._bytes > limits.memory_bytes:
            text = f"its worker process took {_size(self._bytes)} of memory, {_size(limits.memory_bytes)} are allowed"
            self._kill(_Reason(_lost(text, "MemoryError"), set(calls)))
        else:
            late = {number: allowed for number, call in calls.items() if (allowed := _late(call, limits, now))}
            if late:
                text = f"it took longer than {max(late.values()):g} s and was ended with its worker process"
                self._kill(_Reason(_lost(text, "TimeoutError"), set(late)))

    def _bury(self) -> None:
        """The process is gone, or going: tell every call why."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(1.0)
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self._pumped.wait(1.0)
        calls = self.ended()
        self.channel.close()
        with contextlib.suppress(OSError):
            os.close(self._lifeline)
        crash = _crash(self._crash)
        self._scratch.cleanup()
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
        with contextlib.suppress(OSError):
            # Its children too: it leads a session of its own.
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.kill()

    def lost(self) -> BaseException:
        """See `Transport`."""
        return self._why()

    def _why(self, blamed: bool = True, others: list[str] | None = None, crash: str = "") -> BaseException:
        """Why a call has no answer."""
        if self._reason is not None:
            if blamed or not self._reason.numbers:
                return self._reason.error
            return _lost(f"the worker process was ended because of {', '.join(map(repr, others or ()))}")
        how = _how_it_ended(self.process.returncode, self._bytes)
        if not blamed:
            return _lost(f"the worker process {how}; that was {', '.join(map(repr, others or ()))}")
        beside = f"; {', '.join(map(repr, others))} ran beside it" if others else ""
        return _lost(f"its worker process {how}{beside}", traceback=crash or "".join(self.tail))

    # -- on a thread of its own

    def _pump(self) -> None:
        """What nodes print goes to stderr: stdout is for results."""
        assert self.process.stdout is not None
        with self.process.stdout as pipe:
            for line in pipe:
                text = line.decode(errors="replace")
                self.tail.append(text)
                with contextlib.suppress(Exception):
                    sys.stderr.write(text)
        self._pumped.set()


def _late(call: Call, limits: Limits, now: float) -> float | None:
    """How long a call was allowed to take, where it takes longer."""
    allowed = limits.node_seconds if call.seconds is None else call.seconds
    return allowed if allowed is not None and call.began is not None and now - call.began > allowed else None


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
