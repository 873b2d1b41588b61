"""docs/command-line.md: its tables are those of the commands, and each of its examples works."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tests import command_page
from tests.graphs.test_metadata import A1111
from tests.graphs.test_png_text import PNG
from tests.pasted import ROOT, blocks, heredoc
from tests.server.running import running
from weft.graphs.png import embed
from weft.server.cli.app import app

LINES = [
    shlex.split(line, comments=True)
    for _, text in blocks(command_page.PAGE, "shell")
    for line in text.splitlines()
    if line.strip()
]
SERVER, JOB = "http://127.0.0.1:9338", "01m80h2a2amffsxfqc"
"""What stands on the page for a server and for a job."""


def test_the_tables_are_those_of_the_commands() -> None:
    """Else: python -m tests.command_page"""
    assert (ROOT / command_page.PAGE).read_text("utf-8") == command_page.page()


def test_every_command_has_a_heading_a_table_and_an_example() -> None:
    commands = list(command_page.commands())
    assert sorted(command_page.tables()) == sorted(commands)
    page = (ROOT / command_page.PAGE).read_text("utf-8")
    assert [name for name in commands[1:] if f"\n## {name}\n" not in page] == []
    assert [name for name in commands[1:] if not examples_of(name)] == []


def examples_of(name: str) -> list[list[str]]:
    words = name.split()
    return [line for line in LINES if line[: len(words)] == words]


@pytest.mark.parametrize("name", [name for name in command_page.commands() if name != "weft"])
def test_every_option_is_in_an_example(name: str) -> None:
    used = {word for line in examples_of(name) for word in line}
    taken = [item for item in command_page.options(command_page.commands()[name]) if item.param_type_name == "option"]
    assert [item.opts for item in taken if not used & set(item.opts)] == []


def test_every_example_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Callable[..., Path]) -> None:
    """In order, in one folder with the files that the page calls the reader's, beside a server."""
    (tmp_path / "theirs.png").write_bytes(embed(PNG, {"parameters": A1111}))
    (tmp_path / "models").mkdir()
    (tmp_path / "my_nodes").mkdir()
    (tmp_path / "my_nodes" / "posterize.py").write_text(heredoc("README.md", "my_nodes/posterize.py"), "utf-8")
    assert len(LINES) > 50
    with running(tmp_path) as server:
        monkeypatch.setenv("WEFT_SERVER", server.url)
        # The server's port and the job's id are not those that the page has for them.
        stand_ins = {SERVER: server.url}
        for line in LINES:
            assert line[0] == "weft"
            arguments, stdin, stdout = redirected([stand_ins.get(word, word) for word in line[1:]])
            options: dict[str, Any] = {"input": Path(stdin).read_bytes()} if stdin else {}
            done = CliRunner().invoke(app, arguments, **options)
            assert done.exit_code == 0, f"{shlex.join(line)}\n{done.output}"
            if line == ["weft", "submit", "first.json"]:
                stand_ins[JOB] = done.stdout.strip()
            if stdout:
                Path(stdout).write_text(done.stdout, "utf-8")
    for made in (
        "first.svg",
        "first.png",
        "run.svg",
        "imported.json",
        "weft.schema.json",
        "out/image.png",
        "run.jsonl",
    ):
        assert (tmp_path / made).stat().st_size > 100, made
    assert [path.suffix for path in (tmp_path / "fetched").iterdir()] == [".png"]
    assert list((tmp_path / "pictures").iterdir()) == [tmp_path / "pictures" / "text_to_image.png"]


def redirected(words: list[str]) -> tuple[list[str], str | None, str | None]:
    """A call's words without `< file` and `> file`, and these files."""
    found: dict[str, str | None] = {"<": None, ">": None}
    for sign in found:
        if sign in words:
            place = words.index(sign)
            found[sign] = words[place + 1]
            del words[place : place + 2]
    return words, found["<"], found[">"]
