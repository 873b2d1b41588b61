"""The guard in a real server: bytes on a socket, and clients as others have them."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Iterator

import httpx
import pytest
import uvicorn
import websockets.exceptions
from websockets.sync.client import connect

from tests.server.guard.calling import JSON, application
from weft.server.guard.guard import Guard
from weft.server.guard.hosts import Hosts
from weft.server.guard.rules import Rules
from weft.server.heads import BoundedHeads
from weft.server.scrub import Scrubber


class Live:
    """A server at a free port, in a thread."""

    def __init__(self) -> None:
        listening = socket.create_server(("127.0.0.1", 0))
        self.port = listening.getsockname()[1]
        self.host = f"127.0.0.1:{self.port}"
        app, self.reached = application()
        guard = Guard(app, Rules(Hosts.of("127.0.0.1", self.port)), Scrubber())
        config = uvicorn.Config(guard, log_config=None, lifespan="off", loop="asyncio", http=BoundedHeads)
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=lambda: asyncio.run(self._server.serve([listening])))
        self._thread.start()

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join()

    def raw(self, text: str, more: bytes = b"") -> str:
        """What comes back for these bytes, until the server closes the connection."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=20) as connection:
            connection.sendall(text.replace("\n", "\r\n").encode("latin-1") + more)
            parts = []
            while part := connection.recv(65536):
                parts.append(part)
            return b"".join(parts).decode("latin-1")


@pytest.fixture(scope="module")
def live() -> Iterator[Live]:
    server = Live()
    yield server
    server.stop()


@pytest.mark.parametrize(
    ("line", "headers", "status"),
    [
        ("GET /api/v1/jobs/1 HTTP/1.1", "Host: {host}", 200),
        ("GET /api/v1/jobs/1 HTTP/1.1", "Host: evil.example", 421),
        ("GET /api/v1/jobs/1 HTTP/1.0", "X: y", 421),
        ("GET http://evil.example/api/v1/jobs/1 HTTP/1.1", "Host: {host}", 400),
        ("GET /api/v1/jobs/../jobs/1 HTTP/1.1", "Host: {host}", 400),
        ("GET /api/v1/jobs/%2e%2e/jobs/1 HTTP/1.1", "Host: {host}", 400),
        ("GET /api/v1/jobs/1 HTTP/1.1", "Host: {host}\nHost: evil.example", 400),
        ("GET /api/v1/jobs/1 HTTP/1.1", "Host: {host}\nOrigin: null", 403),
        ("POST /api/v1/jobs HTTP/1.1", "Host: {host}\nContent-Type: application/json\nContent-Length: -5", 400),
        ("POST /api/v1/jobs HTTP/1.1", "Host: {host}\nContent-Type: text/plain\nContent-Length: 0", 415),
        ("OPTIONS * HTTP/1.1", "Host: {host}", 400),
    ],
)
def test_bytes_on_a_socket(live: Live, line: str, headers: str, status: int) -> None:
    answer = live.raw(f"{line}\n{headers.format(host=live.host)}\nConnection: close\n\n")
    assert answer.startswith(f"HTTP/1.1 {status} "), answer
    assert "access-control" not in answer.lower()
    if status == 200:
        assert "default-src 'self'" in answer


@pytest.mark.parametrize(
    "endless",
    [
        "GET /" + "a" * 300_000,
        "GET /api/v1/jobs/1 HTTP/1.1\nHost: {host}\nX-Long: " + "a" * 300_000,
        "GET /api/v1/jobs/1 HTTP/1.1\nHost: {host}\n" + "".join(f"X-{i}: {'a' * 90}\n" for i in range(3_000)),
        "POST /api/v1/jobs HTTP/1.1\nHost: {host}\nContent-Type: application/json\nTransfer-Encoding: chunked\n\n"
        "2\n{{}}\n0\n" + "".join(f"X-{i}: {'a' * 90}\n" for i in range(3_000)),
        "POST /api/v1/jobs HTTP/1.1\nHost: {host}\nContent-Type: application/json\nTransfer-Encoding: chunked\n\n"
        "2;" + "a" * 300_000,
    ],
    ids=["line", "header", "headers", "trailer", "chunk"],
)
def test_what_never_ends_is_not_gathered(live: Live, endless: str) -> None:
    """The connection ends, though the request has not: else this would wait."""
    text = endless.replace("{host}", live.host).replace("{{}}", "{}").replace("\n", "\r\n").encode()
    answer = b""
    with (
        socket.create_connection(("127.0.0.1", live.port), timeout=20) as connection,
        contextlib.suppress(ConnectionError),
    ):
        connection.sendall(text)
        while part := connection.recv(65536):
            answer += part
    assert not answer or answer.startswith(b"HTTP/1.1 4"), answer


def test_who_sends_too_much_still_hears_why(live: Live) -> None:
    """Though the server reads none of it for the application: the connection ends after the answer."""
    with httpx.Client(base_url=f"http://{live.host}", trust_env=False) as client:
        body = b"x" * (9 * 1024 * 1024)
        for content in (body, iter([body[:65536]] * 144)):
            answer = client.post("/api/v1/jobs", content=content, headers=JSON)
            assert answer.status_code == 413
            assert answer.json()["code"] == "too_large"
            assert answer.headers["connection"] == "close"
        assert client.get("/api/v1/jobs/1").status_code == 200


def test_a_body_in_chunks_ends_at_the_limit(live: Live) -> None:
    chunk = b"10000\r\n" + b"x" * 65536 + b"\r\n"
    head = (
        f"POST /api/v1/jobs HTTP/1.1\nHost: {live.host}\nContent-Type: application/json\nTransfer-Encoding: chunked\n\n"
    )
    assert live.raw(head, chunk * 129 + b"0\r\n\r\n").startswith("HTTP/1.1 413 ")
    assert not [one for one in live.reached if one.startswith("POST")]


def test_a_browser_of_a_foreign_page_cannot_listen(live: Live) -> None:
    address = f"ws://{live.host}/api/v1/ws"
    for origin in ("http://evil.example", "null", f"http://localhost:{live.port}"):
        with pytest.raises(websockets.exceptions.InvalidStatus) as refused:
            connect(address, additional_headers={"Origin": origin}, proxy=None).close()
        assert refused.value.response.status_code == 403
        assert b"foreign_origin" in (refused.value.response.body or b"")
    # Its name points to this machine (DNS rebinding): the browser takes the page for one of ours, and says so.
    name = f"evil.example:{live.port}"
    upgrade = "Upgrade: websocket\nConnection: Upgrade\nSec-WebSocket-Version: 13"
    key = "Sec-WebSocket-Key: MDEyMzQ1Njc4OUFCQ0RFRg=="
    answer = live.raw(f"GET /api/v1/ws HTTP/1.1\nHost: {name}\nOrigin: http://{name}\n{upgrade}\n{key}\n\n")
    assert answer.startswith("HTTP/1.1 421 ")
    assert "ws" not in live.reached
    with connect(address, additional_headers={"Origin": f"http://{live.host}"}, proxy=None) as listening:
        assert listening.recv() == "secret"
