"""Random runs against plain evaluation, 20,000 of them; `python -m tests.engine.fuzz --hours 1` goes on for longer."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.engine.fuzz.reduce import reduced
from tests.engine.fuzz.scenarios import WrongError, batches
from weft.engine.declaring.context import Context
from weft.engine.planning import fingerprint, unfold

RUNS = 2_500
KINDS = {
    *("plain", "varied", "cancelled", "after cancel", "at once", "after at once", "host draws", "edited"),
    *("meddled with", "after meddling"),
}


@pytest.mark.usefixtures("inputs_may_change")
@pytest.mark.parametrize("seed", range(1, 9))
def test_no_run_is_wrong(seed: int, tmp_path: Path) -> None:
    runs = batches(seed, tmp_path, lambda runs: runs.total() < RUNS)
    assert runs.keys() == KINDS
    assert min(runs.values()) >= RUNS // 200, runs


def wrong(folder: Path) -> WrongError:
    def go_on(runs: Counter[str]) -> bool:
        return runs.total() < 4 * RUNS

    with pytest.raises(WrongError) as caught:
        batches(1, folder, go_on)
    return caught.value


def test_a_file_that_is_not_in_the_key_would_be_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fingerprint, "content_hash", lambda path: "")
    assert wrong(tmp_path).what["document"]


def test_half_results_in_the_cache_would_be_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        Context, "saw_cancel", property(lambda context: False, lambda context, seen: None), raising=False
    )
    assert wrong(tmp_path).what["before"]


def test_the_report_on_a_wrong_run_has_the_smallest_document(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Here items of a list that came whole by a link are taken for one another."""
    right = unfold._given_key

    def key_of_the_whole(*arguments):  # type: ignore[no-untyped-def]
        graph, id = arguments[2], arguments[3]
        if id in graph.places:
            graph.places[id] = (graph.places[id][0], None)
        return right(*arguments)

    monkeypatch.setattr(unfold, "_given_key", key_of_the_whole)
    report = reduced(wrong(tmp_path).what)
    assert len(report["smallest"]["nodes"]) <= len(report["document"]["nodes"])
    types = {spec["type"] for spec in report["smallest"]["nodes"].values()}
    assert types & {"sheet", "sheet_list", "sheet_any", "sheets"}
