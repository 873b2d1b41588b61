"""`weft submit`, `jobs`, `cancel` and `retry` against a real server."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from tests.server.running import ROOT, RunningServer, document, free_port, gated, sums
from weft.server.client import Client

Weft = Callable[..., Result]


@pytest.fixture(autouse=True)
def here(server: RunningServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEFT_SERVER", server.url)
    monkeypatch.delenv("WEFT_TOKEN", raising=False)


@pytest.fixture
def save(tmp_path: Path) -> Callable[..., Path]:
    def write(data: dict[str, Any], name: str = "f.json") -> Path:
        path = tmp_path / name
        path.write_text(json.dumps(data))
        return path

    return write


Save = Callable[..., Path]


def test_without_waiting_stdout_has_the_id_alone(weft: Weft, save: Save, client: Client) -> None:
    done = weft("submit", save(sums(first=10)), "--set", "first=20", "--tag", "cli", "--priority", "3")
    assert done.exit_code == 0, done.output
    job = client.wait(done.stdout.strip())
    assert (job.state, job.outputs[0].value, job.tags, job.priority) == ("done", 21, ["cli"], 3)
    told = json.loads(weft("submit", save(sums(first=11)), "--json").stdout)
    assert client.wait(told["id"]).outputs[0].value == 12


def test_waiting_shows_progress_and_results(weft: Weft, save: Save) -> None:
    done = weft("submit", save(sums(first=30)), "--wait")
    assert (done.exit_code, done.stdout) == (0, "31\n")
    assert "3 ran, 0 cached" in done.stderr
    done = weft("submit", save(sums(first=30)), "--wait", "--quiet", "--target", "a1", "--json")
    assert (done.exit_code, done.stderr) == (0, "")
    told = json.loads(done.stdout)
    assert told["state"] == "done"
    assert [(output["node"], output["value"]) for output in told["outputs"]] == [("a1", 31)]


def test_what_was_made_is_fetched(weft: Weft, save: Save, server: RunningServer, tmp_path: Path) -> None:
    file = save(document(note=("served_note", {"text": "words", "name": "note"})))
    done = weft("submit", file, "--out", "got")
    assert (done.exit_code, done.stdout) == (0, f"{tmp_path}/got/note.txt\n")
    assert (tmp_path / "got" / "note.txt").read_text() == "words"
    done = weft("submit", file, "--wait")
    assert done.stdout.startswith(f"{server.url}api/v1/files/sha256:")


def test_files_of_this_machine(weft: Weft, save: Save, tmp_path: Path) -> None:
    from PIL import Image

    (tmp_path / "inner").mkdir()
    Image.new("RGB", (7, 5), "blue").save(tmp_path / "inner" / "here.png")
    file = save(document(size=("served_size", {"path": "here.png"})), "inner/f.json")
    assert weft("submit", file, "--wait").exit_code == 2
    done = weft("submit", file, "--wait", "--upload")
    assert (done.exit_code, done.stdout) == (0, "7\n")


def test_a_seed_is_drawn(weft: Weft, client: Client) -> None:
    done = weft("submit", "text_to_image", "--set", "seed=random", "--target", "model")
    assert done.exit_code == 0, done.output
    [drawn] = [line for line in done.stderr.splitlines() if line.endswith("was drawn")]
    seed = int(drawn.removeprefix("--set seed=").removesuffix(" was drawn"))
    id = done.stdout.strip()
    assert seed in [value for spec in client.workflow(id).nodes.values() for value in spec.inputs.values()]
    client.cancel(id)
    client.wait(id)


def test_a_job_that_fails(weft: Weft, save: Save) -> None:
    file = save(document(bad=("served_fail", {"value": 3})))
    done = weft("submit", file, "--wait")
    assert (done.exit_code, done.stdout) == (1, "")
    assert "at the node 'bad' (served_fail): " in done.stderr
    assert "3 is not to my taste" in done.stderr
    done = weft("submit", file, "--wait", "--json", "--quiet")
    told = json.loads(done.stdout)
    assert (done.exit_code, told["state"], told["error"]["node"]) == (1, "failed", "bad")
    shown = weft("jobs", told["id"])
    assert (shown.exit_code, "not to my taste" in shown.stderr) == (0, True)


WRONG: list[tuple[tuple[str, ...], str]] = [
    (("--set", "frst=1"), "Did you mean 'first'?"),
    (("--set", "first=many"), 'not "many"'),
    (("--set", "first"), "NAME=VALUE"),
    (("--target", "q"), "[unknown_link]"),
    (("--priority", "10000"), "equal to 1000"),
    (("--server", "ftp://a"), "is no address of a server"),
]


@pytest.mark.parametrize(("arguments", "words"), WRONG)
def test_a_wrong_call(arguments: tuple[str, ...], words: str, weft: Weft, save: Save, client: Client) -> None:
    before = [job.id for job in client.jobs()]
    done = weft("submit", save(sums()), *arguments)
    assert (done.exit_code, done.stdout) == (2, "")
    assert words in " ".join(done.stderr.split())
    assert [job.id for job in client.jobs()] == before


def test_no_file_and_no_server(weft: Weft, save: Save) -> None:
    assert weft("submit", "nowhere.json").exit_code == 2
    address = f"http://127.0.0.1:{free_port()}"
    for call in (("submit", save(sums())), ("jobs",), ("cancel", "x"), ("retry", "x")):
        done = weft(*call, "--server", address)
        assert (done.exit_code, done.stdout) == (2, "")
        assert f"no server answers at {address}" in done.stderr
        assert "`weft serve` starts one" in done.stderr
    told = json.loads(weft("jobs", "--json", "--server", address).stdout)
    assert address in told["error"]["message"]


def test_jobs_are_listed(weft: Weft, client: Client) -> None:
    first = client.run(sums(first=60), title="sixty\x1b[31m", tags=["list"])
    second = client.run(sums(first=61), tags=["list"])
    lines = weft("jobs", "--tag", "list").stdout.splitlines()
    assert [line.split()[:2] for line in lines] == [[second.id, "done"], [first.id, "done"]]
    assert lines[1].endswith("sixty [31m"), "nothing that a terminal would obey"
    assert len(weft("jobs", "--limit", "1").stdout.splitlines()) == 1
    told = json.loads(weft("jobs", "--tag", "list", "--state", "done", "--json").stdout)
    assert [job["id"] for job in told["jobs"]] == [second.id, first.id]
    none = weft("jobs", "--tag", "nobody")
    assert (none.exit_code, none.stdout, none.stderr) == (0, "", "no such jobs\n")
    assert weft("jobs", "--state", "lost").exit_code == 2
    shown = weft("jobs", second.id).stdout
    assert "total: value  62" in shown
    assert json.loads(weft("jobs", second.id, "--json").stdout)["outputs"][0]["value"] == 62
    missing = weft("jobs", "nobody")
    assert (missing.exit_code, missing.stdout) == (2, "")
    assert "nobody" in missing.stderr


def test_cancelled_and_tried_again(weft: Weft, client: Client) -> None:
    client.pause()
    try:
        first, second = (client.submit(sums(first=number)).id for number in (71, 72))
        assert weft("jobs", second, "--json").exit_code == 0
        assert "1 before it" in weft("jobs", second).stdout
        done = weft("cancel", first, "nobody", second)
        assert (done.exit_code, done.stdout) == (2, f"{first}  cancelled\n{second}  cancelled\n")
        assert "nobody" in done.stderr
        assert {job["state"] for job in json.loads(weft("cancel", first, "--json").stdout)["jobs"]} == {"cancelled"}
        again = weft("retry", first, second)
        assert again.exit_code == 0
        new = again.stdout.split()
        assert len({first, second, *new}) == 4
        [third] = json.loads(weft("retry", first, "--json").stdout)["jobs"]
    finally:
        client.resume()
    assert [client.wait(id).outputs[0].value for id in (*new, third["id"])] == [72, 73, 72]


def test_an_interrupt_leaves_the_job_alone(server: RunningServer, client: Client, save: Save, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "WEFT_CACHE": str(tmp_path / "c")}
    process = subprocess.Popen(
        [sys.executable, "-m", "weft", "submit", str(save(gated(gate, 80))), "--wait"],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path,
    )  # fmt: skip
    try:
        job = _running(client, gate)
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
        gate.touch()
    assert (process.returncode, stdout) == (130, "")
    assert f"the job goes on; to end it: weft cancel {job} --server {server.url.rstrip('/')}" in stderr
    assert "Traceback" not in stderr
    ended = client.wait(job)
    assert (ended.state, ended.outputs[0].value) == ("done", 81)


def _running(client: Client, gate: Path) -> str:
    """The id of the job that stands before the gate, once it does and somebody follows it."""
    while not (Path(f"{gate}.reached").exists() and client.system()["clients"]):
        threading.Event().wait(0.01)
    [job] = client.jobs("running")
    return job.id
