"""A real server: a page of another origin in a real browser can neither do anything there nor read anything, and what
a websocket or a bare connection is sent ends that connection alone."""

from __future__ import annotations

import http.server
import json
import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.server.running import RunningServer, running

REPORT_SECONDS = 40.0
PAGE = """<!doctype html><meta charset="utf-8"><title>evil</title><body><script>
const weft = "%(weft)s", named = "%(named)s";
const nodes = {a: {type: "served_show", inputs: {value: 1}}};
const job = JSON.stringify({workflow: {weft: 1, nodes}, title: "forged"});
const log = {read: [], opened: [], tried: 0};
const inFrame = window.parent !== window;

async function tried(what, work) {
  log.tried += 1;
  try { const said = await work(); if (said) log.read.push(what + ": " + said); } catch (error) { }
}

function form(action, type, name, value) {
  const frame = document.createElement("iframe");
  frame.name = "f" + Math.random();
  document.body.append(frame);
  const form = document.createElement("form");
  Object.assign(form, {action, method: "post", enctype: type, target: frame.name});
  const field = document.createElement("input");
  Object.assign(field, {name, value});
  form.append(field);
  document.body.append(form);
  form.submit();
  log.tried += 1;
}

function socket(address) {
  log.tried += 1;
  return new Promise(resolve => {
    const ws = new WebSocket(address.replace("http", "ws") + "api/v1/ws");
    ws.onopen = () => { log.opened.push(address); ws.send('{"subscribe": {"jobs": "all"}}'); };
    ws.onmessage = event => log.read.push("ws: " + event.data);
    ws.onerror = ws.onclose = resolve;
    setTimeout(resolve, 3000);
  });
}

async function attack(at) {
  const post = (path, options) => fetch(at + path, {method: "POST", credentials: "include", ...options});
  for (const type of ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "application/json"]) {
    for (const mode of ["no-cors", "cors"]) {
      const options = {mode, body: job, headers: {"content-type": type}};
      await tried(type, async () => (await post("api/v1/jobs", options)).text());
    }
  }
  for (const path of ["api/v1/queue/pause", "api/v1/session", "api/v1/jobs/x/cancel"]) {
    await tried(path, async () => (await post(path, {mode: "no-cors"})).text());
  }
  for (const method of ["DELETE", "PUT", "PATCH"]) {
    await tried(method, async () => (await fetch(at + "api/v1/jobs/x", {method, body: "{}"})).text());
  }
  for (const path of ["api/v1/jobs", "api/v1/system", "api/v1/openapi.json", "healthz", "metrics"]) {
    for (const mode of ["no-cors", "cors"]) {
      await tried(path, async () => (await fetch(at + path, {mode})).text());
    }
  }
  await tried("beacon", async () => { navigator.sendBeacon(at + "api/v1/jobs", job); });
  await tried("beacon", async () => {
    navigator.sendBeacon(at + "api/v1/jobs", new Blob([job], {type: "text/plain"}));
  });
  form(at + "api/v1/jobs", "text/plain", job.slice(0, -1) + ', "tags": ["', '"]}');
  form(at + "api/v1/jobs", "application/x-www-form-urlencoded", "workflow", job);
  form(at + "api/v1/files", "multipart/form-data", "file", "x");
  form(at + "api/v1/queue/pause", "text/plain", "a", "b");
  await socket(at);
}

(async () => {
  await attack(weft);
  if (named) await attack(named);
  if (!inFrame) {
    const frame = document.createElement("iframe");   // of which the origin is null
    frame.sandbox = "allow-scripts allow-forms";
    frame.src = "/frame";
    document.body.append(frame);
  }
  await new Promise(resolve => setTimeout(resolve, 500));
  await fetch("/report" + (inFrame ? "?frame" : ""), {method: "POST", mode: "no-cors", body: JSON.stringify(log)});
})();
</script>"""


def chromium() -> str:
    """A browser of this machine; skips the test where there is none."""
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
    found = os.environ.get("WEFT_CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    if found is None:
        pytest.skip("no chromium on the PATH, and none in WEFT_CHROMIUM")
    return found


class Evil:
    """The server of a foreign page, and what the page found out."""

    def __init__(self, weft: str) -> None:
        self.reports: dict[str, dict[str, Any]] = {}
        self.ended = threading.Event()
        evil = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                named = weft.replace("127.0.0.1", "rebound.localhost")
                page = (PAGE % {"weft": weft, "named": named if self.path == "/" else ""}).encode()
                self._answer(page)

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"] or 0))
                evil.reports["frame" if self.path.endswith("?frame") else "page"] = json.loads(body)
                self._answer(b"")
                if len(evil.reports) == 2:
                    evil.ended.set()

            def _answer(self, body: bytes) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "text/html")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *arguments: Any) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://evil.localhost:{self.server.server_address[1]}/"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with running(tmp_path_factory.mktemp("browsed")) as found:
        yield found


def test_a_foreign_page_does_nothing_and_reads_nothing(tmp_path: Path, server: RunningServer) -> None:
    browser = chromium()
    evil = Evil(server.url)
    threading.Thread(target=evil.server.serve_forever, daemon=True).start()
    options = (
        "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-proxy-server",
        "--disable-features=LocalNetworkAccessChecks,BlockInsecurePrivateNetworkRequests",
        f"--user-data-dir={tmp_path / 'profile'}", "--remote-debugging-port=0",
    )  # fmt: skip
    environment = {**os.environ, "HOME": str(tmp_path)}
    with open(tmp_path / "browser.log", "wb") as log:
        process = subprocess.Popen([browser, *options, evil.url], stdout=log, stderr=log, env=environment)
    try:
        came = evil.ended.wait(REPORT_SECONDS)
    finally:
        process.terminate()
        process.wait(20)
        evil.server.shutdown()
        evil.server.server_close()
    assert came, (tmp_path / "browser.log").read_text("utf-8", "replace")[-3000:]
    for report in evil.reports.values():
        assert report["tried"] > 25
        assert report["opened"] == []
        assert report["read"] == []
    with httpx.Client(base_url=server.url) as client:
        assert client.get("/api/v1/jobs").json()["jobs"] == []
        assert client.get("/api/v1/queue").json()["paused"] is False
        # The requests did come: it is the server that refused them.
        lines = [line for line in client.get("/metrics").text.splitlines() if "weft_http" in line and "_total" in line]
    counts = {code: sum(float(line.split()[-1]) for line in lines if f'code="{code}"' in line) for code in (403, 421)}
    assert counts[403] > 40, lines
    assert counts[421] > 20, lines
    assert not [line for line in lines if 'code="2' in line and "POST" in line], lines


HANDSHAKES: dict[str, tuple[dict[str, str], int]] = {
    "a foreign page": ({"Origin": "http://evil.example"}, 403),
    "a page without an origin": ({"Origin": "null"}, 403),
    "a page of a neighbour": ({"Sec-Fetch-Site": "same-site"}, 403),
    "a name pointed to us": ({"Host": "evil.example"}, 421),
}


@pytest.mark.parametrize("case", HANDSHAKES)
def test_foreign_handshakes_are_refused(server: RunningServer, case: str) -> None:
    headers, status = HANDSHAKES[case]
    assert status_of(server, handshake(server, headers)) == status


def handshake(server: RunningServer, headers: dict[str, str]) -> bytes:
    """A request for the websocket."""
    known = {
        "Host": server.url.split("/")[2],
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
        "Sec-WebSocket-Version": "13",
        **headers,
    }
    lines = "".join(f"{name}: {text}\r\n" for name, text in known.items())
    return f"GET /api/v1/ws HTTP/1.1\r\n{lines}\r\n".encode()


def status_of(server: RunningServer, data: bytes) -> int:
    """Send bytes, and read the answer's status; 0 when there is none."""
    host, port = server.url.split("/")[2].split(":")
    with socket.create_connection((host, int(port)), timeout=10.0) as connection:
        connection.sendall(data)
        line = connection.makefile("rb").readline()
    return int(line.split()[1]) if line.startswith(b"HTTP/1.1 ") else 0


BROKEN: dict[str, tuple[Any, int]] = {
    "no JSON": ("{", 1008),
    "no object": ("[]", 1008),
    "a list in 10,000 others": ("[" * 10_000, 1008),
    "an unknown field of many letters": (json.dumps({"subscribe": {"\u00e9" * 100: 1}}), 1008),
    "half of a surrogate pair as an id": ('{"subscribe": {"jobs": ["\\ud800"], "since": {"\\ud800": 1}}}', 1008),
    "half of a surrogate pair in since": ('{"subscribe": {"jobs": "all", "since": {"\\ud800": 1}}}', 1008),
    "a number that is none": ('{"subscribe": {"jobs": "all", "since": {"a": NaN}}}', 1008),
    "a number of 5,000 digits": ('{"subscribe": {"jobs": "all", "since": {"a": %s}}}' % ("9" * 5000), 1008),
    "10,000 ids": (json.dumps({"subscribe": {"jobs": ["x"] * 10_000}}), 1008),
    "keys of prototypes": ('{"subscribe": {"__proto__": {"jobs": "all"}}}', 1008),
    "bytes": (b"\x00\xff", 1003),
    "more than 64 KiB": ("x" * 70_000, 1009),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_websocket_that_says_nonsense_is_closed(server: RunningServer, case: str) -> None:
    message, code = BROKEN[case]
    address = server.url.replace("http", "ws") + "api/v1/ws"
    with connect(address, proxy=None) as other, connect(address, proxy=None) as mine:
        mine.send(message)
        with pytest.raises(ConnectionClosed) as raised:
            mine.recv(timeout=10.0)
        assert raised.value.rcvd is not None
        assert raised.value.rcvd.code == code
        other.send('{"subscribe": {"jobs": "all"}}')
        with pytest.raises(TimeoutError):
            other.recv(timeout=0.05)  # it is told nothing of this, and stays
    assert httpx.get(f"{server.url}healthz").status_code == 200


RAW: dict[str, bytes] = {
    "two lengths": b"POST /api/v1/jobs HTTP/1.1\r\nHost: %s\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    "a length and chunks": b"POST /api/v1/jobs HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\n"
    b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "two hosts": b"GET /healthz HTTP/1.1\r\nHost: %s\r\nHost: evil.example\r\n\r\n",
    "no host": b"GET /healthz HTTP/1.1\r\nX: %s\r\n\r\n",
    "an address of a proxy": b"GET http://evil.example/healthz HTTP/1.1\r\nHost: %s\r\n\r\n",
    "a way up": b"GET /api/v1/files/../../../etc/passwd HTTP/1.1\r\nHost: %s\r\n\r\n",
    "a null": b"GET /healthz HTTP/1.1\r\nHost: %s\r\nX: a\0b\r\n\r\n",
    "a folded header": b"GET /healthz HTTP/1.1\r\nHost: %s\r\nX: a\r\n b\r\nOrigin : x\r\n\r\n",
    "a long header": b"GET /healthz HTTP/1.1\r\nHost: %s\r\nX: " + b"a" * 40_000 + b"\r\n\r\n",
    "many headers": b"GET /healthz HTTP/1.1\r\nHost: %s\r\n" + b"X: a\r\n" * 500 + b"\r\n",
    "no protocol": b"\x16\x03\x01\x02\x00\x01\x00 %s\r\n\r\n",
}


@pytest.mark.parametrize("case", RAW)
def test_requests_that_two_readers_would_read_in_two_ways_are_refused(server: RunningServer, case: str) -> None:
    status = status_of(server, RAW[case] % server.url.split("/")[2].encode())
    assert status == 0 or 400 <= status < 500, status
