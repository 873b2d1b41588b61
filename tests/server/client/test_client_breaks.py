"""Connections that break, servers that are killed, busy or away: nothing is queued twice, each event comes once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.server.running import RunningServer, gated, running, sums
from weft.server.client import BusyError, Client, NoServerError, NotFoundError, RefusedError, ServerError
from weft.server.client.following import Following

Handle = Callable[[httpx.AsyncHTTPTransport, httpx.Request], Any]
REAL: Handle = httpx.AsyncHTTPTransport.handle_async_request


class Line:
    """Between a client and its server: loses answers to calls of a method, or answers in the server's place.

    Attributes:
        calls: the calls that came, as "POST /api/v1/jobs".
        keys: their idempotency keys.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls: list[str] = []
        self.keys: list[str | None] = []
        self.lose: list[str] = []
        self.answers: list[httpx.Response] = []
        line = self

        async def handle(self: httpx.AsyncHTTPTransport, request: httpx.Request) -> httpx.Response:
            line.calls.append(f"{request.method} {request.url.path}")
            line.keys.append(request.headers.get("idempotency-key"))
            if line.answers:
                return line.answers.pop(0)
            answer: httpx.Response = await REAL(self, request)
            if request.method in line.lose:
                line.lose.remove(request.method)
                await answer.aread()
                raise httpx.ReadError("the connection broke before the answer")
            return answer

        monkeypatch.setattr(httpx.AsyncHTTPTransport, "handle_async_request", handle)


@pytest.fixture
def line(monkeypatch: pytest.MonkeyPatch) -> Line:
    return Line(monkeypatch)


def test_an_answer_that_is_lost_queues_nothing_twice(server: RunningServer, line: Line) -> None:
    with Client(server.url) as client:
        client.queue()  # so that it has been reached
        before = len(client.jobs(limit=1000))
        line.lose = ["POST", "POST"]
        job = client.submit(sums(first=10))
        assert line.calls.count("POST /api/v1/jobs") == 3
        assert len({key for key in line.keys if key}) == 1
        assert len(client.jobs(limit=1000)) == before + 1
        client.wait(job)
        line.lose = ["POST"]
        client.wait(client.retry(job))
        assert len(client.jobs(limit=1000)) == before + 2
        line.lose = ["DELETE"]
        client.delete(job)
        with pytest.raises(NotFoundError):
            client.delete(job)


def busy(seconds: str, code: str = "draining", status: int = 503) -> httpx.Response:
    headers = {"Retry-After": seconds, "Content-Type": "application/problem+json"}
    return httpx.Response(status, headers=headers, json={"code": code, "detail": "Come again."})


def test_a_busy_server_is_asked_again_and_not_for_ever(server: RunningServer, line: Line) -> None:
    with Client(server.url) as client:
        line.answers = [busy("0"), busy("0", "queue_full", 429), httpx.Response(502, text="<html>")]
        assert client.queue()["paused"] is False
        assert len(line.calls) == 4
        line.answers = [busy("0") for _ in range(20)]
        with pytest.raises(BusyError, match="Come again") as error:
            client.submit(sums())
        assert (error.value.code, len(line.answers)) == ("draining", 15)
        line.answers = [busy("3600", "queue_full", 429)]
        with pytest.raises(BusyError) as error:  # at once: nobody waits for an hour
            client.submit(sums())
        assert error.value.retry_after == 3600
        line.answers = [httpx.Response(200, text="<html>another program</html>")]
        with pytest.raises(RefusedError, match="is no Weft server"):
            client.queue()
        line.answers = [httpx.Response(404, text="nothing here")]
        with pytest.raises(NotFoundError):
            client.queue()


def test_a_file_that_arrives_damaged_is_none(server: RunningServer, line: Line, tmp_path: Path) -> None:
    with Client(server.url) as client:
        line.answers = [httpx.Response(200, content=b"something else")]
        with pytest.raises(ServerError, match="did not arrive"):
            client.download("sha256:" + "0" * 64, tmp_path / "f.png")
        assert list(tmp_path.iterdir()) == []


def test_names_that_lead_elsewhere(server: RunningServer, line: Line, tmp_path: Path) -> None:
    """What a server tells is not trusted with where files go."""
    import hashlib

    from weft.server.client import Output

    data = b"bytes"
    id = f"sha256:{hashlib.sha256(data).hexdigest()}"
    folder = tmp_path / "inner"
    folder.mkdir()
    names = ["../../out.png", "/etc/out.png", "..\\..\\win.png", ".hidden", "..", "", "a\0\x1b[2Jb.png", "x" * 400]
    with Client(server.url) as client:
        for name in names:
            line.answers = [httpx.Response(200, content=data)]
            path = client.download(Output("n", "file", name, id), folder)
            assert path.parent == folder
            assert path.read_bytes() == data
            assert not path.name.startswith(".")
            path.unlink()
    assert [item.name for item in tmp_path.iterdir()] == ["inner"]


@pytest.mark.parametrize("way", ["websocket", "stream"])
def test_a_server_that_is_killed_while_it_is_followed(
    way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if way == "stream":

        async def none(self: Following) -> Any:
            raise OSError("no websocket gets through")
            yield

        monkeypatch.setattr(Following, "_websocket", none)
    gate = tmp_path / "gate"
    with running(tmp_path) as server, Client(server.url) as client:
        job = client.submit(gated(gate, 1))
        states: list[dict[str, Any]] = []
        killed = False
        for event in client.events(job):
            if "state" in event:
                states.append(event)
            if event["event"] == "node_started" and event["node"] == "gate":
                if not killed:
                    killed = True
                    server.kill()
                    # It is away while the client looks for it.
                    threading.Timer(0.2, server.start).start()
                else:
                    gate.touch()
        assert [event["state"] for event in states] == list(range(len(states)))
        assert [event["event"] for event in states].count("job_started") == 2
        assert states[-1]["event"] == "job_finished"
        assert states == list(client.events(job)), "as the server keeps them"
        assert client.job(job.id).outputs[0].value == 2


def test_a_server_that_stays_away(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    with running(tmp_path) as server, Client(server.url, patience=0.3) as client:
        job = client.submit(gated(gate, 5))
        events = client.events(job)
        while next(events).get("node") != "gate":
            pass
        server.kill()
        with pytest.raises(NoServerError):
            list(events)
        with pytest.raises(NoServerError):
            client.submit(sums())
        server.start()
        gate.touch()
        assert client.wait(job).state == "done"
