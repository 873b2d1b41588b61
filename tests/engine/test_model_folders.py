"""Model folders: a setting of the process that comes from the environment, and may always be read."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from weft.engine import Catalogue, Context, InputPathError, check, node, run
from weft.engine.declaring.model_folders import VARIABLE, model_folders, using_model_folders
from weft.engine.declaring.ports import Widget


@pytest.fixture(autouse=True)
def none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.chdir(tmp_path)


def test_the_environment_names_them_in_order(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert model_folders() == ()
    monkeypatch.setenv("HOME", str(tmp_path / "me"))
    monkeypatch.setenv(VARIABLE, os.pathsep.join(["b", "", "/a/x", "b", "~/models", " "]))
    assert model_folders() == (tmp_path / "b", Path("/a/x"), tmp_path / "me" / "models")


def test_others_for_a_while(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    with using_model_folders(["one"]):
        assert model_folders() == (tmp_path / "one",)
    assert model_folders() == (tmp_path,)
    with using_model_folders(None):
        assert model_folders() == (tmp_path,)
    with pytest.raises(RuntimeError), using_model_folders(["one"]):
        raise RuntimeError
    assert model_folders() == (tmp_path,)


def test_one_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match=f"{tmp_path / 'gone'} is not there$"), using_model_folders(["gone"]):
        pass
    with pytest.raises(ValueError, match="file is no folder"), using_model_folders(["file"]):
        pass
    with pytest.raises(ValueError, match="its name is empty or holds"), using_model_folders([f"a{os.pathsep}b"]):
        pass
    assert model_folders() == ()
    monkeypatch.setenv(VARIABLE, str(tmp_path / "nowhere"))
    with pytest.raises(ValueError, match=f"nowhere is not there .{VARIABLE} names it"), using_model_folders(None):
        pass


def test_they_may_be_read_where_reading_is_bounded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("inside", "models", "elsewhere"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "f").write_text("")
    context = Context(roots=[tmp_path / "inside"])
    with pytest.raises(InputPathError):
        context.resolve_input_path(tmp_path / "models" / "f")
    monkeypatch.setenv(VARIABLE, str(tmp_path / "models"))
    assert context.resolve_input_path(tmp_path / "models" / "f") == tmp_path / "models" / "f"
    for hostile in (tmp_path / "elsewhere" / "f", tmp_path / "models" / ".." / "elsewhere" / "f", "../models/../x"):
        with pytest.raises(InputPathError):
            context.resolve_input_path(hostile)


def test_a_fingerprint_reads_what_the_node_reads(tmp_path: Path) -> None:
    """A relative path means the same to both, in whichever folder the process works."""
    root = tmp_path / "root"
    root.mkdir()

    def content(source: str, ctx: Context) -> str:
        return ctx.resolve_input_path(source).read_text()

    @node("read_source", fingerprint=content)
    def read_source(source: str, ctx: Context) -> str:
        return ctx.resolve_input_path(source).read_text()

    catalogue, cache = Catalogue([read_source]), None
    from weft.engine import Cache

    cache = Cache()
    document = {"weft": 1, "nodes": {"a": {"type": "read_source", "inputs": {"source": "f"}}}}

    def made() -> tuple[str, int]:
        result = run(document, ["a"], catalogue=catalogue, cache=cache, roots=[root])
        return result["a"], result.ran

    (root / "f").write_text("one")
    assert made() == ("one", 1)
    assert made() == ("one", 0)
    (root / "f").write_text("two")
    assert made() == ("two", 1)


def test_a_check_resolves_as_the_node_will(tmp_path: Path) -> None:
    seen: list[object] = []

    def look(view: object) -> list[object]:
        for text in ("f", "../f"):
            try:
                seen.append(view.resolve(text))  # type: ignore[attr-defined]
            except InputPathError as error:
                seen.append(str(error))
        return []

    @node("looked_at", check=look)  # type: ignore[arg-type]
    def looked_at(source: str = "f") -> str:
        return source

    document = {"weft": 1, "nodes": {"a": {"type": "looked_at"}}}
    assert check(document, Catalogue([looked_at]), targets=["a"], roots=[tmp_path]) == []
    assert seen[0] == tmp_path / "f"
    assert "outside the folders" in str(seen[1])


def test_names_of_a_widget_that_is_no_file_are_not_looked_for() -> None:
    from typing import Annotated

    @node("named")
    def named(source: Annotated[str, Widget("model", names=("tiny",))]) -> str:
        return source

    document = {"weft": 1, "nodes": {"a": {"type": "named", "inputs": {"source": "no/such/file"}}}}
    assert check(document, Catalogue([named]), targets=["a"]) == []
