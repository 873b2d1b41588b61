from __future__ import annotations

import gc
import hashlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.engine import isolated, toys
from weft.engine import Cache, Cancelled, CancelToken, Catalogue, Result, RunFailed, node, run
from weft.engine.declaring import file_store
from weft.engine.declaring.model_folders import VARIABLE
from weft.engine.isolation import Limits, Resident, Worker, Workers

Run = Callable[..., Result]


@pytest.fixture(scope="module")
def shared() -> Iterator[Workers]:
    """Workers for all tests that leave theirs alive; a new one takes a quarter of a second."""
    workers = Workers()
    yield workers
    workers.close()


def document(nodes: dict[str, tuple[str, dict[str, Any]]]) -> dict[str, Any]:
    return {"weft": 1, "nodes": {id: {"type": type, "inputs": inputs} for id, (type, inputs) in nodes.items()}}


def link(text: str) -> dict[str, str]:
    return {"link": text}


@pytest.fixture
def isolate(shared: Workers) -> Run:
    """`isolate("a", a=("pid", {}))` runs these nodes in a worker and gives the result of the target `a`."""

    def go(
        target: str,
        *,
        workers: Workers = shared,
        cache: Cache | None = None,
        on_event: Any = None,
        cancel: CancelToken | None = None,
        out: Path | None = None,
        **nodes: tuple[str, dict[str, Any]],
    ) -> Any:
        result = run(
            document(nodes),
            [target],
            catalogue=isolated.catalogue(),
            cache=cache or Cache(),
            on_event=on_event,
            cancel=cancel,
            out=out,
            isolate=workers,
        )
        return result[target]

    return go


def failure(isolate: Run, *arguments: Any, **options: Any) -> Any:
    with pytest.raises(RunFailed) as caught:
        isolate(*arguments, **options)
    return caught.value.error


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def becomes(true: Callable[[], Any], seconds: float = 30.0) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if true():
            return True
        time.sleep(0.01)
    return False


# -- what goes well


def test_nodes_run_in_another_process_that_stays(isolate: Run) -> None:
    first, second = isolate("a", a=("pid", {})), isolate("a", a=("pid", {}))
    assert first == second != os.getpid()


@pytest.mark.usefixtures("inputs_may_change")
def test_values_cross_both_ways_small_and_large(isolate: Run) -> None:
    for count in (3, 1_000_000):
        made = isolate("b", a=("array", {"count": count}), b=("scale", {"array": link("a")}))
        assert (made.dtype, made.shape, made.min(), made.max()) == (np.float64, (count,), 2, 2)
    assert isolate("b", a=("square", {"side": 2.5}), b=("side", {"square": link("a")})) == 2.5


def test_model_folders_are_those_of_the_parent_now(
    isolate: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Not those of the time when the worker started."""
    pid = isolate("a", a=("pid", {}))
    for name in ("one", "two"):
        monkeypatch.setenv(VARIABLE, str(tmp_path / name))
        assert isolate("a", a=("folders_of_models", {})) == str(tmp_path / name)
    assert isolate("a", a=("pid", {"value": 1})) == pid


def test_the_file_store_is_that_of_the_parent_now(
    isolate: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pid = isolate("a", a=("pid", {}))
    for name in ("one", "two"):
        id = "sha256:" + hashlib.sha256(name.encode()).hexdigest()
        path = file_store.place_of(tmp_path / name, id)
        path.parent.mkdir(parents=True)
        path.write_text(name)
        monkeypatch.setenv(file_store.VARIABLE, str(tmp_path / name))
        assert isolate("a", a=("stored_text", {"id": id})) == f"{name} {pid}"


@pytest.mark.usefixtures("inputs_may_change")
def test_a_node_that_changes_its_input_changes_its_own_copy(isolate: Run) -> None:
    nodes = {"a": ("array", {"count": 100_000}), "b": ("scale", {"array": link("a")})}
    cache = Cache()
    assert isolate("b", cache=cache, **nodes)[0] == 2
    assert isolate("a", cache=cache, **nodes)[0] == 1, "what the cache has is not what the node was given"


def test_what_a_node_says_arrives(isolate: Run, capsys: pytest.CaptureFixture[str], caplog: Any) -> None:
    events: list[Any] = []
    assert isolate("n", n=("talk", {"count": 2}), on_event=events.append) == 2
    said = [event for event in events if event.event in ("node_progress", "node_preview")]
    # The second preview comes too soon to be wanted, unless the machine is slow.
    assert [event.event for event in said if event != said[2]] in (
        ["node_preview", "node_progress"],
        ["node_preview", "node_progress", "node_progress"],
    )
    assert {event.node for event in said} == {"n"}
    assert said[0].data == b"picture" * 20_000
    assert (said[-1].step, said[-1].total, said[-1].message) == (2, 2, "going")
    assert [event.seq for event in events] == list(range(len(events)))
    assert {"n: logged", "logged too"} <= set(caplog.messages)
    printed: list[str] = []

    def written() -> bool:
        out, err = capsys.readouterr()
        assert out == "", "stdout is for results"
        printed.append(err)
        return "printed" in "".join(printed) and "written" in "".join(printed)

    assert becomes(written)


def test_a_node_has_its_folders_and_its_provenance(isolate: Run, tmp_path: Path) -> None:
    out, scratch, text, id = isolate("n", n=("where", {}), out=tmp_path / "o").split("|")
    assert out == str(tmp_path / "o")
    assert not Path(scratch).exists()
    assert json.loads(text)["nodes"]["n"]["type"] == "where"
    assert id == "n"


def test_a_picture_of_a_batch_knows_its_number(isolate: Run) -> None:
    assert json.loads(isolate("n", n=("of_batch", {})))["image"] == {"number": 2, "of": 3, "alone": True}


def test_files_are_results_here(isolate: Run, tmp_path: Path) -> None:
    files = isolate("n", n=("write", {"text": "x"}), out=tmp_path / "o")
    assert Path(files.paths[0]).read_text() == "x"


def test_lazy_inputs_are_asked_for(isolate: Run) -> None:
    assert isolate("b", a=("pid", {}), b=("lazily", {"value": link("a")})) > 0
    assert isolate("b", a=("pid", {}), b=("lazily", {"value": link("a"), "wanted": False})) == -1


def test_async_nodes_run_beside_each_other(shared: Workers, tmp_path: Path) -> None:
    marks = [str(tmp_path / f"{number}") for number in range(8)]
    nodes = {f"n{number}": ("meets_async", {"mine": mark, "others": marks}) for number, mark in enumerate(marks)}
    result = run(document(nodes), list(nodes), catalogue=isolated.catalogue(), cache=Cache(), isolate=shared)
    assert len({result[id] for id in nodes}) == 1, "none of them ends before all have begun, in one worker"


def test_runs_at_the_same_time_have_a_worker_each(isolate: Run, shared: Workers, tmp_path: Path) -> None:
    found: list[int] = []
    marks = [str(tmp_path / name) for name in "ab"]

    def go(mark: str) -> None:
        found.append(isolate("a", a=("meets", {"mine": mark, "others": marks})))

    threads = [threading.Thread(target=go, args=(mark,)) for mark in marks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 2
    assert becomes(lambda: sum(map(is_alive, found)) == 1), "one is kept for the next run"


# -- live values


def test_live_values_stay_in_the_worker(isolate: Run, tmp_path: Path) -> None:
    log = str(tmp_path / "log")
    cache = Cache(tmp_path / "cache")
    nodes = {"a": ("live", {"number": 5, "log": log}), "b": ("use_live", {"live": link("a")})}
    assert isolate("b", cache=cache, **nodes) == 5
    found = isolate("a", cache=cache, **nodes)
    assert (type(found), found.kind) == (Resident, "Live")
    assert isolate("c", cache=cache, **nodes, c=("use_live", {"live": link("a"), "after": 1})) == 5
    assert isolate("c", cache=cache, **nodes, c=("use_lives", {"lives": [link("a"), link("a")]})) == 10
    assert len(Path(log).read_text().split()) == 1, "made once"
    assert cache.disk is not None
    assert cache.disk.usage()[0] == 3, "and only what can be written was"


def test_outputs_that_can_leave_do(isolate: Run) -> None:
    nodes = {"a": ("live_pair", {"number": 4}), "b": ("use_live", {"live": link("a.first"), "after": link("a.second")})}
    assert isolate("b", **nodes) == 4


def test_a_live_value_is_made_again_in_another_worker(isolate: Run, tmp_path: Path) -> None:
    log = str(tmp_path / "log")
    cache = Cache()
    a = ("live", {"number": 5, "log": log})
    assert isolate("b", cache=cache, a=a, b=("use_live", {"live": link("a")})) == 5
    failure(isolate, "n", n=("segfault", {}))
    assert isolate("b", cache=cache, a=a, b=("use_live", {"live": link("a"), "after": 1})) == 5
    assert len(set(Path(log).read_text().split())) == 2


def test_a_live_value_that_nobody_names_is_let_go_of(shared: Workers, isolate: Run) -> None:
    isolate("b", a=("live", {"number": 11}), b=("use_live", {"live": link("a")}))
    gc.collect()
    isolate("n", n=("pid", {}))
    (worker,) = shared._free
    assert worker.live == set()


def test_a_live_value_of_this_process_is_no_hit(isolate: Run, tmp_path: Path) -> None:
    cache = Cache()
    nodes = {"a": ("live", {"number": 6}), "b": ("use_live", {"live": link("a")})}
    assert run(document(nodes), ["a"], catalogue=isolated.catalogue(), cache=cache)["a"] == toys.Live(6)
    assert isolate("b", cache=cache, **nodes) == 6
    assert run(document(nodes), ["a"], catalogue=isolated.catalogue(), cache=cache)["a"] == toys.Live(6)


# -- what goes wrong


def test_an_ordinary_failure_says_what_it_says_elsewhere(isolate: Run) -> None:
    error = failure(isolate, "n", n=("fail", {"message": "so it goes"}))
    assert (error.node, error.type, error.exception, error.message) == ("n", "fail", "ValueError", "so it goes")
    assert "isolated.py" in error.traceback
    assert "in fail" in error.traceback


@pytest.mark.parametrize(
    ("type", "inputs", "exception", "words"),
    [
        ("segfault", {}, "WorkerDied", "SIGSEGV"),
        ("abort", {}, "WorkerDied", "SIGABRT"),
        ("killed", {}, "WorkerDied", "run out of memory"),
        ("leave", {"hard": True}, "WorkerDied", "exit code 3"),
        ("leave", {"hard": False}, "SystemExit", "3"),
    ],
)
def test_a_node_that_ends_the_process_fails_its_run_at_once(
    isolate: Run, type: str, inputs: dict[str, Any], exception: str, words: str
) -> None:
    isolate("n", n=("pid", {}))
    events: list[Any] = []
    error = failure(isolate, "n", n=(type, inputs), on_event=events.append)
    assert (error.node, error.exception) == ("n", exception)
    assert words in error.message
    if type in ("segfault", "abort"):
        assert f"in {type}" in error.traceback, "where in the node"
    assert [event.event for event in events][-2:] == ["node_failed", "job_failed"]
    assert isolate("n", n=("pid", {})) > 0, "the next run works"


class Clock:
    """Stands still until it is started; then each look at it takes two seconds."""

    def __init__(self) -> None:
        self.now = 0.0
        self.goes = False

    def __call__(self) -> float:
        self.now += 2.0 if self.goes else 0.0
        return self.now


@pytest.mark.parametrize(
    ("limits", "type", "exception", "words"),
    [
        (Limits(hang_seconds=80), "stuck", "WorkerHung", "no sign of life for 80 s"),
        (Limits(node_seconds=30), "spin", "TimeoutError", "longer than 30 s"),
        (Limits(memory_bytes=300 << 20), "eat", "MemoryError", "over the memory limit of 300 MiB"),
    ],
)
def test_a_node_over_a_limit_is_ended(isolate: Run, limits: Limits, type: str, exception: str, words: str) -> None:
    """The node itself would take forever. Time passes, by the worker's clock, from when the node has begun."""
    clock = Clock()
    workers = Workers(start=lambda slot, env: Worker(limits, slot, env, clock))
    pid = isolate("n", workers=workers, n=("pid", {}))
    (worker,) = workers._free
    take = worker.received

    def received(message: dict[str, Any], body: Any) -> None:
        take(message, body)
        if message["say"] == ("report" if type == "stuck" else "began"):
            clock.goes = type != "eat"

    worker.received = received  # type: ignore[method-assign]
    error = failure(isolate, "n", workers=workers, n=(type, {}), on_event=lambda event: None)
    clock.goes = False
    assert (error.node, error.exception) == ("n", exception)
    assert words in error.message
    assert not is_alive(pid)
    assert isolate("n", workers=workers, n=("pid", {})) != pid
    workers.close()


def test_a_node_within_its_limits_is_left_alone(isolate: Run) -> None:
    clock = Clock()
    limits = Limits(hang_seconds=30, node_seconds=1000)
    workers = Workers(start=lambda slot, env: Worker(limits, slot, env, clock))
    isolate("n", workers=workers, n=("pid", {}))
    clock.goes = True
    assert isolate("n", workers=workers, n=("stepping", {"count": 50})) == 50, "it tells each step that it lives"
    clock.goes = False
    workers.close()


def test_a_crash_is_blamed_on_the_node_on_its_thread(isolate: Run) -> None:
    nodes = {
        "crash": ("segfault", {"value": link("first")}), "first": ("nap", {"seconds": 0.1}),
        "long": ("nap", {"seconds": 9.0}),
        "end": ("gather", {"values": [link("crash"), link("long")]}),
    }  # fmt: skip
    error = failure(isolate, "end", **nodes)
    assert error.node == "crash"
    assert "long" not in error.message


def test_a_node_that_runs_while_another_kills_the_worker(isolate: Run) -> None:
    nodes = {"bad": ("background", {}), "spin": ("spin", {"value": link("bad")})}
    error = failure(isolate, "spin", **nodes)
    assert error.node == "spin"
    assert "exit code 7" in error.message


@pytest.mark.parametrize("type", ["spin", "stuck", "nap", "stepping"])
def test_cancel_takes_effect_whatever_the_node_does(isolate: Run, type: str) -> None:
    """Those that listen end by themselves, with as much grace as they want; the others with their process."""
    listens = type in ("nap", "stepping")
    assert Limits().grace_seconds == 0.5
    workers = Workers(Limits(grace_seconds=3600 if listens else 0.1, hang_seconds=3600))
    pid = isolate("n", workers=workers, n=("pid", {}))
    (worker,) = workers._free
    cancel = CancelToken()
    events: list[Any] = []
    take = worker.received

    def received(message: dict[str, Any], body: Any) -> None:
        take(message, body)
        if message["say"] == ("report" if type in ("stuck", "stepping") else "began"):
            cancel.cancel()

    worker.received = received  # type: ignore[method-assign]
    inputs = {"seconds": 3600.0} if type in ("nap", "spin") else {"count": 1_000_000} if type == "stepping" else {}
    with pytest.raises(Cancelled):
        isolate(
            "n", workers=workers, n=(type, inputs), cancel=cancel, on_event=lambda event: events.append(event.event)
        )
    assert events[-1] == "job_cancelled"
    assert is_alive(pid) == listens, "one that listens keeps its worker and the models in it"
    assert isolate("n", workers=workers, n=("pid", {})) > 0
    workers.close()


def test_a_failure_ends_what_runs_beside_it(isolate: Run, tmp_path: Path) -> None:
    begun, stopped = tmp_path / "begun", tmp_path / "stopped"
    nodes = {
        "long": ("endless", {"begun": str(begun), "stopped": str(stopped)}),
        "bad": ("fail_after", {"path": str(begun)}),
        "end": ("gather", {"values": [link("long"), link("bad")]}),
    }  # fmt: skip
    assert failure(isolate, "end", **nodes).node == "bad"
    assert stopped.exists(), "before the run is over"


def test_what_was_finished_before_a_crash_is_kept(isolate: Run) -> None:
    cache = Cache()
    nodes = {"a": ("pid", {}), "b": ("segfault", {"value": link("a")})}
    failure(isolate, "b", cache=cache, **nodes)
    gone = isolate("a", cache=cache, **nodes)
    assert gone != isolate("a", a=("pid", {})), "a hit, from the process that is no more"


def test_an_idle_worker_that_died_is_replaced(isolate: Run) -> None:
    pid = isolate("n", n=("pid", {}))
    os.kill(pid, 9)
    assert becomes(lambda: not is_alive(pid))
    assert isolate("n", n=("pid", {})) != pid


def test_a_node_that_no_worker_can_import_is_refused_in_words(shared: Workers) -> None:
    @node("local")
    def local() -> int:
        return 1

    with pytest.raises(RunFailed, match="declared in a function, where a worker process cannot find it"):
        run(document({"n": ("local", {})}), ["n"], catalogue=Catalogue([local]), cache=Cache(), isolate=shared)


def test_nodes_of_a_folder_are_found_and_changed_ones_are_not_taken_for_them(shared: Workers, tmp_path: Path) -> None:
    text = (
        "from weft.engine import node\nimport os\n\n@node('foldered')\ndef foldered() -> int:\n    return os.getpid()\n"
    )
    folder = tmp_path / "nodes"
    folder.mkdir()
    (folder / "one.py").write_text(text)
    catalogue = Catalogue()
    catalogue.add_folder(folder)
    workers = Workers()
    nodes = document({"n": ("foldered", {})})
    assert run(nodes, ["n"], catalogue=catalogue, cache=Cache(), isolate=workers)["n"] != os.getpid()
    workers.close()
    (folder / "one.py").write_text(text.replace("os.getpid()", "-1"))
    with pytest.raises(RunFailed, match="changed since"):
        run(nodes, ["n"], catalogue=catalogue, cache=Cache(), isolate=shared)


PARENT = """
import sys
from weft.engine import Cache, run
from weft.engine.isolation import Workers
from tests.engine import isolated
workers = Workers()
def go(*nodes):
    document = {"weft": 1, "nodes": {"n": {"type": nodes[0]}}}
    said = lambda event: print("now", flush=True) if event.event == "node_progress" else None
    return run(document, ["n"], catalogue=isolated.catalogue(), cache=Cache(), isolate=workers, on_event=said)["n"]
print(go("pid"), flush=True)
go("stuck")
"""


def test_a_worker_does_not_outlive_its_parent_even_in_a_c_loop() -> None:
    root = Path(__file__).parents[2]
    parent = subprocess.Popen([sys.executable, "-c", PARENT], cwd=root, stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    parent.stdout.readline()
    assert is_alive(pid)
    parent.kill()
    parent.wait()
    assert becomes(lambda: not is_alive(pid)), "the loop itself would go on for ever"


@pytest.mark.usefixtures("inputs_may_change")
def test_nothing_stays_behind(isolate: Run) -> None:
    workers = Workers()
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        failure(isolate, "n", workers=workers, n=("killed", {}))
        isolate("b", workers=workers, a=("array", {"count": 100_000}), b=("scale", {"array": link("a")}))
        workers.close()
        workers = Workers()
    gc.collect()
    assert becomes(lambda: len(os.listdir("/proc/self/fd")) <= before)
    assert becomes(lambda: not [thread for thread in threading.enumerate() if "weft-answer" in thread.name])


def test_the_key_the_workspace_and_trails_of_a_node_in_a_worker(isolate: Run, tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    key, folder = isolate("s", cache=cache, s=("settle", {})).split()
    assert Path(folder) == tmp_path / "workspaces" / key
    assert int((Path(folder) / "here").read_text()) != os.getpid()
    assert cache.trails is not None
    progress = cache.trails.progress(bytes.fromhex(key))
    assert progress is not None
    assert (progress.steps, progress.of) == (1, 2)
    assert cache.workspaces is not None
    assert cache.workspaces.clear() == 1, "the worker has let go of it"
