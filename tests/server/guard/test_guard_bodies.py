"""Bodies: refused before they are read, and while they are."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from tests.server.guard.calling import HOST, JSON, Guarded, call, scope_of
from weft.server.guard.bodies import BodyRule, media_type
from weft.server.guard.guard import LINGER_BYTES, Guard
from weft.server.guard.hosts import Hosts
from weft.server.guard.rules import Rules
from weft.server.scrub import Scrubber

SMALL = Rules(
    Hosts.of("127.0.0.1", 9338),
    bodies=(
        BodyRule("POST", "/api/v1/jobs", most=1000),
        BodyRule("POST", "/api/v1/files", ("image/*", "application/octet-stream"), 3000),
    ),
)
PNG = {"content-type": "image/png"}


def test_a_body_that_announces_too_much_is_refused_before_it_is_read() -> None:
    guarded = Guarded(SMALL)
    answer = guarded.call("POST", "/api/v1/jobs", [*JSON.items(), ("content-length", str(10**12))])
    assert answer.status == 413
    assert answer["connection"] == "close"
    assert "1,000,000,000,000" in answer.json["detail"]
    assert "1,000 " in answer.json["detail"]
    assert guarded.reached == []


@pytest.mark.parametrize("chunk", [1, 100, 999, 5000])
def test_a_body_that_does_not_say_how_long_it_is_ends_at_the_limit(chunk: int) -> None:
    guarded = Guarded(SMALL)
    for size, status in ((3000, 201), (3001, 413)):
        chunks = [b"x" * min(chunk, size - start) for start in range(0, size, chunk)]
        answer = guarded.call("POST", "/api/v1/files", PNG, chunks, length=False)
        assert answer.status == status
    assert answer.json["code"] == "too_large"
    assert guarded.reached == ["upload 3000"]


def test_a_body_that_lies_about_its_length_ends_at_the_limit() -> None:
    guarded = Guarded(SMALL)
    answer = call(_without_length(guarded.app), "POST", "/api/v1/jobs", JSON, [b"x" * 600] * 3)
    assert answer.status == 413
    assert guarded.reached == []


def _without_length(app: Any) -> Any:
    async def lying(scope: Any, receive: Any, send: Any) -> None:
        headers = [(name, b"5" if name == b"content-length" else value) for name, value in scope["headers"]]
        await app({**scope, "headers": headers}, receive, send)

    return lying


@pytest.mark.parametrize(
    ("headers", "chunks", "read"),
    [
        ({"content-length": "5000"}, 5, 5),
        ({"transfer-encoding": "chunked"}, 5, 5),
        ({"content-length": "5000", "expect": "100-continue"}, 5, 0),
        ({"content-length": str(LINGER_BYTES + 1)}, 5, 0),
        ({"content-length": "0"}, 5, 0),
        ({}, 5, 0),
        ({"transfer-encoding": "chunked"}, LINGER_BYTES // 1000 + 100, LINGER_BYTES // 1000 + 1),
    ],
)
def test_what_is_refused_is_read_to_its_end_within_bounds(headers: dict[str, str], chunks: int, read: int) -> None:
    """A client that is still sending when the connection closes would lose the answer."""
    count = 0

    async def receive() -> Any:
        nonlocal count
        count += 1
        return {"type": "http.request", "body": b"x" * 1000, "more_body": count < chunks}

    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    scope = scope_of("http", "/api/v1/jobs", JSON | {"origin": "null"} | headers) | {"method": "POST"}
    asyncio.run(Guarded(SMALL).app(scope, receive, send))
    assert sent[0]["status"] == 403
    assert count == read


@pytest.mark.parametrize("says", ["nothing", "200", "raises", "400"])
def test_whatever_an_application_makes_of_it_the_answer_is_413(says: str) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        try:
            while (await receive()).get("more_body"):
                pass
        except Exception:
            if says == "raises":
                raise RuntimeError("something else") from None
        if says.isdigit():
            await send({"type": "http.response.start", "status": int(says), "headers": []})
            await send({"type": "http.response.body", "body": b"fine"})

    answer = call(Guard(app, SMALL, Scrubber()), "POST", "/api/v1/jobs", JSON, [b"x" * 600] * 3, length=False)
    assert answer.status == 413
    assert answer.json["code"] == "too_large"


@pytest.mark.parametrize("how", ["gzip", "br", "deflate", "identity", "zstd", ""])
def test_no_encoding_of_a_body_is_taken(how: str) -> None:
    guarded = Guarded(SMALL)
    assert guarded.call("POST", "/api/v1/jobs", JSON | {"content-encoding": how}, b"{}").status == 415
    assert guarded.reached == []


@pytest.mark.parametrize("length", ["-1", "+5", "1e3", "0x10", "٣", "1" * 30, "5, 5"])
def test_a_length_is_a_number(length: str) -> None:
    headers = [*JSON.items(), ("content-length", length.encode("utf-8").decode("latin-1"))]
    assert Guarded(SMALL).call("POST", "/api/v1/jobs", headers).status == 400


def test_two_ways_to_tell_the_length_are_one_too_many() -> None:
    headers = [*JSON.items(), ("content-length", "5"), ("transfer-encoding", "chunked")]
    assert Guarded(SMALL).call("POST", "/api/v1/jobs", headers).status == 400


def test_each_route_takes_its_own_types() -> None:
    guarded = Guarded(SMALL)
    for kind, status in [
        ("image/png", 201), ("image/webp", 201), ("application/octet-stream", 201), ("application/json", 415),
        ("multipart/form-data; boundary=x", 415), ("text/html", 415), ("image", 415), ("image/", 415),
    ]:  # fmt: skip
        assert guarded.call("POST", "/api/v1/files", {"content-type": kind}, b"x").status == status, kind
    assert guarded.call("POST", "/api/v1/files", {}, b"x").status == 415
    answer = guarded.call("POST", "/api/v1/jobs", PNG, b"x")
    assert answer.status == 415
    assert "application/json" in answer.json["detail"]
    assert "image/png" in answer.json["detail"]


@pytest.mark.parametrize(
    "kind", ["text/plain", "multipart/form-data", "application/x-www-form-urlencoded", "*/*", "text/*"]
)
def test_no_route_can_take_what_a_foreign_page_sends_without_asking(kind: str) -> None:
    with pytest.raises(ValueError, match="without a preflight"):
        BodyRule("POST", "/x", (kind,))


def test_deleting_needs_no_type_and_a_body_always_does() -> None:
    guarded = Guarded(SMALL)
    assert guarded.call("DELETE", "/api/v1/jobs/1").status == 204
    assert guarded.call("DELETE", "/api/v1/jobs/2", body=b"x").status == 415
    assert guarded.call("GET", "/api/v1/jobs/3", body=b"x").status == 415
    assert guarded.reached == ["DELETE 1"]


def test_a_body_that_stops_coming_is_given_up() -> None:
    guarded = Guarded(replace(SMALL, body_seconds=0.01))
    answer = guarded.call("POST", "/api/v1/files", PNG, [b"x" * 10], ends=False, length=False)
    assert answer.status == 408
    assert guarded.reached == []


def test_who_waits_for_the_end_of_a_connection_may_wait() -> None:
    """A stream of events is ended by its reader: only the body has to come in time."""
    waited = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await receive()
        waited.append(True)
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    rules = replace(SMALL, body_seconds=0.01)
    messages = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive() -> Any:
        return messages.pop() if messages else await asyncio.Event().wait()

    async def send(message: Any) -> None:
        pass

    scope = {"type": "http", "method": "GET", "path": "/x", "headers": [(b"host", HOST.encode())], "query_string": b""}
    asyncio.run(Guard(app, rules, Scrubber())(scope, receive, send))
    assert waited


def test_a_client_that_goes_in_the_middle_is_nobodys_fault(caplog: pytest.LogCaptureFixture) -> None:
    guarded = Guarded(SMALL)
    answer = call(_leaving(guarded.app), "POST", "/api/v1/files", PNG, [b"x"], length=False)
    assert answer.status == 400
    assert guarded.reached == []
    assert not caplog.records


def _leaving(app: Any) -> Any:
    async def leave(scope: Any, receive: Any, send: Any) -> None:
        messages = [{"type": "http.request", "body": b"x", "more_body": True}, {"type": "http.disconnect"}]

        async def gone() -> Any:
            return messages.pop(0)

        await app(scope, gone, send)

    return leave


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("application/json", "application/json"),
        (' Application/JSON ; charset="utf-8"', "application/json"),
        ("image/svg+xml", "image/svg+xml"),
        *(
            (text, "")
            for text in ("", "json", "a/b/c", "a/b;", "a/b, c/d", "a/b c/d", "a/b; charset=latin-1", "a/\x00")
        ),
    ],
)
def test_media_types_are_read_strictly(text: str, kind: str) -> None:
    assert media_type(text) == kind
