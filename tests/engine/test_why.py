"""What is said of why nodes run again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.engine.flow import catalogue, document, link
from weft.engine import Cache, Why, WorkflowError, run, why
from weft.engine.cache.history import FILE_BYTES, History
from weft.engine.events import Event, NodeStarted

CATALOGUE = catalogue()


def graph(value: int = 1, b: int = 5, **more: Any) -> dict[str, Any]:
    nodes: dict[str, Any] = {
        "n": ("number", {"value": value}),
        "sum": ("add", {"a": link("n"), "b": b}),
        "t": ("text", {"value": "x"}),
        "w": ("write", {"text": link("t"), "name": "n"}),
        "end": ("show", {"value": link("sum")}),
    }
    return document(**nodes | more)


def go(source: dict[str, Any], cache: Cache, targets: Any = ("end",), **options: Any) -> list[Event]:
    events: list[Event] = []
    run(source, targets, catalogue=CATALOGUE, cache=cache, on_event=events.append, **options)
    return events


def ask(source: dict[str, Any], node: str, cache: Cache, **options: Any) -> Why:
    return why(source, node, cache=cache, catalogue=CATALOGUE, **options)


def told(found: Why) -> list[str]:
    return [f"{cause.node}: {cause.change}" for cause in found.causes]


@pytest.mark.parametrize("on_disk", [False, True])
def test_a_changed_leaf_is_named_from_below(tmp_path: Path, on_disk: bool) -> None:
    memory = Cache()

    def cache() -> Cache:
        return Cache(tmp_path) if on_disk else memory

    assert ask(graph(), "end", cache()).state == "new"
    go(graph(), cache())
    assert ask(graph(), "end", cache()).state == "cached"
    found = ask(graph(value=2), "end", cache())
    assert (found.state, told(found)) == ("changed", ["n: value was 1 and is 2"])
    assert found.causes[0].through == ("sum", "end")
    found = ask(graph(value=2, b=6), "sum", cache())
    assert told(found) == ["n: value was 1 and is 2", "sum: b was 5 and is 6"]
    go(graph(value=2), cache())
    found = ask(graph(value=2), "end", cache())
    assert (found.state, told(found)) == ("cached", ["n: value was 1 and is 2"])
    assert told(ask(graph(value=2, b=6), "end", cache())) == ["sum: b was 5 and is 6"], "the nearest, not the last"


def test_what_is_gone(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache")
    go(graph(), cache, ["w"], out=tmp_path)
    (tmp_path / "n.txt").unlink()
    found = ask(graph(), "w", cache, out=tmp_path)
    assert (found.state, found.files) == ("gone", [str(tmp_path / "n.txt")])
    assert ask(graph(), "w", Cache(tmp_path / "cache"), out=tmp_path).files == [str(tmp_path / "n.txt")]
    assert cache.disk is not None
    cache.disk.clear()
    cache.memory.clear()
    found = ask(graph(), "w", cache, out=tmp_path)
    assert (found.state, found.files) == ("gone", [])
    found = ask(graph(), "w", cache, out=tmp_path / "other")
    assert told(found) == [f"w: the output folder was {tmp_path} and is {tmp_path / 'other'}"]


def test_a_renamed_node_is_compared_with_one_of_its_type() -> None:
    cache = Cache()
    go(graph(), cache)
    found = ask(document(n=("number", {"value": 1}), plus=("add", {"a": link("n"), "b": 7})), "plus", cache)
    assert (found.compared, told(found)) == ("sum", ["plus: b was 5 and is 7"])


def test_nodes_that_always_run_and_caches_that_keep_nothing() -> None:
    source = document(c=("clock", {}), a=("add", {"a": link("c")}))
    found = ask(source, "a", Cache())
    assert (found.state, [cause.node for cause in found.causes]) == ("always", ["c"])
    assert ask(graph(), "end", Cache.none()).state == "unknown"


def test_a_node_that_is_not_there() -> None:
    with pytest.raises(WorkflowError, match="Did you mean 'sum'"):
        ask(graph(), "sun", Cache())


def test_events_say_it_shortly_and_only_of_what_ran_before() -> None:
    cache = Cache()
    first = [event for event in go(graph(), cache) if isinstance(event, NodeStarted)]
    assert [event.why for event in first] == [None, None, None]
    assert "why" not in first[0].model_dump_json()
    more = graph(value=3)
    again = {event.node: event.why for event in go(more, cache) if isinstance(event, NodeStarted)}
    assert again["n"] == [{"what": "input", "input": "value", "was": "1", "now": "3"}]
    assert again["sum"] == [{"what": "upstream", "input": "a", "source": "n"}]
    many = {f"n{i}": ("number", {"value": i}) for i in range(200)}
    sums = [link(id) for id in many]
    go(document(**many, t=("total", {"items": sums})), cache, ["t"])
    many |= {f"n{i}": ("number", {"value": -1 - i}) for i in range(200)}
    events = go(document(**many, t=("total", {"items": sums})), cache, ["t"])
    assert max(len(event.model_dump_json()) for event in events) < 1000


def test_a_long_text_is_not_repeated() -> None:
    cache = Cache()
    go(document(t=("text", {"value": "a" * 10_000})), cache, ["t"])
    events = go(document(t=("text", {"value": "b" * 10_000})), cache, ["t"])
    started = next(event for event in events if isinstance(event, NodeStarted))
    assert started.why is not None
    assert len(started.model_dump_json()) < 500


def test_history_survives_damage_and_stays_small(tmp_path: Path) -> None:
    history = History(tmp_path)
    for number in range(6000):
        history.add(("t", f"n{number % 700}", number.to_bytes(20, "big"), b"x" * 100, 0.5))
    history.flush()
    (path,) = tmp_path.iterdir()
    assert path.stat().st_size <= FILE_BYTES
    other = History(tmp_path)
    other.refresh("t")
    assert 500 < len(other.of_type("t")) < 6000
    assert other.seconds("t") == 0.5
    assert any(record.key == (5999).to_bytes(20, "big") for record in other.of_type("t"))
    data = bytearray(path.read_bytes())
    data[50] ^= 1
    path.write_bytes(data)
    third = History(tmp_path)
    third.refresh("t")
    assert third.of_type("t") == []
    assert not path.exists()
    third.add(("t", "n", b"k" * 20, b"", 1.0))
    third.flush()
    assert path.exists()
