"""The editor's page is served with an etag, compressed where the client takes it, and under its own policy."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from weft.server.api import bundle, pages
from weft.server.guard.guard import Guard
from weft.server.guard.headers import CSP, PAGE_CSP
from weft.server.guard.hosts import Hosts
from weft.server.guard.rules import Rules
from weft.server.scrub import Scrubber

TOKEN = "t" * 43
HTML = '<!doctype html><script type="module" src="/assets/index.js"></script>'


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    """A server with a built editor, and a token."""
    (tmp_path / "assets").mkdir()
    (tmp_path / "index.html").write_text(HTML)
    (tmp_path / "assets" / "index.js").write_text("let a = 1;\n" * 100)
    (tmp_path / "assets" / "secret.txt").write_text("no")
    monkeypatch.setattr(bundle, "FOLDER", tmp_path)
    for kept in (bundle.editor_page, bundle.editor_assets):
        kept.cache_clear()
    app = FastAPI(redirect_slashes=False)
    app.include_router(pages.router)
    guarded = Guard(app, Rules(Hosts.of("127.0.0.1", 9338), token=TOKEN), Scrubber(()))
    yield TestClient(guarded, base_url="http://127.0.0.1:9338")
    for kept in (bundle.editor_page, bundle.editor_assets):
        kept.cache_clear()


@pytest.mark.parametrize("path", ["/", "/app/portrait", "/app/my%20dome"])
def test_the_page_is_given_without_a_token_and_under_its_policy(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert (answer.status_code, answer.text) == (200, HTML)
    assert answer.headers.get_list("content-security-policy") == [PAGE_CSP.decode()]
    assert PAGE_CSP.startswith(CSP)
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-cache"


def test_other_answers_keep_the_strict_policy(client: TestClient) -> None:
    for path in ("/assets/index.js", "/assets/nothing.js", "/api/v1/docs", "/app/a/b"):
        assert client.get(path).headers.get_list("content-security-policy") == [CSP.decode()], path


@pytest.mark.parametrize("path", ["/", "/assets/index.js"])
def test_files_are_compressed_and_asked_for_once(client: TestClient, path: str) -> None:
    plain = client.get(path, headers={"accept-encoding": "identity"})
    with client.stream("GET", path, headers={"accept-encoding": "br, gzip;q=0.8"}) as packed:
        raw = b"".join(packed.iter_raw())
    assert "content-encoding" not in plain.headers
    assert packed.headers["content-encoding"] == "gzip"
    assert gzip.decompress(raw) == plain.content
    assert packed.headers["vary"] == plain.headers["vary"] == "Accept-Encoding"
    assert packed.headers["etag"] != plain.headers["etag"]
    for answer, encoding in ((plain, "identity"), (packed, "gzip")):
        asked = {"if-none-match": answer.headers["etag"], "accept-encoding": encoding}
        again: httpx.Response = client.get(path, headers=asked)
        assert (again.status_code, again.content) == (304, b"")
        assert client.get(path, headers={**asked, "if-none-match": '"old"'}).status_code == 200


def test_gzip_is_not_sent_to_who_refuses_it(client: TestClient) -> None:
    for said in ("gzip;q=0", "br", ""):
        assert "content-encoding" not in client.get("/", headers={"accept-encoding": said}).headers


def test_only_files_of_known_kinds_are_given(client: TestClient) -> None:
    for path in ("/assets/secret.txt", "/assets/BUILD.json", "/static/index.html", "/index.html"):
        assert client.get(path, headers={"authorization": f"Bearer {TOKEN}"}).status_code == 404


def test_without_a_bundle_a_plain_page_says_so(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "editor_page", lambda: None)
    answer = client.get("/")
    assert "The server runs" in answer.text
    assert answer.headers.get_list("content-security-policy") == [CSP.decode()]
