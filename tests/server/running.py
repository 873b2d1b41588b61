"""A real server for tests: `weft serve` in a process of its own, on a free port, with a data folder of the test's.

    with running(tmp_path) as server:
        httpx.get(f"{server.url}healthz")
        server.kill()
        server.start()   # on the same port, with the same data

`NODES` has nodes that take no time, and `served_gate`, which runs until the test lets it go on.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
NODES = Path(__file__).parent / "served"
START_SECONDS = 60.0
END_SECONDS = 60.0
PROGRAM = "from weft.server.cli.app import main; main()"


class RunningServer:
    """A server process.

    Args:
        data: its data folder.
        options: more of the command line, such as `"--workers", 2`.
        environment: variables beside those of this process.

    Attributes:
        url: its address as it printed it, without a token; it stays the same when it is started again.
        printed: the whole line.
        log: the file with what it wrote on stderr, of all its lives.
        program: what runs it, as Python.
    """

    def __init__(
        self, data: Path, *options: Any, environment: dict[str, str] | None = None, program: str = PROGRAM
    ) -> None:
        self.data = data
        self.program = program
        self.log = data.parent / f"{data.name}.log"
        self.url = self.printed = ""
        self.process: subprocess.Popen[str] | None = None
        self._options = [str(option) for option in options]
        self._environment = environment or {}
        self._port = 0

    def start(self) -> None:
        """Start it and wait until it accepts requests."""
        arguments = ["serve", "--port", str(self._port), "--data", str(self.data), "--nodes", str(NODES)]
        plain = {name: text for name, text in os.environ.items() if not name.startswith("WEFT_")}
        paths = os.pathsep.join([str(ROOT), *filter(None, [plain.get("PYTHONPATH")])])
        ours = {"PYTHONPATH": paths, "WEFT_MIN_FREE_MIB": "0", "OMP_NUM_THREADS": "1", **self._environment}
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", self.program, *arguments, *self._options],
                stdout=subprocess.PIPE, stderr=log, stdin=subprocess.DEVNULL, text=True, env=plain | ours,
                cwd=self.data.parent,
            )  # fmt: skip
        # One that says nothing is ended, so that reading its line ends too.
        impatient = threading.Timer(START_SECONDS, self.process.kill)
        impatient.start()
        try:
            assert self.process.stdout is not None
            self.printed = self.process.stdout.readline().strip()
        finally:
            impatient.cancel()
        if not self.printed:
            self.kill()
            raise AssertionError(f"the server did not start:\n{self.log.read_text('utf-8')[-4000:]}")
        self.url = self.printed.partition("#")[0]
        self._port = int(self.url.rstrip("/").rpartition(":")[2])

    def stop(self) -> int:
        """End it in order, by SIGTERM; its exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self._ended()

    def kill(self) -> None:
        """End it as a power cut does."""
        if self.process is not None:
            self.process.kill()
            self._ended()

    def _ended(self) -> int:
        assert self.process is not None
        try:
            return self.process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"the server did not end:\n{self.log.read_text('utf-8')[-4000:]}") from None
        finally:
            assert self.process.stdout is not None
            self.process.stdout.close()
            self.process = None


@contextlib.contextmanager
def running(
    folder: Path, *options: Any, environment: dict[str, str] | None = None, program: str = PROGRAM
) -> Iterator[RunningServer]:
    """A server that accepts requests while the block runs. See `RunningServer`; the data are in `folder`/data."""
    server = RunningServer(folder / "data", *options, environment=environment, program=program)
    try:
        server.start()
        yield server
    finally:
        server.kill()


def free_port() -> int:
    """A port at which nobody listens."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def document(**nodes: tuple[str, dict[str, Any]]) -> dict[str, Any]:
    """`document(a=("served_add", {"a": 1}))`: a workflow as JSON data."""
    return {"weft": 1, "nodes": {id: {"type": kind, "inputs": inputs} for id, (kind, inputs) in nodes.items()}}


def sums(first: int = 1, count: int = 2) -> dict[str, Any]:
    """A workflow of a few additions, one after the other; the last one, `total`, is its result."""
    nodes: dict[str, tuple[str, dict[str, Any]]] = {"a0": ("served_add", {"a": first, "b": 0})}
    for number in range(1, count):
        nodes[f"a{number}"] = ("served_add", {"a": {"link": f"a{number - 1}"}, "b": 1})
    nodes["total"] = ("served_show", {"value": {"link": f"a{count - 1}"}})
    return document(**nodes) | {"parameters": {"first": {"input": "a0.a"}}}


def gated(gate: Path, first: int = 1) -> dict[str, Any]:
    """A workflow that stands still in its middle node, `gate`, until the file `gate` is there."""
    return document(
        before=("served_add", {"a": first, "b": 1}),
        gate=("served_gate", {"value": {"link": "before"}, "path": str(gate)}),
        total=("served_show", {"value": {"link": "gate"}}),
    )
