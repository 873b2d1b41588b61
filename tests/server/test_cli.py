from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from tests.engine.stored import change_entries
from tests.server.conftest import TOYS
from weft.graphs import examples

Weft = Callable[..., Result]
Write = Callable[..., Path]
NODES = ("--nodes", TOYS)
ROOT = Path(__file__).parents[2]
HEAVY = ("torch", "diffusers", "transformers", "cv2", "PIL", "matplotlib")


def test_help_names_every_command(weft: Weft) -> None:
    done = weft("--help")
    assert done.exit_code == 0
    for command in ("run", "check", "nodes", "models", "schema", "draw", "cache", "import", "examples"):
        assert f"  {command} " in done.stdout
        assert weft(command, "--help").exit_code == 0


@pytest.mark.parametrize("arguments", [("rnu",), ("run",), ("nodes", "a", "b"), ("cache", "wash"), ("check",)])
def test_a_call_that_makes_no_sense(arguments: tuple[str, ...], weft: Weft) -> None:
    done = weft(*arguments)
    assert done.exit_code == 2
    assert done.stdout == ""


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["check", "FILE"],
        ["nodes"],
        ["nodes", "denoise"],
        ["schema"],
        ["draw", "FILE"],
        ["examples"],
        ["models"],
    ],
    ids=" ".join,
)
def test_what_computes_nothing_loads_nothing_heavy(arguments: list[str]) -> None:
    """In a fresh process, for this one may have torch already."""
    file = str(examples.path("text_to_image"))
    code = f"""
import sys
sys.argv = ["weft", *{[file if word == "FILE" else word for word in arguments]!r}]
from weft.server.cli import main
try:
    main()
except SystemExit:
    pass
print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stderr.splitlines()[-1] == "[]", done.stderr
    assert done.stdout


def test_check(weft: Weft, write: Write) -> None:
    good = write("good.json", t=("toy_text", {}), s=("toy_save", {"text": {"link": "t"}}))
    bad = write("bad.json", t=("toy_text", {"times": 0, "tme": 1}), s=("toy_save", {"text": {"link": "t"}}))
    done = weft("check", good, *NODES)
    assert (done.exit_code, done.stdout) == (0, f"{good}: ok\n")
    done = weft("check", good, bad, "--json", *NODES)
    assert done.exit_code == 2
    first, second = map(json.loads, done.stdout.splitlines())
    assert first == {"file": str(good), "problems": []}
    assert second["file"] == str(bad)
    assert [problem["code"] for problem in second["problems"]] == ["out_of_range", "unknown_input"]
    assert set(second["problems"][0]) == {
        "severity", "code", "node", "input", "message", "given", "expected", "suggestion",
    }  # fmt: skip
    done = weft("check", bad, *NODES)
    assert "Did you mean 'times'?" in done.stdout


def test_a_warning_alone_is_no_failure(weft: Weft, write: Write, tmp_path: Path) -> None:
    file = write(t=("toy_text", {}), s=("toy_save", {"text": {"link": "t"}}))
    file.write_text(json.dumps(json.loads(file.read_text()) | {"extra": 1}))
    done = weft("check", file, *NODES)
    assert done.exit_code == 0
    assert "warning" in done.stdout


def test_nodes(weft: Weft) -> None:
    done = weft("nodes", *NODES)
    assert "toy_text" in done.stdout
    assert "denoise" in done.stdout
    done = weft("nodes", "toy_text", *NODES)
    assert "times: int = 2  (1..1000)" in done.stdout
    data = json.loads(weft("nodes", "toy_text", "--json", *NODES).stdout)
    assert [port["name"] for port in data["inputs"]][:3] == ["text", "times", "upper"]
    assert {"toy_text", "denoise"} <= {data["name"] for data in json.loads(weft("nodes", "--json", *NODES).stdout)}
    done = weft("nodes", "toy_txt", *NODES)
    assert done.exit_code == 2
    assert "Did you mean 'toy_text'?" in done.stderr


def test_a_broken_node_file_is_named_and_left_out(weft: Weft, tmp_path: Path) -> None:
    (tmp_path / "pack").mkdir()
    (tmp_path / "pack" / "broken.py").write_text("import nowhere_at_all")
    done = weft("nodes", "--nodes", tmp_path / "pack", *NODES)
    assert done.exit_code == 0
    assert "broken.py: ModuleNotFoundError" in done.stderr
    assert "toy_text" in done.stdout


def test_schema(weft: Weft) -> None:
    schema = json.loads(weft("schema", *NODES).stdout)
    assert "node:toy_text" in schema["$defs"]


def test_draw(weft: Weft, write: Write, tmp_path: Path) -> None:
    file = write(t=("toy_text", {}), s=("toy_save", {"text": {"link": "t"}}))
    svg = weft("draw", file, *NODES).stdout
    assert svg.startswith("<svg")
    assert "toy_save" in svg
    for name, start in (("a.svg", b"<svg"), ("a.png", b"\x89PNG")):
        done = weft("draw", file, "-o", name, *NODES)
        assert (done.exit_code, done.stdout) == (0, f"{name}\n")
        assert (tmp_path / name).read_bytes().startswith(start)
    assert weft("draw", file, "-o", "a.gif").exit_code == 2
    done = weft("draw", file, "-o", "nowhere/a.svg")
    assert done.exit_code == 1
    assert "nowhere" in done.stderr


def test_examples(weft: Weft) -> None:
    done = weft("examples")
    assert [line.split()[0] for line in done.stdout.splitlines()] == examples.names()
    done = weft("examples", "text_to_image")
    assert json.loads(done.stdout) == json.loads(examples.path("text_to_image").read_text())
    done = weft("examples", "text_to_imag")
    assert done.exit_code == 2
    assert "Did you mean 'text_to_image'?" in done.stderr


def test_cache(weft: Weft, write: Write, tmp_path: Path) -> None:
    def info() -> dict[str, object]:
        data = json.loads(weft("cache", "info", "--json").stdout)
        assert isinstance(data, dict)
        return data

    assert info()["entries"] == 0
    file = write(t=("toy_text", {}), s=("toy_save", {"text": {"link": "t"}}))
    weft("run", file, *NODES)
    from weft.engine import Cache

    assert info()["entries"] == 2
    assert info()["folder"] == str(tmp_path / "default-cache")
    assert "results  2" in weft("cache", "info").stdout
    done = weft("cache", "verify")
    assert (done.exit_code, done.stdout) == (0, "2 sound, 0 damaged and removed\n")
    cut = []
    change_entries(tmp_path / "default-cache", lambda entry: entry if cut else (cut.append(1) or entry[:-1]))  # type: ignore[func-returns-value]
    done = weft("cache", "verify")
    assert done.exit_code == 1
    assert "size is not what it says" in done.stderr
    assert json.loads(weft("cache", "clear", "--json").stdout) == {"removed": 1}
    assert info()["entries"] == 0
    Cache.default().memory.clear()


def test_whoever_stops_reading_is_no_error() -> None:
    command = f"{sys.executable} -m weft schema | head -c 10"
    done = subprocess.run(["bash", "-c", command], cwd=ROOT, capture_output=True, text=True, check=False)
    assert len(done.stdout) == 10
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
