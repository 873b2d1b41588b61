"""docs/python.md and docs/events.md: they name all there is, and their blocks print what they say."""

from __future__ import annotations

import contextlib
import json
import re
from pathlib import Path
from typing import Any, get_args

import pytest

import weft
from tests.pasted import ROOT, blocks, module
from weft import Cache, Catalogue, Graph, engine, graphs, node, run
from weft.engine import events
from weft.engine.events import AnyEvent, Event

PYTHON, EVENTS = "docs/python.md", "docs/events.md"
PACKAGES = {"engine", "graphs", "nodes", "server"}


def text(page: str) -> str:
    return (ROOT / page).read_text("utf-8")


def printed(page: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """What a page's blocks print, as one module."""
    capsys.readouterr()
    module(folder / "page.py", "\n".join(code for _, code in blocks(page, "python")))
    return capsys.readouterr().out.splitlines()


@pytest.fixture
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WEFT_CACHE", str(tmp_path / "default-cache"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_python_page_names_all_that_is_public() -> None:
    code = " ".join(re.findall(r"`([^`]+)`", re.sub(r"^```.*?^```", "", text(PYTHON), flags=re.DOTALL | re.MULTILINE)))
    code += " ".join(block for _, block in blocks(PYTHON, "python"))
    names = {*weft.__all__, *engine.__all__, *graphs.__all__} - PACKAGES
    assert names - set(re.findall(r"\w+", code)) == set()


def test_the_python_page_prints_what_it_says(own_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = [
        part
        for line in re.findall(r"^It prints (.*)", text(PYTHON), re.MULTILINE)
        for part in re.findall(r"`(.+?)`", line)
    ]
    assert len(said) > 12
    assert printed(PYTHON, own_folder, capsys) == said


def kinds() -> dict[str, type[Event]]:
    """Every event's class, by its name in JSON."""
    classes = get_args(get_args(AnyEvent)[0])
    return {item.model_fields["event"].default: item for item in classes}


def test_the_events_page_has_every_event_with_its_fields() -> None:
    """And gives none a field that it does not have."""
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", text(EVENTS), re.MULTILINE))
    common = set(Event.model_fields)
    fields = {name: set(kind.model_fields) - common for name, kind in kinds().items()}
    assert kinds().keys() | common <= rows.keys()
    for name, own in fields.items():
        named = set(re.findall(r"`(\w+)`", rows[name].partition(" | ")[2]))
        assert named & set().union(*fields.values()) == own, name
    firsts = " ".join(re.findall(r"^\| (.*?) \|", text(EVENTS), re.MULTILINE))
    assert {f"`{name}`" for name in events.ErrorDetail.model_fields} <= set(re.findall(r"`\w+`", firsts))


@node("page_half")
def page_half(value: float) -> float:
    """Half of a value."""
    if value < 0:
        raise ValueError("it is negative")
    return value / 2


def heard(value: float, **options: Any) -> list[Event]:
    """The events of a run of two nodes."""
    with Graph() as graph:
        last = page_half(page_half(value))
    found: list[Event] = []
    with contextlib.suppress(weft.RunFailed):
        run(graph, [last], on_event=found.append, **options)
    return found


@pytest.mark.parametrize("value", [1.0, -1.0])
def test_what_the_events_page_promises(value: float) -> None:
    """No gap, one end, an outcome for each start; fields as they are named, also for what is cached."""
    cache = Cache()
    catalogue = Catalogue([page_half])
    for _ in range(2):
        found = heard(value, cache=cache, catalogue=catalogue, first_seq=3, job="mine")
        assert [event.seq for event in found] == list(range(3, 3 + len(found)))
        assert {event.job for event in found} == {"mine"}
        assert found[0].event == "job_started"
        ends = [event.event for event in found if event.event in ("job_finished", "job_failed", "job_cancelled")]
        assert ends == [found[-1].event] == ["job_finished" if value > 0 else "job_failed"]
        started = [event.node for event in found if event.event == "node_started"]
        assert started == [event.node for event in found if event.event in ("node_finished", "node_failed")]
        assert [event.time for event in found] == sorted(event.time for event in found)
        assert all(
            set(json.loads(json.dumps(events.to_json(event)))) <= set(type(event).model_fields) for event in found
        )


def test_the_blocks_of_the_events_page_run(own_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = {"weft": 1, "nodes": {"n": {"type": "save_image", "inputs": {"image": {"link": "load"}, "name": "n"}}}}
    document["nodes"]["load"] = {"type": "load_image", "inputs": {"path": "small.png"}}  # type: ignore[index]
    (own_folder / "first.json").write_text(json.dumps(document), "utf-8")
    import PIL.Image

    PIL.Image.new("RGB", (8, 8), "white").save(own_folder / "small.png")
    lines = printed(EVENTS, own_folder, capsys)
    assert lines[-1:] == re.findall(r"^It prints `(.+)`\.", text(EVENTS), re.MULTILINE)
    assert "job_started" in lines[0]
    assert "job_finished" in lines[-2]
