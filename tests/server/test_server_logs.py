"""Logs: whole lines, what they are about, and nothing that is nobody's business."""

from __future__ import annotations

import io
import json
import logging
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from weft.server.logs import Private, current, log_context, start_logs
from weft.server.scrub import HIDDEN, Scrubber

TOKEN = "t0ken-" + "x" * 40
LOG = logging.getLogger("weft.test")
Start = Callable[..., io.StringIO]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def start() -> Iterator[Start]:
    """Logs into a text; afterwards everything is as it was before."""
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    others = {
        name: logging.getLogger(name).level for name in ("uvicorn.access", "httpx", "httpcore", "websockets", "asyncio")
    }

    def begin(stream: io.StringIO | None = None, **options: Any) -> io.StringIO:
        stream = stream or io.StringIO()
        for handler in list(root.handlers):
            if type(handler).__module__.startswith("_pytest"):
                root.removeHandler(handler)  # it raises for a wrong format
        start_logs(Scrubber(secrets=[TOKEN]), stream=stream, **options)
        return stream

    yield begin
    root.handlers[:] = before
    root.setLevel(level)
    for name, old in others.items():
        logging.getLogger(name).setLevel(old)


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_an_event_is_a_line(start: Start) -> None:
    stream = start()
    with log_context(request="r"), log_context(job="j", node="n"):
        LOG.info("the job %s ended", "done", extra={"seconds": 1.5, "state": "done"})
    LOG.warning("a\nb")
    first, second = lines(stream)
    assert first.pop("ts").endswith("Z")
    assert first == {
        "level": "info", "logger": "weft.test", "event": "the job done ended", "job": "j", "node": "n", "request": "r",
        "seconds": 1.5, "state": "done",
    }  # fmt: skip
    assert second["event"] == "a\nb"
    assert "job" not in second


def test_a_context_ends_and_holds_for_its_own_thread_alone() -> None:
    seen = []
    with log_context(job="a"):
        with log_context(node="b"):
            assert (current("job"), current("node")) == ("a", "b")
        assert current("node") is None
        other = threading.Thread(target=lambda: seen.append(current("job")))
        other.start()
        other.join()
    assert current("job") is None
    assert seen == [None]


@pytest.mark.parametrize("form", ["json", "text"])
def test_the_token_is_never_in_the_log(start: Start, form: str) -> None:
    stream = start(form=form, level="debug")
    LOG.info("the token is %s", TOKEN)
    LOG.info(f"inside {TOKEN}.", extra={"a": TOKEN, "b": [{"c": TOKEN, TOKEN: 1}], "d": ValueError(TOKEN)})
    LOG.debug("prompt %s", Private(f"x {TOKEN}"))
    LOG.error({"token": TOKEN})
    LOG.info("%(x)s", {"x": TOKEN})
    LOG.info("wrong %d", TOKEN)
    with log_context(request=TOKEN):
        LOG.info("headers %r", [(b"authorization", f"Bearer {TOKEN}".encode())])
    try:
        raise RuntimeError(f"with {TOKEN}")
    except RuntimeError as error:
        try:
            raise ValueError(TOKEN) from error
        except ValueError:
            LOG.exception("failed")
    text = stream.getvalue()
    assert TOKEN not in text
    assert text.count(HIDDEN) >= 12
    assert "RuntimeError" in text, "and the rest is there"


def test_prompts_are_shown_at_the_lowest_level_alone(start: Start) -> None:
    stream = start(level="debug")
    for level in (logging.INFO, logging.WARNING, logging.ERROR, logging.DEBUG):
        LOG.log(
            level,
            "the prompt %s",
            Private("a red fox"),
            extra={"prompt": Private("a red fox"), "all": [Private("fox")]},
        )
        LOG.log(level, Private("fox"))
    said = lines(stream)
    assert "fox" not in json.dumps(said[:6])
    assert said[0]["event"] == "the prompt <9 characters>"
    assert said[6]["event"] == "the prompt a red fox"
    assert said[6]["prompt"] == "a red fox"
    assert "fox" not in f"{Private('fox')}{Private('fox')!r}"


def test_people_get_lines_that_cannot_be_forged(start: Start) -> None:
    stream = start(form="text")
    LOG.info("title %s", "x\n12:00:00 ERROR   weft: forged\r\x1b[2J\u202e\u2028\x85", extra={"tag": "\n\x1b]0;x\x07"})
    (line,) = stream.getvalue().splitlines()
    assert line.isascii()
    assert line.isprintable()
    assert "INFO" in line
    assert "forged" in line
    try:
        raise ValueError("a\x1b[2Jb")
    except ValueError:
        LOG.exception("failed")
    first, *rest = stream.getvalue().splitlines()[1:]
    assert "ERROR" in first
    assert all(part.startswith("    ") and part.isprintable() for part in rest)


def test_lines_of_json_are_plain_ascii(start: Start) -> None:
    stream = start()
    LOG.info(
        "ü\u2028\x85\x1b[2J\ud800", extra={"event": "other", "level": "other", "number": float("nan"), "o": object()}
    )
    (line,) = stream.getvalue().splitlines()
    assert line.isascii()
    assert line.isprintable()
    said = json.loads(line)
    assert said["event"] == "ü\u2028\x85\x1b[2J\ud800", "what came as extra takes nobody's place"
    assert said["level"] == "info"


@pytest.mark.parametrize(
    ("terminal", "form", "people"),
    [(True, "auto", True), (False, "auto", False), (True, "json", False), (False, "text", True)],
)
def test_a_terminal_has_a_reader(start: Start, terminal: bool, form: str, people: bool) -> None:
    stream = start(Terminal() if terminal else io.StringIO(), form=form)
    LOG.warning("hello")
    assert stream.getvalue().startswith("{") != people


def test_colours_are_for_terminals_that_want_them(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    coloured, plain = start(Terminal()), None
    LOG.warning("hello")
    assert "\x1b[33m" in coloured.getvalue()
    monkeypatch.setenv("NO_COLOR", "1")
    plain = start(Terminal())
    LOG.warning("hello")
    assert "\x1b" not in plain.getvalue()


def test_started_again_it_takes_its_own_place(start: Start) -> None:
    first, second = start(), start(level="error")
    LOG.info("a")
    LOG.error("b")
    assert first.getvalue() == ""
    assert [line["event"] for line in lines(second)] == ["b"]


def test_a_log_that_nobody_reads_stops_nothing(start: Start, capsys: pytest.CaptureFixture[str]) -> None:
    class Broken(io.StringIO):
        def write(self, _: str) -> int:
            raise BrokenPipeError

    start(Broken())
    LOG.error("hello")
    assert capsys.readouterr().err == ""


def test_a_long_message_is_cut(start: Start) -> None:
    stream = start()
    LOG.info("a" * 1_000_000)
    (line,) = lines(stream)
    assert len(line["event"]) < 30_000
    assert "1,000,000" in line["event"]


def test_a_wrong_format_loses_no_line(start: Start) -> None:
    stream = start()
    LOG.info("%d of %s", "x")
    LOG.info("100%", "y")
    assert [line["event"] for line in lines(stream)] == ["%d of %s ('x',)", "100% ('y',)"]
