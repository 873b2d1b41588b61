"""The built editor is that of its sources, small, and asks for nothing from elsewhere. No Node is needed."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
EDITOR = ROOT / "server" / "editor"
STATIC = ROOT / "server" / "static"
FILES = (
    "index.html", "package.json", "package-lock.json", "tsconfig.json", "vite.config.ts", "scripts/licences.mjs",
    "scripts/stamp.mjs",
)  # fmt: skip
FOLDERS = ("public", "src")
FIRST_LOAD = 220_000
"""Bytes, compressed."""


@pytest.fixture(autouse=True)
def _built() -> None:
    assert (STATIC / "index.html").is_file(), "the editor was not built; run `make editor`"


def sources() -> list[Path]:
    """What the bundle is made of, as server/editor/scripts/stamp.mjs has it."""
    found = [EDITOR / name for name in FILES if (EDITOR / name).is_file()]
    for folder in FOLDERS:
        found += [path for path in (EDITOR / folder).rglob("*") if path.is_file()]
    kept = [path for path in found if not re.search(r"\.test\.tsx?$", path.name)]
    return sorted(kept, key=lambda path: path.relative_to(EDITOR).as_posix().encode())


def test_the_bundle_is_built_of_the_sources_that_are_here() -> None:
    whole = hashlib.sha256()
    for path in sources():
        one = hashlib.sha256(path.read_bytes()).hexdigest()
        whole.update(f"{path.relative_to(EDITOR).as_posix()}\0{one}\n".encode())
    built = json.loads((STATIC / "BUILD.json").read_text("utf-8"))
    assert built["sources"] == whole.hexdigest(), "the editor's sources have changed since; run `make editor`"


def test_the_bundle_is_what_the_build_wrote() -> None:
    built = json.loads((STATIC / "BUILD.json").read_text("utf-8"))
    there = {path.relative_to(STATIC).as_posix(): path.stat().st_size for path in STATIC.rglob("*") if path.is_file()}
    assert {name: size for name, size in there.items() if name != "BUILD.json"} == built["bytes"]


def first_load() -> dict[str, bytes]:
    """What a browser loads before it does anything: what the page names, and what that imports at once."""
    page = (STATIC / "index.html").read_text("utf-8")
    waiting = re.findall(r'(?:src|href)="/(assets/[^"]+)"', page)
    found: dict[str, bytes] = {}
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found[name] = (STATIC / name).read_bytes()
        if name.endswith(".js"):
            text = found[name].decode()
            static = re.findall(r'(?:\bfrom|\bimport)\s*"\./([^"]+)"', text)
            waiting += [f"assets/{other}" for other in static if (STATIC / "assets" / other).is_file()]
    return found


def test_the_first_load_is_small() -> None:
    sizes = {name: len(gzip.compress(data, 9)) for name, data in first_load().items()}
    assert sizes
    assert sum(sizes.values()) <= FIRST_LOAD, sizes


def test_the_page_has_no_code_of_its_own_and_nothing_from_elsewhere() -> None:
    page = (STATIC / "index.html").read_text("utf-8")
    for tag in re.findall(r"<script[^>]*>", page):
        assert 'src="/' in tag
    assert not re.search(r"<style|\son\w+=|\sstyle=", page)
    for address in re.findall(r'(?:src|href)="([^"]*)"', page):
        assert address.startswith("/")
    for name, data in first_load().items():
        if name.endswith(".css"):
            assert not re.search(rb"url\(\s*['\"]?https?:|@import", data)
