"""What a command takes as a workflow, what `--set` and `--target` do with it, and what Tab offers."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import PIL.Image
import pytest
from typer.testing import CliRunner, Result

from tests.server.conftest import TOYS
from weft.engine.declaring.file_store import place_of
from weft.graphs import examples
from weft.graphs.exif import packed
from weft.server.cli.app import app

Weft = Callable[..., Result]
Write = Callable[..., Path]
NODES = ("--nodes", str(TOYS))


def link(text: str) -> dict[str, str]:
    return {"link": text}


# -- names, files and standard input


def test_an_example_is_known_by_its_name(weft: Weft) -> None:
    assert weft("check", "text_to_image", "map_sweep").stdout == "text_to_image: ok\nmap_sweep: ok\n"
    planned = json.loads(weft("plan", "text_to_image", "--json", "--set", "steps=3").stdout)
    assert "denoise" in json.dumps(planned)
    assert weft("draw", "text_to_image").stdout == weft("draw", examples.path("text_to_image")).stdout


def test_a_file_comes_before_an_example(weft: Weft, write: Write) -> None:
    write("text_to_image", a=("toy_seeded", {"seed": 5}))
    assert weft("run", "text_to_image", "-q", *NODES).stdout == "5\n"


def test_neither_file_nor_example(weft: Weft) -> None:
    done = weft("run", "text_to_imag")
    assert done.exit_code == 2
    assert "neither a file nor an example 'text_to_imag'" in done.stderr
    assert "Did you mean 'text_to_image'?" in done.stderr


def test_standard_input(write: Write, tmp_path: Path, weft: Weft) -> None:
    file = write(a=("toy_seeded", {"seed": 5}))
    runner = CliRunner()
    assert runner.invoke(app, ["run", "-", "-q", *NODES], input=file.read_bytes()).stdout == "5\n"
    assert runner.invoke(app, ["check", "-", *NODES], input=file.read_bytes()).stdout == "-: ok\n"
    done = runner.invoke(app, ["run", "-", *NODES], input=b"{")
    assert done.exit_code == 2
    assert "[bad_document]" in done.stderr
    picture = Path(weft("run", write("p.json", p=("toy_picture", {})), "-q", *NODES).stdout.strip())
    again = runner.invoke(app, ["run", "-", "-q", "--out", "again", *NODES], input=picture.read_bytes())
    assert again.stdout == f"{tmp_path}/again/p.png\n"


@pytest.mark.parametrize("format", ["JPEG", "WEBP"])
def test_a_jpeg_or_webp_file_runs_and_is_drawn(format: str, write: Write, weft: Weft, tmp_path: Path) -> None:
    text = write(a=("toy_seeded", {"seed": 5})).read_text()
    picture = tmp_path / "a.picture"
    PIL.Image.new("RGB", (4, 4)).save(picture, format, exif=packed({"weft_workflow": text}))
    assert weft("run", picture, "-q", *NODES).stdout == "5\n"
    assert weft("run", picture, "-q", "--set", "a.seed=6", *NODES).stdout == "6\n"
    assert "toy_seeded" in weft("draw", picture, *NODES).stdout
    piped = CliRunner().invoke(app, ["run", "-", "-q", *NODES], input=picture.read_bytes())
    assert piped.stdout == "5\n"


@pytest.mark.parametrize(
    ("start", "kind"), [(b"\xff\xd8\xff\xe0\0\x10JFIF", "JPEG"), (b"GIF89a", "GIF"), (b"RIFF\0\0\0\0WEBPVP8 ", "WebP")]
)
def test_a_picture_without_a_workflow_is_called_what_it_is(start: bytes, kind: str, weft: Weft, tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(start + bytes(100))
    done = weft("run", "x.png")
    assert done.exit_code == 2
    assert f"x.png is a picture of the kind {kind}, which carries no workflow" in done.stderr


# -- settings


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("sed=1", "The parameters are seed, n; any input is set as node.input. Did you mean 'seed'?"),
        ("b.seed=1", "The nodes are a, c. Did you mean 'a.seed'?"),
        ("a=1", 'Say which input of the node, as in "a.input"'),
        ("a.sed=1", "it has seed, count, words. Did you mean 'seed'?"),
    ],
)
def test_a_wrong_name_lists_the_right_ones(setting: str, words: str, weft: Weft, write: Write) -> None:
    file = write(
        parameters={"seed": "a.seed", "n": "a.count"}, a=("toy_seeded", {"seed": 1, "count": 1}), c=("toy_text", {})
    )
    for command in ("run", "check", "plan"):
        done = weft(command, file, "--set", setting, *NODES)
        assert done.exit_code == 2
        assert words in done.output


def test_check_takes_settings_and_targets(weft: Weft, write: Write) -> None:
    file = write(parameters={"n": "a.count"}, a=("toy_seeded", {}), b=("toy_seeded", {"seed": "x"}))
    assert weft("check", file, *NODES).exit_code == 2
    assert weft("check", file, "--target", "a", *NODES).exit_code == 0
    assert weft("check", file, "--set", "b.seed=2", *NODES).exit_code == 0
    done = weft("check", file, "--set", "n=many", "--target", "q", "--json", *NODES)
    assert done.exit_code == 2
    assert json.loads(done.stdout)["problems"][0]["input"] == "count"


def test_a_seed_is_drawn_on_request(weft: Weft, write: Write) -> None:
    file = write(parameters={"s": "a.seed", "w": "a.words"}, a=("toy_seeded", {"seed": 1}))
    seeds = set()
    for _ in range(3):
        done = weft("run", file, "--set", "s=random", "--json", *NODES)
        data = json.loads(done.stdout)
        seed = data["drawn"]["s"]
        assert data["outputs"][0]["value"] == seed
        assert f"--set s={seed} was drawn" in done.stderr
        assert 0 <= seed < 2**32
        seeds.add(seed)
    assert len(seeds) == 3
    words = weft("run", file, "--set", "w=random", "--json", *NODES)
    assert "drawn" not in json.loads(words.stdout), "text that a text's input takes stays text"
    assert weft("run", file, "--set", "a.count=random", *NODES).exit_code == 2


def test_the_drawn_seed_is_in_the_saved_workflow(weft: Weft, write: Write) -> None:
    from weft.graphs import Workflow

    file = write(p=("toy_picture", {}), a=("toy_seeded", {}))
    done = weft("run", file, "--set", "a.seed=random", "--target", "p", "--json", *NODES)
    data = json.loads(done.stdout)
    saved = Workflow.load(data["outputs"][0]["path"])
    assert saved.nodes["a"].inputs["seed"] == data["drawn"]["a.seed"]


def test_params(weft: Weft, write: Write) -> None:
    file = write(
        parameters={"words": "t.text", "mode": "t.mode", "gone": "q.x"}, t=("toy_text", {"text": "ab", "times": 2})
    )
    lines = weft("params", file, *NODES).stdout.splitlines()
    assert lines[0] == 'words: str = "ab"  sets t.text'
    assert "(one of plain, fancy)  sets t.mode" in lines[1]
    assert "there is no such node" in lines[2]
    data = json.loads(weft("params", file, "--json", *NODES).stdout)
    assert [item["name"] for item in data] == ["words", "mode", "gone"]
    assert (data[0]["input"], data[0]["value"]) == ("t.text", "ab")
    assert data[1]["choices"] == ["plain", "fancy"]
    bare = weft("params", write("bare.json", t=("toy_text", {"text": "ab"})), *NODES).stdout
    assert "names no parameters" in bare
    assert "t.text" in bare
    assert json.loads(weft("params", "text_to_image", "--json").stdout)[0]["name"] == "prompt"


# -- what is made, and where


def test_a_target_that_is_no_file_is_written_where_a_node_can_save_it(weft: Weft, write: Write, tmp_path: Path) -> None:
    file = write(a=("toy_sing", {"text": "do"}), a_file=("toy_seeded", {"seed": 4}))
    done = weft("run", file, "--target", "a", "--target", "a_file", "--json", *NODES)
    first, second = json.loads(done.stdout)["outputs"]
    assert first == {"node": "a", "kind": "text", "path": str(tmp_path / "out/a.txt")}
    assert (tmp_path / "out/a.txt").read_text() == "do"
    assert (second["node"], second["value"]) == ("a_file", 4)


@pytest.mark.parametrize("command", ["file", "below"])
def test_a_folder_that_cannot_be_is_said_before_anything_runs(
    command: str, weft: Weft, write: Write, tmp_path: Path
) -> None:
    (tmp_path / "taken").write_text("x")
    out = "taken" if command == "file" else "taken/deep/er"
    file = write(t=("toy_text", {}), s=("toy_save", {"text": link("t")}))
    done = weft("run", file, "--out", out, *NODES)
    assert (done.exit_code, done.stdout) == (2, "")
    assert "taken is no folder" in " ".join(re.sub("[│╭╮╰╯─]", " ", done.stderr).split())
    assert "this is no result" not in done.stderr, "nothing ran"
    plain = write("plain.json", a=("toy_seeded", {}))
    assert weft("run", plain, "--out", out, *NODES).exit_code == 0, "nothing is written there"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_may_not_be_written_to(weft: Weft, write: Write, tmp_path: Path) -> None:
    (tmp_path / "shut").mkdir(mode=0o500)
    done = weft("run", write(p=("toy_picture", {})), "--out", "shut/x", *NODES)
    assert done.exit_code == 2


def test_paths_are_looked_for_beside_the_workflow_second(
    weft: Weft, write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "project").mkdir()
    (tmp_path / "project/words.txt").write_text("beside")
    write("project/f.json", r=("toy_read", {"path": "words.txt"}))

    def read(*more: str) -> str:
        return str(weft("run", "project/f.json", "--target", "r", "-q", "--no-cache", *more, *NODES).stdout)

    assert read() == "beside\n"
    assert weft("check", "project/f.json", "--target", "r", *NODES).exit_code == 0
    (tmp_path / "words.txt").write_text("here")
    assert read() == "here\n", "the working directory comes first"
    (tmp_path / "home").mkdir()
    (tmp_path / "home/words.txt").write_text("home")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert read("--set", "r.path=~/words.txt") == "home\n"
    assert weft("run", "project/f.json", "--target", "r", "--set", "r.path=gone.txt", *NODES).exit_code != 0


def test_the_id_of_a_file_is_no_path_beside_the_workflow(
    weft: Weft, write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    id = "sha256:" + hashlib.sha256(b"stored").hexdigest()
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / id).write_text("beside")
    (tmp_path / id).write_text("here")
    write("project/f.json", r=("toy_read", {"path": id}))
    command = ("run", "project/f.json", "--target", "r", "-q", "--no-cache", *NODES)
    refused = weft(*command)
    assert refused.exit_code != 0
    assert "there is no file store here (WEFT_FILES)" in refused.stderr
    path = place_of(tmp_path / "store", id)
    path.parent.mkdir(parents=True)
    path.write_text("stored")
    monkeypatch.setenv("WEFT_FILES", "store")
    assert weft(*command).stdout == "stored\n"


# -- completion


def offered(words: str, current: str) -> list[str]:
    """What bash is offered; `words` are those before the cursor."""
    line = f"weft {words} {current}"
    env = {"_WEFT_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(len(line.split(" ")) - 1)}
    return CliRunner().invoke(app, [], prog_name="weft", env=env).stdout.split()


def test_what_tab_offers(write: Write) -> None:
    file = write(parameters={"words": "t.text"}, t=("toy_text", {"text": "ab"}), s=("toy_save", {"text": link("t")}))
    assert "params" in offered("", "pa")
    assert offered("run", "text_to") == ["text_to_image"]
    assert offered("examples", "text_to") == ["text_to_image"]
    assert offered(f"run {file} --set", "") == ["words=", "t.text=", "s.text="]
    assert offered(f"run {file} --set", "w") == ["words="]
    assert offered(f"run {file} --target", "") == ["t", "s"]
    assert offered("run nowhere.json --target", "") == []
    assert "load_model" in offered("nodes", "load_m")
    assert offered(f"why {file}", "") == ["t", "s"]


COMPLETING = """
import sys
sys.argv = ["weft"]
from weft.server.cli import main
try:
    main()
finally:
    print(*[name for name in ("torch", "diffusers", "transformers", "PIL") if name in sys.modules], file=sys.stderr)
"""


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("run text_to_image --set se", "seed="),
        ("nodes load_mod", "load_model"),
    ],
)
def test_tab_loads_nothing_heavy(line: str, answer: str, tmp_path: Path) -> None:
    words = f"weft {line}"
    env = {**os.environ, "_WEFT_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
    done = subprocess.run([sys.executable, "-c", COMPLETING], env=env, capture_output=True, text=True, check=False)
    assert done.stdout.split() == [answer]
    assert done.stderr == "\n"


@pytest.mark.parametrize(("shell", "file"), [("bash", ".bash_completions/weft.sh"), ("zsh", ".zfunc/_weft")])
def test_completion_is_installed_for_a_shell(shell: str, file: str, tmp_path: Path) -> None:
    # Else typer asks which shell it was called from, which here is none.
    env = {**os.environ, "HOME": str(tmp_path), "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    code = COMPLETING.replace('["weft"]', f'["weft", "--install-completion", "{shell}"]')
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False)
    assert "completion installed" in done.stdout
    assert "_WEFT_COMPLETE" in (tmp_path / file).read_text()
