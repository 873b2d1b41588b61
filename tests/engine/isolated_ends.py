"""Nodes that leave things behind, take too much, and disturb the line, for the tests of isolation."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from weft.engine import Catalogue, Node, node

SLEEP = "import os, sys, time; open(sys.argv[1], 'a').write(f'{os.getpid()}\\n'); time.sleep(3600)"


def _await(path: str, lines: int = 0) -> None:
    for _ in range(60_000):
        if Path(path).exists() and len(Path(path).read_text().splitlines()) >= lines:
            return
        time.sleep(0.001)
    raise TimeoutError(path)


@node("ends_pid", cache="never")
def ends_pid(value: Any = None) -> int:
    """The process that it runs in."""
    return os.getpid()


@node("offspring", cache="never")
def offspring(log: str, crash: bool = False, wait: bool = False) -> int:
    """Leaves a child, a child with a session of its own, and a daemon whose parent has ended."""
    call = [sys.executable, "-S", "-c", SLEEP, log]
    subprocess.Popen(call)
    subprocess.Popen(call, start_new_session=True)
    twice = "import subprocess, sys; subprocess.Popen(sys.argv[1:], start_new_session=True)"
    subprocess.run([sys.executable, "-S", "-c", twice, *call], check=True, start_new_session=True)
    _await(log, 3)
    if crash:
        os.kill(os.getpid(), signal.SIGSEGV)
    if wait:
        print("offspring is there", flush=True)
    if crash or wait:
        time.sleep(3600)
    return os.getpid()


@node("kills_guard", cache="never")
def kills_guard() -> int:
    """Ends the process above its own."""
    os.kill(os.getppid(), signal.SIGKILL)
    time.sleep(3600)
    return 0


@node("temporary", cache="never")
def temporary(crash: bool = False) -> str:
    """Leaves a file among the temporary ones."""
    folder = Path(os.environ["TMPDIR"])
    (folder / "left").write_text("x")
    if crash:
        os.abort()
    return str(folder)


@node("rude", cache="never")
def rude(go: str, done: str, folder: str) -> int:
    """Changes everything when its run is over, from a thread that it leaves."""

    def change() -> None:
        _await(go)
        os.environ["WEFT_TEST_RUDE"] = "yes"
        os.environ.pop("WEFT_TEST_POLITE", None)
        os.chdir(folder)
        os.umask(0o777)
        signal.alarm(3600)
        Path(done).touch(0o666)
        threading.Event().wait()

    threading.Thread(target=change, daemon=True).start()
    return os.getpid()


@node("around", cache="never")
def around() -> list[Any]:
    """What `rude` changes, and the process."""
    mask = os.umask(0o22)
    os.umask(mask)
    names = ("WEFT_TEST_RUDE", "WEFT_TEST_POLITE")
    alarm = signal.getitimer(signal.ITIMER_REAL)[0]
    return [*(os.environ.get(name, "") for name in names), os.getcwd(), mask, alarm, os.getpid()]


@node("grab", cache="never")
def grab(how: str, catches: bool = False) -> str:
    """Asks for 4 GiB at once."""
    try:
        if how == "torch":
            import torch

            return str(torch.zeros(1 << 30).shape)
        if how == "numpy":
            import numpy

            return str(numpy.zeros(1 << 29).shape)
        return str(len(bytearray(4 << 30)))
    except MemoryError:
        if catches:
            return "was refused"
        raise


@node("brood", cache="never")
def brood(log: str, megabytes: int = 120, count: int = 3) -> int:
    """Has children that take memory, each of them little."""
    take = f"""
import os, sys, time
while not os.path.exists(sys.argv[1]):
    time.sleep(0.001)
kept = b'x' * ({megabytes} << 20)
time.sleep(3600)
"""
    call = [sys.executable, "-S", "-c", take, log]
    pids = [subprocess.Popen(call, start_new_session=True).pid for _ in range(count)]
    Path(f"{log}.new").write_text("".join(f"{pid}\n" for pid in pids))
    os.rename(f"{log}.new", log)
    time.sleep(3600)
    return 0


@node("disturbs", cache="never")
def disturbs(how: str, mark: str = "") -> int:
    """Writes to the line, or stops its process, or both."""
    fds = [fd for fd in os.listdir("/proc/self/fd") if _is_socket(fd)]
    if how == "half":
        for fd in fds:
            os.write(int(fd), b"weft\x10\x00")
    if how == "garbage":
        for fd in fds:
            os.write(int(fd), b"Traceback (most recent call last)\n" * 3)
    if mark:
        Path(mark).touch()
    if how != "garbage":
        os.kill(os.getpid(), signal.SIGSTOP)
    time.sleep(3600)
    return 0


def _is_socket(fd: str) -> bool:
    try:
        return os.readlink(f"/proc/self/fd/{fd}").startswith("socket:")
    except OSError:
        return False


@node("waits", cache="never")
def waits(path: str, mark: str = "") -> int:
    """Ends when a file is there."""
    if mark:
        Path(mark).touch()
    _await(path)
    return os.getpid()


NODES: list[Node[..., Any]] = [item for item in list(globals().values()) if isinstance(item, Node)]


def catalogue() -> Catalogue:
    """The nodes above."""
    return Catalogue(NODES)
