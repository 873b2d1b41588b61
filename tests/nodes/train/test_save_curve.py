"""The node `save_curve`: every number is read back as it was."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path

import pytest
import torch

from weft import nodes
from weft.engine import Context, check
from weft.nodes.train import save_curve as module
from weft.nodes.values.training import Curve

NUMBERS = {"loss": ([1, 2, 3], [0.1, 1 / 3, math.pi]), "validation_loss": ([0, 2], [1e-30, 2.5])}
CURVE = Curve(
    {name: (torch.tensor(steps), torch.tensor(own, dtype=torch.float64)) for name, (steps, own) in NUMBERS.items()}
)
ROWS = [
    {"step": 0, "validation_loss": 1e-30},
    {"step": 1, "loss": 0.1},
    {"step": 2, "loss": 1 / 3, "validation_loss": 2.5},
    {"step": 3, "loss": math.pi},
]


def saved(out: Path, name: str, format: str) -> Path:
    (path,) = nodes.save_curve(CURVE, name, format, ctx=Context(out=out)).paths  # type: ignore[arg-type]
    return Path(path)


def test_a_table_has_every_number_to_the_bit(tmp_path: Path) -> None:
    path = saved(tmp_path, "runs/first", "csv")
    assert path == tmp_path / "runs" / "first.csv"
    with open(path, encoding="utf-8", newline="") as file:
        found = [{name: float(item) for name, item in row.items() if item} for row in csv.DictReader(file)]
    assert found == ROWS


def test_lines_have_an_object_a_step(tmp_path: Path) -> None:
    assert [json.loads(line) for line in saved(tmp_path, "a", "jsonl").read_text("utf-8").splitlines()] == ROWS


def test_tensorboard_reads_what_was_written(tmp_path: Path) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    path = saved(tmp_path, "board", "tensorboard")
    events = accumulator.EventAccumulator(str(path.parent))
    events.Reload()
    assert set(events.Tags()["scalars"]) == set(NUMBERS)
    for name, (steps, numbers) in NUMBERS.items():
        found = events.Scalars(name)
        assert [event.step for event in found] == steps
        assert [event.value for event in found] == pytest.approx(numbers, rel=1e-6)


def test_a_file_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("mine", "utf-8")
    assert saved(tmp_path, "a", "csv") == tmp_path / "a_2.csv"


def test_a_missing_package_and_a_bad_name_are_said_before_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    document = {
        "weft": 1,
        "nodes": {
            "lora": {"type": "train_lora"},
            "save": {
                "type": "save_curve",
                "inputs": {"curve": {"link": "lora.curve"}, "name": "../a", "format": "tensorboard"},
            },
        },
    }
    found = {p.input: p.message for p in check(document, targets=["save"]) if p.node == "save"}
    assert "pip install tensorboard" in found["format"]
    assert "output folder" in found["name"]
