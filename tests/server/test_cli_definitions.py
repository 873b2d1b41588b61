"""Definitions and left out nodes on the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.server.conftest import TOYS

NODES = ("--nodes", str(TOYS))


def document(tmp_path: Path, mode: str | None = None) -> Path:
    saving = {
        "inputs": {"text": {"type": "str"}, "times": {"type": "int", "default": 1}, "name": {}},
        "nodes": {
            "t": {"type": "toy_text", "inputs": {"text": {"link": "inputs.text"}, "times": {"link": "inputs.times"}}},
            "s": {"type": "toy_save", "inputs": {"text": {"link": "t"}, "name": {"link": "inputs.name"}}},
        },
    }
    nodes: dict[str, Any] = {
        "one": {"type": "saving", "inputs": {"text": "a", "name": "one"}},
        "two": {"type": "saving", "inputs": {"text": "b", "name": "two"}},
    }
    if mode:
        nodes["two"]["mode"] = mode
    path = tmp_path / "f.json"
    parameters = {"times": {"input": "one.times"}}
    path.write_text(
        json.dumps({"weft": 1, "nodes": nodes, "definitions": {"saving": saving}, "parameters": parameters})
    )
    return path


def test_a_definition_is_run_and_set(weft: Callable[..., Any], tmp_path: Path) -> None:
    done = weft("run", document(tmp_path), "--set", "times=3", "--set", "two.text=7", "--json", "-q", *NODES)
    assert done.exit_code == 0, done.stderr
    outputs = json.loads(done.stdout)["outputs"]
    assert [item["node"] for item in outputs] == ["one/s", "two/s"]
    texts = [Path(item["path"]).read_text().split()[0] for item in outputs]
    assert texts == ["aaa", "7"], "a number where the inner input takes one, text where it takes text"
    done = weft("run", document(tmp_path), "--target", "two", "-q", *NODES)
    assert done.stdout.endswith("two.txt\n")
    assert done.stdout.count("\n") == 1
    done = weft("run", document(tmp_path), "--set", "one.tims=3", *NODES)
    assert done.exit_code == 2
    assert "one" in done.stderr


def test_what_is_muted_is_not_made(weft: Callable[..., Any], tmp_path: Path) -> None:
    done = weft("run", document(tmp_path, "mute"), "-q", *NODES)
    assert (done.exit_code, done.stdout.count("\n")) == (0, 1)
    done = weft("run", document(tmp_path, "mute"), "--target", "two", *NODES)
    assert done.exit_code == 2
    assert "is muted" in done.stderr


def test_a_wrong_value_is_told_at_the_node_in_the_document(weft: Callable[..., Any], tmp_path: Path) -> None:
    done = weft("check", document(tmp_path), "--json", *NODES)
    assert done.exit_code == 0, done.stdout
    path = document(tmp_path)
    path.write_text(path.read_text().replace('"text": "b"', '"text": 5'))
    done = weft("check", path, "--json", *NODES)
    assert done.exit_code == 2
    (problem,) = json.loads(done.stdout)["problems"]
    assert (problem["code"], problem["node"], problem["input"]) == ("bad_value", "two", "text")
