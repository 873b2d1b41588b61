"""`weft import`: a workflow of another program's picture, and a report beside it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.graphs.test_metadata import A1111
from tests.graphs.test_png_text import PNG
from weft.engine import Catalogue, check
from weft.graphs import Workflow
from weft.graphs.png import embed

Weft = Callable[..., Any]


def test_a_picture_becomes_a_workflow_that_checks(weft: Weft, tmp_path: Path) -> None:
    picture, target = tmp_path / "theirs.png", tmp_path / "w.json"
    picture.write_bytes(embed(PNG, {"parameters": A1111}))
    done = weft("import", picture, "-o", target)
    assert done.exit_code == 0
    assert done.stdout.strip() == str(target)
    assert "Hires fix" in done.stderr
    workflow = Workflow.load(target).with_values({"model": "shapes"})
    assert [str(problem) for problem in check(workflow, Catalogue.load()) if problem.severity == "error"] == []
    printed = weft("import", picture)
    assert json.loads(printed.stdout)["nodes"] == json.loads(target.read_text())["nodes"]


def test_what_cannot_be_imported(weft: Weft, tmp_path: Path) -> None:
    picture = tmp_path / "plain.png"
    picture.write_bytes(PNG)
    done = weft("import", picture, "-o", tmp_path / "w.json")
    assert done.exit_code == 2
    assert "no metadata" in done.stderr
    assert not (tmp_path / "w.json").exists()
