"""What is installed: one name at the top, whole, typed for whoever imports it, and in nobody's way."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("engine", "graphs", "nodes", "server")
FILES = (".py", "py.typed", ".json", ".safetensors", ".gz", ".css", ".js", ".html")
NOT_SHIPPED = "server/editor/"
"""The editor's sources; what is built of them in server/static is shipped."""

# Each line is what a user might write; those with a mark are wrong in the way that it names.
USER = """\
from weft import Cache, Graph, Range, check, node, run
from weft.engine import Catalogue
from weft.graphs import Workflow
from weft.nodes import cfg, denoise, encode_prompt, load_model
from weft.nodes.values import Image

with Graph("mine") as graph:
    model = load_model("shapes")
    prompt = encode_prompt(model, "a red circle")
    latents = denoise(model, guidance=[cfg(prompt, scale=3.0)], seed=7).latents
    load_model(5)  # arg-type
    cfg(prompt, scale="high")  # arg-type
    cfg(model)  # arg-type
    denoise(model, guidance=[cfg(prompt)]).latent  # attr-defined
result = run(graph, cache=Cache())
seconds: int = result.seconds  # assignment
catalogue: Catalogue = check(graph)  # assignment
Workflow.load(3)  # arg-type


@node("mine")
def mine(image: Image) -> Image:
    return image.pixel  # attr-defined
"""

# torch's own annotations take a minute to read and say nothing about ours.
CHECKER = """\
[mypy]
[mypy-torch.*]
follow_imports = skip
[mypy-diffusers.*]
follow_imports = skip
[mypy-transformers.*]
follow_imports = skip
"""


def listed() -> list[str]:
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("not a git checkout")
    return [name for name in done.stdout.split("\0") if name and (ROOT / name).is_file()]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy of what git has, so that nothing that lies about in the checkout gets into it."""
    copy, out = tmp_path_factory.mktemp("copy"), tmp_path_factory.mktemp("wheel")
    for name in listed():
        if name.startswith((*(f"{folder}/" for folder in FOLDERS), "weft/")) or "/" not in name:
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, copy / name)
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--no-deps",
        "--no-build-isolation",
        "--quiet",
        "-w",
        str(out),
        ".",
    ]
    done = subprocess.run(command, cwd=copy, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (path,) = out.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment with the wheel, which finds what Weft needs in this one."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False, symlinks=True)
    python = folder / "bin" / "python"
    (site,) = folder.glob("lib/python*/site-packages")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    # A folder that a .pth names is searched after this one, and its own .pth files (the checkout's) are not read.
    (site / "others.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python


def test_the_wheel_has_one_name_at_its_top_and_every_file(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {"weft"}
    ours = {name for name in listed() if name.startswith(tuple(f"{folder}/" for folder in FOLDERS))}
    wanted = {f"weft/{name}" for name in ours if name.endswith(FILES) and not name.startswith(NOT_SHIPPED)}
    assert not wanted - names
    for folder in ("", *(f"{folder}/" for folder in FOLDERS)):
        assert f"weft/{folder}py.typed" in names


def run_python(python: Path, folder: Path, *arguments: str) -> str:
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [str(python), *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, env=env)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_installed_wheel_works_and_is_not_the_checkout(installed: Path, tmp_path: Path) -> None:
    code = "import weft, weft.nodes; print(weft.__file__, weft.nodes.__file__, weft.engine.__file__)"
    places = run_python(installed, tmp_path, "-c", code).split()
    assert all(place.startswith(str(installed.parents[1])) for place in places), places
    name = "text_to_image"
    document = run_python(installed, tmp_path, "-m", "weft", "examples", name)
    (tmp_path / "first.json").write_text(document)
    assert "first.json" in run_python(installed, tmp_path, "-m", "weft", "check", "first.json")


def hostile(folder: Path) -> Path:
    """A project with the old names of our packages, each of which says so when somebody imports it."""
    for name in ("nodes", "engine", "server", "weft_nodes"):
        (folder / f"{name}.py").write_text(f"raise RuntimeError('{name} of the project was imported')\n")
    (folder / "graphs").mkdir()
    (folder / "graphs" / "__init__.py").write_text("raise RuntimeError('graphs of the project was imported')\n")
    return folder


@pytest.mark.parametrize("which", ["wheel", "checkout"])
def test_a_project_with_files_of_our_names_is_in_nobodys_way(
    which: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    python = request.getfixturevalue("installed") if which == "wheel" else Path(sys.executable)
    folder = hostile(tmp_path)
    assert "denoise" in run_python(python, folder, "-m", "weft", "nodes")
    code = """
import weft, weft.server.cli
from weft import Cache, Graph, run
from weft.nodes import join_text
with Graph() as graph:
    text = join_text(["a", "b"])
if __name__ == "__main__":
    for isolate in (False, True):
        print(run(graph, targets=[text], cache=Cache.none(), isolate=isolate)[text])
"""
    (folder / "script.py").write_text(code)
    first, second = run_python(python, folder, "script.py").splitlines()
    assert first == second


def planted() -> dict[int, str]:
    lines = enumerate(USER.splitlines(), 1)
    return {number: line.rpartition("# ")[2] for number, line in lines if "  # " in line}


def reported(output: str) -> dict[int, str]:
    problems = {}
    for line in output.splitlines():
        if line.startswith("user.py:") and ": error: " in line:
            problems[int(line.split(":")[1])] = line.rpartition("[")[2].rstrip("]")
    return problems


@pytest.mark.parametrize("which", ["wheel", "checkout"])
def test_a_users_file_is_checked_against_what_is_installed(
    which: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """From outside the checkout: every planted error is found, on its line and as what it is, and nothing else."""
    python = request.getfixturevalue("installed") if which == "wheel" else Path(sys.executable)
    (tmp_path / "user.py").write_text(USER)
    (tmp_path / "mypy.ini").write_text(CHECKER)
    command = [sys.executable, "-m", "mypy", "--config-file", "mypy.ini", "--cache-dir", str(tmp_path / "cache")]
    done = subprocess.run(
        [*command, "--python-executable", str(python), "user.py"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert reported(done.stdout) == planted(), done.stdout + done.stderr


def test_what_the_door_exports_is_what_checkers_see() -> None:
    import weft

    tree = ast.parse((ROOT / "weft" / "__init__.py").read_text("utf-8"))
    seen: list[str] = []
    for item in ast.walk(tree):
        if isinstance(item, ast.ImportFrom) and (item.module or "").startswith("weft"):
            seen += [alias.name for alias in item.names]
    assert sorted(seen) == sorted(weft.__all__)
    assert set(weft.__all__) <= set(dir(weft))
    for name in weft.__all__:
        assert getattr(weft, name) is not None


def packages() -> Iterator[str]:
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("__init__.py")):
            yield "weft." + path.parent.relative_to(ROOT).as_posix().replace("/", ".")


def test_every_folder_is_a_package_that_is_installed() -> None:
    import tomllib

    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]
    assert sorted(settings["packages"]) == sorted(["weft", *packages()])
    for folder in FOLDERS:
        assert (ROOT / folder / "py.typed").is_file()
        bare = {path.parent for path in (ROOT / folder).rglob("*.py")} - {
            path.parent for path in (ROOT / folder).rglob("__init__.py")
        }
        assert not bare, f"folders without __init__.py are not installed: {bare}"
