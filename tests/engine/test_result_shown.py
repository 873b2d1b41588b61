"""What a notebook shows of a result, and what it prints."""

from __future__ import annotations

import base64
from html.parser import HTMLParser
from pathlib import Path

import pytest

from weft.engine import Cache, Context, Files, Skip, node, run
from weft.engine.running import result_table
from weft.graphs import Graph

HOSTILE = "<script>alert(1)</script>\"'&\ud800"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(8)


class Picture:
    """A value with a picture of itself."""

    def __init__(self, size: int = 0, fails: bool = False) -> None:
        self.size, self.fails = size, fails

    def _repr_png_(self) -> bytes:
        if self.fails:
            raise RuntimeError("no picture")
        return PNG + bytes(self.size)

    def __repr__(self) -> str:
        return f"Picture{HOSTILE}"


class Silent:
    def __repr__(self) -> str:
        raise RuntimeError("no words")


@node("shown.picture")
def picture(size: int = 0, fails: bool = False) -> Picture:
    return Picture(size, fails)


@node("shown.silent")
def silent() -> Silent:
    return Silent()


@node("shown.text")
def text(text: str = HOSTILE[:28]) -> str:
    return text


@node("shown.many")
def many(count: int = 1000) -> list[int]:
    return list(range(count))


@node("shown.breaks")
def breaks(text: str = HOSTILE[:28]) -> int:
    raise ValueError(text)


@node("shown.skips")
def skips() -> int | Skip:
    return Skip(HOSTILE[:28])


@node("shown.file", side_files=True)
def file(name: str, ctx: Context = None) -> Files:  # type: ignore[assignment]
    path = ctx.output_path(name)
    path.write_bytes(PNG)
    return Files.of(path)


class Seen(HTMLParser):
    """Tags, attributes and text of a fragment."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.text += data


def test_every_target_has_a_row_and_pictures_are_in_it(tmp_path: Path) -> None:
    with Graph() as graph:
        targets = [picture(), text(), many(), skips(), silent(), file("a.png"), file("b.txt"), picture(fails=True)]
    result = run(graph, targets, cache=Cache(), keep_going=True, out=tmp_path)
    html = result._repr_html_()
    seen = Seen(html)
    sources = [source for name, source in seen.attributes if name == "src"]
    assert sources == ["data:image/png;base64," + base64.b64encode(PNG).decode()] * 2, "of the value and of the file"
    assert set(seen.tags) <= {"div", "b", "table", "caption", "tr", "th", "td", "img", "code", "span"}
    assert not [name for name, _ in seen.attributes if name.startswith("on") or name == "href"]
    assert HOSTILE[:28] in seen.text
    assert f"skipped: {HOSTILE[:28]}" in seen.text
    assert "0 1 2 3 4 5 6 7 8 9 10 11 and 988 more" in seen.text
    assert "<Silent>" in seen.text
    assert str(tmp_path / "b.txt") in seen.text
    html.encode("utf-8")


def test_failures_are_listed_by_item(tmp_path: Path) -> None:
    with Graph() as graph:
        bad = breaks()
        good = text("fine")
    result = run(graph, [bad, good], cache=Cache(), keep_going=True)
    seen = Seen(result._repr_html_())
    assert "script" not in seen.tags
    assert seen.text.count(HOSTILE[:28]) == 2, "as a failure, and in place of the target"
    assert "'fine'" in seen.text
    assert "1 failed" in repr(result)
    assert len(repr(result)) < 120


def test_no_result_is_too_long_to_show() -> None:
    with Graph() as graph:
        targets = [text(f"{number}" + "x" * 5000) for number in range(200)]
    result = run(graph, targets, cache=Cache())
    assert len(repr(result)) < 120
    assert len(result._repr_html_()) < 50_000
    assert "and 150 more" in result._repr_html_()


def test_pictures_fill_a_notebook_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(result_table, "MOST_BYTES", 100)
    with Graph() as graph:
        targets = [picture(60), picture(61), picture(1)]
    html = run(graph, targets, cache=Cache())._repr_html_()
    assert html.count("<img") == 2, "the second one does not go in any more, the third does"
    assert "Picture&lt;script&gt;" in html
