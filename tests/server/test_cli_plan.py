"""`weft plan`: what a run would do now."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.server.conftest import TOYS

NODES = ("--nodes", TOYS)


@pytest.fixture
def file(write: Any) -> Path:
    path: Path = write(
        parameters={"words": "t.text"},
        t=("toy_text", {"text": "ab"}),
        s=("toy_save", {"text": {"link": "t"}, "name": "x"}),
    )
    return path


def test_before_after_and_with_a_change(weft: Any, file: Path) -> None:
    done = weft("plan", file, *NODES)
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines() == ["t  runs", "s  runs", "2 to run"]
    assert weft("run", file, "-q", *NODES).exit_code == 0
    lines = weft("plan", file, *NODES).stdout.splitlines()
    assert lines[0].startswith("s  cached     in the cache folder") or lines[0].startswith("s  cached     in memory")
    assert lines[-1] == "1 cached, 1 skipped"
    said = json.loads(weft("plan", file, "--set", "words=other", "--json", *NODES).stdout)
    assert {id: node["will"] for id, node in said["nodes"].items()} == {"t": "run", "s": "run"}
    assert said["seconds"] > 0
    assert weft("plan", file, "--no-cache", "--target", "t", *NODES).stdout.startswith("t  runs\ns  skipped")
    assert json.loads(weft("plan", file, "--out", "elsewhere", "--json", *NODES).stdout)["counts"] == {
        "run": 1, "resume": 0, "cached": 1, "skip": 0, "unknown": 0,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--set", "word=x"), "Did you mean 'words'?"),
        (("--set", "words"), "NAME=VALUE"),
        (("--target", "q"), "[unknown_link]"),
    ],
)
def test_a_wrong_call(arguments: tuple[str, ...], words: str, weft: Any, file: Path) -> None:
    done = weft("plan", file, *NODES, *arguments)
    assert (done.exit_code, done.stdout) == (2, "")
    assert words in " ".join(done.stderr.split())
