"""What the benchmark of the server works with: a server as a process of its own, and clients that cost little."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

ROOT = Path(__file__).parents[1]
NODES = Path(__file__).with_name("server_nodes")
TICKS = os.sysconf("SC_CLK_TCK")
IDLE_SECONDS = 2.0
"""A connection that nobody used for so long is not used again: the server may be closing it."""
ENDS = ("job_finished", "job_failed", "job_cancelled")


class Server:
    """`weft serve` on a data folder, until the block ends.

    Attributes:
        ready_seconds: from starting the process to its address.
    """

    def __init__(self, data: Path, *, workers: int = 1) -> None:
        self._words = ["serve", "--port", "0", "--data", str(data), "--nodes", str(NODES), "--workers", str(workers)]
        self._log = data.with_suffix(".log")

    def __enter__(self) -> Server:
        code = "from weft.server.cli.app import main; main()"
        before = time.monotonic()
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", code, *self._words], stdout=subprocess.PIPE, stderr=log, cwd=ROOT
            )
        assert self.process.stdout is not None
        self.address = self.process.stdout.readline().decode().strip()
        self.ready_seconds = time.monotonic() - before
        if not self.address.startswith("http"):
            raise RuntimeError(f"the server did not start: {self._log.read_text()[-2000:]}")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    @property
    def megabytes(self) -> float:
        """What the server process itself holds in memory, without its workers."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS"):
                return int(line.split()[1]) / 1024
        return 0.0

    def cpu(self) -> tuple[float, float]:
        """CPU seconds so far: of the server process, and of all the processes below it."""
        own = _cpu(self.process.pid)
        return own, sum(map(_cpu, below(self.process.pid)))


_BARE = """
import sys, uvicorn
async def app(scope, receive, send):
    while (await receive()).get("more_body"):
        pass
    headers = [(b"content-length", b"2"), (b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"{}"})
uvicorn.run(app, port=int(sys.argv[1]), lifespan="off", log_config=None)
"""


@contextlib.contextmanager
def bare() -> Iterator[str]:
    """uvicorn with an application that does nothing; its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen([sys.executable, "-c", _BARE, str(port)])
    try:
        end = time.monotonic() + 20
        while time.monotonic() < end:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                break
            time.sleep(0.02)
        yield f"http://127.0.0.1:{port}/"
    finally:
        process.terminate()
        process.wait()


def below(process: int) -> Iterator[int]:
    """The processes that a process started, and those that these did."""
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{process}/task").iterdir():
            for word in (task / "children").read_text().split():
                yield int(word)
                yield from below(int(word))


def _cpu(process: int) -> float:
    try:
        words = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(words[11]) + int(words[12])) / TICKS


class Connection:
    """One HTTP connection that stays open."""

    def __init__(self, address: str) -> None:
        parts = urlsplit(address)
        self._host, self._port = parts.hostname or "", parts.port or 80
        self._reader: asyncio.StreamReader | None = None
        self._used = 0.0

    async def ask(self, method: str, path: str, data: Any = None, headers: str = "") -> tuple[int, Any]:
        """The status and the JSON of an answer."""
        if self._reader is not None and time.monotonic() - self._used > IDLE_SECONDS:
            await self.close()
        self._used = time.monotonic()
        if self._reader is None:
            self._reader, self._writer = await asyncio.open_connection(self._host, self._port)
        body = b"" if data is None else data if isinstance(data, bytes) else json.dumps(data).encode()
        head = f"{method} {path} HTTP/1.1\r\nHost: {self._host}:{self._port}\r\nContent-Length: {len(body)}\r\n"
        kind = "Content-Type: application/json\r\n" if body else ""
        self._writer.write(f"{head}{kind}{headers}\r\n".encode() + body)
        answer = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        size = int(answer.partition(b"content-length:")[2].partition(b"\r\n")[0])
        text = await self._reader.readexactly(size)
        return int(answer[9:12]), json.loads(text)

    async def submit(self, workflow: dict[str, Any], **more: Any) -> str:
        """Queue a job; its id."""
        status, job = await self.ask("POST", "/api/v1/jobs", {"workflow": workflow, **more})
        if status != 202:
            raise RuntimeError(f"{status}: {job}")
        return str(job["id"])

    async def close(self) -> None:
        """End it."""
        if self._reader is not None:
            self._reader = None
            self._writer.close()
            with contextlib.suppress(OSError):
                await self._writer.wait_closed()


@contextlib.asynccontextmanager
async def connections(address: str, count: int) -> AsyncIterator[list[Connection]]:
    """Several of them."""
    found = [Connection(address) for _ in range(count)]
    try:
        yield found
    finally:
        for connection in found:
            await connection.close()


class Follower:
    """A websocket client that follows all jobs.

    Attributes:
        ended: when each job's end was heard, by its id.
        bytes: of all frames.
        gaps: how many state events came out of their order, or not at all before a later one.
    """

    def __init__(self, address: str, *, previews: bool = False, queue: bool = False) -> None:
        self._address = address.replace("http", "ws", 1) + "api/v1/ws"
        self._wants = {"jobs": "all", "previews": previews, "queue": queue}
        self.ended: dict[str, float] = {}
        self.states: dict[str, int] = {}
        self.kinds: dict[str, int] = {}
        self.events: list[dict[str, Any]] = []
        self.delays: list[float] = []
        self.bytes = self.gaps = 0
        self._news = asyncio.Event()
        self.keeps_events = False

    async def __aenter__(self) -> Follower:
        from websockets.asyncio.client import connect

        self._socket = await connect(self._address, compression=None, max_size=None, max_queue=None)
        await self._socket.send(json.dumps({"subscribe": self._wants}))
        self._task = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self._socket.close()

    async def _read(self) -> None:
        import struct

        import msgpack

        async for frame in self._socket:
            now = time.monotonic()
            self.bytes += len(frame)
            if isinstance(frame, bytes):
                data = msgpack.unpackb(frame)["data"]
                self.delays.append(now - struct.unpack("<d", data[:8])[0])
                continue
            event = json.loads(frame)
            self.kinds[event["event"]] = self.kinds.get(event["event"], 0) + 1
            if self.keeps_events:
                self.events.append(event)
            if "state" not in event:
                continue
            job = event["job"]
            self.gaps += event["state"] != self.states.get(job, 0)
            self.states[job] = event["state"] + 1
            if event["event"] in ENDS:
                self.ended[job] = now
                self._news.set()

    async def all_ended(self, jobs: Sequence[str], seconds: float = 120.0) -> None:
        """Wait until the ends of all these jobs were heard."""
        waiting = set(jobs)
        async with asyncio.timeout(seconds):
            while waiting:
                waiting = {job for job in waiting if job not in self.ended}
                if waiting:
                    self._news.clear()
                    await self._news.wait()
                if len(waiting) > 1:  # who looks after each of many ends takes the time that the server would need
                    await asyncio.sleep(0.005)


def quantiles(values: Sequence[float]) -> dict[str, float]:
    """The middle, and what 99 of 100 stay below, in milliseconds."""
    found = sorted(values)
    return {
        "p50_ms": round(statistics.median(found) * 1e3, 2),
        "p99_ms": round(found[min(len(found) - 1, len(found) * 99 // 100)] * 1e3, 2),
    }
