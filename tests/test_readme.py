"""What the README shows works as it stands there: on a tiny model, and on the bundled one."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner, Result

from tests.packs import install
from tests.pasted import ROOT, block
from tests.tiny import tiny_sd1
from weft.server.cli.app import app

PAGE = "README.md"
Weft = Callable[..., Result]


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEFT_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    return tiny_sd1(tmp_path_factory.mktemp("readme") / "tiny")


@pytest.fixture
def weft() -> Weft:
    return lambda *arguments: CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def first(tmp_path: Path) -> Path:
    """The README's workflow as a file."""
    path = tmp_path / "first.json"
    path.write_text(block(PAGE, "json", '"weft": 1'), "utf-8")
    return path


def python_in(folder: Path, code: str) -> str:
    """What a script prints, run in a folder."""
    (folder / "script.py").write_text(code, "utf-8")
    environment = {"PYTHONPATH": str(ROOT), "WEFT_CACHE": str(folder / "cache"), "OMP_NUM_THREADS": "1"}

    done = subprocess.run(
        [sys.executable, "script.py"], cwd=folder, env=os.environ | environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_workflow_on_a_tiny_model(first: Path, tiny: Path, weft: Weft, tmp_path: Path) -> None:
    """Its own commands: other values by parameter and by `node.input`, a drawing, a picture that runs again."""
    settings = ["--set", f"model.source={tiny}", "--set", "denoise.steps=2"]
    done = weft("run", first, *settings, "--set", "seed=8", "--set", "prompt=a green star on a navy background")
    assert done.exit_code == 0, done.output
    picture = tmp_path / "out" / "first.png"
    assert str(Path("out") / "first.png") in done.output.replace("\n", "")
    assert weft("draw", first, "-o", tmp_path / "first.svg").exit_code == 0
    assert (tmp_path / "first.svg").read_text("utf-8").startswith("<")
    assert "guidance" in weft("nodes", "denoise").output
    content = picture.read_bytes()
    again = weft("run", picture)
    assert again.exit_code == 0, again.output
    assert picture.read_bytes() == content


def test_the_workflow_has_nothing_wrong_but_a_model_that_is_missing(first: Path, tiny: Path, weft: Weft) -> None:
    document = json.loads(first.read_text("utf-8"))
    document["nodes"]["model"]["inputs"]["source"] = str(tiny)
    first.write_text(json.dumps(document), "utf-8")
    done = weft("check", first)
    assert done.exit_code == 0, done.output


def test_the_workflow_is_the_examples() -> None:
    """It is called the example, shortened: every node and wire of it is there with the same meaning."""
    from weft.graphs import examples

    shown = json.loads(block(PAGE, "json", '"weft": 1'))["nodes"]
    example = json.loads(examples.path("text_to_image").read_text("utf-8"))["nodes"]
    assert {id: spec["type"] for id, spec in shown.items()} == {id: spec["type"] for id, spec in example.items()}


def test_python_records_the_same_document(tiny: Path, tmp_path: Path) -> None:
    """The block itself, on a tiny model and with fewer steps."""
    code = block(PAGE, "python", "with Graph(")
    changed = code.replace('"shapes"', repr(str(tiny))).replace("steps=25", "steps=2")
    assert changed.count("steps=2,") == 1
    assert python_in(tmp_path, changed).startswith("torch.Size([1, ")
    made = json.loads((tmp_path / "first.json").read_text("utf-8"))["nodes"]
    types = sorted(spec["type"] for spec in made.values())
    assert types == ["cfg", "decode", "denoise", "encode_prompt", "load_model"]
    shown = json.loads(block(PAGE, "json", '"weft": 1'))["nodes"]
    (recorded,) = (spec for spec in made.values() if spec["type"] == "encode_prompt")
    assert recorded["inputs"]["text"] == shown["prompt"]["inputs"]["text"]


def test_an_own_node(weft: Weft, tmp_path: Path) -> None:
    """Pasted into a folder: found, checked by its signature, run, and cached."""
    import numpy as np
    import PIL.Image

    (tmp_path / "my_nodes").mkdir()
    (tmp_path / "my_nodes" / "posterize.py").write_text(block(PAGE, "python", "@node("), "utf-8")
    ramp = np.linspace(0, 255, 64 * 64, dtype=np.uint8).reshape(64, 64)
    PIL.Image.fromarray(np.repeat(ramp[..., None], 3, 2)).save(tmp_path / "ramp.png")

    def write(levels: int) -> Path:
        nodes: dict[str, Any] = {
            "load": {"type": "load_image", "inputs": {"path": str(tmp_path / "ramp.png")}},
            "flat": {"type": "posterize", "inputs": {"image": {"link": "load"}, "levels": levels}},
            "save": {"type": "save_image", "inputs": {"image": {"link": "flat"}, "name": "flat"}},
        }
        path = tmp_path / "own.json"
        path.write_text(json.dumps({"weft": 1, "nodes": nodes}), "utf-8")
        return path

    refused = weft("check", write(1), "--nodes", "my_nodes")
    assert refused.exit_code == 2, refused.output
    assert "levels" in refused.output
    assert weft("check", write(3)).exit_code == 2  # without --nodes nobody knows it
    done = weft("run", write(3), "--nodes", "my_nodes", "--json", "--quiet")
    assert done.exit_code == 0, done.output
    pixels = np.asarray(PIL.Image.open(tmp_path / "out" / "flat.png"))
    assert len(np.unique(pixels)) == 3
    again = json.loads(weft("run", write(3), "--nodes", "my_nodes", "--json", "--quiet").stdout)
    assert (again["ran"], again["cached"]) == (0, 3)


def test_an_own_package(tmp_path: Path) -> None:
    """With the entry point of the page: its node is found, wherever in the package it is."""
    (entries,) = tomllib.loads(block(PAGE, "toml", "entry-points"))["project"]["entry-points"].items()
    assert entries == ("weft.nodes", {"my_nodes": "my_nodes"})
    install(tmp_path / "site", "my_nodes", posterize=block(PAGE, "python", "@node("))
    code = f"import sys; sys.path.insert(0, {str(tmp_path / 'site')!r})\n"
    code += "from weft import Catalogue\nfound = Catalogue.load()\nprint(found.failures, 'posterize' in found)"
    assert python_in(tmp_path, code) == "[] True\n"


def test_every_link_leads_somewhere() -> None:
    links = re.findall(r"\]\(([^)#]+)\)", (ROOT / PAGE).read_text("utf-8"))
    assert links
    assert [link for link in links if "://" not in link and not link.startswith("docs/images") and not
            (ROOT / link).exists()] == []  # fmt: skip


def test_the_workflow_for_real(first: Path, weft: Weft, tmp_path: Path) -> None:
    assert weft("check", first).exit_code == 0
    done = weft("run", first)
    assert done.exit_code == 0, done.output
    assert (tmp_path / "out" / "first.png").is_file()


def test_python_for_real(tmp_path: Path) -> None:
    code = block(PAGE, "python", "with Graph(")
    (said,) = (line.partition("# ")[2] for line in code.splitlines() if line.startswith("print("))
    assert python_in(tmp_path, code).strip() == said
