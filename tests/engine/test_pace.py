"""What the progress of a run says: items, steps, rate and the time left, and no more nodes done than there are."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest
from rich.console import Console
from rich.progress import Progress

from weft.engine.events import (
    ErrorDetail,
    Event,
    JobStarted,
    NodeCached,
    NodeFailed,
    NodeFinished,
    NodeProgress,
    NodeResumed,
    NodeRetried,
    NodeSkipped,
    NodeStarted,
)
from weft.engine.progress.bars import Bars
from weft.engine.progress.pace import Pace, whole_time
from weft.server.cli.progress import lines

ERROR = ErrorDetail(node="d", type="t", exception="E", message="no", traceback="")


def progress(time: float, step: int, total: int, message: str = "") -> NodeProgress:
    return NodeProgress(seq=0, time=time, job="j", node="d", step=step, total=total, message=message)


def event(kind: Callable[..., Event], node: str | None = "d", **fields: Any) -> Event:
    return kind(seq=0, time=0.0, job="j", node=node, **fields)


def test_steps_of_one_node() -> None:
    pace = Pace()
    for step in range(1, 6):
        pace.take(progress(step * 0.5, step, 25))
    assert pace.fraction == pytest.approx(0.2)
    assert pace.rate == pytest.approx(2.0)
    assert pace.words == "step 5 of 25, 2.0 steps/s, 10 s left"


def test_a_sweep_counts_pictures_and_steps_apart() -> None:
    pace = Pace()
    seen = []
    time = 0.0
    for item in range(8):
        for step in range(1, 10):
            time += 0.25
            pace.take(progress(time, step, 9))
            seen.append(pace.fraction)
        pace.take(progress(time, item + 1, 8, "items"))
        seen.append(pace.fraction)
        if item == 1:
            assert pace.words == "item 3 of 8, 4.0 steps/s, 14 s left"
    assert pace.fraction == 1.0
    assert max(seen) <= 1.0
    assert pace.items == 8
    assert "left" not in pace.words


def test_items_that_were_cached_say_nothing_of_how_long_the_others_take() -> None:
    pace = Pace()
    for item in range(1, 6):
        pace.take(progress(0.01 * item, item, 10, "items"))
    pace.take(progress(0.05, 1, 4))
    for step in range(2, 5):
        pace.take(progress(0.05 + step - 1, step, 4))
    assert pace.words.startswith("item 6 of 10, step 4 of 4, 1.0 steps/s, ")
    assert pace.left == pytest.approx(16, abs=2)


def test_steps_that_were_reused_are_not_counted_as_made() -> None:
    pace = Pace()
    pace.take(NodeResumed(seq=0, time=0.0, job="j", node="d", steps=20, total=25))
    for step in range(21, 24):
        pace.take(progress((step - 20) * 2.0, step, 25))
    assert pace.rate == pytest.approx(0.5)
    assert pace.words == "step 23 of 25, 2.0 s a step, 4 s left, 20 steps reused"


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.4, "0 s"), (59.4, "59 s"), (59.6, "1 min 0 s"), (185, "3 min 5 s"), (4800, "1 h 20 min")]
)
def test_time_in_words(seconds: float, words: str) -> None:
    assert whole_time(seconds) == words


def test_no_more_nodes_are_done_than_there_are() -> None:
    with Progress(console=Console(file=io.StringIO())) as shown:
        bars = Bars(shown)
        bars(event(JobStarted, None, nodes=3))
        bars(event(NodeStarted))
        bars(progress(0.0, 1, 2, "items"))
        bars(event(NodeFailed, error=ERROR))
        assert shown.tasks[0].completed == 0, "one item of many is not the end of its node"
        bars(event(NodeFinished, seconds=1.0))
        bars(event(NodeCached, tier="memory"))
        assert shown.tasks[0].completed == 1
        bars(event(NodeSkipped, "x", reason="no", failed=True, item=[1]))
        assert shown.tasks[0].completed == 1
        bars(event(NodeSkipped, "x", reason="no", failed=True))
        bars(event(NodeFailed, "y", error=ERROR))
        assert (shown.tasks[0].completed, len(shown.tasks)) == (3, 1)


def test_a_node_that_is_called_again_begins_anew() -> None:
    with Progress(console=Console(file=io.StringIO())) as shown:
        bars = Bars(shown)
        bars(progress(0.0, 3, 4))
        bars(event(NodeRetried, attempt=1, of=2, error=ERROR))
        assert (shown.tasks[1].completed, shown.tasks[1].fields["message"]) == (0, "called again (1 of 2)")


def test_without_a_terminal_a_node_that_is_skipped_has_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    lines(event(NodeSkipped, reason="no picture fits", failed=False))
    lines(event(NodeSkipped, "x", reason="no", failed=True))
    assert capsys.readouterr().err == "d: skipped, no picture fits\n"
