"""What describes the server: nodes with an etag, the schema, OpenAPI, and the pages for people."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.server.api.conftest import API, Server

ROOT = API.removesuffix("/api/v1")


class _Page(HTMLParser):
    """Every address that a page makes a browser fetch, and whether it has code or style of its own."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.links: list[str] = []
        self.inline: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.inline += [name for name in given if name == "style" or name.startswith("on")]
        if tag in ("script", "style") and "src" not in given:
            self.inline.append(tag)
        if tag == "a":
            self.links.append(given["href"] or "")
        else:
            self.fetched += [value or "" for name, value in given.items() if name in ("src", "href")]


def test_nodes_are_asked_for_once(server: Server) -> None:
    answer = server("GET", "/nodes")
    names = [node["name"] for node in answer.json()]
    assert {"toy_seeded", "denoise"} <= set(names)
    etag = {"If-None-Match": answer.headers["etag"]}
    assert server("GET", "/nodes", headers=etag, status=304).content == b""
    assert server("GET", "/nodes", headers={"If-None-Match": '"old"'}).json() == answer.json()
    assert server("GET", "/schema").json()["$schema"]


@pytest.mark.parametrize("path", ["/", "/api/v1/docs"])
def test_pages_need_nothing_from_elsewhere(server: Server, path: str) -> None:
    answer = server.do(server._client.get(f"{ROOT}{path}"))
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "default-src 'self'" in answer.headers["content-security-policy"]
    page = _Page(answer.text)
    assert page.inline == []
    for address in (*page.fetched, *(link for link in page.links if not link.startswith("#"))):
        assert address.startswith("/")
        assert server.do(server._client.get(f"{ROOT}{address}")).status_code == 200, address
    assert page.fetched


def test_the_page_of_the_interface_has_all_of_it(server: Server) -> None:
    openapi = server("GET", "/openapi.json").json()
    assert openapi["openapi"].startswith("3.1")
    text = server("GET", "/docs").text
    shown = set(re.findall(r"<code>([A-Z]+ /[^<]*)</code></h3>", text))
    every = {f"{method.upper()} {path}" for path, item in openapi["paths"].items() for method in item}
    assert shown == every
    assert {"POST /api/v1/jobs", "PUT /api/v1/workflows/{name}", "POST /api/v1/import"} <= shown
    for target in set(re.findall(r'href="#([^"]+)"', text)):
        assert f'id="{target}"' in text
    assert "/api/v1/docs" not in openapi["paths"]


def test_only_the_files_of_the_pages_are_given(server: Server) -> None:
    for name in ("page.css", "login.js"):
        answer = server.do(server._client.get(f"{ROOT}/assets/{name}"))
        etag = {"If-None-Match": answer.headers["etag"]}
        assert server.do(server._client.get(f"{ROOT}/assets/{name}", headers=etag)).status_code == 304
    for name in ("pages.py", "%2e%2e", "x"):
        assert server.do(server._client.get(f"{ROOT}/assets/{name}")).status_code in (400, 404)


def test_the_page_in_the_repository_names_every_endpoint(server: Server) -> None:
    page = (Path(__file__).parents[3] / "docs" / "server.md").read_text("utf-8")
    section = page.partition("## What can be asked")[2].partition("\n## ")[0]
    paths = set(server("GET", "/openapi.json").json()["paths"]) - {"/api/v1/session"}
    words = {next(part for part in path.split("/")[::-1] if "{" not in part) for path in paths}
    assert [word for word in words if f"/{word}" not in section] == []
