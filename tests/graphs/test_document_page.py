"""The page about the document says what is so."""

from __future__ import annotations

import json
import re
import runpy
from pathlib import Path

import pytest

from graphs import LIMITS, Workflow, check_form
from graphs.inputs import read_input

PAGE = (Path(__file__).parents[2] / "docs" / "document.md").read_text("utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def test_its_document_is_one_and_laid_out_as_we_write() -> None:
    workflow = Workflow.parse(blocks("json")[0])
    assert check_form(workflow) == []
    assert {"model", "save"} <= workflow.nodes.keys()


def test_its_inputs_are_inputs() -> None:
    rows = re.findall(r"^\| (`.*`) \|", PAGE, re.MULTILINE)
    written = [text for row in rows for text in re.findall(r"`([^`]*)`", row) if text[0] in '7"t[{n']
    inputs = [json.loads(text) for text in written if text not in ("nodes",)]
    assert len(inputs) == 10
    for value in inputs:
        read_input(value)


def test_its_limits_are_the_limits() -> None:
    for number in (LIMITS.max_nodes, LIMITS.max_problems, LIMITS.max_pixels):
        assert f"{number:,}" in PAGE
    assert f"nested {LIMITS.max_depth} deep" in PAGE
    assert f"{LIMITS.max_bytes // 2**20} MiB" in PAGE
    assert f"{LIMITS.max_text_bytes // 2**20} MiB of text" in PAGE


def test_its_python_runs_when_pasted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "pasted.py"
    script.write_text(blocks("python")[0], "utf-8")
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(script))
    saved = Workflow.load("red.json")
    assert saved.nodes["denoise"].inputs["seed"] == 3
    assert saved.title == "Text to image"
