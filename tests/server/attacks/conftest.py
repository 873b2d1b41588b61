"""One server for all attacks: what one leaves behind meets the next, as it would anywhere."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.server.attacks.world import World

SECRET = "s3cret-" + "of-the-environment" * 2
NODES = '''
"""Nodes that mean no good."""

import os
from typing import Any

from weft.engine import Context, node


@node("bad_says", output=True)
def bad_says(text: str = "", ctx: Context | None = None) -> str:
    """Tells all that it can learn: as its value, in its words and in what it prints."""
    told = f"{text} {os.getcwd()} {__file__} /etc/passwd {os.environ.get('PLANTED_API_KEY', '')}"
    print(told)
    ctx.report("says", {"text": told, told: 1})
    ctx.progress(1, 2, told)
    return told


@node("bad_raises", output=True)
def bad_raises(text: str = "") -> str:
    """Raises with all that it can learn."""
    raise OSError(2, f"{text} {os.environ.get('PLANTED_API_KEY', '')}", os.path.join(os.getcwd(), "x"))


@node("bad_reads", output=True)
def bad_reads(path: str, ctx: Context | None = None) -> str:
    """Reads a file where a workflow may."""
    return ctx.resolve_input_path(path).read_text()
'''


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("attacked")
    for name in ("inputs", "models", "nodes"):
        (folder / name).mkdir()
    (folder / "nodes" / "bad.py").write_text(NODES)
    (folder / "secret").write_text(SECRET)
    (folder / "secret.json").write_text('{"weft": 1, "nodes": {}}')
    before = {name: os.environ.get(name) for name in ("PLANTED_API_KEY", "WEFT_CACHE")}
    os.environ |= {"PLANTED_API_KEY": SECRET, "WEFT_CACHE": str(folder / "default-cache")}
    server = World(
        folder, inputs=(folder / "inputs",), models=(folder / "models",), nodes=(folder / "nodes",), workers=1
    )
    yield server
    server.close()
    for name, value in before.items():
        if value is None:
            del os.environ[name]
        else:
            os.environ[name] = value


@pytest.fixture
def outside(world: World) -> Path:
    """The folder around the server's, in which nothing changes."""
    return world.folder
