"""What lies about where the command is called: files with the names of our packages, and packs that are no good."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.packs import declaring, install

ROOT = Path(__file__).parents[2]
NAMES = ("nodes", "engine", "server", "graphs")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in NAMES:
        (tmp_path / f"{name}.py").write_text(f"raise AssertionError('{name}.py is not ours')")
    (tmp_path / "graphs").mkdir()
    (tmp_path / "graphs" / "__init__.py").write_text("raise AssertionError('graphs/ is not ours')")
    (tmp_path / "graphs" / "document.py").write_text("raise AssertionError('graphs/document.py is not ours')")
    return tmp_path


def python(folder: Path, *arguments: str, path: Path | None = None) -> subprocess.CompletedProcess[str]:
    places = [str(ROOT)] if path is None else [str(ROOT), str(path)]
    environment = {"PYTHONPATH": os.pathsep.join(places), "WEFT_CACHE": str(folder / "cache"), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=os.environ | environment, capture_output=True, text=True
    )


def test_the_command_line(folder: Path) -> None:
    listed = python(folder, "-m", "weft", "nodes")
    assert (listed.returncode, listed.stderr) == (0, "")
    assert "encode_prompt" in listed.stdout
    example = ROOT / "graphs" / "examples" / "text_to_image.json"
    checked = python(folder, "-m", "weft", "check", str(example))
    assert (checked.returncode, checked.stdout) == (0, f"{example}: ok\n"), checked.stderr
    (folder / "sum.json").write_text(
        json.dumps({"weft": 1, "nodes": {"a": {"type": "add", "inputs": {"a": 1, "b": 2}}}})
    )
    done = python(folder, "-m", "weft", "run", "sum.json", "--target", "a", "--quiet")
    assert (done.returncode, done.stdout) == (0, "3.0\n"), done.stderr


def test_packs_are_told_of_on_stderr_and_end_nothing(folder: Path, tmp_path: Path) -> None:
    """By every command: those of others that are no good, and the one whose node has the name of ours."""
    site = tmp_path / "site"
    install(site, "pack_exit", init="import sys\nprint('bye')\nsys.exit(3)")
    install(site, "pack_none")
    install(site, "pack_cfg", init=declaring("cfg") + declaring("beside"))
    (folder / "doc.json").write_text(json.dumps({"weft": 1, "nodes": {"a": {"type": "beside", "inputs": {"x": 7}}}}))
    for arguments in (["nodes", "beside"], ["check", "doc.json"], ["run", "doc.json", "--target", "a", "--quiet"]):
        done = python(folder, "-m", "weft", *arguments, path=site)
        wrong = arguments[0] == "check"  # it has no output
        assert done.returncode == (2 if wrong else 0), done.stderr
        for words in ("pack_exit", "SystemExit: 3", "pack_none", "brings no node", "node 'cfg' of pack 'pack_cfg'"):
            assert words in done.stderr
        assert "bye" not in done.stdout
    assert done.stdout == "7\n"
