from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from tests.server.conftest import TOYS
from weft.graphs.png import extract

Weft = Callable[..., Result]
Write = Callable[..., Path]
NODES = ("--nodes", TOYS)


def link(text: str) -> dict[str, str]:
    return {"link": text}


@pytest.fixture
def file(write: Write) -> Path:
    return write(parameters={"words": "t.text"}, t=("toy_text", {"text": "ab"}), s=("toy_save", {"text": link("t")}))


def test_stdout_has_the_paths_alone(weft: Weft, file: Path, tmp_path: Path) -> None:
    done = weft("run", file, "--out", "o", *NODES)
    assert (done.exit_code, done.stdout) == (0, f"{tmp_path}/o/x.txt\n")
    assert (tmp_path / "o/x.txt").read_text().startswith("abab ")
    assert "this is no result" in done.stderr
    assert "2 ran, 0 cached" in done.stderr


def test_json_is_one_object(weft: Weft, file: Path, tmp_path: Path) -> None:
    done = weft("run", file, "--json", *NODES)
    data = json.loads(done.stdout)
    assert data.pop("seconds") >= 0
    assert data == {
        "outputs": [{"node": "s", "kind": "text", "path": str(tmp_path / "out/x.txt")}],
        "ran": 2,
        "cached": 0,
    }


def test_a_second_run_runs_only_what_is_missing(weft: Weft, file: Path, tmp_path: Path) -> None:
    def counts() -> tuple[int, int]:
        data = json.loads(weft("run", file, "--json", *NODES).stdout)
        return data["ran"], data["cached"]

    assert [counts(), counts()] == [(2, 0), (0, 2)]
    (tmp_path / "out/x.txt").unlink()
    assert counts() == (1, 1)
    done = weft("run", file, "--json", "--no-cache", *NODES)
    assert json.loads(done.stdout)["ran"] == 2


def test_quiet(weft: Weft, write: Write) -> None:
    file = write(p=("toy_picture", {}))
    assert weft("run", file, "--quiet", *NODES).stderr == ""


SETTINGS: list[tuple[str, str]] = [
    ("words=x y", "x yx y False 1.0 plain [] 0 None None"),
    ("t.text=3", "33 False 1.0 plain [] 0 None None"),
    ("t.text=a=b", "a=ba=b False 1.0 plain [] 0 None None"),
    ("t.text=", " False 1.0 plain [] 0 None None"),
    ("t.times=1", "ab False 1.0 plain [] 0 None None"),
    ("t.upper=true", "abab True 1.0 plain [] 0 None None"),
    ("t.scale=2", "abab False 2.0 plain [] 0 None None"),
    ("t.mode=fancy", "abab False 1.0 fancy [] 0 None None"),
    ("t.many=[1, 2]", "abab False 1.0 plain [1, 2] 0 None None"),
    ("t.either=5", "abab False 1.0 plain [] 5 None None"),
    ("t.either=five", "abab False 1.0 plain [] 'five' None None"),
    ("t.maybe=null", "abab False 1.0 plain [] 0 None None"),
    ("t.maybe=0.5", "abab False 1.0 plain [] 0 0.5 None"),
    ('t.whatever={"a": [1]}', "abab False 1.0 plain [] 0 None {'a': [1]}"),
    ("t.whatever=free text", "abab False 1.0 plain [] 0 None free text"),
]


@pytest.mark.parametrize(("setting", "text"), SETTINGS)
def test_set(setting: str, text: str, weft: Weft, file: Path, tmp_path: Path) -> None:
    done = weft("run", file, "--set", setting, *NODES)
    assert done.exit_code == 0, done.output
    assert (tmp_path / "out/x.txt").read_text() == text


WRONG: list[tuple[tuple[str, ...], str]] = [
    (("--set", "t.times=5.7"), "t.times: times must be a whole number, not 5.7"),
    (("--set", "t.times=many"), 'not "many"'),
    (("--set", "t.times=0"), "[out_of_range]"),
    (("--set", "t.upper=yes"), "true or false"),
    (("--set", "t.scale=NaN"), "[bad_value]"),
    (("--set", "t.mode=fncy"), "Did you mean 'fancy'?"),
    (("--set", "word=x"), "Did you mean 'words'?"),
    (("--set", "t.tims=1"), "Did you mean 'times'?"),
    (("--set", "u.text=1"), "u.text"),
    (("--set", "words"), "NAME=VALUE"),
    (("--target", "q"), "[unknown_link]"),
    (("--target", "t.q"), "[unknown_output]"),
    (("--nodes", "nowhere"), "no folder of nodes nowhere"),
    (("--what",), "--what"),
]


@pytest.mark.parametrize(("arguments", "words"), WRONG)
def test_a_wrong_call(arguments: tuple[str, ...], words: str, weft: Weft, file: Path, tmp_path: Path) -> None:
    done = weft("run", file, *NODES, *arguments)
    assert done.exit_code == 2
    assert words in " ".join(done.stderr.split())
    assert done.stdout == ""
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"weft": 1,\n "nodes": {,}}', "Line 2, column 12"),
        ("", "[bad_document]"),
        ('{"weft": 1, "nodes": {"a": {"type": "toy_txt"}}}', "Did you mean 'toy_text'?"),
    ],
)
def test_a_wrong_file(text: str, words: str, weft: Weft, tmp_path: Path) -> None:
    (tmp_path / "f.json").write_text(text)
    done = weft("run", "f.json", *NODES)
    assert (done.exit_code, done.stdout) == (2, "")
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_a_missing_file(weft: Weft, file: Path) -> None:
    done = weft("run", "ff.json")
    assert done.exit_code == 2
    assert "Did you mean 'f.json'?" in done.stderr


def test_problems_as_json(weft: Weft, file: Path) -> None:
    done = weft("run", file, "--json", "--set", "t.times=0", *NODES)
    assert done.exit_code == 2
    (problem,) = json.loads(done.stdout)["problems"]
    assert (problem["code"], problem["node"], problem["input"]) == ("out_of_range", "t", "times")


def test_a_failure(weft: Weft, write: Write) -> None:
    file = write(b=("toy_fail", {}))
    done = weft("run", file, *NODES)
    assert (done.exit_code, done.stdout) == (1, "")
    assert "the node 'b' (toy_fail) failed: [it] broke" in done.stderr
    assert "Traceback" not in done.stderr
    assert "Traceback" in weft("run", file, "--traceback", *NODES).stderr
    error = json.loads(weft("run", file, "--json", *NODES).stdout)["error"]
    assert (error["node"], error["exception"], error["message"]) == ("b", "ValueError", "[it] broke")


def test_a_full_disk(weft: Weft, write: Write, tmp_path: Path) -> None:
    done = weft("run", write(f=("toy_full", {"name": "x.txt"})), *NODES)
    assert done.exit_code == 1
    assert f"the disk is full: could not write {tmp_path}/out/x.txt" in done.stderr
    assert weft("run", write(t=("toy_text", {}), s=("toy_save", {"text": link("t")})), *NODES).exit_code == 0


def test_plain_values_are_results_too(weft: Weft, write: Write) -> None:
    file = write(t=("toy_text", {"text": "ab"}))
    done = weft("run", file, "--target", "t", *NODES)
    assert done.stdout == "abab False 1.0 plain [] 0 None None\n"
    (output,) = json.loads(weft("run", file, "--target", "t", "--json", *NODES).stdout)["outputs"]
    assert output == {"node": "t", "kind": "str", "path": None, "value": "abab False 1.0 plain [] 0 None None"}


def test_a_saved_image_runs_again(weft: Weft, write: Write, tmp_path: Path) -> None:
    file = write(p=("toy_picture", {}), s=("toy_slow", {"seed": 3}))
    done = weft("run", file, "--target", "p", *NODES)
    picture = Path(done.stdout.strip())
    texts = extract(picture)
    run: dict[str, Any] = json.loads(texts["weft_run"])
    assert run["seeds"] == {}
    assert list(run["keys"]) == ["p"]
    assert "python" in run["versions"]
    assert json.loads(texts["weft_workflow"])["nodes"]["p"]["type"] == "toy_picture"
    again = weft("run", picture, "--target", "p", "--out", "again", *NODES)
    assert Path(again.stdout.strip()) == tmp_path / "again/p.png"
    assert weft("check", picture, *NODES).exit_code == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted(number: signal.Signals, write: Write, tmp_path: Path) -> None:
    file = write(s=("toy_slow", {}))
    root = Path(__file__).parents[2]
    command = [sys.executable, "-m", "weft", "run", str(file), "--out", str(tmp_path / "o"), "--nodes", str(TOYS)]
    process = subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    until = time.monotonic() + 30
    while not (tmp_path / "o/started").exists() and time.monotonic() < until:
        time.sleep(0.02)
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=20)
    assert (process.returncode, stdout) == (130, b"")
    assert b"interrupted" in stderr
    assert b"Traceback" not in stderr


def test_the_command_alone_says_whether_progress_is_shown(
    weft: Weft, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With `--quiet` nothing listens, and `run` by itself would show bars on a terminal."""
    asked: list[object] = []
    monkeypatch.setattr("weft.engine.runner.audience", asked.append)
    assert weft("run", write(t=("toy_text", {"text": "a"})), "--target", "t", "--quiet", *NODES).exit_code == 0
    assert asked == [False]


def test_of_several_processes_the_first_one_writes_and_says(
    weft: Weft, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    other = weft("run", file, "--out", "o", "--events", "e.jsonl", *NODES)
    assert (other.exit_code, other.stdout) == (0, "")
    assert not list((tmp_path / "o").glob("*"))
    assert not (tmp_path / "e.jsonl").exists()
    monkeypatch.setenv("RANK", "0")
    main = weft("run", file, "--out", "o", *NODES)
    assert main.stdout == f"{tmp_path}/o/x.txt\n"
    assert (tmp_path / "o/x.txt").is_file()
