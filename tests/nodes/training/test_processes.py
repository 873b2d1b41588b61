"""Trainings over two processes: what they learn, and that none waits for ever when something happens to the other."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.nodes.training.processes_case import GOAL, OPTIONS, PER_STEP
from tests.nodes.training.toy import Toy
from tests.nodes.training.train_case import context
from weft.nodes.training.processes import Processes
from weft.nodes.training.trainer import Goal, train

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Any]]:
    """What both processes got, by the name of the training."""
    folder = tmp_path_factory.mktemp("processes")
    settings = {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    command = [sys.executable, "-m", "tests.nodes.training.processes_case", str(folder)]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | settings, timeout=600, capture_output=True, check=False)
    results: dict[str, list[Any]] = {}
    for path in sorted(folder.glob("*.json")):
        results.setdefault(path.name.partition(".")[0], []).append(json.loads(path.read_text("utf-8")))
    assert {name: len(both) for name, both in results.items()} == dict.fromkeys(
        ["again", "cancelled", "failed", "few", "memory", "nan", "others", "resumed", "straight"], 2
    ), done.stderr.decode()[-5000:]
    return results


def alone(goal: Goal = GOAL) -> dict[str, torch.Tensor]:
    return dict(train(Toy(), goal, OPTIONS, context(None)).adapter.tensors)


def same(result: Any, weights: dict[str, torch.Tensor]) -> None:
    for name, tensor in weights.items():
        torch.testing.assert_close(torch.tensor(result["weights"][name]), tensor, rtol=0, atol=1e-6)


def test_two_learn_what_one_learns_each_with_its_share(found: dict[str, list[Any]]) -> None:
    main, other = found["straight"]
    same(main, alone())
    assert all(main[name] == other[name] for name in ("weights", "curve", "checkpoint"))
    assert [len(numbers) for numbers in main["seen"]] == [2] * 8
    assert [len(numbers) for numbers in other["seen"]] == [1] * 8
    seen = sorted(number for result in (main, other) for numbers in result["seen"] for number in numbers)
    assert seen == list(range(GOAL.steps * PER_STEP))
    losses = train(Toy(), GOAL, OPTIONS, context(None)).curve.column("loss")[1]
    assert main["curve"]["loss"][1] == pytest.approx(losses, rel=1e-5)


def test_the_main_one_alone_writes_reports_and_validates(found: dict[str, list[Any]]) -> None:
    main, other = found["straight"]
    assert main["steps"] == ["step-00000002", "step-00000004"]
    assert Path(main["checkpoint"][1]).name == "step-00000004"
    assert {"progress", "train.steps", "train.checkpoint", "train.validation"} <= set(main["kinds"])
    assert other["kinds"] == []
    assert (main["validated"], other["validated"]) == (3, 0)


def test_a_batch_may_be_smaller_than_the_processes_are_many(found: dict[str, list[Any]]) -> None:
    main, other = found["few"]
    same(main, alone(Goal(4, 0.1, batch=1, seed=3)))
    assert main["weights"] == other["weights"]
    assert other["seen"] == []


def test_both_killed_they_end_as_if_nothing_had_been(found: dict[str, list[Any]]) -> None:
    for straight, again in zip(found["straight"], found["again"], strict=True):
        assert again["weights"] == straight["weights"]
        assert again["curve"] == straight["curve"]
        assert again["checkpoint"][2] == straight["checkpoint"][2]
        assert min(map(min, again["seen"])) >= 2 * PER_STEP


def test_cancelled_in_one_both_end_and_go_on_later(found: dict[str, list[Any]]) -> None:
    main, other = found["cancelled"]
    assert main["error"].startswith("Cancelled: another process")
    assert other["error"].startswith("Cancelled: the run was cancelled")
    assert main["steps"] == ["step-00000002"]
    for straight, resumed in zip(found["straight"], found["resumed"], strict=True):
        assert resumed["weights"] == straight["weights"]
        assert min(map(min, resumed["seen"])) >= 2 * PER_STEP


def test_out_of_memory_in_one_all_halve_their_pieces(found: dict[str, list[Any]]) -> None:
    main, other = found["memory"]
    same(main, alone(Goal(4, 0.1, batch=8, seed=3)))
    assert main["weights"] == other["weights"]
    assert [len(numbers) for numbers in main["seen"]][-16:] == [2] * 16
    assert [len(numbers) for numbers in other["seen"]] == [2] * 16


def test_an_error_in_one_ends_both_and_each_says_what_it_knows(found: dict[str, list[Any]]) -> None:
    main, other = found["failed"]
    assert other["error"] == "ValueError: this process fails"
    assert main["error"].startswith("TrainingError: the training failed in another of its processes")
    main, other = found["nan"]
    assert "of step 4 is nan" in main["error"]
    assert other["error"].startswith("TrainingError: the training failed in another of its processes")
    assert main["steps"] == ["step-00000002"]


def test_processes_that_train_different_things_are_told(found: dict[str, list[Any]]) -> None:
    for result in found["others"]:
        assert result["error"].startswith("TrainingError: the processes of this launch train different things")


def test_one_process_is_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    assert Processes.launched(torch.device("cpu")).count == 1
    monkeypatch.setenv("WORLD_SIZE", "1")
    assert Processes.launched(torch.device("cpu")).count == 1
