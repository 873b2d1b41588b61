"""What a node imports is told apart from the time that it takes itself."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from weft.engine import Cache, Catalogue, RunFailed, importing, node, run
from weft.engine.events import Event, NodeFinished, to_json
from weft.graphs import Graph

Write = Callable[..., None]
MODULES = ("weft_test_outer", "weft_test_inner", "weft_test_broken")


class Clock:
    """Goes on only when a module says so: `CLOCK.now += seconds`."""

    now = 0.0


CLOCK = Clock()


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Write]:
    """`write("name", "code")` makes a module that moves the clock and can be imported."""
    CLOCK.now = 0.0
    monkeypatch.setattr(importing, "time", SimpleNamespace(perf_counter=lambda: CLOCK.now))
    monkeypatch.syspath_prepend(tmp_path)

    def make(name: str, code: str) -> None:
        head = f"from {__name__} import CLOCK\n"
        (tmp_path / f"{name}.py").write_text(head + code)

    yield make
    for name in MODULES:
        sys.modules.pop(name, None)


@node("importing.outer")
def outer(a: int = 0) -> int:
    import weft_test_outer  # type: ignore[import-not-found]

    return int(weft_test_outer.NUMBER) + a


@node("importing.outer_async")
async def outer_async() -> int:
    return outer()


@node("importing.broken")
def broken() -> int:
    import weft_test_broken  # type: ignore[import-not-found]

    return int(weft_test_broken.NUMBER)


@node("importing.looks")
def looks() -> str:
    spec = importlib.util.find_spec("weft_test_outer")
    assert spec is not None
    assert spec.loader is not None
    assert importlib.util.find_spec("weft_test_nowhere") is None
    return str(spec.loader.get_source("weft_test_outer"))  # type: ignore[attr-defined]


def imports_of(*calls: Callable[[], object]) -> list[tuple[str, float]]:
    """What each node says that it imported, in the order of their ends."""
    events: list[Event] = []
    with Graph() as graph:
        targets = [call() for call in calls]
    run(graph, targets, cache=Cache(), on_event=events.append)
    return [
        (str(event.node).removeprefix("importing_"), event.imports)
        for event in events
        if isinstance(event, NodeFinished)
    ]


def test_the_first_node_that_needs_a_module_says_what_importing_it_took(write: Write) -> None:
    write("weft_test_inner", "CLOCK.now += 3.0\n")
    write("weft_test_outer", "CLOCK.now += 5.0\nimport weft_test_inner\nNUMBER = 1\n")
    assert imports_of(lambda: outer(0), lambda: outer(1)) == [("outer", 8.0), ("outer_2", 0.0)], "the inner one once"
    module = sys.modules["weft_test_outer"]
    assert type(module.__loader__).__module__ != importing.__name__, "modules do not see that they were timed"
    assert module.__spec__ is not None
    assert module.__spec__.loader is module.__loader__


def test_async_nodes_are_timed_too(write: Write) -> None:
    write("weft_test_outer", "CLOCK.now += 5.0\nNUMBER = 1\n")
    assert imports_of(outer_async) == [("outer_async", 5.0)]


def test_an_import_that_fails_is_the_nodes_own_failure_and_later_ones_are_timed(write: Write) -> None:
    write("weft_test_broken", "CLOCK.now += 2.0\nraise ImportError('broken')\n")
    write("weft_test_outer", "CLOCK.now += 5.0\nNUMBER = 1\n")
    with Graph() as graph:
        target = broken()
    with pytest.raises(RunFailed, match="broken"):
        run(graph, [target], cache=Cache(), on_event=lambda event: None)
    assert "weft_test_broken" not in sys.modules
    assert imports_of(outer) == [("outer", 5.0)]


def test_looking_for_a_module_is_no_import(write: Write) -> None:
    write("weft_test_outer", "CLOCK.now += 5.0\nNUMBER = 1\n")
    assert imports_of(looks, outer) == [("looks", 0.0), ("outer", 5.0)]


def test_what_the_host_imports_is_let_be(write: Write) -> None:
    write("weft_test_outer", "CLOCK.now += 5.0\nNUMBER = 1\n")
    importing.watch_imports()
    importing.watch_imports()
    assert sum(isinstance(finder, importing._Finder) for finder in sys.meta_path) == 1
    import weft_test_outer

    assert weft_test_outer.__spec__.loader is weft_test_outer.__loader__
    assert imports_of(outer) == [("outer", 0.0)]


def test_an_event_says_nothing_of_imports_where_there_are_none() -> None:
    event = NodeFinished(seq=0, time=0.0, job="j", node="n", seconds=1.0)
    assert "imports" not in to_json(event)
    assert NodeFinished.model_validate(to_json(event)) == event
    assert to_json(event.model_copy(update={"imports": 0.5}))["imports"] == 0.5


def test_a_worker_says_what_it_imported(tmp_path: Path) -> None:
    head = "from weft.engine import node\n\n\n@node('importing.far')\n"
    (tmp_path / "nodes.py").write_text(head + "def far() -> str:\n    import this\n\n    return this.s\n")
    catalogue = Catalogue()
    catalogue.add_folder(tmp_path)
    events: list[Event] = []
    document = {"weft": 1, "nodes": {"n": {"type": "importing.far"}}}
    run(document, ["n"], cache=Cache(), catalogue=catalogue, isolate=True, on_event=events.append)
    (finished,) = [event for event in events if isinstance(event, NodeFinished)]
    assert 0 < finished.imports <= finished.seconds
