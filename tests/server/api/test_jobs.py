"""Jobs over HTTP: submitted, listed, moved, followed, ended, removed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.server.api.conftest import Server, document

QUICK = {"a": ("toy_seeded", {"seed": 1})}
SLOW = {"a": ("toy_slow", {"seed": 1})}


@pytest.fixture
def paused(server: Server) -> Iterator[Server]:
    """Nothing that is queued begins."""
    assert server("POST", "/queue/pause").json()["paused"] is True
    yield server
    for job in server("GET", "/jobs", params={"state": "queued", "limit": 200}).json()["jobs"]:
        server("POST", f"/jobs/{job['id']}/cancel")
    assert server("POST", "/queue/resume").json()["paused"] is False


def test_a_job_runs_and_says_what_it_made(server: Server) -> None:
    nodes = {"t": ("toy_text", {"text": "hi"}), "a": ("toy_save", {"text": {"link": "t"}, "name": "note"})}
    job = server.submit(nodes, wait=60, title="One", tags=["x", "y"])
    assert (job["state"], job["title"], job["tags"], job["position"]) == ("done", "One", ["x", "y"], None)
    assert job["created"] <= job["started"] <= job["finished"]
    assert (job["progress"], job["attempts"], job["error"]) == ({"done": 2, "cached": 0, "of": 2}, 0, None)
    [output] = job["outputs"]
    assert (output["node"], output["kind"], output["name"]) == ("a", "file", "note.txt")
    got = server("GET", f"/files/{output['file']}")
    assert (got.text[:4], len(got.content)) == ("hihi", output["bytes"])
    assert got.headers["content-disposition"].startswith("attachment")
    assert server("GET", f"/jobs/{job['id']}").json() == job
    ran = server("GET", f"/jobs/{job['id']}/workflow").json()
    assert ran == document(nodes)


def test_where_a_job_is_and_who_waits(paused: Server) -> None:
    answer = paused("POST", "/jobs", json={"workflow": document(QUICK)}, status=202)
    job = answer.json()
    assert answer.headers["location"] == f"/api/v1/jobs/{job['id']}"
    assert (job["state"], job["position"], job["started"], job["outputs"]) == ("queued", 0, None, [])
    assert "preference-applied" not in answer.headers
    waited = paused("POST", "/jobs", json={"workflow": document(QUICK)}, headers={"Prefer": "wait=0"}, status=202)
    assert waited.json()["state"] == "queued"


def test_problems_are_told_at_once_and_nothing_is_queued(paused: Server) -> None:
    nodes = {"a": ("toy_seeded", {"sed": 1}), "b": ("nope", {}), "c": ("toy_text", {"times": 0})}
    problem = paused("POST", "/jobs", json={"workflow": document(nodes)}, status=422).json()
    assert problem["code"] == "invalid_workflow"
    assert {item["node"] for item in problem["problems"]} == {"a", "b", "c"}
    assert next(item for item in problem["problems"] if item["node"] == "a")["suggestion"] == "seed"
    body = {"workflow": document(QUICK), "prioritty": 1, "tags": "x", "priority": 10**9}
    wrong = paused("POST", "/jobs", json=body, status=422).json()
    assert wrong["code"] == "invalid_request"
    assert {item["input"] for item in wrong["problems"]} == {"prioritty", "tags", "priority"}
    paused("POST", "/jobs", json={}, status=422)
    paused("POST", "/jobs", json={"workflow": document(QUICK), "saved": "x"}, status=422)
    broken = {"content": b"{", "headers": {"content-type": "application/json"}}
    assert paused("POST", "/jobs", **broken, status=400).json()["code"] == "bad_json"
    assert paused("GET", "/queue").json()["queued"] == 0


def test_the_same_key_is_the_same_job(paused: Server) -> None:
    first = paused.submit(QUICK, key="k1")
    assert paused.submit(QUICK, key="k1")["id"] == first["id"]
    body = {"workflow": document(QUICK), "priority": 1}
    problem = paused("POST", "/jobs", json=body, headers={"Idempotency-Key": "k1"}, status=409).json()
    assert problem["code"] == "conflict"
    assert paused.submit(QUICK, key="k2")["id"] != first["id"]
    assert paused("GET", "/queue").json()["queued"] == 2


def test_lists_go_on_where_they_ended(paused: Server) -> None:
    ids = [paused.submit(QUICK, tags=["page", f"n{number % 2}"])["id"] for number in range(5)]
    newest = ids[::-1]
    assert newest == sorted(ids, reverse=True)
    found, cursor, pages = [], None, 0
    while True:
        params = {"tag": "page", "limit": 2} | ({} if cursor is None else {"cursor": cursor})
        page = paused("GET", "/jobs", params=params).json()
        found += [job["id"] for job in page["jobs"]]
        pages += 1
        # What comes meanwhile is newer than all that is still to be listed.
        paused.submit(QUICK, tags=["page"])
        if (cursor := page["next"]) is None:
            break
    assert (found, pages) == (newest, 3)
    odd = paused("GET", "/jobs", params={"tag": "n1"}).json()["jobs"]
    assert [job["id"] for job in odd] == [ids[3], ids[1]]
    assert paused("GET", "/jobs", params={"state": "running"}).json() == {"jobs": [], "next": None}
    for params in ({"limit": "0"}, {"limit": "x"}, {"state": "odd"}):
        paused("GET", "/jobs", params=params, status=422)


def test_queued_jobs_move(paused: Server) -> None:
    first, second, third = (paused.submit(QUICK)["id"] for _ in range(3))

    def order() -> list[str]:
        jobs = [paused("GET", f"/jobs/{id}").json() for id in (first, second, third)]
        return [job["id"] for job in sorted(jobs, key=lambda job: job["position"])]

    assert order() == [first, second, third]
    assert paused("PATCH", f"/jobs/{third}", json={"before": first}).json()["position"] == 0
    assert order() == [third, first, second]
    assert paused("PATCH", f"/jobs/{second}", json={"priority": 5}).json()["priority"] == 5
    assert order() == [second, third, first]
    paused("PATCH", f"/jobs/{first}", json={}, status=422)
    paused("PATCH", f"/jobs/{first}", json={"priority": 1, "before": second}, status=422)
    paused("PATCH", "/jobs/none", json={"priority": 1}, status=404)
    paused("POST", f"/jobs/{first}/cancel")
    paused("PATCH", f"/jobs/{first}", json={"priority": 1}, status=409)
    paused("PATCH", f"/jobs/{second}", json={"before": first}, status=409)


def test_cancel_and_retry(paused: Server) -> None:
    job = paused.submit(QUICK, tags=["again"], priority=3)
    cancelled = paused("POST", f"/jobs/{job['id']}/cancel").json()
    assert (cancelled["state"], cancelled["started"]) == ("cancelled", None)
    assert paused("POST", f"/jobs/{job['id']}/cancel").json() == cancelled
    answer = paused("POST", f"/jobs/{job['id']}/retry", status=202)
    again = answer.json()
    assert again["id"] != job["id"]
    assert answer.headers["location"].endswith(again["id"])
    assert (again["state"], again["tags"], again["priority"]) == ("queued", ["again"], 3)
    for action in ("cancel", "retry"):
        assert paused("POST", f"/jobs/none/{action}", status=404).json()["code"] == "not_found"


def test_a_running_job_is_ended(server: Server) -> None:
    job = server.submit(SLOW)
    ended = server.submit(QUICK, slot=None)  # behind it, on the only worker
    with_progress = server("GET", f"/jobs/{job['id']}").json()
    assert with_progress["state"] in ("queued", "running")
    server("DELETE", f"/jobs/{job['id']}", status=409)
    server("POST", f"/jobs/{job['id']}/cancel")
    stream = {"headers": {"Accept": "text/event-stream"}}
    assert "event: job_cancelled" in server("GET", f"/jobs/{job['id']}/events", **stream).text
    assert server("GET", f"/jobs/{job['id']}").json()["state"] == "cancelled"
    assert "event: job_finished" in server("GET", f"/jobs/{ended['id']}/events", **stream).text


def test_a_newer_job_of_a_slot_ends_the_one_before(server: Server) -> None:
    first = server.submit(SLOW, slot="tab")
    second = server.submit(QUICK, slot="tab", wait=60)
    assert second["state"] == "done"
    assert server("GET", f"/jobs/{first['id']}").json()["state"] == "cancelled"


def test_a_failure_names_the_node(server: Server) -> None:
    job = server.submit({"bad": ("toy_fail", {})}, wait=60)
    assert (job["state"], job["error"]["node"], job["error"]["exception"]) == ("failed", "bad", "ValueError")
    assert job["error"]["traceback"] == ""


def test_events_are_numbered_and_replayed(server: Server) -> None:
    job = server.submit({"t": ("toy_steps", {"value": 3}), "a": ("toy_seeded", {"seed": {"link": "t"}})}, wait=60)
    path = f"/jobs/{job['id']}/events"
    events = server("GET", path).json()["events"]
    assert [event["state"] for event in events] == list(range(len(events)))
    kinds = [event["event"] for event in events]
    assert (kinds[0], kinds[-1]) == ("job_queued", "job_finished")
    assert not {"node_progress", "node_preview"} & set(kinds)
    assert server("GET", path, params={"since": 3}).json()["events"] == events[3:]
    assert server("GET", path, params={"since": 1000}).json()["events"] == []
    stream = server("GET", path, params={"since": 2}, headers={"Accept": "text/event-stream"})
    assert stream.headers["content-type"].startswith("text/event-stream")
    sent = [dict(line.split(": ", 1) for line in part.splitlines()) for part in stream.text.split("\n\n") if part]
    assert [json.loads(part["data"]) for part in sent] == events[2:]
    assert [int(part["id"]) for part in sent] == [event["state"] for event in events[2:]]
    server("GET", "/jobs/none/events", status=404)
    server("GET", path, params={"since": -1}, status=422)


def test_a_deleted_job_takes_its_files_with_it(server: Server) -> None:
    def job(name: str, text: str) -> Any:
        return server.submit({"a": ("toy_save", {"text": text, "name": name})}, wait=60)

    shared, same, own = job("s1", "shared"), job("s2", "shared"), job("o", "only here")
    [file] = {output["file"] for one in (shared, same) for output in one["outputs"]}
    [alone] = [output["file"] for output in own["outputs"]]
    server("DELETE", f"/jobs/{shared['id']}", status=204)
    server("GET", f"/files/{file}")
    server("DELETE", f"/jobs/{own['id']}", status=204)
    server("GET", f"/files/{alone}", status=404)
    server("GET", f"/jobs/{own['id']}", status=404)
    server("GET", f"/jobs/{own['id']}/events", status=404)
    server("DELETE", f"/jobs/{own['id']}", status=404)
    server("DELETE", f"/jobs/{same['id']}", status=204)
    server("GET", f"/files/{file}", status=404)


def test_a_job_that_cannot_be_accepted_is_refused_with_a_problem(server: Server) -> None:
    body = {"workflow": document(QUICK)}
    server.deck.draining = True
    try:
        draining = server("POST", "/jobs", json=body, status=503)
    finally:
        server.deck.draining = False
    assert (draining.json()["code"], draining.headers["retry-after"]) == ("draining", "10")
    real = server.deck.desk.submit

    async def broken(*arguments: Any, **more: Any) -> Any:
        raise KeyError("a mistake of ours")

    server.deck.desk.submit = broken  # type: ignore[method-assign]
    try:
        failed = server("POST", "/jobs", json=body, status=500)
    finally:
        server.deck.desk.submit = real  # type: ignore[method-assign]
    assert failed.json()["code"] == "internal_error"
    assert "mistake" not in failed.text


@pytest.mark.parametrize(
    ("text", "status", "code"),
    [
        ("", 422, "invalid_request"),
        ("{", 400, "bad_json"),
        ("NaN", 400, "bad_json"),
        ('{"workflow": {}, "workflow": {}}', 400, "bad_json"),
        ("[]", 422, "invalid_request"),
        ("null", 422, "invalid_request"),
        ('{"workflow": 1}', 422, "invalid_request"),
    ],
)
def test_what_is_no_request_is_refused_as_elsewhere(server: Server, text: str, status: int, code: str) -> None:
    """`/jobs` goes a shorter way than other routes, as long as all is right."""
    headers = {"Content-Type": "application/json"}
    for path in ("/jobs", "/check"):
        problem = server("POST", path, content=text, headers=headers, status=status).json()
        assert (problem["code"], bool(problem["problems"])) == (code, True)
