"""Runs show how far they are where somebody looks, and nothing that goes wrong in doing so reaches them."""

from __future__ import annotations

import asyncio
import io
import sys
import threading
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from weft.engine import Cache, Cancelled, CancelToken, Context, Result, RunFailed, node, run
from weft.engine.events import Event, NodePreview
from weft.engine.progress import board, watching
from weft.engine.progress.audience import SILENT, audience
from weft.engine.progress.board import Board, ShownRun
from weft.engine.progress.terminal import BOARD
from weft.graphs import Graph

HOSTILE = "<script>alert(1)</script>\x1b[2J"
SECONDS = 10.0

Look = Callable[..., Any]


class Terminal(io.StringIO):
    """A terminal whose text can be waited for."""

    def __init__(self) -> None:
        super().__init__()
        self.changed = threading.Condition()

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        with self.changed:
            self.changed.notify_all()
            return super().write(text)

    def wait_for(self, *texts: str) -> bool:
        with self.changed:
            return self.changed.wait_for(lambda: all(text in self.getvalue() for text in texts), SECONDS)


@pytest.fixture
def awake(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if no test ran, and with no run too short to be shown."""
    for name in (*SILENT, "NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(watching, "QUICK_SECONDS", 0.0)
    # pytest says which test runs, in the environment and before each part of it.
    monkeypatch.setattr("weft.engine.progress.audience.SILENT", ("CI",))


@pytest.fixture
def look(awake: None, monkeypatch: pytest.MonkeyPatch) -> Look:
    """`look()` makes stderr a terminal. Not before the test itself, since pytest puts its own in place then."""

    def make(kind: type[Terminal] = Terminal) -> Any:
        screen = kind()
        monkeypatch.setattr(sys, "stderr", screen)
        return screen

    return make


def call(act: Callable[[Context], Any], **options: Any) -> Result:
    """Run one node that does this."""

    @node("progress.acts", cache="never")
    def acts(name: str, ctx: Context = None) -> str:  # type: ignore[assignment]
        act(ctx)
        return name

    with Graph() as graph:
        target = acts("done").named("acts")  # type: ignore[attr-defined]
    return run(graph, [target], cache=Cache(), **options)


def test_nobody_looks_at_tests_pipes_and_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", Terminal())
    assert audience(None) is None, "in a test"
    assert audience(True) == "terminal"
    for name in SILENT:
        monkeypatch.delenv(name, raising=False)
    assert audience(None) == "terminal"
    assert audience(False) is None
    for name in SILENT:
        with monkeypatch.context() as patch:
            patch.setenv(name, "1")
            assert audience(None) is None
    with monkeypatch.context() as patch:
        patch.setenv("TERM", "dumb")
        assert audience(None) is None
    closed = io.StringIO()
    closed.close()
    for stream in (io.StringIO(), None, closed):
        monkeypatch.setattr(sys, "stderr", stream)
        assert audience(None) is None
        assert audience(True) == "lines"


def test_a_run_has_a_bar_and_a_last_line(look: Look) -> None:
    terminal = look()

    def act(ctx: Context) -> None:
        ctx.progress(3, 4, "halfway\x1b[2J there")
        assert terminal.wait_for("acts", "step 3 of 4", "halfway")

    assert call(act)["acts"] == "done"
    text = terminal.getvalue()
    assert "\x1b[2J" not in text, "what a node says moves no cursor"
    assert "done in" in text
    assert sys.stderr is terminal, "what prints goes where it went before"
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l"), "the cursor is there again"


def test_a_quick_run_shows_nothing(look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = look()
    monkeypatch.setattr(watching, "QUICK_SECONDS", 3600.0)
    for _ in range(3):
        assert call(lambda ctx: ctx.progress(1, 2))["acts"] == "done"
    assert terminal.getvalue() == ""


def test_nothing_is_shown_where_nobody_wants_it(look: Look) -> None:
    terminal = look()
    events: list[Event] = []
    call(lambda ctx: None, progress=False)
    call(lambda ctx: None, on_event=events.append)
    assert events
    assert terminal.getvalue() == "", "who listens shows it in a way of their own"


def test_bars_make_no_previews_and_listeners_are_told_everything_beside_them(look: Look) -> None:
    look()
    wants: list[bool] = []
    call(lambda ctx: wants.append(ctx.wants_preview()))
    events: list[Event] = []

    def act(ctx: Context) -> None:
        wants.append(ctx.wants_preview())
        ctx.preview(b"x", "image/png", 1, 1)

    call(act, on_event=events.append, progress=True)
    assert wants == [False, True]
    assert [event.seq for event in events] == list(range(len(events)))
    assert any(isinstance(event, NodePreview) for event in events)


def test_runs_in_threads_share_the_terminal(look: Look) -> None:
    terminal = look()

    @node("progress.meets", cache="never")
    def meets(name: str, ctx: Context = None) -> str:  # type: ignore[assignment]
        ctx.progress(1, 9, name)
        meet.wait(SECONDS)
        both.append(terminal.wait_for("first", "second"))
        return name

    def go(name: str) -> None:
        with Graph() as graph:
            target = meets(name)
        results.append(run(graph, [target], cache=Cache())[target])

    meet, both, results = threading.Barrier(2), [], []  # type: ignore[var-annotated]
    threads = [threading.Thread(target=go, args=(name,)) for name in ("first", "second")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert both == [True, True]
    assert sorted(results) == ["first", "second"]
    assert terminal.getvalue().count("done in") == 2


def test_a_run_that_a_node_starts_has_no_bar_of_its_own(look: Look) -> None:
    terminal = look()

    def act(ctx: Context) -> None:
        call(lambda inner: inner.progress(1, 2, "inner words"))
        ctx.progress(1, 2, "outer words")
        assert terminal.wait_for("outer words")

    call(act)
    assert "inner words" not in terminal.getvalue()
    assert terminal.getvalue().count("done in") == 1


def test_bars_end_with_what_ends_the_run(look: Look) -> None:
    terminal = look()

    def fail(ctx: Context) -> None:
        ctx.progress(1, 2)
        assert terminal.wait_for("step 1 of 2")
        raise ValueError("no")

    with pytest.raises(RunFailed):
        call(fail)
    assert "failed at acts" in terminal.getvalue()
    cancel = CancelToken()

    def stop(ctx: Context) -> None:
        ctx.progress(1, 3)
        assert terminal.wait_for("step 1 of 3")
        cancel.cancel()
        ctx.check_cancelled()

    with pytest.raises(Cancelled):
        call(stop, cancel=cancel)
    text = terminal.getvalue()
    assert text.rindex("cancelled") > text.rindex("step 1 of 3")
    assert text.endswith("\x1b[?25h") or text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l")


def test_it_runs_within_an_event_loop(look: Look) -> None:
    look()

    async def cell() -> Result:
        return call(lambda ctx: ctx.progress(1, 2))

    assert asyncio.run(cell())["acts"] == "done"


class Broken(Terminal):
    def write(self, text: str) -> int:
        raise OSError("the terminal is gone")


def test_a_broken_terminal_is_no_trouble_of_the_run(look: Look, caplog: pytest.LogCaptureFixture) -> None:
    look(Broken)
    for _ in range(2):
        assert call(lambda ctx: ctx.progress(1, 2))["acts"] == "done"
    assert not [record for record in caplog.records if record.levelname in ("WARNING", "ERROR")]


class Stopped(Terminal):
    def __init__(self) -> None:
        super().__init__()
        self.goes_on = threading.Event()

    def write(self, text: str) -> int:
        self.goes_on.wait(SECONDS)
        return super().write(text)


def test_a_terminal_that_takes_nothing_holds_nobody_up(look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    stopped = look(Stopped)
    monkeypatch.setattr(board, "PATIENCE_SECONDS", 0.01)
    try:
        assert call(lambda ctx: ctx.progress(1, 2))["acts"] == "done"
        assert call(lambda ctx: ctx.progress(1, 2))["acts"] == "done"
        assert "done in" not in stopped.getvalue()
    finally:
        stopped.goes_on.set()
        idle(BOARD)


def idle(board: Board) -> None:
    """Wait until nothing is drawn any more."""
    thread = board._thread
    if thread is not None:
        thread.join(SECONDS)
        assert not thread.is_alive()


def test_without_a_terminal_slow_nodes_have_lines(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("weft.engine.progress.words.SLOW", 0.0)
    call(lambda ctx: None, progress=True)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("acts: 0.0 s")
    assert lines[-1].endswith("1 ran, 0 cached")


# -- notebooks


class Handle:
    def __init__(self, first: str) -> None:
        self.shown = [first]

    def update(self, item: Any) -> None:
        self.shown.append(item.data)


@pytest.fixture
def cells(awake: None, monkeypatch: pytest.MonkeyPatch) -> list[Handle]:
    """What was displayed: a stand-in for IPython in a kernel, with the calls of its display protocol."""
    handles: list[Handle] = []

    def display(item: Any, *, display_id: bool) -> Handle:
        assert display_id is True
        handles.append(Handle(item.data))
        return handles[-1]

    package, module = ModuleType("IPython"), ModuleType("IPython.display")
    shell = SimpleNamespace(kernel=object())
    package.__dict__.update(get_ipython=lambda: shell, display=module, __path__=[])
    module.__dict__.update(display=display, HTML=lambda text: SimpleNamespace(data=text))
    monkeypatch.setitem(sys.modules, "IPython", package)
    monkeypatch.setitem(sys.modules, "IPython.display", module)
    return handles


def wait_for(handles: list[Handle], text: str, but: list[Handle]) -> bool:
    pause = threading.Event()
    for _ in range(int(SECONDS / 0.02)):
        if any(text in shown for handle in list(handles) if handle not in but for shown in handle.shown):
            return True
        pause.wait(0.02)
    return False


def test_a_cell_shows_how_far_its_run_is(cells: list[Handle]) -> None:
    before: list[Handle] = []

    def act(ctx: Context) -> None:
        ctx.progress(1, 4, HOSTILE)
        assert wait_for(cells, "step 1 of 4", before)
        ctx.progress(2, 4)
        assert wait_for(cells, "step 2 of 4", before)

    call(act)
    (cell,) = cells
    assert "&lt;script&gt;" in "".join(cell.shown)
    assert "<script" not in "".join(cell.shown)
    assert "done in" in cell.shown[-1]
    assert "<progress" not in cell.shown[-1], "the bars are gone"
    before.append(cell)
    call(act)
    assert len(cells) == 2, "each run has a place of its own"


def test_ipython_in_a_terminal_is_a_terminal(cells: list[Handle], look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    look()
    assert audience(None) == "notebook"
    monkeypatch.setattr(sys.modules["IPython"], "get_ipython", lambda: SimpleNamespace())
    assert audience(None) == "terminal"
    monkeypatch.setattr(sys.modules["IPython"], "get_ipython", lambda: None)
    assert audience(None) == "terminal"


def test_a_display_that_fails_is_no_trouble_of_the_run(cells: list[Handle], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["IPython.display"], "display", None)
    assert call(lambda ctx: ctx.progress(1, 2))["acts"] == "done"


# -- the board


class Screen:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.closed = 0

    def show(self, runs: Any) -> None:
        self.told.append(f"{len(runs)} runs")

    def end(self, run: ShownRun) -> None:
        self.told.append(run.last)

    def say(self, text: str, colour: str) -> None:
        self.told.append(text)

    def close(self) -> None:
        self.closed += 1


def test_a_board_says_all_lines_and_closes_its_screen() -> None:
    screen = Screen()
    runs = [ShownRun(None, 0.0) for _ in range(8)]  # type: ignore[arg-type]
    places = Board(lambda: screen)
    for number, shown in enumerate(runs):
        places.add(shown)
        places.say(f"line {number}")
        shown.last = f"end {number}"
    for shown in runs:
        places.remove(shown)
        assert shown.gone.is_set()
    idle(places)
    assert [text for text in screen.told if text.startswith("line")] == [f"line {number}" for number in range(8)]
    assert {text for text in screen.told if text.startswith("end")} <= {f"end {number}" for number in range(8)}
    assert screen.closed >= 1
    places.add(shown := ShownRun(None, 0.0))  # type: ignore[arg-type]
    places.say("again")
    places.remove(shown)
    assert "again" in screen.told, "it begins anew"
