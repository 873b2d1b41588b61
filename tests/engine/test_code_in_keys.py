"""What of a node's code enters its key: all that can change what it gives, as it was loaded."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from weft.engine import Cache, Catalogue, node, run
from weft.engine.catalogue.code import code_fingerprint

HEAD = "from weft.engine import node\n"


def key_of(folder: Path, name: str = "p", hashseed: str = "0") -> str:
    """The fingerprint that a fresh process finds for a node of a folder."""
    code = f"""
import sys
from weft.engine import Catalogue
catalogue = Catalogue()
catalogue.add_folder({str(folder)!r})
assert not catalogue.failures, catalogue.failures
print(catalogue.code(catalogue.get({name!r})))
"""
    env = os.environ | {"PYTHONHASHSEED": hashseed, "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=env)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_same_in_every_process(tmp_path: Path) -> None:
    (tmp_path / "pack.py").write_text(
        HEAD + "import math, re\nNAMES = {'a', 'b', 'c'}\nTABLE = {'x': [1, 2], 'y': re.compile('a+')}\n"
        "def f(x):\n    return x in {'p', 'q', 'r'} and math.sqrt(2)\n"
        "class C:\n    size = 3\n    def g(self):\n        return f(self.size)\n"
        "@node('p')\ndef p(x: int = 1) -> str:\n    return f'{C().g()}{NAMES}{TABLE}{[y for y in (1, 2)]}'\n"
    )
    assert key_of(tmp_path, hashseed="1") == key_of(tmp_path, hashseed="2")


CHANGES: dict[str, tuple[dict[str, str], dict[str, str]]] = {
    "its own code": ({"pack.py": "def p() -> int:\n    return 1\n"}, {"pack.py": "def p() -> int:\n    return 2\n"}),
    "a helper of the folder": (
        {"pack.py": "from ._h import f\n@node('p')\ndef p() -> int:\n    return f()\n", "_h.py": "def f(): return 1\n"},
        {"_h.py": "def f(): return 2\n"},
    ),
    "a helper by sys.path": (
        {
            "pack.py": "import sys, os\nsys.path.insert(0, os.path.join(os.path.dirname(__file__), '..', 'lib'))\n"
            "import aside_of_all\n@node('p')\ndef p() -> int:\n    return aside_of_all.deep.f()\n",
            "../lib/aside_of_all/__init__.py": "from . import deep\n",
            "../lib/aside_of_all/deep.py": "def f(): return g()\ndef g(): return 1\n",
        },
        {"../lib/aside_of_all/deep.py": "def f(): return g()\ndef g(): return 2\n"},
    ),
    "a helper that is imported where it is used": (
        {
            "pack.py": "import sys, os\nsys.path.insert(0, os.path.join(os.path.dirname(__file__), '..', 'lib'))\n"
            "@node('p')\ndef p() -> int:\n    from late_one import f\n    return f()\n",
            "../lib/late_one.py": "def f(): return 1\n",
        },
        {"../lib/late_one.py": "def f(): return 2\n"},
    ),
    "a folder that is a link": (
        {
            "pack.py": "import importlib\n@node('p')\ndef p() -> int:\n"
            "    return importlib.import_module('.linked.inner', __package__).f()\n",
            "../elsewhere/inner.py": "def f(): return 1\n",
        },
        {"../elsewhere/inner.py": "def f(): return 2\n"},
    ),
    "a default": (
        {"pack.py": "def p(x: int = 1) -> int:\n    return x\n"},
        {"pack.py": "def p(x: int = 2) -> int:\n    return x\n"},
    ),
    "a method of a class": (
        {
            "pack.py": "from ._h import C\n@node('p')\ndef p() -> int:\n    return C().f()\n",
            "_h.py": "class C:\n    def f(self): return 1\n",
        },
        {"_h.py": "class C:\n    def f(self): return 2\n"},
    ),
}


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if name == "pack.py":
            text = HEAD + (text if "@node" in text else f"@node('p')\n{text}")
        path.write_text(text)


@pytest.mark.parametrize("what", CHANGES)
def test_a_change_is_seen(what: str, tmp_path: Path) -> None:
    before, after = CHANGES[what]
    folder = tmp_path / "nodes"
    write(folder, before)
    if what == "a folder that is a link":
        (folder / "linked").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    first = key_of(folder)
    assert key_of(folder) == first
    write(folder, after)
    assert key_of(folder) != first


def test_links_in_circles_end(tmp_path: Path) -> None:
    write(tmp_path, {"pack.py": "def p() -> int:\n    return 1\n"})
    (tmp_path / "round").symlink_to(tmp_path, target_is_directory=True)
    assert key_of(tmp_path)


def test_code_that_was_edited_after_it_was_loaded_is_not_what_ran(tmp_path: Path) -> None:
    """Else the old code's result would be kept as the new code's, for every process to come."""
    folder, cache = tmp_path / "nodes", tmp_path / "cache"
    write(folder, {"pack.py": "def p() -> str:\n    return 'old'\n"})
    catalogue = Catalogue.load([folder])
    document = {"weft": 1, "nodes": {"n": {"type": "p", "inputs": {}}}}
    write(folder, {"pack.py": "def p() -> str:\n    return 'new'\n"})
    for loaded in (catalogue, Catalogue.load([folder])):
        assert run(document, ["n"], catalogue=loaded, cache=Cache(cache))["n"] == "old", "what this process has loaded"
    code = f"""
from weft.engine import Cache, Catalogue, run
result = run({document!r}, ["n"], catalogue=Catalogue.load([{str(folder)!r}]), cache=Cache({str(cache)!r}))
print(result["n"], result.ran)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["new", "1"], done.stderr


def test_what_is_imported_after_an_edit_is_not_the_old_codes_result(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The old code is there again when a fresh process looks: it must not find what the edited helper gave."""
    folder, cache = tmp_path / "nodes", tmp_path / "cache"
    late = "import importlib\n    f = importlib.import_module('._late', __package__).f"
    files = {"pack.py": f"@node('p')\ndef p(x: int) -> int:\n    {late}\n    return f(x)\n"}
    write(folder, files | {"_late.py": "def f(x): return x if x < 2 else 1\n"})
    catalogue = Catalogue([])
    catalogue.add_folder(folder)
    catalogue.code(catalogue.get("p"))  # type: ignore[arg-type]
    write(folder, {"_late.py": "def f(x): return x if x < 2 else 2\n"})
    document = {"weft": 1, "nodes": {"n": {"type": "p", "inputs": {"x": 5}}}}
    for _ in range(2):
        result = run(document, ["n"], catalogue=catalogue, cache=Cache(cache))
        assert (result["n"], result.ran) == (2, 1), "not kept"
    assert "edited after this process had loaded the rest" in caplog.text
    write(folder, {"_late.py": "def f(x): return x if x < 2 else 1\n"})
    code = f"""
from weft.engine import Cache, Catalogue, run
catalogue = Catalogue([])
catalogue.add_folder({str(folder)!r})
result = run({document!r}, ["n"], catalogue=catalogue, cache=Cache({str(cache)!r}))
print(result["n"], result.ran)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["1", "1"], done.stderr


def factory(amount: int) -> Any:
    @node("made_by_factory")
    def made_by_factory() -> int:
        return amount

    return made_by_factory


def test_two_nodes_of_one_factory_are_two() -> None:
    cache = Cache()
    document = {"weft": 1, "nodes": {"n": {"type": "made_by_factory", "inputs": {}}}}
    results = [run(document, ["n"], catalogue=Catalogue([factory(n)]), cache=cache)["n"] for n in (1, 2, 1)]
    assert results == [1, 2, 1]


CELLS = """
import json, sys
from weft.engine import Cache, Catalogue, node, run
cache = Cache()
space = {"__name__": "__main__", "node": node}
def cell(number, text):
    exec(compile(text, f"<ipython-input-{number}>", "exec"), space)
def show():
    document = {"weft": 1, "nodes": {"n": {"type": "p", "inputs": {}}}}
    result = run(document, ["n"], catalogue=Catalogue([space["p"]]), cache=cache)
    return [result["n"], result.ran]
shown = []
for number, text in enumerate(json.loads(sys.argv[1])):
    cell(number, text)
    if "p" in space:
        shown.append(show())
print(json.dumps(shown))
"""


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["def f(): return 1", "@node('p')\ndef p() -> int:\n    return f()", "def f(): return 2"], [[1, 1], [2, 1]]),
        (["K = 1", "@node('p')\ndef p() -> int:\n    return K", "K = 2", "K = 1"], [[1, 1], [2, 1], [1, 0]]),
        (["K = {'a': [1]}", "@node('p')\ndef p() -> int:\n    return K['a'][0]", "K['a'][0] = 2"], [[1, 1], [2, 1]]),
        (["@node('p')\ndef p() -> int:\n    return 1", "@node('p')\ndef p() -> int:\n    return 2"], [[1, 1], [2, 1]]),
        (["@node('p')\ndef p() -> int:\n    return 1", "unrelated = 5"], [[1, 1], [1, 0]]),
        (["class C:\n    x = 1", "@node('p')\ndef p() -> int:\n    return C().x", "C.x = 2"], [[1, 1], [2, 1]]),
    ],
)
def test_cells_of_a_notebook(cells: list[str], expected: list[list[int]], tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CELLS, json.dumps(cells)], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == expected


def test_functions_that_refer_to_themselves_and_to_much_end() -> None:
    table = {number: [number] for number in range(50_000)}
    nest: list[Any] = []
    for _ in range(10_000):
        nest = [nest]
    loop: list[Any] = []
    loop.append(loop)

    @node("heavy")
    def heavy() -> Any:
        return heavy, table, nest, loop

    assert code_fingerprint(heavy.node_type.fn)
