"""The house rules that a machine can see: who imports whom, what stays light, what is never used, help everywhere."""

from __future__ import annotations

import ast
import importlib.util
import itertools
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from tests import floors

ROOT = Path(__file__).parents[1]
PACKAGES = ("graphs", "engine", "nodes", "server")

# What each package must not know, be it inside a function or for type checkers alone.
FOREIGN = {
    "graphs": {"engine", "nodes", "server", "torch", "diffusers", "transformers", "cv2"},
    "engine": {"nodes", "server", "diffusers", "transformers", "cv2"},
    "nodes": {"server"},
    "server": {"nodes", "torch", "diffusers", "transformers", "cv2"},
}

# What loads nothing but declarations must not import; each costs from 0.1 s (cv2, PIL) to 9 s (diffusers).
HEAVY = ("torch", "diffusers", "transformers", "cv2", "PIL", "matplotlib", "safetensors")

# Modules and calls that run code out of data.
UNSAFE_MODULES = {"pickle", "_pickle", "cPickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}
UNSAFE_CALLS = {"eval", "exec", "compile", "__import__"}
UNSAFE_METHODS = {("torch", "load"), ("torch", "save"), ("os", "system"), ("os", "popen")}

MAX_LINES = 400
# Longer files, each with the reason why it is one thing.
LONG_FILES: dict[str, str] = {}


def sources() -> list[Path]:
    return [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


TREES = {relative(path): ast.parse(path.read_text("utf-8")) for path in sources()}


def imported(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and full name of everything imported in a tree, by statement or by `import_module("...")`."""
    for item in ast.walk(tree):
        if isinstance(item, ast.Import):
            yield from ((item.lineno, alias.name) for alias in item.names)
        elif isinstance(item, ast.ImportFrom):
            module = item.module or ""
            yield from ((item.lineno, f"weft.{alias.name}" if module == "weft" else module) for alias in item.names)
        elif isinstance(item, ast.Call) and item.args and isinstance(item.args[0], ast.Constant):
            function = item.func.attr if isinstance(item.func, ast.Attribute) else getattr(item.func, "id", "")
            if function in ("import_module", "__import__", "lazy"):
                yield item.lineno, str(item.args[0].value)


def at_import(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Like `imported`, but only what importing the module runs: no function bodies, nothing under TYPE_CHECKING."""
    pending: list[ast.AST] = list(tree.body)
    while pending:
        item = pending.pop()
        if isinstance(item, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            continue
        if isinstance(item, ast.If) and "TYPE_CHECKING" in ast.unparse(item.test):
            pending.extend(item.orelse)
            continue
        if isinstance(item, (ast.Import, ast.ImportFrom)):
            yield from imported(item)
        pending.extend(ast.iter_child_nodes(item))


def test_there_is_something_to_look_at() -> None:
    assert {name.split("/")[0] for name in TREES} == set(PACKAGES)
    assert len(TREES) > 20


def test_imports_go_down_only() -> None:
    wrong = [
        f"{name}:{line} imports {module}"
        for name, tree in TREES.items()
        for line, module in imported(tree)
        if module.removeprefix("weft.").split(".")[0] in FOREIGN[name.split("/")[0]]
    ]
    assert not wrong, wrong


OLD = re.compile(rf"^\s*(?:from|import) (?:{'|'.join(PACKAGES)})\b(?! as )(?=[. ,]|$)", re.MULTILINE)


def test_nothing_imports_the_packages_by_their_old_names() -> None:
    """Run at the root of a checkout they would still be there. What tests and pages write into files counts too."""
    assert OLD.search("from engine import run")
    assert OLD.search("    import nodes.values")
    assert not OLD.search("from weft.engine import run\nfrom weft import nodes\nimport server_cli")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    wrong = []
    for name in listed.stdout.split("\0"):
        if name.endswith((".py", ".md", ".json", ".toml")) and (ROOT / name).is_file():
            text = (ROOT / name).read_text("utf-8").replace("\\n", "\n").replace('"', "\n").replace("'", "\n")
            if name != "tests/test_house.py":
                wrong += [f"{name}: {match[0].strip()}" for match in OLD.finditer(text)]
    assert not wrong, wrong


@pytest.mark.parametrize("package", floors.FLOORS)
def test_every_import_within_a_package_goes_down(package: str) -> None:
    rooms = {floors.room(package, module) for module in floors.arrows(package)}
    named = [name for names in floors.FLOORS[package] for name in names if name != "__init__"]
    assert sorted(rooms) == sorted(named), "each room stands on one floor"
    assert not floors.upward(package)


@pytest.mark.parametrize("package", floors.FLOORS)
def test_no_modules_need_each_other(package: str) -> None:
    assert not floors.circles(package)


@pytest.mark.parametrize("package", floors.PAGES)
def test_each_packages_page_begins_with_its_floors(package: str) -> None:
    """Else: python -m tests.floors"""
    text = (ROOT / floors.PAGES[package]).read_text("utf-8")
    assert text == floors.page(package)
    assert text.index(floors.BEGIN.format(package)) < 60, "right below the title"


def test_the_justified_pairs_are_pairs() -> None:
    every = {module: targets for package in floors.FLOORS for module, targets in floors.arrows(package).items()}
    for pair in floors.PAIRS:
        for one, other in itertools.permutations(pair):
            # By itself, or by the package that hands it on.
            names = {other, other.rpartition(".")[0]}
            assert names & every[one], f"{one} needs {other} no more: strike the pair from the list"


def test_each_folder_says_what_belongs_there() -> None:
    silent = [
        name
        for name, tree in TREES.items()
        if name.endswith("__init__.py")
        and (ast.get_docstring(tree) or "").count(". ") + (ast.get_docstring(tree) or "").count(".\n") < 1
    ]
    assert not silent, f"two sentences: what belongs here, and what does not: {silent}"


def test_heavy_modules_are_imported_where_they_are_used() -> None:
    """In graphs, engine, server, and in every node file: the declaration of a node has to be light."""
    light = (
        "graphs/",
        "engine/",
        "server/",
        "nodes/basic/",
        "nodes/techniques/",
        "nodes/__init__.py",
        "nodes/technique/__init__.py",
        "nodes/technique/hooks.py",
        "nodes/technique/terms.py",
        "nodes/values/",
    )
    wrong = [
        f"{name}:{line} imports {module} at its head"
        for name, tree in TREES.items()
        if name.startswith(light)
        for line, module in at_import(tree)
        if module.split(".")[0] in HEAVY
    ]
    assert not wrong, wrong


def test_importing_the_packages_loads_nothing_heavy() -> None:
    """In a fresh process, since this one may have torch already; reading every node's ports and help included."""
    code = f"""
import sys
import weft, weft.server.cli
from weft import engine, nodes
for name in dir(weft):
    getattr(weft, name)
for item in list(vars(nodes).values()):
    if isinstance(item, engine.Node):
        declared = item.node_type
        declared.inputs, declared.outputs, declared.help
print(*[name for name in {HEAVY!r} if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []


def test_nothing_runs_code_out_of_data() -> None:
    wrong = []
    for name, tree in TREES.items():
        wrong += [f"{name}:{line} imports {module}" for line, module in imported(tree) if module in UNSAFE_MODULES]
        for item in ast.walk(tree):
            if not isinstance(item, ast.Call):
                continue
            function = item.func
            if isinstance(function, ast.Name) and function.id in UNSAFE_CALLS:
                wrong.append(f"{name}:{item.lineno} calls {function.id}")
            elif isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name):
                if (function.value.id, function.attr) in UNSAFE_METHODS:
                    wrong.append(f"{name}:{item.lineno} calls {function.value.id}.{function.attr}")
                if function.value.id in ("builtins", "__builtins__") and function.attr in UNSAFE_CALLS:
                    wrong.append(f"{name}:{item.lineno} calls {function.attr}")
            for keyword in item.keywords:
                constant = isinstance(keyword.value, ast.Constant) and keyword.value.value is True
                if constant and keyword.arg in ("allow_pickle", "shell", "trust_remote_code"):
                    wrong.append(f"{name}:{item.lineno} passes {keyword.arg}=True")
    assert not wrong, wrong


def test_files_stay_short_or_say_why() -> None:
    lengths = {relative(path): len(path.read_text("utf-8").splitlines()) for path in sources()}
    long = {name: count for name, count in lengths.items() if count > MAX_LINES}
    assert not long.keys() - LONG_FILES.keys(), f"what is the second thing in these? {long}"
    assert not LONG_FILES.keys() - long.keys(), "listed as long, but short or gone"


def test_every_file_says_what_it_is() -> None:
    assert not [name for name, tree in TREES.items() if tree.body and not ast.get_docstring(tree)]


def test_no_path_of_one_machine_is_written_down() -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    private = ("/" + "work/", "/" + "root/", "/" + "home/")
    suffixes = (".py", ".md", ".json", ".toml", ".txt", ".yml", ".yaml", "Makefile")
    wrong = []
    for name in listed.stdout.split("\0"):
        path = ROOT / name
        if name.endswith(suffixes) and path.is_file():
            text = path.read_text("utf-8", errors="replace")
            wrong += [f"{name}: {start}" for start in private if start in text]
    assert not wrong, wrong


def declared_nodes() -> list[object]:
    from weft import engine, nodes

    return [item for item in vars(nodes).values() if isinstance(item, engine.Node)]


@pytest.mark.parametrize("declared", declared_nodes(), ids=lambda declared: declared.node_type.name)
def test_every_node_explains_itself(declared: object) -> None:
    node_type = declared.node_type  # type: ignore[attr-defined]
    assert node_type.summary, "the docstring's first line is what an editor and the reference show"
    assert node_type.category
    silent = [name for name, port in node_type.inputs.items() if not port.help]
    assert not silent, f"inputs without a line under Args: {silent}"


def pasted(tmp_path: Path, which: int) -> ModuleType:
    """A Python block of CONTRIBUTING.md as the module that it would be when pasted into a file."""
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "CONTRIBUTING.md").read_text("utf-8"), re.DOTALL)
    path = tmp_path / f"pasted_{which}.py"
    path.write_text(blocks[which], "utf-8")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def test_the_node_in_contributing_works(tmp_path: Path) -> None:
    import torch

    from weft.nodes.values import Image

    posterize = pasted(tmp_path, 0).posterize
    levels = posterize(Image(torch.linspace(0, 1, 48).reshape(1, 4, 4, 3)), 3).pixels.unique().tolist()
    assert levels == [0, 0.5, 1]
    test_every_node_explains_itself(posterize)


def test_the_technique_in_contributing_works(tmp_path: Path) -> None:
    import torch

    from weft.nodes.technique import Predictions
    from weft.nodes.values import Guidance

    module = pasted(tmp_path, 1)
    technique = module.soften(amount=0.25, start=0.5)
    assert isinstance(technique, Guidance)
    assert technique.window == (0.5, 1.0)

    class Cond(Predictions):
        def role(self, role: str) -> torch.Tensor:
            assert role in technique.needs
            return torch.tensor([1.0])

    assert technique.combine(None, Cond(), torch.tensor([5.0])).tolist() == [4.0]
    test_every_node_explains_itself(module.soften)


def test_no_two_test_files_have_one_name() -> None:
    """The folders of tests are no packages: pytest knows a file by its name alone, and stops at a second one."""
    paths: dict[str, list[str]] = {}
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        paths.setdefault(path.name, []).append(relative(path))
    assert [those for those in paths.values() if len(those) > 1] == []
