"""Packs that are installed: what they bring, and what happens to the others when one of them is no good."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.packs import declaring, install
from weft.engine import Cache, Catalogue, run
from weft.engine.catalogue.catalogue import Failure


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder on the path. What is imported from there is forgotten after the test."""
    place = tmp_path / "site"
    place.mkdir()
    monkeypatch.syspath_prepend(str(place))
    before = set(sys.modules)
    yield place
    for name in set(sys.modules) - before:
        if name.startswith("pack_"):
            del sys.modules[name]


def names(catalogue: Catalogue) -> set[str]:
    return {node_type.name for node_type in catalogue if node_type.category == "pack"}


def only(failures: list[Failure]) -> Failure:
    (failure,) = failures
    return failure


def test_a_pack_brings_the_nodes_of_its_package(site: Path) -> None:
    install(
        site,
        "pack_whole",
        init=declaring("whole_init"),
        one=declaring("whole_one"),
        inner__init="",
        inner__deep__init="",
        inner__deep__two=declaring("whole_two"),
        _private="raise AssertionError('left alone')",
        tests__init="raise AssertionError('left alone')",
    )
    (site / "pack_whole" / "__main__.py").write_text("raise AssertionError('left alone')")
    (site / "pack_whole" / "up").symlink_to(site / "pack_whole")
    catalogue = Catalogue.load()
    assert catalogue.failures == []
    assert names(catalogue) == {"whole_init", "whole_one", "whole_two"}
    assert run({"weft": 1, "nodes": {"a": {"type": "whole_two", "inputs": {}}}}, ["a"], cache=Cache(),
               catalogue=catalogue)["a"] == 1  # fmt: skip


def test_a_package_may_say_which_folders_hold_its_nodes(site: Path) -> None:
    install(
        site,
        "pack_parts",
        init="NODE_FOLDERS = ('light',)",
        light__init="",
        light__one=declaring("parts_one"),
        heavy__init="raise AssertionError('not asked for')",
    )
    catalogue = Catalogue.load()
    assert (names(catalogue), catalogue.failures) == ({"parts_one"}, [])


def test_an_entry_module_that_is_no_package_brings_what_it_has_of_its_own_package(site: Path) -> None:
    install(
        site,
        "pack_module",
        "pack_module.nodes",
        nodes="from pack_module.impl import module_one\nfrom weft.nodes import cfg",
        impl=declaring("module_one"),
        other="raise AssertionError('not asked for')",
    )
    catalogue = Catalogue.load()
    assert (names(catalogue), catalogue.failures) == ({"module_one"}, [])


@pytest.mark.parametrize("attribute", ["attr_one", "LIST", "Holder.nodes", "module"])
def test_an_entry_point_may_name_an_attribute(site: Path, attribute: str) -> None:
    more = "LIST = [attr_one]\nclass Holder: nodes = (attr_one,)\nimport pack_attr as module\n"
    install(site, "pack_attr", f"pack_attr:{attribute}", init=declaring("attr_one") + more)
    catalogue = Catalogue.load()
    assert (names(catalogue), catalogue.failures) == ({"attr_one"}, [])


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ("pack_odd:NUMBER", "should be a node, a list of nodes or a module; it holds 3"),
        ("pack_odd:nowhere", "nowhere"),
        ("pack_odd.nowhere", "No module named"),
        ("no name at all", "names no module"),
    ],
)
def test_an_entry_point_that_names_nothing_of_use(site: Path, entry: str, words: str) -> None:
    install(site, "pack_odd", entry, init="NUMBER = 3")
    failure = only(Catalogue.load().failures)
    assert "pack 'pack_odd'" in failure.origin
    assert words in failure.message


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("raise ValueError('out of order')", "out of order"),
        ("import sys\nsys.exit(0)", "SystemExit"),
        ("class Stop(BaseException): pass\nraise Stop('skipped')", "skipped"),
        ("1 +", "SyntaxError"),
    ],
)
def test_a_module_that_fails_leaves_the_others_of_its_pack_alone(site: Path, text: str, words: str) -> None:
    install(site, "pack_half", a=declaring("half_a"), bad=text, z=declaring("half_z"))
    catalogue = Catalogue.load()
    assert names(catalogue) == {"half_a", "half_z"}
    failure = only(catalogue.failures)
    assert "pack 'pack_half'" in failure.origin
    assert "pack_half.bad" in failure.origin
    assert words in failure.message


def test_a_folder_of_a_pack_that_fails_leaves_the_other_folders_alone(site: Path) -> None:
    install(site, "pack_deep", a__init="raise ValueError('a')", a__one=declaring("deep_a"), b=declaring("deep_b"))
    catalogue = Catalogue.load()
    assert names(catalogue) == {"deep_b"}
    assert "pack_deep.a" in only(catalogue.failures).origin


def test_a_node_with_a_bad_annotation_leaves_those_beside_it_alone(site: Path) -> None:
    bad = "\n@node('lost')\ndef lost(x: 'Nowhere') -> int: ...\n"
    again = "from pack_lost import lost"
    install(site, "pack_lost", init=declaring("lost_a") + bad + declaring("lost_b"), again=again)
    catalogue = Catalogue.load()
    assert names(catalogue) == {"lost_a", "lost_b"}
    failure = only(catalogue.failures)
    assert "node 'lost'" in failure.origin
    assert "Nowhere" in failure.message


def test_a_pack_that_prints_does_not_touch_stdout(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    install(site, "pack_loud", init="print('hello')", inner="print('again')\n" + declaring("loud"))
    assert names(Catalogue.load()) == {"loud"}
    assert capsys.readouterr() == ("", "hello\nagain\n")


def test_a_pack_that_brings_none_is_said(site: Path) -> None:
    install(site, "pack_empty", helpers="from weft.nodes import cfg", _nodes=declaring("hidden"))
    failure = only(Catalogue.load().failures)
    assert failure.origin == "pack 'pack_empty'"
    assert "brings no node" in failure.message
    assert "pack_empty.helpers" in failure.message


def test_of_two_packs_with_one_node_name_the_first_by_name_has_it(site: Path) -> None:
    install(site, "pack_b", one=declaring("shared", 2), two=declaring("b_alone"))
    install(site, "pack_a", one=declaring("shared", 1))
    catalogue = Catalogue.load()
    assert names(catalogue) == {"shared", "b_alone"}
    shared = catalogue.get("shared")
    assert shared is not None
    assert shared.fn() == 1
    failure = only(catalogue.failures)
    assert "pack 'pack_b'" in failure.origin
    assert str(site / "pack_a" / "one.py") in failure.message
    assert str(site / "pack_b" / "one.py") in failure.message


def test_no_pack_takes_the_place_of_our_nodes(site: Path) -> None:
    """Neither by its name, nor by what it hands in under our function."""
    from weft.nodes import cfg

    wrapped = "from weft import node\nfrom weft.nodes import cfg\nmine = [node('cfg', version=99)(cfg.node_type.fn)]"
    install(site, "pack_0", init=declaring("cfg"))
    install(site, "pack_1", "pack_1:mine", init=wrapped)
    catalogue = Catalogue.load()
    assert catalogue.get("cfg") is cfg.node_type  # type: ignore[attr-defined]
    assert ["pack_0" in failure.origin or "pack_1" in failure.origin for failure in catalogue.failures] == [True, True]


def test_folders_come_after_packs_in_the_order_given(site: Path, tmp_path: Path) -> None:
    install(site, "pack_f", init=declaring("shared", 1))
    for number, name in enumerate(["z", "a"]):
        (tmp_path / name).mkdir()
        (tmp_path / name / "one.py").write_text(declaring("shared", 2) + declaring("folder", number))
    catalogue = Catalogue.load([tmp_path / "z", tmp_path / "a"])
    values = {node_type.name: node_type.fn() for node_type in catalogue if node_type.category == "pack"}
    assert values == {"shared": 1, "folder": 0}
    assert len(catalogue.failures) == 3


def test_broken_metadata_of_one_package_cost_the_others_nothing(site: Path) -> None:
    install(site, "pack_good", init=declaring("good"))
    install(site, "pack_broken", init=declaring("broken"))
    (site / "pack_broken-1.0.dist-info" / "entry_points.txt").write_text("[weft.nodes]\nno equals sign\n")
    catalogue = Catalogue.load()
    assert names(catalogue) == {"good"}
    assert "pack_broken" in only(catalogue.failures).origin
