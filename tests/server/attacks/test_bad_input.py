"""What is wrong with what is sent, said so that it can be put right; and what went wrong before it was sent."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from tests.server.attacks.world import JSON, World, assert_refusal
from weft.server.store import records
from weft.server.store.sqlite import SqliteStore

ROOT = Path(__file__).parents[3]


def test_a_document_of_an_unknown_version_says_which_are_known(world: World) -> None:
    for version in (2, 99, 0, -1, "1", None, 1.5, True):
        answer = world.post("/api/v1/jobs", {"workflow": {"weft": version, "nodes": {}}})
        assert answer.status == 422
        assert_refusal(answer)
        [problem, *_] = answer.json["problems"]
        assert "1" in f"{problem['message']} {problem['expected']}", problem


def test_all_that_is_wrong_is_said_at_once(world: World) -> None:
    answer = world.post("/api/v1/jobs", {"priority": 5000, "tags": [1, "x" * 65], "titel": "x", "workflow": []})
    assert answer.status == 422
    problems = {problem["input"]: problem for problem in answer.json["problems"]}
    assert set(problems) == {"priority", "tags.0", "tags.1", "titel", "workflow"}
    assert problems["priority"]["given"] == 5000
    assert problems["priority"]["expected"] == {"le": 1000}
    assert problems["titel"]["suggestion"] == "title"

    nodes = {"a": {"type": "bad_say"}, "b": {"type": "bad_says", "inputs": {"txt": 1}}, "c": {"type": "save_image"}}
    answer = world.post("/api/v1/jobs", {"workflow": {"weft": 1, "nodes": nodes}})
    assert answer.json["code"] == "invalid_workflow"
    assert {problem["node"] for problem in answer.json["problems"]} == {"a", "b", "c"}
    assert [problem["suggestion"] for problem in answer.json["problems"] if problem["node"] == "a"] == ["bad_says"]


def test_what_is_not_json_is_said_with_line_and_column(world: World) -> None:
    answer = world.call("POST", "/api/v1/jobs", JSON, b'{\n  "workflow": nope}')
    assert answer.status == 400
    assert answer.json["code"] == "bad_json"
    assert "Line 2, column 15" in answer.json["detail"]


def test_a_node_type_that_has_gone_fails_its_job_alone(world: World) -> None:
    """A pack may be removed between two lives of a server; what waits then fails, and what waits behind it runs."""
    gone = json.dumps({"weft": 1, "nodes": {"a": {"type": "bad_gone", "inputs": {}}}})
    says = json.dumps({"weft": 1, "nodes": {"a": {"type": "bad_says", "inputs": {}}}})

    async def queue() -> list[records.Job | None]:
        jobs = [(await world.deck.submit(records.Request(document)))[0] for document in (gone, says)]
        return [await world.deck.ended(job.id, 30.0) for job in jobs]

    first, second = world.run(queue())
    assert first is not None
    assert second is not None
    assert first.state == "failed"
    assert first.error is not None
    assert first.error["code"] == "unknown_node_type"
    assert first.error["node"] == "a"
    assert "bad_gone" in first.error["message"]
    assert second.state == "done"
    told = world.call("GET", f"/api/v1/jobs/{first.id}/events").json["events"]
    assert told[-1]["event"] == "job_failed"
    assert told[-1]["error"]["code"] == "unknown_node_type"


def test_jobs_of_which_nothing_is_known_are_not_there(world: World) -> None:
    for endpoint in world.endpoints:
        if "{id}" in endpoint.path:
            body = b'{"priority": 1}' if endpoint.method == "PATCH" else None
            answer = world.call(endpoint.method, endpoint.address(id="01zzzzzzzzzzzzzzzz"), JSON, body)
            assert answer.status == 404, str(endpoint)
            assert_refusal(answer, endpoint)


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=201", "limit=-1", "limit=x", "limit=1.5", "state=dreaming", "limit="]
)
def test_queries_are_looked_at(world: World, query: str) -> None:
    answer = world.call("GET", f"/api/v1/jobs?{query}")
    assert answer.status == 422
    assert_refusal(answer)


def test_a_database_of_a_newer_weft_is_refused_untouched(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    database = data / "weft.sqlite"
    SqliteStore(database).close()
    with sqlite3.connect(database) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    before = database.read_bytes()
    ended = serve(tmp_path, "--data", data)
    assert ended.returncode == 2, ended.stderr
    assert "99" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert database.read_bytes() == before
    assert not ended.stdout


def test_other_machines_need_a_token(tmp_path: Path) -> None:
    ended = serve(tmp_path, "--data", tmp_path / "data", "--host", "0.0.0.0")
    assert ended.returncode == 2
    assert "token" in ended.stderr
    assert not (tmp_path / "data").exists()


def serve(folder: Path, *options: object) -> subprocess.CompletedProcess[str]:
    """`weft serve` that is expected not to start."""
    program = "from weft.server.cli.app import main; main()"
    arguments = ["serve", "--port", "0", *map(str, options)]
    environment = {name: text for name, text in os.environ.items() if not name.startswith("WEFT_")}
    return subprocess.run(
        [sys.executable, "-c", program, *arguments],
        cwd=folder, env=environment | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=60,
    )  # fmt: skip


def test_safe_mode_leaves_out_what_others_wrote(tmp_path: Path) -> None:
    nodes, canary = tmp_path / "nodes", tmp_path / "canary"
    nodes.mkdir()
    says = "from weft.engine import node\n@node('safe_says')\ndef safe_says() -> int:\n    return 1\n"
    (nodes / "pack.py").write_text(f"open({str(canary)!r}, 'w').close()\n{says}")
    for safe, types in ((True, {"load_image"}), (False, {"load_image", "safe_says"})):
        world = World(tmp_path / str(safe), nodes=(nodes,), safe_mode=safe)
        try:
            known = {item["name"] for item in world.call("GET", "/api/v1/nodes").json}
        finally:
            world.close()
        assert known & {"load_image", "safe_says"} == types
        assert canary.exists() != safe
