"""Saved workflows, examples and imports over HTTP."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.server.api.conftest import Server, document
from weft.graphs import examples
from weft.graphs.png import embed

FIRST = document({"a": ("toy_seeded", {"seed": 1})}, meta={"title": "First"})
SECOND = document({"a": ("toy_seeded", {"seed": 2})}, meta={"title": "Second"})
EMPTY = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010800000000"
    "3a7e9b550000000a49444154789c636000000002000148afa4710000000049454e44ae426082"
)


def test_examples_are_listed_and_read(server: Server) -> None:
    listed = server("GET", "/examples").json()
    assert [item["name"] for item in listed] == list(examples.names())
    assert all(item.keys() == {"name", "title", "description", "image"} and item["title"] for item in listed)
    answer = server("GET", "/examples/text_to_image")
    assert answer.json() == json.loads(examples.path("text_to_image").read_text("utf-8"))
    etag = {"If-None-Match": answer.headers["etag"]}
    assert server("GET", "/examples/text_to_image", headers=etag, status=304).content == b""
    problem = server("GET", "/examples/text_to_imag", status=404).json()
    assert "text_to_image" in problem["detail"]


def test_examples_have_pictures(server: Server) -> None:
    shown = [item for item in server("GET", "/examples").json() if item["image"]]
    assert len(shown) >= 40
    for item in shown:
        answer = server("GET", item["image"].removeprefix("/api/v1"))
        assert answer.headers["content-type"] == "image/webp"
        with Image.open(io.BytesIO(answer.content)) as image:
            assert max(image.size) <= 256
        assert len(answer.content) < 40_000
    etag = {"If-None-Match": answer.headers["etag"]}
    assert server("GET", shown[-1]["image"].removeprefix("/api/v1"), headers=etag, status=304).content == b""
    assert "text_to_image" in server("GET", "/examples/text_to_imag/image", status=404).json()["detail"]


def test_the_life_of_a_saved_workflow(server: Server) -> None:
    created = server("PUT", "/workflows/my flow", json=FIRST, status=201)
    first = created.headers["etag"]
    assert created.json() == {
        "name": "my flow", "title": "First", "etag": first, "modified": created.json()["modified"]
    }  # fmt: skip
    read = server("GET", "/workflows/my flow")
    assert (read.json(), read.headers["etag"]) == (FIRST, first)
    assert server("GET", "/workflows/my flow", headers={"If-None-Match": first}, status=304).headers["etag"] == first
    assert (server.deck.folder / "workflows" / "my flow.json").read_bytes() == read.content
    # Who has not seen what is there replaces nothing.
    problem = server("PUT", "/workflows/my flow", json=SECOND, status=428).json()
    assert (problem["code"], "If-Match" in problem["detail"]) == ("version_required", True)
    stale = server("PUT", "/workflows/my flow", json=SECOND, headers={"If-Match": '"other"'}, status=412)
    assert (stale.json()["code"], stale.headers["etag"]) == ("stale_version", first)
    server("PUT", "/workflows/my flow", json=SECOND, headers={"If-None-Match": "*"}, status=412)
    server("PUT", "/workflows/not there", json=SECOND, headers={"If-Match": first}, status=412)
    second = server("PUT", "/workflows/my flow", json=SECOND, headers={"If-Match": first}).headers["etag"]
    assert second != first
    # Earlier versions stay, after it is deleted too.
    [version] = server("GET", "/workflows/my flow/versions").json()
    assert (version["title"], version["etag"]) == ("First", first)
    assert server("GET", "/workflows/my flow", params={"version": version["version"]}).json() == FIRST
    server("GET", "/workflows/my flow", params={"version": "99"}, status=404)
    server("DELETE", "/workflows/my flow", headers={"If-Match": first}, status=412)
    server("DELETE", "/workflows/my flow", headers={"If-Match": second}, status=204)
    server("DELETE", "/workflows/my flow", status=404)
    server("GET", "/workflows/my flow", status=404)
    assert [item["title"] for item in server("GET", "/workflows/my flow/versions").json()] == ["Second", "First"]


def test_what_is_listed_and_what_was_edited_by_hand(server: Server) -> None:
    etag = server("PUT", "/workflows/listed", json=FIRST, status=201).headers["etag"]
    (server.deck.folder / "workflows" / "broken.json").write_text('{"weft": 1, "nodes": ')
    listed = {item["name"]: item for item in server("GET", "/workflows").json()}
    assert (listed["listed"]["title"], listed["listed"]["etag"], "problem" in listed["listed"]) == (
        "First",
        etag,
        False,
    )
    assert "broken" in listed
    assert listed["broken"]["problem"]
    for path in ("/workflows/broken", "/workflows/broken/run"):
        problem = server("GET" if path.endswith("broken") else "POST", path, status=422).json()
        assert (problem["code"], len(problem["problems"])) == ("invalid_workflow", 1)
    before = {"If-Match": listed["listed"]["etag"]}
    (server.deck.folder / "workflows" / "listed.json").write_text(json.dumps(SECOND))
    server("PUT", "/workflows/listed", json=FIRST, headers=before, status=412)
    assert server("GET", "/workflows/listed").json() == SECOND


@pytest.mark.parametrize("name", ["a:b", ".hidden", "a" * 101, "con", "ä\u202eb", "a*"])
def test_names_that_none_may_have(server: Server, name: str) -> None:
    for method, path, body in (
        ("GET", "", None), ("PUT", "", FIRST), ("DELETE", "", None), ("POST", "/run", {}), ("GET", "/versions", None)
    ):  # fmt: skip
        problem = server(method, f"/workflows/{name}{path}", json=body, status=400).json()
        assert problem["code"] == "bad_request"


def test_a_document_with_errors_is_not_saved(server: Server) -> None:
    bad: dict[str, Any] = {"weft": 1, "nodes": {"a": {"typ": "x"}, "b": 3}}
    problem = server("PUT", "/workflows/bad", json=bad, status=422).json()
    assert (problem["code"], "nothing was saved" in problem["detail"]) == ("invalid_workflow", True)
    assert {item["node"] for item in problem["problems"]} == {"a", "b"}
    newer = server("PUT", "/workflows/bad", json={"weft": 99, "nodes": {}}, status=422).json()
    assert "format 99" in newer["problems"][0]["message"]
    server("PUT", "/workflows/bad", json=[1], status=422)
    broken = {"content": b'{"weft": 1,\n nope', "headers": {"content-type": "application/json"}}
    assert "Line 2, column 2" in server("PUT", "/workflows/bad", **broken, status=400).json()["detail"]
    deep = {"weft": 1, "nodes": {"a": {"type": "toy_seeded", "inputs": {"__proto__": 1}}}}
    server("PUT", "/workflows/bad", json=deep, status=422)
    server("GET", "/workflows/bad", status=404)


def test_clients_hear_of_workflows(server: Server) -> None:
    def saves() -> None:
        server("PUT", "/workflows/told", json=FIRST, status=201)

    etag = json.loads(server.follow(saves)[-1])
    assert etag == {"event": "workflow", "name": "told", "etag": server("GET", "/workflows/told").headers["etag"]}
    texts = server.follow(lambda: server("DELETE", "/workflows/told", status=204))
    assert json.loads(texts[-1]) == {"event": "workflow", "name": "told", "etag": None}


def test_a_saved_workflow_is_an_endpoint(server: Server) -> None:
    flow = FIRST | {"parameters": {"number": {"input": "a.seed"}}}
    server("PUT", "/workflows/endpoint", json=flow, status=201)
    wait = {"Prefer": "wait=60"}
    job = server("POST", "/workflows/endpoint/run", json={"set": {"number": 41}, "tags": ["x"]}, headers=wait).json()
    assert (job["state"], job["title"], job["tags"]) == ("done", "First", ["x"])

    def seed(job: Any) -> Any:
        assert [(output["node"], output["kind"]) for output in job["outputs"]] == [("a", "value")]
        return server("GET", f"/jobs/{job['id']}/workflow").json()["nodes"]["a"]["inputs"]["seed"]

    assert seed(job) == 41
    assert seed(server("POST", "/workflows/endpoint/run", headers=wait).json()) == 1
    by_name = server("POST", "/jobs", json={"saved": "endpoint", "set": {"number": 5}}, headers=wait).json()
    assert seed(by_name) == 5
    problem = server("POST", "/workflows/endpoint/run", json={"set": {"numbr": 1}}, status=422).json()
    assert problem["problems"][0]["suggestion"] == "number"
    server("POST", "/workflows/nowhere/run", json={}, status=404)
    server("POST", "/jobs", json={"saved": "nowhere"}, status=404)
    # A key and what came with it give the same job, whatever the workflow has become since.
    key = {"Idempotency-Key": "once"}
    one = server("POST", "/workflows/endpoint/run", json={}, headers=key, status=202).json()
    two = server("POST", "/workflows/endpoint/run", json={}, headers=key, status=202).json()
    assert one["id"] == two["id"]
    server("POST", "/workflows/endpoint/run", json={"priority": 1}, headers=key, status=409)


def test_imports(server: Server) -> None:
    imported = server("POST", "/import", json=FIRST).json()
    assert imported == {"workflow": FIRST, "notes": []}
    picture = embed(EMPTY, {"weft_workflow": json.dumps(SECOND)})
    png = {"content": picture, "headers": {"content-type": "image/png"}}
    assert server("POST", "/import", **png).json() == {"workflow": SECOND, "notes": []}
    of_another = embed(EMPTY, {"parameters": "a cat\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 5, Size: 64x64"})
    other = {"content": of_another, "headers": {"content-type": "application/octet-stream"}}
    found = server("POST", "/import", **other).json()
    assert found["notes"]
    assert "a cat" in json.dumps(found["workflow"])


def test_what_cannot_be_imported(server: Server) -> None:
    def refused(content: bytes, kind: str, status: int) -> Any:
        return server("POST", "/import", content=content, headers={"content-type": kind}, status=status).json()

    problem = refused(EMPTY, "image/png", 422)
    assert "nothing was imported" in problem["detail"]
    refused(EMPTY[:40], "image/png", 422)
    refused(b"nothing", "application/octet-stream", 422)
    assert refused(b"{", "application/json", 400)["code"] == "bad_json"
    refused(b'"text"', "application/json", 422)
    refused(b"{}", "text/plain", 415)
    assert "format 99" in refused(b'{"weft": 99, "nodes": {}}', "application/json", 422)["problems"][0]["message"]


def test_nothing_of_the_machine_is_in_answers(server: Server, tmp_path: Path) -> None:
    (server.deck.folder / "workflows" / "linked.json").symlink_to(tmp_path / "elsewhere.json")
    (tmp_path / "elsewhere.json").write_text(json.dumps(FIRST))
    for method, status in (("GET", 404), ("PUT", 409), ("DELETE", 404)):
        body = FIRST if method == "PUT" else None
        answer = server(method, "/workflows/linked", json=body, status=status)
        assert str(tmp_path.parent) not in answer.text
    assert "linked" not in {item["name"] for item in server("GET", "/workflows").json()}
