"""Results that are not what their keys say are not kept: files that change meanwhile, what no key has in it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import pytest

from tests.engine import isolated_doubts as nodes
from tests.engine import toys
from tests.engine.flow import catalogue, document, link
from weft.engine import Cache, Context, Files, RunFailed, Widget, node, run
from weft.engine.filehash import content_hash, folder_hash, taken_down
from weft.graphs import Graph

OTHER: list[Callable[[], object]] = []
"""What happens to the file while the node runs."""


@node("reads_late")
def reads_late(path: Path) -> str:
    """Something happens before it reads, and after."""
    for act in OTHER[:1]:
        act()
    text = path.read_text()
    for act in OTHER[1:]:
        act()
    return text


@node("reads_folder")
def reads_folder(path: Annotated[str, Widget("folder")]) -> str:
    """As `reads_late`, of a folder."""
    for act in OTHER:
        act()
    return " ".join(sorted(file.name for file in Path(path).iterdir()))


@node("reads_own", fingerprint=lambda path: content_hash(path))
def reads_own(path: str) -> str:
    """Has a fingerprint of its own."""
    return str(reads_late.node_type.fn(Path(path)))


@node("reads_in_graph")
def reads_in_graph(path: Path) -> str | Graph:
    """Reads, and lets a graph do the rest."""
    text = reads_late.node_type.fn(path)
    with Graph() as graph:
        graph.returns(upper(graph.given([text])))
    return graph


@node("upper")
def upper(texts: list[str]) -> str:
    """In capitals."""
    return "".join(texts).upper()


@node("lists")
def lists(text: str) -> list[str]:
    """Each letter."""
    return list(text)


@node("sheet_of_letters")
def sheet_of_letters(letters: list[str]) -> str | Graph:
    """A graph over the letters."""
    with Graph() as graph:
        graph.returns(upper([upper([graph.given(letter)]) for letter in letters]))
    return graph


CATALOGUE = catalogue(reads_late, reads_folder, reads_own, reads_in_graph, upper, lists, sheet_of_letters)


@pytest.fixture(autouse=True)
def nothing_happens() -> Any:
    OTHER.clear()
    yield
    OTHER.clear()


def to(path: Path, text: str) -> Callable[[], object]:
    return lambda: path.write_text(text)


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "weft.run"]


@pytest.mark.parametrize("type", ["reads_late", "reads_own", "reads_in_graph"])
@pytest.mark.parametrize("on_disk", [False, True])
def test_a_file_that_changes_between_key_and_reading(
    type: str, on_disk: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It is back as it was when the next run looks at it, and only then would the wrong result be found."""
    file = tmp_path / "a.txt"
    file.write_text("one")
    cache = Cache(tmp_path / "cache" if on_disk else None)
    source = document(r=(type, {"path": str(file)}), l=("lists", {"text": link("r")}), e=("show", {"value": link("l")}))
    OTHER[:] = [to(file, "two"), to(file, "one")]
    first = run(source, ["e"], catalogue=CATALOGUE, cache=cache)
    assert "".join(first["e"]).lower() == "two", "what was read is what this run has"
    [said] = warnings(caplog)
    assert "r (" in said
    assert str(file) in said
    OTHER.clear()
    again = run(source, ["e"], catalogue=CATALOGUE, cache=Cache(tmp_path / "cache") if on_disk else cache)
    assert "".join(again["e"]).lower() == "one"
    assert again.ran == 3, "neither it nor what is made of it was kept"
    assert run(source, ["e"], catalogue=CATALOGUE, cache=cache).ran == 0, "now it is"


def test_nothing_of_it_is_in_history(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_text("one")
    cache = Cache()
    source = document(r=("reads_late", {"path": str(file)}), other=("text", {"value": "x"}))
    OTHER[:] = [to(file, "two")]
    run(source, ["r", "other"], catalogue=CATALOGUE, cache=cache)
    assert cache.history is not None
    assert cache.history.of_type("text")
    assert not cache.history.of_type("reads_late")


def test_what_does_not_depend_on_it_is_kept_and_graphs_that_do_are_not(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_text("ab")
    cache = Cache()
    source = document(
        r=("reads_late", {"path": str(file)}),
        l=("lists", {"text": link("r")}),
        m=("map_over", {"items": link("l"), "axis": "x"}),
        n=("same", {"value": link("m")}),
        c=("collect", {"item": link("n"), "axis": "x"}),
        s=("sheet_of_letters", {"letters": link("c")}),
        t=("text", {"value": "x"}),
    )
    OTHER[:] = [to(file, "xy"), to(file, "ab")]
    assert run(source, ["s", "t"], catalogue=CATALOGUE, cache=cache)["s"] == "XY"
    OTHER.clear()
    again = run(source, ["s", "t"], catalogue=CATALOGUE, cache=cache)
    assert (again["s"], again["t"]) == ("AB", "x")
    assert run(source, ["t"], catalogue=CATALOGUE, cache=cache).ran == 0
    assert again.ran == 4, "r, l, n and s"


def test_a_file_more_in_a_folder(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = tmp_path / "f"
    folder.mkdir()
    (folder / "a").write_text("a")
    cache = Cache()
    source = document(r=("reads_folder", {"path": str(folder)}))
    OTHER[:] = [to(folder / "b", "b")]
    assert run(source, ["r"], catalogue=CATALOGUE, cache=cache)["r"] == "a b"
    assert len(warnings(caplog)) == 1
    (folder / "b").unlink()
    OTHER.clear()
    again = run(source, ["r"], catalogue=CATALOGUE, cache=cache)
    assert (again["r"], again.ran) == ("a", 1)


@pytest.mark.parametrize("isolate", [False, True])
@pytest.mark.parametrize("type", ["meddles", "meddles_folder"])
def test_fingerprints_of_packs_say_which_files_they_are_made_of(
    type: str, isolate: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Also where a worker calls them."""
    file = tmp_path / "f" / "a"
    file.parent.mkdir()
    file.write_text("one")
    cache, known = Cache(), catalogue(*nodes.NODES)
    source = document(m=(type, {"path": str(file if type == "meddles" else file.parent)}))
    result = run(source, ["m"], catalogue=known, cache=cache, isolate=isolate)
    assert result["m"] == ("eno" if type == "meddles" else 2)
    assert len(warnings(caplog)) == 1
    if type == "meddles_folder":
        (file.parent / "more").unlink()
    assert run(source, ["m"], catalogue=known, cache=cache, isolate=isolate).ran == 1


def test_a_second_write_in_one_tick_of_the_clock_is_told_by_content(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_text("one")
    with taken_down() as states:
        content_hash(file)
        folder_hash(tmp_path)
    [state, *_] = states
    assert not any(state.has_changed() for state in states)
    before = os.stat(file)
    file.write_text("two")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert state.has_changed()
    file.unlink()
    assert all(state.has_changed() for state in states)


def test_a_run_that_ends_early_keeps_nothing_of_it(tmp_path: Path) -> None:
    """What was in flight when another node failed is kept as well, but not this."""
    file = tmp_path / "a.txt"
    file.write_text("one")
    cache = Cache()
    source = document(r=("reads_late", {"path": str(file)}), bad=("boom", {"value": 1}))
    OTHER[:] = [to(file, "two"), to(file, "one")]
    with pytest.raises(RunFailed):
        run(source, ["r", "bad"], catalogue=CATALOGUE, cache=cache)
    OTHER.clear()
    assert run(source, ["r"], catalogue=CATALOGUE, cache=cache)["r"] == "one"


@pytest.mark.parametrize("isolate", [False, True])
@pytest.mark.parametrize("type", ["writes_undeclared", "asks_for_the_folder"])
def test_writing_without_saying_so(type: str, isolate: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    cache = Cache()
    known = catalogue(*nodes.NODES)
    source = document(w=(type, {"name": "n"}), after=("show", {"value": link("w")}))
    for count, name in enumerate(("first", "second"), 1):
        out = tmp_path / name
        result = run(source, ["after"], catalogue=known, cache=cache, out=out, isolate=isolate)
        assert (out / "n.txt").read_text() == "n", "each run writes"
        assert result.ran == 2, "what is made of it is not kept either"
        said = warnings(caplog)
        assert len(said) == count
        assert "w (" in said[-1]
        assert "side_files=True" in said[-1]


def test_writing_as_declared_is_kept(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    cache = Cache()
    source = document(w=("write", {"text": "x", "name": "n"}))
    for ran in (1, 0):
        result = run(source, ["w"], catalogue=toys.catalogue(), cache=cache, out=tmp_path)
        assert result.ran == ran
        assert isinstance(result["w"], Files)
    assert not warnings(caplog)


@node("named")
def named(a: int, ctx: Context | None = None) -> str:
    """Its id."""
    assert ctx is not None
    return ctx.node_id


def _helped(ctx: Any) -> str:
    return str(ctx.node_id)


@node("named_by_a_helper")
def named_by_a_helper(a: int, ctx: Context | None = None) -> str:
    """Its id, by a function."""
    return _helped(ctx)


@pytest.mark.parametrize("made", [named, named_by_a_helper])
def test_a_node_that_reads_its_id_has_it_in_its_key(made: Any) -> None:
    cache, known = Cache(), catalogue(made)
    type = made.node_type.name
    source = document(a=(type, {"a": 1}), b=(type, {"a": 1}))
    result = run(source, ["a", "b"], catalogue=known, cache=cache)
    assert (result["a"], result["b"]) == ("a", "b")
    assert run(source, ["a", "b"], catalogue=known, cache=cache).ran == 0
    renamed = run(document(c=(type, {"a": 1})), ["c"], catalogue=known, cache=cache)
    assert (renamed["c"], renamed.ran) == ("c", 1)


@pytest.mark.parametrize("isolate", [False, True])
def test_an_id_that_is_read_in_secret_is_noticed(isolate: bool, caplog: pytest.LogCaptureFixture) -> None:
    type = "secret_there" if isolate else "secret_here"
    cache, known = Cache(), catalogue(*nodes.NODES)
    for place, name in enumerate(("a", "b", "c")):
        result = run(document(**{name: (type, {})}), [name], catalogue=known, cache=cache, isolate=isolate)
        assert (result[name], result.ran) == (name, 1)
        assert len(warnings(caplog)) == 1, place
    assert run(document(c=(type, {})), ["c"], catalogue=known, cache=cache, isolate=isolate).ran == 0


def test_other_nodes_with_a_context_share_as_before() -> None:
    cache = Cache()
    source = document(a=("steps", {"count": 2}), b=("steps", {"count": 2}))
    assert run(source, ["a", "b"], catalogue=toys.catalogue(), cache=cache).ran == 1
