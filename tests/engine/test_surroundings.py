"""What nodes and packs change of the process is put back, and who did it is named."""

from __future__ import annotations

import asyncio
import contextlib
import locale
import logging
import os
import random
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
import tqdm
from tqdm._monitor import TMonitor

from weft.engine import Cache, Catalogue, Result, RunFailed, node, run
from weft.engine.running import in_process

release = threading.Event()


@node("draw", cache="never")
def draw(seed: int = -1) -> float:
    if seed >= 0:
        random.seed(seed)
        np.random.seed(seed)
        torch.manual_seed(seed)
    return random.random() + float(np.random.rand()) + float(torch.rand(1))


@node("draw_async", cache="never")
async def draw_async() -> float:
    await asyncio.sleep(0)
    return random.random()


@node("wander", cache="never")
def wander(folder: str, fails: bool = False) -> int:
    os.chdir(folder)
    torch.set_default_dtype(torch.float64)
    locale.setlocale(locale.LC_ALL, "C")
    if fails:
        raise ValueError("lost")
    return 1


@node("leave", cache="never")
def leave(name: str = "left behind") -> int:
    threading.Thread(target=release.wait, name=name).start()
    return 1


@node("overdue", timeout=0.05, cache="never")
def overdue() -> float:
    random.seed(5)
    number = random.random()
    release.wait()
    return number


@node("overdue_async", timeout=0.05, cache="never")
async def overdue_async() -> int:
    while not release.is_set():
        with contextlib.suppress(asyncio.CancelledError):  # deaf
            await asyncio.sleep(600)
    return 1


@pytest.fixture(autouse=True)
def untouched() -> Iterator[None]:
    for thread in threading.enumerate():  # those that earlier tests left would count as the host's
        if thread is not threading.current_thread() and not thread.daemon:
            thread.join(10)
    release.clear()
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()
    rest = os.getcwd(), torch.get_default_dtype(), locale.setlocale(locale.LC_ALL)
    yield
    release.set()
    random.setstate(states[0])
    np.random.set_state(states[1])
    torch.set_rng_state(states[2])
    os.chdir(rest[0])
    torch.set_default_dtype(rest[1])
    locale.setlocale(locale.LC_ALL, rest[2])


@pytest.fixture
def go() -> Callable[..., Result]:
    catalogue = Catalogue([draw, draw_async, wander, leave, overdue, overdue_async])

    def go(**nodes: tuple[str, dict[str, object]]) -> Result:
        document = {"weft": 1, "nodes": {id: {"type": type, "inputs": given} for id, (type, given) in nodes.items()}}
        return run(document, list(nodes), catalogue=catalogue, cache=Cache.none())

    return go


@pytest.fixture
def elsewhere(tmp_path: Path) -> str:
    """A folder that is not the working directory."""
    (tmp_path / "elsewhere").mkdir()
    return str(tmp_path / "elsewhere")


def numbers() -> tuple[float, float, float]:
    return random.random(), float(np.random.rand()), float(torch.rand(1))


def test_global_random_numbers_are_as_before(go: Callable[..., Result]) -> None:
    for gauss in (False, True):
        random.seed(1)
        np.random.seed(1)
        torch.manual_seed(1)
        if gauss:
            np.random.standard_normal()
        states = random.getstate(), np.random.get_state(), torch.get_rng_state()
        expected = numbers()
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.set_rng_state(states[2])
        go(a=("draw", {"seed": 5}), b=("draw", {}), c=("draw_async", {}))
        assert numbers() == expected


def test_a_node_does_not_see_what_others_drew(go: Callable[..., Result]) -> None:
    alone = go(b=("draw", {}))["b"]
    after = go(a=("draw", {"seed": 5}), b=("draw", {}))
    assert after["b"] == alone


def test_folder_dtype_and_locale_are_put_back_and_the_node_is_named(
    go: Callable[..., Result], elsewhere: str, caplog: pytest.LogCaptureFixture
) -> None:
    before = os.getcwd(), torch.get_default_dtype(), locale.setlocale(locale.LC_ALL)
    go(a=("wander", {"folder": elsewhere}))
    assert (os.getcwd(), torch.get_default_dtype(), locale.setlocale(locale.LC_ALL)) == before
    with pytest.raises(Exception, match="lost"):
        go(a=("wander", {"folder": elsewhere, "fails": True}))
    assert (os.getcwd(), torch.get_default_dtype()) == before[:2]
    said = [record.getMessage() for record in caplog.records]
    assert f"wander changed the working directory to {elsewhere}; it is put back" in said
    assert "wander changed torch's default dtype; it is put back" in said


def test_threads_that_a_node_leaves_are_named(go: Callable[..., Result], caplog: pytest.LogCaptureFixture) -> None:
    go(a=("leave", {}), b=("draw", {}))
    said = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert said == ["leave left the thread 'left behind' running"]


def test_a_thread_that_a_node_left_is_not_the_hosts_in_the_next_run(
    go: Callable[..., Result], elsewhere: str, caplog: pytest.LogCaptureFixture
) -> None:
    go(a=("leave", {}))
    before = os.getcwd()
    go(a=("wander", {"folder": elsewhere}))
    assert os.getcwd() == before
    said = [record.getMessage() for record in caplog.records]
    assert "leave left the thread 'left behind' running" in said
    assert f"wander changed the working directory to {elsewhere}; it is put back" in said


def test_a_thread_of_the_hosts_stays_the_hosts_in_every_run(go: Callable[..., Result], elsewhere: str) -> None:
    hosts = threading.Thread(target=release.wait, name="the host's")
    hosts.start()
    go(a=("leave", {}))
    go(a=("wander", {"folder": elsewhere}))
    assert os.getcwd() == elsewhere, "it may be using it"


def test_the_thread_that_looks_after_progress_bars_is_nobodys(
    go: Callable[..., Result], elsewhere: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It comes with the first bar of tqdm, as diffusers and transformers have them, and stays."""
    monitors: list[TMonitor] = []

    @node("bar", cache="never")
    def bar() -> int:
        monitors.append(TMonitor(tqdm.tqdm, 10))
        return 1

    before = os.getcwd()
    try:
        run({"weft": 1, "nodes": {"a": {"type": "bar"}}}, ["a"], catalogue=Catalogue([bar]), cache=Cache.none())
        assert caplog.messages == []
        go(a=("wander", {"folder": elsewhere}))
        assert os.getcwd() == before
        monitors.append(TMonitor(tqdm.tqdm, 10))  # the host's own bars
        go(a=("wander", {"folder": elsewhere}))
        assert os.getcwd() == before
    finally:
        for monitor in monitors:
            monitor.exit()


def test_a_thread_that_ends_does_not_make_up_for_one_that_is_left(caplog: pytest.LogCaptureFixture) -> None:
    may_end = threading.Event()
    hosts = threading.Thread(target=may_end.wait, name="the host's")
    hosts.start()

    @node("one_for_another", cache="never")
    def one_for_another() -> int:
        threading.Thread(target=release.wait, name="left behind").start()
        may_end.set()
        hosts.join()
        return 1

    document = {"weft": 1, "nodes": {"a": {"type": "one_for_another"}}}
    run(document, ["a"], catalogue=Catalogue([one_for_another]), cache=Cache.none())
    said = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert said == ["one_for_another left the thread 'left behind' running"]


def test_a_node_that_ends_after_its_run_takes_nothing_back_from_the_host(
    go: Callable[..., Result], elsewhere: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    before = set(threading.enumerate())
    random.seed(1)
    state = random.getstate()
    with pytest.raises(RunFailed, match="longer than its limit"):
        go(a=("overdue", {}))
    assert random.getstate() == state, "the host goes on with its own numbers"
    random.seed(2)
    state = random.getstate()
    os.chdir(elsewhere)
    torch.set_default_dtype(torch.float64)
    monkeypatch.setenv("TOY_VARIABLE", "the host's")
    late = [thread for thread in threading.enumerate() if thread not in before and thread.name.startswith("weft-node")]
    assert len(late) == 1
    release.set()
    late[0].join()
    assert (os.getcwd(), torch.get_default_dtype()) == (elsewhere, torch.float64)
    assert os.environ["TOY_VARIABLE"] == "the host's"
    assert random.getstate() == state
    assert "put back" not in caplog.text
    assert "overdue, or the host since that run is over, changed the environment; it stays so" in caplog.text


def test_an_async_node_that_hangs_after_its_time_is_not_at_work_for_ever(
    go: Callable[..., Result], elsewhere: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(in_process, "TIDY_SECONDS", 0.01)
    with pytest.raises(RunFailed, match="longer than its limit"):
        go(a=("overdue_async", {}))
    before = os.getcwd()
    go(a=("wander", {"folder": elsewhere}))
    assert os.getcwd() == before


def test_what_a_file_of_nodes_changes_on_import_is_put_back_and_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    pack = tmp_path / "pack"
    pack.mkdir()
    (pack / "rude.py").write_text(
        "import os, random, threading, torch\n"
        "from weft.engine import node\n"
        "print('hello')\n"
        "os.chdir(os.path.dirname(__file__))\n"
        "torch.set_default_dtype(torch.float64)\n"
        "random.seed(3)\n"
        "threading.Thread(target=threading.Event().wait, daemon=True, name='rude thread').start()\n"
        "@node('rude')\n"
        "def rude() -> int:\n"
        "    return 1\n"
    )
    before = os.getcwd(), torch.get_default_dtype(), random.getstate()
    catalogue = Catalogue()
    catalogue.add_folder(pack)
    assert "rude" in catalogue
    assert (os.getcwd(), torch.get_default_dtype(), random.getstate()) == before
    out, err = capsys.readouterr()
    assert (out, "hello" in err) == ("", True)
    said = " / ".join(record.getMessage() for record in caplog.records)
    for words in ("rude.py changed the working directory", "rude.py changed torch's default dtype", "'rude thread'"):
        assert words in said


def test_no_node_is_blamed_for_a_thread_that_starts_a_run_of_its_own(caplog: pytest.LogCaptureFixture) -> None:
    begun, may_end = threading.Event(), threading.Event()

    @node("waits_for_neighbour")
    def waits_for_neighbour() -> int:
        begun.set()
        assert may_end.wait(20)
        return 1

    @node("neighbour", cache="never")
    def neighbour() -> int:
        may_end.set()
        assert over.wait(20)
        return 2

    over = threading.Event()
    catalogue = Catalogue([waits_for_neighbour, neighbour])

    def other() -> None:
        assert begun.wait(20)
        run({"weft": 1, "nodes": {"n": {"type": "neighbour"}}}, ["n"], catalogue=catalogue, cache=Cache())

    thread = threading.Thread(target=other, name="the host's own")
    thread.start()
    run({"weft": 1, "nodes": {"w": {"type": "waits_for_neighbour"}}}, ["w"], catalogue=catalogue, cache=Cache())
    over.set()
    thread.join()
    assert "left the thread" not in caplog.text
