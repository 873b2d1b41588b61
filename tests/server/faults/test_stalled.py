"""Clients that follow everything and read nothing: they cost little, and nobody else notices."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import connect

from tests.server.faults.calling import FAULTY, Caller, until
from tests.server.running import document, running

MOST_BYTES = 20 << 20


def test_clients_that_read_nothing_cost_little(tmp_path: Path) -> None:
    stalled(tmp_path, clients=20, reading=3, jobs=2)


@pytest.mark.chaos
def test_fifty_clients_that_read_nothing_cost_little(tmp_path: Path) -> None:
    stalled(tmp_path, clients=50, reading=20, jobs=60)


def stalled(folder: Path, clients: int, reading: int, jobs: int) -> None:
    """Run jobs that show 32 kB ten times a second, without these clients and then beside them."""
    with running(folder, "--nodes", FAULTY, "--workers", 2) as server:
        caller = Caller(server)
        followed(caller, reading, jobs, first=0)  # what is made once is there
        before = resident(caller)
        with silent(caller, clients):
            most = followed(caller, reading, jobs, first=10_000)
        print(json.dumps({"clients": clients, "megabytes": round((most - before) / (1 << 20), 1)}))
        assert most - before < MOST_BYTES
        until(lambda: caller.http.get("/api/v1/system").json()["clients"] == 0, "the clients to be left")


@contextlib.contextmanager
def silent(caller: Caller, count: int) -> Iterator[None]:
    """So many websockets that want everything and read nothing."""
    address = ("127.0.0.1", int(caller.server.url.rstrip("/").rpartition(":")[2]))
    with contextlib.ExitStack() as stack:
        for _ in range(count):
            one = stack.enter_context(socket.socket())
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)  # so that little of it lies on the way
            one.connect(address)
            one.sendall(
                f"GET /api/v1/ws HTTP/1.1\r\nHost: 127.0.0.1:{address[1]}\r\nUpgrade: websocket\r\n"
                "Connection: Upgrade\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
                "Sec-WebSocket-Version: 13\r\n\r\n".encode()
            )
            said = json.dumps({"subscribe": {"jobs": "all", "previews": True, "queue": True}}).encode()
            one.sendall(bytes([0x81, 0x80 | len(said)]) + bytes(4) + said)  # masked by zeros
        until(lambda: caller.http.get("/api/v1/system").json()["clients"] == count, "them to be there")
        yield


def followed(caller: Caller, reading: int, jobs: int, first: int) -> int:
    """Have clients follow jobs, each of which must see all; the most memory that the server took meanwhile."""
    address = caller.server.url.replace("http", "ws", 1) + "api/v1/ws"
    seen: list[dict[str, list[int]]] = [{} for _ in range(reading)]
    previews = [0] * reading
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(connect(address, compression=None, max_queue=None)) for _ in seen]
        for client in clients:
            client.send(json.dumps({"subscribe": {"jobs": "all", "previews": True, "queue": True}}))
            json.loads(client.recv(timeout=60))  # the queue as it is: it follows now

        def read(place: int) -> None:
            left = jobs
            while left:
                frame = clients[place].recv(timeout=60)
                if isinstance(frame, bytes):
                    previews[place] += 1
                    continue
                event: dict[str, Any] = json.loads(frame)
                if "state" in event:
                    seen[place].setdefault(event["job"], []).append(event["state"])
                    left -= event["event"] in {"job_finished", "job_failed", "job_cancelled"}

        threads = [threading.Thread(target=read, args=(place,)) for place in range(reading)]
        for thread in threads:
            thread.start()
        ids = []
        for number in range(jobs):
            many = {f"n{place}": ("fault_show", {"value": first + number * 100 + place}) for place in range(50)}
            ids.append(caller.submit(document(show=("fault_previews", {"count": 5}), **many)))
        most = 0
        for id in ids:
            caller.ended(id)
            most = max(most, resident(caller))
        for thread in threads:
            thread.join(60)
    expected = {id: list(range(len(caller.events(id)))) for id in ids}
    assert [states == expected for states in seen] == [True] * reading
    assert min(previews) >= jobs, "each of them saw pictures too"
    return most


def resident(caller: Caller) -> int:
    """Bytes that the server's process takes."""
    assert caller.server.process is not None
    figures = Path(f"/proc/{caller.server.process.pid}/statm").read_text().split()
    return int(figures[1]) * os.sysconf("SC_PAGE_SIZE")
