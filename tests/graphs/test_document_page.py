"""The page about the document says what is so."""

from __future__ import annotations

import json
import re
import runpy
from pathlib import Path

import pytest

from weft.engine import check
from weft.graphs import LIMITS, Graph, Workflow, check_form
from weft.graphs.inputs import read_input
from weft.nodes import load_model, save_image

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
    script.write_text(blocks("python")[1], "utf-8")
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(script))
    saved = Workflow.load("red.json")
    assert saved.nodes["denoise"].inputs["seed"] == 3
    assert saved.title == "Text to image"


def test_its_definition_is_checked_and_its_function_makes_the_same(tmp_path: Path) -> None:
    text = next(block for block in blocks("json") if block.startswith('"definitions"'))
    written = Workflow.parse('{"weft": 1, ' + text + "}")
    assert check(written) == []
    script = tmp_path / "pasted_definition.py"
    script.write_text(blocks("python")[0], "utf-8")
    picture = runpy.run_path(str(script))["picture"]
    with Graph() as g:
        save_image(g.name(picture(g.name(load_model("shapes"), "model"), "a red circle"), "red").image, "red")
    recorded = g.workflow()
    assert check(recorded) == []
    made = recorded.definitions["picture"]
    assert (made.description, list(made.inputs)) == ("A picture of a text.", ["model", "text", "seed"])
    assert [spec.type for spec in made.nodes.values()] == ["encode_prompt", "cfg", "denoise", "decode"]
