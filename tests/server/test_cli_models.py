"""`weft models`, and `--models` and `WEFT_MODELS` for the commands that check."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from typer.testing import Result

from weft.engine.declaring.model_folders import VARIABLE

Weft = Callable[..., Result]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model folder with a word, and something that is no model."""
    monkeypatch.delenv(VARIABLE, raising=False)
    (tmp_path / "models" / "words").mkdir(parents=True)
    save_file({"<cat>": torch.zeros(2, 768)}, tmp_path / "models" / "words" / "cat.safetensors")
    (tmp_path / "models" / "bad.safetensors").write_bytes(b"nonsense")
    return tmp_path / "models"


def document(path: Path, source: str) -> Path:
    nodes = {
        "model": {"type": "load_model", "inputs": {"source": "shapes"}},
        "word": {"type": "load_textual_inversion", "inputs": {"model": {"link": "model"}, "sources": [source]}},
        "prompt": {"type": "encode_prompt", "inputs": {"model": {"link": "word"}, "text": "a <cat>"}},
    }
    path.write_text(json.dumps({"weft": 1, "nodes": nodes}))
    return path


def test_a_list(weft: Weft, folder: Path) -> None:
    done = weft("models", "--models", folder)
    assert done.exit_code == 0
    lines = done.stdout.splitlines()
    assert any(line.split()[:3] == ["shapes", "model", "sd1"] and line.endswith("bundled") for line in lines)
    assert any(line.split()[:3] == ["words/cat", "embedding", "sd1"] and str(folder) in line for line in lines)
    (at,) = [number for number, line in enumerate(lines) if line.startswith("bad ")]
    assert "is no sound safetensors file" in lines[at + 1]


def test_as_json(weft: Weft, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, str(folder))
    found = {entry["name"]: entry for entry in json.loads(weft("models", "--json").stdout)}
    path = folder / "words" / "cat.safetensors"
    assert found["words/cat"] == {
        "name": "words/cat",
        "kind": "embedding",
        "family": "sd1",
        "bytes": path.stat().st_size,
        "path": str(path),
        "bundled": False,
    }
    assert "no sound safetensors" in found["bad"]["fault"]
    assert found["shapes-heart"]["kind"] == "lora"


def test_check_finds_names_in_model_folders(
    weft: Weft, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = document(tmp_path / "f.json", "words/cat")
    # Its words are 768 wide, and the bundled model's are not: but that only the run knows.
    arguments = ("check", file, "--json")

    def messages(*more: object) -> str:
        return str(
            [p["message"] for p in json.loads(weft(*arguments, *more).stdout)["problems"] if p["node"] == "word"]
        )

    assert "no textual inversion 'words/cat'" in messages()
    assert messages("--models", folder) == "[]"
    assert VARIABLE not in os.environ, "the option is for that command"
    monkeypatch.setenv(VARIABLE, str(folder))
    assert messages() == "[]"
    (tmp_path / "empty").mkdir()
    assert "no textual inversion 'words/cat'" in messages("--models", tmp_path / "empty"), "the option replaces these"
    assert messages("--models", tmp_path / "empty", "--models", folder) == "[]"


def test_run_finds_them_too(weft: Weft, folder: Path, tmp_path: Path) -> None:
    file = document(tmp_path / "f.json", "words/cat")
    done = weft("run", file, "--target", "word", "--models", folder)
    assert done.exit_code == 1
    assert "has vectors of 768" in done.stderr, "it was found, and is for another model"
    done = weft("run", file, "--target", "word")
    assert done.exit_code == 2
    assert "no textual inversion 'words/cat'" in done.stderr


@pytest.mark.parametrize("command", ["models", "check", "run"])
def test_a_folder_that_is_not_there_is_an_error_by_name(
    command: str, weft: Weft, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = [command] if command == "models" else [command, document(tmp_path / "f.json", "words/cat")]
    done = weft(*arguments, "--models", folder, "--models", tmp_path / "gone")
    assert done.exit_code == 2
    assert f"the model folder {tmp_path / 'gone'} is not there" in done.stderr
    assert done.stdout == ""
    monkeypatch.setenv(VARIABLE, str(tmp_path / "unplugged"))
    done = weft(*arguments)
    assert done.exit_code == 2
    assert f"{tmp_path / 'unplugged'} is not there (WEFT_MODELS names it)" in done.stderr


def test_another_packs_models_are_listed_beside_ours(weft: Weft, tmp_path: Path, folder: Path) -> None:
    """The command knows no node package: whoever lists models does it by the same mark."""
    (tmp_path / "pack").mkdir()
    (tmp_path / "pack" / "mine.py").write_text(
        "from pathlib import Path\n"
        "from weft.engine.declaring.model_list import ModelEntry, lists_models\n\n\n"
        "@lists_models\n"
        "def models(folders):\n"
        "    yield ModelEntry('mine', 'upscaler', Path('mine.bin'), bytes=2_500_000, bundled=True)\n"
    )
    (tmp_path / "pack" / "broken.py").write_text(
        "from weft.engine.declaring.model_list import lists_models\n\n\n"
        "@lists_models\n"
        "def models(folders):\n"
        "    raise OSError('the disk is gone')\n"
    )
    done = weft("models", "--nodes", tmp_path / "pack")
    assert done.exit_code == 0
    assert "left out the list of models of" in done.stderr
    assert "the disk is gone" in done.stderr
    assert any(line.split()[:5] == ["mine", "upscaler", "-", "2.5", "MB"] for line in done.stdout.splitlines())
