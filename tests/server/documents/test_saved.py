"""Saved workflows: nothing is lost, whoever else writes, and a name reaches nothing but its own file."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.server.payloads import TRAVERSALS
from weft.graphs import Limits, Workflow, WorkflowError
from weft.server.documents import saved
from weft.server.documents.errors import (
    BadName,
    BrokenDocument,
    DocumentError,
    InTheWay,
    NoRoom,
    NoSuchWorkflow,
    PreconditionRequired,
    Stale,
    TooMany,
)
from weft.server.documents.etags import etag_of
from weft.server.documents.saved import SavedWorkflows


@pytest.fixture
def workflows(tmp_path: Path) -> SavedWorkflows:
    return SavedWorkflows(tmp_path / "workflows", tmp_path / "versions", max_versions=5)


@pytest.fixture
def files(tmp_path: Path) -> Callable[[], dict[str, bytes]]:
    """Every file and what is in it."""
    return lambda: {
        str(path.relative_to(tmp_path)): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()
    }


def document(title: str, **meta: Any) -> dict[str, Any]:
    return {"weft": 1, "meta": {"title": title, **meta}, "nodes": {"a": {"type": "t", "inputs": {"x": 1}}}}


def quoted(etag: str) -> str:
    return f'"{etag}"'


def test_a_workflow_is_a_plain_file(workflows: SavedWorkflows) -> None:
    made = workflows.write("My first_v1.2-x", document("One"))
    path = workflows.folder / "My first_v1.2-x.json"
    assert path.read_bytes() == made.data == Workflow.parse(document("One")).to_json().encode()
    assert (made.created, made.etag, made.workflow.title) == (True, etag_of(made.data), "One")
    again = workflows.read("My first_v1.2-x")
    assert (again.data, again.etag, again.modified) == (made.data, made.etag, made.modified)
    [listed] = workflows.listing()
    assert (listed.name, listed.title, listed.etag, listed.problem) == ("My first_v1.2-x", "One", made.etag, None)
    assert listed.modified == path.stat().st_mtime


@pytest.mark.parametrize("source", [json.dumps(document("é")), json.dumps(document("é")).encode(), document("é")])
def test_a_document_is_taken_as_text_or_data(workflows: SavedWorkflows, source: Any) -> None:
    assert workflows.write("a", source).workflow.title == "é"
    assert workflows.write("b", Workflow.parse(source)).data == workflows.read("a").data


def test_replacing_needs_to_know_what_is_replaced(workflows: SavedWorkflows) -> None:
    one = workflows.write("a", document("One"))
    with pytest.raises(PreconditionRequired, match="If-Match"):
        workflows.write("a", document("Two"))
    two = workflows.write("a", document("Two"), if_match=quoted(one.etag))
    assert not two.created
    for header in (quoted(one.etag), "W/" + quoted(two.etag), '""', "", "x", quoted(two.etag[:-1]), two.etag.upper()):
        with pytest.raises(Stale, match="Somebody has changed") as stale:
            workflows.write("a", document("Three"), if_match=header)
        assert stale.value.etag == two.etag
    for header in ("*", two.etag, quoted(two.etag), f'"x", W/"y" , {quoted(two.etag)}'):
        assert workflows.write("a", document("Two"), if_match=header).etag == two.etag
    with pytest.raises(Stale, match="There is no workflow"):
        workflows.write("b", document("Two"), if_match="*")
    with pytest.raises(Stale, match="already"):
        workflows.write("a", document("Two"), if_none_match="*")
    assert workflows.write("b", document("Two"), if_none_match="*").created
    assert [version.title for version in workflows.versions("a")] == ["One"], "equal content is no new version"


def test_of_many_who_replace_the_same_one_wins(workflows: SavedWorkflows) -> None:
    start = workflows.write("a", document("start"))

    def replace(number: int) -> bool:
        try:
            workflows.write("a", document(f"{number}"), if_match=start.etag)
        except Stale:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(replace, range(24))) == 1
    assert [version.title for version in workflows.versions("a")] == ["start"]


def test_versions_are_what_was_there_whoever_wrote_it(workflows: SavedWorkflows) -> None:
    workflows.write("a", document("One"))
    path = workflows.folder / "a.json"
    by_hand = b'{"weft": 1, "nodes": {}, "meta": {"title": "By hand"}}'
    path.write_bytes(by_hand)
    os.utime(path, (1_000, 2_000))
    assert workflows.listing()[0].title == "By hand"
    with pytest.raises(PreconditionRequired):
        workflows.write("a", document("Two"))
    workflows.write("a", document("Two"), if_match=etag_of(by_hand))
    [version] = workflows.versions("a")
    assert (version.version, version.title, version.modified) == ("1", "By hand", 2_000.0)
    assert workflows.read("a", "1").data == by_hand


def test_only_so_many_versions_stay_and_numbers_go_on(workflows: SavedWorkflows) -> None:
    for number in range(12):
        workflows.write("a", document(f"{number}"), if_match="*" if number else None)
    assert [(version.version, version.title) for version in workflows.versions("a")] == [
        (f"{number}", f"{number - 1}") for number in (11, 10, 9, 8, 7)
    ]
    for version in ("6", "12", "0", "-1", "07", "x", "", "../a", "1\n", "9" * 30, "٧"):
        with pytest.raises(NoSuchWorkflow):
            workflows.read("a", version)
    assert workflows.read("a", "7").workflow.title == "6"


def test_what_is_deleted_can_be_saved_again(workflows: SavedWorkflows) -> None:
    one = workflows.write("a", document("One"))
    with pytest.raises(Stale):
        workflows.delete("a", if_match='"other"')
    workflows.delete("a", if_match=quoted(one.etag))
    assert workflows.listing() == []
    for call in (workflows.read, workflows.delete):
        with pytest.raises(NoSuchWorkflow):
            call("a")
    [version] = workflows.versions("a")
    assert version.etag == one.etag
    again = workflows.write("a", workflows.read("a", version.version).data)
    assert (again.created, again.etag) == (True, one.etag)
    with pytest.raises(NoSuchWorkflow):
        workflows.versions("never")


def test_few_deleted_ones_stay(tmp_path: Path) -> None:
    workflows = SavedWorkflows(tmp_path / "w", tmp_path / "v", max_workflows=3)
    for number in range(8):
        workflows.write(f"{number}", document("x"))
        workflows.delete(f"{number}")
        os.utime(tmp_path / "v" / f"{number}", (number, number))
    assert sorted(path.name for path in (tmp_path / "v").iterdir() if path.is_dir()) == ["5", "6", "7"]
    for number in range(3):
        workflows.write(f"{number}", document("x"))
    with pytest.raises(TooMany, match="3 workflows"):
        workflows.write("more", document("x"))
    workflows.write("1", document("y"), if_match="*")


def test_near_names_are_told(workflows: SavedWorkflows) -> None:
    workflows.write("portrait", document("x"))
    with pytest.raises(NoSuchWorkflow, match="Did you mean 'portrait'"):
        workflows.read("potrait")


# -- edited by hand


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"{", "Line 1, column 2"),
        (b"", "empty"),
        (b"\xff\xfe", "UTF-8"),
        (b'{"weft": 99, "nodes": {}}', "99"),
        (b'{"weft": 1, "nodes": {}, "__proto__": {}}', "'__proto__'"),
        (b"[" * 5000, "deep"),
        (b" " * (8 * 1024 * 1024 + 10), "at most 8,388,608"),
    ],
)
def test_what_is_broken_by_hand_is_listed_and_not_served(workflows: SavedWorkflows, text: bytes, words: str) -> None:
    workflows.write("good", document("Good"))
    (workflows.folder / "bad.json").write_bytes(text)
    bad, good = workflows.listing()
    assert (bad.name, bad.title, words in str(bad.problem)) == ("bad", "", True)
    assert (good.title, good.problem) == ("Good", None)
    with pytest.raises(BrokenDocument) as broken:
        workflows.read("bad")
    assert words in broken.value.problems[0].message
    workflows.write("bad", document("Mended"), if_match=bad.etag)
    assert workflows.read("bad").workflow.title == "Mended"
    [version] = workflows.versions("bad")
    assert (version.problem, (workflows._versions / "bad" / "000001.json").read_bytes()) == (bad.problem, text)


def test_a_change_that_looks_the_same_is_seen(workflows: SavedWorkflows) -> None:
    """Same size, same time, in the same moment."""
    workflows.write("a", document("One"))
    path = workflows.folder / "a.json"
    state = path.stat()
    assert workflows.listing()[0].title == "One"
    path.write_bytes(path.read_bytes().replace(b"One", b"Two"))
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert workflows.listing()[0].title == "Two"


def test_a_list_reads_files_again_only_when_they_change(
    workflows: SavedWorkflows, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "abc":
        workflows.write(name, document(name))
    monkeypatch.setattr(saved.time, "time_ns", lambda: 2**62)
    first = workflows.listing()
    opened: list[str] = []
    read = workflows._bytes
    monkeypatch.setattr(workflows, "_bytes", lambda path: opened.append(path.name) or read(path))
    assert workflows.listing() == first
    assert opened == []
    (workflows.folder / "b.json").write_text('{"weft": 1, "nodes": {}, "meta": {"title": "changed"}}')
    assert [listed.title for listed in workflows.listing()] == ["a", "changed", "c"]
    assert opened == ["b.json"]
    (workflows.folder / "a.json").unlink()
    workflows.listing()
    assert len(workflows._looked) == 2


# -- names and links


def test_no_name_leaves_the_folder(workflows: SavedWorkflows, tmp_path: Path, files: Any) -> None:
    for place in (tmp_path, workflows.folder):
        (place / "secret").write_text('{"weft": 1, "nodes": {}}')
        (place / ".hidden.json").write_text('{"weft": 1, "nodes": {}}')
    (tmp_path / "secret.json").write_text('{"weft": 1, "nodes": {}}')
    before = files()
    assert len(TRAVERSALS) >= 60
    for name in TRAVERSALS:
        for call in (
            workflows.read,
            workflows.delete,
            workflows.versions,
            lambda name: workflows.write(name, document("x")),
            lambda name: workflows.read(name, "1"),
        ):
            with pytest.raises(BadName) as refused:
                call(name)
            assert str(tmp_path) not in str(refused.value), name
        if name:
            workflows.write("fine", document("x"), if_match=None if "workflows/fine.json" not in files() else "*")
            with pytest.raises(NoSuchWorkflow):
                workflows.read("fine", name)
    workflows.delete("fine")
    after = files()
    assert {name: data for name, data in after.items() if "fine" not in name and not name.endswith(".lock")} == before
    assert workflows.listing() == []


@pytest.mark.parametrize("name", ["a", "A b", "1", "-", "_", " ", "a.", "a.json", "日本語", "é" * 50, "x" * 100])
def test_names_that_are_allowed(workflows: SavedWorkflows, name: str) -> None:
    workflows.write(name, document("x"))
    assert [listed.name for listed in workflows.listing()] == [name]
    workflows.write(name, document("y"), if_match="*")
    assert workflows.read(name, "1").workflow.title == "x"
    workflows.delete(name)


def test_an_accent_is_one_character_however_it_was_typed(workflows: SavedWorkflows) -> None:
    workflows.write("cafe\u0301", document("x"))
    assert workflows.read("caf\u00e9").name == "caf\u00e9"


def test_links_are_not_followed(workflows: SavedWorkflows, tmp_path: Path) -> None:
    secret = tmp_path / "secret.json"
    secret.write_text('{"weft": 1, "nodes": {}}')
    (workflows.folder / "link.json").symlink_to(secret)
    (workflows.folder / "folder.json").mkdir()
    os.mkfifo(workflows.folder / "pipe.json")
    assert workflows.listing() == []
    for name in ("link", "folder", "pipe"):
        for call in (workflows.read, workflows.delete, workflows.versions):
            with pytest.raises(NoSuchWorkflow):
                call(name)
        with pytest.raises(InTheWay):
            workflows.write(name, document("x"))
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "000001.json").write_text('{"weft": 1, "nodes": {}}')
    (tmp_path / "versions" / "a").symlink_to(tmp_path / "elsewhere")
    workflows.write("a", document("x"))
    assert workflows.versions("a") == []
    with pytest.raises(NoSuchWorkflow):
        workflows.read("a", "1")
    with pytest.raises(InTheWay):
        workflows.write("a", document("y"), if_match="*")
    assert secret.read_text() == '{"weft": 1, "nodes": {}}'
    assert [path.name for path in (tmp_path / "elsewhere").iterdir()] == ["000001.json"]


# -- faults


def test_a_full_disk_changes_nothing(workflows: SavedWorkflows, files: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    workflows.write("a", document("One"))
    before = files()
    count = 0

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    def second(handle: int) -> None:
        nonlocal count
        count += 1
        if count == 2:
            full()

    for refuse in (full, second):
        with monkeypatch.context() as patch:
            patch.setattr("weft.graphs.files.os.fsync", refuse)
            with pytest.raises(NoRoom):
                workflows.write("a", document("Two"), if_match="*")
        assert workflows.read("a").workflow.title == "One"
    with monkeypatch.context() as patch:
        patch.setattr("weft.graphs.files.os.fsync", full)
        with pytest.raises(NoRoom):
            workflows.delete("a")
    assert {name: data for name, data in files().items() if "versions" not in name} == {
        name: data for name, data in before.items() if "versions" not in name
    }
    assert not [name for name in files() if name.endswith(".tmp")]


@pytest.mark.parametrize(
    "source",
    [
        b"{",
        {"weft": 1},
        {"weft": 1, "nodes": {"a b": {"type": "t"}}},
        {"weft": 1, "nodes": {}, "meta": {"prototype": 1}},
    ],
)
def test_what_is_no_workflow_is_not_saved(workflows: SavedWorkflows, source: Any) -> None:
    with pytest.raises(WorkflowError):
        workflows.write("a", source)
    assert workflows.listing() == []


def test_limits_hold(tmp_path: Path) -> None:
    workflows = SavedWorkflows(tmp_path / "w", tmp_path / "v", Limits(max_bytes=100))
    with pytest.raises(WorkflowError) as refused:
        workflows.write("a", json.dumps(document("x" * 100)))
    assert refused.value.problems[0].code == "too_large"


def test_what_is_far_too_large_is_not_copied(tmp_path: Path) -> None:
    workflows = SavedWorkflows(tmp_path / "w", tmp_path / "v", Limits(max_bytes=1000))
    (tmp_path / "w" / "a.json").write_bytes(b" " * 5000)
    with pytest.raises(InTheWay, match="far too large"):
        workflows.write("a", document("x"), if_match="*")
    assert (tmp_path / "w" / "a.json").stat().st_size == 5000
    assert [len(text) for text in workflows.texts()] == [4000]


def test_all_texts_are_seen_for_what_they_name(workflows: SavedWorkflows) -> None:
    workflows.write("a", document("One"))
    workflows.write("a", document("Two"), if_match="*")
    workflows.write("b", document("Three"))
    workflows.delete("b")
    (workflows.folder / "bad.json").write_text("{ broken")
    texts = b"".join(workflows.texts())
    for word in (b"One", b"Two", b"Three", b"{ broken"):
        assert texts.count(word) == 1


def test_every_error_has_an_answer() -> None:
    for error in DocumentError.__subclasses__():
        assert 400 <= error.status < 600
        assert error.__doc__
