"""Requests are counted by their routes, have ids of ours, and leave lines without secrets."""

from __future__ import annotations

import logging
import re

import pytest

from tests.server.guard.calling import JSON, Guarded, call, handshake
from tests.server.test_server_metrics import samples
from weft.server.access import Access
from weft.server.metrics import Metrics


def test_requests_are_counted_by_route() -> None:
    metrics, guarded = Metrics(), Guarded()
    app = Access(guarded.app, metrics)
    for number in range(5):
        call(app, "GET", f"/api/v1/jobs/{number}")
    call(app, "POST", "/api/v1/jobs", JSON, b"{")
    call(app, "GET", "/api/v1/broken")
    call(app, "GET", "/nothing/of/the/kind")
    call(app, "GET", "/api/v1/jobs/1", {"host": "evil.example"})
    handshake(app)
    handshake(app, {"origin": "null"})
    found = {
        tuple(dict(labels)[name] for name in ("method", "route", "code")): count
        for (sample, labels), count in samples(metrics).items()
        if sample == "weft_http_requests_total"
    }
    assert found == {
        ("GET", "/api/v1/jobs/{id}", "200"): 5,
        ("POST", "/api/v1/jobs", "400"): 1,
        ("GET", "/api/v1/broken", "500"): 1,
        ("GET", "", "404"): 1,
        ("GET", "", "421"): 1,
        ("GET", "/api/v1/ws", "101"): 1,
        ("GET", "", "403"): 1,
    }


def test_the_server_draws_the_ids(caplog: pytest.LogCaptureFixture) -> None:
    app = Access(Guarded().app, Metrics())
    answers = [call(app, "GET", "/api/v1/broken", {"x-request-id": "mine"}) for _ in range(2)]
    ids = {answer["x-request-id"] for answer in answers}
    assert len(ids) == 2
    assert all(re.fullmatch("[0-9a-f]{16}", id) for id in ids)
    assert all(answer["x-request-id"] in answer.json["detail"] for answer in answers)


def test_a_line_says_the_route_and_not_the_address(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "weft.server.access"):
        call(Access(Guarded().app, Metrics()), "GET", "/api/v1/jobs/7?tag=private")
    (record,) = caplog.records
    assert vars(record)["route"] == "/api/v1/jobs/{id}"
    assert vars(record)["status"] == 200
    assert "private" not in str(vars(record))
