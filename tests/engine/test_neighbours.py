"""Random numbers that a process shares: a node beside others gives what it gives alone, and the host keeps its own."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch

from tests.engine import drawing
from weft.engine import Cache, Catalogue, Lazy, Node, Result, RunFailed, Settings, node, run, surroundings
from weft.engine.running.lanes import LaneSizes

SAMPLERS = ("sample_python", "sample_numpy", "sample_torch")


def go(nodes: dict[str, tuple[str, dict[str, Any]]], *more: Node[..., Any], **options: Any) -> Result:
    document = {"weft": 1, "nodes": {id: {"type": type, "inputs": given} for id, (type, given) in nodes.items()}}
    options.setdefault("settings", Settings(lanes=LaneSizes(cpu=8)))
    catalogue = Catalogue([*drawing.NODES, *more])
    return run(document, list(nodes), catalogue=catalogue, cache=Cache.none(), **options)


@pytest.fixture(autouse=True)
def tidy() -> Iterator[None]:
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()
    yield
    random.setstate(states[0])
    np.random.set_state(states[1])
    torch.set_rng_state(states[2])


@pytest.mark.parametrize("isolate", [False, True])
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_seeded_node_beside_others_gives_what_it_gives_alone(sampler: str, isolate: bool) -> None:
    alone = go({"s": (sampler, {"seed": 7})}, isolate=isolate)["s"]
    others = {f"o{n}": ("sample_python", {"seed": n}) for n in range(3)}
    others |= {f"t{n}": (sampler, {"seed": n}) for n in range(2)}
    idle = {f"i{n}": ("spend", {"n": n}) for n in range(4)}
    for _ in range(3):
        assert go({**others, "s": (sampler, {"seed": 7}), **idle}, isolate=isolate)["s"] == alone


def test_two_runs_at_once_do_not_disturb_each_other() -> None:
    alone = [go({"s": (sampler, {"seed": 7})})["s"] for sampler in SAMPLERS]
    results: list[list[Any]] = [[], []]

    def again(place: int) -> None:
        for _ in range(5):
            results[place] += [go({"s": (sampler, {"seed": 7})})["s"] for sampler in SAMPLERS]

    threads = [threading.Thread(target=again, args=(place,)) for place in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [alone * 5] * 2


def test_the_hosts_own_draws_in_another_thread_are_untouched() -> None:
    random.seed(3)
    np.random.seed(3)
    expected = [(random.random(), float(np.random.rand())) for _ in range(3000)]
    random.seed(3)
    np.random.seed(3)
    drawn: list[tuple[float, float]] = []
    begun, stop = threading.Event(), threading.Event()

    def host() -> None:
        begun.set()
        while len(drawn) < len(expected) and not stop.is_set():
            drawn.append((random.random(), float(np.random.rand())))

    thread = threading.Thread(target=host)
    thread.start()
    begun.wait(10)
    try:
        for _ in range(5):
            go({f"i{n}": ("spend", {"n": n}) for n in range(40)})
        thread.join(60)
    finally:
        stop.set()
        thread.join()
    assert drawn == expected


def test_a_node_that_draws_may_wait_for_another_that_draws() -> None:
    @node("asks")
    def asks(other: Lazy[float], seed: int = 0) -> float:
        random.seed(seed)
        first = random.random()
        return first + other() + random.random()

    random.seed(0)
    expected = [random.random(), random.random()]
    nodes = {"o": ("sample_python", {"seed": 7}), "a": ("asks", {"other": {"link": "o"}})}
    other = go({"o": nodes["o"]})["o"]
    assert go(nodes, asks)["a"] == expected[0] + other + expected[1]


def test_a_node_that_draws_may_run_a_workflow_that_draws() -> None:
    inside = go({"s": ("sample_torch", {"seed": 7})})["s"]

    @node("runs")
    def runs() -> tuple[float, float]:
        torch.manual_seed(5)
        value = go({"s": ("sample_torch", {"seed": 7}), "t": ("sample_torch", {"seed": 8})})["s"]
        return value, float(torch.rand(1))

    torch.manual_seed(5)
    after = float(torch.rand(1))
    assert go({"r": ("runs", {})}, runs)["r"] == (inside, after)


def test_a_turn_that_cannot_begin_or_end_well_is_over_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else no node of the process could ever draw again."""
    expected = go({"s": ("sample_python", {"seed": 7})})["s"]

    def fails(*_: Any) -> None:
        raise RuntimeError("no state")

    for name in ("_now", "_set"):
        with monkeypatch.context() as patch:
            patch.setattr(surroundings, name, fails)
            with pytest.raises(RunFailed, match="no state"):
                go({"s": ("sample_python", {"seed": 7})})
        assert surroundings.may_begin_to_draw()
    assert go({"s": ("sample_python", {"seed": 7})})["s"] == expected


def declare(function: Callable[..., Any], **options: Any) -> Any:
    return node("declared", **options)(function)


def test_what_a_node_declares_counts_more_than_what_its_code_shows() -> None:
    meeting = threading.Barrier(2)

    def both(n: int) -> float:
        meeting.wait(10)
        return random.Random(n).random()

    # Its own generators: two at once are right, and would wait for each other for ever in turns.
    declared = declare(both, global_random=False)
    results = go({"a": ("declared", {"n": 1}), "b": ("declared", {"n": 2})}, declared)
    assert [results["a"], results["b"]] == [random.Random(n).random() for n in (1, 2)]


def test_an_async_node_cannot_have_turns() -> None:
    async def waits() -> int:
        return 1

    with pytest.raises(ValueError, match="async node shares its thread"):
        declare(waits, global_random=True)


def test_a_generator_is_no_node() -> None:
    def counts() -> Iterator[int]:
        yield 1

    with pytest.raises(TypeError, match="return a list"):
        declare(counts)
