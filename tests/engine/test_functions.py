"""What packs declare beside their nodes is called where the nodes are: a crash or a hang is that node's problem."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.engine import isolated_functions
from weft.engine import Cache, Cancelled, CancelToken, Problem, RunFailed, Workers, WorkflowError, check, run
from weft.engine.declaring.file_store import VARIABLE, place_of
from weft.engine.isolation import executor

CATALOGUE = isolated_functions.catalogue()


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    shared = Workers(size=1)
    yield shared
    shared.close()


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of those that hang; it counts from when they began."""
    monkeypatch.setattr(executor, "FUNCTION_SECONDS", 3.0)


def document(nodes: dict[str, tuple[str, dict[str, Any]]]) -> dict[str, Any]:
    return {"weft": 1, "nodes": {id: {"type": type, "inputs": inputs} for id, (type, inputs) in nodes.items()}}


def link(text: str) -> dict[str, str]:
    return {"link": text}


def looked(workers: Workers | None, tmp_path: Path, nodes: dict[str, Any]) -> dict[str, Problem]:
    isolated_functions.here(tmp_path)
    problems = check(document(nodes), CATALOGUE, targets=list(nodes), roots=[tmp_path], on=workers)
    return {problem.node or "": problem for problem in problems}


def test_a_check_sees_there_what_it_sees_here(workers: Workers, tmp_path: Path) -> None:
    nodes = {"a": ("fn_check", {"how": ""}), "b": ("fn_check", {"after": link("a")}), "c": ("fn_text", {"text": "x"})}
    here, there = looked(None, tmp_path, nodes), looked(workers, tmp_path, nodes)
    assert here.keys() == there.keys() == {"a", "b"}
    for id, problem in here.items():
        pid, _, rest = problem.message.partition("|")
        other, _, same = there[id].message.partition("|")
        assert (int(pid), rest) == (os.getpid(), same)
        assert int(other) != os.getpid()
        assert there[id] == problem.model_copy(update={"message": there[id].message})
    assert there["b"].message.endswith("|['a:fn_check']|[]|True")


@pytest.mark.parametrize(
    ("how", "words"),
    [("crash", "exit code 9"), ("hang", "TimeoutError: it took longer than 3 s"), ("raise", "ValueError: so it goes")],
)
def test_a_check_that_misbehaves_is_a_problem_of_its_node(
    workers: Workers, tmp_path: Path, how: str, words: str
) -> None:
    nodes = {f"n{place}": ("fn_check", {"how": how if place == 1 else ""}) for place in range(4)}
    problems = looked(workers, tmp_path, nodes)
    assert problems.keys() == nodes.keys(), "the others are checked, in another worker if need be"
    assert words in problems["n1"].message
    assert "The check of fn_check itself failed" in problems["n1"].message
    assert problems["n3"].message.endswith("|[]|[]|True")


def test_a_check_that_hangs_can_be_cancelled(workers: Workers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executor, "FUNCTION_SECONDS", 1000.0)
    cancel = CancelToken()
    call = executor.Flight.start

    def start(self: Any) -> None:
        call(self)
        cancel.cancel()

    monkeypatch.setattr(executor.Flight, "start", start)
    doc = document({"n": ("fn_check", {"how": "hang"})})
    with pytest.raises(Cancelled):
        check(doc, CATALOGUE, targets=["n"], on=workers, cancel=cancel)
    events: list[Any] = []
    cancel._cancelled = False
    with pytest.raises(Cancelled):
        run(doc, ["n"], catalogue=CATALOGUE, cache=Cache(), on=workers, cancel=cancel, on_event=events.append)
    assert [event.event for event in events] == ["job_cancelled"]


@pytest.mark.parametrize("how", ["crash", "hang", "raise"])
def test_a_fingerprint_that_misbehaves_costs_its_node_the_cache(workers: Workers, tmp_path: Path, how: str) -> None:
    log = tmp_path / "log"
    cache = Cache()
    nodes = {"good": ("fn_stamp", {"log": str(log)}), "bad": ("fn_stamp", {"how": how, "log": str(log)})}
    runs = [run(document(nodes), ["good", "bad"], catalogue=CATALOGUE, cache=cache, on=workers) for _ in range(2)]
    assert [result.ran for result in runs] == [2, 1]
    assert str(os.getpid()) not in log.read_text().split()
    assert runs[0]["good"] != os.getpid()


def test_a_fingerprint_there_may_ask_for_a_context(workers: Workers, tmp_path: Path) -> None:
    isolated_functions.here(tmp_path)
    cache = Cache()
    ran = [
        run(document({"n": ("fn_sees", {})}), ["n"], catalogue=CATALOGUE, cache=cache, on=workers, roots=roots).ran
        for roots in ([tmp_path], [tmp_path], [tmp_path / "other"])
    ]
    assert ran == [1, 0, 1], "where the file is not there, the key is another"


def test_checks_and_fingerprints_there_find_files_by_their_hash(
    workers: Workers, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Of the file store as it is here now, not of the time when the worker started."""
    id = "sha256:" + "ab" * 32
    nodes = {"n": ("fn_stored", {"id": id})}
    cache = Cache()
    for number, text in enumerate(["one", "one", "two"]):
        place_of(tmp_path / str(number), id).parent.mkdir(parents=True)
        place_of(tmp_path / str(number), id).write_text(text)
        monkeypatch.setenv(VARIABLE, str(tmp_path / str(number)))
        assert looked(workers, tmp_path, nodes)["n"].message.startswith("True ")
        ran = run(document(nodes), ["n"], catalogue=CATALOGUE, cache=cache, on=workers, roots=[]).ran
        assert ran == (0 if number == 1 else 1), "a run for each content"
    monkeypatch.delenv(VARIABLE)
    assert looked(workers, tmp_path, nodes)["n"].message.startswith("False ")


def test_a_migration_is_called_there(workers: Workers) -> None:
    doc = document({"a": ("fn_moved", {"old": ""}), "b": ("fn_moved", {"old": "", "after": link("a")})})
    for spec in doc["nodes"].values():
        spec["version"] = 1
    result = run(doc, ["a", "b"], catalogue=CATALOGUE, cache=Cache(), on=workers)
    assert int(result["a"]) == int(result["b"]) != os.getpid()


@pytest.mark.parametrize(("how", "words"), [("crash", "exit code 9"), ("raise", "ValueError: so it goes")])
def test_a_migration_that_misbehaves_is_a_problem(workers: Workers, how: str, words: str) -> None:
    doc = document({"a": ("fn_moved", {"old": how})})
    doc["nodes"]["a"]["version"] = 1
    with pytest.raises(WorkflowError) as caught:
        run(doc, ["a"], catalogue=CATALOGUE, cache=Cache(), on=workers)
    (problem,) = caught.value.problems
    assert (problem.code, problem.node) == ("unknown_version", "a")
    assert words in problem.message
    del doc["nodes"]["a"]["version"]
    (problem,) = check(doc, CATALOGUE, targets=["a"], on=workers)
    assert problem.code == "unknown_input", "and also where it is only tried"


def needing(how: str) -> dict[str, Any]:
    return document({
        "l": ("fn_live", {"number": 4}), "yes": ("fn_text", {"text": "yes"}), "no": ("fn_text", {"text": "no"}),
        "n": ("fn_needs", {"live": link("l"), "values": [link("no"), link("yes"), link("no")], "how": how}),
    })  # fmt: skip


def test_needs_is_asked_there_with_live_values(workers: Workers) -> None:
    assert run(needing(""), ["n"], catalogue=CATALOGUE, cache=Cache(), on=workers)["n"] == "yes"


@pytest.mark.parametrize(
    ("how", "words"), [("crash", "exit code 9"), ("hang", "longer than 3 s"), ("raise", "so it goes")]
)
def test_needs_that_misbehaves_is_the_nodes_failure(workers: Workers, how: str, words: str) -> None:
    with pytest.raises(RunFailed, match=words) as caught:
        run(needing(how), ["n"], catalogue=CATALOGUE, cache=Cache(), on=workers)
    assert caught.value.error.node == "n"
    assert run(needing(""), ["n"], catalogue=CATALOGUE, cache=Cache(), on=workers)["n"] == "yes"


def test_what_is_ours_is_called_here(workers: Workers, monkeypatch: pytest.MonkeyPatch) -> None:
    """Most documents hold nothing else, and no message is sent for them before they run."""
    asked: list[str] = []
    ask = executor.Isolated._ask
    monkeypatch.setattr(
        executor.Isolated, "_ask", lambda self, *given, **more: asked.append(given[1].name) or ask(self, *given, **more)
    )
    doc = document({"s": ("switch", {"choice": 1, "options": ["a", "b"]}), "c": ("fn_check", {"after": link("s")})})
    from weft.engine import Catalogue
    from weft.nodes.basic.choose import switch

    nodes = Catalogue([*isolated_functions.NODES, switch])
    check(doc, nodes, targets=["c"], on=workers)
    assert asked == ["fn_check"]
