"""Requests made at random from what OpenAPI says of each endpoint, and from what it does not say."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import re
import socket
import string
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from tests.server.answer import Answer
from tests.server.attacks.world import JSON, Endpoint, World, ask, assert_problem
from tests.server.payloads import DIGITS, TRAVERSALS
from tests.server.running import running, sums
from weft.server.files.pictures import LIMITS
from weft.server.guard.bodies import MIB

SHORT, LONG = 600, 5000
LARGE = [
    b'{"workflow": {"weft": 1, "nodes": {"a": {"type": "served_show", "inputs": {"value": %s}}}}}' % value
    for value in (
        *(b'"' + b"x" * 8_000_000 + b'"', b"[" + b"1," * 140_000 + b"1]", b"[" + b"[]," * 2_000_000 + b"[]]"),
        *(b"[" + b'"abc",' * 1_300_000 + b"1]", b"[" + b"0.5," * 140_000 + b"1]"),
    )
]
ODD = (
    "",
    "\0",
    "\r\n",
    "\ud800",
    "\u202e",
    "🧨" * 50,
    "x" * 5000,
    "-1",
    "0",
    "1e999",
    "NaN",
    "null",
    "true",
    "[]",
    "{}",
)
_TEXTS = st.one_of(st.sampled_from((*ODD, *TRAVERSALS)), st.text(max_size=40))
_NUMBERS = st.one_of(
    st.sampled_from([0, -1, 1, 2**31, 2**53, 2**63, -(2**63), 2**64, 10**30, 0.5, 1e308, float("inf"), float("nan")]),
    st.integers(-2000, 2000),
)
_ANYTHING = st.recursive(
    st.none() | st.booleans() | _NUMBERS | _TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXTS, inner, max_size=4),
    max_leaves=12,
)
_HEADERS = (
    "accept", "idempotency-key", "prefer", "if-match", "if-none-match", "range", "content-type", "content-length",
    "content-encoding", "transfer-encoding", "origin", "host", "cookie", "authorization", "expect", "upgrade",
    "x-forwarded-host", "x-forwarded-for", "forwarded", "x-original-url", "sec-fetch-site", "connection",
    "accept-encoding", "te", "user-agent", "referer", "content-disposition", "x-request-id", "last-event-id",
)  # fmt: skip
_HEADER_TEXTS = st.one_of(
    st.text(st.characters(min_codepoint=0, max_codepoint=255), max_size=60),
    st.sampled_from(
        ("wait=0", "wait=99999", '"x"', "*", "bytes=0-", "bytes=9-1", "null", "chunked", "a" * 9000, "\xff", "")
    ),
)
_WORKFLOW = st.fixed_dictionaries(
    {},
    optional={
        "weft": st.just(1) | _ANYTHING,
        "nodes": st.dictionaries(
            st.sampled_from("abc") | _TEXTS,
            st.fixed_dictionaries(
                {},
                optional={
                    "type": st.sampled_from(["bad_says", "load_image", "save_image", "integers"]) | _TEXTS,
                    "inputs": st.dictionaries(
                        st.sampled_from(["text", "path", "image"]) | _TEXTS,
                        st.fixed_dictionaries({"from": st.sampled_from(["a.value", "b.value", "c.image"]) | _TEXTS})
                        | _ANYTHING,
                        max_size=3,
                    ),
                },
            )
            | _ANYTHING,
            max_size=3,
        )
        | _ANYTHING,
        "parameters": _ANYTHING,
        "title": _TEXTS,
        "definitions": _ANYTHING,
    },
)


def values_of(schema: Mapping[str, Any], endpoint: Endpoint, depth: int = 0) -> st.SearchStrategy[Any]:
    """What a schema allows, or nearly."""
    schema = endpoint.resolved(schema)
    if depth > 4:
        return _ANYTHING
    for word in ("anyOf", "oneOf", "allOf"):
        if word in schema:
            return st.one_of([values_of(one, endpoint, depth + 1) for one in schema[word]])
    if "enum" in schema:
        return st.sampled_from(schema["enum"]) | _TEXTS
    kind = schema.get("type")
    if kind == "object" and "properties" in schema:
        fields = {
            name: (_WORKFLOW | _ANYTHING) if name == "workflow" else values_of(one, endpoint, depth + 1) | _ANYTHING
            for name, one in schema["properties"].items()
        }
        return st.fixed_dictionaries({}, optional=fields) | st.dictionaries(_TEXTS, _ANYTHING, max_size=3)
    if kind == "array":
        return st.lists(values_of(schema.get("items", {}), endpoint, depth + 1), max_size=4)
    return {
        "string": _TEXTS,
        "integer": _NUMBERS,
        "number": _NUMBERS,
        "boolean": st.booleans(),
        "null": st.none(),
        "object": st.dictionaries(_TEXTS, _ANYTHING, max_size=3),
    }.get(str(kind), _ANYTHING)


def requests_of(endpoints: list[Endpoint], ids: list[str]) -> st.SearchStrategy[tuple[Any, ...]]:
    """Requests: method, path with query, headers, body."""
    names = st.sampled_from([*ids, f"sha256:{DIGITS}"]) | _TEXTS

    @st.composite
    def made(draw: st.DrawFn) -> tuple[Any, ...]:
        endpoint = draw(st.sampled_from(endpoints))
        path = endpoint.address(**{name: draw(names) for name in endpoint.names("path")})
        if draw(st.integers(0, 9)) == 0:
            path += draw(st.text(string.printable, max_size=10))
        asked = draw(
            st.lists(st.tuples(st.sampled_from([*endpoint.names("query"), "x"]), names | _NUMBERS.map(str)), max_size=3)
        )
        if asked:
            path += "?" + "&".join(f"{name}={quote(text, safe='', errors='replace')}" for name, text in asked)
        headers = (
            draw(st.dictionaries(st.sampled_from(_HEADERS), _HEADER_TEXTS, max_size=2)) if draw(st.booleans()) else {}
        )
        headers = {name: text for name, text in headers.items() if (name, "event-stream" in text) != ("accept", True)}
        if draw(st.integers(0, 9)) == 0:
            body: bytes | None = draw(st.binary(max_size=60))
        elif endpoint.method in ("GET", "DELETE") and draw(st.integers(0, 4)):
            body = None
        else:
            schema = endpoint.body or {}
            body = json.dumps(draw(values_of(schema, endpoint))).encode()
        if body is not None:
            headers = {**JSON, **headers}
            headers.pop("content-length", None)
        method = (
            endpoint.method
            if draw(st.integers(0, 19))
            else draw(st.sampled_from(["PUT", "HEAD", "PATCH", "DELETE", "X"]))
        )
        return method, path, headers, body

    return made()


Send = Callable[[str, str, dict[str, str], bytes | None], Answer | None]


def fuzz(endpoints: list[Endpoint], ids: list[str], send: Send, count: int, number: int) -> dict[int, int]:
    """So many requests; no answer says that the server failed, and each refusal has its form."""
    statuses: dict[int, int] = {}

    @seed(number)
    @settings(
        max_examples=count, deadline=None, database=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(requests_of(endpoints, ids))
    def one(request: tuple[Any, ...]) -> None:
        method, path, headers, body = request
        answer = send(method, path, headers, body)
        status = answer.status if answer is not None else 0
        statuses[status] = statuses.get(status, 0) + 1
        if answer is None:
            return
        assert answer.status < 500, (request, answer.text)
        assert len(answer.data) < 4 * MIB
        if answer.status >= 400 and method != "HEAD":
            assert_problem(answer, request)

    one()
    assert sum(statuses.values()) >= count * 0.9, "some were drawn"
    return statuses


def test_no_request_makes_the_server_fail(world: World) -> None:
    def send(method: str, path: str, headers: dict[str, str], body: bytes | None) -> Answer:
        length = "transfer-encoding" not in headers
        return world.run(ask(world.app, method, path, headers, body, length=length))

    before = {"a": {"type": "bad_says", "inputs": {"text": "fuzz"}}}
    try:
        statuses = fuzz(world.endpoints, [str(world.job(before)["id"])], send, SHORT, 12)
    finally:
        world.call("POST", "/api/v1/queue/resume")
    assert {200, 400, 404, 422} <= set(statuses), statuses
    assert world.job({"a": {"type": "bad_says", "inputs": {"text": "after"}}})["state"] == "done"


@pytest.mark.chaos
def test_no_request_of_thousands_makes_a_real_server_fail_or_grow(world: World, tmp_path: Path) -> None:
    """Its memory grows by less than 150 MB. Who asks meanwhile whether it is well has an answer within 100 ms, but for
    one time in 100, when this process, which makes the requests too, was late itself."""
    with running(tmp_path) as server:
        host, port = server.url.split("/")[2].split(":")
        assert server.process is not None
        pid = server.process.pid
        known = httpx.post(f"{server.url}api/v1/jobs", json={"workflow": sums()}, timeout=30).json()["id"]

        numbers = itertools.count()

        def send(method: str, path: str, headers: dict[str, str], body: bytes | None) -> Answer | None:
            number = next(numbers)
            if number % 250 == 0:  # beside the small ones, as large as they may be, or nearly
                data = LARGE[number // 250 % len(LARGE)]
                large = httpx.post(f"{server.url}api/v1/check", content=data, headers=JSON, timeout=60)
                assert large.status_code in {200, 413}
            return over(host, int(port), method, path, headers, body)

        fuzz(world.endpoints, [known], send, 200, 1)  # what is loaded once
        before, ended = resident(pid), threading.Event()
        waits: list[float] = []

        def look() -> None:
            with httpx.Client(base_url=server.url) as client:
                while not ended.wait(0.05):
                    started = time.perf_counter()
                    assert client.get("/healthz").status_code == 200
                    waits.append(time.perf_counter() - started)

        watcher = threading.Thread(target=look)
        watcher.start()
        statuses: dict[int, int] = {}
        try:
            for number in range(5):
                for status, count in fuzz(world.endpoints, [known], send, LONG // 5, number + 100).items():
                    statuses[status] = statuses.get(status, 0) + count
        finally:
            ended.set()
            watcher.join()
        grown = (resident(pid) - before) / MIB
        log = server.log.read_text("utf-8", "replace")
    waits.sort()
    worst, most = waits[-1] * 1000, waits[len(waits) * 99 // 100] * 1000
    print(f"\n{statuses}: {grown:.1f} MiB more, healthy {len(waits)} times, 99 % in {most:.1f}, all in {worst:.1f} ms")
    assert grown < 150
    assert len(waits) > 100
    assert most < 100
    assert "nobody expected" not in log
    assert "Traceback" not in log


def over(host: str, port: int, method: str, path: str, headers: dict[str, str], body: bytes | None) -> Answer | None:
    """One request over a connection of its own; None where the server ended it without an answer in HTTP."""
    lines = {"host": f"{host}:{port}", **headers, "connection": "close"}
    if body is not None and "transfer-encoding" not in lines:
        lines["content-length"] = str(len(body))
    # With ends of lines in them these would be two requests, with two answers.
    whole = [f"{method} {path} HTTP/1.1", *(f"{name}: {text}" for name, text in lines.items())]
    head = "".join(re.sub(r"[\r\n]", "", line) + "\r\n" for line in whole)
    response = b""
    with socket.create_connection((host, port), timeout=30.0) as connection, contextlib.suppress(ConnectionError):
        connection.sendall(head.encode("utf-8", "surrogatepass") + b"\r\n" + (body or b""))
        connection.shutdown(socket.SHUT_WR)
        while piece := connection.recv(1 << 16):
            response += piece
    start, _, data = response.partition(b"\r\n\r\n")
    first, *rest = start.decode("latin-1").split("\r\n")
    pairs = [(name.lower(), text.strip()) for name, _, text in (line.partition(":") for line in rest)]
    parts = first.split(" ")
    if len(parts) < 2 or not parts[1].isdigit() or not any(name == "x-request-id" for name, _ in pairs):
        return None  # what the server below the application does not take for HTTP
    if ("transfer-encoding", "chunked") in pairs:
        return Answer(int(parts[1]), [], b"") if int(parts[1]) < 400 else None
    return Answer(int(parts[1]), pairs, data)


def resident(pid: int) -> int:
    """Bytes that a process takes."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_the_limits_of_pictures_are_far_below_the_machine() -> None:
    assert LIMITS.max_pixels <= 64 * MIB
