"""Files by the hash of what is in them, in the place of paths."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Annotated, Any

import pytest

from weft.engine import Cache, Catalogue, Context, NoSuchFileError, check, forecast, node, run
from weft.engine.declaring.file_store import VARIABLE, file_store, place_of, set_file_store, stored_file
from weft.engine.declaring.ports import Widget


def stored(folder: Path, data: bytes) -> str:
    """A file as the store keeps it; its id."""
    id = "sha256:" + hashlib.sha256(data).hexdigest()
    path = place_of(folder, id)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return id


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    folder = tmp_path / "files"
    folder.mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(VARIABLE, str(folder))
    return folder


@pytest.fixture
def catalogue() -> Catalogue:
    @node("read_text")
    def read_text(path: Annotated[str, Widget("file")], ctx: Context) -> str:
        return ctx.resolve_input_path(path).read_text()

    @node("read_all")
    def read_all(paths: Annotated[list[str], Widget("file")], ctx: Context) -> str:
        return " ".join(ctx.resolve_input_path(path).read_text() for path in paths)

    @node("list_folder")
    def list_folder(path: Annotated[str, Widget("folder")], ctx: Context) -> str:
        return str(ctx.resolve_input_path(path))

    @node("said")
    def said(text: str, ctx: Context) -> dict[str, str]:
        return ctx.provenance()

    return Catalogue([read_text.node_type, read_all.node_type, list_folder.node_type, said.node_type])


def document(type: str, **inputs: Any) -> dict[str, Any]:
    return {"weft": 1, "nodes": {"a": {"type": type, "inputs": inputs}}}


def test_a_run_reads_a_file_by_its_hash_wherever_reading_is_bounded(
    store: Path, catalogue: Catalogue, tmp_path: Path
) -> None:
    one, two = stored(store, b"one"), stored(store, b"two")
    (tmp_path / "root").mkdir()
    for roots in (None, [], [tmp_path / "root"]):
        assert check(document("read_text", path=one), catalogue, roots=roots, targets=["a"]) == []
        result = run(document("read_all", paths=[one, two]), catalogue=catalogue, roots=roots, targets=["a"])
        assert result["a"] == "one two"


def test_the_key_is_the_content_and_not_the_folder(store: Path, catalogue: Catalogue, tmp_path: Path) -> None:
    id, cache = stored(store, b"one"), Cache()
    first = run(document("read_text", path=id), catalogue=catalogue, cache=cache, targets=["a"])
    other = tmp_path / "other"
    stored(other, b"one")
    set_file_store(other)
    place_of(store, id).unlink()
    told = forecast(document("read_text", path=id), catalogue=catalogue, cache=cache, targets=["a"])
    assert told.nodes["a"].will == "cached"
    again = run(document("read_text", path=id), catalogue=catalogue, cache=cache, targets=["a"])
    assert (first["a"], again["a"], again.cached, again.ran) == ("one", "one", 1, 0)


def test_provenance_has_the_id_and_no_path(store: Path, catalogue: Catalogue) -> None:
    id = stored(store, b"one")
    workflow = {
        "weft": 1,
        "nodes": {
            "a": {"type": "read_text", "inputs": {"path": id}},
            "b": {"type": "said", "inputs": {"text": {"link": "a"}}},
        },
    }
    texts = run(workflow, catalogue=catalogue, targets=["b"])["b"]
    assert json.loads(texts["weft_workflow"])["nodes"]["a"]["inputs"] == {"path": id}
    assert str(store) not in json.dumps(texts)


@pytest.mark.parametrize("roots", [None, []])
def test_an_id_that_names_nothing_is_a_problem_that_tells_no_other_id(
    store: Path, catalogue: Catalogue, roots: list[Path] | None
) -> None:
    id = stored(store, b"one")
    near = id[:-1] + ("0" if id[-1] != "0" else "1")
    found = check(document("read_all", paths=[near, id]), catalogue, roots=roots, targets=["a"])
    assert [(problem.code, problem.input, problem.given) for problem in found] == [("bad_value", "paths", near)]
    assert found[0].message == f"there is no file {near}: it was not uploaded here, or it was removed since."
    assert id not in str(found[0])
    assert str(store) not in str(found[0])
    assert found[0].suggestion is None


@pytest.mark.parametrize(
    "text",
    [
        "sha256:",
        "sha256:abc",
        "sha256:" + "A" * 64,
        "sha256:" + "g" * 64,
        "sha256:" + "0" * 63,
        "sha256:" + "0" * 65,
        "sha256:" + "0" * 64 + "\n",
        "sha256:../../" + "0" * 58,
        "sha256:/etc/passwd",
        "sha256:" + "٣" * 64,
    ],
)
def test_what_only_looks_like_an_id_is_refused_with_its_form(store: Path, catalogue: Catalogue, text: str) -> None:
    found = check(document("read_text", path=text), catalogue, roots=[], targets=["a"])
    assert [problem.code for problem in found] == ["bad_value"]
    assert "64 hex digits in lower case" in found[0].message
    with pytest.raises(NoSuchFileError):
        Context().resolve_input_path(text)


def test_upper_case_is_answered_with_lower_case() -> None:
    with pytest.raises(NoSuchFileError, match=rf"in lower case it would be sha256:{'a' * 64}\)$"):
        stored_file("sha256:" + "A" * 64)


def test_without_a_store_there_are_no_such_files(
    store: Path, catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    id = stored(store, b"one")
    monkeypatch.delenv(VARIABLE)
    assert file_store() is None
    [problem] = check(document("read_text", path=id), catalogue, targets=["a"])
    assert (problem.code, "there is no file store here" in problem.message) == ("bad_value", True)


def test_links_in_the_store_are_not_followed(store: Path, catalogue: Catalogue, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    id = "sha256:" + "ab" * 32
    place_of(store, id).parent.mkdir()
    place_of(store, id).symlink_to(tmp_path / "secret")
    folder = "sha256:" + "cd" * 32
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / ("cd" * 32)).write_text("secret")
    (store / "cd").symlink_to(tmp_path / "elsewhere")
    for name in (id, folder):
        [problem] = check(document("read_text", path=name), catalogue, targets=["a"])
        assert problem.code == "bad_value"
        with pytest.raises(NoSuchFileError):
            stored_file(name)


def test_a_file_is_no_folder(store: Path, catalogue: Catalogue) -> None:
    [problem] = check(document("list_folder", path=stored(store, b"one")), catalogue, targets=["a"])
    assert (problem.code, problem.expected) == ("bad_value", "an existing folder")


def test_a_file_that_goes_between_check_and_run_is_named(store: Path, catalogue: Catalogue) -> None:
    """By its id, and without where it lay."""
    id = stored(store, b"one")
    context = Context()
    path = context.resolve_input_path(id)
    assert path.read_bytes() == b"one"
    path.unlink()
    with pytest.raises(NoSuchFileError, match=f"there is no file {id}") as failure:
        context.resolve_input_path(id)
    assert str(store) not in str(failure.value)


def test_a_relative_folder_is_made_absolute_when_it_is_set(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(store.parent)
    set_file_store("files")
    monkeypatch.chdir("/")
    assert file_store() == store
    set_file_store(None)
    assert VARIABLE not in os.environ


def test_a_file_of_such_a_name_is_still_reached_by_a_path(store: Path, catalogue: Catalogue, tmp_path: Path) -> None:
    (tmp_path / "sha256:x").write_text("mine")
    assert run(document("read_text", path="./sha256:x"), catalogue=catalogue, targets=["a"])["a"] == "mine"
