"""`ctx.key` and `ctx.workspace()`: a folder by key that outlives runs."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.engine.flow import catalogue, document
from weft.engine import Cache, Cancelled, CancelToken, Context, RunFailed, node, run
from weft.engine.cache.workspaces import Workspaces

KEY = b"\1" * 20


@node("train")
def train(steps: int = 3, fail_at: int = -1, ctx: Context | None = None) -> str:
    """Counts in a file how far it came."""
    assert ctx is not None
    done = ctx.workspace() / "done"
    count = int(done.read_text()) if done.exists() else 0
    begun = count
    while count < steps:
        count += 1
        done.write_text(str(count))
        if count == STOP[0]:
            raise RuntimeError("killed")
    return f"{begun} {count} {ctx.key}"


@node("train_anew", cache="never")
def train_anew(ctx: Context | None = None) -> str:
    """Has no key."""
    assert ctx is not None
    folder = ctx.workspace()
    return f"{len(list(folder.iterdir()))} {ctx.key} {folder == ctx.scratch}"


STOP = [0]


def go(cache: Cache, type: str = "train", **inputs: Any) -> str:
    source = document(n=(type, inputs))
    return str(run(source, ["n"], cache=cache, catalogue=catalogue(train, train_anew))["n"])


def test_a_run_that_failed_is_gone_on_with(tmp_path: Path) -> None:
    STOP[0] = 2
    with pytest.raises(RunFailed, match="killed"):
        go(Cache(tmp_path))
    STOP[0] = 0
    begun, count, key = go(Cache(tmp_path)).split()
    assert (begun, count, len(key)) == ("2", "3", 40)
    assert go(Cache(tmp_path), steps=4).startswith("0 4"), "another key has another folder"


def test_without_a_key_or_a_folder_it_is_the_scratch_folder(tmp_path: Path) -> None:
    assert go(Cache(tmp_path), "train_anew") == "0 None True"
    assert go(Cache(tmp_path), "train_anew") == "0 None True"
    go(Cache())
    assert not (tmp_path / "workspaces").exists()
    context = Context()
    assert (context.key, context.workspace()) == (None, context.scratch)
    context.close()


def test_the_second_user_waits_for_the_first(tmp_path: Path) -> None:
    spaces = Workspaces(tmp_path, 1000)
    first = spaces.open(KEY, lambda: None)
    waited = threading.Event()
    opened: list[Path] = []

    def second() -> None:
        other = spaces.open(KEY, waited.set)
        opened.append(other.path)
        other.close()

    thread = threading.Thread(target=second)
    thread.start()
    assert waited.wait(10)
    assert not opened
    first.close()
    thread.join(10)
    assert opened == [first.path]


def test_a_wait_ends_with_the_run(tmp_path: Path) -> None:
    cancel = CancelToken()
    cancel.cancel()
    spaces = Workspaces(tmp_path, 1000)
    held = spaces.open(KEY, lambda: None)
    context = Context("n", cancel=cancel, key=KEY, workspaces=spaces)
    with pytest.raises(Cancelled):
        context.workspace()
    held.close()
    assert context.workspace() == held.path
    context.close()


def test_a_process_that_dies_lets_go(tmp_path: Path) -> None:
    code = """
import os, sys
from weft.engine.cache.workspaces import Workspaces
space = Workspaces(sys.argv[1], 1000).open(b"\\1" * 20, lambda: None)
(space.path / "checkpoint").write_text("7")
print("open", flush=True)
os.kill(os.getpid(), 9)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False, env=dict(os.environ)
    )
    assert done.stdout == "open\n", done.stderr
    space = Workspaces(tmp_path, 1000).open(KEY, lambda: pytest.fail("it is locked"))
    assert (space.path / "checkpoint").read_text() == "7"
    space.close()


def test_the_least_recently_used_goes_first_and_one_in_use_never(tmp_path: Path) -> None:
    spaces = Workspaces(tmp_path, 150)
    for number in range(3):
        space = spaces.open(bytes([number]) * 20, lambda: None)
        (space.path / "data").write_bytes(b"x" * 100)
        if number:
            space.close()
            os.utime(space.path.with_suffix(".lock"), (1000 + number, 1000 + number))
    held = spaces.folder / (b"\0" * 20).hex()
    spaces.open(b"\7" * 20, lambda: None).close()
    left = {path.name[:2] for path in tmp_path.iterdir() if path.is_dir()}
    assert left == {"00", "07"}, "of 300 bytes, 200 had to go, and the first was in use"
    assert held.is_dir()
    assert spaces.usage()[1] == 100
    assert spaces.clear() == 1
    assert held.is_dir()


def test_who_waits_for_a_folder_lets_others_have_the_device(tmp_path: Path) -> None:
    """Else two would wait for each other: one has the folder and wants the device, the other the other way round."""
    device, places = threading.Lock(), Workspaces(tmp_path, 1 << 20)
    inside, ends = threading.Event(), []

    @contextmanager
    def yields() -> Iterator[None]:
        device.release()
        try:
            yield
        finally:
            device.acquire()

    def user(steps: int, first: bool) -> None:
        ctx = Context("n", workspaces=places)
        ctx.on_yield = yields  # type: ignore[assignment]
        with device:
            if not first:
                inside.set()
            with ctx.shared_workspace(KEY.hex()):
                for _ in range(steps):
                    with ctx.yield_device():
                        if first:
                            inside.wait(60)
        ends.append(first)

    threads = [threading.Thread(target=user, args=(20, True), daemon=True)]
    threads[0].start()
    while not places.folder.exists():
        pass
    threads.append(threading.Thread(target=user, args=(1, False), daemon=True))
    threads[1].start()
    for thread in threads:
        thread.join(60)
    assert sorted(ends) == [False, True]
