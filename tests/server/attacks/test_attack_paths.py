"""Names that lead out of the folders where names are looked up, at every place of the interface that takes one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.server.attacks.conftest import SECRET
from tests.server.attacks.world import CHANGING, JSON, World, assert_refusal, watched
from tests.server.payloads import DIGITS, TRAVERSALS

PLAIN = "/%:.~;$`'()*!@,&=+"
"""What stays as it is in a path that a careless client writes."""


def outside_of(world: World) -> dict[str, bytes]:
    """All files around the server's folder."""
    return {name: data for name, data in watched(world.folder) if not name.startswith(("data/", "default-cache/"))}


def test_there_are_as_many_names_as_promised() -> None:
    assert len(set(TRAVERSALS)) >= 60


def test_no_path_leads_out(world: World) -> None:
    before, asked = outside_of(world), 0
    for endpoint in world.endpoints:
        for name in endpoint.names("path"):
            for payload in TRAVERSALS:
                encoded = endpoint.address(**{name: payload})
                raw = quote(payload, safe=PLAIN, errors="surrogateescape")
                for path in (encoded, endpoint.path.replace(f"{{{name}}}", raw)):
                    body = b'{"weft": 1, "nodes": {}}' if endpoint.method in ("POST", "PUT", "PATCH") else None
                    answer = world.call(endpoint.method, path, JSON if body else {}, body)
                    asked += 1
                    if path.rstrip("/") + "/" == endpoint.path.partition("{")[0]:  # nothing is named
                        assert answer.status < 500
                        continue
                    assert_refusal(answer, (str(endpoint), payload))
                    assert SECRET.encode() not in answer.data
    assert asked > 60 * 2
    assert outside_of(world) == before


def test_no_query_and_no_field_leads_out(world: World) -> None:
    before = outside_of(world)
    for endpoint in world.endpoints:
        for name in endpoint.names("query"):
            for payload in TRAVERSALS:
                address = endpoint.address(id="01aaaaaaaaaaaaaaaa", file=f"sha256:{DIGITS}")
                path = f"{address}?{quote(name)}={quote(payload, safe='', errors='surrogateescape')}"
                answer = world.call(endpoint.method, path, JSON)
                assert answer.status < 500, (str(endpoint), payload)
                assert SECRET.encode() not in answer.data
        for name in (endpoint.body or {}).get("properties", {}):
            if name in ("workflow", "set", "title", "tags", "slot", "token"):
                continue  # what is no name of anything
            for payload in TRAVERSALS:
                data = json.dumps({name: payload}).encode()
                assert_refusal(
                    world.call(endpoint.method, endpoint.address(), JSON, data), (str(endpoint), name, payload)
                )
    assert outside_of(world) == before


@pytest.mark.parametrize("type", ["load_image", "load_mask"])
def test_no_input_of_a_workflow_leads_out(world: World, type: str) -> None:
    names = [text for text in TRAVERSALS if text and "\udcff" not in text]  # the first is no file; the other, no text
    nodes = {f"n{number}": {"type": type, "inputs": {"path": text}} for number, text in enumerate(names)}
    found = world.post("/api/v1/check", {"workflow": {"weft": 1, "nodes": nodes}})
    assert found.status == 200, found.text
    wrong = {problem["node"] for problem in found.json["problems"] if problem["severity"] == "error"}
    assert set(nodes) <= wrong
    answer = world.post("/api/v1/jobs", {"workflow": {"weft": 1, "nodes": nodes}})
    assert answer.status == 422
    assert_refusal(answer)


def test_no_node_reads_outside(world: World) -> None:
    link = world.folder / "inputs" / "link"
    link.symlink_to(world.folder / "secret")
    try:
        for path in (world.folder / "secret", Path("../secret"), Path("link"), link, Path("/proc/self/environ")):
            job = world.job({"a": {"type": "bad_reads", "inputs": {"path": str(path)}}})
            assert job["state"] == "failed", path
            assert SECRET not in json.dumps(job), path
            assert "may be read" in job["error"]["message"], job
    finally:
        link.unlink()


def test_links_in_the_folders_are_not_followed(world: World) -> None:
    files = world.data / "files"
    uploaded = world.call("POST", "/api/v1/files", {"content-type": "image/png"}, picture()).json["file"]
    id = uploaded.removeprefix("sha256:")
    other = id[:-6] + "abcdef"
    at = files / other[:2] / other
    assert (at.parent / id).is_file()
    at.symlink_to(world.folder / "secret")
    planted = [at]
    for name in ("link.json", "folder"):
        path = world.data / "workflows" / name
        path.symlink_to(world.folder / "secret.json" if "." in name else world.folder)
        planted.append(path)
    try:
        for query in ("", "?size=64"):
            assert world.call("GET", f"/api/v1/files/sha256:{id}{query}").status == 200
            answer = world.call("GET", f"/api/v1/files/sha256:{other}{query}")
            assert_refusal(answer)
            assert answer.status == 404
        for name in ("link", "folder/secret", "folder"):
            for endpoint in world.endpoints:
                if "/workflows/{name}" in endpoint.path and endpoint.method == "GET":
                    assert_refusal(world.call("GET", endpoint.path.replace("{name}", quote(name, safe=""))))
    finally:
        for path in planted:
            path.unlink()


def picture(side: int = 8) -> bytes:
    """A PNG."""
    import io

    from PIL import Image

    data = io.BytesIO()
    Image.new("RGB", (side, side), "teal").save(data, "png")
    return data.getvalue()


def test_the_endpoints_that_change_something_are_among_those_attacked(world: World) -> None:
    known: Any = {(endpoint.method, endpoint.path) for endpoint in world.endpoints}
    assert ("DELETE", "/api/v1/jobs/{id}") in known
    assert sum(method in CHANGING for method, _ in known) >= 10
