"""`weft run --keep-going`, and how failures, skips and second attempts are shown."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.server.conftest import TOYS
from weft.server.cli.record import Record

Weft = Callable[..., Any]
Write = Callable[..., Path]
NODES = ("--nodes", TOYS)


def link(text: str) -> dict[str, str]:
    return {"link": text}


def sweep(write: Write) -> Path:
    return write(
        m=("map_over", {"items": [1, 2, 3]}),
        p=("toy_inner", {"value": link("m")}),
        after=("toy_picky", {"value": link("p")}),
        other=("toy_picky", {"value": 7}),
    )


def test_the_rest_is_made_and_each_failure_has_a_line(weft: Weft, write: Write) -> None:
    done = weft("run", sweep(write), "--keep-going", "-q", *NODES)
    assert done.exit_code == 1
    assert sorted(done.stdout.split()) == ["1", "3", "7"]
    [line] = [line for line in done.stderr.splitlines() if "not to my taste" in line]
    assert line == "error: the node 'p' (toy_inner) failed: item 2: not to my taste"
    assert "1 failure; what does not depend on it was made" in done.stderr
    assert "Traceback" not in done.stderr
    assert "Traceback" in weft("run", sweep(write), "--keep-going", "--traceback", *NODES).stderr


def test_failures_are_in_the_json(weft: Weft, write: Write) -> None:
    data = json.loads(weft("run", sweep(write), "--keep-going", "--json", *NODES).stdout)
    assert data["failures"] == [{"node": "p", "item": [1], "message": "item 2: not to my taste"}]
    assert len(data["outputs"]) == 3
    clean = weft("run", write(a=("toy_picky", {"value": 1})), "--keep-going", "--json", *NODES)
    assert (clean.exit_code, json.loads(clean.stdout)["failures"]) == (0, [])


def test_without_it_the_first_failure_ends_the_run(weft: Weft, write: Write) -> None:
    done = weft("run", sweep(write), "--json", *NODES)
    assert done.exit_code == 1
    assert json.loads(done.stdout)["error"]["node"] == "p"


def test_a_node_that_is_wrong_in_the_document_leaves_the_others(weft: Weft, write: Write) -> None:
    file = write(a=("toy_picky", {"value": 1}), b=("toy_picky", {"value": "x"}))
    assert weft("run", file, *NODES).exit_code == 2
    done = weft("run", file, "--keep-going", "-q", *NODES)
    assert (done.exit_code, done.stdout) == (1, "1\n")
    assert "the node 'b' (toy_picky) failed" in done.stderr


def test_the_profile_and_the_picture_say_what_failed_and_what_was_skipped(
    weft: Weft, write: Write, tmp_path: Path
) -> None:
    file = write(f=("toy_fail", {}), after=("toy_fail", {"value": link("f")}), other=("toy_picky", {"value": 7}))
    events = tmp_path / "e.jsonl"
    done = weft("run", file, "--keep-going", "--profile", "--events", events, "-q", *NODES)
    assert done.exit_code == 1
    rows = {line.split()[0]: line for line in done.stderr.splitlines() if line}
    assert " failed " in rows["f"]
    assert " skipped " in rows["after"]
    drawn = weft("draw", file, "--run", events, *NODES).stdout
    assert ">failed</text>" in drawn
    assert ">skipped</text>" in drawn


def test_a_second_attempt_is_in_the_record() -> None:
    record = Record()
    for event in ("node_started", "node_retried", "node_retried", "node_finished"):
        record.take({"event": event, "node": "a", "seconds": 1.0})
    assert record.fates["a"].note == "called again 2 times"
