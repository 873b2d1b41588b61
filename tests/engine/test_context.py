from __future__ import annotations

import logging
import time
from pathlib import Path

import pytest

from weft.engine import Cache, Cancelled, CancelToken, Catalogue, Context, InputPathError, node, run


class Ear:
    def __init__(self) -> None:
        self.heard: list[tuple[object, ...]] = []

    def report(self, *what: object) -> None:
        self.heard.append(what)


def test_a_plain_context_reports_to_nobody(tmp_path: Path) -> None:
    ctx = Context()
    ctx.progress(1, 2)
    ctx.preview(b"", "image/png", 1, 1)
    ctx.check_cancelled()
    assert not ctx.wants_preview()
    assert ctx.provenance() == {}
    assert ctx.out == Path.cwd() / "out"
    assert ctx.roots is None


def test_previews_are_wanted_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    ear = Ear()
    ctx = Context("n", listener=ear, preview_interval=0.25)
    assert ctx.wants_preview()
    ctx.preview(b"p", "image/png", 8, 4)
    assert not ctx.wants_preview()
    now += 0.2
    assert not ctx.wants_preview()
    now += 0.1
    assert ctx.wants_preview()
    assert ear.heard == [("n", "preview", {"mime": "image/png", "width": 8, "height": 4}, b"p")]


def test_previews_that_nobody_wants() -> None:
    ear = Ear()
    ctx = Context("n", listener=ear, preview_interval=None)
    assert not ctx.wants_preview()
    ctx.preview(b"p", "image/png", 8, 4)
    ctx.progress(1, 2)
    assert ear.heard == [("n", "progress", {"step": 1, "total": 2, "message": ""})]


def test_progress_is_a_cancel_point() -> None:
    token = CancelToken()
    ctx = Context(cancel=token)
    ctx.progress(1, 2)
    token.cancel()
    assert ctx.cancelled
    with pytest.raises(Cancelled):
        ctx.progress(2, 2)


def test_scratch_is_gone_with_the_node() -> None:
    seen: list[Path] = []

    @node("scratches", output=True)
    def scratches(ctx: Context | None = None) -> int:
        assert ctx is not None
        (ctx.scratch / "a.txt").write_text("a")
        assert ctx.scratch == ctx.scratch
        seen.append(ctx.scratch)
        raise ValueError("and fails")

    with pytest.raises(Exception, match="and fails"):
        run({"weft": 1, "nodes": {"s": {"type": "scratches"}}}, catalogue=Catalogue([scratches]), cache=Cache())
    assert not seen[0].exists()


@pytest.mark.parametrize("name", ["../x", "/x", "a/../../x", "", ".", "..", "/", "a\0b", " "])
def test_output_names_stay_in_the_folder(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputPathError):
        Context(out=tmp_path / "out").output_path(name)


def test_output_names_may_hold_folders(tmp_path: Path) -> None:
    path = Context(out=tmp_path / "out").output_path("night/owl", ".png")
    assert path == tmp_path / "out/night/owl.png"
    assert path.parent.is_dir()


def test_log_lines_name_the_node(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        Context("here").log.info("hello %d", 3)
    assert caplog.messages == ["here: hello 3"]
