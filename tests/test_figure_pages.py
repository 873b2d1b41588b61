"""Pages that benchmarks write: what a run with `--only` does not measure stays as it is."""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import PIL.Image
import pytest

from benchmarks import effect_page, effects, techniques
from benchmarks.effect_kit import GAP, Measure, Studio

DOCS = Path(__file__).parent.parent / "docs"


def lines_of(page: Path) -> list[str]:
    """But for the summary, which says another thing when a row does."""
    before, _, rest = page.read_text("utf-8").partition(effect_page.SUMMARY[0])
    return (before + rest.partition(effect_page.SUMMARY[1])[2]).splitlines()


def measured(monkeypatch: pytest.MonkeyPatch, page: Path, case: str) -> None:
    """The command with `--only case --docs page`, where measuring gives two rows at once."""

    def measure(studio: Studio) -> list[Measure]:
        return [Measure(case, what, "by hand", without=[0.0] * 4, ours=[1.0] * 4) for what in ("first", "second")]

    monkeypatch.setitem(effects.CASES, case, measure)
    monkeypatch.setattr(sys, "argv", ["effects.py", "--only", case, "--docs", str(page)])
    effects.main()


@pytest.mark.parametrize("numbers", [True, False], ids=["beside its numbers", "alone"])
@pytest.mark.parametrize("case", ["sega", "regions", "ip_adapter"])
def test_what_is_not_measured_stays(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, case: str, numbers: bool) -> None:
    page = Path(shutil.copy(DOCS / "effects.md", tmp_path))
    if numbers:
        shutil.copy(DOCS / "effects.json", tmp_path)
    before = lines_of(page)
    own = [line for line in before if line.endswith(f"| `--only {case}` |")]
    assert own
    measured(monkeypatch, page, case)
    after = lines_of(page)
    new = [line for line in after if line not in before]
    assert [("first" in line, "by hand" in line) for line in new] == [(True, True), (False, True)]
    # All else is there, in its order, and the new rows stand where the old ones did.
    assert [line for line in after if line not in new] == [line for line in before if line not in own]
    assert after.index(new[0]) == before.index(own[0])
    kept = json.loads((tmp_path / "effects.json").read_text("utf-8"))
    assert sum(line["case"] == case for line in kept) == 2
    if numbers:
        total = json.loads((DOCS / "effects.json").read_text("utf-8"))
        assert len(kept) == len(total) - len(own) + 2


def test_a_row_of_no_known_case_is_not_lost(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As of a case that another branch has; one that names no case at all ends it before anything is written."""
    page = Path(shutil.copy(DOCS / "effects.md", tmp_path))
    text = page.read_text("utf-8")
    page.write_text(text.replace("`--only pag` |", "`--only elsewhere` |"), "utf-8")
    count = page.read_text("utf-8").count("`--only elsewhere` |")
    measured(monkeypatch, page, "sega")
    assert page.read_text("utf-8").count("`--only elsewhere` |") == count > 0
    broken = page.read_text("utf-8").replace("`--only elsewhere` |", "by hand |")
    page.write_text(broken, "utf-8")
    with pytest.raises(ValueError, match="does not end with the command that makes it"):
        measured(monkeypatch, page, "sega")
    assert page.read_text("utf-8") == broken


def test_the_page_is_what_its_numbers_give() -> None:
    """Row by row: nothing in it was written by hand."""
    known: list[dict[str, Any]] = json.loads((DOCS / "effects.json").read_text("utf-8"))
    page = effects.rows_of((DOCS / "effects.md").read_text("utf-8"))
    assert page == [(line["case"], effects.row(line)) for line in known]


def test_the_summary_and_the_titles_follow_from_the_rows(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing else changes when they are written anew, and a row that changed is in the summary."""
    page = Path(shutil.copy(DOCS / "effects.md", tmp_path))
    before = page.read_text("utf-8")
    assert before.index(effect_page.SUMMARY[0]) < before.index("## "), "the page begins with it"
    monkeypatch.setattr(sys, "argv", ["effects.py", "--renew", "--docs", str(page)])
    effects.main()
    assert page.read_text("utf-8") == before
    assert [path.name for path in tmp_path.iterdir()] == ["effects.md"]
    own = "IoU with the object's place before the colour ↑ | 0.685 | **0.71** | 0.67 to 0.749 | 0.71 | 0.2 |"
    assert own in before
    page.write_text(before.replace(own, own.replace("0.71 | 0.2", "0.72 | 0.001")), "utf-8")
    effects.main()
    renewed = page.read_text("utf-8").partition(effect_page.SUMMARY[1])[0]
    assert "In 42 of them" in renewed
    assert "(0.685 to 0.71), diffusers 0.72" in renewed
    assert "48 of the means are equal" in renewed


def test_every_picture_of_effects_has_a_title_and_as_many_columns_as_it_says() -> None:
    page = (DOCS / "effects.md").read_text("utf-8")
    shown = re.findall(r"^!\[(.+)\]\(images/effects/(\w+)\.png\)\n\n\1: (.+)$", page, re.MULTILINE)
    assert {name for _, name, _ in shown} == {path.stem for path in (DOCS / "images" / "effects").iterdir()}
    for _, name, columns in shown:
        with PIL.Image.open(DOCS / "images" / "effects" / f"{name}.png") as sheet:
            side = 512 if name == "multidiffusion" else 128
            assert sheet.width == len(columns.split(" · ")) * (side + GAP) - GAP, name


def test_the_page_of_costs_is_written_whole_or_not_at_all(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its figures are compared with each other, so that they have to be of one run."""
    page = Path(shutil.copy(DOCS / "costs.md", tmp_path))
    before = page.read_text("utf-8")
    monkeypatch.setattr(sys, "argv", ["techniques.py", "--only", "cfg", "--docs", str(page)])
    with pytest.raises(SystemExit):
        techniques.main()
    assert "--docs writes the whole table" in capsys.readouterr().err
    assert page.read_text("utf-8") == before
