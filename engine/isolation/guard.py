"""The process between a worker and the one that asked for it: it ends whatever the worker's nodes started.

It is the parent of the worker, and on Linux of every process below that loses its own: one with a session of its own
and one whose parent ended (a daemon) too. When the worker ends, however it does, when it is asked to, and when the
process that asked for the worker is gone, by `kill -9` too, it ends them all and then ends as the worker did. On other
systems processes that leave the worker's process group stay.

This file is loaded by its path, before anything of Weft is imported, so that what stays in memory is small.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import time
from collections.abc import Callable

_SUBREAPER, _DEATH_SIGNAL = 36, 1
"""PR_SET_CHILD_SUBREAPER and PR_SET_PDEATHSIG of prctl(2)."""
END_SECONDS = 4.0
"""How long it tries to end what does not end, such as a process that waits for a broken disk."""
_GOING_SECONDS = 0.5
"""How long a process may take from closing one of its files to closing another while it ends."""
_LOOK_SECONDS = 1.0
"""How often it looks whether its parent is there, where the system cannot tell it."""


def begin(parent: int, connection: int, lifeline: int, lock: int, scratch: str) -> None:
    """Become two processes, the guard and the worker: returns in the worker, and never in the guard.

    Args:
        parent: the process that asked for the worker.
        connection: descriptor of the worker's socket, which only the worker keeps.
        lifeline: descriptor of a pipe that the parent holds open: a byte in it asks for the end.
        lock: descriptor of a locked file; the lock says that `scratch` is in use, as long as the guard is there.
        scratch: the worker's folder for temporary files, removed when the parent is gone.
    """
    _prctl(_SUBREAPER, 1)
    waking, wake = os.pipe()
    os.set_blocking(wake, False)
    os.set_blocking(waking, False)
    previous = signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    handlers = {number: signal.signal(number, _wake) for number in (signal.SIGCHLD, signal.SIGTERM)}
    handlers[signal.SIGINT] = signal.signal(signal.SIGINT, signal.SIG_IGN)
    guard = os.getpid()
    worker = os.fork()
    if worker == 0:
        _prctl(_DEATH_SIGNAL, signal.SIGKILL)
        if os.getppid() != guard:
            os._exit(0)
        signal.set_wakeup_fd(previous)
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for descriptor in (waking, wake, lifeline, lock):
            os.close(descriptor)
        os.setsid()  # its children are one group, unless they leave it
        return
    try:
        os.close(connection)
        status = _watch(parent, worker, lifeline, waking)
    except BaseException:
        sys.excepthook(*sys.exc_info())
        os._exit(1)  # the kernel ends the worker then
    if _is_gone(parent, lifeline, status):
        _remove(scratch)
    _end_as(status)


def _wake(number: int, frame: object) -> None:
    """Nothing: that it was called is written to the pipe."""


def _watch(parent: int, worker: int, lifeline: int, waking: int) -> int:
    """Wait for a reason to end, then end everything; returns how the worker ended."""
    poller = select.poll()
    poller.register(waking, select.POLLIN)
    poller.register(lifeline, select.POLLIN)
    told = _register_end_of(parent, poller)
    statuses: dict[int, int] = {}
    while os.getppid() == parent:
        ready = dict(poller.poll(None if told else _LOOK_SECONDS * 1000))
        signals = _drain(waking) if waking in ready else b""
        _reap(statuses)
        if worker in statuses or signal.SIGTERM in signals or lifeline in ready or ready.keys() - {waking, lifeline}:
            break
    end = time.monotonic() + END_SECONDS
    while True:
        if worker not in statuses:
            with contextlib.suppress(OSError):
                os.killpg(worker, signal.SIGKILL)
        for child in children(os.getpid()) or {worker} - statuses.keys():
            with contextlib.suppress(OSError):
                os.kill(child, signal.SIGKILL)
        # Only children are ended, whose numbers nobody else can have: theirs become ours when they are gone.
        if not _reap(statuses) or time.monotonic() > end:
            break
        select.select([waking], [], [], 0.02)
        _drain(waking)
    if sys.platform != "linux":
        with contextlib.suppress(OSError):
            os.killpg(worker, signal.SIGKILL)
    return statuses.get(worker, 1 << 8)


def _is_gone(parent: int, lifeline: int, status: int) -> bool:
    """Whether nobody holds the other end of the lifeline, or will in a moment.

    A worker leaves with 0 when its socket is closed, which a process that is being killed may do before it closes the
    lifeline. Any other end is not about the parent.
    """
    poller = select.poll()
    poller.register(lifeline, select.POLLIN)
    if poller.poll(0 if status else _GOING_SECONDS * 1000) and not os.read(lifeline, 1):
        return True
    return os.getppid() != parent


def _register_end_of(parent: int, poller: select.poll) -> bool:
    """Have the poll return when a process ends; whether the system can do that."""
    try:
        poller.register(os.pidfd_open(parent), select.POLLIN)
    except (AttributeError, OSError):
        return False
    return True


def _drain(waking: int) -> bytes:
    try:
        return os.read(waking, 4096)
    except BlockingIOError:
        return b""


def _reap(statuses: dict[int, int]) -> bool:
    """Take note of the children that ended; whether there are others."""
    while True:
        try:
            child, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return False
        if not child:
            return True
        statuses[child] = status


def children(process: int) -> set[int]:
    """The children of a process; none where the system does not say."""
    found: set[int] = set()
    with contextlib.suppress(OSError):
        for thread in os.listdir(f"/proc/{process}/task"):
            with contextlib.suppress(OSError), open(f"/proc/{process}/task/{thread}/children") as file:
                found.update(map(int, file.read().split()))
    return found


def _remove(folder: str) -> None:
    import shutil

    shutil.rmtree(folder, ignore_errors=True)


def _end_as(status: int) -> None:
    """End this process as another did."""
    if os.WIFSIGNALED(status):
        import resource

        number = os.WTERMSIG(status)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # the worker has left its own
        with contextlib.suppress(OSError):
            signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
    os._exit(os.waitstatus_to_exitcode(status) if os.WIFEXITED(status) else 1)


def _prctl(option: int, argument: int) -> None:
    """Set something of this process, where the system is Linux."""
    if sys.platform != "linux":
        return
    import ctypes

    with contextlib.suppress(OSError, AttributeError):
        call: Callable[..., int] = ctypes.CDLL(None).prctl
        call(option, ctypes.c_ulong(argument), ctypes.c_ulong(0), ctypes.c_ulong(0), ctypes.c_ulong(0))
