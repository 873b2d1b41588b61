"""Texts that mean something to whoever reads them next: prototypes, ends of lines, secrets, paths of the machine."""

from __future__ import annotations

import ast
import io
import json
import logging
import tempfile
from pathlib import Path
from typing import Any

import pytest

from tests.server.attacks.conftest import SECRET
from tests.server.attacks.test_attack_paths import picture
from tests.server.attacks.world import JSON, TOKEN, World, assert_refusal
from weft.server.guard.session import PATH as SESSION
from weft.server.logs import JsonLines, Lines
from weft.server.scrub import Scrubber

KEYS = ("__proto__", "constructor", "prototype", "__class__", "__init__", "toString", "$where", "$ref", "")
SCRIPT = "<img src=x onerror=alert(1)></script><script>alert(1)</script>"
ENDS = ("a\r\nset-cookie: weft_session=x", "a\nb", "a\rb", "a\0b", "a\x1b[2Jb", "a\x7fb")


@pytest.mark.parametrize("key", KEYS)
def test_keys_of_prototypes_are_fields_as_any_other_that_is_not_known(world: World, key: str) -> None:
    for endpoint in world.endpoints:
        if endpoint.body is None or not endpoint.body.get("properties"):
            continue
        for data in ({key: {"polluted": 1}}, {"workflow": {"weft": 1, "nodes": {}, key: {"polluted": 1}}}):
            answer = world.call(endpoint.method, endpoint.address(), JSON, json.dumps(data).encode())
            if answer.status == 200 and endpoint.path == "/api/v1/python":  # a program has it as a text and no more
                names = {node.id for node in ast.walk(ast.parse(answer.json["python"])) if isinstance(node, ast.Name)}
                assert names <= {"Graph", "Workflow", "document", "graph", "workflow"}, names
            elif answer.status == 200:  # a check tells what is wrong
                assert answer.json["problems"], str(endpoint)
            else:
                assert_refusal(answer, endpoint)
    says = {"workflow": {"weft": 1, "nodes": {"a": {"type": "bad_says"}}}}
    for data in ({**says, "set": {key: {"polluted": 1}}}, {"workflow": {"weft": 1, "nodes": {key: {"type": key}}}}):
        assert_refusal(world.post("/api/v1/jobs", data), key)


@pytest.mark.parametrize("text", ENDS)
def test_no_text_ends_a_line(world: World, text: str) -> None:
    workflow = {"weft": 1, "nodes": {"a": {"type": "bad_says"}}}
    for field in ({"title": text}, {"tags": [text]}, {"slot": text}, {"targets": [text]}, {"saved": text}):
        assert_refusal(world.post("/api/v1/jobs", {"workflow": workflow, **field}), field)
    titled = world.post("/api/v1/jobs", {"workflow": {**workflow, "title": text}})
    if titled.status < 300:
        assert not set("\r\n\0\x1b\x7f") & set(titled.json["title"])
    else:
        assert_refusal(titled)
    for name in ("idempotency-key", "prefer", "if-none-match", "if-match", "accept", "x-request-id", "range", "cookie"):
        for endpoint in world.endpoints:
            answer = world.call(endpoint.method, endpoint.address(), JSON | {name: text}, b"{}")
            assert_refusal(answer, (str(endpoint), name))
            assert all("\n" not in value and "\r" not in value for _, value in answer.headers)
            assert not answer["set-cookie"]


def test_what_comes_back_in_headers_is_one_line(world: World) -> None:
    """Names that a client chose, such as a file's, are not among the headers, and no header has two lines."""
    for text in (SCRIPT, "a\x85b", "a\u2028b", '"; filename="x.html'):
        headers = {"idempotency-key": text.encode().decode("latin-1"), "prefer": "wait=0", **JSON}
        body = json.dumps({"workflow": {"weft": 1, "nodes": {"a": {"type": "bad_says"}}}, "title": text}).encode()
        answer = world.call("POST", "/api/v1/jobs", headers, body)
        assert answer.status in (200, 202, 400, 422), answer.text
        for name, value in answer.headers:
            assert value.isascii(), name
            assert value.isprintable(), name
            assert "alert" not in value


def test_words_of_clients_are_never_a_page(world: World) -> None:
    """What a browser would show as HTML is not said to be HTML, and is not guessed to be."""
    body = json.dumps({"workflow": SCRIPT, SCRIPT: SCRIPT}).encode()
    for endpoint in world.endpoints:
        path = endpoint.path.replace("{", "").replace("}", "")
        for address in (path, f"{path}?{'limit'}=%3Cscript%3E&tag=%3Cscript%3E", f"{path}%3Cscript%3E"):
            answer = world.call(endpoint.method, address, JSON, body)
            assert answer["x-content-type-options"] == "nosniff"
            assert "frame-ancestors 'none'" in answer["content-security-policy"]
            if "html" in answer["content-type"]:
                assert b"<script>" not in answer.data.replace(b'<script type="module"', b"")


def test_files_that_are_no_pictures_are_only_downloaded(world: World) -> None:
    uploaded = world.call("POST", "/api/v1/files", {"content-type": "image/png"}, picture(9)).json
    shown = world.call("GET", f"/api/v1/files/{uploaded['file']}")
    assert shown["content-type"] == "image/png"
    assert "sandbox" in shown["content-security-policy"]
    page = world.data / "page.html"
    page.write_text("<script>alert(1)</script>")
    from weft.server.files.blobs import put_path

    id = put_path(world.deck.blobs, page, 60.0)
    answer = world.call("GET", f"/api/v1/files/{id}")
    assert answer.status == 200
    assert answer["content-disposition"].startswith("attachment")
    assert answer["content-type"] == "application/octet-stream"


# -- secrets and paths


@pytest.fixture
def logged(world: World) -> Any:
    """All lines of the log, as a machine and as a person reads them."""
    stream = io.StringIO()
    handlers = []
    for formatter in (JsonLines(Scrubber.of_machine({}, [TOKEN])), Lines(Scrubber.of_machine({}, [TOKEN]))):
        handler = logging.StreamHandler(stream)
        handler.setFormatter(formatter)
        handlers.append(handler)
    root = logging.getLogger()
    level = root.level
    for handler in handlers:
        root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield stream
    for handler in handlers:
        root.removeHandler(handler)
    root.setLevel(level)


def places(world: World) -> list[str]:
    """Folders of the machine that nobody outside is to know."""
    known = {world.folder, Path(tempfile.gettempdir()), Path.home(), Path(__file__).parents[3]}
    return [str(folder) for folder in known if len(folder.parts) > 1]


def test_no_answer_and_no_line_of_the_log_has_a_secret_or_a_path(world: World, logged: io.StringIO) -> None:
    app = world.other(token=TOKEN)
    bearer = {"authorization": f"Bearer {TOKEN}"}
    says = world.job({"a": {"type": "bad_says", "inputs": {"text": "told"}}})
    raises = world.job({"a": {"type": "bad_raises", "inputs": {"text": "told"}}})
    assert (says["state"], raises["state"]) == ("done", "failed")
    seen = []
    for endpoint in world.endpoints:
        if endpoint.method == "DELETE" or endpoint.path == SESSION:  # which answers with the cookie
            continue
        for id in (says["id"], raises["id"]):
            for body in (b"{}", b'{"workflow": {"weft": 1, "nodes": {"a": {"type": "load_image"}}}}', b"{"):
                data = None if endpoint.method == "GET" else body
                path = endpoint.address(id=id)
                seen.append(world.call(endpoint.method, path, JSON | bearer, data, app=app).text)
    for path in ("/etc/passwd", "../x", "missing.png", str(world.data / "weft.sqlite")):
        for type in ("load_image", "bad_reads"):
            nodes = {"a": {"type": type, "inputs": {"path": path}}}
            for where in ("jobs", "check", "plan"):
                answer = world.post(
                    f"/api/v1/{where}", {"workflow": {"weft": 1, "nodes": nodes}}, {"prefer": "wait=60"}
                )
                told = answer.json
                for problem in told.get("problems") or []:
                    problem.pop("given")  # what the client said itself
                seen.append(json.dumps(told))
    events = world.call("GET", f"/api/v1/jobs/{says['id']}/events").text
    assert '"node_finished"' in events
    assert len(seen) > 60
    for text in [*seen, events]:
        assert SECRET not in text
        assert TOKEN not in text
        for place in places(world):
            assert place not in text.replace(str(world.data / "weft.sqlite"), ""), (place, text[:3000])
    lines = logged.getvalue()
    assert SECRET not in lines
    assert TOKEN not in lines


def test_what_nodes_say_while_they_run_is_scrubbed(world: World) -> None:
    """Progress, reports and errors reach who follows a job by the websocket; they are made there as they are here."""
    told: list[str] = []
    listener = _All(told)
    world.deck.hub.join(listener)  # type: ignore[arg-type]
    try:
        world.job({"a": {"type": "bad_says", "inputs": {"text": "anew"}}})
    finally:
        world.deck.hub.leave(listener)  # type: ignore[arg-type]
    says = [text for text in told if '"node_report"' in text]
    assert says, told
    assert any("anew" in text for text in says)
    for text in told:
        assert SECRET not in text
        for place in (*places(world), "/etc/passwd"):
            assert place not in text


class _All:
    """Follows everything."""

    previews = queue = True

    def __init__(self, told: list[str]) -> None:
        self._told = told

    def follows(self, job: str) -> bool:
        return True

    def put_states(self, job: str, first: int, texts: Any) -> None:
        self._told.extend(texts)

    def put_passing(self, about: Any, text: str | bytes) -> None:
        self._told.append(text if isinstance(text, str) else text.decode("latin-1"))

    def put_end(self, job: str) -> None:
        pass


def test_debug_alone_tells_where_in_the_code_it_was(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fails(*arguments: Any, **keywords: Any) -> Any:
        raise RuntimeError(f"the disk at {world.data} with {SECRET} is broken")

    debug = world.other(debug=True)
    monkeypatch.setattr(type(world.deck.desk), "list", fails)
    quiet, loud = (world.call("GET", "/api/v1/jobs", app=app) for app in (world.app, debug))
    assert (quiet.status, loud.status) == (500, 500)
    assert str(world.data) not in quiet.text
    assert "Traceback" not in quiet.text
    assert "Traceback" in loud.text
    for answer in (quiet, loud):
        assert SECRET not in answer.text
        assert answer.json["code"] == "internal_error"
