"""Every refusal has the same form, says all that is wrong, and gives nothing away."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from tests.server.answer import Answer
from tests.server.guard.calling import JSON, Guarded
from weft.graphs.problems import Problem, WorkflowError
from weft.server.logs import log_context
from weft.server.problems import TITLES, ApiError, body_of
from weft.server.scrub import Scrubber


def post(body: bytes | str) -> Answer:
    return Guarded().call("POST", "/api/v1/jobs", JSON, body.encode() if isinstance(body, str) else body)


@pytest.mark.parametrize("code", TITLES)
def test_the_form(code: str) -> None:
    data = json.loads(body_of(ApiError(code, "It was so."), Scrubber()))
    status, title = TITLES[code]
    assert data.pop("type") == f"/problems/{code}"
    assert data == {"title": title, "status": status, "detail": "It was so.", "code": code, "problems": []}


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 406, 409, 413, 418, 422, 429, 500, 502, 503, 507])
def test_a_bare_status_has_the_form_too(status: int) -> None:
    error = ApiError.of_status(status)
    data = json.loads(body_of(error, Scrubber()))
    assert data["status"] == status == error.status_code
    assert data["code"] in TITLES
    assert data["title"]


def test_when_to_come_again() -> None:
    assert ApiError("draining", retry_after=4.2).headers == {"Retry-After": "5"}
    assert ApiError("queue_full", retry_after=0).headers == {"Retry-After": "1"}
    assert not ApiError("draining").headers


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ("{", "Line 1, column 2"),
        ('{"title": "x",\n "priority": }', "Line 2, column 14"),
        ('{"title": NaN}', "Line 1, column 11"),
        ('{"a": 1,\n"a": 2}', "Line 2, column 1"),
        ('{"priority": 1e999}', "Line 1, column 14"),
        (b'{"title": "\xff"}', "Line 1, column 12"),
        (" ", "empty"),
        ("[" * 200_000, "64 deep"),
    ],
)
def test_what_is_not_json_says_where(body: bytes | str, place: str) -> None:
    answer = post(body)
    assert answer.status == (413 if "deep" in place else 400)
    assert answer.json["code"] == ("too_large" if "deep" in place else "bad_json")
    assert place in answer.json["detail"]


def test_every_field_that_is_wrong_is_named() -> None:
    answer = post(json.dumps({"title": "x" * 30, "priority": 500, "titel": 1}))
    assert answer.status == 422
    problems = {problem["input"]: problem for problem in answer.json["problems"]}
    assert answer.json["detail"].startswith("3 fields")
    assert {name: problem["code"] for name, problem in problems.items()} == {
        "title": "too_large",
        "priority": "out_of_range",
        "titel": "unknown_input",
    }
    assert problems["priority"]["given"] == 500
    assert problems["priority"]["expected"] == {"le": 100}
    assert problems["titel"]["suggestion"] == "title"
    for name, problem in problems.items():
        assert name in problem["message"]


@pytest.mark.parametrize("value", ["x", None, [], {}, 1.5, "1e400", "9" * 5000])
def test_a_wrong_kind_is_said(value: Any) -> None:
    answer = post(json.dumps({"priority": value}))
    assert answer.status == 422
    (problem,) = answer.json["problems"]
    assert problem["input"] == "priority"
    assert len(answer.data) < 2000, "what was given is not sent back in full"


def test_of_a_thousand_wrong_fields_some_are_said() -> None:
    answer = post(json.dumps({f"x{number}": 1 for number in range(1000)}))
    assert answer.status == 422
    assert len(answer.json["problems"]) == 100
    assert "1000 fields" in answer.json["detail"]


def test_wrong_parts_of_the_address() -> None:
    answer = Guarded().call("GET", "/api/v1/jobs/1?limit=0")
    assert answer.status == 422
    assert answer.json["problems"][0]["input"] == "limit"
    assert "query" in answer.json["problems"][0]["message"]


@pytest.mark.parametrize("body", ["null", "[]", '"x"', "1", "true"])
def test_other_json_than_an_object(body: str) -> None:
    assert post(body).status == 422


def test_what_is_not_there() -> None:
    answer = Guarded().call("GET", "/api/v1/nothing")
    assert (answer.status, answer.json["code"]) == (404, "not_found")
    assert "GET /api/v1/nothing" in answer.json["detail"]
    answer = Guarded().call("PUT", "/api/v1/jobs", JSON, b"{}")
    assert (answer.status, answer.json["code"]) == (405, "method_not_allowed")
    assert answer["allow"]


def test_a_workflow_with_errors_has_them_all() -> None:
    problems = [Problem(code="bad_value", node="a", input="b", message="Wrong.", given=float("nan")) for _ in range(3)]
    error = ApiError.of_workflow(WorkflowError(problems))
    data = json.loads(body_of(error, Scrubber()))
    assert (data["status"], data["code"], len(data["problems"])) == (422, "invalid_workflow", 3)
    assert data["problems"][0]["node"] == "a"


def test_words_are_scrubbed_and_what_was_given_is_as_it_was_given() -> None:
    scrub = Scrubber({"/srv/weft": "<data>"}, ["a-long-secret"], ["srv"])
    message = "no file /srv/weft/x for a-long-secret"
    problem = Problem(code="bad_value", message=message, given="/srv/weft/x a-long-secret", expected=["/srv/weft/y"])
    data = json.loads(body_of(ApiError("bad_request", message, problems=[problem]), scrub))
    assert data["detail"] == "no file <data>/x for [secret]"
    assert data["problems"][0]["message"] == data["detail"]
    assert data["problems"][0]["expected"] == ["<data>/y"]
    assert data["problems"][0]["given"] == "/srv/weft/x [secret]"


def test_what_nobody_expected_gives_nothing_away(caplog: pytest.LogCaptureFixture) -> None:
    with log_context(request="abc123"):
        answer = Guarded().call("GET", "/api/v1/broken")
    assert (answer.status, answer.json["code"]) == (500, "internal_error")
    assert "abc123" in answer.json["detail"], "to be found in the log"
    for word in (b"secret.db", b"Traceback", b"ValueError", str(Path(__file__).parent).encode(), b".py"):
        assert word not in answer.data
    assert [record.levelno for record in caplog.records] == [logging.ERROR], "once"
    assert "secret.db" in str(caplog.records[0].exc_info)


def test_but_in_debug_mode_it_does() -> None:
    answer = Guarded(debug=True).call("GET", "/api/v1/broken")
    assert answer.status == 500
    assert "secret.db" in answer.json["exception"]
    assert "Traceback" in answer.json["traceback"]
