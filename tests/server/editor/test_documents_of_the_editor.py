"""What the editor makes of a workflow, held against the engine: definitions keep every key, states pass the form check.

The editor's own tests write the documents, with Node; where there is none, these tests are skipped and say so.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from weft.engine.catalogue import installed
from weft.engine.checking.prepare import prepare
from weft.engine.planning.plan import make_plan
from weft.graphs import Workflow, WorkflowError, check_form

EDITOR = Path(__file__).parents[3] / "server" / "editor"
VITEST = EDITOR / "node_modules" / "vitest" / "vitest.mjs"


def _written(tmp_path: Path, test: str, variable: str) -> list[Any]:
    """The lines of JSON that a test of the editor writes when a variable names a file."""
    node = shutil.which("node")
    if node is None or not VITEST.exists():
        pytest.skip("The editor's tests need Node and its packages (`npm ci` in server/editor).")
    file = tmp_path / "lines.jsonl"
    done = subprocess.run(
        [node, str(VITEST), "run", test],
        cwd=EDITOR, env=os.environ | {variable: str(file)}, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return [json.loads(line) for line in file.read_text("utf-8").splitlines()]


def _keys(text: str) -> Counter[tuple[str, bytes]]:
    """How often each key of each type of node is made; what has no fixed key counts by its type."""
    workflow = Workflow.parse(text)
    catalogue = installed()
    prepared = prepare(workflow, catalogue)
    errors = [str(problem) for problem in prepared.problems if problem.severity == "error"]
    if errors:
        return Counter({("problem", problem.partition("] ")[0].split(": ")[-1].encode()): 1 for problem in errors})
    catalogue = prepared.catalogue
    targets = prepared.target_nodes(catalogue)
    plan = make_plan(
        prepared.workflow, catalogue, targets, "/out", None, definitions=workflow.definitions, nonce=lambda: b"n"
    )
    return Counter((step.type.name, step.key) for step in plan.steps)


def test_making_and_unpacking_definitions_keeps_every_key(tmp_path: Path) -> None:
    lines = _written(tmp_path, "src/document/making.test.ts", "WEFT_MADE")
    assert len(lines) == 200
    wrong = []
    sound = 0
    for line in lines:
        before, after = _keys(line["before"]), _keys(line["after"])
        if any(name == "problem" for name, _ in before):
            # A bypassed node left an input without a value: that workflow has no keys, before and after.
            if not any(name == "problem" for name, _ in after):
                wrong.append(f"seed {line['seed']} ({', '.join(line['acts'])}): the problem is gone")
            continue
        sound += 1
        if before != after:
            lost, new = before - after, after - before
            wrong.append(f"seed {line['seed']} ({', '.join(line['acts'])}): lost {lost}, new {new}")
    assert not wrong, "\n".join(wrong[:10])
    assert sound > 100


def test_states_of_random_edits_pass_the_form_check(tmp_path: Path) -> None:
    lines = _written(tmp_path, "src/document/sequences.test.ts", "WEFT_STATES")
    assert len(lines) > 500
    for text in lines:
        problems = check_form(Workflow.parse(text))
        assert [str(one) for one in problems if one.severity == "error"] == []
        # The text is what Weft would write itself, but for keys that say nothing.
        assert json.loads(Workflow.parse(text).to_json())["nodes"].keys() == json.loads(text)["nodes"].keys()


def test_broken_documents_are_told_in_the_same_words(tmp_path: Path) -> None:
    lines = _written(tmp_path, "src/document/check.test.ts", "WEFT_BROKEN")
    assert len(lines) == 2000
    wrong = []
    for line in lines:
        try:
            problems = check_form(Workflow.parse(line["text"]))
        except WorkflowError as error:
            problems = error.problems
        keys = ("severity", "code", "node", "input", "message", "suggestion")
        shown = [{key: getattr(one, key) for key in keys} for one in problems]
        told = [{key: one.get(key) for key in keys} for one in line["problems"]]
        if shown != told:
            wrong.append(f"{line['text']}\n  server {shown}\n  editor {told}")
    assert not wrong, f"{len(wrong)} of {len(lines)}\n" + "\n".join(wrong[:3])
