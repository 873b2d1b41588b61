"""Every training goes on after `kill -9` and ends as one that nobody disturbed, to the bit: weights, averages, curve.

Each training is a process of its own, which is really killed: in the midst of an accumulation, of an epoch, and of the
writing of a checkpoint. The data set is not divided by the batch.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from tests.nodes.train.recipes_to_kill import CALLS
from weft.engine import Catalogue

ROOT = Path(__file__).parents[3]


class Worker:
    """The warm process, as these tests see it."""

    def __init__(self, folder: Path) -> None:
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
        self.errors = open(folder / "errors.txt", "w+", encoding="utf-8")  # noqa: SIM115 - as long as the process
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.nodes.train.kill_worker", str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
            cwd=ROOT,
            env=environment,
        )
        assert self._answer() == "ready"

    def run(self, **task: Any) -> int:
        """How a training's process ended: 0, or the signal that killed it, negative."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(task) + "\n")
        self._process.stdin.flush()
        return int(self._answer())

    def _answer(self) -> str:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.strip() == "ready" or line.strip().lstrip("-").isdigit():
                return line.strip()
        self.errors.seek(0)
        raise AssertionError(f"the worker ended: {self.errors.read()[-2000:]}")

    def said(self) -> str:
        """What trainings wrote on their standard error."""
        self.errors.seek(0)
        return self.errors.read()[-4000:]

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()
        self.errors.close()


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    found = Worker(tmp_path_factory.mktemp("kill"))
    yield found
    found.close()


def test_every_node_that_trains_is_killed_here() -> None:
    trains = {own.name for own in Catalogue.load() if list(own.outputs) == ["adapter", "curve", "checkpoint", "images"]}
    assert trains == {node for node, _ in CALLS.values()}


@pytest.mark.parametrize("recipe", CALLS)
def test_a_training_that_is_killed_again_and_again_ends_as_one_that_is_not(
    recipe: str, worker: Worker, tmp_path: Path
) -> None:
    if recipe == "lora, 8 bits":
        pytest.importorskip("bitsandbytes")
    if recipe == "lora, schedule-free":
        pytest.importorskip("schedulefree")
    straight, disturbed = tmp_path / "straight", tmp_path / "disturbed"
    assert worker.run(recipe=recipe, cache=str(straight), result=f"{straight}.safetensors") == 0, worker.said()
    task: dict[str, Any] = {"recipe": recipe, "cache": str(disturbed), "result": f"{disturbed}.safetensors"}
    # Of 5 steps with 2 batches each: in the accumulation of step 4, after the checkpoint of step 2.
    assert worker.run(**task, kill=2 * 3 + 1) == -signal.SIGKILL, worker.said()
    assert steps_in(disturbed) == ["step-00000002"]
    # From there on, as the checkpoint of step 4 is written: its folder is there, half.
    assert worker.run(**task, write=4) == -signal.SIGKILL, worker.said()
    assert steps_in(disturbed) == ["step-00000002"]
    assert half_written(disturbed) == ["step-00000004"]
    assert worker.run(**task) == 0, worker.said()
    compare(straight, disturbed)


def test_killed_before_the_first_checkpoint_and_after_the_last_step_it_ends_the_same(
    worker: Worker, tmp_path: Path
) -> None:
    """What has no part in it that is a recipe's own."""
    straight, disturbed = tmp_path / "straight", tmp_path / "disturbed"
    assert worker.run(recipe="lora", cache=str(straight), result=f"{straight}.safetensors") == 0, worker.said()
    task: dict[str, Any] = {"recipe": "lora", "cache": str(disturbed), "result": f"{disturbed}.safetensors"}
    # In the accumulation of step 2, before the first checkpoint.
    assert worker.run(**task, kill=3) == -signal.SIGKILL, worker.said()
    assert steps_in(disturbed) == []
    # From the beginning again, as the checkpoint of step 2 is written.
    assert worker.run(**task, write=2) == -signal.SIGKILL, worker.said()
    assert steps_in(disturbed) == []
    assert half_written(disturbed) == ["step-00000002"]
    # At the end of step 5, before its numbers are in any checkpoint.
    assert worker.run(**task, kill=2 * 5) == -signal.SIGKILL, worker.said()
    assert steps_in(disturbed) == ["step-00000002", "step-00000004"]
    assert worker.run(**task) == 0, worker.said()
    compare(straight, disturbed)


def test_people_are_asked_for_no_picture_twice(worker: Worker, tmp_path: Path) -> None:
    """Each process has an output folder of its own, and goes on from the checkpoint all the same."""
    straight, disturbed = tmp_path / "straight", tmp_path / "disturbed"
    task: dict[str, Any] = {"recipe": "ddpo, people"}
    assert worker.run(**task, cache=str(straight), result=f"{straight}.safetensors") == 0, worker.said()
    task |= {"cache": str(disturbed), "result": f"{disturbed}.safetensors"}
    asked = []
    for kill in (3, 3, 5, 0):
        assert worker.run(**task, kill=kill) == (-signal.SIGKILL if kill else 0), worker.said()
        asked.append(asked_of_people(disturbed) - {own for earlier in asked for own in earlier})
    compare(straight, disturbed)
    # 4 pictures at each step: of two; of none, since it is killed where the one before was; of the third; of the rest.
    assert [len(own) for own in asked] == [8, 0, 4, 8]
    assert asked_of_people(disturbed, repeated=True) == set()
    assert set().union(*asked) == asked_of_people(straight)


def asked_of_people(cache: Path, repeated: bool = False) -> set[str]:
    """The pictures that processes asked people for; or those that more than one asked for."""
    found = [json.loads(path.read_text()).keys() for path in cache.with_name(f"{cache.name}-out").rglob("said.json")]
    every = [own for keys in found for own in keys]
    return {own for own in every if not repeated or every.count(own) > 1}


def test_pairs_that_are_made_are_not_made_again(worker: Worker, tmp_path: Path) -> None:
    """Killed while it draws, and while it keeps what it drew: then that pair alone is drawn again."""
    straight, disturbed = tmp_path / "straight", tmp_path / "disturbed"

    def made(cache: Path, pairs: int, **more: int) -> dict[str, Any]:
        result = tmp_path / "result.json"
        result.unlink(missing_ok=True)
        ended = worker.run(pairs=pairs, cache=str(cache), result=str(result), **more)
        assert ended == (-signal.SIGKILL if more else 0), worker.said()
        return json.loads(result.read_text()) if result.exists() else {}

    def kept() -> list[int]:
        """First seeds of the pairs that are kept."""
        return sorted(int(path.stem) for path in disturbed.glob("*/*/*.safetensors"))

    whole = made(straight, 6)
    assert whole["drawn"] == [3, 5, 7, 9, 11, 13]
    assert made(disturbed, 4, kill=3) == {}
    assert kept() == [3, 5]
    assert made(disturbed, 4, write=1) == {}
    assert kept() == [3, 5]
    few = made(disturbed, 4)
    assert few["drawn"] == [7, 9]
    more = made(disturbed, 6)
    assert more["drawn"] == [11, 13]
    assert made(disturbed, 6)["drawn"] == []
    assert more["pictures"] == whole["pictures"]
    assert few["pictures"] == whole["pictures"][: len(few["pictures"])]
    assert len(whole["pictures"]) + len(whole["skipped"]) == 6
    assert len(few["pictures"]) + len(few["skipped"]) == 4


def compare(straight: Path, disturbed: Path) -> None:
    """What was learned, and the curve: equal to the bit."""
    one, other = load_file(f"{straight}.safetensors"), load_file(f"{disturbed}.safetensors")
    assert one.keys() == other.keys()
    assert one["steps of loss"].tolist() == [1, 2, 3, 4, 5]
    for name, tensor in one.items():
        assert torch.equal(tensor, other[name]), name


def half_written(cache: Path) -> list[str]:
    """Checkpoints that a process was killed over."""
    return [path.name.split(".")[1] for path in cache.glob("*/.step-*")]


def steps_in(cache: Path) -> list[str]:
    """The checkpoints that are whole."""
    return sorted(path.name for path in cache.glob("*/step-*"))
