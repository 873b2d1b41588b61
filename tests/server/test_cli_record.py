"""A run is recorded, profiled and drawn."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.server.conftest import TOYS
from weft.graphs import Workflow, WorkflowError
from weft.graphs.draw import Mark, draw, draw_png
from weft.graphs.drawing import palette
from weft.server.cli.record import Record, print_profile

Weft = Callable[..., Any]
Write = Callable[..., Path]
NODES = ("--nodes", str(TOYS))


def picture(*, text: str = "a") -> dict[str, tuple[str, Any]]:
    return {
        "t": ("toy_text", {"text": text}),
        "s": ("toy_save", {"text": {"link": "t"}}),
        "r": ("toy_read", {"path": "gone.txt"}),
    }


def test_events_profile_and_picture_of_a_run(weft: Weft, write: Write, tmp_path: Path) -> None:
    file, events = write(**{id: node for id, node in picture().items() if id != "r"}), tmp_path / "e.jsonl"
    assert weft("run", file, "--target", "t", *NODES).exit_code == 0
    done = weft("run", file, "--events", events, "--profile", "-q", *NODES)
    assert done.exit_code == 0
    assert done.stdout.endswith("x.txt\n")
    assert done.stdout.count("\n") == 1, "results alone are on stdout"
    assert "1 ran, 1 cached" in done.stderr
    assert [line.split()[0] for line in done.stderr.splitlines() if line.startswith("s ")] == ["s"]
    lines = [json.loads(line) for line in events.read_text().splitlines()]
    assert [line["seq"] for line in lines] == list(range(len(lines)))
    assert (lines[0]["event"], lines[-1]["event"]) == ("job_started", "job_finished")
    drawn = weft("draw", file, "--run", events, *NODES)
    assert drawn.exit_code == 0
    assert ">cached</text>" in drawn.stdout
    assert " ms</text>" in drawn.stdout
    assert "This run took" in drawn.stdout
    target = tmp_path / "run.png"
    assert weft("draw", file, "--run", events, "-o", target, *NODES).exit_code == 0
    assert target.read_bytes().startswith(b"\x89PNG")


def test_a_run_that_failed_is_drawn_as_far_as_it_came(weft: Weft, write: Write, tmp_path: Path) -> None:
    pytest.importorskip("rich")
    (tmp_path / "gone.txt").write_text("x")
    nodes = {"f": ("toy_breaks", {}), "s": ("toy_save", {"text": {"link": "f"}})}
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "failing.py").write_text(
        "from weft.engine import node\n\n@node('toy_breaks')\ndef toy_breaks() -> str:\n    raise ValueError('no')\n"
    )
    file, events = write(**nodes), tmp_path / "e.jsonl"
    more = (*NODES, "--nodes", tmp_path / "more")
    assert weft("run", file, "--events", events, "--profile", *more).exit_code == 1
    drawn = weft("draw", file, "--run", events, *more)
    assert ">failed</text>" in drawn.stdout
    assert f'stroke="{palette.WRONG}"' in drawn.stdout
    assert "This run failed." in drawn.stdout
    cut = tmp_path / "cut.jsonl"
    cut.write_text("".join(events.read_text().splitlines(keepends=True)[:2]))
    assert "unfinished" in weft("draw", file, "--run", cut, *more).stdout
    assert "was not finished" in weft("draw", file, "--run", cut, *more).stdout


def test_what_is_no_record_is_told(weft: Weft, write: Write, tmp_path: Path) -> None:
    file = write(t=("toy_text", {}))
    for text in ("[]\n", "no json\n"):
        (tmp_path / "e").write_text(text)
        assert weft("draw", file, "--run", tmp_path / "e", *NODES).exit_code == 2
    assert weft("draw", file, "--run", tmp_path / "nowhere", *NODES).exit_code == 2
    done = weft("run", file, "--target", "t", "--events", tmp_path / "no" / "e.jsonl", *NODES)
    assert done.exit_code == 1
    assert "e.jsonl" in done.stderr


def test_what_happened_inside_is_told_at_the_node_around() -> None:
    record = Record()
    for event in (
        {"event": "node_started", "node": "x/a"},
        {"event": "node_finished", "node": "x/a", "seconds": 1.5},
        {"event": "node_cached", "node": "x/b", "tier": "disk"},
        {"event": "node_cached", "node": "y/a", "tier": "disk"},
        {"event": "node_started", "node": "z"},
        {"event": "node_finished", "node": "z", "seconds": 0.25},
        {"event": "node_started", "node": "z"},
        {"event": "node_finished", "node": "z", "seconds": 0.25},
    ):
        record.take(event)
    workflow = Workflow.parse({"weft": 1, "nodes": {id: {"type": "t"} for id in "xyzw"}})
    assert record.marks(workflow) == {"x": Mark("ran", 1.5), "y": Mark("cached"), "z": Mark("ran", 0.5)}


@pytest.mark.parametrize(
    ("mark", "text"),
    [
        (Mark("ran", 0.00042), "0.4 ms"), (Mark("ran", 0.0123), "12 ms"), (Mark("ran", 1.239), "1.24 s"),
        (Mark("ran", 42.0), "42.0 s"), (Mark("ran", 125.0), "2 min 5 s"), (Mark("cached"), "cached"),
        (Mark("failed", 3.0), "failed"), (Mark("unfinished"), "unfinished"),
    ],
)  # fmt: skip
def test_marks_are_in_the_picture_and_change_no_place(mark: Mark, text: str) -> None:
    assert mark.text == text
    workflow = Workflow.parse({"weft": 1, "nodes": {"a": {"type": "t"}}})
    assert f">{text}</text>" in draw(workflow, marks={"a": mark})
    assert text not in draw(workflow)
    plain, marked = draw_png(workflow), draw_png(workflow, marks={"a": mark})
    assert plain != marked


def test_a_definition_and_left_out_nodes_are_drawn() -> None:
    body = {"inputs": {"m": {"type": "Model"}}, "nodes": {}, "outputs": {"out": {"link": "inputs.m", "type": "Model"}}}
    nodes = {"u": {"type": "d", "inputs": {"m": {"link": "w"}}}, "w": {"type": "t", "mode": "bypass"}}
    svg = draw(Workflow.parse({"weft": 1, "nodes": nodes, "definitions": {"d": body}}))
    for words in (">out<", ">m<", "t (bypassed)", palette.type_colour("Model")):
        assert words in svg
    with pytest.raises(WorkflowError):
        Workflow.parse({"weft": 1, "nodes": {"a": {"type": "t", "mode": "off"}}})


def test_a_drawn_run_shows_the_values_that_ran(weft: Weft, write: Write, tmp_path: Path) -> None:
    file, events = write(**{id: node for id, node in picture().items() if id != "r"}), tmp_path / "e.jsonl"
    assert weft("run", file, "--set", "t.text=changed", "--events", events, *NODES).exit_code == 0
    drawn = weft("draw", file, "--run", events, *NODES).stdout
    assert "changed" in drawn
    assert "changed" not in weft("draw", file, *NODES).stdout


@pytest.mark.parametrize("old", [True, False])
def test_events_of_another_workflow_are_refused(weft: Weft, write: Write, tmp_path: Path, old: bool) -> None:
    file, events = write(**{id: node for id, node in picture().items() if id != "r"}), tmp_path / "e.jsonl"
    assert weft("run", file, "--events", events, *NODES).exit_code == 0
    if old:  # as files were before they held the workflow
        lines = [json.loads(line) for line in events.read_text().splitlines()]
        events.write_text("".join(json.dumps(line | {"workflow": None}) + "\n" for line in lines))
    other = write("other.json", t=("toy_text", {"text": "a"}), z=("toy_save", {"text": {"link": "t"}}))
    refused = weft("draw", other, "--run", events, *NODES)
    assert refused.exit_code == 2
    said = " ".join(refused.stderr.replace("\u2502", " ").split())
    assert "another workflow" in said
    assert ("no node s" if old else "the run had s (toy_save)") in said
    assert weft("draw", file, "--run", events, *NODES).exit_code == 0


def test_events_with_a_damaged_workflow_are_refused(weft: Weft, write: Write, tmp_path: Path) -> None:
    file, events = write(t=("toy_text", {"text": "a"})), tmp_path / "e.jsonl"
    events.write_text('{"event": "job_started", "workflow": {"weft": 1, "nodes": 3}}\n')
    refused = weft("draw", file, "--run", events, *NODES)
    assert refused.exit_code == 2
    assert "cannot be read" in " ".join(refused.stderr.split())


def test_the_profile_tells_imports_apart(capsys: pytest.CaptureFixture[str]) -> None:
    record = Record()
    for event in (
        {"event": "node_started", "node": "model"},
        {"event": "node_finished", "node": "model", "seconds": 9.0, "imports": 8.0},
        {"event": "node_started", "node": "image"},
        {"event": "node_finished", "node": "image", "seconds": 2.0},
        {"event": "job_finished", "seconds": 12.0, "ran": 2, "cached": 0},
    ):
        record.take(event)
    print_profile(record)
    rows = {line.split("  ")[0]: line for line in capsys.readouterr().err.splitlines()}
    assert list(rows)[2:] == ["image", "model", "imports", "between nodes"]
    assert [next(part for part in rows[name].split() if part.isdigit() or "." in part) for name in list(rows)[2:]] == [
        "2.00",
        "1.00",
        "8.00",
        "1.00",
    ]
