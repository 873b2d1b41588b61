"""What the README shows works as it stands there: on a tiny model, and on the bundled one."""

from __future__ import annotations

import json
import os
import re
import shlex
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
from tests.pasted import ROOT, block, blocks, heredoc, installed, paste
from tests.tiny import tiny_sd1, write_single_file
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
    path.write_text(heredoc(PAGE, "first.json"), "utf-8")
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

    shown = json.loads(heredoc(PAGE, "first.json"))["nodes"]
    example = json.loads(examples.path("text_to_image").read_text("utf-8"))["nodes"]
    assert {id: spec["type"] for id, spec in shown.items()} == {id: spec["type"] for id, spec in example.items()}


def test_an_own_node(weft: Weft, tmp_path: Path) -> None:
    """Pasted into a folder: found, checked by its signature, run, and cached."""
    import numpy as np
    import PIL.Image

    (tmp_path / "my_nodes").mkdir()
    (tmp_path / "my_nodes" / "posterize.py").write_text(heredoc(PAGE, "my_nodes/posterize.py"), "utf-8")
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
    install(tmp_path / "site", "my_nodes", posterize=heredoc(PAGE, "my_nodes/posterize.py"))
    code = f"import sys; sys.path.insert(0, {str(tmp_path / 'site')!r})\n"
    code += "from weft import Catalogue\nfound = Catalogue.load()\nprint(found.failures, 'posterize' in found)"
    assert python_in(tmp_path, code) == "[] True\n"


def test_every_link_leads_somewhere() -> None:
    links = re.findall(r"\]\(([^)#]+)\)", (ROOT / PAGE).read_text("utf-8"))
    assert links
    assert [link for link in links if "://" not in link and not link.startswith("docs/images") and not
            (ROOT / link).exists()] == []  # fmt: skip


@pytest.fixture(scope="module")
def pasted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A folder in which all blocks of the page were pasted in order, and what was printed."""
    home = tmp_path_factory.mktemp("pasted")
    printed, _ = paste(PAGE, home / "weft", installed(home))
    return home / "weft", printed


def test_weft_is_not_found_before_the_page_says_how(tmp_path: Path) -> None:
    """So that the next test would notice if the page forgot to activate the environment."""
    environment = installed(tmp_path)
    (tmp_path / "weft").mkdir()
    shell: Any = {"cwd": tmp_path / "weft", "env": environment, "capture_output": True, "text": True}
    assert subprocess.run(["bash", "-c", "make demo; weft --version"], **shell).returncode == 127
    activated = subprocess.run(["bash", "-c", block(PAGE, "shell", "make demo") + "command -v weft"], **shell)
    assert activated.stdout == f"{tmp_path}/weft/.venv/bin/weft\n"


def test_every_block_can_be_pasted_in_order(pasted: tuple[Path, str]) -> None:
    """And leaves what the page says: its pictures, documents and drawings, and no file more."""
    folder, printed = pasted
    files = {
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file() and not {".venv", "__pycache__", "server-data"} & {*path.parts}
    }
    assert files - {"my_nodes/posterize.py"} == {
        "first.json", "first.svg", "picture.png", "from_python.json", "flat.json", "heart.json",
        "out/first.png", "out/first_2.png", "out/decode.png", "out/flat.png", "out/heart.png",
        "address.txt", "server.log", "served/first.png",
    }  # fmt: skip
    assert json.loads((folder / "first.json").read_text("utf-8")) == json.loads(heredoc(PAGE, "first.json"))
    for name in ("out/first.png", "out/first_2.png", "out/decode.png", "out/flat.png", "out/heart.png"):
        assert str(folder / name) in printed


def test_what_the_page_says_of_python(pasted: tuple[Path, str]) -> None:
    """It prints what its comment says, and draws the picture that the document draws: nothing runs twice."""
    import numpy as np
    import PIL.Image

    folder, printed = pasted
    (said,) = (line.partition("# ")[2] for line in block(PAGE, "python").splitlines() if line.startswith("print("))
    assert said in printed
    first, second, again = (
        np.asarray(PIL.Image.open(folder / name)) for name in ("out/first.png", "picture.png", "out/decode.png")
    )
    assert np.array_equal(first, second)
    assert np.array_equal(first, again)


def test_python_records_the_same_document(pasted: tuple[Path, str]) -> None:
    made = json.loads((pasted[0] / "from_python.json").read_text("utf-8"))["nodes"]
    shown = json.loads(heredoc(PAGE, "first.json"))["nodes"]
    types = sorted(spec["type"] for spec in made.values())
    assert types == sorted(spec["type"] for spec in shown.values() if spec["type"] != "save_image")
    (recorded,) = (spec for spec in made.values() if spec["type"] == "encode_prompt")
    assert recorded["inputs"]["text"] == shown["prompt"]["inputs"]["text"]


def test_what_the_page_says_of_posterize(pasted: tuple[Path, str]) -> None:
    import numpy as np
    import PIL.Image

    pixels = np.asarray(PIL.Image.open(pasted[0] / "out" / "flat.png"))
    assert {len(np.unique(pixels[..., channel])) for channel in range(3)} <= {2, 3}


def test_the_training_draws_a_heart(pasted: tuple[Path, str]) -> None:
    """Red, and wider above than below, as none of the shapes is that the model knew."""
    import numpy as np
    import PIL.Image

    pixels = np.asarray(PIL.Image.open(pasted[0] / "out" / "heart.png").convert("RGB")).astype(int)
    red, green, blue = pixels[..., 0], pixels[..., 1], pixels[..., 2]
    shape = (red > green + 60) & (red > blue + 60)
    assert 0.05 < shape.mean() < 0.6
    rows = np.flatnonzero(shape.any(1))
    upper, lower = shape[rows[0] : rows[0] + len(rows) // 2], shape[rows[0] + len(rows) // 2 : rows[-1] + 1]
    assert upper.sum() > 1.3 * lower.sum()


def test_blocks_are_of_kinds_that_say_what_to_do_with_them() -> None:
    """What is not to be pasted is text, and the sentence before it says so."""
    page = (ROOT / PAGE).read_text("utf-8")
    assert {language for language, _ in blocks(PAGE)} == {"shell", "python", "toml", "text"}
    (places,) = blocks(PAGE, "text")
    before = page.partition(places[1])[0].removesuffix("\n```text\n")
    assert "Do not paste" in before.strip().rpartition("\n\n")[2]
    pasted_text = "".join(text for _, text in blocks(PAGE, "shell", "python"))
    assert "/models/" not in pasted_text


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with models of the layouts that the page names."""
    folder = tmp_path_factory.mktemp("models")
    tiny_sd1(folder / "my-sd15")
    whole = tiny_sd1(tmp_path_factory.mktemp("whole") / "whole", single_file=True)
    write_single_file(whole, folder / "dream.safetensors")
    return folder


def test_the_lines_with_places_work_with_files_of_that_layout(models: Path, first: Path, weft: Weft) -> None:
    lines = [shlex.split(line, comments=True)[1:] for line in block(PAGE, "text", "/models").splitlines()]
    assert len(lines) == 5
    for line in lines:
        arguments = [argument.replace("/models", str(models)) for argument in line]
        if "model.source=someone/some-model" in arguments:
            continue  # the hub is not there: tests/nodes/models/test_hub.py
        if arguments[0] == "run":
            arguments += ["--set", "denoise.steps=1", "--set", "denoise.width=64", "--set", "denoise.height=64"]
        done = weft(*arguments)
        assert done.exit_code == 0, done.output
        assert arguments[0] == "run" or ("my-sd15" in done.output and "dream" in done.output)
