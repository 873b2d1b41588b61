"""Headers of requests have bounds, and every answer has ours."""

from __future__ import annotations

import asyncio
import logging

import pytest

from tests.server.answer import Answer
from tests.server.guard.calling import JSON, TOKEN, Guarded, scope_of
from weft.server.guard.headers import MAX_BYTES, MAX_COUNT, MAX_ONE
from weft.server.guard.hosts import Hosts
from weft.server.guard.rules import Rules

CSP = "default-src 'self'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'"


def secured(answer: Answer) -> bool:
    """Whether an answer has every header that it must have, and none that it must not."""
    return (
        CSP in answer["content-security-policy"]
        and answer["x-content-type-options"] == "nosniff"
        and answer["x-frame-options"] == "DENY"
        and answer["referrer-policy"] == "same-origin"
        and answer["cross-origin-opener-policy"] == "same-origin"
        and answer["cross-origin-resource-policy"] == "same-origin"
        and not any(name.startswith("access-control") for name, _ in answer.headers)
    )


CALLS = {
    200: ("GET", "/api/v1/jobs/1", {}, None),
    202: ("POST", "/api/v1/jobs", JSON, b"{}"),
    400: ("POST", "/api/v1/jobs", JSON, b"{"),
    401: ("GET", "/api/v1/jobs/1", {"authorization": ""}, None),
    403: ("GET", "/api/v1/jobs/1", {"origin": "null"}, None),
    404: ("GET", "/api/v1/nothing", {}, None),
    405: ("PUT", "/api/v1/jobs", JSON, b"{}"),
    413: ("POST", "/api/v1/jobs", JSON, b"x" * (8 * 1024 * 1024 + 1)),
    415: ("POST", "/api/v1/jobs", {}, b"{}"),
    421: ("GET", "/api/v1/jobs/1", {"host": "a"}, None),
    422: ("POST", "/api/v1/jobs", JSON, b'{"nothing": 1}'),
    500: ("GET", "/api/v1/broken", {}, None),
}


@pytest.mark.parametrize("status", CALLS)
def test_every_answer_has_them(status: int) -> None:
    method, path, headers, body = CALLS[status]
    guarded = Guarded(Rules(Hosts.of("127.0.0.1", 9338), token=TOKEN))
    answer = guarded.call(method, path, {"authorization": f"Bearer {TOKEN}"} | headers, body)
    assert answer.status == status
    assert secured(answer)
    assert answer["cache-control"] == "no-store"
    if status >= 400:
        assert answer["content-type"] == "application/problem+json"
        assert answer.json["status"] == status


def test_an_answers_own_policy_stands_beside_ours() -> None:
    answer = Guarded().call("GET", "/api/v1/files/1")
    assert secured(answer), "and nobody else is granted anything, whatever the application says"
    assert [value for name, value in answer.headers if name == "content-security-policy"] == ["sandbox", CSP]
    assert answer["cache-control"] == "private, max-age=60"


def test_the_page_may_be_kept() -> None:
    answer = Guarded().call("GET", "/")
    assert secured(answer)
    assert answer["cache-control"] == ""


def test_refused_handshakes_have_them_too() -> None:
    sent = Guarded().handshake({"origin": "null"})
    assert (b"content-security-policy", CSP.encode()) in sent[0]["headers"]


def test_headers_have_bounds() -> None:
    guarded = Guarded()
    for headers, status in [
        ([(f"x-{number}", "1") for number in range(MAX_COUNT - 1)], 200),
        ([(f"x-{number}", "1") for number in range(MAX_COUNT)], 431),
        ([("x", "y" * (MAX_ONE - 1))], 200),
        ([("x", "y" * MAX_ONE)], 431),
        ([(f"x-{number}", "y" * 8000) for number in range(MAX_BYTES // 8000 + 1)], 431),
        ([("x", "a\r\nSet-Cookie: b")], 400),
        ([("x", "a\x00")], 400),
        ([("x", "ä\t")], 200),
    ]:
        assert guarded.call("GET", "/api/v1/jobs/1", headers).status == status, headers[0]


def test_half_an_answer_is_not_made_whole(caplog: pytest.LogCaptureFixture) -> None:
    """The server below ends the connection: nobody takes the half for the whole."""
    with pytest.raises(Exception) as raised:  # noqa: PT011 (the framework's own, which may change)
        Guarded().call("GET", "/api/v1/stream")
    assert "the disk is broken" in str(raised.value.__context__)
    assert [record.levelno for record in caplog.records] == [logging.ERROR]


@pytest.mark.parametrize(
    "error", [OSError(), ConnectionResetError(104, "reset by peer"), BrokenPipeError(32, "broken")]
)
def test_who_leaves_in_the_middle_of_an_answer_is_not_in_the_log(
    error: OSError, caplog: pytest.LogCaptureFixture
) -> None:
    guarded = Guarded()
    sent = []

    async def send(message: dict[str, object]) -> None:
        if sent:
            raise error
        sent.append(message)

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": b"", "more_body": False}

    asyncio.run(guarded.app(scope_of("http", "/api/v1/stream", {}) | {"method": "GET"}, receive, send))
    assert len(sent) == 1
    assert not caplog.records


def test_an_application_that_fails_without_an_answer_gets_one(caplog: pytest.LogCaptureFixture) -> None:
    from tests.server.guard.calling import call
    from weft.server.guard.guard import Guard
    from weft.server.scrub import Scrubber

    async def app(*_: object) -> None:
        raise ValueError("at /etc/weft")

    answer = call(Guard(app, Rules(Hosts.of("127.0.0.1", 9338)), Scrubber()), "GET", "/x")
    assert answer.status == 500
    assert secured(answer)
    assert b"/etc" not in answer.data
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
