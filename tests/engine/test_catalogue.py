from __future__ import annotations

import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tests.engine import toys
from weft.engine import Catalogue, node
from weft.engine.catalogue.catalogue import CatalogueError

GOOD = """
from weft.engine import node

@node("good", category="pack")
def good() -> int:
    return 1
"""


def folder(tmp_path: Path, name: str, **files: str) -> Path:
    place = tmp_path / name
    place.mkdir()
    for stem, text in files.items():
        (place / f"{stem}.py").write_text(textwrap.dedent(text))
    return place


def test_installed_nodes_are_found() -> None:
    catalogue = Catalogue.load()
    assert {"load_model", "denoise", "save_image"} <= {node_type.name for node_type in catalogue}
    assert catalogue.failures == []


def test_a_folder_of_nodes(tmp_path: Path) -> None:
    catalogue = Catalogue()
    catalogue.add_folder(folder(tmp_path, "a", one=GOOD, _helper="raise SystemExit"))
    assert [node_type.name for node_type in catalogue] == ["good"]
    assert catalogue.failures == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("import nowhere_at_all", "nowhere_at_all"),
        ("1 +", "SyntaxError"),
        ("raise SystemExit(3)", "SystemExit"),
        ("from weft.engine import node\n@node('lost')\ndef lost(x: 'Nowhere') -> int: ...", "Nowhere"),
        ("from weft.engine import node\n@node('no name')\ndef f() -> int: ...", "no name"),
    ],
)
def test_a_file_that_fails_is_left_out_and_named(tmp_path: Path, text: str, words: str) -> None:
    catalogue = Catalogue()
    catalogue.add_folder(folder(tmp_path, "a", bad=text, good=GOOD))
    assert [node_type.name for node_type in catalogue] == ["good"]
    (failure,) = catalogue.failures
    assert "bad.py" in failure.origin
    assert words in failure.message


def test_a_pack_that_prints_does_not_touch_stdout(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Catalogue().add_folder(folder(tmp_path, "a", chatty="print('hello')"))
    assert capsys.readouterr() == ("", "hello\n")


def test_two_nodes_of_one_name_are_an_error_that_names_both() -> None:
    @node("good")
    def first() -> int: ...

    @node("good")
    def second() -> int: ...

    with pytest.raises(CatalogueError, match=r"first.*second"):
        Catalogue([first, second])


def test_of_two_folders_with_one_node_name_the_first_has_it(tmp_path: Path) -> None:
    catalogue = Catalogue()
    catalogue.add_folder(folder(tmp_path, "a", one=GOOD))
    catalogue.add_folder(folder(tmp_path, "b", two=GOOD, three=GOOD.replace('"good"', '"other"')))
    assert [node_type.name for node_type in catalogue] == ["good", "other"]
    good = catalogue.get("good")
    assert good is not None
    assert good.origin.endswith("one.good")
    (failure,) = catalogue.failures
    assert "two.py" in failure.origin
    assert re.search(r"one\.good.*two\.good", failure.message)


def test_a_folder_without_nodes_is_said(tmp_path: Path) -> None:
    catalogue = Catalogue()
    catalogue.add_folder(folder(tmp_path, "a", one="x = 1", _two=GOOD))
    (failure,) = catalogue.failures
    assert "no node" in failure.message
    assert "one.py" in failure.message


def test_the_same_node_twice_is_no_conflict() -> None:
    assert len(Catalogue([toys.add, toys.add])) == 1


def test_a_folder_that_is_not_there() -> None:
    with pytest.raises(CatalogueError, match="no folder"):
        Catalogue().add_folder("nowhere")


def test_near_names() -> None:
    assert toys.catalogue().nearest("ad") == "add"
    assert toys.catalogue().nearest("xyzzy") is None


def test_listed_by_category_and_name() -> None:
    @node("a", category="z")
    def a() -> int: ...

    @node("z", category="a")
    def z() -> int: ...

    assert [node_type.name for node_type in Catalogue([a, z])] == ["z", "a"]


def test_a_catalogue_that_several_threads_load_at_once_is_whole() -> None:
    """A module that one thread is importing was taken by another one as it stood, without its nodes."""
    program = """
import threading
from weft.engine import Catalogue
from weft.engine.catalogue.catalogue import installed

together = threading.Barrier(6)
found = []

def load(number):
    together.wait()
    catalogue = installed() if number % 2 else Catalogue.load()
    found.append((len(list(catalogue)), len(catalogue.failures)))

threads = [threading.Thread(target=load, args=(number,)) for number in range(6)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(*sorted(set(found)), len(list(Catalogue.load())))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120)
    sizes = done.stdout.split("\n")[-2]
    count = sizes.rpartition(" ")[2]
    assert sizes == f"({count}, 0) {count}"


def test_a_module_that_asks_for_nodes_while_it_is_imported_is_said_to_be_unfinished(tmp_path: Path) -> None:
    (tmp_path / "early.py").write_text(
        "from weft.engine import Catalogue, node\n"
        "from pathlib import Path\n"
        "seen = Catalogue(); seen.add_folder(Path(__file__).parent)\n"
        "@node('late_one')\ndef late_one() -> int:\n    return 1\n"
    )
    catalogue = Catalogue()
    catalogue.add_folder(tmp_path)
    assert "late_one" in [type.name for type in catalogue]
    (module,) = [module for name, module in sys.modules.items() if name.endswith(".early")]
    assert "while it is being imported" in str(module.seen.failures[0])
