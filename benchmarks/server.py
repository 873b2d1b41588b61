"""What `weft serve` costs, beside ComfyUI on such a machine.

    python benchmarks/server.py [--small] [--only NAME]... > server.json

Prints one JSON object. `aims` are ours and `comfyui` what ComfyUI took. CPU times are of the server process and of all
its workers, so that they mean something on a busy machine too; `load` says how busy it was before.

- `start`: until it accepts requests, and the memory of the idle server process, without its workers.
- `floors`: what bounds the rest on this machine: commits of one row a second (SQLite, `synchronous=FULL`), and answers
  a second of a bare application under uvicorn to eight clients.
- `latency`: five trivial nodes, from submitting until the end is heard, one job after another, by one client.
- `throughput`: the same, with eight clients that submit all the time. `new` are documents that the server has not seen
  before, all of whose nodes run; `same` is one document, whose results come from the cache.
- `burst`: 100 jobs, posted at once on connections of their own.
- `large`: bytes on the websocket for a job of 1,000 nodes.
- `plan`: of 100 nodes.
- `history`: claiming, telling of and ending a job in the store, with so many ended jobs in it and with none.
- `live`: previews of 32 kB at 10 Hz to many clients, while small jobs run; then with clients that read nothing.
- `models`: ten jobs that alternate between two models on one worker, and how often a model was loaded.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import json
import os
import platform
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.server_kit import Connection, Follower, Server, bare, connections, quantiles

AIMS = {
    "jobs_per_second": 500,
    "p50_ms": 3.0,
    "large_bytes": 1_000_000,
    "ready_seconds": 1.5,
    "idle_megabytes": 120,
    "plan_ms": 50,
    "history_ratio": 1.3,
    "live_p99_ms": 100,
    "stalled_megabytes": 20,
    "model_loads": 2,
}
COMFYUI = {"jobs_per_second": "328-349, in memory", "p50_ms": "2.6-3.0", "large_bytes": "170-217 MB",
           "ready_seconds": "5-6.6"}  # fmt: skip
_values = itertools.count(1)


def link(id: str) -> dict[str, str]:
    """What leads from a node's output to an input."""
    return {"link": id}


def chain(count: int, value: int | None = None) -> dict[str, Any]:
    """Nodes each of which takes the one before; a new document at each call, unless the value is given."""
    value = next(_values) if value is None else value
    nodes: dict[str, Any] = {"n0": {"type": "bench.number", "inputs": {"value": value}}}
    for i in range(1, count - 1):
        nodes[f"n{i}"] = {"type": "bench.add", "inputs": {"a": link(f"n{i - 1}"), "b": 1}}
    nodes["end"] = {"type": "bench.total", "inputs": {"items": [link(f"n{count - 2}")]}}
    return {"weft": 1, "nodes": nodes}


class Bench:
    """The measurements.

    Args:
        small: fewer of everything: figures that show that it works, and not much more.
    """

    def __init__(self, folder: Path, *, small: bool) -> None:
        self.folder = folder
        self.small = small

    async def start(self) -> dict[str, Any]:
        with Server(self.folder / "start") as server:
            await asyncio.sleep(0.5 if self.small else 2.0)
            cpu, _ = server.cpu()
            return {
                "ready_seconds": round(server.ready_seconds, 2),
                "cpu_seconds": round(cpu, 2),
                "idle_megabytes": round(server.megabytes, 1),
            }

    async def floors(self) -> dict[str, Any]:
        commits, answers = (100, 500) if self.small else (1000, 5000)
        with contextlib.closing(sqlite3.connect(self.folder / "floor.sqlite", isolation_level=None)) as database:
            for text in ("PRAGMA journal_mode = WAL", "PRAGMA synchronous = FULL", "CREATE TABLE rows (text TEXT)"):
                database.execute(text)
            before = time.monotonic()
            for _ in range(commits):
                database.execute("INSERT INTO rows VALUES ('x')")
            found = {"commits_per_second": round(commits / (time.monotonic() - before))}
        with bare() as address:
            async with connections(address, 8) as many:

                async def ask(client: Connection) -> None:
                    for _ in range(answers // 8):
                        await client.ask("POST", "/", chain(5, 0))

                await asyncio.gather(*(client.ask("GET", "/") for client in many))
                before = time.monotonic()
                await asyncio.gather(*map(ask, many))
                found["answers_per_second"] = round(answers / (time.monotonic() - before))
        return found

    async def jobs(self) -> dict[str, Any]:
        """`latency`, `throughput`, `burst`, `large` and `plan`, on one server with one worker."""
        found: dict[str, Any] = {}
        with Server(self.folder / "jobs") as server:
            async with Follower(server.address) as follower, connections(server.address, 100) as many:
                await self._warm(many[0], follower)
                found["latency"] = await self._latency(many[0], follower)
                count = 50 if self.small else 1000
                new = [chain(5) for _ in range(count)]
                found["throughput"] = {
                    "new": await self._throughput(server, many[:8], follower, new),
                    "same": await self._throughput(server, many[:8], follower, [chain(5, 0)] * count),
                }
                found["burst"] = await self._throughput(server, many, follower, [chain(5) for _ in range(100)])
                found["large"] = await self._large(many[0], follower)
                found["plan"] = await self._plan(many[0])
                found["gaps"] = follower.gaps
        return found

    async def _warm(self, connection: Connection, follower: Follower) -> None:
        ids = [await connection.submit(chain(5, value)) for value in (0, *range(-20, 0))]
        await follower.all_ended(ids)

    async def _latency(self, connection: Connection, follower: Follower) -> dict[str, Any]:
        found = {}
        for name in ("new", "same"):
            took, accepted = [], []
            for _ in range(20 if self.small else 300):
                workflow = chain(5) if name == "new" else chain(5, 0)
                before = time.monotonic()
                id = await connection.submit(workflow)
                accepted.append(time.monotonic() - before)
                await follower.all_ended([id])
                took.append(follower.ended[id] - before)
            found[name] = quantiles(took) | {"accepted_p50_ms": quantiles(accepted)["p50_ms"]}
        return found

    async def _throughput(
        self, server: Server, clients: list[Connection], follower: Follower, workflows: list[dict[str, Any]]
    ) -> dict[str, Any]:
        waiting = list(workflows)
        ids: list[str] = []

        async def submit(client: Connection) -> None:
            while waiting:
                ids.append(await client.submit(waiting.pop()))

        cpu = server.cpu()
        before = time.monotonic()
        await asyncio.gather(*map(submit, clients))
        accepted = time.monotonic() - before
        await follower.all_ended(ids)
        seconds = max(follower.ended[id] for id in ids) - before
        own, workers = (late - early for late, early in zip(server.cpu(), cpu, strict=True))
        return {
            "jobs": len(ids),
            "jobs_per_second": round(len(ids) / seconds),
            "accepted_per_second": round(len(ids) / accepted),
            "server_cpu_ms_per_job": round(own / len(ids) * 1e3, 2),
            "worker_cpu_ms_per_job": round(workers / len(ids) * 1e3, 2),
        }

    async def _large(self, connection: Connection, follower: Follower) -> dict[str, Any]:
        size, before = follower.bytes, time.monotonic()
        count = 100 if self.small else 1000
        id = await connection.submit(chain(count))
        await follower.all_ended([id])
        return {
            "nodes": count,
            "bytes": follower.bytes - size,
            "seconds": round(follower.ended[id] - before, 2),
            "events": follower.states[id],
        }

    async def _plan(self, connection: Connection) -> dict[str, Any]:
        took = []
        for _ in range(5 if self.small else 30):
            workflow, before = chain(100), time.monotonic()
            status, said = await connection.ask("POST", "/api/v1/plan", {"workflow": workflow})
            assert (status, len(said["nodes"])) == (200, 100), said
            took.append(time.monotonic() - before)
        return quantiles(took)

    async def history(self) -> dict[str, Any]:
        from weft.server.store.records import Ending, Request
        from weft.server.store.sqlite import SqliteStore

        count = 1000 if self.small else 100_000
        text = json.dumps(chain(5))
        ending = Ending("done", events=('{"event": "job_finished"}',))
        (self.folder / "history").mkdir()
        store = SqliteStore(self.folder / "history" / "weft.sqlite")
        took: dict[str, list[float]] = {}
        try:
            for name, jobs in (("none", 0), ("many", count)):
                for start in range(0, jobs, 1000):
                    requests = [Request(document=text)] * min(1000, jobs - start)

                    def fill(store: Any, requests: list[Request] = requests) -> None:
                        store.submit(requests, time.time())
                        for _ in requests:
                            claim = store.claim("bench", time.time())
                            store.record(claim.job.id, claim.epoch, ["{}"] * 10, (5, 0, 5))
                            store.end(claim.job.id, claim.epoch, ending, time.time())

                    store.apply([fill])
                for _ in range(50 if self.small else 400):
                    store.submit([Request(document=text)], time.time())
                    before = time.thread_time()
                    claim = store.claim("bench", time.time())
                    assert claim is not None
                    store.record(claim.job.id, claim.epoch, ["{}"] * 10, (5, 0, 5))
                    store.end(claim.job.id, claim.epoch, ending, time.time())
                    took.setdefault(name, []).append(time.thread_time() - before)
        finally:
            store.close()
        none, many = (statistics.median(took[name]) for name in ("none", "many"))
        return {
            "jobs": count,
            "none_cpu_ms": round(none * 1e3, 3),
            "many_cpu_ms": round(many * 1e3, 3),
            "ratio": round(many / none, 2),
        }

    async def live(self) -> dict[str, Any]:
        count, stalled = (10, 5) if self.small else (200, 50)
        found: dict[str, Any] = {"clients": count}
        with Server(self.folder / "live", workers=2) as server:
            followers = [Follower(server.address, previews=True) for _ in range(count)]
            async with connections(server.address, 2) as (first, _):
                async with Follower(server.address) as watcher:
                    await self._warm(first, watcher)
                for follower in followers:
                    await follower.__aenter__()
                try:
                    found["alone"] = await self._previews(server, first, followers)
                    before = server.megabytes
                    sockets = [await _stalled(server.address) for _ in range(stalled)]
                    found["beside_stalled"] = await self._previews(server, first, followers)
                    found["stalled"] = {"clients": stalled, "megabytes": round(server.megabytes - before, 1)}
                    for writer in sockets:
                        writer.close()
                finally:
                    await asyncio.gather(*(follower.__aexit__() for follower in followers))
        return found

    async def _previews(self, server: Server, first: Connection, followers: list[Follower]) -> dict[str, Any]:
        shown = 10 if self.small else 80
        for follower in followers:
            follower.delays.clear()
            follower.gaps = 0
        cpu, before = server.cpu()[0], time.monotonic()
        jobs = [
            await first.submit(
                {
                    "weft": 1,
                    "nodes": {"show": {"type": "bench.previews", "inputs": {"count": shown, "seconds": 0.102}}},
                }
            )
        ]
        for _ in range(shown // 2):
            jobs.append(await first.submit(chain(5)))
            await asyncio.sleep(0.2)
        await asyncio.gather(*(follower.all_ended(jobs) for follower in followers))
        seconds = time.monotonic() - before
        delays = [delay for follower in followers for delay in follower.delays]
        lost = sum(follower.states[job] != followers[0].states[job] for follower in followers for job in jobs)
        return quantiles(delays) | {
            "frames_per_client": round(len(delays) / len(followers), 1),
            "sent": shown,
            "state_events_lost": lost + sum(follower.gaps for follower in followers),
            "server_cpu_share": round((server.cpu()[0] - cpu) / seconds, 2),
        }

    async def models(self) -> dict[str, Any]:
        with Server(self.folder / "models") as server:
            async with Follower(server.address) as follower, connections(server.address, 1) as (first,):
                follower.keeps_events = True
                ids = []
                for i in range(10):
                    nodes = {
                        "load": {"type": "bench.load", "inputs": {"name": "ab"[i % 2]}},
                        "use": {"type": "bench.use", "inputs": {"model": link("load"), "seed": i}},
                    }
                    ids.append(await first.submit({"weft": 1, "nodes": nodes}))
                await follower.all_ended(ids)
                loads = [event for event in follower.events if event["node"] == "load"]
                return {"jobs": len(ids), "loads": sum(event["event"] == "node_finished" for event in loads)}


async def _stalled(address: str) -> asyncio.StreamWriter:
    """A websocket that wants everything and reads nothing."""
    import base64

    host, port = address.split("//")[1].rstrip("/").rsplit(":", 1)
    reader, writer = await asyncio.open_connection(host, int(port), limit=1024)
    key = base64.b64encode(os.urandom(16)).decode()
    writer.write(
        f"GET /api/v1/ws HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
    )
    await reader.readuntil(b"\r\n\r\n")
    text = json.dumps({"subscribe": {"jobs": "all", "previews": True, "queue": True}}).encode()
    assert len(text) < 126
    writer.write(bytes([0x81, 0x80 | len(text)]) + bytes(4) + text)  # masked with zeros
    writer.transport.pause_reading()  # type: ignore[attr-defined]
    return writer


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--small", action="store_true", help="fewer of everything: a look whether it works")
    names = ("floors", "start", "jobs", "history", "live", "models")
    parser.add_argument("--only", action="append", choices=names, help="measure this alone; may be given again")
    said = parser.parse_args()
    results: dict[str, Any] = {
        "aims": AIMS,
        "comfyui": COMFYUI,
        "machine": {"cpus": os.cpu_count(), "python": platform.python_version(), "load": os.getloadavg()[0]},
    }
    with tempfile.TemporaryDirectory(prefix="weft-bench-") as folder:
        bench = Bench(Path(folder), small=said.small)
        for name in said.only or names:
            measure: Callable[[], Awaitable[dict[str, Any]]] = getattr(bench, name)
            results[name] = asyncio.run(measure())  # type: ignore[arg-type]
            print(f"{name}: {json.dumps(results[name])}", file=sys.stderr)
    print(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
