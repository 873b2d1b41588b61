"""Files over HTTP, who names them, and what is listed of what jobs made."""

from __future__ import annotations

import io
import os
from typing import Any

import pytest
from PIL import Image as Pillow

from tests.server.api.conftest import Server, document
from weft.server.files.collect import collect


def picture(colour: str, size: tuple[int, int] = (40, 20), form: str = "PNG") -> bytes:
    data = io.BytesIO()
    Pillow.new("RGB", size, colour).save(data, form)
    return data.getvalue()


def upload(server: Server, data: bytes) -> Any:
    return server("POST", "/files", content=data, headers={"content-type": "image/png"}, status=201).json()


def collected(server: Server) -> None:
    """As by the hour, after a day on which nothing came."""
    now = max(item.modified for item in server.deck.blobs.list()) + 100_000.0
    named = server.do(server.deck.named_files())
    collect(server.deck.blobs, lambda: named, server.deck.thumbnails, clock=lambda: now)


def test_a_picture_and_its_thumbnail(server: Server) -> None:
    data = picture("red", (400, 200))
    said = upload(server, data)
    assert (said["mime"], said["bytes"], said["width"], said["height"]) == ("image/png", len(data), 400, 200)
    assert upload(server, data)["file"] == said["file"]
    got = server("GET", f"/files/{said['file']}")
    assert (got.content, got.headers["content-type"]) == (data, "image/png")
    assert "sandbox" in got.headers["content-security-policy"]
    assert "content-disposition" not in got.headers
    again = {"If-None-Match": got.headers["etag"]}
    assert server("GET", f"/files/{said['file']}", headers=again, status=304).content == b""
    small = server("GET", f"/files/{said['file']}", params={"size": 256})
    assert small.headers["content-type"] == "image/webp"
    assert Pillow.open(io.BytesIO(small.content)).size == (256, 128)
    server("GET", f"/files/{said['file']}", params={"size": 0}, status=422)
    server("GET", "/files/sha256:" + "0" * 64, status=404)
    server("GET", "/files/weft.sqlite", status=404)


@pytest.mark.parametrize("data", [b"", b"<svg xmlns='http://www.w3.org/2000/svg'/>", picture("red")[:60]])
def test_what_is_no_picture_is_refused_and_leaves_nothing(server: Server, data: bytes) -> None:
    before = {item.id for item in server.deck.blobs.list()}
    answer = server.do(
        server._client.post("http://127.0.0.1:9338/api/v1/files", content=data, headers={"content-type": "image/png"})
    )
    assert answer.status_code in (415, 422)
    assert {item.id for item in server.deck.blobs.list()} == before
    assert os.listdir(server.deck.folder / "files" / ".drafts") == []


def test_what_is_named_stays(server: Server) -> None:
    """By a job, by a saved workflow, by a version of one; an upload that nobody names goes after its day."""
    files = {name: upload(server, picture(name))["file"] for name in ("green", "blue", "black", "white")}

    def reads(file: str) -> dict[str, Any]:
        return document({"a": ("toy_read", {"path": file}), "b": ("toy_seeded", {"words": {"link": "a"}})})

    job = server("POST", "/jobs", json={"workflow": reads(files["green"])}, status=202).json()
    etag = server("PUT", "/workflows/names", json=reads(files["blue"]), status=201).headers["etag"]
    server("PUT", "/workflows/names", json=reads(files["black"]), headers={"If-Match": etag})
    collected(server)
    there = {item.id for item in server.deck.blobs.list()}
    assert {name for name, file in files.items() if file in there} == {"green", "blue", "black"}
    # Nothing names it and it has gone: a job that wants it is told so before it is accepted.
    problem = server("POST", "/jobs", json={"workflow": reads(files["white"])}, status=422).json()
    [one] = problem["problems"]
    assert (one["node"], one["input"], one["given"]) == ("a", "path", files["white"])
    stream = {"headers": {"Accept": "text/event-stream"}}
    server("GET", f"/jobs/{job['id']}/events", **stream)
    server("DELETE", f"/jobs/{job['id']}", status=204)
    collected(server)
    assert files["green"] not in {item.id for item in server.deck.blobs.list()}


def test_what_a_running_job_made_stays(server: Server) -> None:
    nodes = {"a": ("toy_save", {"text": "early", "name": "early"}), "b": ("toy_slow", {"seed": 1})}
    job = server.submit(nodes)
    path = f"/jobs/{job['id']}/events"
    made: list[str] = []
    while not made:  # until the first node has ended; the second takes a minute
        made = [event["ref"] for event in server("GET", path).json()["events"] if event["event"] == "output"]
    collected(server)
    assert server("GET", f"/files/{made[0]}").text == "early"
    server("POST", f"/jobs/{job['id']}/cancel")
    server("GET", path, headers={"Accept": "text/event-stream"})


def test_outputs_of_all_jobs_by_pages(server: Server) -> None:
    two = {name: ("toy_save", {"text": name, "name": name}) for name in ("one", "two")}
    ids = [server.submit(two, wait=60, tags=["made"])["id"] for _ in range(3)]
    server.submit({"a": ("toy_fail", {})}, wait=60, tags=["made"])
    found: list[str] = []
    cursor, pages = None, 0
    while True:
        params = {"tag": "made", "limit": 3} | ({} if cursor is None else {"cursor": cursor})
        page = server("GET", "/outputs", params=params).json()
        assert all({"node", "kind", "file", "name", "finished"} <= item.keys() for item in page["outputs"])
        found += [item["job"] for item in page["outputs"]]
        pages += 1
        if (cursor := page["next"]) is None:
            break
    assert found == [id for id in ids[::-1] for _ in range(2)]
    assert pages >= 2
    assert server("GET", "/outputs", params={"tag": "nothing"}).json() == {"outputs": [], "next": None}
    server("GET", "/outputs", params={"limit": 0}, status=422)
