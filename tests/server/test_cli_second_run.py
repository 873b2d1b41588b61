"""The second run of a real workflow, in a new process: no model, no torch, no node."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from weft.graphs import examples

ROOT = Path(__file__).parents[2]
CODE = """
import sys
from weft.server.cli import main
try:
    main()
finally:
    print([name for name in ("torch", "diffusers", "transformers") if name in sys.modules], file=sys.stderr)
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tests.tiny import tiny_sd1

    return tiny_sd1(tmp_path_factory.mktemp("models") / "tiny")


def weft_run(model: Path, out: Path, *more: str) -> tuple[dict[str, Any], list[str]]:
    """What `weft run` printed, and what of the heavy it had imported."""
    values = (f"model.source={model}", "denoise.width=64", "denoise.height=64", "steps=2")
    settings = [word for value in values for word in ("--set", value)]
    file = str(examples.path("text_to_image"))
    arguments = ["run", file, *settings, "--out", str(out), "--json", "--quiet", *more]
    done = subprocess.run([sys.executable, "-c", CODE, *arguments], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), json.loads(done.stderr.splitlines()[-1].replace("'", '"'))


def test_a_second_run_in_a_new_process(model: Path, tmp_path: Path) -> None:
    first, loaded = weft_run(model, tmp_path / "out")
    assert (first["ran"], first["cached"]) == (6, 0)
    assert "torch" in loaded
    picture = Path(first["outputs"][0]["path"])
    content = picture.read_bytes()

    second, loaded = weft_run(model, tmp_path / "out")
    assert (second["ran"], second["cached"]) == (0, 6)
    assert second["outputs"] == first["outputs"]
    assert loaded == []

    picture.unlink()
    third, _ = weft_run(model, tmp_path / "out")
    assert (third["ran"], third["cached"]) == (1, 5)
    assert picture.read_bytes() == content
