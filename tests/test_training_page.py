"""The page of trainings: its workflow checks, and its figures are those of the last measurement."""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path
from typing import Any, get_args

import pytest

from benchmarks import training_alignment, training_effects
from benchmarks.training_kit import BATCH, FIRST_SEED, Plan, Split, asked
from weft.engine import check

PAGE = Path(__file__).parent.parent / "docs" / "training.md"


def test_the_workflow_of_the_page_checks() -> None:
    (text,) = re.findall(r"```json\n(.+?)```", PAGE.read_text("utf-8"), re.DOTALL)
    assert check(json.loads(text)) == []


def test_the_figures_are_what_was_measured() -> None:
    lines: list[dict[str, Any]] = json.loads(PAGE.with_suffix(".json").read_text("utf-8"))
    page = PAGE.read_text("utf-8").partition(training_effects.FIGURES[0])[2].partition(training_effects.FIGURES[1])[0]
    assert page.strip() == training_effects.table(lines)
    for line in lines:
        assert any(line["technique"].startswith(case) for case in training_effects.CASES), line["technique"]
    assert {case for case in training_effects.CASES if case.startswith("bundled")} <= {o["technique"] for o in lines}


@pytest.mark.parametrize("split", get_args(Split))
def test_prompts_and_seeds_that_pick_settings_are_not_measured(split: Split) -> None:
    (other,) = set(get_args(Split)) - {split}
    mine, theirs = asked(split, 200), asked(other, 200)
    assert not {(one.color, one.background) for one in mine} & {(one.color, one.background) for one in theirs}
    assert not {one.text("heart") for one in mine} & {one.text("heart") for one in theirs}
    seeds = {one.seed + k for one in mine for k in range(BATCH)}
    assert len(seeds) == 200 * BATCH
    assert min(seeds) == FIRST_SEED[split]
    assert not seeds & {one.seed + k for one in theirs for k in range(BATCH)}


def test_a_plan_is_known_by_all_that_it_says() -> None:
    plan = Plan("one", "train_lora", (("shapes_dataset", {"show": "heart"}),), {"steps": 2}, {"ema": 0.9})
    others = [
        Plan("one", "train_dreambooth", plan.data, plan.settings, plan.options),
        Plan("one", plan.node, (("shapes_dataset", {"show": "dome"}),), plan.settings, plan.options),
        Plan("one", plan.node, plan.data, {"steps": 3}, plan.options),
        Plan("one", plan.node, plan.data, plan.settings, {"ema": 0.8}),
    ]
    assert len({plan.digest, *(other.digest for other in others)}) == 5


def test_what_is_not_measured_here_stays_on_the_page(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Results lie in a folder that nobody else has; the page and its numbers are what others have."""
    page = Path(shutil.copy(PAGE, tmp_path))
    shutil.copy(PAGE.with_suffix(".json"), tmp_path)
    shutil.copytree(PAGE.parent / "images" / "training", tmp_path / "images" / "training")
    new = [
        {**line, "with": 0.123}
        for line in json.loads(PAGE.with_suffix(".json").read_text("utf-8"))
        if line["technique"].startswith("few_dreambooth")
    ]
    work = tmp_path / "work"
    work.mkdir()
    known = {"few_dreambooth": {"state": "", "lines": new}}
    (work / "effects-measured.json").write_text(json.dumps(known), "utf-8")
    command = ["training_effects.py", "--renew", "--work", str(work), "--docs", str(page)]
    monkeypatch.setattr(sys, "argv", command)
    training_effects.main()
    before, after = (text.read_text("utf-8").splitlines() for text in (PAGE, page))
    changed = [line for line in after if line not in before]
    assert len(before) == len(after)
    assert len(changed) == len(new) == 10
    assert all(line.startswith("| few_dreambooth") and "**12.3%**" in line for line in changed)


def test_the_figures_of_rewards_are_what_was_measured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With no result of its own a run writes the page as it is."""
    name = "training-rewards.md"
    page = Path(shutil.copy(PAGE.with_name(name), tmp_path))
    shutil.copy(PAGE.with_name(name).with_suffix(".json"), tmp_path)
    command = ["training_alignment.py", "--cases", "", "--folder", str(tmp_path / "none"), "--docs", str(page)]
    monkeypatch.setattr(sys, "argv", command)
    training_alignment.main()
    assert page.read_text("utf-8") == PAGE.with_name(name).read_text("utf-8")
    known = json.loads(page.with_suffix(".json").read_text("utf-8"))
    assert known == json.loads(PAGE.with_name(name).with_suffix(".json").read_text("utf-8"))
    assert {line["case"] for line in known} >= {"ddpo_judge", "ddpo_judge_down", "dpo_judge", "ddpo_jpeg"}
