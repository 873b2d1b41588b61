"""Bodies that ask for more than they are: of memory, of depth, of time."""

from __future__ import annotations

import asyncio
import gzip
import json
import threading
import zlib
from dataclasses import replace
from typing import Any

import pytest

from tests.server.attacks.world import JSON, World, ask, assert_refusal, watched
from tests.server.files.pictures import animated, png, text_bomb
from weft.graphs.jsontext import read_json
from weft.server.guard.bodies import DOCUMENT_BYTES, MIB, UPLOAD_BYTES
from weft.server.guard.guard import Guard

PICTURE = {"content-type": "image/png"}
PICTURES = {
    "12,000 pixels square": lambda: png(12_000, 12_000),
    "20,000 pixels square": lambda: png(20_000, 20_000),
    "as many pixels as can be said": lambda: png(0x7FFFFFFF, 0x7FFFFFFF),
    "100,000 frames": lambda: animated(2, stated=100_000),
    "80 MB of text": lambda: text_bomb(80 * MIB),
    "a thing that is no picture": lambda: b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>",
    "a page": lambda: b"<!doctype html><script>alert(1)</script>",
    "a picture and a page": lambda: b"\x89PNG\r\n\x1a\n<script>alert(1)</script>",
    "a zip": lambda: b"PK\x03\x04" + bytes(100),
    "nothing": lambda: b"",
    "half of a picture": lambda: png(8, 8)[:20],
}
POST = [f"/api/v1/{name}" for name in ("jobs", "check", "plan")]


def files_of(world: World) -> list[str]:
    """What is in the file store, drafts too."""
    return [name for name, _ in watched(world.data / "files") if name != ".lock"]


@pytest.mark.parametrize("case", PICTURES)
def test_pictures_are_looked_at_before_they_are_decoded(world: World, case: str) -> None:
    before = files_of(world)
    answer = world.call("POST", "/api/v1/files", PICTURE, PICTURES[case]())
    assert_refusal(answer, case)
    assert files_of(world) == before
    if any(endpoint.path == "/api/v1/import" for endpoint in world.endpoints):
        answer = world.call("POST", "/api/v1/import", PICTURE, PICTURES[case]())
        assert_refusal(answer, case)


def packed(data: bytes, kind: str) -> bytes:
    """Small bytes that become many."""
    return gzip.compress(data) if kind == "gzip" else zlib.compress(data)


@pytest.mark.parametrize("kind", ["gzip", "deflate", "br", "zstd", "identity, gzip", "x-gzip"])
def test_bodies_are_taken_as_they_are(world: World, kind: str) -> None:
    data = packed(b" " * (64 * MIB), "gzip" if "gzip" in kind else "deflate")
    for endpoint in world.endpoints:
        if endpoint.method in ("POST", "PUT", "PATCH"):
            answer = world.call(endpoint.method, endpoint.address(), JSON | {"content-encoding": kind}, data)
            assert answer.status == 415, (str(endpoint), answer.text)
            assert_refusal(answer, endpoint)


WRAPPED = b'{"workflow": {"weft": 1, "nodes": {"a": {"type": "bad_says", "inputs": {"text": %s}}}}}'
TEXTS: dict[str, bytes] = {
    "65 lists in each other": b"[" * 65 + b"]" * 65,
    "100,000 lists in each other": b"[" * 100_000,
    "100,000 objects in each other": b'{"a":' * 100_000,
    "an integer of 5,000 digits": b"9" * 5000,
    "an integer of a million digits": b"9" * 1_000_000,
    "an integer of 65 bits": b"18446744073709551616",
    "a float that is infinite": b"1e999",
    "an exponent of 5,000 digits": b"1e" + b"9" * 5000,
    "not a number": b"NaN",
    "infinity": b"-Infinity",
    "a key twice": b'{"a": 1, "a": 2}',
    "half of a surrogate pair": b'"\\ud800"',
    "the other half": b'{"\\uDFFF": 1}',
    "bytes that are no UTF-8": b'"\xff\xfe"',
    "a null in the middle": b'"\x00"',
    "a line in a text": b'"\n"',
    "two documents": b'1}}}}{"a": 1',
    "an open text": b'"',
}


@pytest.mark.parametrize("case", TEXTS)
def test_json_is_read_strictly_and_within_bounds(world: World, case: str) -> None:
    for endpoint in world.endpoints:
        if endpoint.body is not None or endpoint.method == "PUT":
            for data in (WRAPPED % TEXTS[case], TEXTS[case], b'{"token": %s}' % TEXTS[case]):
                answer = world.call(endpoint.method, endpoint.address(), JSON, data)
                assert_refusal(answer, (str(endpoint), case))
                assert answer.status in (400, 404, 413, 422, 428), answer.text
                assert len(answer.data) < 8192, "the answer is no echo"


MANY = {
    "numbers": b"[" + b"1," * 200_000 + b"1]",
    "lists": b"[" + b"[]," * 200_000 + b"1]",
    "brackets that close": b"]" * 4_000_000,
    "texts without a comma": b'""' * 2_000_000,
    "fields": b"{" + b",".join(b'"f%d":1' % number for number in range(200_000)) + b"}",
}


@pytest.mark.parametrize("case", MANY)
def test_values_are_counted_before_memory_is_taken_for_them(world: World, case: str) -> None:
    for path in (*POST, "/api/v1/import"):
        for data in (MANY[case], WRAPPED % MANY[case]):
            answer = world.call("POST", path, JSON, data)
            assert answer.status == 413, (path, answer.text)
            assert_refusal(answer, (path, case))


def test_a_problem_does_not_quote_the_whole_document(world: World) -> None:
    wrong = {"weft": 1, "nodes": {"a": {"type": "bad_says", "inputs": {"text": [7, "x" * 6_000_000]}}}}
    for path in POST:
        answer = world.post(path, {"workflow": wrong})
        assert answer.json["problems"][0]["input"] == "text"
        assert len(answer.data) < 8192, path


def test_fields_that_nobody_knows_are_not_all_told(world: World) -> None:
    answer = world.call("POST", POST[0], JSON, json.dumps(dict.fromkeys(map(str, range(1001)))).encode())
    assert (answer.status, answer.json["code"]) == (413, "too_large")
    answer = world.call("POST", POST[0], JSON, json.dumps(dict.fromkeys(map(str, range(1000)))).encode())
    assert (answer.status, len(answer.json["problems"])) == (422, 100)


def test_others_are_answered_while_a_large_body_is_read(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    reading, go_on = threading.Event(), threading.Event()

    def slow(body: bytes, limits: Any) -> Any:
        reading.set()
        assert go_on.wait(60)
        return read_json(body, limits)

    monkeypatch.setattr("weft.server.answering.read_json", slow)
    large = {"weft": 1, "nodes": {"a": {"type": "bad_says", "inputs": {"text": "x" * 100_000}}}}
    asked = world.start(ask(world.app, "POST", "/api/v1/check", JSON, body(large)))
    assert reading.wait(60)
    assert world.call("GET", "/healthz").status == 200
    go_on.set()
    assert asked.result(60).json == {"problems": []}


def test_sizes_are_known_before_anything_is_read(world: World) -> None:
    for endpoint in world.endpoints:
        if endpoint.method in ("POST", "PUT", "PATCH"):
            takes = endpoint.path in ("/api/v1/files", "/api/v1/import")
            kind, most = (PICTURE, UPLOAD_BYTES) if takes else (JSON, DOCUMENT_BYTES)
            stated = world.call(endpoint.method, endpoint.address(), kind | {"content-length": str(most + 1)})
            assert stated.status == 413, (str(endpoint), stated.text)
            assert_refusal(stated)
            if endpoint.body is None and not takes:
                continue
            blocks = [b" " * MIB] * (most // MIB + 4)
            answer = world.call(endpoint.method, endpoint.address(), kind, blocks, length=False)
            if not takes:
                assert answer.status == 413, (str(endpoint), answer.text)
            assert_refusal(answer, endpoint)


def test_large_documents_are_refused_and_many_at_once_are_no_danger(world: World) -> None:
    nodes = {f"n{number}": {"type": "bad_says"} for number in range(10_001)}
    answer = world.post("/api/v1/jobs", {"workflow": {"weft": 1, "nodes": nodes}})
    assert_refusal(answer)
    wide = {"weft": 1, "nodes": {"a": {"type": "bad_says", "inputs": {"text": "x" * (DOCUMENT_BYTES + 1)}}}}
    assert world.post("/api/v1/jobs", {"workflow": wide}).status == 413
    many = {"weft": 1, "nodes": {"a": {"type": "bad_says", "inputs": {f"x{number}": 1 for number in range(5_000)}}}}
    started = [world.start(ask(world.app, "POST", path, JSON, body(many))) for path in POST]
    health = world.call("GET", "/healthz")
    assert health.status == 200
    for future in started:
        answer = future.result(60)
        assert answer.status in (200, 413, 422)
        assert len(answer.data) < MIB


def body(workflow: Any) -> bytes:
    """A request with a workflow."""
    return json.dumps({"workflow": workflow}).encode()


def test_cyclic_and_deep_graphs_end(world: World) -> None:
    ids = [f"n{number}" for number in range(2000)]
    chain = {
        id: {"type": "bad_says", "inputs": {"text": {"from": f"{before}.value"}}}
        for id, before in zip(ids, [ids[-1], *ids], strict=False)
    }
    for path in POST[1:]:
        answer = world.post(path, {"workflow": {"weft": 1, "nodes": chain}})
        assert answer.status == 200, answer.text[:500]
    assert_refusal(world.post("/api/v1/jobs", {"workflow": {"weft": 1, "nodes": chain}}))


@pytest.mark.parametrize("path", [*POST, "/api/v1/files"])
def test_a_body_that_does_not_end_is_not_waited_for(world: World, path: str) -> None:
    guard = world.app._app
    assert isinstance(guard, Guard)
    hurried = Guard(guard._app, replace(guard._rules, body_seconds=0.05), guard._scrub)
    before = files_of(world)
    kind = PICTURE if path.endswith("files") else JSON
    answer = world.run(_stalled(hurried, path, kind))
    assert answer[0]["status"] == 408
    assert files_of(world) == before


async def _stalled(app: Any, path: str, headers: dict[str, str]) -> list[Any]:
    """A request of which the first bytes alone ever come."""
    from tests.server.attacks.world import scope_of

    scope = {**scope_of("http", path, [*headers.items(), ("content-length", "1000")]), "method": "POST"}
    first = [{"type": "http.request", "body": png(8, 8)[:40], "more_body": True}]
    sent: list[Any] = []

    async def receive() -> Any:
        if first:
            return first.pop()
        await asyncio.Event().wait()

    async def send(message: Any) -> None:
        sent.append(message)

    await app(scope, receive, send)
    return sent


def test_an_upload_that_breaks_off_leaves_nothing(world: World) -> None:
    data = png(8, 8)
    before = files_of(world)
    for count in (0, 1, 20, len(data) // 2, len(data) - 1, len(data)):
        answer = world.call("POST", "/api/v1/files", PICTURE, [data[:count]] if count else [], breaks_off=True)
        assert answer.status in (0, 400, 408, 415, 422), answer.text
    assert files_of(world) == before
    assert world.call("POST", "/api/v1/files", PICTURE, data).status in (201, 422)


def test_a_request_that_breaks_off_queues_nothing(world: World) -> None:
    before = world.call("GET", "/api/v1/jobs").json
    data = json.dumps({"workflow": {"weft": 1, "nodes": {"a": {"type": "bad_says"}}}}).encode()
    for count in (1, len(data) // 2, len(data)):
        world.call("POST", "/api/v1/jobs", JSON, [data[:count]], breaks_off=True)
    assert world.call("GET", "/api/v1/jobs").json == before
